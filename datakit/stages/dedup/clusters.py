"""Which rows stay and which are folded into which: exact copies first, then near copies in rounds.

A round: bands give candidate pairs among the rows that stay so far, `Verifier` measures them exactly, and `fold_down`
decides anew from all pairs verified until now, in order of place. Rounds end when the bands give no pair that was not
verified before. Then

    every folded row has an exact similarity >= threshold with a row that stays, and
    no candidate pair of rows that stay reaches the threshold.

So in a chain a ~ b ~ c where a and c differ, b is folded into a, and c stays: likeness is never handed on.
Without a crowded bucket (more than `kernels.clusters.FULL` rows) one round suffices. In crowded ones each row is
compared with more leaders from round to round, as `LEAD` says; those left over then are told as `uncompared`: there
the second law is not promised. The worst corpus, 20,000 rows of one template that all miss the threshold by a little,
costs 0.3 ms and 20 kB a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.signatures import Index

if TYPE_CHECKING:
    import numpy as np

    from datakit.stages.dedup.verify import Verifier

SLACK = 5.0
"""Candidates may look this many standard deviations less similar than the threshold: misses 3 pairs in 10 million."""
LEAD = (1, 4, 32)
"""Leaders that a row of a crowded bucket is compared with in the first rounds, and in all after the last."""
EXAMPLES = 20
"""Clusters that the notes spell out."""
ALARMED = 10
"""Clusters that an alarm spells out."""


@dataclass(slots=True)
class Folds:
    """For each place: the place it is folded into (-1: stays), the similarity, and whether by equal digests."""

    into: np.ndarray[Any, Any]
    value: np.ndarray[Any, Any]
    exact: np.ndarray[Any, Any]
    rounds: int = 0
    pairs: int = 0
    """Pairs verified."""
    uncompared: int = 0
    """Rows of crowded buckets that were compared with their leaders only, added up over the bands of the last round."""


def fold_exact(index: Index) -> Folds:
    """Fold rows of equal digest into the first of them. Empty texts are nobody's copies."""
    import numpy as np

    digests = index.digests[index.row_of]
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: by place among equals
    sorted_digests = digests[order]
    opens = np.ones(len(order), np.bool_)
    opens[1:] = (sorted_digests[1:] != sorted_digests[:-1]).any(axis=1)
    into = np.empty(len(order), np.int64)
    into[order] = order[np.flatnonzero(opens)[np.cumsum(opens) - 1]] if len(order) else order
    stays = (into == np.arange(len(into))) | (index.shingles[index.row_of] == 0)
    into[stays] = -1
    return Folds(into, np.where(stays, 0.0, 1.0), ~stays)


def fold_near(index: Index, folds: Folds, verifier: Verifier, threshold: float) -> Folds:
    """Fold near copies among the rows that `fold_exact` left, and what was folded into them along with them."""
    import numpy as np

    from datakit.kernels.clusters import fold_down

    alive = np.flatnonzero((folds.into == -1) & (index.shingles[index.row_of] > 0))
    first, second, value = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    known = np.empty(0, np.uint64)
    into, likeness = np.full(len(folds.into), -1, np.int64), np.zeros(len(folds.into))
    crowded, lead = True, iter(LEAD)
    while crowded:
        leading = next(lead, LEAD[-1])
        stay = alive[into[alive] == -1]
        fresh, crowds, folds.uncompared = _candidates(index, stay, known, threshold, leading)
        # After a crowded round rows may stay again that were folded: then look anew until nothing new is found.
        crowded = (crowds or folds.rounds > 0) and (len(fresh) > 0 or leading < LEAD[-1])
        if not len(fresh):
            continue
        one, other = _decoded(fresh)
        found = verifier.jaccard(index.row_of[one], index.row_of[other])
        folds.rounds, folds.pairs = folds.rounds + 1, folds.pairs + len(fresh)
        known = np.sort(np.concatenate([known, fresh]))
        alike = found >= threshold
        first, second = np.concatenate([first, one[alike]]), np.concatenate([second, other[alike]])
        value = np.concatenate([value, found[alike]])
        order = np.lexsort((first, second))
        into, likeness = fold_down(len(into), first[order], second[order], value[order])
    return _joined(folds, into, likeness)


def _candidates(index: Index, places: Any, known: Any, threshold: float, lead: int) -> tuple[Any, bool, int]:
    """New pairs to verify among some places, whether a bucket was crowded, and how many rows are left over there."""
    import numpy as np

    from datakit.kernels.clusters import FULL, candidates
    from datakit.kernels.minhash import band_keys, choose_bands

    width = index.signatures.shape[1]
    bands, rows = choose_bands(threshold, width)
    least = math.floor(width * threshold - SLACK * math.sqrt(width * threshold * (1 - threshold)))
    found, crowded, uncompared = [np.empty(0, np.uint64)], False, 0
    for band in range(bands):
        keys, order = _by_key(band_keys(index.signatures, index.row_of[places], band * rows, rows))
        if len(keys) > FULL:
            crowded |= bool((keys[FULL:] == keys[:-FULL]).any())
        pairs, left = candidates(places[order], keys, index.signatures, index.row_of, max(1, least), known, lead)
        found.append(pairs)
        uncompared += left
    return np.unique(np.concatenate(found)), crowded, uncompared


def _by_key(keys: Any) -> tuple[Any, Any]:
    """Keys in order and whose they are, the lower number first among equals. Sorted as one number each, which takes a
    tenth of the time of an argsort; the lowest bits of the keys give way, and what meets by chance is compared anyway.
    """
    import numpy as np

    bits = np.uint64(len(keys).bit_length())
    codes = np.sort((keys >> bits << bits) | np.arange(len(keys), dtype=np.uint64))
    return codes >> bits, (codes & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)


def _decoded(codes: Any) -> tuple[Any, Any]:
    """The places of coded pairs."""
    import numpy as np

    return (codes >> np.uint64(32)).astype(np.int64), (codes & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _joined(folds: Folds, into: Any, likeness: Any) -> Folds:
    """Exact and near folds as one: the copy of a row that is folded itself goes where that row goes."""
    import numpy as np

    through = np.where(folds.into >= 0, into[folds.into], -1)
    moved, near = through >= 0, into >= 0
    folds.value = np.where(moved, likeness[folds.into], np.where(near, likeness, folds.value))
    folds.exact = folds.exact & ~moved
    folds.into = np.where(moved, through, np.where(near, into, folds.into))
    return folds


def cluster_notes(index: Index, folds: Folds) -> dict[str, Any]:
    """Clusters for the report: how many, how large, and the first ones as ids; never text."""
    import numpy as np

    gone = np.flatnonzero(folds.into >= 0)
    heads, sizes = np.unique(folds.into[gone], return_counts=True)
    edges = (("2", 2, 2), ("3-5", 3, 5), ("6-10", 6, 10), ("11-100", 11, 100), ("over 100", 101, None))
    examples = []
    for head in heads[:EXAMPLES].tolist():
        members = gone[folds.into[gone] == head][:EXAMPLES]
        ids = index.ids.take(index.row_of[np.concatenate([[head], members])]).to_pylist()
        folded = [
            {"id": row_id, "jaccard": round(float(value), 4)}
            for row_id, value in zip(ids[1:], folds.value[members], strict=True)
        ]
        examples.append({"kept": ids[0], "size": 1 + int(sizes[heads == head][0]), "folded": folded})
    histogram = {
        name: int(((sizes + 1 >= low) & ((sizes + 1 <= high) if high else True)).sum()) for name, low, high in edges
    }
    largest = int(sizes.max()) + 1 if len(sizes) else 0
    return {"count": len(heads), "largest": largest, "sizes": histogram, "examples": examples}


def alarm_notes(index: Index, folds: Folds, limit: int) -> dict[str, Any] | None:
    """Clusters of more than `limit` rows, the largest first, as ids; None if there are none."""
    import numpy as np

    heads, sizes = np.unique(folds.into[folds.into >= 0], return_counts=True)
    sizes = sizes + 1
    large = np.flatnonzero(sizes > limit)
    if not len(large):
        return None
    large = large[np.lexsort((heads[large], -sizes[large]))]
    rows = int(sizes[large].sum())
    ids = index.ids.take(index.row_of[heads[large[:ALARMED]]]).to_pylist()
    listed = [{"kept": kept, "size": int(size)} for kept, size in zip(ids, sizes[large[:ALARMED]], strict=True)]
    share = round(rows / len(folds.into), 4)
    return {"limit": limit, "clusters": len(large), "rows": rows, "share": share, "largest": listed}
