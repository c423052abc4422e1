"""Passages of a text: runs of words or syllables long enough to know a text by, and where listed ones occur.

A passage starts at every unit (`script` units of `shingles`) and is as short as it can be with

    number of words / words  +  number of syllables / syllables  >=  1

so it has 8 English words, or 13 Korean syllables (about four words), or a mixture. Cost: 4 ns a byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.kernels.shingles import ALONE, hash_run, hash_units, run_hash, unit_table, units_of

Array = np.ndarray[Any, Any]


def passages_of(folded: str, words: int, syllables: int) -> list[int]:
    """The hashed passages of a folded text in order, in plain Python; none if it is too short for one."""
    table = unit_table("script")
    units = units_of(folded, "script")
    weights = [words if len(unit) == 1 and _alone(table, unit) else syllables for unit in units]
    found, end, weight = [], 0, 0
    for start in range(len(units)):
        while weight < words * syllables and end < len(units):
            weight += weights[end]
            end += 1
        if weight < words * syllables:
            break
        found.append(run_hash(units[start:end]))
        weight -= weights[start]
    return found


def _alone(table: Array, char: str) -> bool:
    point = ord(char)
    return bool((table[point] if point < len(table) else table[0x4E00]) == ALONE)


@kernel
def find_passages(
    offsets: Any, data: Any, table: Any, words: int, syllables: int, listed: Any, sieve: Any
) -> tuple[Any, Any, Any]:
    """Where listed passages occur in folded texts: pairs of a text's number and a place in `listed` (sorted hashes).
    And how many passages, listed or not, each text has.

    `sieve` is a byte array, a power of two long, that is 1 at `hash % len(sieve)` of every listed hash.
    """
    longest = 1
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    units, alone = np.empty(longest, np.uint64), np.empty(longest, np.bool_)
    rows, places, count = np.empty(1024, np.int64), np.empty(1024, np.int64), 0
    mask, enough = np.uint64(len(sieve) - 1), words * syllables
    passages = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(offsets) - 1):
        total = hash_units(data, offsets[row], offsets[row + 1], table, units, alone)
        end, weight = 0, 0
        for start in range(total):
            while weight < enough and end < total:
                weight += words if alone[end] else syllables
                end += 1
            if weight < enough:
                break
            weight -= words if alone[start] else syllables
            passages[row] += 1
            hashed = hash_run(units, start, end - start)
            if not sieve[hashed & mask]:
                continue
            place = np.searchsorted(listed, hashed)
            if place < len(listed) and listed[place] == hashed:
                if count == len(rows):
                    rows, places = _wider(rows), _wider(places)
                rows[count], places[count] = row, place
                count += 1
    return rows[:count], places[:count], passages


@kernel
def _wider(array: Any) -> Any:
    wider = np.empty(2 * len(array), np.int64)
    wider[: len(array)] = array
    return wider


def sieve_of(listed: Array) -> Array:
    """The byte array that lets `find_passages` pass over most hashes without a search."""
    size = 1 << max(16, (16 * len(listed)).bit_length())
    sieve = np.zeros(size, np.uint8)
    sieve[(listed & np.uint64(size - 1)).astype(np.int64)] = 1
    return sieve
