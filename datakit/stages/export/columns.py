"""What the columns of an export are: one schema for all shards, and each shard's rows fitted to it.

Shards may differ: one file had whole numbers where another had text, most rows have no weights. The survey reads every
row once before the first file is written, since `datasets` opens a folder only if all of its files agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datakit.schemas import schema_of
from datakit.stage import Corpus, Shard
from datakit.stages.export.origins import Origin, origins

if TYPE_CHECKING:
    import pyarrow as pa

FIRST = ("id", "source_id", "text", "messages")
SPLITS = {"val": "validation", "valid": "validation", "dev": "validation"}


@dataclass(slots=True)
class Survey:
    """What is known of all rows before the first file is written."""

    rows: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    origins: Counter[Origin] = field(default_factory=Counter)
    types: dict[str, pa.DataType] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)

    longest: int = 0
    """Most tokens of a row."""
    hidden: frozenset[str] = frozenset()
    """Columns that say where a row goes, and aren't written."""

    @classmethod
    def of(cls, corpus: Corpus, read: Callable[[Shard], pa.Table], hidden: frozenset[str] = frozenset()) -> Survey:
        survey = cls(hidden=hidden)
        for shard in corpus.shards:
            survey.add(read(shard))
        if not corpus.shards:
            survey.add(schema_of(corpus.kind).empty_table())
        return survey

    def add(self, table: pa.Table) -> None:
        import pyarrow.compute as pc

        self.rows += table.num_rows
        for name in table.column_names:
            column = table.column(name)
            kind = _plain(_bare_turns(column).type)
            self.types[name] = _wider(self.types[name], kind) if name in self.types else kind
            if column.null_count < len(column):
                self.filled.add(name)
        if "input_ids" in table.column_names:
            self.longest = max(self.longest, pc.max(pc.list_value_length(table.column("input_ids"))).as_py() or 0)
        self.splits.update(split_names(table))
        self.origins.update(origins(table))
        for name, counts in (("lang", self.languages), ("licence", self.licences)):
            if name in table.column_names:
                counts.update(value for value in table.column(name).to_pylist() if value)

    def schema(self) -> pa.Schema:
        """The columns of every file: ids and text first, then the others as they came, the file's own columns last."""
        import pyarrow as pa

        known = [name for name in self.types if (name in self.filled or name in FIRST) and name not in self.hidden]
        order = sorted(known, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST) + ("." in name))
        return pa.schema([(name, self.types[name]) for name in order])


def split_names(table: pa.Table) -> list[str]:
    """The split of every row as Hugging Face spells it; rows without one are for training."""
    if "split" not in table.column_names:
        return ["train"] * table.num_rows
    names = [value or "train" for value in table.column("split").to_pylist()]
    return [SPLITS.get(name, re.sub(r"\W", "_", name)) for name in names]


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the columns of the export."""
    import pyarrow as pa

    columns = []
    for wanted in schema:
        if wanted.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, wanted.type))
            continue
        columns.append(_as_type(_bare_turns(table.column(wanted.name)), wanted.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _as_type(column: Any, kind: pa.DataType) -> Any:
    """A column in the type that fits all shards; where shards disagree that is text, spelled as JSON spells it."""
    import orjson
    import pyarrow as pa

    if pa.types.is_string(kind) and not pa.types.is_large_string(column.type) and not pa.types.is_null(column.type):
        values = [v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in column.to_pylist()]
        return pa.array(values, kind)
    if _is_nested(kind) and _plain(column.type) != kind:
        return pa.array(column.to_pylist(), kind)  # turns here lack what turns elsewhere have
    return column.cast(kind)


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds the values of both."""
    import pyarrow as pa

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(_wider(one.value_type, other.value_type))
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field.type for field in other}
        fields |= {f.name: _wider(f.type, fields[f.name]) if f.name in fields else f.type for f in one}
        order = dict.fromkeys([*(f.name for f in one), *(f.name for f in other)])
        return pa.struct([(name, fields[name]) for name in order])
    numbers = [kind for kind in (one, other) if pa.types.is_integer(kind) or pa.types.is_floating(kind)]
    return pa.float64() if len(numbers) == 2 else pa.string()


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without `large_`: a file here is far from two GiB, and not every reader knows the large ones."""
    import pyarrow as pa

    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(kind.field(place).name, _plain(kind.field(place).type)) for place in range(kind.num_fields)])
    return kind


def _is_nested(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(kind))


def _bare_turns(column: Any) -> Any:
    """Messages without `weight` and `more` where no turn has one: TRL knows role and content."""
    import pyarrow as pa

    inner = column.type.value_type if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) else None
    if inner is None or not pa.types.is_struct(inner) or inner.get_field_index("role") < 0:
        return column
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    used = whole.flatten()
    optional = ("weight", "more")
    kept = [
        inner.field(place).name
        for place in range(inner.num_fields)
        if inner.field(place).name not in optional or used.field(place).null_count < len(used)
    ]
    values = whole.values
    bare = pa.StructArray.from_arrays([values.field(name) for name in kept], names=kept)
    lists = pa.LargeListArray if pa.types.is_large_list(column.type) else pa.ListArray
    return pa.chunked_array([lists.from_arrays(whole.offsets, bare, mask=whole.is_null())])
