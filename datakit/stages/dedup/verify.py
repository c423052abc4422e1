"""The exact Jaccard similarity of candidate pairs, from the shingle sets of their texts.

Only candidate rows' texts are read, one shard at a time. Their sets (8 bytes a shingle) would not fit in memory for a
large corpus full of copies, so they are taken in shares by hash value, each at most `SETS_BYTES`: sizes and
intersections add up over the shares to the exact numbers, at the price of reading the rows again for each share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.signatures import Index, Parts, columns_of, texts_of

if TYPE_CHECKING:
    import numpy as np

    from datakit.stage import Corpus

SETS_BYTES = 256 << 20
"""Most bytes of shingle sets in memory at once."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Computes exact similarities of rows of a corpus."""

    corpus: Corpus
    index: Index
    unit: str
    ngram: int
    text: Parts
    sets_bytes: int = SETS_BYTES

    def jaccard(self, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The similarity of row `first[i]` and row `second[i]`, exact, in the order given."""
        import numpy as np

        from datakit.kernels.clusters import intersections

        wanted = np.zeros(len(self.index.shingles), np.bool_)
        wanted[first] = wanted[second] = True
        rows = np.flatnonzero(wanted)
        number = np.cumsum(wanted, dtype=np.int64) - 1
        one, other = number[first], number[second]
        shares = 1 + int(8 * self.index.shingles[rows].sum()) // self.sets_bytes
        shared, sizes = np.zeros(len(first), np.int64), np.zeros(len(rows), np.int64)
        for share in range(shares):
            flat, places = self._sets(rows, share, shares)
            shared += intersections(flat, places, one, other)
            sizes += np.diff(places)
        return shared / (sizes[one] + sizes[other] - shared)

    def _sets(self, rows: np.ndarray[Any, Any], share: int, shares: int) -> tuple[Any, Any]:
        """The shingle sets of some rows (ascending): flat hashes and offsets."""
        import numpy as np

        from datakit.kernels.shingles import shingle_sets

        flats, sizes = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
        columns = columns_of(self.corpus.kind)[-1:]
        bounds = np.searchsorted(rows, self.index.shard_starts)
        for number, shard in enumerate(self.corpus.shards):
            wanted = rows[bounds[number] : bounds[number + 1]]
            if len(wanted):
                table = shard.read(columns).take(wanted - self.index.shard_starts[number])
                flat, places = shingle_sets(texts_of(table, self.text), self.unit, self.ngram, share, shares)
                flats.append(flat)
                sizes.append(np.diff(places))
        return np.concatenate(flats), np.cumsum(np.concatenate(sizes))
