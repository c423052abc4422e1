"""The packing kernel against its plain twin, and the laws of packing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.packing import best_fit, best_fit_plain, lay_out, lay_out_plain

LENGTHS = st.integers(2, 70).flatmap(
    lambda capacity: st.tuples(st.lists(st.integers(1, capacity), max_size=120), st.just(capacity))
)


def first_fit(lengths: Sequence[int], capacity: int) -> int:
    """Packs that first-fit opens, rows in the order given."""
    free: list[int] = []
    for length in lengths:
        for pack, left in enumerate(free):
            if left >= length:
                free[pack] -= length
                break
        else:
            free.append(capacity - length)
    return len(free)


def broken_law(lengths: Sequence[int], pack_of: Sequence[int], capacity: int) -> str | None:
    """The first law of packing that doesn't hold."""
    used: dict[int, int] = {}
    for length, pack in zip(lengths, pack_of, strict=True):
        used[pack] = used.get(pack, 0) + length
    if sorted(used) != list(range(len(used))):
        return "packs are numbered without gaps"
    if any(size > capacity for size in used.values()):
        return "no pack holds more than its capacity"
    low = sorted(used.values())[:2]
    if len(low) == 2 and sum(low) <= capacity:
        return "no two packs would fit into one"
    return None


def alpaca_like(count: int) -> np.ndarray:
    drawn = np.random.default_rng(0).lognormal(4.9, 0.75, count)
    return np.clip(drawn, 8, 2048).astype(np.int32)


@settings(max_examples=150, deadline=None)
@given(LENGTHS)
def test_best_fit_any_lengths_equals_plain_and_keeps_the_laws(case: tuple[list[int], int]) -> None:
    lengths, capacity = case
    found = best_fit(np.array(lengths, np.int32), capacity).tolist()
    assert found == best_fit_plain(lengths, capacity)
    assert broken_law(lengths, found, capacity) is None


@pytest.mark.parametrize(
    ("lengths", "pack_of", "law"),
    [([5, 5], [0, 0], "capacity"), ([3, 3], [0, 1], "fit into one"), ([5, 5], [0, 2], "gaps")],
)
def test_laws_of_packing_planted_breach_is_found(lengths: list[int], pack_of: list[int], law: str) -> None:
    assert law in (broken_law(lengths, pack_of, 8) or "")


@pytest.mark.parametrize("capacity", [2048, 8192])
def test_best_fit_alpaca_like_lengths_is_denser_than_first_fit(capacity: int) -> None:
    lengths = alpaca_like(6000)
    packs = int(best_fit(lengths, capacity).max()) + 1
    assert packs <= first_fit(lengths.tolist(), capacity)
    assert lengths.sum() / (packs * capacity) > (0.995 if capacity == 2048 else 0.98)


def test_best_fit_no_rows_gives_no_packs() -> None:
    assert best_fit(np.empty(0, np.int32), 16).tolist() == []


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(0, 9))
def test_lay_out_any_rows_equals_plain(case: tuple[list[int], int], pad: int) -> None:
    lengths, capacity = np.array(case[0], np.int64), case[1]
    pack_of = best_fit(lengths.astype(np.int32), capacity)
    order = np.argsort(pack_of, kind="stable")
    borders = np.concatenate(([0], np.cumsum(np.bincount(pack_of)))).astype(np.int64)
    tokens = np.arange(100, 100 + lengths.sum(), dtype=np.int32)
    starts = (np.cumsum(lengths) - lengths)[order]
    given_ = (tokens, tokens + 7, starts, lengths[order], borders, capacity, pad)
    for fast, plain in zip(lay_out(*given_), lay_out_plain(*given_), strict=True):
        assert fast.tolist() == plain
