"""Defects of instruction rows that a rule can see: what had to be repaired in the published Alpaca data, ko and en.

    rule              what is wrong                                                           found by
    no_output         the answer is empty, `N/A`, `none`, 없음, or ends where it should begin   marks.no_output
    leaked            a second task runs into the text: `18. Instruction:`, `3. 지시:`          marks.LEAKED
    senses            a picture, file or page is to be seen, drawn or opened                   senses.beyond_text
    no_input          the input says, in one of many spellings, that there is none             marks.without_no_input
    no_code           code was asked for, and there is none in the answer                      code.lacks_code
    wrong_sum         a sum in the answer comes out otherwise when it is done again            sums.wrong_sum
    refusal           the answer says that it won't or can't answer                            marks.REFUSAL
    answer_language   the answer is in another language than the question                      languages.other_language
    truncated         the answer breaks off                                                    wholeness.breaks_off
    escapes           `\\n` as two characters, `&amp;`, control characters                      wholeness.stray_escape
    same_output       the answer is the question or its input                                  here

The class that no rule can see is the answer that is wrong in substance. Precision comes before recall: a rule that is
unsure says nothing. `datakit.stages.synthesize` refuses what a teacher wrote by these rules; the stage `defects` drops
rows that came from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

from datakit.defects.code import lacks_code
from datakit.defects.languages import other_language
from datakit.defects.marks import LEAKED, REFUSAL, is_no_input, no_output
from datakit.defects.senses import beyond_text
from datakit.defects.sums import wrong_sum
from datakit.defects.wholeness import breaks_off, stray_escape

RULES = (
    "no_output", "leaked", "senses", "no_input", "same_output", "refusal", "answer_language", "truncated", "escapes",
    "no_code", "wrong_sum",
)  # fmt: skip
"""All rules in the order in which they are asked."""


def defect_of(instruction: str, given: str, output: str, rules: Collection[str] = RULES) -> tuple[str, str] | None:
    """The first of `rules` that a row breaks and a word on why (never its text), None for a sound row.

    `given` is the input, "" for none; a question with its input in one text may stand in `instruction`.
    """
    for rule in RULES:
        if rule in rules and (told := _broken(rule, instruction, given, output)):
            return rule, told
    return None


def _broken(rule: str, instruction: str, given: str, output: str) -> str:
    """Why a rule is broken, "" if it isn't."""
    asked = f"{instruction}\n\n{given}" if given else instruction
    match rule:
        case "no_output":
            return no_output(output)
        case "leaked":
            return "question" if LEAKED.search(asked) else "answer" if LEAKED.search(output) else ""
        case "senses":
            return beyond_text(instruction, given)
        case "no_input":
            return "input" if is_no_input(given) else ""
        case "same_output":
            bare = output.strip()
            return "same" if bare and bare in (instruction.strip(), given.strip(), asked.strip()) else ""
        case "refusal":
            return "refusal" if REFUSAL.match(output) else ""
        case "answer_language":
            return other_language(asked, output)
        case "truncated":
            return breaks_off(output)
        case "escapes":
            return stray_escape(asked, output)
        case "no_code":
            return lacks_code(instruction, output)
        case _:
            return wrong_sum(asked, output)
