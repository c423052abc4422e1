"""Shingle sets as an index keeps them, and the similarity of a row of a run to a row of a segment.

Sets of an index hold the upper halves of the 64-bit hashes, row by row, the parts of a row in their order; those of a
run come from `Verifier`, part by part. What is compared, and how parts count, is the same here as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.segments import Segment
from datakit.stages.dedup.verify import Verifier

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stage import Shard

    Array = np.ndarray[Any, Any]


def jaccard(segment: Segment, stored: Array, who: Array, sets: list[tuple[Array, Array]]) -> Array:
    """The similarity of stored rows and rows of ours, whose sets are given in the order of the distinct `who`.

    As everywhere, that of the least similar part; one that is empty in both says nothing.
    """
    import numpy as np

    from datakit.kernels.clusters import intersections

    rows, other = np.unique(stored, return_inverse=True)
    one = np.unique(who, return_inverse=True)[1]
    least = np.ones(len(who))
    for part, (flat, sizes) in enumerate(sets):
        flat_old, sizes_old = segment.sets_of(rows, part)
        both = np.concatenate([sizes, sizes_old])
        places = np.concatenate([[0], np.cumsum(both)])
        old = other + len(sizes)
        shared = intersections(np.concatenate([flat, flat_old]), places, one, old)
        united = both[one] + both[old] - shared
        least = np.minimum(least, np.where(united > 0, shared / np.maximum(united, 1), 1.0))
    return least


class Sets:
    """Shingle sets of rows of a corpus as the index keeps them. The text of one shard stays in memory."""

    def __init__(self, verifier: Verifier) -> None:
        held: dict[str, pa.Table] = {}
        shards = [LastRead(shard, held) for shard in verifier.corpus.shards]
        corpus = copy(verifier.corpus)
        corpus.shards = shards
        self.verifier = replace(verifier, corpus=corpus)

    def of(self, rows: Array) -> list[tuple[Array, Array]]:
        """For each part the sets of some rows (ascending): sorted 32-bit hashes end to end, and sizes."""
        return [_halved(flat, places) for flat, places in self.verifier.sets(rows)]


@dataclass(frozen=True, slots=True)
class LastRead:
    """A shard whose table is kept until another one of the same `held` is read."""

    shard: Shard
    held: dict[str, pa.Table]

    @property
    def key(self) -> str:
        return self.shard.key

    @property
    def rows(self) -> int:
        return self.shard.rows

    @property
    def source(self) -> str:
        return self.shard.source

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.shard.columns

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows, or some of their columns: the same each time."""
        if self.shard.key not in self.held:
            self.held.clear()
            self.held[self.shard.key] = self.shard.read(columns)
        return self.held[self.shard.key]


def _halved(flat: Array, places: Array) -> tuple[Array, Array]:
    """Sets of 64-bit hashes as sets of their upper halves, and sizes."""
    import numpy as np

    halves = (flat >> np.uint64(32)).astype(np.uint32)
    fresh = np.ones(len(halves), np.bool_)
    fresh[1:] = halves[1:] != halves[:-1]
    fresh[places[:-1][np.diff(places) > 0]] = True
    return halves[fresh], np.diff(np.concatenate([[0], np.cumsum(fresh)])[places])


def row_by_row(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Sets that lie part by part, laid row by row: flat hashes, and sizes (rows x parts)."""
    import numpy as np

    from datakit.kernels.lookup import gathered

    sizes = np.stack([sizes for _, sizes in parts], axis=1)
    places = np.concatenate([[0], np.cumsum(sizes.T.ravel())])
    wanted = np.arange(sizes.size).reshape(sizes.T.shape).T.ravel()
    return gathered(np.concatenate([flat for flat, _ in parts]), places, wanted), sizes
