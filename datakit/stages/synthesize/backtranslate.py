"""The recipe `backtranslate`: the instruction that an existing text answers (Li et al. 2023, arXiv:2308.06259).

The answer is written by people: the passage, as it stands. Follow it with the stage `judge`, as the paper does: texts
that answer nothing well are most of any corpus.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounded import POINTS_AT_TEXT
from datakit.stages.synthesize.grounding import folded, strange_number
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.rows import Item, answered
from datakit.teachers import Reply, Request

LONGEST_QUOTE = 30
"""Folded characters of the text that an instruction may repeat in one stretch: more gives the answer away."""


class Backtranslate(FromDocuments):
    """Instructions to which documents are the answers."""

    asked_with: ClassVar[tuple[str, ...]] = ("backtranslate",)

    recipe: Literal["backtranslate"]
    """The instruction that the document answers."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        return session.request("backtranslate", item.language, about=(item.id, place), text=passage)

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        instruction = " ".join(reply.text.split()).strip("\"'“”‘’")
        fault = instruction_fault(instruction, item.language) or instance_fault(
            Written(instruction, "", passage), item.language
        )
        if fault is None and POINTS_AT_TEXT.search(instruction):
            fault = "needs_text"
        if fault is None and strange_number(instruction, passage):
            fault = "strange_number"
        if fault is None and _quotes(folded(instruction), folded(passage)):
            fault = "given_away"
        if fault is not None:
            return [fault]
        return [answered(item, "backtranslate", request, instruction, "", passage)]


def _quotes(instruction: str, text: str) -> bool:
    """Whether an instruction repeats more than LONGEST_QUOTE characters of the text at a stretch."""
    size = LONGEST_QUOTE + 1
    return any(instruction[start : start + size] in text for start in range(max(0, len(instruction) - LONGEST_QUOTE)))
