"""Plan, run, resume: a pipeline over a store.

A run is a walk along the stages (walk.py) that works only where the store holds no answer, so an interrupted run needs
no flag, a changed setting re-runs from its stage on, and a new file runs row stages on one shard. What came out is
published under a name, unless the newest version holds the same data.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.executors import Executor, Serial, make_executor
from datakit.manifests import DatasetManifest, StageReport
from datakit.outcome import StageStats
from datakit.pipeline import Pipeline
from datakit.schemas import Kind, concat, kind_of, table_from_rows
from datakit.stage import Env, Stage
from datakit.store import VERSION, Store
from datakit.trainer import Report
from datakit.walk import StepPlan, Walk, ignore
from datakit.work import BATCH_ROWS

if TYPE_CHECKING:
    import pyarrow as pa


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


def plan(pipeline: Pipeline, store: Store, *, cache: Path | None = None) -> list[StepPlan]:
    """What `run` would do, step by step: how many jobs are done, how many would run; nothing is written."""
    walk = Walk(store, Serial(), _env(pipeline.seed, cache), pipeline.seed, ignore, dry=True)
    walk.walk(pipeline.stages)
    return walk.plans


def measured(pipeline: Pipeline, store: Store) -> dict[str, tuple[Kind, list[str]]]:
    """By stage: the kind of rows that it measures, and the keys of the signals of all shards in front of it, as far as
    a run has come."""
    walk = Walk(store, Serial(), _env(pipeline.seed, None), pipeline.seed, ignore, dry=True)
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
    walk = Walk(store, make_executor(executor, workers), env, pipeline.seed, report)
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


def run_anew(pipeline: Pipeline, store: Store, *, publish: bool, now: datetime | None = None) -> DatasetManifest:
    """Run a pipeline and publish what comes out though it hold the same rows as the newest version: what lies behind
    it (raw rows, drops) may have changed."""
    manifest = run(pipeline, store, publish=False, now=now).manifest
    version = next_version(pipeline.name, store, now or datetime.now(UTC))
    last = store.latest(pipeline.name)
    fresh = manifest.model_copy(update={"version": version, "parent": last.ref if last else None})
    if publish:
        store.publish(fresh)
        store.put_last(fresh)
    return fresh


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
        walk = Walk(store, executor or Serial(), _env(seed, cache), seed, ignore, batch_rows or BATCH_ROWS)
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


def _manifest(pipeline: Pipeline, walk: Walk, store: Store, now: datetime) -> DatasetManifest:
    assert walk.kind is not None  # a pipeline has at least one stage
    last = store.latest(pipeline.name)
    return DatasetManifest(
        name=pipeline.name,
        version=next_version(pipeline.name, store, now),
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


def next_version(name: str, store: Store, now: datetime) -> str:
    """The next free version of a dataset on a day: YYYY.MM.DD.n."""
    taken = [VERSION.match(ref.rpartition("@")[2]) for ref in store.datasets() if ref.rpartition("@")[0] == name]
    # A clock that was set back must not give a version that sorts before the newest one.
    day = max(now.strftime("%Y.%m.%d"), *(match["day"] for match in taken if match), "")
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
