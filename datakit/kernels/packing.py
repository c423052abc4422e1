"""Packing rows of tokens into rows of one length: which row goes where, and laying the tokens out.

Best-fit decreasing: the longest row first, each into the fullest pack that still holds it (Johnson 1974: at most 11/9
of the best possible number of packs, plus a constant; on instruction data the packs come out 99.9 % full). Rows of the
same length go in order, so equal lengths in give equal packs out.

    free places left     0   1   2   3  ...  capacity        a tree over these says in log2(capacity) steps which is the
    packs with that   [ 7 ] [ ] [4,9][ ] ... [    ]          smallest number of free places >= n that some pack has

Cost: O(rows x log capacity); 30 bytes a row. The plain versions below each kernel say what it must give.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import pairwise
from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.schemas import IGNORED

_IGNORED = np.int32(IGNORED)


@kernel
def best_fit(lengths, capacity):  # type: ignore[no-untyped-def]
    """The pack of every row (int32), by best-fit decreasing; `lengths` (int32) must be between 1 and `capacity`.

    Packs are numbered in the order in which they are opened, so pack 0 holds the longest row.
    """
    count = len(lengths)
    order = _longest_first(lengths, capacity)
    leaves = 1
    while leaves < capacity + 1:
        leaves *= 2
    tree = np.zeros(2 * leaves, np.bool_)  # whether some pack under this node has as many free places
    head = np.full(capacity + 1, -1, np.int32)  # free places -> the last pack that got there
    below = np.full(count, -1, np.int32)  # the pack under it
    pack_of = np.empty(count, np.int32)
    packs = 0
    for place in range(count):
        row = order[place]
        need = lengths[row]
        free = _first_at_least(tree, leaves, need)
        if free < 0:
            pack = packs
            packs += 1
            free = capacity
        else:
            pack = head[free]
            head[free] = below[pack]
            if head[free] < 0:
                _clear(tree, leaves + free)
        pack_of[row] = pack
        left = free - need
        if left > 0:
            below[pack] = head[left]
            head[left] = pack
            node = leaves + left
            while node >= 1 and not tree[node]:
                tree[node] = True
                node //= 2
    return pack_of


def best_fit_plain(lengths: Any, capacity: int) -> list[int]:
    """What `best_fit` gives, in plain Python: among equally full packs, the one that got there last."""
    fullness: list[tuple[int, int, int]] = []  # (free places, -time it got there, pack)
    pack_of = [0] * len(lengths)
    packs = 0
    for time, row in enumerate(sorted(range(len(lengths)), key=lambda row: -lengths[row])):
        need = int(lengths[row])
        at = bisect_left(fullness, (need, -len(lengths) - 1, -1))
        if at == len(fullness):
            free, pack, packs = capacity, packs, packs + 1
        else:
            free, _, pack = fullness.pop(at)
        pack_of[row] = pack
        if free - need > 0:
            insort(fullness, (free - need, -time, pack))
    return pack_of


@kernel
def lay_out(ids, labels, starts, lengths, borders, capacity, pad):  # type: ignore[no-untyped-def]
    """Packs as three flat int32 arrays of `capacity` places each: input ids, labels, position ids.

    `ids` and `labels` hold all tokens; row i is `starts[i]` and `lengths[i]` (int64), and pack p holds the rows
    `borders[p]:borders[p + 1]`. Position ids restart at every row and at the pad; the label of a row's first token is
    -100, because it would be predicted from its neighbour; the pad is never learned.
    """
    packs = len(borders) - 1
    out_ids = np.full(packs * capacity, pad, np.int32)
    out_labels = np.full(packs * capacity, _IGNORED, np.int32)
    out_places = np.empty(packs * capacity, np.int32)
    for pack in range(packs):
        at = pack * capacity
        end = at + capacity
        for row in range(borders[pack], borders[pack + 1]):
            start = starts[row]
            for place in range(lengths[row]):
                out_ids[at + place] = ids[start + place]
                out_labels[at + place] = labels[start + place] if place else _IGNORED
                out_places[at + place] = place
            at += lengths[row]
        for place in range(end - at):
            out_places[at + place] = place
    return out_ids, out_labels, out_places


def lay_out_plain(
    ids: Any, labels: Any, starts: Any, lengths: Any, borders: Any, capacity: int, pad: int
) -> tuple[list[int], list[int], list[int]]:
    """What `lay_out` gives, in plain Python."""
    out_ids: list[int] = []
    out_labels: list[int] = []
    out_places: list[int] = []
    for first, last in pairwise(borders):
        used = 0
        for row in range(first, last):
            span = slice(int(starts[row]), int(starts[row]) + int(lengths[row]))
            out_ids += [int(token) for token in ids[span]]
            out_labels += [IGNORED, *(int(label) for label in labels[span][1:])]
            out_places += range(int(lengths[row]))
            used += int(lengths[row])
        rest = capacity - used
        out_ids += [pad] * rest
        out_labels += [IGNORED] * rest
        out_places += range(rest)
    return out_ids, out_labels, out_places


@kernel
def _longest_first(lengths, capacity):  # type: ignore[no-untyped-def]
    """Rows by falling length, equal lengths in order (a counting sort)."""
    at = np.zeros(capacity + 2, np.int64)
    for length in lengths:
        at[capacity - length + 1] += 1
    for place in range(1, capacity + 2):
        at[place] += at[place - 1]
    order = np.empty(len(lengths), np.int64)
    for row in range(len(lengths)):
        slot = capacity - lengths[row]
        order[at[slot]] = row
        at[slot] += 1
    return order


@kernel
def _first_at_least(tree, leaves, need):  # type: ignore[no-untyped-def]
    """The smallest leaf >= `need` that is set, -1 if there is none."""
    node = leaves + need
    if tree[node]:
        return need
    while node > 1:
        if node % 2 == 0 and tree[node + 1]:
            node += 1
            while node < leaves:
                node *= 2
                if not tree[node]:
                    node += 1
            return node - leaves
        node //= 2
    return -1


@kernel
def _clear(tree, node):  # type: ignore[no-untyped-def]
    """Unset a leaf, and every node above it that has nothing left under it."""
    tree[node] = False
    node //= 2
    while node >= 1 and not tree[2 * node] and not tree[2 * node + 1]:
        tree[node] = False
        node //= 2
