"""ingest: files into rows, each with an id, the name of its file and its place in it.

Reads .jsonl .json .csv .tsv .parquet .arrow .txt .md .html .docx .hwpx .epub, with `datakit[documents]` .pdf and .hwp,
with `datakit[web]` .warc and Wikipedia dumps (each also .gz .bz2 .zst .xz), from paths, folders, globs, any fsspec URL,
and data sets of the Hugging Face hub (`hf:owner/name?config=ko&split=train`). Encodings are detected and stated. A line
that can't be read costs only itself: it is a drop with file and line, until they are too many.

One file makes one or more shards of at most 20,000 rows or 8 MiB. Rows that repeat within a file get different ids; the
memory for that is about 100 bytes a row of the file, the rest is bounded by the shard.
Measured: 38 MB of Markdown in .jsonl.gz take about 0.6 s of CPU, of which 0.2 s are gzip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator

from datakit.errors import Problem, SourceError
from datakit.outcome import Drop, Outcome, drops_table
from datakit.schemas import Kind, row_id, schema_of
from datakit.stage import Env, Execution, Source, SourceStage
from datakit.stages.ingest import hub
from datakit.stages.ingest.columns import carried
from datakit.stages.ingest.encoding import Detected, detect, known_encoding, sample_of
from datakit.stages.ingest.files import find, format_of, opened
from datakit.stages.ingest.forms import ALPACA, FORMS, Body, Form, check_columns
from datakit.stages.ingest.readers import DOCUMENTS, READERS, TYPED, read_hub
from datakit.stages.ingest.rows import Reading, Rows
from datakit.stages.ingest.whole import missing_package

if TYPE_CHECKING:
    import pyarrow as pa

MIN_UNREADABLE = 20
"""So many unreadable rows of a file are always forgiven: a share of a small file says little."""
GUESS_FROM = {"txt": 1, "html": 1, "csv": 3, "tsv": 3}
"""Lines that must be no UTF-8 before a legacy encoding is guessed; JSON is UTF-8 by its standard (CP949 apart)."""


class Ingest(SourceStage):
    """Read files into documents, or into instruction rows."""

    use: ClassVar[str] = "ingest"
    rules: ClassVar[tuple[str, ...]] = ("unreadable", "too_large", "no_text", "no_article", "bad_turns")

    files: Annotated[str | list[str], Execution]
    """Files, folders, globs, fsspec URLs, or `hf:owner/name?split=train`; one, or a list that is read in order."""
    form: Form = "document"
    """What a row is: document, or an instruction row in alpaca, sharegpt or messages form."""
    text: str = Field("text", min_length=1)
    """Column that holds the text of a document."""
    columns: dict[str, str] = Field(default_factory=dict)
    """For alpaca: other names of the columns, such as {instruction: question, output: answer}."""
    id_field: str | None = None
    """Column that holds the file's own id, kept as source_id; default: `<file>:<line>`."""
    licence: str | None = None
    """Licence of the rows, carried with each of them."""
    encoding: str = "auto"
    """Encoding of text files: auto (UTF-8, UTF-16, CP949 and others, by their bytes), utf-8, utf-16, cp949, ..."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """Character between the cells of .csv and .tsv files; default: comma, and tab."""
    max_row_mb: float = Field(64.0, gt=0, le=1024)
    """Longest line, record or text file that is read, in MiB; longer ones are dropped as too_large."""
    max_unreadable: float = Field(0.05, ge=0, le=1)
    """Largest share of unreadable rows in a file before the run stops (20 rows are always forgiven)."""

    @field_validator("files")
    @classmethod
    def _some_files(cls, files: str | list[str]) -> str | list[str]:
        if not files or not all(files):
            raise ValueError("name at least one file, folder or glob")
        return files

    @field_validator("encoding")
    @classmethod
    def _a_known_encoding(cls, name: str) -> str:
        if name == "auto":
            return name
        try:
            return known_encoding(name)
        except LookupError as error:
            raise ValueError("an encoding that Python knows, such as utf-8, utf-16, cp949, or auto") from error

    @field_validator("columns")
    @classmethod
    def _columns_of_a_form(cls, columns: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(columns) - set(ALPACA)):
            raise ValueError(f"{unknown[0]!r} is no part of an alpaca row; its parts are {', '.join(ALPACA)}")
        return columns

    def gives(self, kind: Kind | None) -> Kind:
        """Documents, or examples if a form says so."""
        return "document" if self.form == "document" else "example"

    def problems(self) -> list[Problem]:
        """Packages that the named formats need; files below folders are found later."""
        patterns = [self.files] if isinstance(self.files, str) else self.files
        forms = dict.fromkeys(known[0] for pattern in patterns if (known := format_of(pattern)))
        return super().problems() + [problem for form in forms if (problem := missing_package(form, "files"))]

    def sources(self) -> list[Source]:
        """The files in order, each with its name and the digest of its bytes."""
        patterns = [self.files] if isinstance(self.files, str) else list(dict.fromkeys(self.files))
        found = find([pattern for pattern in patterns if not hub.is_hub(pattern)])
        found |= {pattern: [hub.source_of(pattern)] for pattern in patterns if hub.is_hub(pattern)}
        return [source for pattern in patterns for source in found[pattern]]

    def read(self, source: Source, env: Env) -> Iterator[Outcome]:
        """The rows of one file, a shard at a time."""
        making = _Making(self, source.name)
        with self._rows(source, env) as (rows, counters):
            for part in rows:
                if making.rows == 0 or part.positions or part.bad:
                    outcome = making.outcome(part)
                    outcome.counters.update(counters)
                    counters.clear()
                    yield outcome
        making.check_unreadable()

    @contextmanager
    def _rows(self, source: Source, env: Env) -> Iterator[tuple[Iterator[Rows], Counter[str]]]:
        """An open file's rows, and what is to be counted once for the file."""
        how = Reading(source.name, self.encoding, self.text, self.max_row_mb, self.delimiter)
        if hub.is_hub(source.url):
            yield read_hub(hub.tables(source.url), how), Counter()
            return
        form = (format_of(source.url.split("::")[0]) or ("", None))[0]
        if form in DOCUMENTS and self.form != "document":
            fix = "leave such files out, or read them as documents"
            raise SourceError(f"a .{form} file holds documents, not {self.form} rows", where=source.name, fix=fix)
        counters: Counter[str] = Counter()
        found = Detected(self.encoding, 1.0)
        if form not in TYPED:
            if self.encoding == "auto":
                with opened(source.url) as stream:
                    found = detect(sample_of(stream), GUESS_FROM.get(form, 0))
            counters[f"encoding.{found.encoding}"] += 1
            counters["encoding.unsure"] += found.unsure
            if found.encoding != "utf-8" or found.unsure:
                env.tell(f"{source.name}: {found.told()}")
        delimiter = self.delimiter or ("\t" if form == "tsv" else ",")
        with opened(source.url) as stream:
            yield (
                READERS[form](stream, Reading(source.name, found.encoding, self.text, self.max_row_mb, delimiter)),
                counters,
            )


class _Making:
    """Makes a file's rows into tables: core columns, ids, extra columns, drops."""

    def __init__(self, stage: Ingest, name: str) -> None:
        self.stage, self.name = stage, name
        self.rows = self.unreadable = 0
        self.seen: set[int] = set()
        self.again: Counter[int] = Counter()
        self.types: dict[str, pa.DataType] = {}
        self.checked = False

    def outcome(self, rows: Rows) -> Outcome:
        """One shard."""
        self.rows += len(rows.positions) + len(rows.bad)
        self.unreadable += sum(drop.rule in ("unreadable", "too_large") for _, drop in rows.bad)
        counters = Counter({"mended_surrogates": rows.mended}) if rows.mended else Counter()
        if not self.rows:
            counters["empty_files"] += 1
        lost = [(position, f"{self.name}:{position}", drop) for position, drop in rows.bad]
        if not rows.positions:
            return Outcome(self._empty(), self._drops(lost), counters=counters)
        body, named = self._body(rows), self._source_ids(rows)
        kept = [place for place, value in enumerate(body.values) if not isinstance(value, Drop)]
        lost += [(rows.positions[p], named[p], v) for p, v in enumerate(body.values) if isinstance(v, Drop)]
        table = self._core(rows, body, kept, named)
        for column, values in self._extra(rows, body, kept).items():
            table = table.append_column(column, values)
        return Outcome(table, self._drops(lost), counters=counters)

    def check_unreadable(self) -> None:
        """SourceError if too many rows of the file could not be read."""
        share = self.unreadable / max(1, self.rows)
        if self.unreadable > MIN_UNREADABLE and share > self.stage.max_unreadable:
            raise SourceError(
                f"{self.unreadable} of {self.rows} rows can't be read ({share:.0%})",
                where=self.name,
                fix="check `encoding` and the file's ending, or raise `max_unreadable`",
            )

    def _body(self, rows: Rows) -> Body:
        names = {"text": self.stage.text, **self.stage.columns}
        if not self.checked:
            check_columns(self.stage.form, names, list(rows.columns), self.name)
            if self.stage.id_field is not None and self.stage.id_field not in rows.columns:
                fix = f"the file has {len(rows.columns)} columns; set `id_field` to one of them, or leave it out"
                raise SourceError(f"no column {self.stage.id_field!r} for the id", where=self.name, fix=fix)
            self.checked = True
        if self.stage.form == "document":
            texts = rows.columns.get(self.stage.text)
            return FORMS["document"]({self.stage.text: _listed(texts, len(rows.positions))}, names)
        columns = {name: _listed(values, len(rows.positions)) for name, values in rows.columns.items()}
        return FORMS[self.stage.form](columns, names)

    def _source_ids(self, rows: Rows) -> list[str]:
        default = [f"{self.name}:{position}" for position in rows.positions]
        if self.stage.id_field is None:
            return default
        own = _listed(rows.columns.get(self.stage.id_field), len(default))
        return [line if value is None or value == "" else str(value) for value, line in zip(own, default, strict=True)]

    def _ids(self, body: Body, kept: list[int]) -> list[str]:
        ids = []
        for place in kept:
            content = body.contents[place] or b""
            key = row_id(self.name, content)
            # Eight bytes of the hash are enough: a chance meeting only gives a row the next occurrence number.
            mark = int(key[:16], 16)
            if mark in self.seen:
                self.again[mark] += 1
                key = row_id(self.name, content, self.again[mark])
            else:
                self.seen.add(mark)
            ids.append(key)
        return ids

    def _core(self, rows: Rows, body: Body, kept: list[int], named: list[str]) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        ids = pa.array(self._ids(body, kept), pa.large_string())
        size = len(kept)
        known = {
            "id": ids,
            "family": ids,
            "source_id": pa.array([named[place] for place in kept], pa.large_string()),
            "source": pa.array([self.name] * size, pa.large_string()),
            "position": pa.array([rows.positions[place] for place in kept], pa.int64()),
            "made_by": pa.array(["ingest"] * size, pa.large_string()),
            "licence": pa.array([self.stage.licence] * size, pa.large_string()),
        }
        values = [body.values[place] for place in kept]
        none = pa.LargeListArray.from_arrays(np.zeros(size + 1, np.int64), pa.array([], pa.large_string()))
        columns = []
        for column in schema_of(self.stage.gives(None)):
            if column.name in known:
                columns.append(known[column.name])
            elif column.name in ("parents", "made_with"):
                columns.append(none)
            elif column.name == "text":
                columns.append(pa.array(values, pa.large_string()))
            elif column.name in ("messages", "tools", "chosen", "rejected"):
                columns.append(pa.array([value.get(column.name) for value in values], column.type))
            else:
                columns.append(pa.nulls(size, column.type))
        return pa.Table.from_arrays(columns, schema=schema_of(self.stage.gives(None)))

    def _extra(self, rows: Rows, body: Body, kept: list[int]) -> dict[str, pa.Array]:
        """The file's other columns as `source.<column>`, in the order of the file; later shards keep earlier types."""
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

    def _drops(self, lines: list[tuple[int, str, Drop]]) -> pa.Table | None:
        """Drops in the order of the file. Their ids are made of their place; no kept row has the occurrence -1."""
        lines.sort(key=lambda line: line[0])
        told = [(row_id(self.name, str(position), -1), named, drop) for position, named, drop in lines]
        return drops_table(told) if told else None

    def _empty(self) -> pa.Table:
        return schema_of(self.stage.gives(None)).empty_table()


def _listed(column: Any, size: int) -> list[Any]:
    """A column as Python values; nulls for a column that is not there."""
    if column is None:
        return [None] * size
    return column if isinstance(column, list) else column.to_pylist()
