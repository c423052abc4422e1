"""The engine under all recipes that ask a teacher: rounds of requests, decisions in their order, counted faults.

A recipe is a generator for each thing that it asks about. It yields requests, is sent their replies, and ends with what
came of it: drafts of rows, or the names of the faults for which one was refused. A round runs some of them abreast:

    asking 0    request ─┐             ┌─ reply, request ─┐             ┌─ reply -> drafts and faults
    asking 1    request ─┼─> teacher ──┼─ reply, request ─┼─> teacher ──┼─ reply -> drafts and faults
    asking 2    request ─┘             └─ reply, request ─┘             └─ reply -> drafts and faults

Replies may arrive in any order; they are looked at in the order of the askings. So what comes out depends on the seed,
the rows and the replies, never on which reply came first. Every fault is counted under its name, nothing raises on a
bad reply. When `max_requests` or the budget is used up, what is not asked is `not_asked`, and the generation ends
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

from datakit.canon import key_of
from datakit.stages.synthesize.prompting import Prompts
from datakit.stages.synthesize.rows import Draft, example_row
from datakit.teachers import RAW, Reply, Request
from datakit.teachers.metered import OVER, Metered

Found = list["Draft | str"]
"""What an asking ends with, in order: drafts, and names of faults in the place of drafts."""
Asking = Generator[Sequence[Request], Sequence[Reply], Found]
Ask = Callable[[Sequence[Request]], Sequence[Reply]]
T = TypeVar("T")
NOT_ASKED, NO_REPLY, CUT = "not_asked", "no_reply", "cut"
REFUSED = ("too_long", "content_filter")
"""What an endpoint says of one request that it won't answer; the fault has the same name."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn, and how many requests may be sent."""

    max_requests: int = 500
    max_tokens: int = 1024
    temperature: float = 0.7
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    structured: bool = True


@dataclass(slots=True)
class Session:
    """The state of one generation."""

    recipe: str
    teacher: Metered
    teacher_identity: dict[str, Any]
    prompts: Prompts
    sampling: Sampling
    seed: int
    rows: int | None = None
    """How many rows are wanted; None: as many as come."""
    licence: str | None = None
    counters: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    made: int = 0
    spent: bool = False
    """Whether a request was not sent: nothing more is asked."""
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)

    def rng(self, *parts: Any) -> Random:
        """A random stream of this generation."""
        return Random(key_of(self.seed, self.recipe, *parts))

    def request(
        self,
        prompt: str,
        language: str,
        *,
        about: tuple[str, int] | None = None,
        greedy: bool = False,
        max_tokens: int = 0,
        schema: str = "",
        stop: tuple[str, ...] = (),
        raw: str = "",
        **fields: Any,
    ) -> Request:
        """A request by a prompt, with its fields; greedy ones ask for the likeliest reply.

        `about`: the id of the row that it is about, and its place among the requests of this prompt about it, so that
        the request stays the same whatever other rows there are; without it requests are counted. `raw`: not a
        question but a text to be completed, into which the prompt goes for {system}.
        """
        own, number = about or ("", self.numbers[prompt, language])
        self.numbers[prompt, language] += about is None
        text = self.prompts.text(prompt, language, **fields)
        return Request(
            ((RAW, raw.replace("{system}", text)) if raw else ("user", text),),
            prompt,
            language,
            number,
            max_tokens or self.sampling.max_tokens,
            0.0 if greedy else self.sampling.temperature,
            1.0 if greedy else self.sampling.top_p,
            int(key_of(self.seed, prompt, language, own, number)[:7], 16),
            stop,
            schema if self.sampling.structured else "",
            0.0 if greedy else self.sampling.frequency_penalty,
            0.0 if greedy else self.sampling.presence_penalty,
        )

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Replies in order; requests beyond `max_requests` are not sent."""
        left = max(0, self.sampling.max_requests - self.requests)
        sent = list(requests[:left])
        replies = self.teacher.complete(sent, _nothing) if sent else []
        self.requests += sum(reply.finish_reason != OVER.finish_reason for reply in replies)
        replies = replies + [OVER] * (len(requests) - len(sent))
        for reply in replies:
            self.counters["tokens.in"] += reply.tokens_in
            self.counters["tokens.out"] += reply.tokens_out
            self.spent = self.spent or reply.finish_reason == OVER.finish_reason
        return replies

    def refuse(self, fault: str) -> None:
        """Count a fault."""
        if fault != NOT_ASKED:
            self.counters[f"rejected.{fault}"] += 1

    def accept(self, draft: Draft) -> dict[str, Any] | None:
        """The row of a draft; None if rows are enough or the same row is there already."""
        if self.rows is not None and self.made >= self.rows:
            return None
        row = example_row(draft, self.recipe, self.made, self.licence, self._provenance(draft))
        if row["id"] in self.ids:
            self.refuse("same_row")
            return None
        self.ids.add(row["id"])
        self.made += 1
        self.counters[f"task.{draft.task}"] += 1
        return row

    def _provenance(self, draft: Draft) -> dict[str, str]:
        versions = {self.prompts.named(one.purpose, one.language).version: None for one in draft.requests}
        keys = {key_of("reply", self.teacher_identity, one.shape()): None for one in draft.requests}
        return {
            "synthesize.teacher": ":".join(str(part) for part in self.teacher_identity.values()),
            "synthesize.prompt": " ".join(versions),
            "synthesize.request": " ".join(keys),
        }

    @property
    def done(self) -> bool:
        """Enough rows, or nothing more may be asked."""
        enough = self.rows is not None and self.made >= self.rows
        return enough or self.spent or self.requests >= self.sampling.max_requests


def abreast(ask: Ask, askings: Sequence[Generator[Sequence[Request], Sequence[Reply], T]]) -> list[T]:
    """Run askings side by side, step by step: their requests go out together, their replies come back in order."""
    found: dict[int, T] = {}
    waiting: list[tuple[int, Sequence[Request]]] = []

    def advance(place: int, step: Callable[[], Sequence[Request]]) -> None:
        try:
            waiting.append((place, step()))
        except StopIteration as end:
            found[place] = end.value

    for place, asking in enumerate(askings):
        advance(place, partial(next, asking))
    while waiting:
        replies = iter(ask([request for _, requests in waiting for request in requests]))
        before, waiting[:] = list(waiting), []
        for place, requests in before:
            advance(place, partial(askings[place].send, [next(replies) for _ in requests]))
    return [found[place] for place in range(len(askings))]


def fault_of(reply: Reply) -> str | None:
    """Why a reply can't be used at all, None if it can."""
    if reply.finish_reason == OVER.finish_reason:
        return NOT_ASKED
    if not reply.text.strip():
        return reply.finish_reason if reply.finish_reason in REFUSED else NO_REPLY
    return CUT if reply.finish_reason == "length" else None


def _nothing(place: int, reply: Reply) -> None:
    """What a recipe does when a reply arrives: it waits for the round."""
