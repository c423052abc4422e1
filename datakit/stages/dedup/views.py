"""Documents of an index as one step sees them: those that came before it, without hidden ones.

Rows are numbered through all segments, the oldest first. Every answer comes from the lookup tables (see
`kernels.lookup`), then from the thing itself: the id, the digest, the signature. Only pages that are touched are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.segments import Segment, band_keys32, digest_keys, id_keys, rows_across

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stages.dedup.archive import Archive

    Array = np.ndarray[Any, Any]

MOST = 256
"""Stored documents compared by signature for one row and one band, the oldest first: a crowd is templates or copies."""
TRIED = 64
"""Candidates verified for one row in one segment, the most alike first."""
CHUNK = 1024
"""Rows looked up at a time."""


@dataclass(frozen=True, slots=True)
class View:
    """What a step looks at."""

    archive: Archive
    state: str
    rows: int
    """Rows that are older than the step."""
    hidden: Array
    """Rows that are passed over, sorted."""

    def without(self, rows: Array) -> View:
        """The same view without some more rows."""
        import numpy as np

        return replace(self, hidden=np.union1d(self.hidden, rows))

    def find_ids(self, ids: pa.Array) -> Array:
        """The row of each id, -1 for unknown ones."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        found = np.full(len(ids), -1, np.int64)
        keys = id_keys(ids)[None, :]
        for start, segment, hidden in self._visible():
            who, rows = self._under(segment, start, hidden, -1, keys)
            same = pc.equal(ids.take(pa.array(who)), rows_across(segment.strings, rows).column("id"))
            mine = np.asarray(same.combine_chunks().to_numpy(zero_copy_only=False), np.bool_)
            found[who[mine]] = start + rows[mine]
        return found

    def find_digests(self, digests: Array) -> Array:
        """The oldest row with each digest, -1 where there is none."""
        import numpy as np

        found = np.full(len(digests), -1, np.int64)
        keys = digest_keys(digests)[None, :]
        for start, segment, hidden in reversed(list(self._visible())):
            who, rows = self._under(segment, start, hidden, -2, keys)
            same = (digests[who] == segment.digests[rows]).all(axis=1)
            found[who[same][::-1]] = start + rows[same][::-1]  # the oldest is written last
        return found

    def candidates(self, signatures: Array, least: int) -> Iterator[tuple[Segment, int, Array, Array, Array, int]]:
        """For each segment: it, its first row, who of `signatures` looks like which of its rows in how many places,
        and how many rows had more candidates than are tried."""
        import numpy as np

        from datakit.kernels.lookup import candidates_among, places_of

        shape = self.archive.shape
        if not len(signatures) or not self.rows:
            return
        wanted = np.stack([band_keys32(signatures, shape, band) for band in range(shape.bands)])
        for start, segment, hidden in self._visible():
            bands = segment.lookup[: shape.bands]
            found, agreed, crowded = candidates_among(
                bands, places_of(bands, wanted), wanted, signatures, segment.signatures, hidden, self.rows - start,
                least, MOST, TRIED,
            )  # fmt: skip
            who, place = np.nonzero(found >= 0)
            yield segment, start, who, found[who, place], agreed[who, place], int(crowded.sum())

    def strings(self, rows: Array) -> pa.Table:
        """id and source_id of some rows, in the order given."""
        return rows_across([batch for segment in self.archive.segments for batch in segment.strings], rows)

    def digests(self, rows: Array) -> Array:
        """The digests of some rows, in the order given."""
        import numpy as np

        starts, found = self.archive.starts, np.zeros((len(rows), 2), np.uint64)
        owner = np.searchsorted(starts, rows, side="right") - 1
        for number in np.unique(owner).tolist():
            mine = owner == number
            found[mine] = self.archive.segments[number].digests[rows[mine] - starts[number]]
        return found

    def _visible(self) -> Iterator[tuple[int, Segment, Array]]:
        """First row, segment and hidden rows of the segments that are older than the step."""
        for start, segment in zip(self.archive.starts, self.archive.segments, strict=False):
            if start < self.rows:
                mine = self.hidden[(self.hidden >= start) & (self.hidden < start + segment.rows)]
                yield start, segment, mine - start

    def _under(self, segment: Segment, start: int, hidden: Array, table: int, keys: Array) -> tuple[Array, Array]:
        """Who finds which visible rows of a segment under its key in a table, the older first."""
        import numpy as np

        from datakit.kernels.lookup import candidates_among, places_of

        lookup = segment.lookup[table][None]
        stored, hits = np.empty((segment.rows, 0), np.uint32), []
        for begin in range(0, keys.shape[1], CHUNK):
            some = np.ascontiguousarray(keys[:, begin : begin + CHUNK])
            fresh = np.empty((some.shape[1], 0), np.uint32)
            found, _, _ = candidates_among(
                lookup, places_of(lookup, some), some, fresh, stored, hidden, self.rows - start, 0, MOST, TRIED
            )
            who, place = np.nonzero(found >= 0)
            hits.append((begin + who, found[who, place]))
        whose, rows = zip(*hits, strict=True) if hits else ((), ())
        return np.concatenate([np.empty(0, np.int64), *whose]), np.concatenate([np.empty(0, np.int64), *rows])
