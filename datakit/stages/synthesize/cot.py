"""The recipe `cot`: reasoning that ends in an answer, kept only where the answer is the row's own.

The teacher never sees the answer. Reasoning that arrives at it is likely to be right (Zelikman et al. 2022,
arXiv:2203.14465); one that does not is refused. For rows with an answer that can be compared: a number, a word, a
choice.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromExamples
from datakit.stages.synthesize.filters import instance_fault, speaks
from datakit.stages.synthesize.generate import Asking, Found, Session, fault_of
from datakit.stages.synthesize.grounding import folded, numbers
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.rows import Draft, Item

LAST_LINE = re.compile(
    r"(?im)^[ \t#>*_-]*(?:the )?(?:final )?(?:answer|답|정답|최종 답)[*_]*[ \t]*[:：][*_ \t]*(.+?)[*_ \t.]*$"
)
LEAST_REASONING = {"ko": 30, "en": 60}
"""Characters of reasoning before the answer."""


class Cot(FromExamples):
    """Reasoning that ends in the row's own answer."""

    asked_with: ClassVar[tuple[str, ...]] = ("cot",)

    recipe: Literal["cot"]
    """Reasoning, then the answer."""
    samples: Annotated[int, Field(ge=1, le=16)] = 1
    """Replies asked for a row; the first that arrives at the answer is taken."""
    longest_answer: Annotated[int, Field(ge=1)] = 60
    """Rows whose answer has more characters can't be compared, and are passed over."""

    def about(self, session: Session, item: Item) -> Asking:
        """Ask for reasoning as often as `samples` says, take the first that agrees."""
        if not item.answer.strip() or len(item.answer) > self.longest_answer:
            return ["no_short_answer"]
        requests = [
            session.request("cot", item.language, about=(item.id, place), instruction=item.asked)
            for place in range(self.samples)
        ]
        faults: Found = []
        for request, reply in zip(requests, (yield requests), strict=True):
            fault = fault_of(reply) or reasoning_fault(item.asked, reply.text, item.answer, item.language)
            if fault is None:
                turns = _answered(item, reply.text.strip())
                return [Draft("reasoning", item.language, turns, (request,), item=item)]
            faults.append(fault)
        return faults


def reasoning_fault(task: str, text: str, answer: str, language: str) -> str | None:
    """The rule by which a text is no reasoning that ends in `answer`."""
    marks = list(LAST_LINE.finditer(text))
    if not marks:
        return "no_final_answer"
    if len(text[: marks[-1].start()].strip()) < LEAST_REASONING[language]:
        return "no_reasoning"
    if not agree(marks[-1][1], answer):
        return "disagrees"
    return "language" if not speaks(text, language) else instance_fault(Written(task, "", text), language)


def agree(given: str, answer: str) -> bool:
    """Whether two short answers are the same: the same numbers where there are any, else the same letters."""
    mine, wanted = numbers(given), numbers(answer)
    if wanted or mine:
        return mine == wanted
    one, other = folded(given), folded(answer)
    return bool(one) and (one == other or one.removesuffix("입니다") == other.removesuffix("입니다"))


def _answered(item: Item, text: str) -> tuple[tuple[str, str], ...]:
    last = max(place for place, (role, _) in enumerate(item.turns) if role == "assistant")
    return (*item.turns[:last], ("assistant", text))
