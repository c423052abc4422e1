"""defects: instruction rows that are broken go, by the classes that had to be repaired in the published Alpaca data.

For rows that came from elsewhere (`ingest` with `form: alpaca` and the like) or were made by a teacher; rows that
`synthesize` makes have passed the same rules, which stand in `datakit.defects`. Each question is judged with the answer
that follows it; a row goes by its first defect, and the drop's value says more (`sight`, `placeholder`, what a sum
comes to), never the text. An input that says `<noinput>` or 입력 없음 is no loss: it is taken out and the row stays.

None of 427 English tasks that people wrote goes, none of this project's seeds in Korean and English; of the 7,473 rows
of GSM8K 20 do, and in all of them a sum is wrong. Cost: 0.2 to 0.4 ms a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from datakit.defects import RULES, defect_of
from datakit.defects.marks import is_no_input, without_no_input
from datakit.outcome import Drop, Outcome
from datakit.schemas import Kind, replace_column
from datakit.stage import Env, RowStage, RowWork, keep_where

if TYPE_CHECKING:
    import pyarrow as pa

Rule = Literal[
    "no_output", "leaked", "senses", "no_input", "same_output", "refusal", "answer_language", "truncated", "escapes",
    "no_code", "wrong_sum",
]  # fmt: skip
INPUTS = (("synthesize.instruction", "synthesize.input"), ("source.instruction", "source.input"))
"""Columns in which a row's instruction and input may stand apart."""


class Defects(RowStage):
    """Drop instruction rows with a defect that a rule can see: empty, merged, refused, cut off, a wrong sum ..."""

    use: ClassVar[str] = "defects"
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})
    rules: ClassVar[tuple[str, ...]] = RULES

    only: tuple[Rule, ...] | None = None
    """Defects that are looked for; null: all."""
    mend: bool = True
    """Take a marker of no input (`<noinput>`, 입력 없음) out of a row rather than drop the row as `no_input`."""

    def open(self, env: Env) -> RowWork:
        asked = frozenset(self.only or RULES)

        def work(batch: pa.RecordBatch) -> Outcome:
            counters: Counter[str] = Counter()
            if self.mend:
                batch, mended = _mended(batch)
                counters["mended.no_input"] += mended
            verdicts = [_judged(exchanges, asked) for exchanges in _exchanges(batch)]
            return keep_where(batch, verdicts, +counters)

        return work


def _judged(exchanges: list[tuple[str, str, str]], rules: frozenset[str]) -> Drop | None:
    for instruction, given, output in exchanges:
        if found := defect_of(instruction, given, output, rules):
            return Drop(*found)
    return None


def _exchanges(batch: pa.RecordBatch) -> Iterator[list[tuple[str, str, str]]]:
    """For each row its (instruction, input, answer)s: every question with the answer after it."""
    names = batch.schema.names
    turns = batch.column("messages").to_pylist()
    chosen = batch.column("chosen").to_pylist() if "chosen" in names else [None] * len(turns)
    for row, (said, preferred) in enumerate(zip(turns, chosen, strict=True)):
        told = [*(said or ()), *(preferred or ())]
        contents = [
            (asked["content"] or "", answer["content"] or "")
            for asked, answer in pairwise(told)
            if asked["role"] == "user" and answer["role"] == "assistant"
        ]
        parts = [_parted(asked) for asked, _ in contents]
        if parts and (known := _known_parts(batch, row, contents[0][0])):
            parts[0] = known
        yield [(*part, output) for part, (_, output) in zip(parts, contents, strict=True)]


def _known_parts(batch: pa.RecordBatch, row: int, asked: str) -> tuple[str, str] | None:
    """Instruction and input from columns of their own, if they are what is asked."""
    for instruction, given in INPUTS:
        if instruction in batch.schema.names and given in batch.schema.names:
            parts = batch.column(instruction)[row].as_py() or "", batch.column(given)[row].as_py() or ""
            if asked.startswith(parts[0]) and asked.endswith(parts[1]) and parts[0]:
                return parts
    return None


def _parted(asked: str) -> tuple[str, str]:
    """Instruction and input of a question that holds both: what stands behind the first blank line is input."""
    instruction, _, given = asked.partition("\n\n")
    return (instruction, given) if instruction.strip() else (asked, "")


def _mended(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """The batch without markers of no input, and in how many rows there was one."""
    import pyarrow as pa

    column, count = batch.column("messages"), 0
    turns: list[Any] = column.to_pylist()
    for said in turns:
        first = next((turn for turn in said or () if turn["role"] == "user"), None)
        if first and (bare := without_no_input(first["content"] or "")) != first["content"]:
            first["content"] = bare
            count += 1
    if not count:
        return batch, 0
    batch = replace_column(batch, "messages", pa.array(turns, column.type))
    for _, name in INPUTS:
        if name in batch.schema.names:
            told = ["" if given and is_no_input(given) else given for given in batch.column(name).to_pylist()]
            batch = replace_column(batch, name, pa.array(told, batch.schema.field(name).type))
    return batch, count
