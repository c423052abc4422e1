"""Batches of conversations as plain rows, and rendered rows as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.schemas import Message
from datakit.stages.template.formats import Rendered, Span

if TYPE_CHECKING:
    import pyarrow as pa

CONTENTS = "template.contents"
REJECTED = ("template.rejected_text", "template.rejected_trained", "template.rejected_contents")
"""The same three columns for the rejected answer of a preference row."""
_NAMED = (("synthesize.instruction", "synthesize.input"), ("source.instruction", "source.input"))


@dataclass(slots=True)
class Row:
    """One example: its turns, and for a preference row the two ways to go on."""

    id: str
    turns: list[Message]
    tools: str | None
    named: tuple[str, str] | None
    """(instruction, input) as the row's source named them."""
    chosen: list[Message]
    rejected: list[Message]


Text = tuple[Rendered, list[Span]]
"""A rendered text and the characters of it that are learned."""


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """Every row of a batch."""
    parts = [_turns(batch, name) for name in ("messages", "chosen", "rejected")]
    tools = batch.column("tools").to_pylist()
    ids = batch.column("id").to_pylist()
    return [
        Row(name, turns, own, named, chosen, rejected)
        for name, own, named, turns, chosen, rejected in zip(ids, tools, _named(batch), *parts, strict=True)
    ]


def _turns(batch: pa.RecordBatch, name: str) -> list[list[Message]]:
    """The turns of every row; none for a null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = batch.column(name) if name in batch.schema.names else None
    if column is None or column.null_count == len(column):
        return [[] for _ in range(batch.num_rows)]
    values = column.flatten()
    kind = values.type
    texts = [pc.fill_null(values.field(part), "").to_pylist() for part in ("role", "content")]
    others = [
        values.field(part).to_pylist() if kind.get_field_index(part) >= 0 else [None] * len(values)
        for part in ("weight", "more")
    ]
    flat = list(map(Message, *texts, *others))
    sizes = pc.fill_null(pc.list_value_length(column), pa.scalar(0, pa.int64())).to_pylist()
    found, at = [], 0
    for size in sizes:
        found.append(flat[at : at + size])
        at += size
    return found


def _named(batch: pa.RecordBatch) -> list[tuple[str, str] | None]:
    named: list[tuple[str, str] | None] = [None] * batch.num_rows
    for first, second in _NAMED:
        if first in batch.schema.names:
            parts = [
                batch.column(n).to_pylist() if n in batch.schema.names else [None] * len(named) for n in (first, second)
            ]
            for place, (instruction, extra) in enumerate(zip(*parts, strict=True)):
                if named[place] is None and instruction is not None:
                    named[place] = (str(instruction), str(extra or ""))
    return named


def with_texts(rows: pa.RecordBatch, told: Sequence[tuple[Text, Text | None]]) -> pa.RecordBatch:
    """The rows with their rendered columns; those of rejected answers only if a row has one."""
    from datakit.schemas import replace_column

    columns = dict(zip(("text", "trained", CONTENTS), _columns([first for first, _ in told]), strict=True))
    others = [second for _, second in told]
    if any(others):
        columns |= dict(zip(REJECTED, _columns(others), strict=True))
    for name, column in columns.items():
        rows = replace_column(rows, name, column)
    return rows


def _columns(texts: Sequence[Text | None]) -> list[pa.Array]:
    """Text, learned spans and content spans of every row; null for a row without."""
    import pyarrow as pa

    told = [None if one is None else one[0].text for one in texts]
    trained = [None if one is None else one[1] for one in texts]
    contents = [None if one is None else one[0].contents for one in texts]
    return [pa.array(told, pa.large_string()), _spans(trained), _spans(contents)]


def _spans(rows: Sequence[Sequence[Span] | None]) -> pa.Array:
    """Lists of {start, end}."""
    import numpy as np
    import pyarrow as pa

    from datakit.schemas import rendered_fields

    kind = rendered_fields()[1].type
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row or ()) for row in rows], out=offsets[1:])
    flat: Any = np.array([span for row in rows for span in row or ()], np.int64).reshape(-1, 2)
    pairs = [pa.array(np.ascontiguousarray(flat[:, side])) for side in (0, 1)]
    structs = pa.StructArray.from_arrays(pairs, fields=list(kind.value_type))
    nulls = np.array([row is None for row in rows], bool)
    mask = pa.array(nulls) if nulls.any() else None
    return pa.LargeListArray.from_arrays(pa.array(offsets), structs, type=kind, mask=mask)
