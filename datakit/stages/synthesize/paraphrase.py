"""The recipe `paraphrase`: the same task in other words, with the same answer.

Numbers and what stands in quotation marks must be carried over, and the words must really change: a paraphrase too near
to the task, or to one before it, by ROUGE-L is refused.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromExamples
from datakit.stages.synthesize.filters import instruction_fault
from datakit.stages.synthesize.generate import Asking, Found, Session, fault_of
from datakit.stages.synthesize.grounding import QUOTED, folded, strange_number
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import numbered
from datakit.stages.synthesize.rows import Draft, Item, asks
from datakit.teachers import Request


class Paraphrase(FromExamples):
    """The tasks of example rows in other words."""

    asked_with: ClassVar[tuple[str, ...]] = ("paraphrase",)

    recipe: Literal["paraphrase"]
    """The same task in other words."""
    ways: Annotated[int, Field(ge=1, le=10)] = 2
    """Paraphrases of a task."""
    novelty: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Refuse a paraphrase whose ROUGE-L with the task, or with another, is above this."""

    def about(self, session: Session, item: Item) -> Asking:
        """One request for all paraphrases of a task."""
        if not item.answer or not item.instruction:
            return ["no_answer"]
        request = session.request(
            "paraphrase", item.language, about=(item.id, 0), count=self.ways, instruction=item.instruction
        )
        [reply] = yield [request]
        fault = fault_of(reply)
        if fault not in (None, "cut"):
            return [str(fault)]
        pool = Pool(self.novelty)
        pool.add(item.instruction, "task")
        found: Found = []
        for text in numbered(reply.text, fault == "cut")[: self.ways]:
            fault = self._fault(item, text, pool)
            pool.add(text, f"paraphrase-{len(found)}")
            found.append(fault or _draft(item, text, request))
        return found or ["no_list"]

    def _fault(self, item: Item, text: str, pool: Pool) -> str | None:
        if fault := instruction_fault(text, item.language):
            return fault
        if strange_number(item.instruction, text) or strange_number(text, item.instruction):
            return "changed_number"
        whole = folded(text)
        if any(folded(mark[1]) not in whole for mark in QUOTED.finditer(item.instruction)):
            return "lost_quotation"
        return "repeat" if pool.nearest(text) else None


def _draft(item: Item, text: str, request: Request) -> Draft:
    first = asks(text, item.input, "")[0]
    start = next(place for place, (role, _) in enumerate(item.turns) if role == "user")
    turns = (*item.turns[:start], first, *item.turns[start + 1 :])
    return Draft("paraphrase", item.language, turns, (request,), text, item.input, item)
