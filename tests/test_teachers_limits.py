"""How fast an endpoint is asked: no minute sees more than its limit, and an overload halves what is in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.teachers.limits import Gate, Pace


@given(st.integers(1, 50), st.lists(st.floats(0, 20), min_size=1, max_size=150))
def test_no_minute_sees_more_requests_than_the_limit(limit: int, gaps: list[float]) -> None:
    pace, now, starts = Pace(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap
        starts.append(now + pace.wait(now))
    for start in starts:
        assert sum(start <= other < start + 60 - 1e-6 for other in starts) <= limit


@given(st.lists(st.integers(1, 400), min_size=2, max_size=80))
def test_no_minute_sees_more_tokens_than_the_limit_and_one_request(amounts: list[int]) -> None:
    pace, starts = Pace(1000), list[float]()
    for amount in amounts:
        starts.append(pace.wait(0.0, amount))
    for start in starts:
        within = [n for other, n in zip(starts, amounts, strict=True) if start <= other < start + 60 - 1e-6]
        assert sum(within) - within[-1] <= 1000


def test_tokens_that_were_not_needed_are_given_back() -> None:
    pace = Pace(600)
    assert pace.wait(0.0, 300) == 0
    pace.give_back(200)
    assert pace.wait(0.0, 1) == pytest.approx(10)
    assert Pace(None).wait(0.0, 10**9) == 0


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def gate(most: int, rpm: float | None = None) -> tuple[Gate, Clock]:
    clock = Clock()
    return Gate(most, Pace(rpm), Pace(None), clock), clock


def run(work: Callable[[], Awaitable[Any]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_requests_a_minute_are_spread_over_it() -> None:
    async def work() -> None:
        way, clock = gate(9, rpm=60)
        began = []
        for _ in range(4):
            began.append(await way.enter(0, clock.sleep))
            way.leave()
        assert began == [0, 1, 2, 3]

    run(work)


def test_overload_halves_what_is_in_flight_once_and_replies_raise_it() -> None:
    async def work() -> None:
        way, clock = gate(8)
        began = [await way.enter(0, clock.sleep) for _ in range(8)]
        clock.now = 1.0
        for start in began:
            way.overloaded(start, 5.0)
            way.leave()
        assert way.allowed == 4, "eight that flew together tell one overload"
        later = await way.enter(0, clock.sleep)
        assert later == 6.0, "the pause is kept"
        way.overloaded(later, 0.0)
        assert way.allowed == 2
        for _ in range(1000):
            way.answered(0)
        assert way.allowed == 8

    run(work)


def test_those_who_wait_for_a_place_come_in_turn() -> None:
    async def work() -> None:
        way, clock = gate(2)
        entered: list[int] = []

        async def one(number: int) -> None:
            await way.enter(0, clock.sleep)
            entered.append(number)
            await asyncio.sleep(0)
            way.leave()

        await asyncio.gather(*(one(number) for number in range(50)))
        assert entered == list(range(50))
        assert way.flying == 0

    run(work)


def test_who_gives_up_while_waiting_frees_the_place() -> None:
    async def refuse(seconds: float) -> None:
        raise InterruptedError

    async def work() -> None:
        way, clock = gate(1, rpm=1)
        await way.enter(0, clock.sleep)
        way.leave()
        with pytest.raises(InterruptedError):
            await way.enter(0, refuse)
        assert way.flying == 0

    run(work)
