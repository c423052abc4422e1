"""Self-Instruct (Wang et al. 2022, arXiv:2212.10560), its four steps, for chat models, in Korean and English.

    1 instructions   8 shown: 6 written by people, up to 2 by the teacher; a numbered list comes back
    2 classify       is it a classification?
    3 instance       no: input first, then output; yes: the label first, then an input for it (else one label prevails)
    4 admit          faults and novelty (ROUGE-L > 0.7 against seeds and all accepted) before step 2, the answer after

`decisions: mended` leaves capitals alone, has no stop strings such as `16.` that cut answers, and takes only the last
entry from a reply that was cut off. `decisions: published` decides as the published code does (published.py), in
English only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from datakit.errors import Problem
from datakit.stages.synthesize.generate import Asking, fault_of
from datakit.stages.synthesize.growing import Growing, Growth
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written, instance, numbered, says_yes
from datakit.stages.synthesize.published import english_only, self_instruct_asking

SHOWN, BY_MACHINE, WANTED = 8, 2, 8


@dataclass(frozen=True, slots=True)
class Shown:
    """The tasks that one prompt shows."""

    instructions: tuple[str, ...]
    ids: tuple[str, ...]


class SelfInstruct(Growing):
    """New tasks in Self-Instruct's four steps: instructions, classification or not, instances, novelty."""

    asked_with: ClassVar[tuple[str, ...]] = (
        "instructions", "classify", "instance", "labels", "published_instructions", "published_instance",
        "published_labels",
    )  # fmt: skip

    recipe: Literal["self_instruct"]
    """Four steps, as published."""
    decisions: Literal["published", "mended"] = "mended"
    """mended: Korean and English; published: every decision as the published code takes it, flaws and all (English)."""

    def problems(self) -> list[Problem]:
        """The published rules refuse Korean."""
        return super().problems() + english_only(self.decisions, self.language)

    def pool(self) -> Pool:
        """The published novelty check sees Latin letters and digits alone."""
        return Pool(self.novelty, published=self.decisions == "published")

    def one_round(self, growth: Growth, number: int, language: str) -> list[Asking]:
        """A window of prompts, each with its own eight tasks in view."""
        shown = [_shown(growth, language, number, place) for place in range(self.window)]
        asking = self_instruct_asking if self.decisions == "published" else _asking
        return [asking(growth, language, one.instructions, one.ids) for one in shown]


def _asking(growth: Growth, language: str, instructions: tuple[str, ...], ids: tuple[str, ...]) -> Asking:
    """Ask for instructions, sort those that are let in, ask for their instances, take what is sound."""
    session = growth.session
    first = session.request("instructions", language, count=WANTED, examples=instructions)
    [reply] = yield [first]
    if fault_of(reply) not in (None, "cut"):
        return [str(fault_of(reply))]
    entries = numbered(reply.text, reply.finish_reason == "length")[: 2 * WANTED]
    session.counters["instructions"] += len(entries)
    fresh = [entry for entry in entries if growth.admits(entry, language)]
    asked = [session.request("classify", language, greedy=True, max_tokens=8, instruction=text) for text in fresh]
    sorts = [says_yes(one.text) for one in (yield asked)]
    last = [
        session.request("labels" if sort else "instance", language, greedy=True, instruction=text)
        for text, sort in zip(fresh, sorts, strict=True)
    ]
    replies = yield last
    faults: list[str] = []
    for text, sort, request, one in zip(fresh, sorts, last, replies, strict=True):
        if (fault := fault_of(one)) not in (None, "cut"):
            faults.append(str(fault))
            continue
        task = instance(one.text, text, one.finish_reason == "length")
        kind = "classification" if sort else "generation"
        growth.accept(Written(text, task.input, task.output), language, kind, (first, request), ids)
    return list(faults)


def _shown(growth: Growth, language: str, number: int, place: int) -> Shown:
    rng, earlier = growth.session.rng("shown", number, place), growth.accepted[language]
    machine = rng.sample(earlier, min(BY_MACHINE, len(earlier)))
    human = growth.human(language)
    chosen = rng.sample(human, min(SHOWN - len(machine), len(human)))
    both = [(seed.task.instruction, seed.id) for seed in chosen] + [(one.task.instruction, one.id) for one in machine]
    rng.shuffle(both)
    return Shown(tuple(" ".join(text.split()).rstrip(":") for text, _ in both), tuple(own for _, own in both))
