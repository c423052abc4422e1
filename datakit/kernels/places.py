"""The order in which rows are kept: by name of the source, position in it, id; the same however shards are cut.

A row's *place* is its rank in that order; the row at place 0 comes first. 24 bytes a row and its id while sorting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PLACE_COLUMNS = ["id", "source", "position"]
UNSEEN = 1 << 62
"""Stands for a missing position: after all that have one."""


def place_columns(table: pa.Table) -> dict[str, Any]:
    """The columns of a shard that say where its rows stand, small and without nulls."""
    import pyarrow.compute as pc

    return {
        "id": table.column("id"),
        "source": pc.fill_null(table.column("source"), "").dictionary_encode(),
        "position": pc.fill_null(table.column("position"), UNSEEN),
    }


def rows_in_order(whole: pa.Table, rank: pa.ChunkedArray | None = None) -> np.ndarray[Any, Any]:
    """The row at each place, from the joined `place_columns` of all shards.

    `rank`: a number a row; lower ones come first, equal ones in the usual order.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    sources = whole.unify_dictionaries().column("source").combine_chunks()
    alphabetical = np.empty(len(sources.dictionary), np.int64)
    alphabetical[pc.sort_indices(sources.dictionary).to_numpy()] = np.arange(len(alphabetical))
    columns = {
        "source": alphabetical[sources.indices.to_numpy()],
        "position": whole.column("position"),
        "id": whole.column("id"),
    }
    if rank is not None:
        columns = {"rank": rank, **columns}
    order = [(name, "ascending") for name in columns]
    return pc.sort_indices(pa.table(columns), sort_keys=order).to_numpy().astype(np.int64)
