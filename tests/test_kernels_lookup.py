"""The lookup kernel against plain Python, over tables small enough that rows meet by chance."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datakit.kernels import lookup

Array = np.ndarray[Any, Any]


def case(seed: int, stored: int, fresh: int, kinds: int) -> tuple[Array, Array, Array, Array, Array]:
    """Lookup tables, wanted keys, fresh and stored signatures, hidden rows; few kinds of values: many meetings."""
    stream = np.random.default_rng(seed)
    old, new = (stream.integers(0, kinds, (count, 6)).astype(np.uint32) for count in (stored, fresh))
    tables = np.stack([lookup.sorted_table(old[:, 2 * table] * 7 + old[:, 2 * table + 1]) for table in range(3)])
    wanted = np.stack([new[:, 2 * table] * 7 + new[:, 2 * table + 1] for table in range(3)])
    return tables, wanted, new, old, np.flatnonzero(stream.random(stored) < 0.2)


@given(
    seed=st.integers(0, 10**6),
    stored=st.integers(1, 60),
    fresh=st.integers(0, 8),
    kinds=st.integers(1, 4),
    least=st.integers(0, 6),
    most=st.integers(1, 12),
    tried=st.integers(1, 9),
    share=st.floats(0, 1),
)
def test_candidates_equal_plain_python(
    seed: int, stored: int, fresh: int, kinds: int, least: int, most: int, tried: int, share: float
) -> None:
    tables, wanted, new, old, hidden = case(seed, stored, fresh, kinds)
    end = int(stored * share)
    expected = lookup.candidates_in_python(tables, wanted, new, old, hidden, end, least, most, tried)
    found, agreed, crowded = lookup.candidates_among(
        tables, lookup.places_of(tables, wanted), wanted, new, old, hidden, end, least, most, tried
    )
    told = [
        [(int(row), int(equal)) for row, equal in zip(rows, equals, strict=True) if row >= 0]
        for rows, equals in zip(found, agreed, strict=True)
    ]
    assert told == expected
    everybody = lookup.candidates_in_python(tables, wanted, new, old, hidden, end, least, stored, stored)
    assert all(crowd or told[i] == everybody[i] for i, crowd in enumerate(crowded))


def test_table_leads_from_every_key_to_its_rows() -> None:
    table = lookup.sorted_table(np.array([9, 2, 9, 0, 2**32 - 1, 9], np.uint32))
    told = [(int(item >> lookup.KEY), int(item & lookup.ROW)) for item in table]
    assert told == [(0, 3), (2, 1), (9, 0), (9, 2), (9, 5), (2**32 - 1, 4)]
    assert lookup.places_of(table[None], np.array([[9, 1, 2**32 - 1]], np.uint32)).tolist() == [[2, 1, 5]]


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), min_size=1, max_size=8), st.randoms())
def test_gathered_stretches_are_those_asked_for_in_their_order(stretches: list[list[int]], stream: Random) -> None:
    places = np.cumsum([0, *map(len, stretches)])
    flat = np.array([item for stretch in stretches for item in stretch], np.uint32)
    rows = [stream.randrange(len(stretches)) for _ in range(stream.randrange(6))]
    expected = [item for row in rows for item in stretches[row]]
    assert lookup.gathered(flat, places, np.array(rows, np.int64)).tolist() == expected
