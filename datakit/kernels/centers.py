"""k-center greedy: take the row farthest from all rows taken so far, until there are enough (Gonzalez 1985).

    cos(i, c) = v_i . v_c / (|v_i| |v_c|)        near(i) = the largest cosine to a taken row; the smallest goes next

The first is the row nearest the mean of all; ties go to the earlier row. Every prefix of the result is the result for
fewer rows, and no row is farther from the taken ones than twice the best possible (as an angle).

Exact, though most rows are seldom looked at. `near` only grows, so one that was worked out long ago is a lower bound.
The rows with the smallest bounds are the pool; only they are brought up to date after each step, and as long as the
smallest of them is below every bound outside the pool, it is the smallest of all. When it isn't, all rows are compared
with the rows taken meanwhile in one product of matrices, which runs near the processor's peak, and a new pool is drawn.

Cost: O(n k), 0.5 GFLOP for each thousand rows by a thousand. Measured on one core: see tests/bench/bench_select.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
TAKEN = np.float32(2.0)
"""`near` of a row that is taken already: above every cosine."""
LEAST_POOL = 256
"""Rows in the pool, or a sixteenth of all rows where that is more: a pool that stays in the processor's cache."""
_BLOCK = 2048


def spread(vectors: Array, count: int) -> tuple[Array, Array]:
    """`count` row numbers, each the farthest from those before it; and every row's cosine to the nearest of them.

    `vectors`: float32 of whole numbers, see `kernels.vectors`. A row of zeros is like every other row: it goes last.
    """
    scales = _scales(vectors)
    near = np.where(scales > 0, np.float32(-1), np.float32(1)).astype(np.float32)
    taken = [nearest_to_the_mean(vectors, scales)] if count and len(vectors) else []
    near[taken] = TAKEN
    compared = 0
    while len(taken) < min(count, len(vectors)):
        _compare(vectors, scales, near, taken[compared:])
        compared = len(taken)
        pool, limit = _pool(near, max(LEAST_POOL, len(near) // 16))
        taken += _from_pool(vectors[pool], scales[pool], near[pool], limit, count - compared, pool)
        near[taken[compared:]] = TAKEN
    _compare(vectors, scales, near, taken[compared:])
    near[taken] = 1.0
    return np.array(taken, np.int64), near


def nearest_to_the_mean(vectors: Array, scales: Array) -> int:
    """The row with the largest cosine to the sum of all rows; the sums are of whole numbers, so exact."""
    total = vectors.sum(axis=0, dtype=np.float64)
    towards = np.concatenate(
        [vectors[at : at + _BLOCK].astype(np.float64) @ total for at in range(0, len(vectors), _BLOCK)]
    )
    return int(np.argmax(towards * scales))


def _scales(vectors: Array) -> Array:
    """One over the length of each row; 0 for a row of zeros."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1)), 0).astype(np.float32)


def _compare(vectors: Array, scales: Array, near: Array, taken: list[int]) -> None:
    """Bring `near` of all rows up to date with some taken rows."""
    if not taken:
        return
    centers, lengths = vectors[taken].T.copy(), scales[taken]
    for at in range(0, len(vectors), _BLOCK):
        here = slice(at, at + _BLOCK)
        cosines = vectors[here] @ centers
        cosines *= lengths
        np.maximum(near[here], cosines.max(axis=1) * scales[here], out=near[here])


def _pool(near: Array, size: int) -> tuple[Array, float]:
    """The rows with the smallest `near`, the earlier of equal ones, in their order; and the smallest outside."""
    if size >= len(near):
        return np.arange(len(near)), np.inf
    border = np.partition(near, size - 1)[size - 1]
    inside = near < border
    equal = np.flatnonzero(near == border)[: size - int(inside.sum())]
    inside[equal] = True
    return np.flatnonzero(inside), float(near[~inside].min())


def _from_pool(vectors: Array, scales: Array, near: Array, limit: float, most: int, rows: Array) -> list[int]:
    """Rows taken one after the other out of the pool, as long as no row outside can come first; at least one."""
    taken: list[int] = []
    while len(taken) < most:
        place = int(np.argmin(near))
        if near[place] >= TAKEN or (taken and near[place] >= limit):
            break
        taken.append(int(rows[place]))
        cosines = vectors @ vectors[place]
        cosines *= scales[place]
        cosines *= scales
        np.maximum(near, cosines, out=near)
        near[place] = TAKEN
    return taken
