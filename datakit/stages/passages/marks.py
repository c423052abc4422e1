"""What a corpus remembers of its documents to know which may share a passage: 8 bytes in about 10 words.

`mark_shard` makes one small table a shard, kept in the store: id, source, position and the document's marks (the
anchors of `kernels.repeats`). Two documents that share a passage share a mark. `Marks` is all of them in memory:
12 bytes a mark, so 1 to 2 kB for a document of 10 kB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.kernels.places import PLACE_COLUMNS, place_columns, rows_in_order

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MARK_VERSION = 1
"""Part of the stored tables' keys; bump when units, windows or hashes change."""
COLUMNS = [*PLACE_COLUMNS, "text"]


def mark_shard(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """The marks of one shard's documents. Settings: words, syllables."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels.characters import buffers
    from datakit.kernels.folding import fold_table
    from datakit.kernels.repeats import mark
    from datakit.kernels.shingles import unit_table

    texts = pc.fill_null(table.column("text"), "").combine_chunks()
    none, tables = np.zeros((0, 2), np.int64), (unit_table("script"), fold_table())
    gaps = np.zeros(len(texts) + 1, np.int64)
    sizes = settings["words"], settings["syllables"]
    flat, places = mark(*buffers(texts), gaps, none, *tables, *sizes, False)
    marks = pa.LargeListArray.from_arrays(pa.array(places), pa.array(flat))
    return pa.table({**place_columns(table), "marks": marks})


@dataclass(slots=True)
class Marks:
    """The marks of all documents. Rows are numbered through all shards in their order."""

    ids: pa.ChunkedArray
    hashes: np.ndarray[Any, Any]
    """uint64, in no order."""
    rows: np.ndarray[Any, Any]
    """int32: whose mark it is. A row has a hash once."""
    shard_starts: np.ndarray[Any, Any]
    """First row of every shard, and the number of rows at the end."""
    row_of: np.ndarray[Any, Any]
    """The row at a place."""
    place_of: np.ndarray[Any, Any]

    def shared(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The hashes, sorted, that more than one row has, and the rows that have any of them, sorted."""
        import numpy as np

        order = np.argsort(self.hashes, kind="stable")
        hashes = self.hashes[order]
        same = hashes[1:] == hashes[:-1]
        common = np.zeros(len(hashes), np.bool_)
        common[1:] |= same
        common[:-1] |= same
        return np.unique(hashes[common]), np.unique(self.rows[order][common]).astype(np.int64)

    def replace(self, rows: np.ndarray[Any, Any], flat: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> None:
        """Give some rows (ascending) other marks: `counts[i]` of `flat` to row `rows[i]`."""
        import numpy as np

        stays = ~np.isin(self.rows, rows)
        self.hashes = np.concatenate([self.hashes[stays], flat])
        self.rows = np.concatenate([self.rows[stays], np.repeat(rows, counts).astype(np.int32)])


def load_marks(tables: Iterable[pa.Table]) -> Marks:
    """All tables of `mark_shard` as one."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    slim, flats, counts, starts = [], [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [0]
    for table in tables:
        flats.append(pc.list_flatten(table.column("marks")).to_numpy())
        counts.append(pc.list_value_length(table.column("marks")).to_numpy())
        slim.append(table.drop_columns(["marks"]))
        starts.append(starts[-1] + table.num_rows)
    whole = pa.concat_tables(slim)
    row_of = rows_in_order(whole)
    place_of = np.empty(len(row_of), np.int64)
    place_of[row_of] = np.arange(len(row_of))
    rows = np.repeat(np.arange(starts[-1], dtype=np.int32), np.concatenate(counts))
    return Marks(whole.column("id"), np.concatenate(flats), rows, np.array(starts, np.int64), row_of, place_of)
