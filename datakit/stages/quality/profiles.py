"""Rules and the thresholds of each profile.

A rule compares one signal with one threshold, on texts long enough for the signal to mean something. A profile gives
thresholds; what it leaves out is not checked.

    general-*       any documents: tickets, reviews, manuals, pages. Short is not bad: no least length but "not
                    nothing"
    web-*           crawled pages, where a page of three lines is no text: Gopher's and FineWeb-2's lengths and lines
    instruction-*   examples: an answer may be one word, a number, a list, code
    code            source code; only where told: no row is taken for code by itself

Sources: Gopher (Rae et al. 2021, tables A1 and A2), C4 (Raffel et al. 2020), FineWeb (Penedo et al. 2024),
FineWeb-2's `kor_Hang` settings (Penedo et al. 2025), and "ours": calibrated on this project's samples (no clean one of
381 goes), on 7,600 pages of Korean and English programming reference (1.7 % go, nearly all of them lists of links or
of code) and on 2,500 Korean one-line film reviews (4 go).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Side = Literal["least", "most"]


class Rule(NamedTuple):
    """One rule: its name, the setting that holds its threshold, signals with the share of the threshold that each may
    reach, on which side of it a text must be, and how many `unit` (words or lines) a text needs to be judged."""

    name: str
    setting: str
    signals: tuple[tuple[str, float], ...]
    side: Side
    unit: str = "words"
    least_units: int = 0


def _one(signal: str) -> tuple[tuple[str, float], ...]:
    return ((signal, 1.0),)


def _characters_of(name: str, signal: str) -> Rule:
    return Rule(f"{name}_characters", f"max_{signal}", _one(signal), "most", "lines", 4)


# Gopher's steps: 0.20, 0.18, 0.16 for the top 2-, 3-, 4-gram and 0.15 ... 0.10 for repeated 5- to 10-grams.
_TOP = (("top_2gram", 1.0), ("top_3gram", 0.9), ("top_4gram", 0.8))
_REPEATED = tuple((f"repeated_{n}gram", (20 - n) / 15) for n in range(5, 11))

RULES: tuple[Rule, ...] = (
    Rule("few_characters", "min_characters", _one("characters"), "least"),
    Rule("few_words", "min_words", _one("words"), "least"),
    Rule("many_words", "max_words", _one("words"), "most"),
    Rule("few_sentences", "min_sentences", _one("sentences"), "least"),
    Rule("lorem_ipsum", "max_lorem_lines", _one("lorem_lines"), "most"),
    Rule("toxic", "max_toxic_share", _one("toxic_share"), "most"),
    Rule("boilerplate", "max_boilerplate", _one("boilerplate"), "most", "boilerplate_phrases", 3),
    Rule("policy", "max_policy_lines", _one("policy_lines"), "most", "lines", 3),
    Rule("javascript", "max_javascript_lines", _one("javascript_lines"), "most", "lines", 3),
    Rule("braces", "max_brace_lines", _one("brace_lines"), "most", "lines", 3),
    Rule("duplicate_lines", "max_duplicate_lines", _one("duplicate_lines"), "most", "lines", 4),
    _characters_of("duplicate_lines", "duplicate_line_characters"),
    Rule("duplicate_paragraphs", "max_duplicate_paragraphs", _one("duplicate_paragraphs"), "most", "lines", 4),
    _characters_of("duplicate_paragraphs", "duplicate_paragraph_characters"),
    Rule("repeated_words", "min_unique_words", _one("unique_words"), "least", "words", 8),
    Rule("repeated_ngrams", "max_repeated_ngrams", _REPEATED, "most", "words", 20),
    Rule("top_ngrams", "max_top_ngrams", _TOP, "most", "words", 50),
    Rule("few_letters", "min_letter_words", _one("letter_words"), "least", "words", 3),
    Rule("odd_words", "max_odd_words", _one("odd_words"), "most", "words", 2),
    Rule("jamo", "max_jamo_share", _one("jamo_share"), "most"),
    Rule("symbols", "max_symbol_share", _one("symbol_share"), "most"),
    Rule("hashes", "max_hashes", _one("hashes"), "most", "words", 10),
    Rule("many_ellipses", "max_ellipses", _one("ellipses"), "most", "words", 10),
    Rule("digits", "max_digit_share", _one("digit_share"), "most", "words", 3),
    Rule("no_letters", "min_letters", _one("letters"), "least"),
    Rule("urls", "max_url_share", _one("url_share"), "most"),
    Rule("short_words", "min_word_length", _one("word_length"), "least", "words", 10),
    Rule("long_words", "max_word_length", _one("word_length"), "most", "words", 10),
    Rule("few_stopwords", "min_stop_words", _one("stop_words"), "least", "words", 10),
    Rule("bullets", "max_bullet_lines", _one("bullet_lines"), "most", "lines", 5),
    Rule("ellipses", "max_ellipsis_lines", _one("ellipsis_lines"), "most", "lines", 3),
    Rule("few_sentence_lines", "min_sentence_lines", _one("sentence_lines"), "least", "lines", 5),
    Rule("short_lines", "max_short_lines", _one("short_lines"), "most", "lines", 5),
    Rule("line_breaks", "max_line_breaks", _one("line_breaks"), "most", "lines", 5),
    Rule("long_lines", "max_line_length", _one("line_length"), "most"),
    Rule("longest_line", "max_longest_line", _one("longest_line"), "most"),
    Rule("perplexity", "max_perplexity", _one("perplexity"), "most", "words", 3),
)
"""In the order in which they are named: the first that fails is the reason of the drop. A rule whose signal was not
measured (no list of toxic words, no model) is not asked."""

_GENERAL = {
    "min_characters": 1,  # ours: 굿 is a review, if a poor one
    "min_letters": 1,  # ours: 12, 3.5%, 5/5 alone say nothing
    "max_words": 100_000,  # Gopher
    "max_lorem_lines": 0.50,  # ours; C4 drops every page that has one
    "max_toxic_share": 0.02,  # ours
    "max_boilerplate": 0.25,  # ours; clean samples have 0.06 at most, furniture 0.37 and more
    "max_duplicate_lines": 0.60,  # ours; Gopher's 0.30 fails a tenth of good reference documentation
    "max_duplicate_paragraphs": 0.60,  # ours; Gopher 0.30
    "min_unique_words": 0.10,  # ours; prose of 1,000 words has 0.4 and more
    "max_repeated_ngrams": 0.50,  # ours; Gopher 0.15
    "max_top_ngrams": 0.40,  # ours; Gopher 0.20
    "min_letter_words": 0.40,  # ours; Gopher's 0.80 fails tables, prices, ratings
    "max_odd_words": 0.40,  # ours
    "max_symbol_share": 0.50,  # ours; Gopher counts # and ellipses only, 0.1 a word
    "max_digit_share": 0.50,  # ours
    "max_url_share": 0.65,  # ours
}
_ENGLISH = {
    "min_word_length": 2,  # ours; Gopher has 3 to 10, of whole words
    "max_word_length": 15,  # ours: reference pages of C++ have 11 to 15
    "min_stop_words": 0.05,  # ours; Gopher wants two of eight words in 50 words and more
}
_KOREAN = {
    "max_jamo_share": 0.55,  # ours: ㅋㅋㅋ 재밌다 is a review, ㅋㅋㅋㅠㅠㅠㅋㅋㅋ 헐 is not
    "min_word_length": 1.3,  # ours, in syllables an eojeol; prose has 2.5 to 3.5
    "max_word_length": 15,  # ours: text without any spaces has more
    "min_stop_words": 0.10,  # ours, in eojeol that end as grammar does; prose has 0.4 to 0.7
}
_WEB = {
    "min_characters": 100,  # ours
    "max_lorem_lines": 0,  # C4
    "max_toxic_share": 0,  # C4: one listed word and the page goes
    "max_boilerplate": 0.20,  # ours
    "max_policy_lines": 0.30,  # ours; C4 takes such lines out
    "max_javascript_lines": 0.30,  # ours; C4 takes such lines out
    "max_bullet_lines": 0.90,  # Gopher
    "max_ellipsis_lines": 0.30,  # Gopher
    "max_hashes": 0.10,  # Gopher
    "max_ellipses": 0.10,  # Gopher
    "max_symbol_share": 0.35,  # ours
    "max_url_share": 0.40,  # ours
}
_WEB_ENGLISH = {
    "min_words": 50,  # Gopher
    "min_sentences": 3,  # ours; C4 has 5
    "max_brace_lines": 0.20,  # ours; C4 drops every page that has one
    "max_duplicate_lines": 0.30,  # Gopher
    "max_duplicate_line_characters": 0.20,  # Gopher; FineWeb has 0.01
    "max_duplicate_paragraphs": 0.30,  # Gopher
    "max_duplicate_paragraph_characters": 0.20,  # Gopher
    "max_repeated_ngrams": 0.15,  # Gopher, for 5-grams; 10-grams 0.10
    "max_top_ngrams": 0.20,  # Gopher, for 2-grams; 4-grams 0.16
    "min_letter_words": 0.80,  # Gopher
    "min_word_length": 3,  # Gopher
    "max_word_length": 10,  # Gopher
    "min_stop_words": 0.10,  # ours
    "min_sentence_lines": 0.12,  # FineWeb
    "max_short_lines": 0.67,  # FineWeb
    "max_line_breaks": 0.30,  # FineWeb
}
# FineWeb-2 found that C4's rules, and those on paragraphs and short lines, make Korean worse: they are not asked here.
_WEB_KOREAN = {
    "min_words": 30,  # ours, in eojeol: they say what 50 English words say
    "max_duplicate_lines": 0.374,  # FineWeb-2
    "max_duplicate_line_characters": 0.20,  # Gopher; FineWeb-2 has 0.1
    "max_duplicate_paragraphs": 0.374,  # ours; FineWeb-2 has none
    "max_repeated_ngrams": 0.201,  # FineWeb-2, for 5-grams
    "max_top_ngrams": 0.282,  # FineWeb-2, for 2-grams
    "min_letter_words": 0.791,  # FineWeb-2
    "min_word_length": 1.5,  # ours; FineWeb-2 has 1 to 6, of morphemes
    "max_word_length": 9,  # ours
    "min_stop_words": 0.20,  # ours
    "min_sentence_lines": 0.062,  # FineWeb-2
    "max_line_breaks": 0.40,  # FineWeb-2 has 0.196 a morpheme, and an eojeol has two
}
# An example may be code, a table, a number, or repeat its input on purpose: only what no one would learn from goes.
_INSTRUCTION = {
    "min_characters": 2,  # ours
    "max_words": 100_000,  # Gopher
    "max_toxic_share": 0.02,  # ours
    "max_boilerplate": 0.50,  # ours
    "max_duplicate_lines": 0.50,  # ours
    "min_unique_words": 0.05,  # ours
    "max_repeated_ngrams": 0.40,  # ours
    "max_odd_words": 0.50,  # ours
    "max_symbol_share": 0.60,  # ours
    "max_url_share": 0.60,  # ours
}
# Source code repeats lines (closing braces are no lines here, imports are), has few words of any grammar, and is bad
# where it is data or was written by a machine.
_CODE = {
    "min_characters": 20,  # ours
    "min_letters": 1,  # ours
    "max_words": 100_000,  # Gopher
    "max_toxic_share": 0.02,  # ours
    "max_duplicate_lines": 0.60,  # ours
    "min_unique_words": 0.03,  # ours
    "max_repeated_ngrams": 0.60,  # ours
    "max_symbol_share": 0.75,  # CodeParrot keeps files of a quarter letters and digits
    "max_digit_share": 0.40,  # ours: tables of numbers
    "max_url_share": 0.50,  # ours
    "max_line_length": 100,  # Codex (Chen et al. 2021)
    "max_longest_line": 1000,  # Codex
}

PROFILES: dict[str, dict[str, float]] = {
    "off": {},
    "general": _GENERAL,
    "general-en": _GENERAL | _ENGLISH,
    "general-ko": _GENERAL | _KOREAN,
    "web-en": _GENERAL | _ENGLISH | _WEB | _WEB_ENGLISH,
    "web-ko": _GENERAL | _KOREAN | _WEB | _WEB_KOREAN,
    "instruction": _INSTRUCTION,
    "instruction-en": _INSTRUCTION,
    "instruction-ko": _INSTRUCTION | {"max_jamo_share": 0.80},  # ours
    "code": _CODE,
}
"""Thresholds by profile and setting. `general` and `instruction` are for other languages: nothing there looks at
words of one."""


def profile_for(kind: str, lang: str | None, hangul_share: float, latin_share: float) -> str:
    """The profile of one row, by the kind of row and its language, or by its script if that is unknown."""
    family = "instruction" if kind == "example" else "general"
    if lang in (None, "", "und"):
        lang = "ko" if hangul_share >= 0.3 else "en" if latin_share >= 0.9 else None
    return f"{family}-{lang}" if lang in ("ko", "en") else family
