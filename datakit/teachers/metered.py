"""A teacher with a meter: it keeps to a budget, and says what was spent. Stands in front of all teachers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from datakit.teachers import Arrived, Reply, Request, Teacher
from datakit.teachers.budget import Budget, Price, Spent, affordable

HEARD: ContextVar[list[Request] | None] = ContextVar("datakit_heard", default=None)
"""Where requests are noted instead of asked, while somebody is `listening`."""
OVER = Reply("", "budget")
"""The reply to every request that the budget has no room for."""


class Metered:
    """Lets requests through as far as the budget goes."""

    def __init__(
        self,
        teacher: Teacher,
        budget: Budget | None = None,
        price: Price | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.teacher = teacher
        self.tell = tell
        self.paid = teacher.paid
        self.budget = budget or Budget()
        self.spent = Spent(price)
        self.over = False
        """Whether a request was refused: none is let through any more."""

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """Replies in the order of the requests; `OVER` from the first on that has no room."""
        replies: list[Reply] = []
        while len(replies) < len(requests) and not self.over:
            rest = requests[len(replies) :]
            count = affordable(rest, self.budget, self.spent)
            self.over = not count
            replies += self._ask(rest[:count], len(replies), arrived) if count else []
        for place in range(len(replies), len(requests)):
            arrived(place, OVER)
        return replies + [OVER] * (len(requests) - len(replies))

    def close(self) -> None:
        """Stop what the teacher started, and say what was spent."""
        self.teacher.close()
        if self.tell is not None and self.paid and self.spent.requests:
            self.tell(self.spent.told())

    def _ask(self, requests: Sequence[Request], first: int, arrived: Arrived) -> list[Reply]:
        before = getattr(self.teacher, "reused", 0)
        replies = self.teacher.complete(requests, lambda place, reply: arrived(first + place, reply))
        for request, reply in zip(requests, replies, strict=True):
            self.spent.add(request, reply, self.paid)
        self.spent.from_disk += getattr(self.teacher, "reused", 0) - before
        return replies


class Listener:
    """A teacher that notes what it is asked, and answers nothing."""

    paid = False

    def __init__(self, heard: list[Request]) -> None:
        self.heard = heard

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """Replies without text."""
        self.heard += requests
        replies = [Reply("", "none")] * len(requests)
        for place, reply in enumerate(replies):
            arrived(place, reply)
        return replies

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def listening() -> Iterator[list[Request]]:
    """Every teacher that is opened meanwhile is a Listener; gives the requests that they hear."""
    heard: list[Request] = []
    token = HEARD.set(heard)
    try:
        yield heard
    finally:
        HEARD.reset(token)
