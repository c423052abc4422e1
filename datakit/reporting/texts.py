"""Rows to read, and what decides whether a page shows any text: rows as they stand after the last `pii` stage.

`gate` decides once for the whole page: a pipeline without `pii` closes it, as do rows read in behind the last `pii`.
What a file gave its rows as ids (`id_field`) may itself be personal, so such ids stay hidden unless the gate is raw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from datakit.manifests import DatasetManifest, StageReport
from datakit.readable import is_source
from datakit.reporting.figures import has_text, spread
from datakit.store import Store

SAMPLES = 8
"""Rows shown to read."""
SAMPLE_CHARACTERS = 500

# C0 and C1 controls but tab and line feed: a browser may swallow them or complain.
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that turn the direction of writing: one in a sample would turn what stands beside it."""
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0), *_DIRECTIONS) if code not in (0x09, 0x0A)}


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether text may be shown, and from which stage on."""

    state: Literal["after_pii", "raw", "pii_missing", "pii_late_source"]
    reports: tuple[StageReport, ...]
    """The stages whose rows may be shown as text, in order."""

    @property
    def open(self) -> bool:
        return self.state in ("after_pii", "raw")


@dataclass(frozen=True, slots=True)
class Sample:
    """A row to read: (role, text) turns."""

    id: str
    source_id: str
    lang: str
    made_by: str
    turns: list[tuple[str, str]]


def gate(manifest: DatasetManifest, raw: bool = False) -> Gate:
    """What of a dataset's text may be shown."""
    reports = manifest.stages
    wordy = has_text(reports)
    if raw:
        return Gate("raw", wordy)
    places = [place for place, report in enumerate(reports) if report.use == "pii"]
    if not places:
        return Gate("pii_missing", ())
    behind = reports[places[-1] :]
    if any(is_source(report) for report in behind[1:]):
        return Gate("pii_late_source", ())
    return Gate("after_pii", has_text(behind))


def cut(text: str, limit: int) -> str:
    """The text without control characters, at most `limit` characters of it."""
    text = text.translate(_CONTROLS).strip()
    return text if len(text) <= limit else text[:limit].rstrip() + " …"


def samples(allowed: Gate, store: Store, count: int = SAMPLES) -> list[Sample]:
    """Some rows of the last stage with text, drawn by hash, in turn over languages and then over tasks."""
    if not allowed.reports:
        return []
    report = allowed.reports[-1]
    shards = spread(store.shards_of(report))
    drawn: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for shard in shards:
        table = store.read(shard.key, ["id", "lang", "made_by"])
        for row in zip(*(table.column(name).to_pylist() for name in ("id", "lang", "made_by")), strict=True):
            drawn[row[1] or ""][row[2] or ""].append((_hash(row[0]), row[0]))
    languages = sorted(drawn, key=lambda lang: (-sum(map(len, drawn[lang].values())), lang))
    chosen = in_turn([in_turn([sorted(rows) for _, rows in sorted(drawn[lang].items())]) for lang in languages])
    wanted = [row for _, row in chosen[:count]]
    rows = _rows(wanted, [shard.key for shard in shards], report.kind, store)
    return [rows[row] for row in wanted if row in rows]


def in_turn(groups: Iterable[Sequence[Any]]) -> list[Any]:
    """The first of every group, then the second of every group, and so on."""
    groups = list(groups)
    longest = max(map(len, groups), default=0)
    return [group[place] for place in range(longest) for group in groups if place < len(group)]


def _hash(id: str) -> str:
    return blake2b(id.encode(), digest_size=8, person=b"report").hexdigest()


def _rows(ids: Collection[str], keys: Sequence[str], kind: str, store: Store) -> dict[str, Sample]:
    """Some rows by id, as turns; shards are read until all are found."""
    import pyarrow as pa
    import pyarrow.compute as pc

    body = "text" if kind == "document" else "messages"
    missing, found = set(ids), {}
    for key in keys:
        if not missing:
            break
        held = store.read(key, ["id"]).column("id")
        if not pc.any(mask := pc.is_in(held, pa.array(sorted(missing), held.type))).as_py():
            continue
        for row in store.read(key, ["id", "source_id", "lang", "made_by", body]).filter(mask).to_pylist():
            lang, made_by = row["lang"] or "", row["made_by"] or ""
            found[row["id"]] = Sample(row["id"], row["source_id"] or "", lang, made_by, _turns(row, body))
        missing -= set(found)
    return found


def _turns(row: dict[str, Any], body: str) -> list[tuple[str, str]]:
    if body == "text":
        return [("document", cut(row["text"] or "", SAMPLE_CHARACTERS))]
    return [(turn["role"], cut(turn["content"] or "", SAMPLE_CHARACTERS)) for turn in row["messages"] or ()]
