"""Which written tasks are let in: the published heuristics, mended for Korean, and the classes that had to be repaired.

The published rules reject 95.6 % of Korean instructions (first character must be ASCII, three words at least, `\\b`).
Here length is counted in words for English and in characters for Korean, what a text model can't do is recognised by
phrases rather than by single words (`map` in "map each name to a number" is no picture), and the answer is looked at
as well, by the rules of `datakit.defects`: the cleaned Alpaca data shows what else goes wrong. Each rule has one name,
counted in the report.
"""

from __future__ import annotations

import re

from datakit.defects import RULES as DEFECTS
from datakit.defects import defect_of
from datakit.defects.marks import LEAKED
from datakit.defects.senses import ADDRESS, beyond_text
from datakit.stages.synthesize.parse import Written

HANGUL, LATIN = re.compile(r"[가-힣]"), re.compile(r"[A-Za-z]")
RULES = ("empty", "too_short", "too_long", "language", *DEFECTS, "repeat")
SHORTEST_WORDS, SHORTEST_SYLLABLES = 3, 6
LONGEST_WORDS, LONGEST_SYLLABLES = 150, 400
"""Of an instruction, its input not counted; the words are the published ones."""


def instruction_fault(text: str, language: str) -> str | None:
    """The rule by which an instruction is refused, None if it is fine."""
    bare = text.strip(" \"'“”‘’*-")
    if not bare or not (HANGUL.search(bare) or LATIN.search(bare)):
        return "empty"
    words, size = len(bare.split()), len(re.sub(r"\s", "", bare))
    if (words < SHORTEST_WORDS) if language == "en" else (size < SHORTEST_SYLLABLES):
        return "too_short"
    if (words > LONGEST_WORDS) if language == "en" else (size > LONGEST_SYLLABLES):
        return "too_long"
    if LEAKED.search(bare):
        return "leaked"
    if not speaks(bare, language):
        return "language"
    return "senses" if ADDRESS.search(bare) or beyond_text(bare, "") else None


def instance_fault(task: Written, language: str) -> str | None:
    """The rule by which an input and output are refused, None if they are fine. `language` is the instruction's."""
    found = defect_of(task.instruction, task.input, task.output)
    return found[0] if found else None


def speaks(text: str, language: str) -> bool:
    """Whether an instruction is in a language: Korean if a fifth of its letters are Hangul, English if hardly any."""
    hangul, latin = len(HANGUL.findall(text)), len(LATIN.findall(text))
    share = hangul / max(1, hangul + latin)
    return share >= 0.2 if language == "ko" else share <= 0.2
