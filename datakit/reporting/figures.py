"""The numbers of a report, taken from a manifest's records and from a few columns of its shards. No text is kept.

Lengths are measured on at most `MOST_BYTES` of a stage's shards, evenly spread, so that a report of a large dataset
costs seconds; the page says so where that is less than all. Memory: one column of one shard at a time, and the signals.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.readable import TEXT_KINDS, is_source
from datakit.schemas import Kind, text_view
from datakit.stages.export.origins import COLUMNS as ORIGIN_COLUMNS
from datakit.stages.export.origins import Origin, origins
from datakit.statistics import seq_lens, suggested
from datakit.store import Store

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MOST_BYTES = 256 << 20
"""Bytes of a stage's shards whose texts and tokens are measured; small columns are always read whole."""
WHY = re.compile(r"(?P<kind>[A-Z0-9_]+): (?P<rule>\w+) by (?P<evidence>\w+)")
"""The counters in which `pii` says which rule found a kind, and on what evidence."""
FAILS = "fails "
"""Begins the counters of a stage that looks at every rule of every row."""
EDGES = sorted({round(10 ** (k / 6)) for k in range(43)})
"""Borders of length bins: six a decade, from 1 to ten million."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage's line in the funnel."""

    id: str
    use: str
    kind: Kind
    """Kind of the rows that came in (of those read, for a source)."""
    gives: Kind
    rows_in: int
    kept: int
    dropped: int
    folded: int
    made: int
    rules: list[tuple[str, int]]
    counters: list[tuple[str, int]]
    source: bool = False

    @property
    def rows_out(self) -> int:
        return self.kept + self.made

    @property
    def changes_kind(self) -> bool:
        return self.kind != self.gives


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of one column of rows, binned: `counts[i]` rows from EDGES[i] to below EDGES[i + 1]."""

    name: str
    counts: list[int]
    rows: int
    median: float


@dataclass(frozen=True, slots=True)
class LengthChart:
    """One chart of lengths, with one or two series, and how many of the shards were looked at."""

    name: str
    series: list[Lengths]
    seen: int
    shards: int


@dataclass(frozen=True, slots=True)
class Signal:
    """A measured value over all rows: where it lies, and its distribution in 24 equal bins from `low` to `high`."""

    name: str
    rows: int
    low: float
    median: float
    high: float
    counts: list[int]

    @property
    def still(self) -> bool:
        """Whether nearly all rows have the same value."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a stage: rows that failed it, and rows that it dropped (a row goes by the first rule it fails)."""

    stage: str
    name: str
    failed: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What a stage that selects compared: a line a method, the columns as the stage named them."""

    stage: str
    chosen: str
    columns: list[str]
    lines: list[tuple[str, list[Any]]]


@dataclass(slots=True)
class Figures:
    """Everything the page shows except text."""

    funnel: list[tuple[Kind, list[Step]]]
    lengths: list[LengthChart]
    languages: list[tuple[str, list[tuple[str, int]]]]
    pii: list[tuple[str, int]] | None
    pii_why: dict[str, list[tuple[str, str, int]]]
    """By kind: rule, evidence (label, checksum, shape), count."""
    pii_kinds: list[str]
    signals: list[Signal]
    tasks: dict[str, Counter[str]]
    tokens: dict[str, Any]
    packing: dict[str, Any]
    seq_lens: list[dict[str, Any]] = field(default_factory=list)
    """What packs of each length would lose (statistics.seq_lens), of the token shards that were looked at."""
    suggested: int | None = None
    rules: list[Rule] = field(default_factory=list)
    choices: list[Choices] = field(default_factory=list)
    spent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """By stage that asked a teacher: requests, tokens and dollars, in all and `per_row`."""
    licences: Counter[str] = field(default_factory=Counter)
    origins: Counter[Origin] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)

    @property
    def most_of_a_task(self) -> int:
        return max((counts.total() for counts in self.tasks.values()), default=0)

    @property
    def steps(self) -> list[Step]:
        return [step for _, steps in self.funnel for step in steps]


def collect(manifest: DatasetManifest, store: Store) -> Figures:
    """All figures of a dataset version."""
    wordy = has_text(manifest.stages)
    last = {report.kind: report for report in wordy}
    tried = _seq_lens(manifest, store)
    return Figures(
        funnel=_funnel(manifest.stages),
        lengths=_lengths(manifest, store),
        languages=[
            (kind, counts.most_common())
            for kind in TEXT_KINDS
            if kind in last and (counts := _counts(store, store.shards_of(last[kind]), "lang"))
        ],
        pii=_pii(manifest.stages),
        pii_why=_pii_why(manifest.stages),
        pii_kinds=_pii_kinds(manifest.recipe),
        signals=_signals(manifest, store),
        tasks=_tasks(store, last.get("example")),
        tokens=manifest.note("tokenize"),
        packing=manifest.note("pack"),
        seq_lens=tried,
        suggested=suggested(tried),
        rules=_rules(manifest.stages),
        choices=[found for report in manifest.stages if (found := _choices(report))],
        spent=[(report.id, report.notes["spent"]) for report in manifest.stages if "spent" in report.notes],
        licences=_counts(store, store.shards_of(wordy[-1]), "licence") if wordy else Counter(),
        origins=_origins(store, store.shards_of(wordy[-1])) if wordy else Counter(),
        splits=_splits(manifest, store),
    )


def has_text(reports: Sequence[StageReport]) -> tuple[StageReport, ...]:
    """The stages whose rows hold text and lie in the store (an export leaves no shards of its own)."""
    return tuple(report for report in reports if report.kind in TEXT_KINDS and report.steps)


def spread(shards: Sequence[ShardRecord], most: int = MOST_BYTES) -> list[ShardRecord]:
    """All shards, or as many of them, evenly spaced, as make up about `most` bytes."""
    total = sum(shard.bytes for shard in shards)
    count = len(shards) if total <= most else max(1, len(shards) * most // total)
    return [shards[place * len(shards) // count] for place in range(count)]


def _funnel(reports: Sequence[StageReport]) -> list[tuple[Kind, list[Step]]]:
    """The stages, grouped by the kind of the rows that came in."""
    steps: list[Step] = []
    for report in reports:
        before = steps[-1].gives if steps else report.kind
        stats = report.stats
        rules = sorted(stats.get("rules", {}).items(), key=_most_first)
        every = stats.get("counters", {})
        counted = {name: n for name, n in every.items() if not name.startswith(FAILS) and not WHY.fullmatch(name)}
        counters = sorted(counted.items(), key=_most_first)
        figures = {name: int(stats[name]) for name in ("rows_in", "kept", "dropped", "folded", "made")}
        source = is_source(report)
        kind = report.kind if source else before
        more: dict[str, Any] = {**figures, "rules": rules, "counters": counters, "source": source}
        steps.append(Step(report.id, report.use, kind, report.kind, **more))
    return [(kind, list(group)) for kind, group in groupby(steps, key=lambda step: step.kind)]


def _rules(reports: Sequence[StageReport]) -> list[Rule]:
    """Every rule that rows failed, of the stages that look at all rules (their counters are `fails RULE`)."""
    found = []
    for report in reports:
        failed = {name[len(FAILS) :]: n for name, n in report.stats["counters"].items() if name.startswith(FAILS)}
        for name, count in sorted(failed.items(), key=_most_first):
            found.append(Rule(report.id, name, count, report.stats["rules"].get(name, 0)))
    return found


def _choices(report: StageReport) -> Choices | None:
    """The table of methods that a stage left in its notes: {method: {figure: number or {name: number}}}."""
    methods = report.notes.get("methods")
    if not isinstance(methods, dict) or not all(isinstance(line, dict) for line in methods.values()):
        return None
    columns = list(dict.fromkeys(name for line in methods.values() for name in line))
    lines = [(name, [line.get(column) for column in columns]) for name, line in methods.items()]
    return Choices(report.id, str(report.notes.get("chosen", "")), columns, lines)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _pii(reports: Sequence[StageReport]) -> list[tuple[str, int]] | None:
    """Findings by kind (upper-case counters) over all `pii` stages, None if there was no such stage."""
    stages = [report for report in reports if report.use == "pii"]
    if not stages:
        return None
    found: Counter[str] = Counter()
    for report in stages:
        found.update({name: count for name, count in report.stats["counters"].items() if name.isupper()})
    return sorted(found.items(), key=_most_first)


def _pii_why(reports: Sequence[StageReport]) -> dict[str, list[tuple[str, str, int]]]:
    """By kind of personal data: (rule, evidence, count), most frequent first."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for report in reports:
        for name, count in report.stats["counters"].items() if report.use == "pii" else ():
            if found := WHY.fullmatch(name):
                counted[found["kind"], found["rule"], found["evidence"]] += count
    why: dict[str, list[tuple[str, str, int]]] = {}
    for (kind, rule, evidence), count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        why.setdefault(kind, []).append((rule, evidence, count))
    return why


def _pii_kinds(recipe: dict[str, Any]) -> list[str]:
    """The kinds that the last `pii` stage was limited to, [] for all."""
    limits = [entry.get("kinds") or [] for entry in recipe.get("stages", []) if entry.get("use") == "pii"]
    return list(limits[-1]) if limits else []


def _lengths(manifest: DatasetManifest, store: Store) -> list[LengthChart]:
    """Charts of lengths: documents as read and after cleaning, instruction rows, tokens."""
    charts = []
    for kind in ("document", "example", "tokens"):
        of_kind = [report for report in manifest.stages if report.kind == kind and report.steps]
        if not of_kind:
            continue
        first, last = of_kind[0], of_kind[-1]
        pairs = [("after" if kind == "document" else "all_rows", last)]
        if kind == "document" and first is not last and is_source(first):
            pairs.insert(0, ("before", first))
        series, seen, shards = [], 0, 0
        for name, report in pairs:
            found = store.shards_of(report)
            seen, shards = max(seen, len(spread(found))), max(shards, len(found))
            series.append(_lengths_of(name, (_row_lengths(store, shard) for shard in spread(found))))
        name = "tokens" if kind == "tokens" else f"{kind}s"
        if any(one.rows for one in series):
            charts.append(LengthChart(f"lengths_{name}", series, seen, shards))
    return charts


def _seq_lens(manifest: DatasetManifest, store: Store) -> list[dict[str, Any]]:
    """What packs of each length would lose of the rows that left `tokenize`."""
    import numpy as np

    of_kind = [report for report in manifest.stages if report.kind == "tokens" and report.steps]
    shards = spread(store.shards_of(of_kind[-1])) if of_kind else []
    sizes = [_row_lengths(store, shard) for shard in shards]
    return seq_lens(np.concatenate(sizes).astype(np.int64)) if sizes else []


def _row_lengths(store: Store, shard: ShardRecord) -> np.ndarray:
    """The length of every row of a shard: tokens, or characters."""
    import pyarrow.compute as pc

    column = {"tokens": "input_ids", "document": "text", "example": "messages"}[shard.kind]
    table = store.read(shard.key, [column]).combine_chunks()
    if not table.num_rows:
        return pc.utf8_length([""]).to_numpy()[:0]
    if shard.kind == "tokens":
        return pc.list_value_length(table.column(column)).to_numpy()
    return pc.utf8_length(text_view(table.to_batches()[0])).to_numpy()


def _lengths_of(name: str, parts: Iterator[np.ndarray]) -> Lengths:
    import numpy as np

    values = np.concatenate([np.zeros(0, np.int64), *parts])
    places = np.searchsorted(EDGES, values, side="right") - 1
    counts = np.bincount(np.clip(places, 0, len(EDGES) - 2), minlength=len(EDGES) - 1)
    return Lengths(name, counts.tolist(), len(values), float(np.median(values)) if len(values) else 0.0)


def _origins(store: Store, shards: Sequence[ShardRecord]) -> Counter[Origin]:
    """How many rows come from where: recipe, teacher, licence."""
    found: Counter[Origin] = Counter()
    for shard in shards:
        names = [name for name in ORIGIN_COLUMNS if name in store.columns(shard.key)]
        found.update(origins(store.read(shard.key, names)) if names else {("", "", ""): shard.rows})
    return found


def _counts(store: Store, shards: Sequence[ShardRecord], column: str) -> Counter[str]:
    """How often each value of a text column occurs in some shards, commonest first; null counts as ""."""
    found: Counter[str] = Counter()
    for shard in shards:
        found.update(value or "" for value in store.read(shard.key, [column]).column(column).to_pylist())
    return Counter(dict(sorted(found.items(), key=_most_first)))


def _splits(manifest: DatasetManifest, store: Store) -> Counter[str]:
    """Rows by split; {} if no stage split them."""
    split = manifest.kind in ("tokens", "packed") or any(report.use == "split" for report in manifest.stages)
    counts = _counts(store, manifest.shards, "split") if split else Counter()
    counts["train"] += counts.pop("", 0)
    return +counts


def _tasks(store: Store, report: StageReport | None) -> dict[str, Counter[str]]:
    """Rows that a stage made, counted by language for every task; a task is the last word of `made_by`."""
    found: dict[str, Counter[str]] = {}
    for shard in store.shards_of(report) if report else ():
        table = store.read(shard.key, ["made_by", "lang"])
        for made_by, lang in zip(table.column("made_by").to_pylist(), table.column("lang").to_pylist(), strict=True):
            if made_by:
                found.setdefault(made_by, Counter())[lang or ""] += 1
    return dict(sorted(found.items(), key=lambda item: (-item[1].total(), item[0])))


def _signals(manifest: DatasetManifest, store: Store) -> list[Signal]:
    """Every signal of every stage that measures, in the order the stage wrote them."""
    import numpy as np

    columns: dict[str, list[np.ndarray]] = {}
    shards = [shard for report in manifest.stages for shard in store.shards_of(report)]
    for key in dict.fromkeys(one.signals for shard in shards for one in shard.passes if one.signals):
        table = store.signals(key)
        for name, values in _numbers(table).items() if table is not None else ():
            columns.setdefault(name, []).append(values)
    return [_signal(name, np.concatenate(parts)) for name, parts in columns.items()]


def _numbers(table: pa.Table) -> dict[str, np.ndarray]:
    import numpy as np
    import pyarrow as pa

    found = {}
    for name in table.schema.names:
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            values = table.column(name).drop_null().to_numpy().astype(np.float64)
            if (values := values[np.isfinite(values)]).size:
                found[name] = values
    return found


def _signal(name: str, values: np.ndarray) -> Signal:
    """5th, 50th and 95th percentile, and 24 bins between the 1st and the 99th."""
    import numpy as np

    low, median, high = (float(v) for v in np.percentile(values, [5, 50, 95]))
    first, last = (float(v) for v in np.percentile(values, [1, 99]))
    counts, _ = np.histogram(np.clip(values, first, last), bins=24, range=(first, last if last > first else first + 1))
    return Signal(name, len(values), low, median, high, counts.tolist())
