"""Plan, run, resume: a pipeline over a store.

    source step    a job a file, or a group of small ones: key = blake2b(recipe, file names and digests)
    row steps      a job a shard      key = blake2b(recipe, key of the shard before); neighbours fused
    corpus steps   over all shards    key = blake2b(recipe, keys of all shards before); outputs keyed by content;
                                      with the state of what lies beside (an index), which is extended afterwards
    sinks          every time         they compare and mend what they wrote

A run is a walk along the stages that asks the store for each key and works only where the answer is "not done". So an
interrupted run needs no flag, a changed setting re-runs from its stage on, and a new file runs row stages on one shard.
Row stages behind a source begin with its first shard: while a file is read, the workers clean what was read of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.corpus import StoredCorpus, StoredOutbox, StoredShard
from datakit.errors import StoreError
from datakit.executors import Executor, Serial, make_executor
from datakit.manifests import DatasetManifest, ShardRecord, StageReport, StepRecord
from datakit.outcome import StageStats
from datakit.pipeline import Pipeline
from datakit.schemas import Kind, concat, kind_of, table_from_rows
from datakit.signals import signals_key
from datakit.stage import CorpusStage, Env, MeasuredStage, RowStage, SinkStage, SourceStage, Stage
from datakit.store import VERSION, Store
from datakit.trainer import Event, Report
from datakit.work import BATCH_ROWS, RowsJob, SourceJob, read_source, reading_source, run_rows

if TYPE_CHECKING:
    import pyarrow as pa


def ignore(event: Event) -> None:
    """The default report: nobody listens."""


def _silent(done: int) -> None:
    """The default tick: nobody counts."""


@dataclass(slots=True)
class StepPlan:
    """What a step would do: its stages, and how many of its jobs are done already (None: not known before it runs)."""

    stages: list[str]
    reuse: int | None
    run: int | None


@dataclass(slots=True)
class RunResult:
    """What a run did."""

    manifest: DatasetManifest
    published: bool
    """False if the newest version holds the same data already."""
    reused: int
    """Jobs found done in the store."""
    ran: int
    """Jobs worked on."""
    seconds: float
    stage_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Walk:
    """The state of one run."""

    store: Store
    executor: Executor
    env: Env
    seed: int
    report: Report
    batch_rows: int = BATCH_ROWS
    dry: bool = False
    shards: list[ShardRecord] = field(default_factory=list)
    arriving: Iterator[ShardRecord] | None = None
    """Shards that a source is still reading; `shards` are those from before it."""
    source: str = ""
    """The stage that reads them."""
    waited: float = 0.0
    """Seconds spent waiting for them; they count for the source, not for the step that asks."""
    kind: Kind | None = None
    reports: list[StageReport] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    reused: int = 0
    ran: int = 0
    plans: list[StepPlan] = field(default_factory=list)
    measured: dict[str, tuple[Kind, list[str]]] = field(default_factory=dict)
    """The kind of rows that a stage measures, and the keys of its signals, by the stage's name."""
    clock: Callable[[], float] = field(default=lambda: datetime.now(UTC).timestamp())

    def walk(self, stages: Sequence[Stage]) -> None:
        """Take the corpus through all stages."""
        groups = list(_groups(stages))
        for place, group in enumerate(groups):
            started, waited, before = self.clock(), self.waited, (self.reused, self.ran)
            known = self._step(group)
            names = [stage.name for stage in group]
            self.seconds["+".join(names)] = round(self.clock() - started - (self.waited - waited), 3)
            reuse, run = self.reused - before[0], self.ran - before[1]
            self.plans.append(StepPlan(names, reuse, run))
            if not known:
                self.plans += [StepPlan([s.name for s in later], None, None) for later in groups[place + 1 :]]
                return
        self._arrive()

    def _step(self, group: list[Stage]) -> bool:
        """Do one step; in a dry walk only count, and say whether the steps behind it can be known."""
        first = group[0]
        if isinstance(first, RowStage):
            return self._rows([stage for stage in group if isinstance(stage, RowStage)])
        self._arrive()
        if isinstance(first, SourceStage):
            return self._source(first)
        if isinstance(first, CorpusStage):
            return self._corpus(first)
        if isinstance(first, SinkStage):
            return self._sink(first)
        raise TypeError(f"{type(first).__name__} is none of SourceStage, RowStage, CorpusStage, SinkStage")

    def _source(self, stage: SourceStage) -> bool:
        """Begin to read: shards arrive as the step behind asks for them, so that it works while files are read."""
        kind, recipe = stage.gives(None), key_of(stage.keyed_as(self.seed))
        jobs = []
        for group in stage.groups():
            members = [part for source in group for part in (source.name, source.digest)]
            jobs.append(SourceJob(self.store, stage, group, key_of("source", recipe, *members), kind, self.env))
        done = {job.key: step for job in jobs if (step := self.store.step(job.key))}
        todo = len(jobs) - len(done)
        self._count(len(done), todo)
        self.arriving, self.source = self._read(stage, jobs, done, self.shards), stage.name
        self.kind = kind
        return not (self.dry and todo)

    def _read(
        self, stage: SourceStage, jobs: list[SourceJob], done: dict[str, StepRecord], before: list[ShardRecord]
    ) -> Iterator[ShardRecord]:
        """Shard after shard, those from before first, in the order of the files; at the end, the stage's report."""
        yield from before
        todo = [job for job in jobs if job.key not in done]
        # Fewer files than workers: this process reads, so that the workers have something to do from the first shard.
        here = len(todo) < self.executor.workers
        reading = iter(()) if here else self._progress(stage.name, read_source, todo, len(todo))
        steps: list[StepRecord] = []
        if here and todo:
            self.report(Event(stage.name, 0, len(todo)))
        for job in jobs:
            if job.key in done or not here:
                step = done[job.key] if job.key in done else next(reading)
                yield from map(self._known, step.shards)
            else:
                step = yield from reading_source(job)
            steps.append(step)
        if here and todo:
            self.report(Event(stage.name, len(todo), len(todo), {"rows": sum(int(s.stats["kept"]) for s in steps)}))
        stats = sum((StageStats.from_dict(step.stats) for step in steps), StageStats())
        files = {"files": sum(len(job.group) for job in jobs)}
        self._report(stage, stage.gives(None), stats, files, [step.key for step in steps])

    def _arrivals(self) -> Iterator[ShardRecord]:
        """The shards in front of a step, as they arrive; the time that it takes to read them is the source's."""
        arriving, self.arriving = self.arriving, None
        if arriving is None:
            yield from self.shards
            return
        self.shards = []
        while True:
            started = self.clock()
            shard = next(arriving, None)
            waited = self.clock() - started
            self.waited += waited
            self.seconds[self.source] = round(self.seconds[self.source] + waited, 3)
            if shard is None:
                return
            self.shards.append(shard)
            yield shard

    def _arrive(self) -> None:
        """Wait for all shards that are still read."""
        for _ in self._arrivals():
            pass

    def _rows(self, stages: list[RowStage]) -> bool:
        recipes = tuple(key_of(stage.keyed_as(self.seed)) for stage in stages)
        fused, env = tuple(stages), self.env
        chains: list[tuple[str, ...]] = []
        done: dict[str, ShardRecord] = {}

        def todo() -> Iterator[RowsJob]:
            for shard in self._arrivals():
                keys = self._chain(shard.key, recipes)
                chains.append(keys)
                record = self.store.record(keys[-1])
                self._count(int(record is not None), int(record is None))
                if record is None:
                    yield RowsJob(self.store, fused, recipes, shard.key, shard.source, keys, env, self.batch_rows)
                else:
                    done[record.key] = record

        if self.dry:
            waiting = sum(1 for _ in todo())
        else:
            name = "+".join(stage.name for stage in stages)
            done |= {record.key: record for record in self._progress(name, run_rows, todo())}
            waiting = 0
        self._signals(stages, chains)
        if waiting:
            return False
        self.shards = [done[keys[-1]] for keys in chains]
        for place, stage in enumerate(stages):
            self.kind = stage.gives(self.kind)
            passes = [record.passes[place] for record in self.shards]
            stats = sum((StageStats.from_dict(one.stats) for one in passes), StageStats())
            self._report(stage, self.kind, stats, stage.notes(self.env), [record.key for record in self.shards])
        return True

    def _signals(self, stages: list[RowStage], chains: list[tuple[str, ...]]) -> None:
        """Where the signals of each stage that measures are kept, whether they are there already or not."""
        kind = self.kind
        for place, stage in enumerate(stages):
            if isinstance(stage, MeasuredStage) and kind is not None:
                before = [keys[place - 1] if place else s.key for s, keys in zip(self.shards, chains, strict=True)]
                self.measured[stage.name] = kind, [signals_key(stage, key) for key in before]
            kind = stage.gives(kind)

    def _corpus(self, stage: CorpusStage) -> bool:
        own = key_of("step", stage.keyed_as(self.seed), [shard.key for shard in self.shards])
        beside = stage.beside(own)
        step = self.store.step(key := own if beside is None else key_of(own, beside))
        self._count(int(step is not None), int(step is None))
        gives = stage.gives(self.kind)
        if step is None and self.dry:
            return False
        before = self._view(stage.name, self._ticks(stage), own)
        step = step or self._run_corpus(stage, before, key, gives)
        self.shards, self.kind = [self._known(shard) for shard in step.shards], gives
        if not self.dry:
            stage.settle(before, self._view(stage.name))
        self._report(stage, gives, StageStats.from_dict(step.stats), step.notes, [step.key])
        return True

    def _run_corpus(self, stage: CorpusStage, corpus: StoredCorpus, key: str, gives: Kind) -> StepRecord:
        rows, shards = sum(shard.rows for shard in self.shards), len(self.shards)
        stats = StageStats(rows_in=rows, characters_in=self._characters())
        out = StoredOutbox(self.store, self.executor, stage, gives != self.kind, stats, tick=corpus.tick)
        self.report(Event(stage.name, 0, shards, {"rows": rows}))
        stage.run(corpus, out)
        self.report(Event(stage.name, shards, shards, {"rows": rows}))
        return out.close(key)

    def _ticks(self, stage: Stage) -> Callable[[int], None]:
        """Tells how many of the shards in front of a stage are done."""
        shards = len(self.shards)

        def tick(done: int) -> None:
            self.report(Event(stage.name, done, shards))

        return tick

    def _sink(self, stage: SinkStage) -> bool:
        if not self.dry:
            notes = dict(stage.write(self._view(stage.name)))
            notes.pop("written", None)  # a run that was killed behind its export wrote nothing in the second try
            rows, size = sum(shard.rows for shard in self.shards), self._characters()
            stats = StageStats(rows_in=rows, kept=rows, characters_in=size, characters_out=size)
            assert self.kind is not None  # Pipeline.problems() saw to it
            self._report(stage, self.kind, stats, notes, [])
        return True

    def _view(self, name: str, tick: Callable[[int], None] = _silent, key: str = "") -> StoredCorpus:
        shards = [StoredShard(r.key, r.rows, r.source, self.store) for r in self.shards]
        return StoredCorpus(self.store, self.executor, self.kind, self.env, shards, name, tick, key)

    def _chain(self, key: str, recipes: Sequence[str]) -> tuple[str, ...]:
        """The keys of a shard after each of some fused stages."""
        keys = []
        for recipe in recipes:
            key = key_of("rows", recipe, key)
            keys.append(key)
        return tuple(keys)

    def _progress(self, name: str, work: Callable[[Any], Any], jobs: Iterable[Any], total: int = 0) -> Iterator[Any]:
        """The results of some jobs; `total` 0: nobody knows yet how many come."""
        done = rows = 0
        for result in self.executor.map(work, self._told(name, jobs, total)):
            done, rows = done + 1, rows + (result.rows if isinstance(result, ShardRecord) else result.stats["kept"])
            self.report(Event(name, done, total, {"rows": rows}))
            yield result
        if done and not total:
            self.report(Event(name, done, done, {"rows": rows}))

    def _told(self, name: str, jobs: Iterable[Any], total: int) -> Iterator[Any]:
        """The jobs; the first of them is told."""
        for place, job in enumerate(jobs):
            if place == 0:
                self.report(Event(name, 0, total))
            yield job

    def _known(self, key: str) -> ShardRecord:
        record = self.store.record(key)
        if record is None:
            raise StoreError(
                "a shard vanished from the store in the middle", where=self.store.url, fix="run again: it is made anew"
            )
        return record

    def _characters(self) -> int:
        """Characters in front of a step, taken from the statistics of the stage before."""
        return int(self.reports[-1].stats["characters_out"]) if self.reports else 0

    def _count(self, reused: int, ran: int) -> None:
        self.reused += reused
        self.ran += ran

    def _report(self, stage: Stage, kind: Kind, stats: StageStats, notes: Mapping[str, Any], keys: list[str]) -> None:
        self.reports.append(
            StageReport(
                id=stage.name, use=stage.use, kind=kind, stats=stats.as_dict(), notes=dict(notes), steps=tuple(keys)
            )
        )


def plan(pipeline: Pipeline, store: Store, *, cache: Path | None = None) -> list[StepPlan]:
    """What `run` would do, step by step: how many jobs are done, how many would run; nothing is written."""
    walk = _Walk(store, Serial(), _env(pipeline.seed, cache), pipeline.seed, ignore, dry=True)
    walk.walk(pipeline.stages)
    return walk.plans


def measured(pipeline: Pipeline, store: Store) -> dict[str, tuple[Kind, list[str]]]:
    """By stage: the kind of rows that it measures, and the keys of the signals of all shards in front of it, as far as
    a run has come."""
    walk = _Walk(store, Serial(), _env(pipeline.seed, None), pipeline.seed, ignore, dry=True)
    walk.walk(pipeline.stages)
    return walk.measured


def run(
    pipeline: Pipeline,
    store: Store,
    *,
    workers: int = 1,
    executor: str | None = None,
    report: Report = ignore,
    cache: Path | None = None,
    now: datetime | None = None,
    publish: bool = True,
    tell: Callable[[str], None] | None = None,
) -> RunResult:
    """Run a pipeline over a store and publish name@YYYY.MM.DD.n, unless the newest version holds the same data."""
    store.prepare()
    started = datetime.now(UTC)
    env = _env(pipeline.seed, cache)
    env = replace(env, tell=tell) if tell else env
    walk = _Walk(store, make_executor(executor, workers), env, pipeline.seed, report)
    walk.walk(pipeline.stages)
    manifest = _manifest(pipeline, walk, store, now or started)
    last = store.latest(pipeline.name)
    fresh = last is None or last.digest != manifest.digest
    if fresh and publish:
        store.publish(manifest)
    seconds = (datetime.now(UTC) - started).total_seconds()
    same = {"version": last.version, "parent": last.parent} if last else {}
    chosen = manifest if fresh else manifest.model_copy(update=same)
    result = RunResult(chosen, fresh and publish, walk.reused, walk.ran, round(seconds, 3), walk.seconds)
    store.put_last(chosen)
    store.put_run(started.strftime("%Y%m%dT%H%M%S.%fZ"), _run_record(result, workers))
    if not chosen.rows:
        env.tell(f"warning: no rows are left; {_emptier(walk.reports)} let none through")
    return result


def _emptier(reports: Sequence[StageReport]) -> str:
    """The first stage that no row came out of."""
    return next((r.id for r in reports if not r.stats["kept"] + r.stats["made"]), "the pipeline")


@dataclass(slots=True)
class Applied:
    """Rows that came out of stages used alone, what was dropped, the last stage's statistics and notes."""

    rows: pa.Table
    drops: pa.Table
    stats: StageStats
    notes: dict[str, Any]
    reports: list[StageReport]


def apply(
    stages: Stage | Sequence[Stage],
    rows: Any = None,
    *,
    kind: Kind = "document",
    seed: int = 0,
    batch_rows: int | None = None,
    executor: Executor | None = None,
    cache: Path | None = None,
) -> Applied:
    """Use stages alone, on rows in memory: the same code as a run, over a store that is thrown away.

    `rows`: a list of dicts, a table, or a list of those for several shards; none if the first stage reads files.
    Rows without an `id` get one.
    """
    from datakit.outcome import drops_schema

    chain = [stages] if isinstance(stages, Stage) else list(stages)
    with tempfile.TemporaryDirectory(prefix="datakit-") as folder:
        store = Store(folder).prepare()
        given = [] if rows is None else _shards_of(rows)
        tables = [_as_shard(shard, kind, place) for place, shard in enumerate(given)]
        records = [store.put_shard(table, kind_of(table.schema), source=f"rows-{n}") for n, table in enumerate(tables)]
        walk = _Walk(store, executor or Serial(), _env(seed, cache), seed, ignore, batch_rows or BATCH_ROWS)
        walk.shards, walk.kind = records, (kind_of(tables[0].schema) if tables else None)
        walk.walk(chain)
        kept = [store.read(record.key) for record in walk.shards]
        table = concat(kept) if kept else table_from_rows([], walk.kind or kind)
        found = [store.read_drops(key) for key in dict.fromkeys(k for r in walk.reports for k in r.steps)]
        drops = [one for one in found if one is not None]
        gone = concat(drops) if drops else drops_schema().empty_table()
        last = walk.reports[-1]
        return Applied(table, gone, StageStats.from_dict(last.stats), last.notes, walk.reports)


def datakit_version() -> str:
    """The installed version, "0" from a bare checkout."""
    try:
        return version("datakit")
    except PackageNotFoundError:
        return "0"


def _groups(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Neighbouring row stages together, every other stage alone."""
    for is_row, found in groupby(stages, key=lambda stage: isinstance(stage, RowStage)):
        members = list(found)
        yield from ([members] if is_row else ([stage] for stage in members))


def _env(seed: int, cache: Path | None) -> Env:
    from datakit.cache import cache_folder

    return Env(seed, cache or cache_folder())


def _shards_of(rows: Any) -> list[Any]:
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        return [rows]
    nested = bool(rows) and all(isinstance(shard, list | pa.Table) for shard in rows)
    return list(rows) if nested else [rows]


def _as_shard(rows: Any, kind: Kind, place: int) -> pa.Table:
    import pyarrow as pa

    from datakit.schemas import row_id

    if isinstance(rows, pa.Table):
        return rows
    filled = []
    for number, row in enumerate(rows, start=1):
        own = row.get("id") or row_id(f"rows-{place}", f"{number}")
        base = {"id": own, "source_id": row.get("source_id") or own, "family": row.get("family") or own}
        defaults = {"source": f"rows-{place}", "position": number, "parents": [], "made_with": []}
        filled.append({**defaults, **row, **base} if kind in ("document", "example") else {**row, **base})
    return table_from_rows(filled, kind)


def _manifest(pipeline: Pipeline, walk: _Walk, store: Store, now: datetime) -> DatasetManifest:
    assert walk.kind is not None  # a pipeline has at least one stage
    last = store.latest(pipeline.name)
    return DatasetManifest(
        name=pipeline.name,
        version=_next_version(pipeline.name, store, now),
        kind=walk.kind,
        digest=key_of(walk.kind, [shard.digest for shard in walk.shards if shard.rows]),
        rows=sum(shard.rows for shard in walk.shards),
        shards=tuple(walk.shards),
        recipe=pipeline.to_dict(),
        stages=tuple(walk.reports),
        seed=pipeline.seed,
        parent=last.ref if last else None,
        datakit_version=datakit_version(),
    )


def _next_version(name: str, store: Store, now: datetime) -> str:
    day = now.strftime("%Y.%m.%d")
    taken = [VERSION.match(ref.rpartition("@")[2]) for ref in store.datasets() if ref.rpartition("@")[0] == name]
    counts = [int(match["count"]) for match in taken if match and match["day"] == day]
    return f"{day}.{max(counts, default=0) + 1}"


def _run_record(result: RunResult, workers: int) -> dict[str, Any]:
    packages = ("pyarrow", "numpy", "numba", "torch", "transformers", "peft")
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "dataset": result.manifest.ref,
        "published": result.published,
        "reused": result.reused,
        "ran": result.ran,
        "seconds": result.seconds,
        "stage_seconds": result.stage_seconds,
        "workers": workers,
        "datakit": datakit_version(),
        "packages": found,
    }
