"""What becomes of a shard's rows: the folded ones go (`remove`), or every row is told its cluster (`annotate`).

Columns of `annotate`:

    dedup.cluster      id of the row of its cluster that would stay; its own id if it is alone or stays itself
    dedup.similarity   how alike it is to that row: 1 for itself and exact copies, else the exact Jaccard similarity
    dedup.size         rows in its cluster, 1 if it is alone
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from datakit.outcome import Outcome, drops_schema, spell
from datakit.stage import Corpus, Shard
from datakit.stages.dedup.clusters import Folds
from datakit.stages.dedup.signatures import Index

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Mode = Literal["remove", "annotate"]
CLUSTER, SIMILARITY, SIZE = "dedup.cluster", "dedup.similarity", "dedup.size"


def removals(corpus: Corpus, index: Index, folds: Folds, threshold: float) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """For every shard the rows that go, and why: jobs for `without`."""
    import numpy as np
    import pyarrow as pa

    places = np.flatnonzero(folds.into >= 0)
    rows = index.row_of[places]
    order = np.argsort(rows)
    places, rows = places[order], rows[order]
    bounds = np.searchsorted(rows, index.shard_starts)
    for number, shard in enumerate(corpus.shards):
        here = slice(bounds[number], bounds[number + 1])
        told = places[here]
        gone = {
            "rows": pa.array(rows[here] - index.shard_starts[number]),
            "exact": folds.exact[told],
            "value": folds.value[told],
            "matched": index.ids.take(pa.array(index.row_of[folds.into[told]])).combine_chunks(),
        }
        yield shard, {"gone": gone, "threshold": threshold}


def without(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """A shard without the rows that are folded, and their drops.

    An exact copy is measured against 1, a near copy against the threshold.
    """
    import numpy as np
    import pyarrow as pa

    gone, rows = settings["gone"], settings["gone"]["rows"]
    keep = np.ones(table.num_rows, np.bool_)
    keep[rows.to_numpy()] = False
    keep[settings.get("older", [])] = False  # their drops are told already
    told = table.select(["id", "source_id"]).take(rows)
    exact = gone["exact"]
    drops = {
        "id": told.column("id"),
        "source_id": told.column("source_id"),
        "rule": _chosen(exact, "exact_copy", "near_copy"),
        "value": _spelled(np.where(exact, 1.0, gone["value"])),
        "threshold": _chosen(exact, spell(1.0), spell(settings["threshold"])),
        "matched": gone["matched"],
    }
    schema = drops_schema()
    empty = pa.array([""] * len(rows), pa.large_string())
    columns = [drops.get(name, empty if name == "stage" else None) for name in schema.names]
    return Outcome(table.filter(keep), _table(columns, len(rows), schema))


def _table(columns: list[Any], rows: int, schema: pa.Schema) -> pa.Table:
    """A table of a schema; columns that are None become null."""
    import pyarrow as pa

    filled = [
        pa.nulls(rows, field.type) if column is None else column.cast(field.type)
        for field, column in zip(schema, columns, strict=True)
    ]
    return pa.Table.from_arrays(filled, schema=schema)


def _chosen(mask: np.ndarray[Any, Any], yes: str | None, no: str | None) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pa.array(mask), pa.scalar(yes, pa.large_string()), pa.scalar(no, pa.large_string()))


def _spelled(values: np.ndarray[Any, Any]) -> pa.Array:
    """The values as a drop spells them, each distinct one once."""
    import numpy as np
    import pyarrow as pa

    distinct, number = np.unique(values, return_inverse=True)
    return pa.array([spell(value) for value in distinct.tolist()], pa.large_string()).take(pa.array(number))


def cluster_columns(corpus: Corpus, index: Index, folds: Folds) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """For every shard the columns that its rows get: jobs for `annotated`."""
    import numpy as np
    import pyarrow as pa

    count = len(index.row_of)
    head = np.where(folds.into >= 0, folds.into, np.arange(count))
    sizes = np.bincount(head, minlength=count)
    place_of = np.empty(count, np.int64)
    place_of[index.row_of] = np.arange(count)
    similarity = np.where(folds.into >= 0, np.where(folds.exact, 1.0, folds.value), 1.0).astype(np.float32)
    for number, shard in enumerate(corpus.shards):
        here = place_of[index.shard_starts[number] : index.shard_starts[number + 1]]
        yield (
            shard,
            {
                CLUSTER: index.ids.take(pa.array(index.row_of[head[here]])).combine_chunks(),
                SIMILARITY: pa.array(similarity[here]),
                SIZE: pa.array(sizes[head[here]].astype(np.int64)),
            },
        )


def annotated(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """A shard with the columns of `settings`, which replace those of an earlier dedup."""
    kept = [name for name in table.schema.names if name not in settings]
    table = table.select(kept)
    for name, column in settings.items():
        table = table.append_column(name, column)
    return Outcome(table)
