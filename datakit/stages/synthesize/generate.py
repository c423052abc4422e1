"""The loop that the generating recipes share: rounds of requests, decisions in their order, a growing pool.

    round r:  requests k .. k+window-1, each seeing only what was accepted before the round
              -> replies, in any order of arrival -> read in the order of the requests -> faults, novelty -> accepted

So what is accepted depends on the seed, the seed tasks and the replies, never on which reply came first. Every fault is
counted under its name; nothing raises on a bad reply. The loop ends when enough rows are there, when `max_requests` is
used up, or when two rounds in a row bring nothing new.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from datakit.canon import canonical, key_of
from datakit.errors import SourceError
from datakit.schemas import row_id
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written
from datakit.teachers import Reply, Request, Teacher

LEAST_SAME_OUTPUT = 40
"""Outputs of this many characters and more may stand once only; short ones (labels, yes, numbers) recur rightly."""
IDLE_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Seed:
    """A task that somebody wrote, or a row that came in."""

    id: str
    language: str
    task: Written
    is_classification: bool = False
    human: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task that was let in: with the ids of the tasks that its prompt showed."""

    id: str
    language: str
    task: Written
    kind: str
    made_with: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """The stage's settings that the generating recipes need."""

    recipe: str
    rows: int
    languages: tuple[str, ...]
    window: int
    max_requests: int
    max_tokens: int
    temperature: float
    top_p: float
    novelty: float
    seed: int


@dataclass(slots=True)
class Session:
    """The state of one generation."""

    settings: GenerateSettings
    teacher: Teacher
    seeds: Sequence[Seed]
    tell: Callable[[str], None]
    pool: Pool = field(init=False)
    accepted: list[Accepted] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    spent_up: bool = False
    """Whether the budget had no room for a request."""
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    outputs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pool = Pool(self.settings.novelty)
        for seed in self.seeds:
            self.pool.add(seed.task.instruction, seed.id)

    def rng(self, *parts: Any) -> Random:
        """A random stream of this generation."""
        return Random(key_of(self.settings.seed, self.settings.recipe, *parts))

    def request(
        self, purpose: str, language: str, prompt: str, *, greedy: bool = False, max_tokens: int = 0
    ) -> Request:
        """The next request of a purpose; greedy ones ask for the likeliest reply."""
        number = self.numbers[purpose, language]
        self.numbers[purpose, language] += 1
        settings = self.settings
        return Request(
            (("user", prompt),),
            purpose,
            language,
            number,
            max_tokens or settings.max_tokens,
            0.0 if greedy else settings.temperature,
            1.0 if greedy else settings.top_p,
            int(key_of(settings.seed, purpose, language, number)[:7], 16),
        )

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Replies in order; requests beyond `max_requests` are not sent and get the empty reply."""
        left = max(0, self.settings.max_requests - self.requests)
        sent = list(requests[:left])
        self.requests += len(sent)
        replies = self.teacher.complete(sent, _nothing) if sent else []
        self.spent_up |= any(reply.finish_reason == "budget" for reply in replies)
        for reply in replies:
            self.counters["tokens.in"] += reply.tokens_in
            self.counters["tokens.out"] += reply.tokens_out
            if not reply.text.strip() and reply.finish_reason != "budget":
                self.counters["rejected.no_reply"] += 1
        return replies + [Reply("", "none")] * (len(requests) - len(sent))

    def admits(self, instruction: str, language: str) -> bool:
        """Whether an instruction is sound and new; if it is, it is in the pool from now on."""
        fault = instruction_fault(instruction, language)
        if fault is None and self.pool.nearest(instruction) is not None:
            fault = "repeat"
        if fault is not None:
            self.counters[f"rejected.{fault}"] += 1
            return False
        self.pool.add(instruction, f"candidate-{len(self.pool.ids)}")
        return True

    def accept(self, task: Written, language: str, kind: str, made_with: tuple[str, ...]) -> bool:
        """Take a whole task as a row, unless its answer is at fault or rows are enough."""
        if len(self.accepted) >= self.settings.rows:
            return False
        fault = instance_fault(task, language)
        if fault is None and len(task.output) >= LEAST_SAME_OUTPUT and task.output in self.outputs:
            fault = "same_output"
        if fault is not None:
            self.counters[f"rejected.{fault}"] += 1
            return False
        self.outputs.add(task.output)
        made_by = f"synthesize/{self.settings.recipe}/{kind}"
        made = row_id(made_by, canonical([task.instruction, task.input, task.output]))
        self.accepted.append(Accepted(made, language, task, kind, made_with))
        self.counters[f"task.{kind}"] += 1
        return True

    @property
    def done(self) -> bool:
        """Enough rows, no request left, or no room in the budget."""
        spent = self.spent_up or self.requests >= self.settings.max_requests
        return spent or len(self.accepted) >= self.settings.rows


class Round(Protocol):
    """One round of a recipe in one language."""

    def __call__(self, session: Session, number: int, language: str) -> None: ...


def generate(session: Session, one_round: Round) -> list[Accepted]:
    """Rounds until the session is done; the languages take turns."""
    idle, number = 0, 0
    while not session.done and idle < IDLE_ROUNDS * len(session.settings.languages):
        before = len(session.accepted)
        one_round(session, number, session.settings.languages[number % len(session.settings.languages)])
        idle = idle + 1 if len(session.accepted) == before else 0
        number += 1
        session.tell(f"{session.settings.recipe}: {len(session.accepted)} rows from {session.requests} requests")
    return session.accepted


def read_seeds(path: str) -> list[Seed]:
    """Seed tasks from JSON lines: id, language, instruction, instances[{input, output}], is_classification."""
    seeds = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            seeds.append(_seed(json.loads(line), number))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            fix = (
                "a line is {instruction, instances: [{input, output}]}, and better also id, language, is_classification"
            )
            raise SourceError("a seed task can't be read", where=f"{path}:{number}", fix=fix) from error
    return seeds


def _seed(row: dict[str, Any], number: int) -> Seed:
    first = row["instances"][0]
    text = str(row["instruction"])
    language = row.get("language") or ("ko" if any("가" <= character <= "힣" for character in text) else "en")
    task = Written(" ".join(text.split()), str(first.get("input") or ""), str(first["output"]))
    return Seed(str(row.get("id") or f"seed-{number}"), language, task, bool(row.get("is_classification")))


def example_row(accepted: Accepted, settings: GenerateSettings, position: int, licence: str | None) -> dict[str, Any]:
    """An accepted task as an example row; it is its own family, since nothing but seeds stand behind it."""
    task = accepted.task
    asked = f"{task.instruction}\n\n{task.input}" if task.input else task.instruction
    made_by = f"synthesize/{settings.recipe}/{accepted.kind}"
    return {
        "id": accepted.id,
        "source_id": f"{settings.recipe}:{position}",
        "source": f"synthesize/{settings.recipe}",
        "position": position,
        "lang": accepted.language,
        "messages": [
            {"role": "user", "content": asked, "weight": None},
            {"role": "assistant", "content": task.output, "weight": None},
        ],
        "parents": [],
        "made_with": list(accepted.made_with),
        "family": accepted.id,
        "made_by": made_by,
        "licence": licence,
        "synthesize.recipe": settings.recipe,
        "synthesize.task": accepted.kind,
        "synthesize.instruction": task.instruction,
        "synthesize.input": task.input,
    }


def _nothing(place: int, reply: Reply) -> None:
    """What a recipe does when a reply arrives: it waits for the round."""
