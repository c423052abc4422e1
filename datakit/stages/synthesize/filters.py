"""Which written tasks are let in: the published heuristics, mended for Korean, and the classes that had to be repaired.

The published rules reject 95.6 % of Korean instructions (first character must be ASCII, three words at least, `\\b`).
Here length is counted in words for English and in characters for Korean, what a text model can't do is recognised by
phrases rather than by single words (`map` in "map each name to a number" is no picture), and the answer is looked at
as well: the cleaned Alpaca data shows what else goes wrong. Each rule has one name, counted in the report.
"""

from __future__ import annotations

import re

from datakit.stages.synthesize.parse import Written

HANGUL, LATIN = re.compile(r"[가-힣]"), re.compile(r"[A-Za-z]")
SENSES = re.compile(
    r"(?i)\b(?:(?:draw|sketch|paint|plot|attach|upload|download)\s+(?:an?|the|this|me|your)|(?:this|the|following|attached|given)"
    r"\s+(?:image|picture|photo|video|audio|recording|screenshot|file|map|graph|chart)|https?://|go to the)"
    r"|(?:첨부(?:한|된)?|다음|아래|이|주어진)\s?(?:그림|사진|이미지|영상|동영상|음성|파일|지도|그래프|노래)(?:을|를|에|에서|은|는|과|의)?"
    r"|(?:그림|그래프|지도|초상화)(?:을|를)\s?그(?:려|리)|(?:영상|사진|음악)(?:을|를)\s?(?:찍|녹음|재생|틀어)"
)
"""Things that a model of text can neither see nor make."""
REFUSAL = re.compile(
    r"(?i)^\W*(?:i(?:'m| am) (?:sorry|unable)|sorry|as an ai|i can(?:'t|not) (?:help|assist|do)|죄송(?:하지만|합니다)"
    r"|저는 (?:인공지능|ai)"
    r"|(?:제가 )?도와드릴 수 없)"
)
LEAKED = re.compile(r"(?im)^\s*(?:\d+\.\s*)?(?:instruction|지시)\s*[:：]|\d{1,2}\.\s?(?:Instruction|지시):")
RULES = (
    "empty", "too_short", "too_long", "language", "senses", "no_output", "same_output", "refusal", "leaked", "repeat",
)  # fmt: skip


def instruction_fault(text: str, language: str) -> str | None:
    """The rule by which an instruction is refused, None if it is fine."""
    bare = text.strip(" \"'“”‘’*-")
    if not bare or not (HANGUL.search(bare) or LATIN.search(bare)):
        return "empty"
    words, size = len(bare.split()), len(re.sub(r"\s", "", bare))
    if (words < 3) if language == "en" else (size < 6):
        return "too_short"
    if (words > 150) if language == "en" else (size > 400):
        return "too_long"
    if LEAKED.search(bare):
        return "leaked"
    if not speaks(bare, language):
        return "language"
    return "senses" if SENSES.search(bare) else None


def instance_fault(task: Written, language: str) -> str | None:
    """The rule by which an input and output are refused, None if they are fine."""
    output = task.output.strip()
    if not re.search(r"\w", output) or re.fullmatch(r"(?i)[<\[(]?(?:n/?a|none|no ?output|없음)[>\])]?\.?", output):
        return "no_output"
    if output == task.input.strip() or output == task.instruction.strip():
        return "same_output"
    if output.endswith((":", "：")) or task.input.endswith((":", "：")):
        return "no_output"
    if REFUSAL.search(output):
        return "refusal"
    if LEAKED.search(output):
        return "leaked"
    if SENSES.search(task.input) and "http" in task.input:
        return "senses"
    return None


def speaks(text: str, language: str) -> bool:
    """Whether an instruction is in a language: Korean if a fifth of its letters are Hangul, English if hardly any."""
    hangul, latin = len(HANGUL.findall(text)), len(LATIN.findall(text))
    share = hangul / max(1, hangul + latin)
    return share >= 0.2 if language == "ko" else share <= 0.2
