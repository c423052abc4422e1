"""Scheduled refresh: one idempotent pass, or passes by a clock.

A pass: take the store's lease -> run the pipeline (only new source files cost anything) -> gates -> same data as the
newest version? say so, done -> train beside the last adapter if asked, compare -> publish name@YYYY.MM.DD.n -> the
better adapter takes its place -> keep the newest N names -> tell the hooks.
A refused pass publishes nothing: the last version and the last adapter stand. A version is a function of recipe and
sources alone, not of the passes that led to it: the same files give the same bytes on any day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from datakit.errors import GateRefused
from datakit.lease import lease
from datakit.manifests import DatasetManifest
from datakit.pipeline import Pipeline, Refresh
from datakit.refreshing.adapters import Contest, Judge, Train, compete, settle
from datakit.refreshing.gates import hold_gates
from datakit.refreshing.hooks import tell_hook
from datakit.refreshing.news import News, news
from datakit.runner import RunResult, ignore, run
from datakit.store import Store
from datakit.trainer import Report


@dataclass(slots=True)
class RefreshResult:
    """What one pass did."""

    run: RunResult
    published: str | None
    """name@version, None if nothing was published."""
    because: str
    """Why: `new rows`, `same rows` as the newest version, or `rolled back` rows that must not come again."""
    sources: News
    """Files that came, changed or went since the version before."""
    contest: Contest | None = None
    """The new adapter against the last one."""
    removed: tuple[str, ...] = ()
    """Names of old versions that were taken away."""
    unheard: str | None = None
    """Why the hook could not be told, None if it was or there is none."""


def refresh(
    pipeline: Pipeline,
    store: Store,
    *,
    train: Train | None = None,
    judge: Judge | None = None,
    now: datetime | None = None,
    report: Report = ignore,
    **options: Any,
) -> RefreshResult:
    """One pass; `train` and `judge` serve `refresh.train`, `options` go to `run`. GateRefused: nothing is published."""
    settings = pipeline.refresh or Refresh()
    store.prepare()
    with lease(store, f"refresh {pipeline.name}"):
        try:
            result = _pass(pipeline, store, settings, train, judge, now, report, options)
        except GateRefused as error:
            if settings.hooks.refused:
                tell_hook(settings.hooks.refused, {"event": "refused", "pipeline": pipeline.name, **error.as_dict()})
            raise
    if result.published and settings.hooks.published:
        result.unheard = tell_hook(settings.hooks.published, _told(result))
    return result


def _pass(
    pipeline: Pipeline,
    store: Store,
    settings: Refresh,
    train: Train | None,
    judge: Judge | None,
    now: datetime | None,
    report: Report,
    options: dict[str, Any],
) -> RefreshResult:
    out = adapter_folder(pipeline)
    last = store.latest(pipeline.name)
    settle(out, store, last)
    result = run(pipeline, store, now=now, report=report, publish=False, **options)
    manifest, changes = result.manifest, news(result.manifest, last, store)
    # Gates first: a day on which everything new was dropped leaves the same rows, and must be heard of.
    hold_gates(manifest, last, settings.gates)
    if last is not None and last.digest == manifest.digest:
        return RefreshResult(result, None, "same rows", changes)
    if manifest.digest in store.withdrawn(pipeline.name):
        return RefreshResult(result, None, "rolled back", changes)
    contest = compete(manifest, out, train, judge, settings.gates) if settings.train and train else None
    store.publish(manifest)
    result.published = True
    settle(out, store, manifest)
    removed = _keep(pipeline.name, store, settings.keep)
    return RefreshResult(result, manifest.ref, "new rows", changes, contest, removed)


def adapter_folder(pipeline: Pipeline) -> Path:
    """Where the adapter of a pipeline lies."""
    return Path(str((pipeline.train or {}).get("out", f"adapters/{pipeline.name}")))


def _told(result: RefreshResult) -> dict[str, Any]:
    manifest: DatasetManifest = result.run.manifest
    files = {name: len(getattr(result.sources, name)) for name in ("new", "changed", "removed")}
    adapter = result.contest.adapter.path if result.contest else None
    return {"event": "published", "dataset": manifest.ref, "rows": manifest.rows, "files": files, "adapter": adapter}


def _keep(name: str, store: Store, keep: int) -> tuple[str, ...]:
    versions = [ref for ref in store.datasets() if ref.rpartition("@")[0] == name]
    gone = tuple(versions[:-keep])
    for ref in gone:
        store.unpublish(ref)
    return gone
