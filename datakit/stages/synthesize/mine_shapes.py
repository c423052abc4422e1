"""Rules that look at a text's shape, in both languages: title, headings, steps, replies, figures, words that recur.

What differs between Korean and English here is data: patterns for money, dates and measures, marks of a reply, endings
of a question. A figure is asked for only as it stands in digits, since a rule can't be sure to find numbers in words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.alone import REPLIES, TALKS, is_clean, is_exchange, is_whole, subject_of, tells
from datakit.stages.synthesize.candidates import Candidate, Rule
from datakit.stages.synthesize.cutting import may_begin, passage_with
from datakit.stages.synthesize.korean import final_of, with_particle
from datakit.stages.synthesize.passages import NUMBERED, TAG, Page, Unit, is_odd, is_plain, split_sentences, words

REPLY = {
    "ko": re.compile(
        r"^(?:\[[^\]]{0,12}(?:회신|답변|답글)\]|[└→▶]\s*(?:[가-힣 ]{0,12}(?:회신|답변|답글)\s*:?)?|(?:답변|회신|답"
        r"|A)\s*[.:)]"
        r"|[가-힣 ]{1,12}(?:답변|회신|답글)\s*:|[가-힣]{2,6} (?:답변|회신)드립니다\.)\s*"
    ),
    "en": re.compile(
        r"^(?:(?:[A-Z][\w' ]{0,20} )?(?:[Rr]eply|[Aa]nswer|[Rr]esponse)(?: (?:from [\w ]{2,20}|\d))?:|A[.:]|→)\s*"
    ),
}
RULED_OFF = re.compile(r"(?m)^[-=_*~─━ ]{3,}$")
"""A line drawn between a message and its reply."""
SEEN = {
    "ko": re.compile(r"사진|첨부|영상|캡처|스크린샷"),
    "en": re.compile(r"(?i)\b(?:photo|picture|image|screenshot|attach|video)"),
}
"""What a reply may have looked at; it must have been shown in the message."""
NAMED_FIRST = re.compile(r"^(?:[^\s:.,]{1,20} ?){1,4}: ")
ASKED_MARK = re.compile(r"^(?:Q|문|질문|Question|문의)\s*[.:)]\s*")
QUESTION_WORD = re.compile(r"왜|어떻게|무엇|뭐|뭘|언제|어디|얼마|누가|누구|어느|어떤|몇|정말|과연")
ASKS = re.compile(r"(?:나|까|까요|나요|가요|는가|은가|인가)$")
FIGURES = {
    "ko": {
        "금액": r"(?<![\d.,])\d[\d,.]*(?:\s?[십백천만억조]+(?:\s?\d[\d,]*)?)*\s?원(?![형본인리칙소고])",
        "퍼센트 값": r"(?<![\d.,])\d+(?:\.\d+)?\s?(?:%|퍼센트)",
        "날짜": r"(?:(?<!\d)\d{4}년\s)?(?<!\d)\d{1,2}월\s\d{1,2}일",
    },
    "en": {
        "sums of money": r"(?:[$£€]\s?\d[\d,]*(?:\.\d+)?(?: (?:million|billion))?"
        r"|(?<![\d.,])\d[\d,]* (?:pounds|dollars|euros|won)\b)",
        "percentages": r"(?<![\d.,])\d+(?:\.\d+)?(?:%| per ?cent\b)",
        "times of day": r"(?<![\d:])\d{1,2}:\d{2}(?![\d:])(?: ?[ap]\.?m\b)?",
    },
}
LEFT = {
    "금액": re.compile(r"[\d십백천만억]\s?원|\d,\d{3}|\d\s?[천만억]|달러|유로|엔화"),
    "퍼센트 값": re.compile(r"%|퍼센트|프로|\d할|[일이삼사오육칠팔구]할|절반|배"),
    "날짜": re.compile(r"\d일|\d월|요일|어제|오늘|내일|\d{1,2}[./]\d{1,2}"),
    "sums of money": re.compile(
        r"[$£€]|\b(?:pounds|dollars|euros|won|pence|cents|p)\b|\d,\d{3}|\b(?:million|billion)\b"
    ),
    "percentages": re.compile(r"%|per ?cent|percentage|\b(?:half|third|quarter|tenth)s?\b"),
    "times of day": re.compile(r"\d[:.]\d\d|o'clock|\b(?:noon|midnight|dawn)\b|\d ?[ap]\.?m\b"),
}
"""What must not stay in a passage once the figures found are taken out: then the list would not be complete."""
UNITS = {"십": 10, "백": 100, "천": 1000, "만": 10**4, "억": 10**8, "조": 10**12}
FIGURES_COMPILED = {lang: {name: re.compile(text) for name, text in kinds.items()} for lang, kinds in FIGURES.items()}
PERSONAL = {
    "ko": re.compile(r"(?:니다|요|죠|음|함)\.$|저는|제가|나는|내가"),
    "en": re.compile(r"\b(?:I|[Mm]y|[Ww]e|[Oo]ur|[Yy]ou|[Yy]our)\b"),
}
"""Somebody speaks: the first sentence is then a report or a plea, hardly ever a summary."""
BOUND_BEFORE = re.compile(
    r"(?:exceeds?|beyond|more than|less than|fewer than|over|under|above|below|at least|at most|up to|nearly|almost"
    r"|최소|최대|적어도"
    r"|많아야|무려)\s*\S{0,2}$",
    re.IGNORECASE,
)
BOUND_AFTER = re.compile(r"^\s?[가-힣%]{0,6}\s?(?:이상|이하|미만|초과|넘|못 미|가까|or more|or less|at most|at least)")
"""A bound: with another number the sentence could be true as well (more than 300 is more than 200)."""
DIGIT = re.compile(r"\d")
NUMBER = re.compile(r"(?<![\w.,:/+-])(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?![\d:/]|[.,-]\d|-)")
"""A number that stands by itself: no part of a code, a date, a time or a phone number."""
NO_CHANGE = re.compile(
    r"\s?(?:시|분|월|일|호|번|층|학년|am|pm|a\.m|p\.m|o'clock|January|February|March|April|May|June|July|August"
    r"|September|October|November|December)"
)
"""What follows a number that has a natural limit, so that a changed one could be absurd."""
COUNTED = re.compile(r"\s?(?:[십백천만억조]|hundred|thousand|million|billion|m\b|k\b|s\b)")
"""A number that goes on in letters: 3만, 2 million. Changing the digits alone would cut it."""
DIGITS = re.compile(r"\d[\d,.]*")
KOREAN_WORD = re.compile(r"(?<![가-힣A-Za-z0-9])[가-힣]{3,9}(?![가-힣])")
LONG_PARTICLES = frozenset({"에서", "으로"})
KOREAN_PARTICLES = LONG_PARTICLES | frozenset("은는이가을를의에로와과도")
NEEDS_FINAL = {"은": True, "는": False, "이": True, "가": False, "을": True, "를": False, "과": True, "와": False}
WORD_BEFORE, LATIN_LETTER = re.compile(r"[가-힣A-Za-z]"), re.compile(r"[A-Za-z]")
ENGLISH_WORD = re.compile(r"(?<![\w'’-])[a-z]{5,}(?![\w'’-])")
STOPWORDS = words(
    "about above after again against along among another around because before being below between cannot could doing"
    " during either every first found given goes going great having their theirs there therefore these thing things"
    " those though through today under until using which while whose within without would years still since other"
    " others often never nearly might quite rather really second should shall almost already although always where"
    " whether three seven eight later little makes making means maybe place right small takes taken taking third"
    " towards usually different several example instead itself"
)
IMPERATIVE_NO = re.compile(
    r"^(?:The|A|An|It|This|That|These|Those|He|She|They|We|I|You|There|In|On|At|Never|Some|Most|All)\b|^[A-Z][\w-]+:"
)
STEP_KO = re.compile(r"(?:세요|십시오|시오|니다|한다|[가-힣]다|기|해요)\.?[\"'”’)]*$")


HEADING_NUMBER = re.compile(r"^(?:\d+[.)]\s+|(?:제?\d+(?:단계|장|절)|Step \d+)[:.]?\s+)")
LOOSE_TITLE = re.compile(r"^(?:\[|\(|(?:Example|예제?) ?\d)|\d{4}[-./]\d|(?:[:：.]|전용)$")
"""No title: a mark, a date, a number of an example, a line that goes on."""
HOW_TO = re.compile(
    r"(?i)\bhow to\b|\bguide\b|\btips?\b|\bcare\b|\binstructions?\b|\bchecklist\b|\bsteps?\b|\bhand-?out\b|\bnotes?\b"
    r"|^(?:[A-Z][a-z]+ )?[A-Z][a-z]+ing\b|방법|하는 법|[는은] 법|요령|안내|따라|하기|[기]$|관리|세척|사용|쓰기"
    r"|순서|과정|필기|정리|강의|회차|주차|자료"
)
"""A title that promises what its first paragraph does not hold, or names the lesson that it is from."""
SAYS_NOTHING = re.compile(
    r"(?i)^(?:the )?(?:steps?|background|introduction|overview|notes?|summary|conclusion|tips|what you need"
    r"|before you (?:start|begin)"
    r"|other|more|examples?|the numbers|small things.*)$|^(?:준비물?|순서|개요|배경|들어가며|나가며|마무리|정리"
    r"|참고|기타|예시?|팁|주의|방법|결과)$"
)
LOOSE_HEADING = re.compile(r"[:：,]|\s{2,}|\t")


def title_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """A title for a text, where the title's words come from the text; a question where the title is one."""
    if not page.title or not usable_title(page.title, page.language):
        return
    passage, title = opening_prose(page, limit), page.title
    if len(passage) < (100 if page.language == "ko" else 250) or not is_clean(title) or is_how_to(title):
        return
    if covered(title, passage, page.language) < 1 or not all(number in passage for number in DIGITS.findall(title)):
        return
    yield Candidate("question" if is_question(title, page.language) else "title", passage, title, {})


def heading_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """A heading for a section."""
    for place, unit in enumerate(page.units[:-1]):
        if unit.kind != "heading":
            continue
        if not unit.level and page.units[place + 1].block == unit.block:
            continue
        heading = clean_heading(unit.text)
        if len(heading) < 4 or not usable_title(heading, page.language):
            continue
        if not unit.level and LOOSE_HEADING.search(heading):
            continue
        passage, whole = page.lead(limit, place + 1)
        long_enough = len(passage) >= (90 if page.language == "ko" else 180)
        prose = page.units[place + 1].kind == "prose" and may_begin(page, place + 1) and is_whole(passage)
        told = says_something(heading, page.language) and covered(heading, passage, page.language) >= 0.75
        if whole and long_enough and prose and told:
            yield Candidate("heading", passage, heading, {})


def summary_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """The sentence that says what a text is about: its first, where it repeats the title's words and much follows."""
    first = first_prose(page)
    if not page.title or is_question(page.title, page.language) or is_how_to(page.title):
        return
    if first >= len(page.units) or first > 0:
        return
    sentences = page.units[first].sentences
    passage = opening_prose(page, limit)
    low, shared = (25, 0.34) if page.language == "ko" else (50, 0.34)
    if sentences and PERSONAL[page.language].search(sentences[0]):
        return
    if (
        not sentences
        or not is_plain(sentences[0], page.language)
        or len(sentences[0]) < low
        or sentences[0].endswith("?")
    ):
        return
    words = _content_words(page.title, page.language)
    overlap = shared_words(page.title, sentences[0], page.language) / max(1, len(words))
    if page.language == "ko" and not subject_of(sentences[0]):
        return
    if overlap >= shared and len(passage) > 2 * len(sentences[0]):
        yield Candidate("summary", passage, sentences[0], {})


def order_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Numbered steps, shuffled, to be put in order."""
    for heading, steps in _step_lists(page):
        shuffled = list(steps)
        rng.shuffle(shuffled)
        answer = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
        listed = "\n".join(f"- {step}" for step in shuffled)
        if (
            shuffled != steps
            and len(listed) <= limit
            and not TAG.search(listed)
            and not is_odd(heading)
            and not re.search(r"https?://", listed)
        ):
            about = clean_heading(heading)
            about = about if len(about) > 4 or not page.title else f"{page.title}: {about}"
            yield Candidate("order", listed, answer, {"about": about})


def answer_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """What somebody asks, and the first reply to it: marked as one, or the second of two paragraphs of an exchange."""
    mark = REPLY[page.language]
    for place, unit in enumerate(page.units):
        found = mark.match(unit.text)
        if found and (place or page.title):
            yield from _answered(page, place, _block_after(page, place, found.end()), limit)
            return
    if not page.title and len(page.units) == 2 and page.units[1].kind == "prose" and is_exchange(page):
        yield from _answered(page, 1, NAMED_FIRST.sub("", page.units[1].text), limit)


def _answered(page: Page, place: int, reply: str, limit: int) -> Iterator[Candidate]:
    """The task, if what stands before `place` asks for something by itself and the reply is no question."""
    asked = "\n\n".join([page.title] * bool(page.title) + [page.joined(0, place)] * bool(place))
    asked = ASKED_MARK.sub("", RULED_OFF.sub("", asked)).strip()
    low = 60 if page.language == "ko" else 120
    if not _asks(asked, page.language) or TAG.search(asked):
        return
    if SEEN[page.language].search(reply) and not SEEN[page.language].search(asked):
        return
    if not any(TALKS[page.language].search(one) for one in split_sentences(asked)):
        return
    if not is_clean(reply) or REPLIES.match(reply) or "?" in reply.split("\n")[0][:60]:
        return
    fits = 30 <= len(asked) <= limit * 1.2 and low <= len(reply) <= limit * 1.5
    if fits and reply.endswith((".", "!")) and (reply[0].isupper() or page.language == "ko"):
        yield Candidate("answer", asked, reply, {})


def extract_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """All sums, percentages, dates or lengths of a passage, in order."""
    passage = opening_prose(page, limit)
    if not DIGIT.search(passage):
        return
    for name, pattern in FIGURES_COMPILED[page.language].items():
        found = list(pattern.finditer(passage))
        # `75~80%`: one figure of a range alone would be wrong, and the two have no one spelling.
        if any(passage[: one.start()].rstrip().endswith(("~", "∼", "–", "-")) for one in found):
            continue
        values = list(dict.fromkeys(one.group().strip() for one in found))
        if 2 <= len(values) <= 8 and _complete(name, pattern, passage, values):
            what = with_particle(name, "을/를") if page.language == "ko" else name
            yield Candidate("extract", passage, "\n".join(f"- {value}" for value in values), {"what": what})


def _complete(name: str, pattern: re.Pattern[str], passage: str, values: list[str]) -> bool:
    """Whether nothing else of the kind is in the passage, and no value stands there in two spellings."""
    if LEFT[name].search(pattern.sub(" ", passage)):
        return False
    return name != "금액" or len({_won(value) for value in values}) == len(values)


def _won(amount: str) -> float:
    """4만 8,148원 -> 48148."""
    total = 0.0
    for number, units in re.findall(r"(\d[\d,.]*)\s?([십백천만억조]*)", amount):
        value = float(number.replace(",", "").rstrip("."))
        for unit in units:
            value *= UNITS[unit]
        total += value
    return total


def check_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Is it so? A sentence of the passage, as it stands or with one number changed."""
    for place, inner, sentence in page.plain_sentences() if page.title else ():
        if not DIGIT.search(sentence) or sentence.endswith("?"):
            continue
        numbers = [found for found in NUMBER.finditer(sentence) if not NO_CHANGE.match(sentence, found.end())]
        if len(numbers) != 1:
            continue
        if COUNTED.match(sentence, numbers[0].end()) or not tells(sentence, page.language):
            continue
        if _content_words(page.title, page.language) and not shared_words(page.title, sentence, page.language):
            continue
        passage = passage_with(page, place, inner, limit)
        told = numbers[0].group()
        bound = BOUND_BEFORE.search(sentence[: numbers[0].start()]) or BOUND_AFTER.match(sentence[numbers[0].end() :])
        if bound or rng.random() < 0.5:
            right = "맞습니다. 글에 그렇게 나와 있습니다." if page.language == "ko" else "True. The text says so."
            yield Candidate("check", passage, right, {"sentence": sentence})
        elif (changed := _other_number(told, sentence[numbers[0].end() :], rng)) and changed not in passage:
            wrong = sentence[: numbers[0].start()] + changed + sentence[numbers[0].end() :]
            said = f"틀립니다. 글에 나온 수는 {with_particle(changed, '이/가')} 아니라 {told}입니다."
            said = said if page.language == "ko" else f"False. The number in the text is {told}, not {changed}."
            yield Candidate("check", passage, said, {"sentence": wrong})


def cloze_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """A word that the passage uses three times or more, blanked once; four to choose from."""
    count = _korean_nouns if page.language == "ko" else _english_words
    known: dict[str, tuple[Counter[str], list[str]]] = {}
    for place, inner, sentence in page.plain_sentences():
        if not inner:
            continue
        passage = passage_with(page, place, inner, limit)
        if passage not in known:
            words = count(passage)
            known[passage] = words, sorted(word for word, times in words.items() if times >= 3)
        counted, often = known[passage]
        fit = [word for word in often if sentence.count(word) == 1]
        if not fit:
            continue
        word = rng.choice(fit)
        others = sorted(w for w in counted if _alike(w, word, page.language) and w not in sentence)
        here = sentence.index(word)
        end = here + len(word)
        if len(others) < 3 or sentence not in passage or not _alone(sentence, here, end):
            continue
        choices = [word, *rng.sample(others, 3)]
        rng.shuffle(choices)
        gapped = passage.replace(sentence, sentence[:here] + "____" + sentence[end:], 1)
        answer = f"빈칸에 들어갈 말은 ‘{word}’입니다." if page.language == "ko" else f"The missing word is “{word}”."
        yield Candidate("cloze", gapped, answer, {"choices": ", ".join(choices)})


def _alone(sentence: str, start: int, end: int) -> bool:
    """Whether no letter stands before a word, and no Latin one behind it (particles may)."""
    return not (WORD_BEFORE.match(sentence, start - 1) if start else None) and not LATIN_LETTER.match(sentence, end)


def _asks(text: str, language: str) -> bool:
    """Whether somebody wants something: a question mark, or a Korean ending that asks or begs."""
    return "?" in text or (
        language == "ko" and bool(re.search(r"(?:나요|까요|가요|는지요|주세요|주십시오|바랍니다|싶습니다)", text))
    )


def clean_heading(text: str) -> str:
    """A heading without its number: `4. Building the heap`, `5단계: 되살려 보기`."""
    return HEADING_NUMBER.sub("", text).strip()


def first_prose(page: Page) -> int:
    return next((place for place, unit in enumerate(page.units) if unit.kind == "prose"), 0)


def opening_prose(page: Page, limit: int) -> str:
    """The first paragraphs that fit, without the title, "" where they can't be read alone."""
    if not page.units or page.units[0].kind != "prose" or not may_begin(page, 0):
        return ""
    taken = 0
    while taken < len(page.units) and page.units[taken].kind == "prose":
        if len(page.joined(0, taken + 1)) > limit or not is_clean(page.units[taken].text):
            break
        taken += 1
    text = page.joined(0, taken) if taken else page.lead(limit)[0]
    return text if is_whole(text) else ""


def is_how_to(title: str) -> bool:
    """Whether a title promises instructions or names a lesson."""
    return bool(HOW_TO.search(title))


def says_something(heading: str, language: str) -> bool:
    """Whether a heading says what its section is about."""
    return len(heading) >= (2 if language == "ko" else 4) and not SAYS_NOTHING.match(heading)


def covered(title: str, text: str, language: str) -> float:
    """The share of a title's content words that a text holds."""
    wanted = _content_words(title, language)
    return shared_words(title, text, language) / len(wanted) if wanted else 0.0


def usable_title(title: str, language: str) -> bool:
    words = title.split()
    low = 2 if language == "en" else 1
    return low <= len(words) <= 14 and not LOOSE_TITLE.search(title) and not is_odd(title)


def is_question(title: str, language: str) -> bool:
    if language == "en":
        return title.endswith("?")
    asks = bool(ASKS.search(title.rstrip("?")))
    return asks and (title.endswith("?") or bool(QUESTION_WORD.search(title)))


def _content_words(text: str, language: str) -> set[str]:
    """Words that carry meaning, cut to their beginnings so that Korean particles and English endings don't matter."""
    if language == "ko":
        return {word[:2] for word in re.findall(r"[가-힣]{2,}|[A-Za-z0-9]{2,}", text)}
    return {word[:5] for word in re.findall(r"[a-z0-9]{4,}", text.lower()) if word not in STOPWORDS}


def shared_words(title: str, text: str, language: str) -> int:
    lowered = text.lower()
    return sum(word.lower() in lowered for word in _content_words(title, language))


def _step_lists(page: Page) -> Iterator[tuple[str, list[str]]]:
    heading = page.title
    steps: list[str] = []
    for unit in [*page.units, Unit("other", "", -1)]:
        item = NUMBERED.match(unit.text) if unit.kind == "list" else None
        if item and int(item[1]) == len(steps) + 1:
            steps.append(item[2].replace("**", "").replace("*", ""))
            continue
        if 3 <= len(steps) <= 8 and heading and _are_steps(steps, page.language):
            yield heading, steps
        steps = [item[2]] if item and int(item[1]) == 1 else []
        heading = unit.text if unit.kind == "heading" else heading


def _are_steps(steps: list[str], language: str) -> bool:
    if any(not 6 <= len(step) <= 220 for step in steps):
        return False
    if language == "ko":
        return all(STEP_KO.search(step) for step in steps)
    return all(step[0].isupper() for step in steps) and sum(bool(IMPERATIVE_NO.match(step)) for step in steps) == 0


def _block_after(page: Page, place: int, cut: int) -> str:
    """The text of a reply: what follows the mark in its block, or the next block if the mark stands alone."""
    block = page.units[place].block
    rest = page.units[place].text[cut:].strip()
    if not rest and place + 1 < len(page.units):
        block = page.units[place + 1].block
    following = [unit for unit in page.units[place + 1 :] if unit.block == block]
    parts = [rest] * bool(rest) + [unit.text for unit in following if unit.kind in ("prose", "list")]
    return "\n".join(parts)


def _other_number(told: str, after: str, rng: Random) -> str | None:
    """Another number in the same spelling: a year some years off, others a third to twice as large, never equal."""
    value = float(told.replace(",", ""))
    percent = bool(re.match(r"\s?(?:%|퍼센트|per ?cent)", after))
    if value < 2 or (percent and value >= 100):
        return None
    if re.fullmatch(r"1[0-9]\d\d|20\d\d", told):
        return str(int(told) - rng.randint(3, 40))
    if "." in told:
        return f"{value + rng.randint(1, 3):.{len(told.split('.')[1])}f}"
    factor = rng.choice((0.5, 0.7, 1.5, 2.0)) if not (percent and value > 45) else 0.5
    changed = max(2, round(value * factor))
    changed = changed + 1 if changed == value else changed
    return f"{changed:,}" if "," in told else str(changed)


def _korean_nouns(passage: str) -> Counter[str]:
    """Stems that stand before at least two different particles, which verbs don't, with how often they stand so."""
    times: Counter[tuple[str, str]] = Counter()
    for word in KOREAN_WORD.findall(passage):
        particle = word[-2:] if word[-2:] in LONG_PARTICLES else word[-1]
        if particle in KOREAN_PARTICLES and len(word) >= len(particle) + 2:
            times[word[: -len(particle)], particle] += 1
    found: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for (stem, particle), count in times.items():
        needed = NEEDS_FINAL.get(particle)
        if needed is None or needed == bool(final_of(stem)):
            found[stem] += count
            kinds[stem] += 1
    return Counter({stem: count for stem, count in found.items() if kinds[stem] >= 2})


def _english_words(passage: str) -> Counter[str]:
    return Counter(word for word in ENGLISH_WORD.findall(passage) if word not in STOPWORDS and not word.endswith("ly"))


def _alike(word: str, other: str, language: str) -> bool:
    """Whether a choice can't be ruled out by its form alone."""
    if word == other or word in other or other in word:
        return False
    if language == "ko":
        return bool(final_of(word)) == bool(final_of(other))
    return word[-1:] == other[-1:] or (word.endswith("s") == other.endswith("s") and word[-2:] not in ("ed", "ng"))


RULES: dict[str, Rule] = {
    "title": title_task, "question": title_task, "heading": heading_task, "summary": summary_task, "order": order_task,
    "answer": answer_task, "extract": extract_task, "check": check_task, "cloze": cloze_task,
}  # fmt: skip
