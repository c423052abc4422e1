"""Sums that are done again: `a op b … = c` in an answer, in exact fractions.

Only what can be nothing else is done again: plain numbers with + - × ÷ and brackets, an equals sign, a plain number.
Not within a longer formula (`2x + 3 = 7`, `2^3 = 8`), not with a remainder or modulus, not where the sentence says
that the sum is wrong, not where the sum stands in the question. A result may be rounded to the digits that it shows,
or cut off there.
In the 7,473 answers of GSM8K 20 rows are found; read one by one, all 20 are wrong as they are written.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_SIGN = r"[+\-−–*×÷·^/]"
_ONE = rf"(?:[$£€₩]\s?)?(?:{_NUMBER})"
_OPERATOR = r"\s*(?:[+\-−–*×÷·]|/(?!/)|(?<=\s)x(?=\s))\s*"
SUM = re.compile(
    rf"(?P<left>\(*{_ONE}(?:{_OPERATOR}\(*{_ONE}\)*)+)\s*=\s*(?P<right>[$£€₩]?\s?-?(?:{_NUMBER}))(?P<percent>\s?%)?"
)
JOINED_BEFORE = re.compile(rf"(?:[\w.,:=(%√$£€₩]|{_SIGN}|(?:{_SIGN}|[(%√=xX]|\d,?|\b(?:and|day))\s)$")
"""Before a sum: it is the rest of a longer one, of a mixed number (`1 1/2`), of a time of day."""
JOINED_AFTER = re.compile(
    rf"(?:[\w.,]*\d|\s\d|\s*{_SIGN}(?!\s?[A-Za-z가-힣]{{2}})|\s[x×]\s|\s*[A-Za-z]\s*[+\-*/=^]"
    r"|\s?(?:\(?mod|[Rr]\b|r\.|remainder|나머지|\.\.\.|…|cents?\b|¢|센트|halves|thirds|quarters|[백천만억조]))"
)
"""Behind a result: it goes on, has a remainder, or is in another unit than the sum."""
DOUBT = re.compile(
    r"(?i)\b(?:wrong|incorrect|false|not|mistake|error|instead|isn['’]t|mod|modulo|base|binary|hex|matrix"
    r"|approximat\w*|about|roughly|hundred|thousand|million|billion|dozen)\b"
    r"|틀리|틀린|틀렸|오답|잘못|아니|이진|진법|나머지|약\s|대략|≈|≒|~"
)
"""In the line of a sum: it may rightly come out otherwise."""
PADDED = re.compile(r"(?<![\d.,])0\d")
TOKEN = re.compile(rf"{_NUMBER}|[-+*/()]")
SAME = str.maketrans({"−": "-", "–": "-", "×": "*", "x": "*", "·": "*", "÷": "/", "$": "", "£": "", "€": "", "₩": ""})
LONGEST = 20_000
"""Answers are looked at up to this many characters."""


def wrong_sum(asked: str, output: str) -> str:
    """What the first wrong sum of an answer comes to, "" if all are right."""
    for found in SUM.finditer(output[:LONGEST]):
        value = value_of(found["left"]) if _stands_alone(found) and found[0] not in asked else None
        if value is not None and not _shows(value, found["right"], bool(found["percent"])):
            return _spelled(value)
    return ""


def _stands_alone(found: re.Match[str]) -> bool:
    """Whether a sum is no part of something else, and the line around it doesn't doubt it."""
    text, start, end = found.string, found.start(), found.end()
    if JOINED_BEFORE.search(text[max(0, start - 6) : start]) or JOINED_AFTER.match(text, end):
        return False
    # `500 / 2/5` means a fraction to people and two divisions to a rule; `0900 - 0130` is the time of day.
    if found["left"].count("/") > 1 or PADDED.search(found[0]):
        return False
    line_end = text.find("\n", end)
    return not DOUBT.search(text, text.rfind("\n", 0, start) + 1, len(text) if line_end < 0 else line_end)


def value_of(sum_: str) -> Fraction | None:
    """The value of a sum, None if it has none (division by nothing, brackets that don't close)."""
    tokens = TOKEN.findall(sum_.translate(SAME))
    try:
        value, rest = _added(tokens, 0)
    except (ZeroDivisionError, IndexError, ValueError):
        return None
    return value if rest == len(tokens) else None


def _added(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _multiplied(tokens, at)
    while at < len(tokens) and tokens[at] in "+-":
        more, after = _multiplied(tokens, at + 1)
        value, at = (value + more if tokens[at] == "+" else value - more), after
    return value, at


def _multiplied(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _single(tokens, at)
    while at < len(tokens) and tokens[at] in "*/":
        more, after = _single(tokens, at + 1)
        value, at = (value * more if tokens[at] == "*" else value / more), after
    return value, at


def _single(tokens: list[str], at: int) -> tuple[Fraction, int]:
    if tokens[at] == "(":
        value, at = _added(tokens, at + 1)
        if tokens[at] != ")":
            raise ValueError(tokens[at])
        return value, at + 1
    return Fraction(tokens[at].replace(",", "")), at + 1


def _shows(value: Fraction, shown: str, percent: bool) -> bool:
    """Whether a shown number is the value: exactly, rounded or cut to the digits shown, or as a percentage."""
    bare = re.sub(r"[$£€₩\s,]", "", shown)
    told, unit = Fraction(bare), Fraction(1, 10 ** len(bare.partition(".")[2]))
    asked = (value, value * 100) if percent else (value,)
    whole = "." not in bare
    return any(one == told or (abs(one - told) < unit and (not whole or one.denominator != 1)) for one in asked)


def _spelled(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
