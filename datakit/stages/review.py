"""review: people's verdicts and edits, from the file that `datakit review export` wrote and somebody filled in.

    id   verdict                              edited_question   edited_answer     becomes
    …    ok, keep, 통과, 채택 …                                                     kept
    …    reject, drop, 탈락, 제외 …                                                 dropped by `rejected`
    …    empty                                                  a text            kept with the text
    …    empty                                                                    `unreviewed`: kept, or dropped

The file is CSV (UTF-8, or CP949 as Korean Excel saves it; comma, semicolon or tab) or JSON lines; columns beside these
are not read. A row keeps its id, parents and family whatever is edited, so that `why` tells its story; the columns
`review.verdict` and `review.comment` are added. An unknown verdict, or two for one id, is an error with its line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from datakit.errors import Problem, SourceError
from datakit.outcome import Drop
from datakit.schemas import Kind, replace_column
from datakit.stage import Env, FileRef, Outcome, RowStage, RowWork, keep_where

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = frozenset({"ok", "keep", "accept", "accepted", "good", "yes", "y", "o", "통과", "채택", "승인", "좋음", "예"})
REJECTED = frozenset({"reject", "rejected", "drop", "bad", "no", "n", "x", "탈락", "제외", "거부", "나쁨", "아니요"})
TEXTS = ("edited_question", "edited_answer", "comment")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What somebody decided about one row."""

    verdict: Literal["", "keep", "reject"]
    question: str = ""
    """New text of the first question; "" leaves it."""
    answer: str = ""
    """New text of the last answer (of the chosen one in a preference row); "" leaves it."""
    comment: str = ""

    @property
    def empty(self) -> bool:
        """Whether nobody looked at the row."""
        return not (self.verdict or self.question or self.answer)


class Review(RowStage):
    """Apply people's verdicts and edits to the rows that they are about."""

    use: ClassVar[str] = "review"
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})
    rules: ClassVar[tuple[str, ...]] = ("rejected", "unreviewed")

    file: FileRef
    """The reviewed file: CSV or JSONL, as `datakit review export` writes it."""
    unreviewed: Literal["keep", "drop"] = "keep"
    """What becomes of rows that nobody judged."""

    def problems(self) -> list[Problem]:
        """The file must be readable, line by line."""
        found = super().problems()
        if not found:
            try:
                read_reviews(self.file)
            except SourceError as error:
                found.append(Problem("file", f"{error.message} ({error.where})", error.fix))
        return found

    def open(self, env: Env) -> RowWork:
        reviews = read_reviews(self.file)

        def work(batch: pa.RecordBatch) -> Outcome:
            found = [reviews.get(own, Reviewed("")) for own in batch.column("id").to_pylist()]
            edited = _edited(batch, found)
            verdicts = [self._verdict(review) for review in found]
            return keep_where(_with_columns(edited, found), verdicts, Counter(map(_counted, found)))

        return work

    def _verdict(self, review: Reviewed) -> Drop | None:
        if review.verdict == "reject":
            return Drop("rejected")
        return Drop("unreviewed") if review.empty and self.unreviewed == "drop" else None


def read_reviews(path: str) -> dict[str, Reviewed]:
    """Verdicts and edits by row id."""
    found: dict[str, Reviewed] = {}
    for line, row in rows_of(Path(path)):
        own = str(row.get("id") or "").strip().lstrip("'")
        if not own:
            fix = "keep the column `id` as it was exported"
            raise SourceError("a reviewed row has no id", where=f"{path}:{line}", fix=fix)
        review = _review(row, f"{path}:{line}")
        if found.setdefault(own, review) != review:
            raise SourceError("a row is judged twice, differently", where=f"{path}:{line}", fix="delete one of the two")
    return found


def rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a reviewed file with their line numbers (in CSV: of the line where a row ends)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"the reviewed file can't be read: {error.strerror}", where=str(path)) from error
    text = _decoded(data, path)
    if path.suffix.lower() in (".jsonl", ".json"):
        yield from _json_rows(text, path)
        return
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise SourceError(f"no valid CSV: {error}", where=f"{path}:{reader.line_num}", fix="save it as CSV") from error


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, one in enumerate(text.split("\n"), start=1):
        if not one.strip():
            continue
        try:
            row = json.loads(one)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise SourceError("a reviewed row is no JSON object", where=f"{path}:{line}", fix="one object a line")
        yield line, row


def _decoded(data: bytes, path: Path) -> str:
    """Text as people's programs save it: UTF-8, UTF-16 by its mark, CP949 (Korean Excel's plain CSV)."""
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for name in (codec, "cp949"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    raise SourceError("the reviewed file is neither UTF-8 nor CP949", where=str(path), fix="save it as CSV UTF-8")


def _review(row: Mapping[str, Any], where: str) -> Reviewed:
    word = str(row.get("verdict") or "").strip().casefold()
    verdict: Literal["", "keep", "reject"] = "keep" if word in KEPT else "reject" if word in REJECTED else ""
    if word and not verdict:
        raise SourceError("an unknown verdict", where=where, fix="write ok or reject (통과, 탈락), or leave it empty")
    question, answer, comment = (re.sub(r"\r\n?", "\n", str(row.get(name) or "")).strip() for name in TEXTS)
    return Reviewed(verdict, question, answer, comment)


def _counted(review: Reviewed) -> str:
    """What a review counts as in the report."""
    if review.verdict == "reject":
        return "rejected"
    return "edited" if review.question or review.answer else "unreviewed" if review.empty else "accepted"


def _edited(batch: pa.RecordBatch, reviews: list[Reviewed]) -> pa.RecordBatch:
    """The batch with the edits in it."""
    import pyarrow as pa

    if not any(review.question or review.answer for review in reviews):
        return batch
    for name in ("messages", "chosen"):
        if name not in batch.schema.names:
            continue
        column = batch.column(name).to_pylist()
        for turns, review in zip(column, reviews, strict=True):
            _edit(turns or [], review, question=name == "messages")
        batch = replace_column(batch, name, pa.array(column, batch.schema.field(name).type))
    for name, field in (("synthesize.instruction", "question"), ("synthesize.input", "question")):
        if name in batch.schema.names:
            # A question that was edited as a whole has no parts that are known apart.
            values = batch.column(name).to_pylist()
            kept = [None if getattr(review, field) else v for v, review in zip(values, reviews, strict=True)]
            batch = replace_column(batch, name, pa.array(kept, batch.schema.field(name).type))
    return batch


def _edit(turns: list[dict[str, Any]], review: Reviewed, *, question: bool) -> None:
    """Put the edited texts into the first question and the last answer."""
    if question and review.question:
        first = next((turn for turn in turns if turn["role"] == "user"), None)
        if first is not None:
            first["content"] = review.question
    if review.answer:
        last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
        if last is not None:
            last["content"] = review.answer


def _with_columns(batch: pa.RecordBatch, reviews: list[Reviewed]) -> pa.RecordBatch:
    import pyarrow as pa

    columns = {
        "review.verdict": [_counted(review) for review in reviews],
        "review.comment": [review.comment or None for review in reviews],
    }
    for name, values in columns.items():
        batch = replace_column(batch, name, pa.array(values, pa.large_string()))
    return batch
