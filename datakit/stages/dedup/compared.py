"""What of a row is compared: one column of texts for each part of a row.

    rows        text         parts        the parts
    documents   all          -            the text
    examples    all          separately   what is asked (every role but assistant); what is answered (assistant, and
                                          the `chosen` and `rejected` of preference rows)
    examples    all          together     all messages joined by a blank line
    examples    user         -            the user's messages (likewise `assistant`)
    any         none         -            none; only `fields`

Each column in `fields` is one further part, as text. Two rows are copies if *all* their parts are: the similarity of
two rows is the smallest of their parts' similarities. So rows that share a question but not its answer, or an answer
but not its question, stay apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from datakit.schemas import TEXT_JOINT

if TYPE_CHECKING:
    import pyarrow as pa

Text = Literal["all", "user", "assistant", "none"]
Parts = Literal["separately", "together"]
LISTS = ("messages", "chosen", "rejected")


@dataclass(frozen=True, slots=True)
class Compared:
    """Says what is compared, and takes it out of tables."""

    text: Text = "all"
    parts: Parts = "separately"
    fields: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Itself as a stage's work gets it: `Compared(**settings)`."""
        return {**asdict(self), "fields": list(self.fields)}

    def columns(self, kind: str | None) -> list[str]:
        """The columns that `of` looks at."""
        texts = () if self.text == "none" else LISTS if kind == "example" else ("text",)
        return [*texts, *self.fields]

    def count(self, kind: str | None) -> int:
        """How many parts a row has."""
        asked = 2 if kind == "example" and (self.text, self.parts) == ("all", "separately") else 1
        return len(self.fields) + (0 if self.text == "none" else asked)

    def of(self, table: pa.Table) -> list[pa.LargeStringArray]:
        """One array of texts for each part, never null; a field that the table lacks is empty."""
        import pyarrow as pa

        batches = table.combine_chunks().to_batches()
        if not batches:
            batches = [pa.RecordBatch.from_pylist([], table.schema)]
        return [*self._texts(batches[0]), *(_field(batches[0], name) for name in self.fields)]

    def _texts(self, batch: pa.RecordBatch) -> list[pa.LargeStringArray]:
        import pyarrow.compute as pc

        if self.text == "none":
            return []
        if "messages" not in batch.schema.names:
            texts = batch.column("text")
            return [pc.fill_null(texts, "") if texts.null_count else texts]
        messages = batch.column("messages")
        role = messages.values.field("role")
        if self.text != "all":
            return [_joined(messages, pc.equal(role, self.text))]
        replies = [_joined(batch.column(name)) for name in LISTS[1:] if _filled(batch, name)]
        if self.parts == "together":
            return [_beside([_joined(messages), *replies])]
        answer = pc.equal(role, "assistant")
        return [_joined(messages, pc.invert(answer)), _beside([_joined(messages, answer), *replies])]


def _filled(batch: pa.RecordBatch, name: str) -> bool:
    return name in batch.schema.names and batch.column(name).null_count < len(batch)


def _joined(messages: pa.LargeListArray, chosen: pa.BooleanArray | None = None) -> pa.LargeStringArray:
    """The contents of the chosen messages of every row, joined by a blank line."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    contents = pc.fill_null(messages.values.field("content"), "")
    offsets = messages.offsets
    if chosen is not None:
        mask = pc.fill_null(chosen, False)
        before = np.concatenate([[0], np.cumsum(mask.to_numpy(zero_copy_only=False))])
        offsets, contents = pa.array(before[offsets.to_numpy()], pa.int64()), contents.filter(mask)
    lists = pa.LargeListArray.from_arrays(offsets, contents)
    return pc.binary_join(lists, pa.scalar(TEXT_JOINT, pa.large_string())).cast(pa.large_string())


def _beside(texts: list[pa.LargeStringArray]) -> pa.LargeStringArray:
    """Several texts of each row as one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(texts) == 1:
        return texts[0]
    return pc.binary_join_element_wise(*texts, pa.scalar(TEXT_JOINT, pa.large_string()))


def _field(batch: pa.RecordBatch, name: str) -> pa.LargeStringArray:
    """A column as text: numbers and dates as Arrow spells them, anything nested as JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in batch.schema.names:
        return pa.array([""] * len(batch), pa.large_string())
    column = batch.column(name)
    if pa.types.is_nested(column.type):
        from datakit.canon import canonical

        spelled = [None if value is None else canonical(value).decode() for value in column.to_pylist()]
        column = pa.array(spelled, pa.large_string())
    return pc.fill_null(column.cast(pa.large_string()), "")
