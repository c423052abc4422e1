"""What of a store is needed: everything that a published version, the newest run of a pipeline or an adapter reaches.

    names, runs/last  ->  stages  ->  shards and steps  ->  drops, signals, parts
    adapters, run records, format.json                      always

All else belongs to versions whose names are gone, to settings tried in between, or to a run that was killed: it costs
room and can be made again from the sources.
"""

from __future__ import annotations

from collections.abc import Iterable

from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.store import Store, file_of

ALWAYS = ("format.json", "forgotten.json", "names/", "adapters/", "runs/")
"""Files and rooms that nothing else needs to reach."""


def reached(store: Store) -> set[str]:
    """The paths below the store's root that are needed; some of them may not exist (a shard without drops)."""
    found = {path for path in store.files() if path.startswith(ALWAYS) and "/.tmp-" not in f"/{path}"}
    for manifest in _manifests(store):
        for shard in manifest.shards:
            found |= _shard(shard)
        for report in manifest.stages:
            found |= _report(report, store)
    return found


def _manifests(store: Store) -> Iterable[DatasetManifest]:
    yield from (store.manifest(ref) for ref in store.datasets())
    yield from store.last_runs()


def _report(report: StageReport, store: Store) -> set[str]:
    found: set[str] = set()
    for key in report.steps:
        step = store.step_record(key)
        if step is not None:
            found |= {file_of("steps", key, ending) for ending in (".json", ".drops.parquet")}
            found |= {file_of("parts", part, ".parquet") for part in step.parts}
        for shard in step.shards if step else (key,):
            record = store.record(shard)
            found |= _shard(record) if record else set()
    return found


def _shard(record: ShardRecord) -> set[str]:
    endings = (".json", ".parquet", ".drops.parquet")
    signals = {file_of("signals", one.signals, ".parquet") for one in record.passes if one.signals}
    return {file_of("objects", record.key, ending) for ending in endings} | signals
