"""Repetition among hashes: which lines, words and n-grams came before, in one table of open addressing.

    scratch           arrays for texts of up to `room` hashes; made once a batch, cleared as far as they are used
    repeats           keys that came before, as a share of the keys and of their sizes
    measure_ngrams    different words, top 2- to 4-grams, repeated 5- to 10-grams

A repeated n-gram begins and ends with a repeated (n-1)-gram, so only positions where both still repeat are looked up
again: of ordinary prose few are left after n = 3, and the table shrinks with them until it lies in the nearest cache.
Cost: about 3.5 ms a MB of prose. The plain-Python meaning stands in kernels/signals_reference.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import inlined, kernel

NGRAMS = 10
_BASE = np.uint64(0xD6E8FEB86659FD93)


@kernel
def scratch(room: int) -> Any:
    """Table of keys, counts by slot, n-gram hashes, living positions, their slots, sums of lengths."""
    size = np.int64(slots_for(room)) + 1
    return (
        np.zeros(size, np.uint64),
        np.empty(size, np.int32),
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room + 1, np.int64),
    )


@kernel
def slots_for(count: int) -> Any:
    """The part of the table that `count` keys need, half of it free."""
    slots = 16
    while slots < 2 * count:
        slots *= 2
    return np.uint64(slots - 1)


@kernel
def cleared(table: Any, count: int) -> Any:
    mask = slots_for(count)
    for k in range(np.int64(mask) + 1):
        table[k] = 0
    return mask


@kernel
def slot_of(key: Any, table: Any, mask: Any) -> Any:
    """The slot of `key`, or the free slot (0) where it belongs."""
    at = key & mask
    stands = table[at]
    while stands != key and stands != 0:
        at = (at + np.uint64(1)) & mask
        stands = table[at]
    return at


@kernel
def repeats(keys: Any, sizes: Any, count: int, table: Any) -> tuple[float, float]:
    """Among `count` keys: the share that came before, and their share of the sizes."""
    if count < 2:
        return 0.0, 0.0
    mask = cleared(table, count)
    again, weight, total = 0, 0, 0
    for k in range(count):
        key = keys[k] | np.uint64(1)
        at = slot_of(key, table, mask)
        total += sizes[k]
        if table[at] == key:
            again += 1
            weight += sizes[k]
        table[at] = key
    return again / count, weight / max(total, 1)


@kernel
def measure_ngrams(hashes: Any, lengths: Any, count: int, scratch: Any, out: Any) -> None:
    """Fill `out`: the share of different words, of characters in the top 2-, 3-, 4-gram, in repeated 5- to 10-grams.

    Top n-grams are counted where they occur at least twice (Gopher's rule counts single ones too, which makes it fail
    every short text). For n >= 5, words of a repeat count once, read from left to right.
    """
    table, counts, grams, living, slots, sums = scratch
    sums[0] = 0
    for k in range(count):
        grams[k], living[k] = np.uint64(0), k
        sums[k + 1] = sums[k] + lengths[k]
    total, alive = max(sums[count], 1), count
    for n in range(1, NGRAMS + 1):
        best, different, alive = count_ngrams(hashes, grams, living, slots, sums, alive, n, table, counts)
        alive = survivors(living, slots, counts, alive)
        if n == 1:
            out[0] = different / max(count, 1)
        elif n <= 4:
            out[n - 1] = best / total
        else:
            out[n - 1] = repeated(living, slots, sums, counts, alive, n) / total
        if alive == 0:
            break


@kernel
def count_ngrams(
    hashes: Any, grams: Any, living: Any, slots: Any, sums: Any, alive: int, n: int, table: Any, counts: Any
) -> tuple[int, int, int]:
    """Count the n-grams at the living positions: the most characters that one of them fills, how many differ, and how
    many positions are left. No branch hangs on whether a word repeats, which is nobody's guess."""
    if n > 1:
        alive = followed(living, alive)
    mask = cleared(table, alive)
    different: Any = 0
    best = 0
    for j in range(alive):
        k = living[j]
        value = grown(grams[k], hashes[k + n - 1])
        grams[k] = value
        key = value | np.uint64(1)
        at = slot_of(key, table, mask)
        slots[j] = at
        again = np.int64(table[at] == key)
        times = counts[at] * again + 1
        table[at], counts[at] = key, times
        different += 1 - again
        best = max(best, (sums[k + n] - sums[k]) * times * again)
    return best, different, alive


@inlined
def grown(gram: Any, word: Any) -> Any:
    """The hash of an n-gram and a word more; 0 is that of no words."""
    value = (gram ^ word) * _BASE
    return value ^ (value >> np.uint64(31))


@kernel
def followed(living: Any, alive: int) -> int:
    """Keep the positions with a living one behind them: of a repeated n-gram both (n-1)-grams repeat."""
    left = 0
    for j in range(alive - 1):
        k, after = living[j], living[j + 1]
        living[left] = k
        left += after == k + 1
    return left


@kernel
def survivors(living: Any, slots: Any, counts: Any, alive: int) -> int:
    """Keep the positions whose n-gram repeats; how many there are."""
    left = 0
    for j in range(alive):
        slot = slots[j]
        living[left], slots[left] = living[j], slot
        left += counts[slot] >= 2
    return left


@kernel
def repeated(living: Any, slots: Any, sums: Any, counts: Any, alive: int, n: int) -> int:
    """Characters in n-grams met before, from left to right; the words of a repeat are passed over."""
    total, free = 0, 0
    for j in range(alive):
        k = living[j]
        if k < free:
            continue
        if counts[slots[j]] > 0:
            counts[slots[j]] = -1  # met
        else:
            total += sums[k + n] - sums[k]
            free = k + n
    return total
