"""Scheduled refresh: one idempotent pass, or passes by a clock.

A pass: take the store's lease -> run the pipeline (only new source files cost anything) -> gates -> same data as the
newest version? say so, done -> publish name@YYYY.MM.DD.n -> train if asked -> keep the newest N names.
A refused pass publishes nothing: the last version stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datakit.errors import ConfigError, DatakitError, GateRefused, Problem
from datakit.lease import lease
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.outcome import StageStats
from datakit.pipeline import Gates, Pipeline, Refresh
from datakit.runner import RunResult, ignore, run
from datakit.store import Store
from datakit.trainer import Report

Train = Callable[[DatasetManifest], AdapterArtifact]


@dataclass(slots=True)
class RefreshResult:
    """What one pass did."""

    run: RunResult
    published: str | None
    """name@version, None if the newest version holds the same data."""
    adapter: AdapterArtifact | None = None
    removed: tuple[str, ...] = ()
    """Names of old versions that were taken away."""


def refresh(
    pipeline: Pipeline,
    store: Store,
    *,
    train: Train | None = None,
    now: datetime | None = None,
    report: Report = ignore,
    **options: Any,
) -> RefreshResult:
    """One pass. `train` gets the new version if the pipeline's `refresh.train` says so; `options` go to `run`."""
    settings = pipeline.refresh or Refresh()
    store.prepare()
    with lease(store, f"refresh {pipeline.name}"):
        result = run(pipeline, store, now=now, report=report, publish=False, **options)
        last = store.latest(pipeline.name)
        # Gates first: a day on which everything new was dropped leaves the same rows, and must be heard of.
        hold_gates(result.manifest, last, settings.gates)
        if last is not None and last.digest == result.manifest.digest:
            return RefreshResult(result, None)
        store.publish(result.manifest)
        result.published = True
        adapter = train(result.manifest) if settings.train and train else None
        return RefreshResult(result, result.manifest.ref, adapter, _keep(pipeline.name, store, settings.keep))


def hold_gates(new: DatasetManifest, last: DatasetManifest | None, gates: Gates) -> None:
    """Raise GateRefused with gate, value and limit if the new version must not be published."""
    if new.rows < gates.min_rows:
        raise GateRefused(
            f"min_rows: the new version has {new.rows} rows, the limit is {gates.min_rows}",
            where=new.name,
            fix="look at `datakit why` and the funnel; lower refresh.gates.min_rows if this is right",
        )
    if last is None or gates.max_drop_shift is None:
        return
    before = {stage.id: _drop_share(stage.stats) for stage in last.stages}
    for stage in new.stages:
        share = _drop_share(stage.stats)
        shift = abs(share - before.get(stage.id, share))
        if shift > gates.max_drop_shift:
            raise GateRefused(
                f"max_drop_shift: {stage.id} drops {share:.3f} of its rows, off by {shift:.3f};"
                f" the limit is {gates.max_drop_shift}",
                where=new.name,
                fix="look at what came in; raise refresh.gates.max_drop_shift if this is right",
            )


def every(interval: str, action: Callable[[], Any]) -> None:
    """Run `action` now and then every "30m", "6h", "1d"; a pass that fails is told by its caller, the clock goes on."""
    seconds = parse_interval(interval)
    while True:
        started = time.monotonic()
        action()
        time.sleep(max(0.0, seconds - (time.monotonic() - started)))


def by_cron(expression: str, action: Callable[[], Any]) -> None:
    """Run `action` by a cron expression of five fields in local time; missed times collapse into one."""
    try:
        from apscheduler.schedulers.blocking import BlockingScheduler
        from apscheduler.triggers.cron import CronTrigger
    except ImportError as error:
        raise ConfigError(
            (Problem("--cron", "needs the package apscheduler", "pip install 'datakit[schedule]'"),)
        ) from error
    try:
        trigger = CronTrigger.from_crontab(expression)
    except ValueError as error:
        problem = Problem("--cron", f"{expression!r} is not a cron expression", 'five fields, such as "0 3 * * *"')
        raise ConfigError((problem,)) from error
    scheduler = BlockingScheduler()
    scheduler.add_job(action, trigger, coalesce=True, max_instances=1, misfire_grace_time=None)
    scheduler.start()


def parse_interval(interval: str) -> float:
    """Seconds of "45s", "30m", "6h", "1d"."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = interval[:-1], interval[-1:]
    if unit not in units or not number.isdigit() or int(number) == 0:
        raise ConfigError((Problem("--every", f"{interval!r} is not an interval", "write 30m, 6h or 1d"),))
    return int(number) * units[unit]


def failed(error: DatakitError) -> str:
    """One line about a failed pass, for the log of a scheduler."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ} " + " | ".join(error.lines())


def _drop_share(stats: dict[str, Any]) -> float:
    figures = StageStats.from_dict(stats)
    return (figures.dropped + figures.folded) / figures.rows_in if figures.rows_in else 0.0


def _keep(name: str, store: Store, keep: int) -> tuple[str, ...]:
    versions = [ref for ref in store.datasets() if ref.rpartition("@")[0] == name]
    gone = tuple(versions[:-keep])
    for ref in gone:
        store.unpublish(ref)
    return gone
