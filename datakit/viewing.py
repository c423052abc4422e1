"""What `datasets`, `show` and `drops` give: versions, rows as they left a stage, rows that a stage took out and why.

Rows are read from shards, drops from sidecars; text only as `readable` allows it. Cost: the sidecars, the id columns of
the stage before each dropped row that is shown, and the shown rows themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from datakit.errors import ConfigError, Problem
from datakit.manifests import DatasetManifest, StageReport
from datakit.readable import TEXT_KINDS, Reader, safe_places, stored_places
from datakit.store import VERSION, Store

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 4_000
"""Characters of a dropped row's text that are given; enough to judge a rule, and a bound for the answer."""
BATCH = 100
"""Rows of a shard that become Python objects at a time."""


def versions(store: Store) -> list[dict[str, Any]]:
    """Every published version, newest first within a name."""
    adapters = store.adapters()
    found = []
    for ref in reversed(store.datasets()):
        manifest = store.manifest(ref)
        day = VERSION.match(manifest.version)
        found.append(
            {
                "dataset": ref,
                "kind": manifest.kind,
                "rows": manifest.rows,
                "day": day["day"].replace(".", "-") if day else None,
                "bytes": sum(shard.bytes for shard in manifest.shards),
                "adapters": [one.path for one in adapters if one.dataset_digest == manifest.digest],
            }
        )
    return sorted(found, key=lambda one: one["dataset"].rpartition("@")[0])


def manifest_of(store: Store, dataset: str | None) -> DatasetManifest:
    """The manifest of a dataset; of the only one of the store, if none is named."""
    if dataset is not None:
        return store.manifest(dataset)
    names = sorted({ref.rpartition("@")[0] for ref in store.datasets()})
    if len(names) != 1:
        told = f"the store holds {', '.join(names)}" if names else "the store holds no dataset yet"
        fix = "name the one that is meant" if names else "run a pipeline first"
        raise ConfigError((Problem("DATASET", told, fix),))
    return store.manifest(names[0])


def rows_after(
    manifest: DatasetManifest, store: Store, stage: str | None, rows: int, raw: bool
) -> list[dict[str, Any]]:
    """The first rows as they left a stage; a stage whose text may not be shown is refused."""
    return list(islice(each_row_after(manifest, store, stage, raw), rows))


def each_row_after(manifest: DatasetManifest, store: Store, stage: str | None, raw: bool) -> Iterator[dict[str, Any]]:
    """Every row as it left a stage, a shard in memory at a time."""
    place = _place_to_show(manifest, stage)
    shards = [shard for shard in store.shards_of(manifest.stages[place]) if shard.rows]
    if shards and not (raw or safe_places(manifest.stages)[place]):
        fix = "give --raw to see it"
        raise ConfigError((Problem("--stage", f"{_unsafe(manifest, place)}, so its text may hold personal data", fix),))
    for shard in shards:
        for batch in store.read(shard.key).to_batches(max_chunksize=BATCH):
            yield from batch.to_pylist()


def dropped_rows(
    manifest: DatasetManifest, store: Store, stage: str | None, rule: str | None, rows: int, raw: bool
) -> dict[str, Any]:
    """How many rows each stage and rule took out, and the first of every rule, in turn, with what the rule saw."""
    if stage is not None:
        _known_stage(manifest, stage)
    reports = [(place, one) for place, one in enumerate(manifest.stages) if stage in (None, one.id)]
    counts = [
        {"stage": one.id, "rule": name, "rows": count}
        for _, one in reports
        for name, count in sorted(one.stats["rules"].items(), key=lambda item: (-item[1], item[0]))
        if rule in (None, name)
    ]
    if rule is not None and not counts:
        known = sorted({name for _, one in reports for name in one.stats["rules"]})
        fix = f"one of {', '.join(known)}" if known else "nothing was dropped there"
        raise ConfigError((Problem("--rule", f"no row of {manifest.ref} was dropped by {rule!r}", fix),))
    reader, shown = Reader(manifest, store, raw), []
    quotas = dict(
        zip(((c["stage"], c["rule"]) for c in counts), _in_turn([c["rows"] for c in counts], rows), strict=True)
    )
    for place, one in reports:
        wanted = {name: quota for (stage_id, name), quota in quotas.items() if stage_id == one.id and quota}
        shown += _explained(reader, place, _first_drops(store, one, wanted))
    return {"dataset": manifest.ref, "text": reader.state, "counts": counts, "rows": shown}


def drop_tables(store: Store, report: StageReport) -> Iterator[pa.Table]:
    """The sidecars of one stage: its own drops only, since fused stages share a sidecar."""
    import pyarrow.compute as pc

    for key in dict.fromkeys(report.steps):
        table = store.read_drops(key)
        if table is not None:
            yield table.filter(pc.equal(table.column("stage"), report.id))


def _first_drops(store: Store, report: StageReport, wanted: dict[str, int]) -> list[dict[str, Any]]:
    """The first drops of a stage, so many of each rule, the rules in order."""
    import pyarrow.compute as pc

    found: dict[str, list[dict[str, Any]]] = {rule: [] for rule in wanted}
    for table in drop_tables(store, report) if wanted else ():
        for rule, quota in wanted.items():
            if (room := quota - len(found[rule])) > 0:
                found[rule] += table.filter(pc.equal(table.column("rule"), rule)).slice(0, room).to_pylist()
        if all(len(found[rule]) >= quota for rule, quota in wanted.items()):
            break
    return [drop for drops in found.values() for drop in drops]


def _in_turn(counts: list[int], most: int) -> list[int]:
    """How many of each group are taken if one after the other gives one until there are `most`."""
    taken = [0] * len(counts)
    while most > 0 and taken != counts:
        for place, count in enumerate(counts):
            if taken[place] < count and most > 0:
                taken[place], most = taken[place] + 1, most - 1
    return taken


def _explained(reader: Reader, place: int, drops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drops with the source ids and the texts of both rows, as far as they are known and may be shown."""
    ids = {drop["id"] for drop in drops} | {drop["matched"] for drop in drops if drop["matched"]}
    known = reader.before(place, ids)
    missing = [drop for drop in drops if drop["id"] not in known]
    named = dict(
        zip(
            (drop["id"] for drop in missing),
            reader.names([(drop["id"], drop["source_id"] or drop["id"]) for drop in missing]),
            strict=True,
        )
    )
    return [_one(drop, known.get(drop["id"]), known.get(drop["matched"]), named) for drop in drops]


def _one(drop: dict[str, Any], own: Any, other: Any, named: dict[str, str]) -> dict[str, Any]:
    return {
        **drop,
        "source_id": own.source_id if own else named[drop["id"]],
        "matched_source_id": other.source_id if other else None,
        "text": _cut(own.text) if own else None,
        "matched_text": _cut(other.text) if other else None,
    }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else text[:LONGEST].rstrip() + " …"


def _place_to_show(manifest: DatasetManifest, stage: str | None) -> int:
    """The place of the stage behind which the rows to show are stored."""
    ids, stored = [report.id for report in manifest.stages], stored_places(manifest.stages)
    readable = [place for place in stored if manifest.stages[place].kind in TEXT_KINDS]
    place = _known_stage(manifest, stage) if stage else (readable[-1] if readable else len(ids) - 1)
    if place not in stored:
        apart = ", ".join(ids[other] for other in stored)
        raise ConfigError(
            (Problem("--stage", f"rows are not stored between {ids[place]} and the next stage", f"one of {apart}"),)
        )
    return stored[place]


def _known_stage(manifest: DatasetManifest, stage: str) -> int:
    ids = [report.id for report in manifest.stages]
    if stage not in ids:
        raise ConfigError((Problem("--stage", f"{manifest.ref} has no stage {stage!r}", f"one of {', '.join(ids)}"),))
    return ids.index(stage)


def _unsafe(manifest: DatasetManifest, place: int) -> str:
    """Why the rows behind a stage may hold personal data."""
    stages = manifest.stages
    if all(report.use != "pii" for report in stages):
        return "this pipeline has no `pii` stage"
    if all(report.use != "pii" for report in stages[: place + 1]):
        return f"{stages[place].id} stands before `pii`"
    return "rows were read in after `pii`"
