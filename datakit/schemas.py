"""What flows: the Arrow schemas of the four kinds, and thin views of one row.

    document  id source_id text source position lang parents[] made_with[] family made_by licence (split)
    example   the same without text, plus messages[{role, content, weight, more}] tools chosen[] rejected[] (split)
              and, after `template`, text and trained[{start, end}] (character spans that are learned)
    tokens    id source_id input_ids[] labels[] family split lang
    packed    input_ids[] labels[] position_ids[] spans[{id, start, length}] split

Between stages travel `pa.RecordBatch`es whose first columns are these; extra columns follow, named `<stage>.<field>` or
`source.<column>`. Strings and lists are `large_*`, so that joined shards cannot overflow 32-bit offsets. Only the
views here turn a row into Python objects, and only the columns that a rule looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, get_args

from datakit.turns import texts_within, with_texts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Kind = Literal["document", "example", "tokens", "packed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
IGNORED = -100
"""The label of a token that is not learned (PyTorch's `ignore_index`)."""
TEXT_JOINT = "\n\n"
"""Stands between the messages of an example where a rule looks at it as one text."""


@cache
def schema_of(kind: Kind) -> pa.Schema:
    """The core columns of a kind, in order, with their types."""
    import pyarrow as pa

    text, strings = pa.large_string(), pa.large_list(pa.large_string())
    if kind == "packed":
        span = pa.struct([("id", text), ("start", pa.int32()), ("length", pa.int32())])
        ids = pa.large_list(pa.int32())
        return pa.schema(
            [
                ("input_ids", ids),
                ("labels", ids),
                ("position_ids", ids),
                ("spans", pa.large_list(span)),
                ("split", text),
            ]
        )
    if kind == "tokens":
        ids = pa.large_list(pa.int32())
        return pa.schema(
            [("id", text), ("source_id", text), ("input_ids", ids), ("labels", ids), ("family", text), ("split", text)]
        )
    origin = [
        ("source", text),
        ("position", pa.int64()),
        ("lang", text),
        ("parents", strings),
        ("made_with", strings),
        ("family", text),
        ("made_by", text),
        ("licence", text),
    ]
    if kind == "document":
        return pa.schema([("id", text), ("source_id", text), ("text", text), *origin])
    message = pa.struct([("role", text), ("content", text), ("weight", pa.float32()), ("more", text)])
    messages = pa.large_list(message)
    body = [("messages", messages), ("tools", text), ("chosen", messages), ("rejected", messages)]
    return pa.schema([("id", text), ("source_id", text), *body, *origin])


@cache
def rendered_fields() -> list[pa.Field]:
    """The two columns that `template` adds to an example: the text, and the character spans that are trained."""
    import pyarrow as pa

    span = pa.struct([("start", pa.int64()), ("end", pa.int64())])
    return [pa.field("text", pa.large_string()), pa.field("trained", pa.large_list(span))]


def kind_of(schema: pa.Schema) -> Kind:
    """The kind that a schema belongs to."""
    names = set(schema.names)
    if "position_ids" in names:
        return "packed"
    if "input_ids" in names:
        return "tokens"
    return "example" if "messages" in names else "document"


def table_from_rows(rows: Sequence[dict[str, Any]], kind: Kind) -> pa.Table:
    """A table of `kind` from plain dicts: missing core columns become null, extra keys become extra columns."""
    import pyarrow as pa

    schema = schema_of(kind)
    extra = sorted({name for row in rows for name in row} - set(schema.names))
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in schema}
    rendered = {field.name: field.type for field in rendered_fields()}
    for name in extra:
        values = [row.get(name) for row in rows]
        array = pa.array(values, rendered.get(name) if kind == "example" else None)
        columns[name] = array.cast(pa.large_string()) if pa.types.is_string(array.type) else array
    return pa.table(columns)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows in one table: a column that one table lacks becomes null there, numbers widen, and an extra column that
    is a number in one file and text in another becomes text."""
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        clashing = {name for table in tables for name in table.schema.names if not _agree(tables, name)}
        return pa.concat_tables([_as_text(table, clashing) for table in tables], promote_options="permissive")


def _agree(tables: Sequence[pa.Table], name: str) -> bool:
    import pyarrow as pa

    fields = [pa.schema([table.schema.field(name)]) for table in tables if name in table.schema.names]
    try:
        pa.unify_schemas(fields, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return False
    return True


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if field.name in names:
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def row_id(source: str, content: str | bytes, occurrence: int = 0) -> str:
    """The id of a row: a hash of its source, its content and how often that content came before in the source.

    32 hex digits of blake2b. Given once, at ingest or when a stage makes the row, and never changed after.
    """
    digest = blake2b(digest_size=16)
    for part in (source, str(occurrence)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\x00")
    digest.update(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return digest.hexdigest()


@dataclass(slots=True)
class Message:
    """One turn of an example: who speaks (`system`, `user`, `assistant`, `tool`), what, and its training weight.

    `more`: a JSON object of what else the turn had, such as `tool_calls` and `tool_call_id`; names that begin with `@`
    say how its file spelled it, so that it can be written as it came (datakit/turns.py).
    """

    role: str
    content: str
    weight: float | None = None
    more: str | None = None


@dataclass(slots=True)
class Document:
    """A view of one row for a rule: of a document, or of an example seen as one text."""

    id: str
    text: str
    lang: str | None = None
    source: str = ""
    source_id: str = ""
    position: int = -1


@dataclass(slots=True)
class Example:
    """A view of one instruction row."""

    id: str
    messages: list[Message]
    lang: str | None = None
    source: str = ""
    source_id: str = ""
    family: str = ""


def text_view(batch: pa.RecordBatch, role: str | None = None) -> pa.LargeStringArray:
    """One text a row: a document's text, or an example's messages (of one role) joined by a blank line. Never null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if "messages" not in batch.schema.names:
        return pc.fill_null(batch.column("text"), "")
    messages = batch.column("messages")
    contents, offsets = pc.fill_null(messages.values.field("content"), ""), messages.offsets
    if role is not None:
        chosen = pc.fill_null(pc.equal(messages.values.field("role"), role), False)
        before = np.concatenate([[0], np.cumsum(chosen.to_numpy(zero_copy_only=False))])
        contents, offsets = contents.filter(chosen), pa.array(before[offsets.to_numpy()], pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, contents)
    return pc.fill_null(pc.binary_join(lists, pa.scalar(TEXT_JOINT, pa.large_string())), "").cast(pa.large_string())


def text_fields(batch: pa.RecordBatch) -> tuple[pa.LargeStringArray, np.ndarray[Any, Any]]:
    """Every text of every row by itself, and the row each belongs to: a document's text, or all messages of an
    example (then those of chosen, then of rejected). Never null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if "messages" not in batch.schema.names:
        return text_view(batch), np.arange(batch.num_rows)
    texts, rows = [], []
    for name in ("messages", "chosen", "rejected"):
        if name in batch.schema.names:
            turns = batch.column(name)
            texts.append(pc.fill_null(pc.list_flatten(turns).field("content"), ""))
            rows.append(pc.list_parent_indices(turns).to_numpy())
    return pa.concat_arrays(texts), np.concatenate(rows)


def documents(batch: pa.RecordBatch) -> list[Document]:
    """The rows of a batch as `Document` views (documents and examples alike)."""
    names = ("id", "lang", "source", "source_id", "position")
    columns = [batch.column(name).to_pylist() for name in names]
    texts = text_view(batch).to_pylist()
    return [
        Document(own, text, lang, source or "", source_id or "", -1 if position is None else position)
        for text, own, lang, source, source_id, position in zip(texts, *columns, strict=True)
    ]


def examples(batch: pa.RecordBatch) -> list[Example]:
    """The rows of a batch of examples as `Example` views."""
    names = ("id", "lang", "source", "source_id", "family")
    columns = [batch.column(name).to_pylist() for name in names]
    told = batch.column("messages").to_pylist()
    return [
        Example(own, [Message(**turn) for turn in turns], lang, source or "", source_id or "", family or "")
        for turns, own, lang, source, source_id, family in zip(told, *columns, strict=True)
    ]


def replace_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """The batch with one column replaced, or added at the end."""
    if name in batch.schema.names:
        return batch.set_column(batch.schema.get_field_index(name), name, column)
    return batch.append_column(name, column)


def map_texts(batch: pa.RecordBatch, rewrite: Callable[[list[list[str]]], list[list[str]]]) -> pa.RecordBatch:
    """Rewrite every text of every row: a document's text, or all message contents of an example.

    `rewrite` gets one list of texts a row (a document: [text]; an example: its messages, then chosen, then rejected,
    then the texts inside tool calls) and returns lists of the same lengths, so that a row can keep one mapping over all
    of its texts.
    """
    import pyarrow as pa

    if "messages" not in batch.schema.names:
        texts = rewrite([[text or ""] for text in batch.column("text").to_pylist()])
        return replace_column(batch, "text", pa.array([row[0] for row in texts], pa.large_string()))
    parts = [name for name in ("messages", "chosen", "rejected") if name in batch.schema.names]
    turns = {name: batch.column(name).to_pylist() for name in parts}
    flat = [[turn for name in parts for turn in (turns[name][row] or ())] for row in range(batch.num_rows)]
    inner = [[text for turn in row for text in texts_within(turn.get("more"))] for row in flat]
    changed = rewrite([[turn["content"] or "" for turn in row] + own for row, own in zip(flat, inner, strict=True)])
    for row, new in zip(flat, changed, strict=True):
        rest = iter(new[len(row) :])
        for turn, text in zip(row, new, strict=False):
            turn["content"] = text
        for turn in row:
            if turn.get("more"):
                turn["more"] = with_texts(turn["more"], rest)
    for name in parts:
        batch = replace_column(batch, name, pa.array(turns[name], batch.schema.field(name).type))
    return batch
