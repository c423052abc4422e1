"""The walk of a corpus along the stages: ask the store for each key, work where the answer is "not done".

    source step    a job a file, or a group of small ones: key = blake2b(recipe, file names and digests)
    row steps      a job a shard      key = blake2b(recipe, key of the shard before); neighbours fused
    corpus steps   over all shards    key = blake2b(recipe, keys of all shards before); outputs keyed by content;
                                      with the state of what lies beside (an index), which is extended afterwards
    sinks          every time         they compare and mend what they wrote

Row stages behind a source begin with its first shard: while a file is read, the workers clean what was read of it.
Steps whose stages work in kernels that hold no GIL run in threads, unless an executor was named (executors.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from datakit.canon import key_of
from datakit.corpus import StoredCorpus, StoredOutbox, StoredShard
from datakit.errors import StoreError
from datakit.executors import Executor, Processes, suited
from datakit.manifests import ShardRecord, StageReport, StepRecord
from datakit.outcome import StageStats
from datakit.schemas import Kind
from datakit.signals import signals_key
from datakit.stage import CorpusStage, Env, MeasuredStage, RowStage, SinkStage, SourceStage, Stage
from datakit.store import Store
from datakit.trainer import Event, Report
from datakit.work import BATCH_ROWS, RowsJob, SourceJob, open_stages, read_source, reading_source, run_rows


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
    cost: dict[str, Any] | None = None
    """What it would cost in money, for a step that pays somebody."""


@dataclass(slots=True)
class Walk:
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
    cost: dict[str, Any] | None = None
    """What the step of a dry walk would cost."""
    groups: list[list[Stage]] = field(default_factory=list)
    """The steps of the walk: neighbouring row stages together."""
    measured: dict[str, tuple[Kind, list[str]]] = field(default_factory=dict)
    """The kind of rows that a stage measures, and the keys of its signals, by the stage's name."""
    looked_up: dict[str, ShardRecord] = field(default_factory=dict)
    """Records that were read to see that a step is done."""
    clock: Callable[[], float] = field(default=lambda: datetime.now(UTC).timestamp())

    def walk(self, stages: Sequence[Stage]) -> None:
        """Take the corpus through all stages."""
        groups = self.groups = list(_groups(stages))
        for place, group in enumerate(groups):
            self.cost = None
            started, waited, before = self.clock(), self.waited, (self.reused, self.ran)
            known = self._step(group)
            names = [stage.name for stage in group]
            self.seconds["+".join(names)] = round(self.clock() - started - (self.waited - waited), 3)
            reuse, run = self.reused - before[0], self.ran - before[1]
            self.plans.append(StepPlan(names, reuse, run, self.cost))
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
        jobs, buried = [], _by_file(self.store.forgotten())
        for group in stage.groups():
            members = [part for source in group for part in (source.name, source.digest)]
            gone = frozenset(row for source in group for row in buried.get(source.name, ()))
            key = key_of("source", recipe, *members, *(["forgotten", *sorted(gone)] if gone else []))
            jobs.append(SourceJob(self.store, stage, group, key, kind, self.env, gone))
        done = {job.key: step for job in jobs if (step := self._done(job.key))}
        todo = len(jobs) - len(done)
        self._count(len(done), todo)
        if todo and not self.dry:
            self._warm(stage)
        self.arriving, self.source = self._read(stage, jobs, done, self.shards), stage.name
        self.kind = kind
        return not (self.dry and todo)

    def _warm(self, stage: SourceStage) -> None:
        """Start the processes that a later step needs, while threads of this one read and clean."""
        for group in self.groups[self.groups.index([stage]) + 1 :]:
            fused = tuple(one for one in group if isinstance(one, RowStage))
            executor = suited(self.executor, all(one.frees_gil for one in group))
            if fused and isinstance(executor, Processes):
                recipes = tuple(key_of(one.keyed_as(self.seed)) for one in fused)
                executor.warm(open_stages, (fused, recipes, self.env))
                return

    def _read(
        self, stage: SourceStage, jobs: list[SourceJob], done: dict[str, StepRecord], before: list[ShardRecord]
    ) -> Iterator[ShardRecord]:
        """Shard after shard, those from before first, in the order of the files; at the end, the stage's report."""
        yield from before
        todo = [job for job in jobs if job.key not in done]
        # Fewer files than workers: this process reads, so that the workers have something to do from the first shard.
        here = len(todo) < self.executor.workers
        reading = iter(()) if here else self._progress(self.executor, stage.name, read_source, todo, len(todo))
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
            executor = suited(self.executor, all(stage.frees_gil for stage in stages))
            done |= {record.key: record for record in self._progress(executor, name, run_rows, todo())}
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
        step = self._done(key := own if beside is None else key_of(own, beside))
        self._count(int(step is not None), int(step is None))
        gives = stage.gives(self.kind)
        if step is None and self.dry:
            self.cost = stage.forecast(self._view(stage))
            return False
        before = self._view(stage, self._ticks(stage), own)
        step = step or self._run_corpus(stage, before, key, gives)
        self.shards, self.kind = [self._known(shard) for shard in step.shards], gives
        if not self.dry:
            stage.settle(before, self._view(stage))
        self._report(stage, gives, StageStats.from_dict(step.stats), step.notes, [step.key])
        return True

    def _run_corpus(self, stage: CorpusStage, corpus: StoredCorpus, key: str, gives: Kind) -> StepRecord:
        rows, shards = sum(shard.rows for shard in self.shards), len(self.shards)
        stats = StageStats(rows_in=rows, characters_in=self._characters())
        out = StoredOutbox(self.store, corpus.executor, stage, gives != self.kind, stats, tick=corpus.tick)
        self.report(Event(stage.name, 0, shards, {"rows": rows}))
        stage.run(corpus, out)
        self.report(Event(stage.name, shards, shards, {"rows": rows}))
        return out.close(key, corpus.parts)

    def _ticks(self, stage: Stage) -> Callable[[int], None]:
        """Tells how many of the shards in front of a stage are done."""
        shards = len(self.shards)

        def tick(done: int) -> None:
            self.report(Event(stage.name, done, shards))

        return tick

    def _sink(self, stage: SinkStage) -> bool:
        if not self.dry:
            notes = dict(stage.write(self._view(stage)))
            notes.pop("written", None)  # a run that was killed behind its export wrote nothing in the second try
            rows, size = sum(shard.rows for shard in self.shards), self._characters()
            stats = StageStats(rows_in=rows, kept=rows, characters_in=size, characters_out=size)
            assert self.kind is not None  # Pipeline.problems() saw to it
            self._report(stage, self.kind, stats, notes, [])
        return True

    def _view(self, stage: Stage, tick: Callable[[int], None] = _silent, key: str = "") -> StoredCorpus:
        shards = [StoredShard(r.key, r.rows, r.source, self.store) for r in self.shards]
        executor = suited(self.executor, stage.frees_gil)
        return StoredCorpus(self.store, executor, self.kind, self.env, shards, stage.name, tick, key)

    def _chain(self, key: str, recipes: Sequence[str]) -> tuple[str, ...]:
        """The keys of a shard after each of some fused stages."""
        keys = []
        for recipe in recipes:
            key = key_of("rows", recipe, key)
            keys.append(key)
        return tuple(keys)

    def _progress(
        self, executor: Executor, name: str, work: Callable[[Any], Any], jobs: Iterable[Any], total: int = 0
    ) -> Iterator[Any]:
        """The results of some jobs; `total` 0: nobody knows yet how many come."""
        done = rows = 0
        for result in executor.map(work, self._told(name, jobs, total)):
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

    def _done(self, key: str) -> StepRecord | None:
        """The record of a step that is done; those of its shards are kept until they are asked for."""
        found = self.store.step_with_shards(key)
        if found is None:
            return None
        self.looked_up |= {record.key: record for record in found[1]}
        return found[0]

    def _known(self, key: str) -> ShardRecord:
        record = self.looked_up.pop(key, None) or self.store.record(key)
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


def _by_file(forgotten: Mapping[str, str]) -> dict[str, list[str]]:
    """File -> ids of its rows that must not be read again."""
    found: dict[str, list[str]] = {}
    for row, file in forgotten.items():
        found.setdefault(file, []).append(row)
    return found


def _groups(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Neighbouring row stages together, every other stage alone."""
    for is_row, found in groupby(stages, key=lambda stage: isinstance(stage, RowStage)):
        members = list(found)
        yield from ([members] if is_row else ([stage] for stage in members))
