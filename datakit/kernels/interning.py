"""A table of pieces: each different piece of text is met by its number, and has its tokens looked up but once.

    numbers = intern(data, starts, ends, slots, hashes, borders, keys, known)    # new pieces get the next numbers
    ids, sizes = gather(numbers, token_borders, token_ids, token_sizes)

An open-addressed hash table over byte strings (linear probing, twice as many slots as pieces), compared byte by byte:
no two pieces share a number. The arrays are the caller's, who makes them large enough first (`Pieces` in
datakit.tokenizers.pieces). Reference: a dict. Cost: about 30 ns a piece that is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.kernels.piecehash import hash_piece

EMPTY = -1


@kernel
def _same(data: Any, i: int, keys: Any, at: int, size: int) -> bool:
    k = 0
    while k < size and data[i + k] == keys[at + k]:
        k += 1
    return k == size


@kernel
def intern(data: Any, starts: Any, ends: Any, slots: Any, hashes: Any, borders: Any, keys: Any, known: int) -> Any:
    """The number of every piece `data[starts[k]:ends[k]]`. Piece n lies in `keys[borders[n]:borders[n + 1]]`; those
    from `known` on are new: they are written there, and `len(numbers found)` of them must fit."""
    numbers = np.empty(len(starts), np.int64)
    mask = np.uint64(len(slots) - 1)
    for k in range(len(starts)):
        i, end = starts[k], ends[k]
        size, value = end - i, hash_piece(data, i, end)[0]
        slot = value & mask
        while True:
            number = slots[slot]
            if number == EMPTY:
                slots[slot], hashes[known] = known, value
                at = borders[known]
                for place in range(size):
                    keys[at + place] = data[i + place]
                borders[known + 1] = at + size
                number, known = known, known + 1
                break
            at = borders[number]
            if hashes[number] == value and borders[number + 1] - at == size and _same(data, i, keys, at, size):
                break
            slot = (slot + np.uint64(1)) & mask
        numbers[k] = number
    return numbers


@kernel
def refill(slots: Any, hashes: Any, known: int) -> None:
    """Put the first `known` pieces into empty slots."""
    mask = np.uint64(len(slots) - 1)
    for number in range(known):
        slot = hashes[number] & mask
        while slots[slot] != EMPTY:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number


@kernel
def gather(numbers: Any, counts: Any, borders: Any, ids: Any, sizes: Any) -> tuple[Any, Any, Any]:
    """The tokens of stretches of pieces, end to end: ids, bytes that each covers, and tokens of each stretch.

    Stretch k has the next `counts[k]` numbers; piece n has the tokens `borders[n]:borders[n + 1]`.
    """
    total = 0
    for number in numbers:
        total += borders[number + 1] - borders[number]
    found, covered = np.empty(total, np.int32), np.empty(total, np.int32)
    tokens = np.zeros(len(counts), np.int64)
    at = place = 0
    for k in range(len(counts)):
        first = at
        for _ in range(counts[k]):
            number = numbers[place]
            place += 1
            for token in range(borders[number], borders[number + 1]):
                found[at], covered[at] = ids[token], sizes[token]
                at += 1
        tokens[k] = at - first
    return found, covered, tokens
