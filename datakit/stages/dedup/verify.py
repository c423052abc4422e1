"""The exact Jaccard similarity of candidate pairs, from the shingle sets of their texts.

Only candidate rows' texts are read, one shard at a time. Their sets (8 bytes a shingle) would not fit in memory for a
large corpus full of copies, so they are taken in shares by hash value, each at most `SETS_BYTES`: sizes and
intersections add up over the shares to the exact numbers, at the price of reading the rows again for each share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.compared import Compared
from datakit.stages.dedup.signatures import Index

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.kernels.shingles import Cut
    from datakit.stage import Corpus

SETS_BYTES = 256 << 20
"""Most bytes of shingle sets in memory at once."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Computes exact similarities of rows of a corpus."""

    corpus: Corpus
    index: Index
    cut: Cut
    compared: Compared = field(default_factory=Compared)
    strip: np.ndarray[Any, Any] | None = None
    """Shingles of a template, which don't count."""
    sets_bytes: int = SETS_BYTES

    def jaccard(self, first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The similarity of row `first[i]` and row `second[i]`, exact, in the order given.

        Of rows of several parts the smallest of the parts' similarities; a part that is empty in both says nothing.
        """
        import numpy as np

        from datakit.kernels.clusters import intersections

        wanted = np.zeros(len(self.index.shingles), np.bool_)
        wanted[first] = wanted[second] = True
        rows = np.flatnonzero(wanted)
        number = np.cumsum(wanted, dtype=np.int64) - 1
        one, other = number[first], number[second]
        shares = 1 + int(8 * self.index.shingles[rows].sum()) // self.sets_bytes
        shared: dict[int, Any] = {}
        sizes: dict[int, Any] = {}
        for share in range(shares):
            for part, (flat, places) in enumerate(self.sets(rows, share, shares)):
                shared[part] = shared.get(part, 0) + intersections(flat, places, one, other)
                sizes[part] = sizes.get(part, 0) + np.diff(places)
        least = np.ones(len(first))
        for part, common in shared.items():
            united = sizes[part][one] + sizes[part][other] - common
            least = np.minimum(least, np.where(united > 0, common / np.maximum(united, 1), 1.0))
        return least

    def sets(self, rows: np.ndarray[Any, Any], share: int = 0, shares: int = 1) -> list[tuple[Any, Any]]:
        """The shingle sets of some rows (ascending), for each part: flat hashes and offsets."""
        import numpy as np

        from datakit.kernels.shingles import NONE, shingle_sets

        strip = NONE if self.strip is None else self.strip
        flats: dict[int, list[Any]] = {}
        sizes: dict[int, list[Any]] = {}
        for table in self._tables(rows):
            for part, texts in enumerate(self.compared.of(table)):
                flat, places = shingle_sets(texts, self.cut, part=part, strip=strip, share=share, shares=shares)
                flats.setdefault(part, []).append(flat)
                sizes.setdefault(part, [np.zeros(1, np.int64)]).append(np.diff(places))
        return [(np.concatenate(flats[part]), np.cumsum(np.concatenate(sizes[part]))) for part in flats]

    def _tables(self, rows: np.ndarray[Any, Any]) -> Iterator[pa.Table]:
        """What is compared of some rows, shard by shard."""
        import numpy as np

        columns = self.compared.columns(self.corpus.kind)
        bounds = np.searchsorted(rows, self.index.shard_starts)
        for number, shard in enumerate(self.corpus.shards):
            wanted = rows[bounds[number] : bounds[number + 1]]
            if len(wanted):
                held = [name for name in columns if name in shard.columns]
                yield shard.read(held).take(wanted - self.index.shard_starts[number])
