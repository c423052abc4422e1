"""Stanford Alpaca's recipe (Taori et al. 2023): one request, three seed tasks shown, a list of whole tasks comes back.

20 tasks a list in English, 3 of them shown; 10 in Korean, where lists of 20 were found to be unstable (KoAlpaca).
`decisions: mended` tells blocks apart by their labels, not by `###` and exact numbers; a list that was cut off loses
its last task; spellings of "no input" become no input; empty and leaked answers are refused. `decisions: published`
decides as the published code does (published.py), in English only.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from datakit.errors import Problem
from datakit.stages.synthesize.generate import Asking, fault_of
from datakit.stages.synthesize.growing import Growing, Growth
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written, blocks
from datakit.stages.synthesize.published import alpaca_asking, english_only

SHOWN = 3
LIST = {"en": 20, "ko": 10}


class Alpaca(Growing):
    """New tasks in Alpaca's one step: three seeds shown, a list of whole tasks comes back."""

    asked_with: ClassVar[tuple[str, ...]] = ("tasks", "published_tasks")

    recipe: Literal["alpaca"]
    """One step, as published."""
    decisions: Literal["published", "mended"] = "mended"
    """mended: Korean and English; published: every decision as the published code takes it, flaws and all (English)."""

    def problems(self) -> list[Problem]:
        """The published rules refuse Korean."""
        return super().problems() + english_only(self.decisions, self.language)

    def pool(self) -> Pool:
        """The published novelty check sees Latin letters and digits alone."""
        return Pool(self.novelty, published=self.decisions == "published")

    def one_round(self, growth: Growth, number: int, language: str) -> list[Asking]:
        """A window of prompts, each with its own three seeds in view."""
        human, asking = growth.human(language), alpaca_asking if self.decisions == "published" else _asking
        drawn = [
            growth.session.rng("shown", number, place).sample(human, min(SHOWN, len(human)))
            for place in range(self.window)
        ]
        return [
            asking(growth, language, tuple(seed.task for seed in seeds), tuple(seed.id for seed in seeds))
            for seeds in drawn
        ]


def _asking(growth: Growth, language: str, shown: tuple[Written, ...], ids: tuple[str, ...]) -> Asking:
    """Ask for a list of tasks, take what is sound and new."""
    session = growth.session
    request = session.request("tasks", language, count=LIST[language] - len(shown), examples=shown)
    [reply] = yield [request]
    if fault_of(reply) not in (None, "cut"):
        return [str(fault_of(reply))]
    for task in blocks(reply.text, reply.finish_reason == "length"):
        session.counters["instructions"] += 1
        if growth.admits(task.instruction, language):
            growth.accept(task, language, "task", (request,), ids)
    return []
