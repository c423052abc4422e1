"""Byte-pair merges against the rule itself, over a dict."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.merging import LONGEST, merged, pair_table

PIECES = st.lists(st.binary(max_size=12).map(lambda raw: bytes(byte % 4 for byte in raw)), max_size=6)
MERGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12, unique=True)


def plain(piece: bytes, merges: list[tuple[int, int]]) -> list[int]:
    """Join the pair of lowest rank, the leftmost of several, as long as there is one."""
    ids, ranks = list(piece), {pair: rank for rank, pair in enumerate(merges)}
    while True:
        found = [(ranks[pair], at) for at, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not found:
            return ids
        rank, at = min(found)
        ids[at : at + 2] = [100 + rank]


def by_kernel(pieces: list[bytes], merges: list[tuple[int, int]]) -> list[list[int] | None]:
    sides = [np.array([pair[side] for pair in merges], np.int64) for side in (0, 1)]
    pairs = pair_table(*sides, 100 + np.arange(len(merges)))
    borders = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    counts, ids = merged(np.frombuffer(b"".join(pieces), np.uint8), borders, np.arange(256), pairs)
    found, at = [], 0
    for count in counts.tolist():
        found.append(ids[at : at + count].tolist() if count >= 0 else None)
        at += max(0, count)
    return found


@settings(max_examples=400, deadline=None)
@given(pieces=PIECES, merges=MERGES)
def test_merged_any_pieces_equal_the_rule(pieces: list[bytes], merges: list[tuple[int, int]]) -> None:
    merges = [tuple(side if side < 4 else 96 + side for side in pair) for pair in merges]
    assert by_kernel(pieces, merges) == [plain(piece, merges) for piece in pieces]


def test_merged_long_pieces_are_left_to_the_library_and_order_matters() -> None:
    merges = [(1, 2), (0, 1)]
    assert by_kernel([b"\0\1\2", b"\0" * (LONGEST + 1), b"\0\1"], merges) == [[0, 100], None, [101]]
    assert by_kernel([b"\0\1\2"], merges[::-1]) == [[100, 2]]  # the planted breach: other ranks, other tokens
