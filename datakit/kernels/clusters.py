"""From signatures to candidate pairs, and from verified pairs to the rows that stay.

Rows are known by their *place*: 0 is the row that is kept first. All three loops go through places in order, so what
comes out depends on the order of places alone, never on how rows were cut into shards or who worked on them.

    candidates   pairs within one band's buckets whose signatures agree well enough
                 a bucket of up to `FULL` rows: every pair
                 a larger one: every row with the first leaders that it resembles. The first `lead` rows lead, and who
                 resembles no leader, `LEADERS` at most. So k copies of one text give k - 1 pairs with `lead` 1, not
                 k (k - 1) / 2, and k rows of one template that never quite reach the threshold 32 k at most.
    intersections  sizes of the intersections of pairs of sorted sets
    fold_down    in order of place: a row that has a verified pair with a row that stays is folded into it (the most
                 similar one, the earlier on a tie), any other row stays
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.kernels.minhash import agreement

FULL = 32
"""Largest bucket in which every pair is compared."""
LEADERS = 32
"""Most leaders of a larger bucket; its other rows are never compared with each other."""
SHIFT = np.uint64(32)


@kernel
def pair_code(first: int, second: int) -> Any:
    """A pair of places, first < second, as one number; ordered like the pair."""
    return (np.uint64(first) << SHIFT) | np.uint64(second)


@kernel
def _known(code: Any, known: Any) -> bool:
    place = np.searchsorted(known, code)
    return place < len(known) and known[place] == code


@kernel
def _put(out: Any, count: int, code: Any) -> Any:
    """Append to a growing array."""
    if count == len(out):
        wider = np.empty(2 * count, np.uint64)
        wider[:count] = out
        out = wider
    out[count] = code
    return out


@kernel
def candidates(
    order: Any, keys: Any, signatures: Any, row_of: Any, least: int, known: Any, lead: int
) -> tuple[Any, int]:
    """Codes of the pairs to verify in one band, and how many crowded rows have no leader left to compare with.

    `keys[i]` is the band key of place `order[i]`, sorted by key, then place; `row_of` leads from a place to its row in
    `signatures`. A pair needs `least` equal places. Pairs in `known` (sorted codes, verified before) are passed over.
    """
    out, count, uncompared = np.empty(1024, np.uint64), 0, 0
    leaders = np.empty(LEADERS, np.int64)
    begin = 0
    while begin < len(keys):
        end = begin + 1
        while end < len(keys) and keys[end] == keys[begin]:
            end += 1
        if end - begin <= FULL:
            for i in range(begin, end):
                for j in range(i + 1, end):
                    code = pair_code(order[i], order[j])
                    if agreement(signatures, row_of[order[i]], row_of[order[j]]) >= least and not _known(code, known):
                        out = _put(out, count, code)
                        count += 1
        else:
            leading = 0
            for i in range(begin, end):
                alike, fresh = False, 0
                for k in range(leading):
                    if agreement(signatures, row_of[leaders[k]], row_of[order[i]]) < least:
                        continue
                    alike = True
                    code = pair_code(leaders[k], order[i])
                    if not _known(code, known):
                        out = _put(out, count, code)
                        count += 1
                        fresh += 1
                        if fresh == lead:
                            break
                if leading < LEADERS and (not alike or i - begin < lead):
                    leaders[leading] = order[i]
                    leading += 1
                elif fresh == 0:
                    uncompared += 1
        begin = end
    return out[:count], uncompared


@kernel
def intersections(flat: Any, places: Any, first: Any, second: Any) -> Any:
    """How many members the sorted sets `first[i]` and `second[i]` share; set s is flat[places[s]:places[s + 1]]."""
    shared = np.zeros(len(first), np.int64)
    for pair in range(len(first)):
        i, end_i = places[first[pair]], places[first[pair] + 1]
        j, end_j = places[second[pair]], places[second[pair] + 1]
        while i < end_i and j < end_j:
            left, right = flat[i], flat[j]
            shared[pair] += left == right
            i += left <= right
            j += right <= left
    return shared


@kernel
def fold_down(count: int, first: Any, second: Any, jaccard: Any) -> tuple[Any, Any]:
    """For each of `count` places the place it is folded into (-1: it stays) and the similarity of the two.

    Pairs have first < second and are sorted by `second`.
    """
    into, value = np.full(count, -1, np.int64), np.zeros(count, np.float64)
    for pair in range(len(first)):
        here, stays = second[pair], first[pair]
        if into[stays] != -1:
            continue
        better = jaccard[pair] > value[here] or (jaccard[pair] == value[here] and stays < into[here])
        if into[here] == -1 or better:
            into[here], value[here] = stays, jaccard[pair]
    return into, value
