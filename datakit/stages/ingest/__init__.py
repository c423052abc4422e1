"""ingest: files into rows, each with an id, the name of its file and its place in it.

Reads .jsonl .json .csv .tsv .parquet .arrow .txt .md .html .docx .hwpx .epub, with `datakit[documents]` .pdf and .hwp,
with `datakit[web]` .warc and Wikipedia dumps (each also .gz .bz2 .zst .xz), from paths, folders, globs, any fsspec URL,
and data sets of the Hugging Face hub (`hf:owner/name?config=ko&split=train`). Encodings are detected and stated. A line
that can't be read costs only itself: it is a drop with file and line, until they are too many.

A shard holds at most 20,000 rows or 8 MiB: a large file makes several, small ones share one (groups.py). Rows that
repeat within a file get different ids, which no other file changes; the memory for that is about 100 bytes a row of
the file, the rest is bounded by the shard.
Measured: 38 MB of Markdown in .jsonl.gz take about 0.6 s of CPU, of which 0.2 s are gzip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from io import BytesIO
from typing import IO, Annotated, ClassVar

from pydantic import Field, field_validator, model_validator

from datakit.errors import Problem, SourceError, failing_at
from datakit.outcome import Outcome
from datakit.remote import holds_secret
from datakit.schemas import Kind
from datakit.stage import Env, Execution, Source, SourceStage
from datakit.stages.ingest import hub
from datakit.stages.ingest.encoding import Detected, detect, known_encoding, sample_of
from datakit.stages.ingest.files import find, format_of, opened
from datakit.stages.ingest.forms import PARTS, Form
from datakit.stages.ingest.groups import grouped
from datakit.stages.ingest.making import Making
from datakit.stages.ingest.readers import DOCUMENTS, READERS, TYPED, read_hub
from datakit.stages.ingest.rows import Reading, Rows, Waiting
from datakit.stages.ingest.whole import missing_package, need

LOST = ("unreadable", "too_large")
"""Rules of rows that could not be read; others stand for rows that hold nothing to read."""
MIN_UNREADABLE = 20
"""So many unreadable rows of a file are always forgiven: a share of a small file says little."""
GUESS_FROM = {"txt": 1, "html": 1, "csv": 3, "tsv": 3}
"""Lines that must be no UTF-8 before a legacy encoding is guessed; JSON is UTF-8 by its standard (CP949 apart)."""


class Ingest(SourceStage):
    """Read files into documents, or into instruction rows."""

    use: ClassVar[str] = "ingest"
    version: ClassVar[int] = 3
    rules: ClassVar[tuple[str, ...]] = ("unreadable", "too_large", "no_text", "no_article", "bad_turns")

    files: Annotated[str | list[str], Execution]
    """Files, folders, globs, fsspec URLs, or `hf:owner/name?split=train`; one, or a list that is read in order."""
    form: Form = "document"
    """What a row is: a document, or an instruction row in one of five forms; auto: as each file's columns show it."""
    text: str = Field("text", min_length=1)
    """Column that holds the text of a document."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Other names of a form's columns, such as {instruction: question, output: answer}."""
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
        if any(map(holds_secret, [files] if isinstance(files, str) else files)):
            raise ValueError("a URL must hold no password, key or signature: set it in the environment")
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

    @model_validator(mode="after")
    def _columns_of_the_form(self) -> Ingest:
        everything = dict.fromkeys(part for parts in PARTS.values() for part in parts)
        parts = everything if self.form == "auto" else PARTS[self.form]
        if unknown := sorted(set(self.columns) - set(parts)):
            fix = f"its parts are {', '.join(parts)}" if parts else "name its column with `text`"
            raise ValueError(f"{unknown[0]!r} is no part of a row of form {self.form!r}; {fix}")
        return self

    def gives(self, kind: Kind | None) -> Kind:
        """Documents, or examples if a form says so."""
        return "document" if self.form == "document" else "example"

    def problems(self) -> list[Problem]:
        """Packages that the named formats need; files below folders are found later."""
        patterns = [self.files] if isinstance(self.files, str) else self.files
        forms = dict.fromkeys(known[0] for pattern in patterns if (known := format_of(pattern)))
        return super().problems() + [problem for form in forms if (problem := missing_package(form, "files"))]

    def sources(self) -> list[Source]:
        """The files in order, each with its name, size and the digest of its bytes."""
        patterns = [self.files] if isinstance(self.files, str) else list(dict.fromkeys(self.files))
        found = find([pattern for pattern in patterns if not hub.is_hub(pattern)])
        found |= {pattern: [hub.source_of(pattern)] for pattern in patterns if hub.is_hub(pattern)}
        sources = [source for pattern in patterns for source in found[pattern]]
        forms = {known[0]: one.name for one in sources if (known := format_of(one.url.split("::")[0]))}
        for form, name in forms.items():
            need(form, name)
        return sources

    def groups(self) -> list[tuple[Source, ...]]:
        """The files in order; small neighbours share shards (groups.py says which)."""
        return grouped(self.sources())

    def read(self, source: Source, env: Env) -> Iterator[Outcome]:
        """The rows of one file, a shard at a time."""
        return self.read_group((source,), env)

    def read_group(self, group: Sequence[Source], env: Env) -> Iterator[Outcome]:
        """The rows of some files, a shard at a time."""
        making, waiting = Making(self, env.tell), Waiting()
        for source in group:
            for part in self._parts(source, env):
                if not waiting.has_room(part):
                    yield making.outcome(waiting.taken())
                waiting.add(part)
        if waiting.parts:
            yield making.outcome(waiting.taken())

    def _parts(self, source: Source, env: Env) -> Iterator[Rows]:
        """The rows of one file as its reader gives them. SourceError if too many of them can't be read."""
        rows = unreadable = 0
        with failing_at(self.name, source.name), self._rows(source, env) as (found, counters):
            for part in found:
                if rows and not len(part):
                    continue
                part.name, part.counters, counters = source.name, counters, Counter()
                rows, unreadable = rows + len(part), unreadable + sum(drop.rule in LOST for _, drop in part.bad)
                part.counters["empty_files"] += not rows
                yield part
        share = unreadable / max(1, rows)
        if unreadable > MIN_UNREADABLE and share > self.max_unreadable:
            raise SourceError(
                f"{unreadable} of {rows} rows can't be read ({share:.0%})",
                where=source.name,
                fix="check `encoding` and the file's ending, or raise `max_unreadable`",
            )

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
        how = replace(how, delimiter=self.delimiter or ("\t" if form == "tsv" else ","))
        if form in TYPED:
            with opened(source.url) as stream:
                yield READERS[form](stream, how), Counter()
            return
        with self._decodable(source.url, form) as (stream, found):
            if found.encoding != "utf-8" or found.unsure:
                env.tell(f"{source.name}: {found.told()}")
            counters = Counter({f"encoding.{found.encoding}": 1, "encoding.unsure": int(found.unsure)})
            yield READERS[form](stream, replace(how, encoding=found.encoding)), counters

    @contextmanager
    def _decodable(self, url: str, form: str) -> Iterator[tuple[IO[bytes], Detected]]:
        """An open file and its encoding. A small one is read once, for both."""
        if self.encoding != "auto":
            with opened(url) as stream:
                yield stream, Detected(self.encoding, 1.0)
            return
        with opened(url) as stream:
            sample, whole = sample_of(stream)
        found = detect(sample, GUESS_FROM.get(form, 0))
        with nullcontext(BytesIO(sample)) if whole else opened(url) as stream:
            yield stream, found
