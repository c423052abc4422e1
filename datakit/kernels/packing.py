"""Packing rows of tokens into rows of one length: which row goes where, and laying the tokens out.

Best-fit decreasing: the longest row first, each into the fullest pack that still holds it (Johnson 1974: at most 11/9
of the best possible number of packs, plus a constant; on instruction data the packs come out 99.9 % full). Rows of the
same length go in order, so equal lengths in give equal packs out.

    free places left     0   1   2   3  ...  capacity        a tree over these says in log2(capacity) steps which is the
    packs with that   [ 7 ] [ ] [4,9][ ] ... [    ]          smallest number of free places >= n that some pack has

First-fit: rows in the order in which they come, each into the first pack with room; neighbours stay near each other.

Tokens travel marked, one int32 each: `id` if the token isn't learned, `~id` (below zero) if it is. That halves what is
copied, and a label that is neither its own token nor -100 (shifted labels, say) can't be spelled: `mark` finds it.

Cost: O(rows x log capacity), O(rows x log packs) for first-fit; 12 bytes a row. The plain versions below each kernel
say what it must give.
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
def first_fit(lengths, capacity):  # type: ignore[no-untyped-def]
    """The pack of every row (int32), by first-fit in the order given: the first pack that still has room."""
    count = len(lengths)
    leaves = 1
    while leaves < count:
        leaves *= 2
    most = np.full(2 * leaves, capacity, np.int32)  # the most free places of any pack under this node
    pack_of = np.empty(count, np.int32)
    for row in range(count):
        need = lengths[row]
        node = 1
        while node < leaves:
            node *= 2
            if most[node] < need:
                node += 1
        pack_of[row] = node - leaves
        most[node] -= need
        node //= 2
        while node >= 1:
            most[node] = max(most[2 * node], most[2 * node + 1])
            node //= 2
    return pack_of


def first_fit_plain(lengths: Any, capacity: int) -> list[int]:
    """What `first_fit` gives, in plain Python."""
    free: list[int] = []
    pack_of = []
    for length in lengths:
        pack = next((pack for pack, left in enumerate(free) if left >= length), len(free))
        if pack == len(free):
            free.append(capacity)
        free[pack] -= int(length)
        pack_of.append(pack)
    return pack_of


@kernel
def grouped(group_of, groups):  # type: ignore[no-untyped-def]
    """Rows group by group, in order within a group (int32), and where each group begins (int64, one more at the end).

    A counting sort: what a stable argsort gives, in one pass and half the memory.
    """
    borders = np.zeros(groups + 1, np.int64)
    for group in group_of:
        borders[group + 1] += 1
    for group in range(groups):
        borders[group + 1] += borders[group]
    at = borders[:-1].copy()
    order = np.empty(len(group_of), np.int32)
    for row in range(len(group_of)):
        group = group_of[row]
        order[at[group]] = row
        at[group] += 1
    return order, borders


@kernel
def mark(ids, labels, marked):  # type: ignore[no-untyped-def]
    """Write marked tokens into `marked`; returns the first place with a negative id or a foreign label, -1 if none."""
    wrong = 0
    for place in range(len(ids)):
        token = ids[place]
        learned = labels[place] != _IGNORED
        wrong |= (token < 0) | (learned & (labels[place] != token))
        marked[place] = ~token if learned else token
    if wrong:
        for place in range(len(ids)):
            if ids[place] < 0 or (labels[place] != _IGNORED and labels[place] != ids[place]):
                return place
    return -1


def mark_plain(ids: Any, labels: Any) -> list[int]:
    """What `mark` writes, in plain Python."""
    return [int(token) if label == IGNORED else ~int(token) for token, label in zip(ids, labels, strict=True)]


@kernel
def lay_out(marked, starts, lengths, borders, edges, pad, out):  # type: ignore[no-untyped-def]
    """Write packs into the three rows of `out` (int32): input ids, labels, position ids; returns the learned tokens of
    every pack (int32).

    `marked` holds all tokens; row i is `starts[i]` (int64) and `lengths[i]` (int32). Pack p holds the rows
    `borders[p]:borders[p + 1]` at the places `edges[p]:edges[p + 1]`. Position ids restart at every row and at the pad.
    A row's first label is -100, because that token would be predicted from its neighbour; the pad is never learned.
    """
    packs = len(borders) - 1
    learned = np.zeros(packs, np.int32)
    for pack in range(packs):
        at = edges[pack]
        count = 0
        for row in range(borders[pack], borders[pack + 1]):
            # Views and no branch: the loop runs on vector registers, four times as fast as with plain indices.
            tokens = marked[starts[row] : starts[row] + lengths[row]]
            end = at + lengths[row]
            ids, labels, places = out[0][at:end], out[1][at:end], out[2][at:end]
            for place in range(len(tokens)):
                token = tokens[place]
                sign = token >> np.int32(31)  # -1 if the token is learned, else 0
                ids[place] = token ^ sign
                labels[place] = (~token & sign) | (_IGNORED & ~sign)
                places[place] = place
                count -= sign
            count -= tokens[0] < 0
            labels[0] = _IGNORED
            at = end
        learned[pack] = count
        end = edges[pack + 1]
        ids, labels, places = out[0][at:end], out[1][at:end], out[2][at:end]
        for place in range(len(ids)):
            ids[place] = pad
            labels[place] = _IGNORED
            places[place] = place
    return learned


def lay_out_plain(
    marked: Any, starts: Any, lengths: Any, borders: Any, edges: Any, pad: int
) -> tuple[list[int], list[int], list[int], list[int]]:
    """What `lay_out` gives, in plain Python."""
    ids: list[int] = []
    labels: list[int] = []
    places: list[int] = []
    learned: list[int] = []
    for pack, (first, last) in enumerate(pairwise(borders)):
        count = 0
        for row in range(first, last):
            tokens = [int(token) for token in marked[starts[row] : starts[row] + lengths[row]]]
            ids += [token if token >= 0 else ~token for token in tokens]
            own = [IGNORED, *(~token if token < 0 else IGNORED for token in tokens[1:])]
            count += sum(label != IGNORED for label in own)
            labels += own
            places += range(len(tokens))
        rest = int(edges[pack + 1]) - len(ids)
        ids += [pad] * rest
        labels += [IGNORED] * rest
        places += range(rest)
        learned.append(count)
    return ids, labels, places, learned


@kernel
def copied(marked, starts, lengths, out):  # type: ignore[no-untyped-def]
    """Copy some rows of tokens into `out`, one behind the other."""
    at = 0
    for row in range(len(starts)):
        for place in range(lengths[row]):
            out[at + place] = marked[starts[row] + place]
        at += lengths[row]


@kernel
def _longest_first(lengths, capacity):  # type: ignore[no-untyped-def]
    """Rows by falling length, equal lengths in order (a counting sort)."""
    at = np.zeros(capacity + 2, np.int64)
    for length in lengths:
        at[capacity - length + 1] += 1
    for place in range(1, capacity + 2):
        at[place] += at[place - 1]
    order = np.empty(len(lengths), np.int32)
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
