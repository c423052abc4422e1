"""Personal data in files, outside a pipeline: `scan` says where it stands, `redact` writes a file without it.

The rows of a JSON lines file (.jsonl, .jsonl.gz ...) are looked at in the fields that hold text: `text`, `messages` and
`conversations`, instruction/input/output, prompt/completion, chosen/rejected, or the one field that is named. Other
formats (csv, txt, html ...) are read as `ingest` reads them, for `scan` only.

Neither tells a value: a scan gives places, types and rules. A row that can't be searched is never passed through.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from datakit.errors import ConfigError, Problem, SourceError, StageError
from datakit.pipeline import flatten
from datakit.stage import Env
from datakit.stages.ingest import Ingest
from datakit.stages.ingest.encoding import lines_of
from datakit.stages.ingest.files import opened
from datakit.stages.pii import Pii

TEXT_FIELDS = (
    "system", "instruction", "input", "output", "text", "prompt", "completion", "question", "answer", "response",
)  # fmt: skip
TURN_FIELDS = {"messages": "content", "conversations": "value", "chosen": "content", "rejected": "content"}
"""Fields that hold a list of turns (or a text), and the key of a turn's text."""
JSON_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.xz", ".jsonl.bz2", ".ndjson")

LONGEST_LINE = 256 << 20

_LONG_NUMBER = re.compile(rb"[0-9]{19}")

Place = tuple[str | int, ...]
"""Where a text stands in a row: ("messages", 1, "content")."""


@dataclass(slots=True)
class Scan:
    """What a scan found: one document a row, in the order of the files, and counts by type and rule."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    unsearched: list[str] = field(default_factory=list)
    """Rows that could not be read or searched, as `<file>:<line>`."""
    skipped: int = 0
    """Text fields whose value is no text."""

    def as_json(self) -> list[dict[str, Any]]:
        """The documents: {"id", "spans": [{"start", "end", "type", "rule", "score"}]}; never a value."""
        return self.documents

    def complain(self) -> None:
        """StageError if there are rows that could not be searched: they may hold anything."""
        if self.unsearched:
            raise StageError(
                f"{len(self.unsearched)} rows could not be searched",
                where=", ".join(self.unsearched),
                fix="split or shorten these rows",
            )


@dataclass(slots=True)
class Redaction:
    """What `redact` did: rows read and written, values by type, and fields that held no text."""

    rows: int = 0
    written: int = 0
    values: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows that the settings drop (`drop_document`, `max_spans`), by rule."""
    skipped: int = 0
    """Text fields whose value is no text."""


def scan(files: Sequence[str], *, stage: Pii, text: str | None = None, id_field: str = "id") -> Scan:
    """Find the personal data of every row of some files.

    Offsets count code points of the original text. A row with more than one text names the `field` of each span. Ids
    are the file's own, else `<file>:<line>`. SourceError for a file that can't be read.
    """
    find, found = stage.engine_at_work(), Scan()
    for name, line, row in _all_rows(files, text, id_field):
        if row is None:
            found.unsearched.append(f"{name}:{line}")
            continue
        texts, skipped = texts_of(row, text)
        found.skipped += skipped
        own = row.get(id_field)
        spans: list[dict[str, Any]] = []
        try:
            for place, value in texts:
                where = {"field": ".".join(map(str, place))} if len(texts) > 1 else {}
                for span in find(value):
                    told = {"start": span.start, "end": span.end, "type": span.entity, "rule": span.rule}
                    spans.append({**told, "score": span.score, **where})
                    found.counts[span.entity, span.rule] += 1
        except Exception:  # whatever failed may quote the text; the row is named, not the failure
            found.unsearched.append(f"{name}:{line}")
            continue
        found.documents.append({"id": own if isinstance(own, str | int) else f"{name}:{line}", "spans": spans})
    return found


def redact(source: str, out: str, *, stage: Pii, text: str | None = None) -> Redaction:
    """Write the rows of a JSON lines file to `out` without their personal data: same order, other fields unchanged.

    `out` appears whole or not at all. Rows that can't be searched are left out and named by StageError when all others
    are written. SourceError for a line that is no JSON object: then nothing is written.
    """
    if not source.endswith(JSON_LINES):
        problem = Problem(
            "IN", "only JSON lines are rewritten", "name a .jsonl file; `ingest` and `export` read others"
        )
        raise ConfigError((problem,))
    if Path(source).resolve() == Path(out).resolve():
        raise ConfigError((Problem("OUT", "OUT is the file that is read", "name another file"),))
    rewrite, done, quarantined = stage.redactor(), Redaction(), []
    (read,) = Ingest(files=source).sources()
    with _appears_whole(out) as file:
        for line, row in _json_lines(read.url, read.name):
            if row is None:
                fix = "mend the line, or take it out; nothing was written"
                raise SourceError("a line holds no JSON object in UTF-8", where=f"{read.name}:{line}", fix=fix)
            done.rows += 1
            texts, skipped = texts_of(row, text)
            done.skipped += skipped
            lang = row.get("lang")
            try:
                new = rewrite([value for _, value in texts], lang if isinstance(lang, str) else None, f"{line}")
            except StageError:
                quarantined.append(line)
                continue
            if new.drop is not None:
                if new.searched:
                    done.dropped[new.drop.rule] += 1
                else:
                    quarantined.append(line)
                continue
            for (place, _), value in zip(texts, new.texts, strict=True):
                _put(row, place, value)
            done.values.update(new.counts)
            done.written += 1
            file.write(dumps(row) + b"\n")
    if quarantined:
        raise StageError(
            f"{len(quarantined)} of {done.rows} rows could not be searched and were left out",
            where=f"{source}: line {', '.join(map(str, quarantined))}",
            fix="split or shorten these rows; all others are in the output",
        )
    return done


def pii_of(settings: Mapping[str, Any]) -> Pii:
    """The stage `pii` with some settings; ConfigError for settings that are wrong."""
    try:
        stage = Pii.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(flatten(error, Pii)) from error
    if problems := stage.problems():
        raise ConfigError(problems)
    return stage


def texts_of(row: dict[str, Any], text: str | None = None) -> tuple[list[tuple[Place, str]], int]:
    """The texts of a row with their places, and how many fields that should hold text hold something else."""
    named = (text,) if text else (*TEXT_FIELDS, *TURN_FIELDS)
    found: list[tuple[Place, str]] = []
    skipped = 0
    for name in named:
        value = row.get(name)
        if isinstance(value, str):
            found.append(((name,), value))
        elif isinstance(value, list) and name in TURN_FIELDS:
            for place, turn in enumerate(value):
                key = TURN_FIELDS[name]
                if isinstance(turn, dict) and isinstance(turn.get(key), str):
                    found.append(((name, place, key), turn[key]))
                else:
                    skipped += 1
        elif value is not None:
            skipped += 1
    return found, skipped


def _put(row: Any, place: Place, value: str) -> None:
    *way, last = place
    for step in way:
        row = row[step]
    row[last] = value


def _all_rows(
    files: Sequence[str], text: str | None, id_field: str
) -> Iterator[tuple[str, int, dict[str, Any] | None]]:
    """(file, line, row) of every row, no row for a line that is none; rows of other formats have `id` and `text`."""
    reader = Ingest(files=list(files), text=text or "text")
    for source in reader.sources():
        if source.url.endswith(JSON_LINES):
            yield from ((source.name, line, row) for line, row in _json_lines(source.url, source.name))
            continue
        for outcome in reader.read(source, Env()):
            for row in outcome.kept.to_pylist():
                own = row.get(f"source.{id_field}") or row["source_id"]
                yield source.name, row["position"], {id_field: own, text or "text": row["text"]}


def loads(line: bytes) -> Any:
    """The value of a JSON line. Python's own parser takes what orjson changes or refuses: long integers, NaN."""
    import orjson

    if not _LONG_NUMBER.search(line):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(line)
    return json.loads(line)


def dumps(row: Any) -> bytes:
    """A row as a JSON line that `loads` reads as the same value."""
    import orjson

    try:
        data = orjson.dumps(row)
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair
        return json.dumps(row).encode()
    return data if b"null" not in data else json.dumps(row, ensure_ascii=False).encode("utf-8")


def _json_lines(path: str, name: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """The object of every line that is not blank, None for a line that holds none."""
    with opened(path) as stream:
        for line, data in enumerate(lines_of(stream, "utf-8", LONGEST_LINE), start=1):
            if isinstance(data, int):
                fix = f"split it: the longest line read has {LONGEST_LINE >> 20} MiB"
                raise SourceError("a line is too long", where=f"{name}:{line}", fix=fix)
            if not data.strip():
                continue
            try:
                row = loads(data)
            except ValueError:
                row = None
            yield line, row if isinstance(row, dict) else None


@contextmanager
def _appears_whole(path: str) -> Iterator[IO[bytes]]:
    """A file that takes its name when all of it is written."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".tmp-{os.getpid()}-{place.name}")
    try:
        with draft.open("wb") as raw:
            if path.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
                    yield file  # type: ignore[misc]
            else:
                yield raw
        os.replace(draft, place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
