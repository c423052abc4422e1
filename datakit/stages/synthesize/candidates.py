"""What the miner's rules hand over: one possible task about one document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Protocol

from datakit.stages.synthesize.passages import Page

TASKS = (
    "answer", "check", "cloze", "connective", "continue", "definition", "example", "extract", "heading", "order",
    "question", "reason", "restate", "result", "summary", "term", "title", "when", "write",
)  # fmt: skip
SURE = tuple(task for task in TASKS if task not in ("cloze", "order"))
"""Made unless others are named. A cloze may have two choices that fit, and steps an order that nothing fixes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task of kind `task`: `fields` fill its wording, `passage` is the input ("" for none), `answer` the output.

    `form` names the wordings that suit what is given, where a task has several (`continue sentence`).
    """

    task: str
    passage: str
    answer: str
    fields: dict[str, str]
    form: str = ""


class Rule(Protocol):
    """Finds candidates on a page; passages are at most `limit` characters. All chance comes from `rng`."""

    def __call__(self, page: Page, limit: int, rng: Random) -> Iterator[Candidate]: ...
