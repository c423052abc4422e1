"""The Corpus and Outbox that the runner hands to a corpus stage: shards in the store, work on the executor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.errors import StageError
from datakit.executors import Executor
from datakit.manifests import ShardRecord, StepRecord
from datakit.outcome import StageStats
from datakit.schemas import Kind, kind_of
from datakit.stage import CorpusStage, Env, Shard, ShardWork, TableWork
from datakit.store import Store
from datakit.work import characters, checked, folded_rows, joined, run_part, run_shard, stamped

if TYPE_CHECKING:
    import pyarrow as pa

Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class StoredShard:
    """A shard in the store, read when asked."""

    key: str
    rows: int
    source: str
    store: Store

    @property
    def columns(self) -> list[str]:
        """The names of its columns, without reading rows."""
        return self.store.columns(self.key)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows, or some of their columns."""
        return self.store.read(self.key, columns)


@dataclass(slots=True)
class StoredCorpus:
    """All shards in front of a corpus stage."""

    store: Store
    executor: Executor
    kind: Kind | None
    env: Env
    shards: Sequence[Shard]
    stage: str = ""
    tick: Tick = field(default=lambda done: None)
    key: str = ""
    parts: dict[str, None] = field(default_factory=dict)
    """Keys of the parts that the stage asked for, in their order, each once."""

    def map(
        self, work: TableWork, settings: Mapping[str, Any], *, part: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """See stage.Corpus.map."""
        jobs = (
            (self.store, key_of("part", part, dict(settings), shard.key), shard.key, work, dict(settings), columns)
            for shard in self.shards
        )
        for done, key in enumerate(self.executor.map(run_part, jobs), start=1):
            self.tick(done)
            self.parts[key] = None
            table = self.store.part(key)
            if table is None:
                raise StageError(f"{self.stage}: a stored part vanished", fix="run again")
            yield table


@dataclass(slots=True)
class StoredOutbox:
    """Collects what a corpus stage writes into one step."""

    store: Store
    executor: Executor
    stage: CorpusStage
    changes_kind: bool
    stats: StageStats
    records: list[ShardRecord] = field(default_factory=list)
    drops: list[pa.Table] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    tick: Tick = field(default=lambda done: None)

    def write(
        self, rows: pa.Table, *, drops: pa.Table | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        """See stage.Outbox.write."""
        if rows.num_rows:
            self.records.append(self.store.put_shard(rows, kind_of(rows.schema)))
        if self.changes_kind:
            self.stats.made += rows.num_rows
        else:
            self.stats.kept += rows.num_rows
        self.stats.characters_out += characters(rows)
        self.stats.counters.update(counters or {})
        self.drop(drops)

    def map(self, work: ShardWork, jobs: Iterable[tuple[Shard, dict[str, Any]]]) -> None:
        """See stage.Outbox.map."""
        sent = ((self.store, shard.key, work, settings, self.stage.name) for shard, settings in jobs)
        for done, (record, outcome, _) in enumerate(self.executor.map(run_shard, sent), start=1):
            counters = Counter(outcome.counters)
            self.stats.kept += counters.pop("__kept__")
            self.stats.made += counters.pop("__made__")
            self.stats.characters_out += counters.pop("__characters__")
            self.stats.counters.update(counters)
            if record is not None:
                self.records.append(record)
            self.drop(outcome.drops)
            self.tick(done)

    def drop(self, drops: pa.Table | None) -> None:
        """See stage.Outbox.drop."""
        gone = stamped(drops, self.stage)
        if gone is None:
            return
        folded = folded_rows(self.stage, gone)
        self.stats.folded += folded
        self.stats.dropped += gone.num_rows - folded
        self.stats.rules.update(gone.column("rule").to_pylist())
        self.drops.append(gone)

    def note(self, **notes: Any) -> None:
        """See stage.Outbox.note."""
        self.notes.update(notes)

    def account(self, **counts: int) -> None:
        """See stage.Outbox.account."""
        for name, count in counts.items():
            setattr(self.stats, name, getattr(self.stats, name) + count)

    def close(self, key: str, parts: Iterable[str] = ()) -> StepRecord:
        """Check the law and write the step's record."""
        checked(self.stage, self.stats)
        step = StepRecord(
            key=key,
            stage=self.stage.name,
            shards=tuple(record.key for record in self.records),
            stats=self.stats.as_dict(),
            notes=self.notes,
            parts=tuple(sorted(parts)),
        )
        return self.store.put_step(step, joined(self.drops))
