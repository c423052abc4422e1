"""Does an answer say what a text says? Evidence found in the text, numbers and names in it, most of the words too.

Compared after folding, so that a teacher may change spacing, case, punctuation and compatibility forms, which it does
most in Korean, and nothing else:

    "제 1회 모임은,\n 3월에"  ->  "제1회모임은3월에"

Numbers are compared by value: 35,000 is 3만 5천 and 3.0 is 3; small ones may stand as words (세 개, three). Names are
what can be told apart without a model: Latin words in a Korean answer, capitalised words inside an English sentence,
and whatever stands in quotation marks. The rest is a share: of the answer's content words those whose beginning stands
in the text (Korean words change their endings, so two syllables are compared, the second without its final; of English ones five
letters).
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

LEAST_EVIDENCE = 6
"""Folded characters of evidence; a shorter stretch is found in any text."""
UNITS = {"조": 10**12, "억": 10**8, "만": 10**4, "천": 10**3, "백": 100}
PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
PART = re.compile(rf"({PLAIN})(?:\s?([조억만천백]+))?")
EXPRESSION = re.compile(rf"{PLAIN}(?:\s?[조억만천백]+(?:\s?{PLAIN}\s?[조억만천백]+)*(?:\s?{PLAIN})?)?")
LIST_MARK = re.compile(r"(?m)^\s*(?:\(?\d{1,2}[.)]|[-*•])\s+")
NATIVE = {
    1: "한|하나", 2: "두|둘", 3: "세|셋|석|서", 4: "네|넷|넉|너", 5: "다섯|닷", 6: "여섯|엿", 7: "일곱|이레", 8: "여덟",
    9: "아홉", 10: "열|열흘", 11: "열한|열하나", 12: "열두|열둘", 20: "스무|스물",
}  # fmt: skip
SINO = {
    1: "일",
    2: "이",
    3: "삼",
    4: "사",
    5: "오",
    6: "육",
    7: "칠",
    8: "팔",
    9: "구",
    10: "십",
    11: "십일",
    12: "십이",
}
WORDS = {
    1: "one|once|single", 2: "two|twice|both|second", 3: "three|third", 4: "four", 5: "five", 6: "six", 7: "seven",
    8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve|dozen", 20: "twenty",
}  # fmt: skip
COUNTED = "개|명|번|시|가지|달|살|잔|병|권|장|마리|곳|군데|대|사람|줄|쪽|그릇|채|배|차례|해|주|분|조각|숟|큰술|작은술|컵|봉지|송이|켤레|벌|자루|끼|편|곡|방울|통|판|알|모|단|쌍|차|째|층|갈래|문장|글자|칸|자리|학기|회|도막"  # fmt: skip
SINO_COUNTED = "개월|년|월|일|층|번|분|초|원|회|차|주|점|등|학년|인분|단계|호|급|대|부"
LATIN = re.compile(r"[A-Za-z][A-Za-z0-9'’-]*[A-Za-z0-9]|[A-Z]")
HANGUL = re.compile(r"[가-힣]{2,}")
QUOTED = re.compile(r"[\"“‘「『]([^\"”’」』\n]{2,80})[\"”’」』]")
SENTENCE_START = re.compile(r"(?:^|[.!?:;\n]\s*|[\"“‘(]\s*)$")
EVERYDAY_KO = ("있", "없", "하", "되", "됩", "합", "입", "때문", "그래", "그리", "따라", "위해", "경우", "그것", "이것", "아니", "않", "같", "대한", "통해", "이며", "이고")  # fmt: skip
_EVERYDAY_EN = """
about after again also although because been before being between both could does doing down during each either every
from further have having here himself however into itself just like made make makes many more most much must once only
other over same should since some such than that their them then there these they this those through under until upon
used using very were what when where whether which while whose will with within without would your
"""
EVERYDAY_EN = frozenset(_EVERYDAY_EN.split())


def folded(text: str) -> str:
    """Letters and digits alone, in compatibility form and lower case."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def is_quoted(evidence: str, text: str) -> bool:
    """Whether a stretch of text stands in `text`, and is long enough to prove something."""
    needle = folded(evidence)
    return len(needle) >= LEAST_EVIDENCE and needle in folded(text)


def strange_number(answer: str, text: str) -> str | None:
    """The first number of an answer that the text does not hold, None if it holds all."""
    known, words = _values(text), unicodedata.normalize("NFC", text).casefold()
    for whole, parts in _expressions(LIST_MARK.sub("", answer)):
        if whole in known or known.issuperset(parts) or _as_word(whole, words):
            continue
        return format(whole, "f")
    return None


def numbers(text: str) -> list[Decimal]:
    """The numbers of a text by value, in order."""
    return [whole for whole, _ in _expressions(text)]


def strange_name(answer: str, text: str) -> str | None:
    """The first name or quotation of an answer that the text does not hold, None if it holds all."""
    whole = folded(text)
    for name in _names(answer):
        if folded(name) and folded(name) not in whole:
            return name
    return None


def support(answer: str, text: str, question: str = "") -> float:
    """The share of an answer's content words that the text (or the question) has, 1.0 if there are none to compare."""
    held = unicodedata.normalize("NFD", folded(text) + " " + folded(question))
    words = [_stem(word) for word in HANGUL.findall(answer) if not word.startswith(EVERYDAY_KO)]
    words += [word.casefold()[:5] for word in re.findall(r"[A-Za-z]{4,}", answer) if word.casefold() not in EVERYDAY_EN]
    return sum(word in held for word in words) / len(words) if words else 1.0


def _stem(word: str) -> str:
    """The first syllable and the second without its final consonant, which an ending may change (못한다, 못합니다)."""
    return unicodedata.normalize("NFD", word[0]) + unicodedata.normalize("NFD", word[1])[:2]


def ungrounded(answer: str, text: str, question: str, least: float) -> str | None:
    """The rule by which an answer is not what the text says, None if it is."""
    if strange_number(answer, text + "\n" + question):
        return "strange_number"
    if strange_name(answer, text + "\n" + question):
        return "strange_name"
    return "unsupported" if support(answer, text, question) < least else None


def _names(answer: str) -> Iterator[str]:
    yield from (mark[1] for mark in QUOTED.finditer(answer))
    korean = bool(HANGUL.search(answer))
    for word in LATIN.finditer(answer):
        if korean or (word[0][0].isupper() and not SENTENCE_START.search(answer[: word.start()])):
            yield word[0].removesuffix("'s").removesuffix("’s")


def _values(text: str) -> set[Decimal]:
    """Every number of a text by value, its parts too: `3만 5천` is 35000, and holds 30000 and 5000."""
    return {value for whole, parts in _expressions(text) for value in (whole, *parts)}


def _expressions(text: str) -> Iterator[tuple[Decimal, list[Decimal]]]:
    """Each number as it is written: its value, and those of its parts."""
    for found in EXPRESSION.finditer(unicodedata.normalize("NFKC", text)):
        parts = [Decimal(part[1].replace(",", "")) * _unit(part[2] or "") for part in PART.finditer(found[0])]
        yield sum(parts, Decimal(0)), parts


def _unit(marks: str) -> int:
    product = 1
    for mark in marks:
        product *= UNITS[mark]
    return product


def _as_word(value: Decimal, text: str) -> bool:
    """Whether a small number stands in a text as a word: `세 개`, `삼 년`, `three`."""
    number = int(value)
    if value != number or number not in NATIVE:
        return False
    sino = SINO.get(number)
    found = (
        rf"(?<![가-힣])(?:{NATIVE[number]})\s?(?:{COUNTED})" + (rf"|(?<![가-힣]){sino}\s?(?:{SINO_COUNTED})" if sino else "")
        + rf"|(?<![가-힣])(?:{NATIVE[number]})(?![가-힣])|\b(?:{WORDS[number]})\b"
    )  # fmt: skip
    return bool(re.search(found, text))
