"""Rules that an answer keeps or breaks, told by code alone, in Korean as in English (the idea is IFEval's,
arXiv:2311.07911; rules and prompts are the project's own).

    sentences words characters lines paragraphs items    N, or [least, most] (null: no limit)
    contains omits                                        words: English ones whole; Korean ones at the start of an
                                                          eojeol or behind another script, whatever particle follows
    starts_with ends_with                                 a text
    json                                                  keys that the JSON object has; []: any JSON value
    language                                              ko or en
    without                                               latin, hangul, digits, commas
    case                                                  upper or lower (of Latin letters)
    speech                                                polite (해요체, 합쇼체) or plain (해라체), every sentence
    chooses                                               the answer is one of these and nothing else

`words` are what white space parts: in Korean, eojeol. `characters` counts syllables, spaces too, also of decomposed
Korean. White space around an answer never counts. An empty answer breaks every rule.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datakit.stages.synthesize.passages import language_of, split_sentences

ITEM = re.compile(r"^\s*(?:(?:[-*+•·▪◦–]|\(?\d{1,3}[.)]|[가나다라마바사아자차카타파하][.)])\s+|[①-⑳]\s*)(?=\S)")
FENCE = re.compile(r"\A```\w*\n(.*?)\n?```\Z", re.DOTALL)
SCRIPTS = {
    "latin": re.compile(r"[A-Za-zＡ-Ｚａ-ｚ]"),
    "hangul": re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"),
    "digits": re.compile(r"\d"),
    "commas": re.compile(r"[,，、﹐]"),
}
NOT_HANGUL_AT_END = re.compile(r"[^가-힣]+\Z")
ENDS_IN_YO = re.compile(r"(?:불?필|중|주|개|수|강|소|동|민)요\Z")
"""Nouns, where they stand alone: 필요, 중요, 개요, 수요 ... are no 해요체."""
BIEUP = 17
"""Number of the final ㅂ in a Hangul syllable."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by what it takes and when a text keeps it."""

    takes: str
    """What its argument must be, for people."""
    fits: Callable[[Any], bool]
    keeps: Callable[[str, Any], bool]


def broken(answer: str, rules: Mapping[str, Any]) -> list[str]:
    """Names of the rules that an answer breaks, in their order."""
    text = unicodedata.normalize("NFC", answer).strip()
    return [name for name, argument in rules.items() if not text or not RULES[name].keeps(text, argument)]


def sentences(text: str) -> list[str]:
    """The sentences of a text; every line ends one, marks of lists are no part of them."""
    lines = [ITEM.sub("", line).strip() for line in text.splitlines()]
    return [sentence for line in lines if line for sentence in split_sentences(line)]


def has_word(text: str, word: str) -> bool:
    """Whether a word stands in a text."""
    word = unicodedata.normalize("NFC", word)
    before, after = _border(word[0]), _border(word[-1]) if word[-1].isascii() else ""
    pattern = (f"(?<!{before})" if before else "") + re.escape(word) + (f"(?!{after})" if after else "")
    return re.search(pattern, text, re.IGNORECASE) is not None


def _border(letter: str) -> str:
    """The letters that, next to a letter of a word, make it another word."""
    if "가" <= letter <= "힣":
        return "[가-힣]"
    return r"\d" if letter.isdigit() else "[A-Za-z]" if letter.isascii() and letter.isalpha() else ""


def is_json(text: str, keys: Sequence[str]) -> bool:
    """Whether a text is JSON and nothing else (in a code fence at most), with some keys."""
    inside = FENCE.match(text)
    try:
        value = json.loads(inside[1] if inside else text)
    except (ValueError, RecursionError):
        return False
    return not keys or (isinstance(value, dict) and all(key in value for key in keys))


def is_cased(text: str, case: str) -> bool:
    """Whether all Latin letters of a text are upper or lower, and there are some."""
    letters = "".join(SCRIPTS["latin"].findall(text))
    return bool(letters) and letters == (letters.upper() if case == "upper" else letters.lower())


def speaks(text: str, level: str) -> bool:
    """Whether every sentence ends in a level of Korean speech."""
    ends = [NOT_HANGUL_AT_END.sub("", sentence) for sentence in sentences(text)]
    return bool(ends) and all(_polite(end) if level == "polite" else _plain(end) for end in ends)


def _polite(end: str) -> bool:
    if end.endswith(("니다", "니까")):
        return _formal(end)
    return end.endswith(("요", "죠", "시오")) and not ENDS_IN_YO.fullmatch(end.rpartition(" ")[2])


def _plain(end: str) -> bool:
    return end.endswith("다") and not (end.endswith("니다") and _formal(end))


def _formal(end: str) -> bool:
    """Whether ㅂ stands before 니다 or 니까, as in 갑니다; 아니다, 다니다, 그러니까 have none."""
    return len(end) > 2 and "가" <= end[-3] <= "힣" and (ord(end[-3]) - ord("가")) % 28 == BIEUP


def chooses(text: str, options: Sequence[str]) -> bool:
    """Whether a text is one of some options, quotes and a full stop aside."""
    bare = text.strip(" \n.。!\"'“”‘’").casefold()
    return bare in {unicodedata.normalize("NFC", option).casefold() for option in options}


def _counted(count: Callable[[str], int]) -> Rule:
    def keeps(text: str, wanted: Any) -> bool:
        least, most = wanted if isinstance(wanted, list) else (wanted, wanted)
        found = count(text)
        return (least is None or found >= least) and (most is None or found <= most)

    return Rule("a number, or [least, most]", _is_count, keeps)


def _is_count(value: Any) -> bool:
    several = value if isinstance(value, list) and len(value) == 2 else [value]
    numbers = [one for one in several if one is not None]
    return bool(numbers) and all(type(one) is int and one >= 0 for one in numbers) and numbers == sorted(numbers)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _words(keeps: Callable[[str, Any], bool], takes: str = "a list of words", empty: bool = False) -> Rule:
    return Rule(takes, lambda v: isinstance(v, list) and (empty or bool(v)) and all(map(_is_text, v)), keeps)


def _one_of(keeps: Callable[[str, Any], bool], *options: str) -> Rule:
    return Rule(f"one of {', '.join(options)}", lambda value: isinstance(value, str) and value in options, keeps)


def _text(keeps: Callable[[str, str], bool]) -> Rule:
    return Rule("a text", _is_text, lambda text, value: keeps(text, unicodedata.normalize("NFC", value).strip()))


RULES: dict[str, Rule] = {
    "sentences": _counted(lambda text: len(sentences(text))),
    "words": _counted(lambda text: len(text.split())),
    "characters": _counted(len),
    "lines": _counted(lambda text: sum(bool(line.strip()) for line in text.splitlines())),
    "paragraphs": _counted(lambda text: len(re.split(r"\n\s*\n", text))),
    "items": _counted(lambda text: sum(ITEM.match(line) is not None for line in text.splitlines())),
    "contains": _words(lambda text, words: all(has_word(text, word) for word in words)),
    "omits": _words(lambda text, words: not any(has_word(text, word) for word in words)),
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "json": _words(is_json, "a list of keys", empty=True),
    "language": _one_of(lambda text, language: language_of(text, None) == language, "ko", "en"),
    "without": _one_of(lambda text, script: not SCRIPTS[script].search(text), *SCRIPTS),
    "case": _one_of(is_cased, "upper", "lower"),
    "speech": _one_of(speaks, "polite", "plain"),
    "chooses": _words(chooses, "a list of answers"),
}
