"""What other people's trainers want beside the rows: columns that they read, and LLaMA-Factory's dataset_info.json.

    TRL            tokens: input_ids, labels; packs: also seq_lengths, with `padding_free=True`
    Axolotl        tokens: exactly input_ids, attention_mask, labels, and an empty `type:` (its docs, "pre-tokenized")
    LLaMA-Factory  conversations: an entry a file in dataset_info.json, formatting `sharegpt` (its data/README.md)

`seq_lengths` are the lengths of the documents in a pack, the pad last: TRL makes position ids and document borders of
them, since it passes over a column `position_ids`. `trainer` columns leave out all that a trainer would stumble over:
a collator pads every column that it finds, and fails on an id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from datakit.schemas import Kind, kind_of
from datakit.stage import Shard

if TYPE_CHECKING:
    import pyarrow as pa

Read = Callable[[Shard], "pa.Table"]
INFO_NAME = "dataset_info.json"
TRAINED_ON: dict[Kind, tuple[str, ...]] = {
    "document": ("text",),
    "example": ("messages", "tools", "chosen", "rejected"),
    "tokens": ("input_ids", "attention_mask", "labels"),
    "packed": ("input_ids", "labels", "position_ids", "seq_lengths"),
}
"""The columns of each kind that trainers read; `split` goes into the names of the files."""
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "system_tag": "system",
}


def reader(columns: str) -> Read:
    """How the rows of a shard are read for an export of `all` columns, or of those that a `trainer` reads."""
    return _of_trainers if columns == "trainer" else _with_lengths


def dataset_info(kind: Kind, files: Sequence[str], filled: set[str]) -> dict[str, Any] | None:
    """LLaMA-Factory's description of the files, an entry each; None for rows that it doesn't read."""
    if kind == "document":
        described: dict[str, Any] = {"columns": {"prompt": "text"}}
    elif kind == "example" and not {"chosen", "rejected"} & filled:  # it wants one message there, not a list
        tools = {"tools": "tools"} if "tools" in filled else {}
        described = {"formatting": "sharegpt", "columns": {"messages": "messages", **tools}, "tags": TAGS}
    else:
        return None
    return {name.rsplit("-of-", 1)[0]: {"file_name": name, **described} for name in files}


def _of_trainers(shard: Shard) -> pa.Table:
    table = _with_lengths(shard)
    kind = kind_of(table.schema)
    if kind == "tokens":
        table = table.append_column("attention_mask", _ones(table.column("input_ids")))
    return table.select([name for name in (*TRAINED_ON[kind], "split") if name in table.column_names])


def _with_lengths(shard: Shard) -> pa.Table:
    table = shard.read()
    if kind_of(table.schema) != "packed":
        return table
    return table.append_column("seq_lengths", _sequence_lengths(table.combine_chunks()))


def _sequence_lengths(table: pa.Table) -> pa.Array:
    """The lengths of the documents of every pack, and of the pad behind them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not table.num_rows:
        return pa.array([], pa.large_list(pa.int32()))
    spans = table.column("spans").chunk(0)
    places = pc.list_value_length(table.column("input_ids").chunk(0)).to_numpy()
    counts = pc.fill_null(pc.list_value_length(spans), 0).to_numpy()
    lengths = spans.flatten().field("length").to_numpy()
    ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    borders = np.concatenate(([0], np.cumsum(counts)))
    rest = places - (ends[borders[1:]] - ends[borders[:-1]])
    padded = rest > 0
    values = np.insert(lengths, borders[1:][padded], rest[padded]).astype(np.int32)
    edges = np.concatenate(([0], np.cumsum(counts + padded))).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(edges), pa.array(values))


def _ones(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import numpy as np
    import pyarrow as pa

    parts = [
        pa.LargeListArray.from_arrays(
            pa.array(np.concatenate(([0], np.cumsum(part.value_lengths().to_numpy(), dtype=np.int64)))),
            pa.array(np.ones(len(part.flatten()), np.int8)),
        )
        for part in column.chunks
    ]
    return pa.chunked_array(parts, pa.large_list(pa.int8()))
