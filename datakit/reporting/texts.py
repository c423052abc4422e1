"""The only text a report shows: rows as they stand after the last `pii` stage, duplicate clusters, model answers.

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
from datakit.reporting.figures import has_text, is_source, spread
from datakit.schemas import TEXT_JOINT
from datakit.store import Store

CLUSTERS = 6
"""Clusters shown."""
COPIES = 5
"""Copies listed of a cluster."""
SAMPLES = 8
"""Rows shown to read."""
CLUSTER_CHARACTERS = 200
SAMPLE_CHARACTERS = 500

# C0 and C1 controls but tab and line feed: a browser may swallow them or complain.
_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}


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
class Copy:
    """A row that was folded into another: its own id, the file's id, and how alike the two are (1: exact)."""

    id: str
    source_id: str
    rule: str
    similarity: str | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A row that stayed and the rows folded into it."""

    id: str
    source_id: str
    text: str | None
    copies: list[Copy]
    size: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All clusters of a dataset: how many, how large, and the largest of them."""

    clusters: int
    folded: int
    largest: int
    sizes: list[tuple[str, int]]
    examples: list[Cluster]


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


def duplicates(manifest: DatasetManifest, store: Store, allowed: Gate) -> Duplicates | None:
    """The duplicate clusters of all `dedup` stages, None if there was none."""
    stages = [report for report in manifest.stages if report.use == "dedup"]
    if not stages:
        return None
    folded: dict[str, list[Copy]] = defaultdict(list)
    own = allowed.state == "raw" or not _own_ids(manifest.recipe)
    for report in stages:
        for row in _folded_rows(report, store):
            source_id = row["source_id"] if own else ""
            alike = None if row["rule"] == "exact_copy" else _rounded(row["value"])
            folded[row["matched"]].append(Copy(row["id"], source_id, row["rule"], alike))
    sizes: dict[int, int] = defaultdict(int)
    for copies in folded.values():
        sizes[len(copies) + 1] += 1
    largest = sorted(folded, key=lambda name: (-len(folded[name]), name))[:CLUSTERS]
    texts = _texts_of(largest, allowed, store)
    examples = []
    for survivor in largest:
        source_id, text = texts.get(survivor, ("", None))
        copies = sorted(folded[survivor], key=lambda copy: (copy.source_id, copy.id))
        examples.append(Cluster(survivor, source_id if own else "", text, copies[:COPIES], len(copies) + 1))
    rows = sum(len(copies) for copies in folded.values())
    return Duplicates(len(folded), rows, max(sizes, default=0), _size_groups(sizes), examples)


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


def _rounded(value: str | None) -> str | None:
    """A similarity with three digits; an estimate (0.859±0.031) has them already."""
    return f"{float(value):.3f}" if value and "±" not in value else value


def _own_ids(recipe: dict[str, Any]) -> bool:
    """Whether rows carry ids of the file's own instead of <file>:<line>."""
    return any(entry.get("id_field") for entry in recipe.get("stages", []))


def _folded_rows(report: StageReport, store: Store) -> list[dict[str, Any]]:
    """The drop rows of one stage that name the row they repeat."""
    import pyarrow.compute as pc

    found: list[dict[str, Any]] = []
    for key in dict.fromkeys(report.steps):
        drops = store.read_drops(key)
        if drops is not None:
            mine = pc.and_(pc.equal(drops.column("stage"), report.id), pc.is_valid(drops.column("matched")))
            found += drops.filter(mine).to_pylist()
    return found


def _size_groups(sizes: dict[int, int]) -> list[tuple[str, int]]:
    """Cluster counts by size: 2, 3, 4, 5-9, 10-99, 100 and more."""
    borders = [(2, 2), (3, 3), (4, 4), (5, 9), (10, 99), (100, None)]
    groups = []
    for low, high in borders:
        count = sum(n for size, n in sizes.items() if low <= size and (high is None or size <= high))
        name = str(low) if low == high else f"{low}+" if high is None else f"{low}–{high}"
        groups.append((name, count))
    while groups and not groups[-1][1]:
        groups.pop()
    return groups


def _texts_of(ids: Collection[str], allowed: Gate, store: Store) -> dict[str, tuple[str, str]]:
    """(source id, text) of some rows, from the first stage whose text may be shown."""
    if not allowed.reports or not ids:
        return {}
    report = allowed.reports[0]
    rows = _rows(ids, [shard.key for shard in store.shards_of(report)], report.kind, store)
    joined = {name: TEXT_JOINT.join(text for _, text in row.turns) for name, row in rows.items()}
    return {name: (rows[name].source_id, cut(text, CLUSTER_CHARACTERS)) for name, text in joined.items()}


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
