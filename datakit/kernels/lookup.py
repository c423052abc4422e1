"""Looking rows up among rows that are stored: sorted tables of 32-bit keys, one a band, over memory-mapped arrays.

    lookup[t]   key * 2^32 + row for all rows, ascending: under one key the rows follow one another, the first one first

A row that shares a key with a stored one is a candidate; the signatures of the two say how alike they look. Two keys of
different bands' values are equal by chance once in 2^32, which costs one comparison of signatures.

Both ends of a crowd are bounded: of the stored rows under one key the `most` oldest are looked at, and of all rows that
look alike the `tried` most alike are returned (the older on a tie). Who was left out is told.

Cost: a binary search a table, which ends on the page that holds keys and rows; and about 30 ns for each stored row
looked at, if its page is in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel

Array = np.ndarray[Any, Any]
KEY, ROW = np.uint64(32), np.uint64(0xFFFFFFFF)
"""Where the key stands in an item of a table, and the row."""


@kernel
def is_in(value: int, ascending: Any) -> Any:
    """Whether a sorted array holds a value."""
    place = np.searchsorted(ascending, value)
    return place < len(ascending) and ascending[place] == value


@kernel
def agreement_across(fresh: Any, one: int, stored: Any, other: int) -> int:
    """In how many places row `one` of a matrix agrees with row `other` of another."""
    equal = 0
    for k in range(fresh.shape[1]):
        equal += fresh[one, k] == stored[other, k]
    return equal


@kernel
def _ranked(rows: Any, agreed: Any, count: int, row: int, equal: int) -> int:
    """Put a row into its place among the most alike ones, the older first on a tie; the last may fall out."""
    place = min(count, len(rows) - 1)
    if count == len(rows) and (agreed[place] > equal or (agreed[place] == equal and rows[place] < row)):
        return count
    while place > 0 and (agreed[place - 1] < equal or (agreed[place - 1] == equal and rows[place - 1] > row)):
        rows[place], agreed[place] = rows[place - 1], agreed[place - 1]
        place -= 1
    rows[place], agreed[place] = row, equal
    return min(count + 1, len(rows))


@kernel
def candidates_among(
    lookup: Any,
    left: Any,
    wanted: Any,
    fresh: Any,
    stored: Any,
    hidden: Any,
    end: int,
    least: int,
    most: int,
    tried: int,
) -> tuple[Any, Any, Any]:
    """Stored rows that look like each fresh row, the most alike first: (fresh rows x `tried`, -1: none), in how many
    places they agree, and whether somebody was left out.

    `wanted[t, i]` is the key of fresh row i in table t, `left[t, i]` the first place in the table where it could stand.
    Stored rows from `end` on and those in `hidden` (sorted) are passed over. A candidate needs `least` equal places.
    """
    tables, count = wanted.shape
    found, agreed = np.full((count, tried), -1, np.int64), np.zeros((count, tried), np.int64)
    crowded = np.zeros(count, np.bool_)
    for i in range(count):
        listed = 0
        for table in range(tables):
            place, seen = left[table, i], 0
            while place < lookup.shape[1] and lookup[table, place] >> KEY == wanted[table, i]:
                row = np.int64(lookup[table, place] & ROW)
                place += 1
                if row >= end or is_in(row, hidden):
                    continue
                if seen == most:
                    crowded[i] = True
                    break
                seen += 1
                equal = agreement_across(fresh, i, stored, row)
                known = equal < least
                for k in range(listed):
                    known |= found[i, k] == row
                if not known:
                    crowded[i] |= listed == tried
                    listed = _ranked(found[i], agreed[i], listed, row, equal)
    return found, agreed, crowded


def candidates_in_python(
    lookup: Array,
    wanted: Array,
    fresh: Array,
    stored: Array,
    hidden: Array,
    end: int,
    least: int,
    most: int,
    tried: int,
) -> list[list[tuple[int, int]]]:
    """The same in plain Python, (row, agreement) for each fresh row: what the kernel is held to."""
    found = []
    for i in range(len(fresh)):
        alike: set[tuple[int, int]] = set()
        for keys, rows, key in zip(lookup >> KEY, lookup & ROW, wanted[:, i], strict=True):
            under = [int(row) for row in rows[keys == key] if row < end and row not in hidden]
            alike |= {(row, int((stored[row] == fresh[i]).sum())) for row in under[:most]}
        best = sorted((pair for pair in alike if pair[1] >= least), key=lambda pair: (-pair[1], pair[0]))
        found.append(best[:tried])
    return found


@kernel
def gathered(flat: Any, places: Any, rows: Any) -> Any:
    """Some stretches of a flat array end to end; stretch r is flat[places[r]:places[r + 1]]."""
    size = 0
    for row in rows:
        size += places[row + 1] - places[row]
    out, to = np.empty(size, np.uint32), 0
    for row in rows:
        for place in range(places[row], places[row + 1]):
            out[to] = flat[place]
            to += 1
    return out


def places_of(lookup: Array, wanted: Array) -> Array:
    """For every table and key the first place where it could stand. Keys are searched in their order: pages are
    touched one after the other."""
    left = np.empty(wanted.shape, np.int64)
    for table, keys in enumerate(wanted):
        order = np.argsort(keys, kind="stable")
        left[table, order] = np.searchsorted(lookup[table], keys[order].astype(np.uint64) << KEY)
    return left


def sorted_table(keys: Array) -> Array:
    """The table of some 32-bit keys, given in the order of rows."""
    return np.sort((keys.astype(np.uint64) << KEY) | np.arange(len(keys), dtype=np.uint64))
