"""Makes the rows of files into a shard: core columns, ids, the files' own columns, drops.

Rows of several small files become one table where they are plain values; a typed file (Parquet, Arrow) in the same
shard makes a table of its own, and the two are joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, groupby, pairwise
from typing import TYPE_CHECKING, Any

from datakit.errors import SourceError
from datakit.outcome import Drop, Outcome, drops_table
from datakit.schemas import concat, row_id, schema_of
from datakit.stages.ingest.columns import carried
from datakit.stages.ingest.forms import FORMS, PARTS, Body, check_columns, form_of
from datakit.stages.ingest.rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa

    from datakit.stages.ingest import Ingest


class Making:
    """Makes one shard after the other; remembers what came before in the same file, and the types of its columns."""

    def __init__(self, stage: Ingest, tell: Callable[[str], None]) -> None:
        self.stage = stage
        self.tell = tell
        self.form: str = stage.form
        self.names = {"text": stage.text, **stage.columns}
        self.ids = _Ids()
        self.types: dict[str, pa.DataType] = {}
        self.forms: dict[str, str] = {}

    def outcome(self, parts: Sequence[Rows]) -> Outcome:
        """One shard."""
        for part in parts:
            self._check(part)
        counters = sum((part.counters for part in parts), Counter())
        if mended := sum(part.mended for part in parts):
            counters["mended_surrogates"] = mended
        tables, lost = [schema_of(self.stage.gives(None)).empty_table()], []
        for (typed, form), group in groupby((part for part in parts if len(part)), key=self._kind):
            self.form, found = form, list(group)
            for same in ([one] for one in found) if typed else [found]:
                table, drops = self._table(same)
                tables += [table] if table is not None else []
                lost += drops
        told = [(row_id(name, str(position), -1), called, drop) for name, position, called, drop in lost]
        kept = tables[1] if len(tables) == 2 else concat(tables)
        return Outcome(kept, drops_table(told) if told else None, counters=counters)

    def _table(self, parts: list[Rows]) -> tuple[pa.Table | None, list[tuple[str, int, str, Drop]]]:
        """The rows that are kept, and (file, position, source id, drop) of the others in the order of the files."""
        lost = [(part.name, place, f"{part.name}:{place}", drop) for part in parts for place, drop in part.bad]
        rows = _joined(parts)
        table = None
        if rows.positions:
            body, called = self._body(rows), self._source_ids(rows)
            kept = [place for place, value in enumerate(body.values) if not isinstance(value, Drop)]
            lost += [
                (rows.names[place], rows.positions[place], called[place], value)
                for place, value in enumerate(body.values)
                if isinstance(value, Drop)
            ]
            table = self._core(rows, body, kept, called)
            for column, values in self._extra(rows, body, kept).items():
                table = table.append_column(column, values)
        order = {part.name: number for number, part in enumerate(parts)}
        return table, sorted(lost, key=lambda one: (order[one[0]], one[1]))

    def _check(self, part: Rows) -> None:
        """SourceError if a file lacks a column that it must have."""
        if part.name in self.forms or not part.positions:
            return
        form, columns = self.stage.form, list(part.columns)
        if form == "auto":
            self.forms[part.name] = found = form_of(self.names, columns, part.name)
            told = ", ".join(
                self.names.get(name, name) for name in PARTS[found] if self.names.get(name, name) in columns
            )
            self.tell(f"{part.name}: read as form {found} ({told})")
            part.counters[f"form.{found}"] += 1
        else:
            check_columns(form, self.names, columns, part.name)
            self.forms[part.name] = form
        if self.stage.id_field is not None and self.stage.id_field not in part.columns:
            fix = f"the file has {len(part.columns)} columns; set `id_field` to one of them, or leave it out"
            raise SourceError(f"no column {self.stage.id_field!r} for the id", where=part.name, fix=fix)

    def _kind(self, part: Rows) -> tuple[bool, str]:
        """What parts must share to become one table. A part without rows has no form of its own."""
        return part.typed, self.forms.get(part.name, self.form if self.form != "auto" else "messages")

    def _body(self, rows: _Joined) -> Body:
        size = len(rows.positions)
        if self.form == "document":
            text = self.stage.text
            return FORMS["document"]({text: _listed(rows.columns.get(text), size)}, self.names)
        columns = {name: _listed(values, size) for name, values in rows.columns.items()}
        return FORMS[self.form](columns, self.names)

    def _source_ids(self, rows: _Joined) -> list[str]:
        default = [f"{name}:{position}" for name, position in zip(rows.names, rows.positions, strict=True)]
        if self.stage.id_field is None:
            return default
        own = _listed(rows.columns.get(self.stage.id_field), len(default))
        return [line if value is None or value == "" else str(value) for value, line in zip(own, default, strict=True)]

    def _core(self, rows: _Joined, body: Body, kept: list[int], called: list[str]) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        size = len(kept)
        values = [body.values[place] for place in kept] if size < len(body.values) else body.values
        names = [rows.names[place] for place in kept]
        known: dict[str, Any] = {}
        if self.form == "document":
            known["text"] = pa.array(values, pa.large_string())
            contents: Iterable[Any] = _spans(known["text"])
        else:
            contents = (body.contents[place] or b"" for place in kept)
        ids = pa.array(self.ids.of(names, contents), pa.large_string())
        known |= {
            "id": ids,
            "family": ids,
            "source_id": pa.array([called[place] for place in kept], pa.large_string()),
            "source": pa.array(names, pa.large_string()),
            "position": pa.array([rows.positions[place] for place in kept], pa.int64()),
            "made_by": _repeated("ingest", size),
            "licence": _repeated(self.stage.licence, size),
        }
        none = pa.LargeListArray.from_arrays(np.zeros(size + 1, np.int64), pa.array([], pa.large_string()))
        columns = []
        for column in schema_of(self.stage.gives(None)):
            if column.name in known:
                columns.append(known[column.name])
            elif column.name in ("parents", "made_with"):
                columns.append(none)
            elif column.name in ("messages", "tools", "chosen", "rejected"):
                columns.append(pa.array([value.get(column.name) for value in values], column.type))
            else:
                columns.append(pa.nulls(size, column.type))
        return pa.Table.from_arrays(columns, schema=schema_of(self.stage.gives(None)))

    def _extra(self, rows: _Joined, body: Body, kept: list[int]) -> dict[str, pa.Array]:
        """The files' other columns as `source.<column>`, in their order; later shards keep earlier types."""
        own = {name: values for name, values in rows.columns.items() if name not in body.used | {self.stage.id_field}}
        for name in self.types:
            if name not in own and name not in body.extra:
                own[name] = [None] * len(rows.positions)
        made: dict[str, pa.Array] = {}
        for name, values in {**body.extra, **own}.items():
            column = carried(values, kept, self.types.get(name))
            if column is not None:
                self.types[name] = column.type
                made[f"source.{name}"] = column
        return made


class _Ids:
    """Gives rows their ids: `row_id(name, content, occurrence)`, with what all rows of a file share hashed once."""

    def __init__(self) -> None:
        self.name: str | None = None

    def of(self, names: Sequence[str], contents: Iterable[Any]) -> list[str]:
        """The ids of some rows; those of one file stand together, and come in its order."""
        contents = iter(contents)
        return [found for name, same in groupby(names) for found in self._of_file(name, len(list(same)), contents)]

    def _of_file(self, name: str, rows: int, contents: Iterator[Any]) -> Iterator[str]:
        if name != self.name:
            self.name = name
            self.seen: set[int] = set()
            self.again: Counter[int] = Counter()
            self.start = blake2b(f"{name}\x000\x00".encode("utf-8", "surrogatepass"), digest_size=16)
        for _ in range(rows):
            content = next(contents)
            digest = self.start.copy()
            digest.update(content)
            key = digest.hexdigest()
            # Eight bytes of the hash are enough: a chance meeting only gives a row the next occurrence number.
            mark = int(key[:16], 16)
            if mark in self.seen:
                self.again[mark] += 1
                key = row_id(name, bytes(content), self.again[mark])
            else:
                self.seen.add(mark)
            yield key


@dataclass(frozen=True, slots=True)
class _Joined:
    """The readable rows of some files, one under the other, each with the name of its file."""

    names: list[str]
    positions: list[int]
    columns: dict[str, Any]


def _joined(parts: list[Rows]) -> _Joined:
    """One set of columns: where a file lacks a column of another, it is null."""
    names = [part.name for part in parts for _ in part.positions]
    if len(parts) == 1:
        return _Joined(names, parts[0].positions, parts[0].columns)
    known = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: list(chain.from_iterable(part.columns.get(name) or [None] * len(part.positions) for part in parts))
        for name in known
    }
    return _Joined(names, [place for part in parts for place in part.positions], columns)


def _listed(column: Any, size: int) -> list[Any]:
    """A column as Python values; nulls for a column that is not there."""
    if column is None:
        return [None] * size
    return column if isinstance(column, list) else column.to_pylist()


def _repeated(value: str | None, size: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, pa.large_string()), size)


def _spans(texts: pa.LargeStringArray) -> Iterator[memoryview]:
    """The UTF-8 bytes of each text, where they lie."""
    import numpy as np

    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    view = memoryview(data if data is not None else b"")
    return (view[start:end] for start, end in pairwise(ends))
