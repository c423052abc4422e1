"""ROUGE-L's nearest list: the kernel equals the textbook table, for short lists and long, at ties and beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.subsequences import (
    WORDS,
    in_common,
    longest_in_python,
    most_alike,
    most_alike_in_python,
    set_marks,
)

LISTS = st.lists(st.integers(0, 6), max_size=9)
LONG = st.builds(lambda seed, size, kinds: np.random.default_rng(seed).integers(0, kinds, size).tolist(),
                 st.integers(0, 999), st.integers(0, 200), st.sampled_from([3, 40, 900]))  # fmt: skip


def kernel(
    one: list[int], others: list[list[int]], least: int, published: bool, blind: bool = False
) -> tuple[int, int]:
    """The kernel's answer; `blind` forgets the earlier lists' marks, a planted breach."""
    flat = np.array([code for other in others for code in other] or [0], np.int32)
    starts = np.cumsum([0, *map(len, others)])
    slots = np.full(1000, -1, np.int32)
    marks = np.zeros((max(1, len(others)), WORDS), np.uint64)
    crowded = np.zeros(max(1, len(others)), np.int32)
    for row, other in enumerate(others):
        crowded[row] = set_marks(np.array(other, np.int32), slots, marks[row])
    if blind:
        marks[:] = 0
    codes = np.array(one, np.int32)
    found: Any = most_alike(codes, slots, flat, starts, marks, crowded, len(others), least, published)
    assert (slots == -1).all()
    return int(found[0]), int(found[1])


@settings(max_examples=400, deadline=None)
@given(LISTS, st.lists(LISTS, max_size=8), st.sampled_from([0, 1, 500, 600, 700, 800, 1000]), st.booleans())
def test_nearest_short_lists_equal_the_textbook(
    one: list[int], others: list[list[int]], least: int, published: bool
) -> None:
    assert kernel(one, others, least, published) == most_alike_in_python(one, others, least, published)


@settings(max_examples=150, deadline=None)
@given(LONG, LONG, st.sampled_from([0, 300, 700]), st.booleans(), st.data())
def test_nearest_long_lists_equal_the_textbook(
    one: list[int], other: list[int], least: int, published: bool, data: Any
) -> None:
    """Beyond 64 tokens the comparison carries from word to word; a near copy is put beside the stranger."""
    place = data.draw(st.integers(0, len(one)))
    near = one[:place] + one[place + 1 :] + [901]
    others = [other, near, other[:70]]
    assert kernel(one, others, least, published) == most_alike_in_python(one, others, least, published)


def tie(m: int, n: int) -> tuple[list[int], list[int]]:
    """Two lists of m and n tokens whose F is exactly 0.7."""
    common = 7 * (m + n) // 20
    return [*range(common), *range(300, 300 + m - common)], [*range(common), *range(600, 600 + n - common)]


TIES = [(m, n) for m in range(1, 151) for n in range(m, 151) if 7 * (m + n) % 20 == 0 and 7 * (m + n) // 20 <= m]


def test_every_tie_is_new_by_integers_and_as_the_floats_fall_by_the_published_rule() -> None:
    """All pairs of lengths up to 150: equal to the threshold is new; the published rounding lets about half in."""
    by_floats = 0
    for m, n in TIES:
        one, other = tie(m, n)
        assert kernel(one, [other], 700, False) == (-1, 0)
        common = len(set(one) & set(other))
        precision, recall = common / n, common / m
        above = 2 * precision * recall / (precision + recall) > 0.7
        by_floats += above
        assert (kernel(one, [other], 700, True)[0] == 0) == above
        if common < m:
            assert kernel(one, [[*one[: common + 1], *other[common + 1 :]]], 700, False) == (0, common + 1)
    assert 0 < by_floats < len(TIES)


def test_first_of_the_most_alike_is_named() -> None:
    assert kernel([1, 2, 3, 4], [[1, 2, 3, 9], [1, 2, 3, 4], [1, 2, 3, 4]], 700, False) == (1, 4)


@pytest.mark.parametrize("others", [[], [[]], [[], []]])
def test_nothing_is_like_nothing(others: list[list[int]]) -> None:
    assert kernel([], others, 0, False) == kernel([1], others, 0, True) == (-1, 0)


def test_planted_breach_lost_marks_lose_a_repeat() -> None:
    one = list(range(10))
    assert kernel(one, [one], 700, False) != kernel(one, [one], 700, False, blind=True)


@given(LONG, LONG)
def test_tokens_in_common_bound_the_subsequence(one: list[int], other: list[int]) -> None:
    assert longest_in_python(one[:60], other[:60]) <= in_common(one[:60], other[:60])
