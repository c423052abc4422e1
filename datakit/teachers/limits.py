"""How fast an endpoint may be asked: so many requests and tokens a minute, and less at once while it is overloaded.

    Pace   an even flow: whoever takes n has the next one wait n x 60 / limit seconds. So no 60 seconds see more
           requests than the limit, and of tokens no more than the limit and one request.
    Gate   both paces, the pause that an overloaded endpoint asks for, and how many requests may be in flight: halved
           at each overload, grown by a tenth of a request with each reply. So when a pause ends, half of the requests
           that were too many are tried again, not all of them at once.

Tokens are reserved by their worst case and given back when the reply says what it took. Nothing here shapes a reply.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

MINUTE = 60.0
GROWTH = 0.1
"""By how much each reply raises the number in flight: a tenth of them in the time of one reply."""


@dataclass(slots=True)
class Pace:
    """An even flow of so many a minute; None: no limit."""

    per_minute: float | None
    turn: float = 0.0
    """When the next one may go."""

    def wait(self, now: float, amount: float = 1.0) -> float:
        """Seconds until this one may go; those behind it wait for it."""
        if self.per_minute is None:
            return 0.0
        start = max(now, self.turn)
        self.turn = start + amount * MINUTE / self.per_minute
        return start - now

    def give_back(self, amount: float) -> None:
        """Not so many were needed."""
        if self.per_minute is not None:
            self.turn -= amount * MINUTE / self.per_minute


@dataclass(slots=True)
class Gate:
    """Where every try waits for its turn."""

    most: int
    requests: Pace
    tokens: Pace
    clock: Callable[[], float]
    allowed: float = 0.0
    """How many may be in flight now."""
    flying: int = 0
    paused: float = 0.0
    """Until when the endpoint wants to be left alone."""
    cut: float = -1.0
    """When `allowed` was halved last."""
    queue: deque[asyncio.Future[None]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.allowed = float(self.most)

    async def enter(self, tokens: int, sleep: Callable[[float], Awaitable[None]]) -> float:
        """Wait for a turn to ask; returns when it came. `tokens`: the most it may take. `sleep` may raise: give up."""
        while self.flying >= self.allowed:
            await self._next_place()
        self.flying += 1
        try:
            now = self.clock()
            if (wait := max(self.requests.wait(now), self.tokens.wait(now, tokens))) > 0:
                await sleep(wait)
            while (wait := self.paused - self.clock()) > 0:
                await sleep(wait)
        except BaseException:
            self.leave()
            raise
        return self.clock()

    def leave(self) -> None:
        """A try has ended, however."""
        self.flying -= 1
        self._wake()

    def answered(self, unused: int) -> None:
        """It brought a reply, and took so many tokens less than were reserved."""
        self.tokens.give_back(unused)
        self.allowed = min(self.most, self.allowed + GROWTH)
        self._wake()

    def overloaded(self, began: float, pause: float) -> None:
        """A try that began then was turned away as too much. Those that flew with it say nothing new."""
        now = self.clock()
        self.paused = max(self.paused, now + pause)
        if began > self.cut:
            self.cut, self.allowed = now, max(1.0, self.allowed / 2)

    async def _next_place(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self.queue.append(place)
        await place

    def _wake(self) -> None:
        """Call the next in the queue; when it leaves, it calls the one behind it."""
        while self.queue and self.flying < self.allowed:
            if not (place := self.queue.popleft()).done():
                place.set_result(None)
                return
