"""Stages written as a user would write them, for tests: loaded as `tests/stages_of_ones_own.py:Name`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import PositiveInt

from datakit.canon import digest_file
from datakit.outcome import Drop, Outcome
from datakit.schemas import Document, Kind, replace_column, row_id, table_from_rows
from datakit.stage import (
    Corpus,
    CorpusStage,
    Env,
    Execution,
    Outbox,
    RowStage,
    RowWork,
    Source,
    SourceStage,
    per_document,
)
from datakit.stages.ingest import Ingest


class Lines(SourceStage):
    """One document a line."""

    use: ClassVar[str] = "lines"
    files: Annotated[list[str], Execution]
    """Text files; each enters its shards' keys by name and digest."""
    shard_rows: PositiveInt = 3
    """Rows of a shard."""

    def gives(self, kind: Kind | None) -> Kind:
        return "document"

    def sources(self) -> list[Source]:
        return [Source(path, Path(path).name, digest_file(path)) for path in self.files]

    def read(self, source: Source, env: Env) -> Iterator[Outcome]:
        lines = Path(source.url).read_text().splitlines()
        rows = [
            {
                "id": row_id(source.name, line, n),
                "source_id": f"{source.name}:{n}",
                "text": line,
                "source": source.name,
                "position": n,
                "parents": [],
            }
            for n, line in enumerate(lines, start=1)
        ]
        for start in range(0, len(rows), self.shard_rows):
            yield Outcome(table_from_rows(rows[start : start + self.shard_rows], "document"))


class OneByOne(Ingest):
    """The real ingest, but small files don't share shards: a few of them make a corpus of several shards."""

    def groups(self) -> list[tuple[Source, ...]]:
        return SourceStage.groups(self)


class MaxLength(RowStage):
    """Drop documents longer than `limit` characters."""

    use: ClassVar[str] = "max_length"
    rules: ClassVar[tuple[str, ...]] = ("too_long",)
    limit: PositiveInt = 10_000
    """Longest text kept, in characters."""

    def open(self, env: Env) -> RowWork:
        def judge(doc: Document) -> Drop | None:
            return Drop("too_long", len(doc.text), self.limit) if len(doc.text) > self.limit else None

        return per_document(judge)


class Shout(RowStage):
    """Upper-case every text."""

    use: ClassVar[str] = "shout"

    def open(self, env: Env) -> RowWork:
        def louder(doc: Document) -> Document:
            doc.text = doc.text.upper()
            return doc

        return per_document(louder)


class Letters(RowStage):
    """A tokenizer whose tokens are code points."""

    use: ClassVar[str] = "letters"

    def gives(self, kind: Kind | None) -> Kind:
        return "tokens"

    def open(self, env: Env) -> RowWork:
        def work(batch: Any) -> Outcome:
            found = [{**row, "input_ids": [ord(letter) for letter in row["text"]]} for row in batch.to_pylist()]
            names = ("id", "source_id", "input_ids")
            rows = [{**{name: row[name] for name in names}, "labels": row["input_ids"]} for row in found]
            return Outcome(table_from_rows(rows, "tokens"))

        return work


class Thief(RowStage):
    """Loses rows without saying so: the planted breach of the conservation law."""

    use: ClassVar[str] = "thief"

    def open(self, env: Env) -> RowWork:
        return lambda batch: Outcome(batch.slice(1))


class Numbering(RowStage):
    """Puts a row's place in its batch before the text: the planted breach of the batch size's law."""

    use: ClassVar[str] = "numbering"

    def open(self, env: Env) -> RowWork:
        import pyarrow as pa

        def work(batch: Any) -> Outcome:
            texts = [f"{place} {text}" for place, text in enumerate(batch.column("text").to_pylist())]
            return Outcome(replace_column(batch, "text", pa.array(texts, pa.large_string())))

        return work


class Superstitious(RowStage):
    """Puts Python's own hash before the text: the planted breach of the hash seed's law."""

    use: ClassVar[str] = "superstitious"

    def open(self, env: Env) -> RowWork:
        def counted(doc: Document) -> Document:
            doc.text = f"{hash(doc.text)} {doc.text}"
            return doc

        return per_document(counted)


class Hoarder(RowStage):
    """Keeps every text as bytes in a column of its own, where `pii` doesn't look: the planted breach of privacy."""

    use: ClassVar[str] = "hoarder"

    def open(self, env: Env) -> RowWork:
        def work(batch: Any) -> Outcome:
            return Outcome(batch.append_column("hoarder.copy", batch.column("text").cast("large_binary")))

        return work


class Fickle(RowStage):
    """Is another stage each time it is asked: the planted breach of the law that nothing is done twice."""

    use: ClassVar[str] = "fickle"

    def identity(self) -> dict[str, Any]:
        Fickle.asked += 1
        return {"asked": Fickle.asked}

    def open(self, env: Env) -> RowWork:
        return Outcome

    asked: ClassVar[int] = 0


class Whisperer(RowStage):
    """Fails with a text in its message, which must not get out."""

    use: ClassVar[str] = "whisperer"

    def open(self, env: Env) -> RowWork:
        def fail(doc: Document) -> Document:
            raise ValueError(doc.text)

        return per_document(fail)


class Unique(CorpusStage):
    """Keep the first of equal texts; the others are folded into it."""

    use: ClassVar[str] = "unique"
    rules: ClassVar[tuple[str, ...]] = ("repeated",)

    def run(self, corpus: Corpus, out: Outbox) -> None:
        first: dict[str, str] = {}
        jobs: list[tuple[Any, dict[str, Any]]] = []
        for shard, part in zip(corpus.shards, corpus.map(_texts, {"v": 1}, part="unique"), strict=True):
            matched = []
            for own, text in zip(part.column("id").to_pylist(), part.column("text").to_pylist(), strict=True):
                matched.append(first.get(text))
                first.setdefault(text, own)
            jobs.append((shard, {"matched": matched}))
        out.map(_select, jobs)
        out.note(texts=len(first))


def _texts(table: Any, settings: dict[str, Any]) -> Any:
    return table.select(["id", "text"])


def _select(table: Any, settings: dict[str, Any]) -> Outcome:
    from datakit.stage import keep_where
    from datakit.work import as_batch

    return keep_where(as_batch(table), [m and Drop("repeated", matched=m) for m in settings["matched"]])
