"""What runs in a worker: a file read into shards, a shard through fused row stages, a shard of a corpus stage.

Only jobs and records cross the process border; rows go through the store. Stages are opened once a process and kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from datakit.canon import key_of
from datakit.errors import StageError, failing_at
from datakit.manifests import PassRecord, ShardRecord, StepRecord
from datakit.outcome import Drop, Outcome, StageStats, drops_table
from datakit.schemas import Kind, concat, kind_of, text_view
from datakit.signals import Signals, signals_key
from datakit.stage import Env, MeasuredStage, RowStage, RowWork, ShardWork, Source, SourceStage, TableWork
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 4096
FORGOTTEN = "forgotten"
"""The rule of rows that `forget` took out; any source may drop by it."""
_OPENED: dict[str, RowWork] = {}
_OPENING = Lock()


@dataclass(frozen=True, slots=True)
class SourceJob:
    """Read a file, or a group of small ones, into shards."""

    store: Store
    stage: SourceStage
    group: tuple[Source, ...]
    key: str
    kind: Kind
    env: Env
    forgotten: frozenset[str] = frozenset()
    """Ids of rows of these files that must not be read again."""

    @property
    def source(self) -> str:
        """The files by name, for messages."""
        first, last = self.group[0].name, self.group[-1].name
        return first if len(self.group) == 1 else f"{first} ... {last} ({len(self.group)} files)"


@dataclass(frozen=True, slots=True)
class RowsJob:
    """Take one shard through neighbouring row stages; `keys[i]` is the shard's key after `stages[i]`."""

    store: Store
    stages: tuple[RowStage, ...]
    recipes: tuple[str, ...]
    shard: str
    source: str
    keys: tuple[str, ...]
    env: Env
    batch_rows: int = BATCH_ROWS


def read_source(job: SourceJob) -> StepRecord:
    """Read a group of files, write its shards, then the step's record."""
    reading = reading_source(job)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return cast(StepRecord, end.value)


def reading_source(job: SourceJob) -> Generator[ShardRecord, None, StepRecord]:
    """The same, but hands out each shard as it is written."""
    stats, drops, keys = StageStats(), [], []
    with failing_at(job.stage.name, job.source):
        for place, outcome in enumerate(job.stage.read_group(job.group, job.env)):
            outcome = without(outcome, job.forgotten)
            table = as_table(outcome.kept)
            gone = stamped(outcome.drops, job.stage)
            rows_in = table.num_rows + (gone.num_rows if gone else 0)
            one = measured(job.stage, rows_in, 0, outcome, gone)
            stats += one
            if gone is not None:
                drops.append(gone)
            if table.num_rows:
                key = key_of("source", job.key, place)
                passed = PassRecord(stage=job.stage.name, key=key, stats=one.as_dict())
                yield job.store.put_shard(table, job.kind, key=key, source=job.source, passes=(passed,))
                keys.append(key)
    sources = tuple((source.name, source.digest) for source in job.group)
    step = StepRecord(key=job.key, stage=job.stage.name, shards=tuple(keys), stats=stats.as_dict(), sources=sources)
    return job.store.put_step(step, joined(drops))


def run_rows(job: RowsJob) -> ShardRecord:
    """Take a shard through fused row stages: one read, one write; statistics and drops stay apart by stage."""
    table = job.store.read(job.shard)
    works = [_worker(job, place) for place in range(len(job.stages))]
    stats = [StageStats() for _ in job.stages]
    kept: list[pa.Table] = []
    drops: list[pa.Table] = []
    for batch in batches(table, job.batch_rows):
        size = characters(batch)
        for place, (stage, work) in enumerate(zip(job.stages, works, strict=True)):
            with failing_at(stage.name, job.source):
                outcome = work(batch)
            gone = stamped(outcome.drops, stage)
            one = checked(stage, measured(stage, batch.num_rows, size, outcome, gone))
            stats[place] += one
            if gone is not None:
                drops.append(gone)
            batch, size = as_batch(outcome.kept), one.characters_out
        kept.append(as_table(batch))
    passes = tuple(
        PassRecord(stage=s.name, key=key, stats=one.as_dict(), signals=w.keep() if isinstance(w, Signals) else "")
        for s, key, one, w in zip(job.stages, job.keys, stats, works, strict=True)
    )
    rows, gone = joined(kept) or table.slice(0, 0), joined(drops)
    return job.store.put_shard(
        rows,
        kind_of(rows.schema),
        key=job.keys[-1],
        drops=by_stage(gone),
        source=job.source,
        passes=passes,
    )


def _worker(job: RowsJob, place: int) -> RowWork | Signals:
    """The stage's function; a stage that measures gets the signals that the store has of this shard."""
    stage = job.stages[place]
    if not isinstance(stage, MeasuredStage):
        return opened(stage, job.recipes[place], job.env)
    before = job.keys[place - 1] if place else job.shard
    return Signals(job.store, stage, signals_key(stage, before), job.env)


def run_part(job: tuple[Store, str, str, TableWork, dict[str, Any], Sequence[str] | None]) -> str:
    """One shard's part of a corpus stage's work, kept in the store; returns its key."""
    store, key, shard, work, settings, columns = job
    if store.part(key) is None:
        store.put_part(key, work(store.read(shard, columns), settings))
    return key


def run_shard(job: tuple[Store, str, ShardWork, dict[str, Any], str]) -> tuple[ShardRecord | None, Outcome, int]:
    """One shard through a corpus stage's work; the rows go to the store, the Outcome comes back without rows."""
    store, shard, work, settings, stage = job
    table = store.read(shard)
    with failing_at(stage, shard[:12]):
        outcome = work(table, settings)
    made = [] if outcome.made is None else [as_table(outcome.made)]
    rows = joined([as_table(outcome.kept), *made])
    record = store.put_shard(rows, kind_of(rows.schema)) if rows is not None and rows.num_rows else None
    stats = Outcome(as_table(outcome.kept).select([]), outcome.drops, None, outcome.counters)
    stats.counters["__kept__"] = outcome.kept.num_rows
    stats.counters["__made__"] = outcome.made.num_rows if outcome.made is not None else 0
    stats.counters["__characters__"] = characters(rows) if rows is not None else 0
    return record, stats, table.num_rows


def opened(stage: RowStage, recipe: str, env: Env) -> RowWork:
    """The stage's function, made once a process for each recipe."""
    key = key_of(recipe, env.seed)
    with _OPENING:  # threads that begin together open it once
        if key not in _OPENED:
            if len(_OPENED) > 64:
                _OPENED.clear()
            _OPENED[key] = stage.open(env)
        return _OPENED[key]


def open_stages(job: tuple[tuple[RowStage, ...], tuple[str, ...], Env]) -> None:
    """Open stages before their first shard is there."""
    stages, recipes, env = job
    for stage, recipe in zip(stages, recipes, strict=True):
        if not isinstance(stage, MeasuredStage):
            opened(stage, recipe, env)


def batches(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """The table in batches of `rows`; an empty table gives one empty batch, so that its schema goes on."""
    whole = as_batch(table)
    for start in range(0, max(1, whole.num_rows), rows):
        yield whole.slice(start, rows)


def as_batch(rows: pa.Table | pa.RecordBatch) -> pa.RecordBatch:
    """One record batch of all rows."""
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatch):
        return rows
    parts = rows.combine_chunks().to_batches()
    return parts[0] if parts else pa.RecordBatch.from_pylist([], rows.schema)


def as_table(rows: pa.Table | pa.RecordBatch) -> pa.Table:
    """A table of the rows."""
    import pyarrow as pa

    return pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows


def joined(tables: Sequence[pa.Table]) -> pa.Table | None:
    """All rows in one table, None for no tables."""
    return concat(tables) if tables else None


def by_stage(drops: pa.Table | None) -> pa.Table | None:
    """Drops of fused stages in a stable order: stage by stage, rows in order, whatever the batch size was."""
    import pyarrow.compute as pc

    if drops is None:
        return None
    order: dict[str, None] = dict.fromkeys(drops.column("stage").to_pylist())
    parts = [drops.filter(pc.equal(drops.column("stage"), name)) for name in sorted(order)]
    return joined(parts)


def without(outcome: Outcome, forgotten: frozenset[str]) -> Outcome:
    """What was read, without rows that must not be read again: they are dropped, by id alone."""
    if not forgotten:
        return outcome
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = as_table(outcome.kept)
    hit = pc.is_in(rows.column("id"), pa.array(sorted(forgotten), pa.large_string()))
    gone = [(row, row, Drop(FORGOTTEN)) for row in rows.column("id").filter(hit).to_pylist()]
    if gone:
        outcome.kept = rows.filter(pc.invert(hit))
        drops = drops_table(gone)
        outcome.drops = drops if outcome.drops is None else joined([outcome.drops, drops])
    return outcome


def stamped(drops: pa.Table | None, stage: Any) -> pa.Table | None:
    """The drops with the stage's name filled in; None if there are none."""
    import pyarrow as pa

    if drops is None or not drops.num_rows:
        return None
    further = drops.column("further").combine_chunks().flatten().field("rule")
    for rule in {*drops.column("rule").unique().to_pylist(), *further.unique().to_pylist()}:
        if rule not in stage.rules and rule != FORGOTTEN:
            raise StageError(f"{stage.name} dropped a row by the rule {rule!r}, which it doesn't declare")
    names = pa.array([stage.name] * drops.num_rows, pa.large_string())
    return drops.set_column(drops.schema.get_field_index("stage"), "stage", names)


def characters(rows: pa.Table | pa.RecordBatch) -> int:
    """Characters of text in some rows; 0 for tokens."""
    import pyarrow.compute as pc

    if kind_of(rows.schema) in ("tokens", "packed") or not rows.num_rows:
        return 0
    return int(pc.sum(pc.utf8_length(text_view(as_batch(rows)))).as_py() or 0)


def folded_rows(stage: Any, drops: pa.Table | None) -> int:
    """How many of some drops name the row that stands for them."""
    import pyarrow.compute as pc

    if drops is None or not stage.folds:
        return 0
    return int(pc.sum(pc.is_valid(drops.column("matched"))).as_py() or 0)


def measured(stage: Any, rows_in: int, characters_in: int, outcome: Outcome, drops: pa.Table | None) -> StageStats:
    """The statistics of one Outcome."""
    gone = drops.num_rows if drops is not None else 0
    folded = folded_rows(stage, drops)
    rules = Counter(drops.column("rule").to_pylist()) if drops is not None else Counter()
    return StageStats(
        rows_in=rows_in,
        kept=outcome.kept.num_rows,
        dropped=gone - folded,
        folded=folded,
        made=outcome.made.num_rows if outcome.made is not None else 0,
        characters_in=characters_in,
        characters_out=characters(outcome.kept),
        rules=rules,
        counters=Counter(outcome.counters),
    )


def checked(stage: Any, stats: StageStats) -> StageStats:
    """The same statistics, or an error if a row got lost."""
    if not stats.conserved:
        lost = stats.rows_in - stats.kept - stats.dropped - stats.folded
        raise StageError(
            f"{stage.name} lost {lost} of {stats.rows_in} rows without a drop",
            fix="a stage must keep, drop or fold every row it gets",
        )
    return stats
