"""What can be read alone: a sentence that begins a passage, a statement that is asked about, a page that is no talk.

A checker who had not seen the rules found most mined rows wrong for one reason: the text began in the middle of a
thought (`이런 변화는 …`, `The first such …`), or the statement was a request, a reply or had no subject. Each rule here
names words that lean on something else; one that is unsure says no. Cost: one precompiled pattern or two a sentence.
"""

from __future__ import annotations

import re

from datakit.stages.synthesize.korean import final_of
from datakit.stages.synthesize.passages import FORWARD, TAG, Page, is_odd, is_plain, words

POINTS_KO = re.compile(
    r"(?:^|[\s\"'‘“(])(?:[이그저]|(?:이것|그것|이런|그런|이러한|그러한|이렇게|그렇게|이때|그때|이곳|그곳|여기|거기"
    r"|이들|그들|그녀|이처럼|이와|그와"
    r"|이에|이를|그를|이는|그는|이로|우리|저희|제가|저는|저도|나는|내가|당신|여러분|고객|본인|해당|이번|앞서|위의"
    r"|앞의|이듬해|이튿날|그해|당시|둘 다"
    r"|둘은|둘을|두 가지|세 가지|나머지|양쪽)[가-힣]{0,3})(?=[\s,.])"
)
LEANS_KO = re.compile(
    r"^(?:그러나|하지만|그렇지만|그런데|그리고|또한|또|다만|그래서|따라서|그러므로|특히|게다가|더구나|즉|결국|한편"
    r"|반면|반대로|물론|실제로|사실|먼저|우선"
    r"|다음|그다음|대답|마지막|끝으로|첫째|둘째|셋째|넷째|예컨대|예를|가령|대신|오히려|그래도|그러면|그러니|그러자|덕분|때문"
    r"|결과|이후|이어|이윽고|마찬가지|같은|비슷하게"
    r"|거꾸로|네|아니|맞|답|더|혹시|만약|만일|왜냐|단|문제는|원인은|이유는|까닭은|여섯째|다섯째|정리하면|요컨대"
    r"|일단|여기|참고|당연|숫자마다)"
    r"[가-힣]{0,3}(?=[\s,.])"
)
SPEAKS_KO = re.compile(
    r"(?:세요|시오|주십|바랍|드립|드려|드릴|시면|시려|셔야|실 |니까|[가-힣]자|을까|일까|[나는은]가|마라|겠습|해요"
    r"|에요|예요|어요|아요|네요|죠|지요|듯)"
    r"(?=[.?! ,]|$)|세요|(?:^|\s)(?:저희|제가|저는|내가|나는|우리)"
)
TOPIC_KO = re.compile(r"^(?:\S+ ){0,3}?[\"'‘“]?[가-힣A-Za-z0-9·]+?[\"'’”]?(?:은|는|도)(?=[ ,])")
SUBJECT_KO = re.compile(r"^(?:\S+ )?[\"'‘“]?[가-힣A-Za-z0-9·]+?[\"'’”]?(?:이|가)(?= (?!아니|되|된|될|돼))")
PARTICLE_WORD = re.compile(r"([가-힣]*[가-힣A-Za-z0-9])[\"'’”]?(은|는|이|가|도)$")
NO_SUBJECT = re.compile(
    r"(?:같|많|좋|높|낮|알맞|작|적|넓|좁|깊|얕|굵|얇|짧|붉|검|젊|늙|밝|맑|옳|굳|남|얻|받|잡|쌓|찾|닮|맞)은$"
    r"|(?:하|되|지|리|기|우|치|내|오|주|나|키|르|보|쓰|추|에|서|로|게|시|으려|다|려|면|만|어|아|고)는$|(?:있|없)는$"
    r"|(?:필요|수|것|일|적|때|점|데|바|정도|편|뿐|만큼|때문)[이가은는]$|(?:없|같|많|높|깊|길|넓|굳|더없|틀림없"
    r"|끊임없)이$|^이$"
    r"|(?:에|로|서|게|라|해|어|아|려|고|만|정|돼|져|와|까지|부터)도$"
)
"""Words that end like a topic or subject but are none: adjectives, verbs before a noun, adverbs, dependent nouns."""
POINTS_EN = re.compile(
    r"\b(?:this|these|those|they|them|their|he|she|him|his|her|it|its|it's|such|former|latter|both|another|others?"
    r"|too|also"
    r"|instead|here|then|so|therefore|however|though|otherwise|neither|either|same)\b",
    re.IGNORECASE,
)
POINTS_OUT_EN = re.compile(
    r"\b(?:this|these|those|they|such|here|then|former|latter|another|both|too|also)\b", re.IGNORECASE
)
SPEAKS_EN = re.compile(
    r"\b(?:I|I'm|I've|I'd|[Mm]e|[Mm]y|[Ww]e|[Ww]e're|[Oo]urs?|[Uu]s|[Yy]ou|[Yy]ours?|[Pp]lease|[Ll]et's|[Tt]oday"
    r"|[Yy]esterday)\b"
    r"|[?!]$"
)
LEANS_EN = words(
    "and but or nor so yet still also thus then hence however moreover besides indeed instead meanwhile therefore"
    " because"
    " since although though while if unless until whereas that this these those it its they them their he she his"
    " her such"
    " another other others both either neither one ones some many most few several none each same once here there"
    " what which"
    " who whichever whatever yes no not nearly almost first second third finally next last now for even only just"
    " more less"
    " much step problem idea reason result answer evidence example note real early earlier later afterwards"
    " unlike again"
    " similarly likewise conversely as too done guessed"
)
"""First words, in lower case, of an English sentence that goes on with something."""
POINTERS_EN = words("this that these those such here there another both")
LEANS_THE = words(
    "first second third last next other others same only rest remaining former latter result evidence reason"
    " trick problem"
    " answer difference effect idea simple usual following previous second latter two three four whole top cause"
    " point"
)
"""`The first such apparatus`, `the other one`: first among what?"""
DETERMINERS = words("the a an every in on at by during from under between after before")
AUXILIARIES = words(
    "is are was were has have had can could will would may might must should does did do cannot"
    " became began came went made gave took lay stood grew ran held kept means makes gives takes"
)
ORDERS = words(
    "take keep put use wash remove wear avoid check turn add cut let make set read press clean store open close"
    " hold give"
    " leave bring do don never always get go try write choose count start stop wait look ask mix pull push lay"
    " place move"
    " fill sign send save test mark tell draw fold wrap tie heat cool dry"
)
"""Verbs that begin an order: `Wash hands`, unlike `Water climbs`."""
LEADS_IN = re.compile(
    r":$|(?:다음|아래|이렇게|이유|방법|가지|갈래|까닭|차례|순서)[가-힣]{0,3}(?: [가-힣]{1,4}){0,2}(?:다|이다|니다)\.$"
    r"|\b(?:following|as follows|two|three|four|several|these) ?(?:\w+)?[.:]$"
)
"""The last sentence announces what does not come: `그래서 두 가지를 따로 본다.`"""
TALKS = {
    "ko": re.compile(
        r"(?:[가-힣]요|죠|ㅋ|ㅠ|드립니다|습니까|는데요|음|함|듯)[.?!~)]*$|(?:^|\s)(?:저는|제가|저도|저희|내가|나는"
        r"|난|고객님|글쓴이|작성자)|문의"
    ),
    "en": re.compile(r"\b(?:I|I'm|I've|I'd|[Mm]y|me|OP|[Ww]e've|[Ww]e're)\b"),
}
PLEADS = {
    "ko": re.compile(r"드립니다|드리겠|고객|문의|주세요|주십시오|나요\?|까요\?|안녕하세요|주시면|주셔"),
    "en": re.compile(r"\b(?:[Pp]lease|[Ss]orry|[Tt]hanks?|[Hh]i|[Hh]ello|[Yy]our|you're|you'll|you'd|[Rr]efund)\b|\?"),
}
MARKS = re.compile(r"[*→▶↪└┗]")
DATELINE = re.compile(r"[A-Z][A-Z .,'’-]{3,}(?:, [\w .]+)? [—–-] |[(\[]?[가-힣]{2,6}[)\]]?\s?[=＝] ?")
"""Where a news item is from, before its first sentence: no part of it."""
NAMED = re.compile(r"[가-힣 ]{2,12}: ")
"""A desk's name before its reply; in a text with a title it may be a term that is explained."""
REPLIES = re.compile(
    r"^(?:Q|A|문|답|질문|답변|회신|댓글|답글|글쓴이|작성자|질문자"
    r"|OP|Reply|Answer|Response|Question|Re|Edit)[ \d]{0,3}[.:)]|^[└→▶↪ㄴ>]"
    r"|^\[[^\]]{0,14}(?:회신|답변|답글|문의)"
    r"|^(?:답변|댓글|회신) [가-힣]{1,3}[.:]|^[\w ]{2,30}(?: (?:replies|answers|writes|desk|support|team))?: [A-Z]"
    r"|^[가-힣 ]{2,14}(?:입니다|답변|회신)[.:] "
)


def stands_alone(sentence: str, language: str) -> bool:
    """Whether a passage may begin with a sentence: plain, no word that leans on an earlier one, nobody speaking."""
    if sentence.endswith(("?", "까.")) or not is_plain(sentence, language):
        return False
    if language == "ko":
        return not (LEANS_KO.match(sentence) or POINTS_KO.search(sentence)) and bool(subject_of(sentence))
    first, second = _first_two(sentence)
    if first.lower() in LEANS_EN or (first == "The" and second in LEANS_THE):
        return False
    return not POINTS_EN.search(" ".join(sentence.split(" ")[:5])) and not SPEAKS_EN.search(sentence)


def opens(sentence: str, language: str) -> bool:
    """Whether a document may begin so: less is asked of it, since nothing stood before."""
    if not is_plain(sentence, language):
        return False
    if language == "ko":
        return not LEANS_KO.match(sentence) and not POINTS_KO.match(sentence)
    first, second = _first_two(sentence)
    return first.lower() not in LEANS_EN and not POINTS_EN.fullmatch(second)


def tells(sentence: str, language: str) -> bool:
    """Whether a sentence states a fact that can be asked about: third person, its own subject, no request."""
    if sentence.endswith(("?", "!")) or not stands_alone(sentence, language):
        return False
    if language == "ko":
        return sentence.endswith("다.") and not SPEAKS_KO.search(sentence) and not FORWARD.search(sentence)
    if len(sentence) < 20 or POINTS_OUT_EN.search(sentence) or SPEAKS_EN.search(sentence) or FORWARD.search(sentence):
        return False
    return states(sentence)


def leans(answer: str, language: str) -> bool:
    """Whether an answer begins with a dateline, or with a word for something that stands elsewhere."""
    if DATELINE.match(answer):
        return True
    if language == "ko":
        return bool(LEANS_KO.match(answer) or POINTS_KO.search(answer) or SPEAKS_KO.search(answer))
    words = answer.removeprefix("The reason is that ").split(" ")
    return (
        words[0].lower() in POINTERS_EN
        or (words[:1] == ["The"] and words[1:2] and words[1] in LEANS_THE)
        or bool(SPEAKS_EN.search(answer))
    )


def states(sentence: str) -> bool:
    """Whether an English sentence begins with a subject rather than with an order."""
    first, second = _first_two(sentence)
    if first.lower() in DETERMINERS or second in AUXILIARIES or second.endswith("ed") or first.isdigit():
        return True
    return second.endswith("s") and not second.endswith("ss") and first.lower() not in ORDERS


def subject_of(sentence: str) -> str:
    """The noun that a Korean sentence is about, if it stands early: a topic in its first words, a subject; else ""."""
    for pattern in (TOPIC_KO, SUBJECT_KO):
        found = pattern.match(sentence)
        if found and (noun := _noun_at_end(found.group())):
            return noun
    return ""


def _noun_at_end(start: str) -> str:
    """The last word of a start without its particle, if that is one; behind an object it is a verb: `지붕을 얹은`."""
    before, _, word = start.rpartition(" ")
    found = PARTICLE_WORD.search(word)
    if not found or NO_SUBJECT.search(word) or before.endswith(("을", "를")):
        return ""
    agrees = found[2] == "도" or bool(final_of(found[1])) == (found[2] in "은이")
    return found[1] if agrees else ""


def _first_two(sentence: str) -> tuple[str, str]:
    first, _, rest = sentence.partition(" ")
    return re.split(r"[,'’:;]", first, maxsplit=1)[0], rest.partition(" ")[0].rstrip(",;:")


def is_whole(text: str) -> bool:
    """Whether a text may be given or taught: no mark-up, address or tag, and it ends as it should."""
    return text.endswith((".", '."', ".”", ".)")) and not LEADS_IN.search(text[-40:]) and is_clean(text)


def is_clean(text: str) -> bool:
    """Whether a text holds no mark-up, no address and no stand-in for personal data."""
    return not MARKS.search(text) and not is_odd(text) and not TAG.search(text)


def is_exchange(page: Page) -> bool:
    """Whether one person answers another: a reply is marked, or somebody asks or pleads and is spoken to."""
    if page.exchange is None:
        page.exchange = _exchanges(page)
    return page.exchange


def _exchanges(page: Page) -> bool:
    if any(REPLIES.match(unit.text) for unit in page.units if unit.kind != "other"):
        return True
    if page.title and "?" not in page.title:
        return False
    return any(PLEADS[page.language].search(unit.text) or NAMED.match(unit.text) for unit in page.units)


def is_talk(page: Page) -> bool:
    """Whether people speak on a page (a forum, a ticket, a review): facts there belong to somebody's case."""
    if page.talk is None:
        page.talk = is_exchange(page) or _much_is_spoken(page)
    return page.talk


def _much_is_spoken(page: Page) -> bool:
    """Whether one sentence in eight or more is somebody's own, or the title (`Why do my leaves curl?`)."""
    sentences = [sentence for unit in page.units for sentence in unit.sentences]
    spoken = sum(bool(TALKS[page.language].search(sentence)) for sentence in sentences)
    return 0 < len(sentences) <= spoken * 8 or bool(TALKS[page.language].search(page.title))
