"""The plain facts of a shard's rows: id, group, language, task, length of what is learned, quality score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datakit.errors import StageError

if TYPE_CHECKING:
    import pyarrow as pa

SCORE = "quality.score"
TASK = "synthesize.task"


def look(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """The facts of one shard. `characters` are those of the answers of an example, of the text of a document."""
    import pyarrow as pa

    within, names = settings["within"], table.schema.names
    if within is not None and within not in names:
        known = ", ".join(name for name in names if name not in ("text", "messages"))
        raise StageError(f"select: the rows have no column {within!r}", fix=f"set `within` to null or one of {known}")
    nothing = pa.nulls(table.num_rows, pa.large_string())
    tasks = table.column(TASK if TASK in names else "made_by").to_pylist()
    return pa.table(
        {
            "id": table.column("id"),
            "group": _named(nothing if within is None else table.column(within)),
            "lang": _named(table.column("lang")),
            "task": _named(pa.array([(task or "").rpartition("/")[2] for task in tasks], pa.large_string())),
            "characters": _lengths(table),
            "quality": table.column(SCORE).cast(pa.float64()) if SCORE in names else nothing.cast(pa.float64()),
        }
    )


def _named(column: Any) -> pa.Array:
    """A column's values as text, nulls as the empty name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    told = ["" if value is None else str(value) for value in column.to_pylist()]
    return pc.dictionary_encode(pa.array(told, pa.large_string()))


def _lengths(table: pa.Table) -> pa.Array:
    """Characters of each row's answers, or of its text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if "messages" not in table.schema.names:
        return pc.fill_null(pc.utf8_length(table.column("text")), 0).cast(pa.int64())
    messages = table.column("messages").combine_chunks()
    learned = pc.equal(messages.values.field("role"), "assistant")
    lengths = pc.if_else(learned, pc.utf8_length(messages.values.field("content")), 0)
    before = np.concatenate([[0], np.cumsum(pc.fill_null(lengths, 0).to_numpy())])
    return pa.array(np.diff(before[messages.offsets.to_numpy()]), pa.int64())
