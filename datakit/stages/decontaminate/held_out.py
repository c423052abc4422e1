"""Evaluation sets as people have them: JSONL, JSON, CSV, TSV, Parquet, plain text; UTF-8, else CP949 (Korean Excel).

The package ships none. Errors say file and item, never a word of the text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datakit.errors import SourceError

_CSV = {".csv": ",", ".tsv": "\t"}
_BIGGEST_CELL = 1 << 27


class HeldOut(NamedTuple):
    """One field of a held-out item."""

    source: str
    """Name of its file."""
    item: str
    text: str

    @property
    def name(self) -> str:
        """How a drop names the item."""
        return f"{self.source}#{self.item}"


def read_held_out(path: str, columns: Sequence[str], id_column: str) -> list[HeldOut]:
    """The fields of all items of a set. An item without any of the columns is refused."""
    source = Path(path).name
    found = []
    for number, row in _rows(path, columns[0]):
        where = f"{path}:{number}"
        texts = [text for column in columns for text in _texts(row.get(column))] if isinstance(row, dict) else []
        if not texts:
            told = " or ".join(repr(column) for column in columns)
            raise SourceError(f"the held-out item has no text in {told}", where=where, fix="set `columns`")
        name = row.get(id_column)
        found += [HeldOut(source, f"line {number}" if name is None else str(name), text) for text in texts]
    return found


def _texts(value: Any) -> list[str]:
    """A field's texts: one, or a list of them (the choices of a question)."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _rows(path: str, column: str) -> Iterator[tuple[int, Any]]:
    """Number and fields of every item; a line of plain text is an item whose text is in `column`."""
    kind = Path(path).suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path)
        return
    text = _decoded(path)
    if kind in _CSV:
        csv.field_size_limit(_BIGGEST_CELL)
        yield from enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter=_CSV[kind]), start=2)
    elif kind == ".json":
        rows = _parsed(text, path)
        yield from enumerate(rows if isinstance(rows, list) else [rows], start=1)
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, {column: line} if kind in (".txt", ".text") else _parsed(line, f"{path}:{number}")


def _decoded(path: str) -> str:
    data = Path(path).read_bytes()
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SourceError("the held-out list is neither UTF-8 nor CP949", where=path, fix="save it as UTF-8")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # Without the cause: its message may quote a held-out text.
        raise SourceError(
            "the held-out list has a line that is not JSON", where=where, fix="one object a line"
        ) from None


def _parquet(path: str) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid:
        raise SourceError("the held-out list is not a Parquet file", where=path, fix="name it by what it is") from None
    yield from enumerate(rows, start=1)
