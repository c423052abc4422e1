"""Rules that turn Korean sentences into questions: definitions, reasons, results, examples, connectives, years.

Each rule builds its answer from the sentence's own words with an ending that is grammatical whatever the verb was
(`…기 때문입니다`, `…입니다` after a noun phrase), so that no verb has to be conjugated. Sentences that begin with
이/그/이런 … point outside themselves and are passed over. Precision comes first: a rule that is unsure says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.alone import tells
from datakit.stages.synthesize.candidates import Candidate
from datakit.stages.synthesize.cutting import passage_with
from datakit.stages.synthesize.korean import final_of, with_particle
from datakit.stages.synthesize.passages import Page, unquoted, words

POINTING = words(
    "이 그 저 이것 그것 이는 그는 이를 그를 이것은 그것은 이런 그런 저런 이러한 그러한 이때 그때 여기 여기서 거기"
    " 이곳 그곳"
    " 그래도 이들 그들 이들은 그들은 우리 우리는 저희 저희는 나 나는 내가 제가 저는 그녀 이처럼 이렇게 그렇게 이와"
    " 그와 이에 여기에 둘 둘은 관련 해당 위의 앞의 이번 다음의"
)
"""Words that point outside a sentence, or to whoever speaks."""
OPENING = re.compile(
    r"^(?:그러나|하지만|그렇지만|그런데|그리고|또한|또|다만|그래서|따라서|그러므로|특히|게다가|더구나|즉|결국|한편|반면|물론|실제로|사실)"
    r"(?:,\s*|\s+)"
)
CLAUSE_BREAK = re.compile(r"(?:고|며|지만|으나|는데|은데|면서|반면|거나),|,")
DEFINING = (
    "말한다.", "뜻한다.", "가리킨다.", "의미한다.", "일컫는다.", "말합니다.", "뜻합니다.", "가리킵니다.", "의미합니다.",
)  # fmt: skip
CALLING = ("한다.", "부른다.", "합니다.", "부릅니다.", "일컫는다.")
"""Ends of the sentences that the patterns below are tried on: trying them costs, and few fit."""
DEFINED = re.compile(
    r"^(?P<term>[^,]{2,20}?)(?P<mark>이란|란|은|는) (?P<body>[^,].*?)(?:을|를) (?P<verb>말한다|뜻한다|가리킨다"
    r"|의미한다|일컫는다|말합니다|뜻합니다|가리킵니다|의미합니다)\.$"
)
DEFINED_IS = re.compile(r"^(?P<term>[^,]{2,20}?)(?:이란|란) .{8,}다\.$")
CALLED = re.compile(
    r"^(?P<body>.{6,90})(?P<object>을|를|은|는) (?P<term>[^,]{2,20}?)(?:이라고|라고|이라) (?:한다|부른다|합니다"
    r"|부릅니다|일컫는다)\.$"
)
IS_NOUN = re.compile(r"(?:이다|입니다)\.$")
NOT_NOUN = re.compile(r"(?:때문|것|편|뿐|중|법|셈|참|만큼|정도|탓|덕분|이상|이하|마찬가지)(?:이다|입니다)\.$")
FALSE_RAN = words("커다 기다 널따 논 혼 반 요 찬 피 계 토 호 파 노 바 자 놀 모 소")
"""What stands before 란 in words that are no topic: 커다란, 논란, 계란, 바란, 모란."""
BECAUSE = re.compile(r"^(?P<cause>[^,]{4,80}) 때문에,? (?P<fact>.{8,110}[.])$")
BECAUSE_END = re.compile(r"^(?P<cause>.{6,120}) 때문(?:이다|입니다|이에요|이었다|이었습니다)\.$")
WHY_TOPIC = re.compile(r"^(?P<fact>.{4,60}?[은는인한던된운]) (?:것은|이유는|까닭은) (?P<cause>.{6,120})$")
SINCE = re.compile(r"^(?P<cause>[^,]{6,80}므로),? (?P<fact>.{8,110}[.])$")
RESULT = re.compile(r"^(?:(?:따라서|그러므로|그래서),?|그 결과,|이에 따라,?) (?P<rest>.{10,})$")
EXAMPLE = re.compile(r"^(?:예를 들어|예를 들면|예컨대|가령),? (?P<rest>.{10,})$")
RESTATE = re.compile(r"^(?:즉|다시 말해서?|다시 말하면),? (?P<rest>.{10,})$")
CONNECTIVES = {
    "그러나": "contrast", "하지만": "contrast", "그렇지만": "contrast", "반면": "contrast", "따라서": "result",
    "그러므로": "result", "그래서": "result", "예를 들어": "example", "예컨대": "example",
}  # fmt: skip
CONNECTIVE = re.compile(rf"({'|'.join(CONNECTIVES)})(?=[ ,])")
STANDARD = {"contrast": "그러나", "result": "따라서", "example": "예를 들어"}
BECAUSE_OF_KIND = {
    "contrast": "앞뒤 문장의 내용이 서로 맞서기 때문입니다.",
    "result": "앞 문장이 뒤 문장의 원인이나 근거가 되기 때문입니다.",
    "example": "뒤 문장이 앞 문장의 내용을 보여 주는 예이기 때문입니다.",
}
SUBJECT = re.compile(
    r" (?!\S*(?:않|있|없|하|되|같|많|좋|높|낮|보|주|쓰|오)[은는] |(?:것|수|데|줄|때)[은는이가] )"
    r"[가-힣A-Za-z0-9]+(?:은|는|이|가|도)(?= )"
)
"""A word that may be a topic or subject, with a word after it."""
TOPIC = re.compile(r"(?!.*(?:에는|에서는|으로는|에게는|하는|되는|있는|없는)$)[가-힣A-Za-z0-9]{1,12}(?:은|는)")
YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d{2})년(?=에|,| |부터|까지)")
PAST = re.compile(r"(?:[았었였했됐렸났졌갔왔겼켰렀섰냈썼랐쳤] ?다|[았었였했됐렸났졌갔왔겼켰렀섰냈썼랐쳤]습니다)\.$")


def sentence_tasks(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Candidates from single sentences and from neighbouring ones."""
    for place, inner, sentence in page.plain_sentences():
        unit = page.units[place]
        before = unit.sentences[inner - 1] if inner and unit.plain("ko")[inner - 1] else ""
        for task, fields, answer in _from_sentence(page, sentence, before, place == 0 and inner == 0):
            yield Candidate(task, passage_with(page, place, inner, limit), answer, fields)
        if before and (word := CONNECTIVE.match(sentence)):
            yield from _choose_connective(passage_with(page, place, inner, limit), before, sentence, word[1], rng)
        if (year := _only_year(sentence)) and unquoted(sentence) and tells(sentence, "ko"):
            blank = sentence.replace(f"{year}년", "____년", 1)
            yield Candidate("when", passage_with(page, place, inner, limit), f"{year}년입니다.", {"sentence": blank})


def _from_sentence(page: Page, sentence: str, before: str, first: bool) -> Iterator[tuple[str, dict[str, str], str]]:
    plain = OPENING.sub("", sentence)
    if unquoted(plain):
        yield from _definitions(page, plain, first)
        yield from _reasons(plain, before)
    if not _tells(before):
        return
    for task, pattern in (("result", RESULT), ("example", EXAMPLE), ("restate", RESTATE)):
        if found := pattern.match(sentence):
            yield task, {"sentence": OPENING.sub("", before)}, found["rest"]


def _definitions(page: Page, sentence: str, first: bool) -> Iterator[tuple[str, dict[str, str], str]]:
    if sentence.endswith("?") or _points(sentence):
        return
    found = DEFINED.match(sentence) if sentence.endswith(DEFINING) else None
    found = found or (DEFINED_IS.match(sentence) if "란 " in sentence else None)
    if found and _is_term(found["term"]) and _defines(found):
        yield "definition", {"term": with_particle(found["term"], "이란/란")}, sentence
    elif first and page.title and IS_NOUN.search(sentence) and not NOT_NOUN.search(sentence):
        for mark in ("은 ", "는 ", "이란 ", "란 "):
            if sentence.startswith(page.title + mark) and _is_term(page.title):
                yield "definition", {"term": with_particle(page.title, "이란/란")}, sentence
    if (
        sentence.endswith(CALLING)
        and (called := CALLED.match(sentence))
        and _is_term(called["term"])
        and _is_noun_phrase(called)
    ):
        body, term = called["body"], called["term"]
        yield "definition", {"term": with_particle(term, "이란/란")}, f"{with_particle(term, '은/는')} {body}입니다."
        yield "term", {"body": with_particle(body, "을/를")}, f"{with_particle(term, '이라고/라고')} 합니다."


def _defines(found: re.Match[str]) -> bool:
    """`X란 …` always defines; `X는 … 을 말한다` does if the term is plain and the particle is really one."""
    if found.re is DEFINED_IS or found["mark"] in ("란", "이란"):
        return True
    fits = (found["mark"] == "은") == bool(final_of(found["term"]))
    telling = found["verb"] in ("말한다", "뜻한다", "일컫는다", "말합니다", "뜻합니다")
    return fits and telling and len(found["term"].split()) <= 2 and not _is_clause(found["body"])


def _reasons(sentence: str, before: str) -> Iterator[tuple[str, dict[str, str], str]]:
    if ("때문" not in sentence and "므로" not in sentence) or sentence.count("때문") > 1:
        return
    if found := BECAUSE_END.match(sentence):
        cause, topic = found["cause"], WHY_TOPIC.match(found["cause"])
        if cause.endswith((" 이", " 그")):
            return
        if topic and not _points(topic["fact"]) and "," not in topic["fact"]:
            yield "reason", {"fact": f"{topic['fact']} 이유"}, f"{topic['cause']} 때문입니다."
        elif not topic and _tells(before) and not _breaks(cause):
            yield "reason", {"sentence": OPENING.sub("", before)}, f"{_without_topic(cause)} 때문입니다."
    elif found := BECAUSE.match(sentence):
        cause, fact = found["cause"], found["fact"]
        if not _breaks(cause) and not _breaks(fact) and not _points(cause) and " 때문" not in fact:
            yield from _reason_of(cause, fact, f"{cause} 때문입니다.")
    elif found := SINCE.match(sentence):
        cause, fact = found["cause"], found["fact"]
        if not _breaks(cause) and not _breaks(fact) and not _points(cause) and not cause.endswith("탓이므로"):
            yield from _reason_of(cause, fact, f"{_nominal(cause)} 때문입니다.")
    if sentence.startswith(("이 때문에 ", "그 때문에 ")) and _tells(before):
        yield "reason", {"sentence": sentence[len("이 때문에 ") :]}, OPENING.sub("", before)


def _reason_of(cause: str, fact: str, answer: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """`달은 가까이 있기 때문에 바닷물을 당긴다`: a fact without a subject takes the cause's topic, or is none."""
    first = cause.split(" ", 1)[0]
    if OPENING.match(f"{first[:3]} ") or first.startswith(("그러나", "하지만", "따라서", "그래서")):
        return
    if not SUBJECT.search(f" {fact}"):
        if not TOPIC.fullmatch(first):
            return
        fact = f"{first} {fact}"
    if len(fact.split()) >= 3:
        yield "reason", {"sentence": fact}, answer


def _nominal(cause: str) -> str:
    """나가므로 -> 나가기, 있으므로 -> 있기, 모으므로 -> 모으기: 으 goes after a consonant only."""
    stem = cause.removesuffix("므로")
    if stem.endswith("으") and len(stem) > 1 and final_of(stem[:-1]):
        stem = stem[:-1]
    return stem + "기"


def _without_topic(cause: str) -> str:
    """그것은 비가 왔기 -> 비가 왔기: a pointing topic says nothing in an answer."""
    first, _, rest = cause.partition(" ")
    return rest if first in POINTING and rest else cause


def _is_clause(body: str) -> bool:
    return bool(CLAUSE_BREAK.search(body)) or len(body) < 8


def _is_term(term: str) -> bool:
    parts = term.split()
    if (
        not 1 <= len(parts) <= 3
        or "때문" in term
        or len(term) < 2
        or parts[0] in POINTING
        or parts[-1] in FALSE_RAN
        or term in FALSE_RAN
    ):
        return False
    if any(mark in term for mark in "()[]·:;!?'\"‘’“”0123456789"):
        return False
    # An adverb, a particle or an ending at the end: 흔히, 아니, 것, 무엇; a subject before the term: "사람이 흔히".
    return not re.search(r"(?:히|아니|것|무엇|뭐|게|서|고|면|까지|부터|에|에서)$", term) and not any(
        re.search(r"(?:은|는|을|를|에|에서|으로)$", part) for part in parts[:-1] if len(part) > 2
    )


def _is_noun_phrase(called: re.Match[str]) -> bool:
    """Whether the body of `… 을 X라고 한다` is a noun phrase by itself: no topic, no pointer, no break."""
    body, parts, term = called["body"], called["body"].split(), called["term"].split()
    # `공정한 동전이라고 한다` is what somebody says, not what a thing is called.
    if len(term) > 2 or (len(term) == 2 and re.search(r"(?:며|고|서|면|한|은|는|인|된|운|로|적)$", term[0])):
        return False
    if _breaks(body) or len(parts) < 2 or any(part in POINTING for part in parts):
        return False
    if called["object"] in ("은", "는"):
        return parts[-1] == "것" or parts[-1].endswith("것")
    if parts[-1].endswith(("은", "는", "을", "를", "에", "게")) or re.search(r"(?:만|도|까지)$", parts[-1]):
        return False
    return not re.search(r"(?:은|는)$", parts[0]) and not any(
        re.search(r"(?:에서는|에는|들은|으로는|로는|라는 것)$", part) for part in parts
    )


def _breaks(text: str) -> bool:
    return bool(CLAUSE_BREAK.search(text))


def _points(sentence: str) -> bool:
    first = sentence.split(" ", 1)[0]
    return first in POINTING or first.endswith("이란")


def _tells(before: str) -> bool:
    """Whether the sentence before can be quoted: there, without quotation marks, and no question."""
    return bool(before) and unquoted(before) and not before.endswith(("?", "까."))


def _choose_connective(passage: str, before: str, sentence: str, word: str, rng: Random) -> Iterator[Candidate]:
    """The passage with a gap where the connective was, and three to choose from, of which one kind fits."""
    if sentence not in passage or before not in passage:
        return
    kind = CONNECTIVES[word]
    choices = [word, *(STANDARD[other] for other in STANDARD if other != kind)]
    rng.shuffle(choices)
    gapped = passage.replace(sentence, "(      )" + sentence[len(word) :], 1)
    answer = f"알맞은 말은 ‘{word}’입니다. {BECAUSE_OF_KIND[kind]}"
    yield Candidate("connective", gapped, answer, {"choices": ", ".join(choices)})


def _only_year(sentence: str) -> str | None:
    years = YEAR.findall(sentence) if "년" in sentence else []
    return years[0] if len(years) == 1 and len(re.findall(r"\d+년", sentence)) == 1 and PAST.search(sentence) else None
