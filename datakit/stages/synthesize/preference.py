"""The recipe `preference`: two answers to a task, the better one chosen, the other rejected: rows for DPO.

The first answer is the row's own (`against: own`) or drawn like the second (`against: sample`). They are compared in
both orders (judging.py); only where both orders agree is there a row. The row's messages are the task alone; `chosen`
and `rejected` hold one assistant turn each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from datakit.stages.synthesize.each import FromExamples
from datakit.stages.synthesize.generate import Asking, Session, fault_of
from datakit.stages.synthesize.grounding import folded
from datakit.stages.synthesize.judging import compare
from datakit.stages.synthesize.rows import Draft, Item, Turn
from datakit.teachers import Reply, Request


class Preference(FromExamples):
    """Pairs of answers, the better one chosen in both orders."""

    asked_with: ClassVar[tuple[str, ...]] = ("answer", "compare", "rubric")

    recipe: Literal["preference"]
    """Chosen and rejected answers, for DPO."""
    against: Literal["own", "sample"] = "sample"
    """What the drawn answer is compared with: the row's own answer, or a second one that is drawn."""
    rubric: str = ""
    """What the judge goes by; "": the shipped rubric of the row's language (`datakit prompts rubric`)."""
    keep: bool = False
    """Keep the rows that came in beside the new ones: they have another shape, so by default they go."""

    def about(self, session: Session, item: Item) -> Asking:
        """Draw, compare in both orders, choose."""
        drawn = [
            session.request("answer", item.language, about=(item.id, place), instruction=item.asked)
            for place in range(1 if self.against == "own" else 2)
        ]
        replies = yield drawn
        answers = [reply.text.strip() for reply in replies]
        if fault := _fault(replies) or ("no_answer" if self.against == "own" and not item.answer else None):
            return [fault]
        if self.against == "own":
            answers.insert(0, item.answer)
        if folded(answers[0]) == folded(answers[1]):
            return ["same_answer"]
        verdict, reason, asked = yield from compare(session, item, self.rubric, *answers)
        if verdict not in ("first", "second"):
            return [verdict]
        chosen, rejected = answers if verdict == "first" else reversed(answers)
        return [_draft(item, chosen, rejected, reason, (*drawn, *asked))]


def _fault(replies: Sequence[Reply]) -> str | None:
    return next((fault for reply in replies if (fault := fault_of(reply))), None)


def _draft(item: Item, chosen: str, rejected: str, reason: str, requests: tuple[Request, ...]) -> Draft:
    last = max((place for place, (role, _) in enumerate(item.turns) if role == "user"), default=-1)
    task: tuple[Turn, ...] = item.turns[: last + 1]
    return Draft(
        "preference",
        item.language,
        task,
        requests,
        item=item,
        chosen=(("assistant", chosen),),
        rejected=(("assistant", rejected),),
        extra={"reason": reason},
    )
