"""Evol-Instruct (Xu et al. 2023, arXiv:2304.12244): tasks made harder, or others of their kind, weak ones eliminated.

    in depth     constraints, deepen, concretize, reasoning: one of them, drawn
    in breadth   a new task of the same field, rarer

Eliminated, as the paper says (the released code leaves it out): 1 the teacher finds the new task equal to the old one;
2 the answer is a short refusal; 3 the answer is stop words and punctuation alone; 4 the task carries words of the
prompt that made it ("given prompt", "주어진 과제"). Here besides: what the filters refuse, and a task that is the old
one by ROUGE-L. A task that is eliminated ends its line; with `rounds` > 1 the next round starts from what was made.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromExamples
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.generate import Asking, Found, Session, fault_of
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written, says_yes
from datakit.stages.synthesize.rows import Draft, Item, asks

Way = Literal["constraints", "deepen", "concretize", "reasoning", "breadth"]
WAYS: tuple[Way, ...] = ("constraints", "deepen", "concretize", "reasoning", "breadth")
SHORT_REFUSAL = {"en": 80, "ko": 60}
"""Words of an answer with an apology below which it is a refusal (the paper: 80 words; Korean words say more)."""
SORRY = re.compile(r"(?i)\bsorry\b|죄송|미안하지만|답(?:변)?(?:하|드리)기 어렵|도와드릴 수 없")
COPIED = re.compile(
    r"(?i)(?:given|new|rewritten|created|original) (?:prompt|task)\b|#\s?(?:rewritten|created|given) prompt"
    r"|(?:주어진|새|고쳐 쓴|원래) ?(?:과제|프롬프트)(?:는|를|을|:)|^(?:새 )?과제\s*:"
)
_FILLERS = """
a an and are as at be but by for from has have in is it its of on or so that the this to was were will with you
그 이 저 것 수 등 및 또 더 잘 좀 그리고 그러나 그래서 또는 즉 네 예 아니요
"""
FILLERS = frozenset(_FILLERS.split())


class Evolve(FromExamples):
    """Harder and rarer tasks out of example rows, with answers; weak ones are eliminated."""

    asked_with: ClassVar[tuple[str, ...]] = ("evolve", "evolve_equal", "answer")

    recipe: Literal["evolve"]
    """Evol-Instruct, with its elimination."""
    ways: tuple[Way, ...] = WAYS
    """How tasks are changed; one is drawn for each."""
    rounds: Annotated[int, Field(ge=1, le=8)] = 1
    """How often in a row a task is changed; each change that holds is a row."""
    novelty: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Refuse a task whose ROUGE-L with the one before is above this."""

    def about(self, session: Session, item: Item) -> Asking:
        """Change, hold against the old, answer; as often as `rounds` says."""
        found: Found = []
        task = item.asked
        for place in range(self.rounds):
            way = session.rng("way", item.id, place).choice(self.ways)
            first = session.request("evolve", item.language, about=(item.id, place), way=way, instruction=task)
            [reply] = yield [first]
            evolved = reply.text.strip()
            fault = fault_of(reply) or self._fault(task, evolved, item.language)
            if fault is not None:
                return [*found, fault]
            equal = session.request(
                "evolve_equal",
                item.language,
                greedy=True,
                max_tokens=8,
                about=(item.id, place),
                first=task,
                second=evolved,
            )
            answer = session.request("answer", item.language, about=(item.id, place), instruction=evolved)
            verdict, reply = yield [equal, answer]
            fault = "equal" if says_yes(verdict.text) else fault_of(verdict) or fault_of(reply)
            fault = fault or answer_fault(evolved, reply.text, item.language)
            if fault is not None:
                return [*found, fault]
            turns = asks(evolved, "", reply.text.strip())
            found.append(Draft(f"evolve_{way}", item.language, turns, (first, answer), evolved, "", item))
            task = evolved
        return found

    def _fault(self, before: str, evolved: str, language: str) -> str | None:
        """What can be seen of the new task alone."""
        if COPIED.search(evolved):
            return "copied_prompt"
        if fault := instruction_fault(evolved, language):
            return fault
        pool = Pool(self.novelty)
        pool.add(before, "before")
        return "equal" if pool.nearest(evolved) else None


def answer_fault(task: str, answer: str, language: str) -> str | None:
    """The rule by which an answer shows that its task is beyond the teacher."""
    words = answer.split()
    if SORRY.search(answer) and len(words) < SHORT_REFUSAL[language]:
        return "refusal"
    bare = [re.sub(r"[\W_]+", "", word).casefold() for word in words]
    if not any(word and word not in FILLERS for word in bare):
        return "says_nothing"
    return instance_fault(Written(task, "", answer), language)
