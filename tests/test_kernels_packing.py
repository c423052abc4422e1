"""The packing kernel against its plain twin, and the laws of packing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.packing import (
    best_fit,
    best_fit_plain,
    first_fit,
    first_fit_plain,
    grouped,
    lay_out,
    lay_out_plain,
    mark,
    mark_plain,
)
from datakit.schemas import IGNORED

LENGTHS = st.integers(2, 70).flatmap(
    lambda capacity: st.tuples(st.lists(st.integers(1, capacity), max_size=120), st.just(capacity))
)


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
    assert packs <= int(first_fit(lengths, capacity).max()) + 1
    assert lengths.sum() / (packs * capacity) > (0.995 if capacity == 2048 else 0.98)


def test_best_fit_no_rows_gives_no_packs() -> None:
    assert best_fit(np.empty(0, np.int32), 16).tolist() == []


@settings(max_examples=100, deadline=None)
@given(LENGTHS)
def test_first_fit_any_lengths_equals_plain_and_no_row_fits_an_earlier_pack(case: tuple[list[int], int]) -> None:
    lengths, capacity = case
    found = first_fit(np.array(lengths, np.int32), capacity).tolist()
    assert found == first_fit_plain(lengths, capacity)
    assert broken_law(lengths, found, capacity) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=60))
def test_grouped_any_groups_equals_a_stable_sort(groups: list[int]) -> None:
    order, borders = grouped(np.array(groups, np.int32), 7)
    assert order.tolist() == sorted(range(len(groups)), key=lambda row: groups[row])
    assert borders.tolist() == [sum(group < number for group in groups) for number in range(8)]


TOKENS = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(TOKENS, st.integers(0, 59), st.sampled_from(["id", "label"]))
def test_mark_any_tokens_equals_plain_and_a_foreign_label_is_found(
    tokens: list[tuple[int, bool]], place: int, what: str
) -> None:
    ids = np.array([token for token, _ in tokens], np.int32)
    labels = np.array([token if learned else IGNORED for token, learned in tokens], np.int32)
    marked = np.empty(len(ids), np.int32)
    assert mark(ids, labels, marked) == -1
    assert marked.tolist() == mark_plain(ids, labels)
    place %= len(ids)
    if what == "id":
        ids[place] = -1
    else:
        labels[place] = (int(ids[place]) + 1) % 2**31
    assert mark(ids, labels, marked) == place


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(0, 9), st.integers(0, 3))
def test_lay_out_any_rows_equals_plain(case: tuple[list[int], int], pad: int, room: int) -> None:
    lengths, capacity = np.array(case[0], np.int32), case[1]
    pack_of = best_fit(lengths, capacity)
    packs = int(pack_of.max(initial=-1)) + 1
    order, borders = grouped(pack_of, packs)
    edges = np.arange(packs + 1, dtype=np.int64) * (capacity + room)
    tokens = np.arange(100, 100 + lengths.sum(), dtype=np.int32)
    tokens = np.where(tokens % 3 == 0, ~tokens, tokens)
    starts = (np.cumsum(lengths, dtype=np.int64) - lengths)[order]
    given_ = (tokens, starts, lengths[order], borders, edges, pad)
    out = np.full((3, edges[-1] + 2), 77, np.int32)
    learned = lay_out(*given_, out)
    assert ([*out[:, : edges[-1]].tolist(), learned.tolist()]) == list(lay_out_plain(*given_))
    assert (out[:, edges[-1] :] == 77).all()
