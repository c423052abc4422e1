"""Vectors of small whole numbers, their exact cosines, and rows folded into the most alike row that stays.

A vector is scaled so that its largest number is 127 and rounded to int8. Products of such vectors of up to `WIDEST`
numbers add up below 2^24, so a float32 matrix product gives them exactly: the same cosine, and the same answer, from
any BLAS, number of threads and size of block. Rounding moves a cosine by 0.001 at most, in practice.

Cost: n^2 / 2 cosines; 10 thousand vectors of 384 numbers take about 2 s of one core, 100 thousand 200 s. Memory: the
vectors (384 bytes a row here), and one block of rows against a strip of those that stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LARGEST = 127
WIDEST = (1 << 24) // LARGEST**2
"""Most numbers in a vector whose products are exact in float32: 1040."""
BLOCK, STRIP = 512, 8192
"""Rows that are compared at once, and rows that stay that they are compared with at once."""


def rounded(vectors: Array) -> Array:
    """Float vectors (rows) as int8, each scaled to its own largest number."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.rint(vectors / np.where(largest > 0, largest, 1) * LARGEST).astype(np.int8)


def lengths(vectors: Array) -> Array:
    """The length of each int8 vector; 1 for the zero vector, which is like nothing."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.int64)
    return np.sqrt(np.where(squares > 0, squares, 1).astype(np.float64))


def fold_alike(vectors: Array, threshold: float, *, block: int = BLOCK, strip: int = STRIP) -> tuple[Array, Array]:
    """For each int8 vector, in order, the one before it that it is folded into (-1: it stays), and their cosine.

    A vector goes if a vector before it that stays has a cosine of `threshold` or more with it: into the most alike
    one, the first of them on a tie. So likeness is never handed on from one that went.
    """
    if vectors.shape[1] > WIDEST:
        raise ValueError(f"vectors of {vectors.shape[1]} numbers; products are exact up to {WIDEST}")
    into, value = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors))
    size = lengths(vectors)
    stays = np.empty(0, np.int64)
    for start in range(0, len(vectors), block):
        rows = np.arange(start, min(start + block, len(vectors)))
        found, likeness = _best(vectors, size, rows, stays, strip)
        own = _cosines(vectors, size, rows, rows)
        for i, row in enumerate(rows.tolist()):
            for j in np.flatnonzero(own[i, :i] > likeness[i]).tolist():
                if into[rows[j]] < 0 and own[i, j] > likeness[i]:
                    found[i], likeness[i] = rows[j], own[i, j]
            if likeness[i] >= threshold:
                into[row], value[row] = found[i], likeness[i]
        stays = np.concatenate([stays, rows[into[rows] < 0]])
    return into, value


def _cosines(vectors: Array, size: Array, rows: Array, others: Array) -> Array:
    products = vectors[rows].astype(np.float32) @ vectors[others].astype(np.float32).T
    return products.astype(np.float64) / (size[rows][:, None] * size[others][None, :])


def _best(vectors: Array, size: Array, rows: Array, stays: Array, strip: int) -> tuple[Array, Array]:
    """For some rows the most alike one of those that stay, the first on a tie, and the cosine."""
    found, likeness = np.full(len(rows), -1, np.int64), np.full(len(rows), -np.inf)
    for start in range(0, len(stays), strip):
        others = stays[start : start + strip]
        cosines = _cosines(vectors, size, rows, others)
        best = cosines.argmax(axis=1)
        here = cosines[np.arange(len(rows)), best]
        better = here > likeness
        found[better], likeness[better] = others[best[better]], here[better]
    return found, likeness
