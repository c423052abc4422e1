"""Where a row came from and where it went: from source line through every stage to packed rows and adapters.

A walk over the records of a published version. Reads id columns and drop sidecars, never text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datakit.errors import SourceError
from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN = ("id", "source_id", "source", "position", "parents")


def why(row: str, store: Store, *, dataset: str | None = None) -> dict[str, Any]:
    """The story of one row (by id, or by the id its file gave it): where it was read, what each stage did, where it is.

    Looks in `dataset` (name or name@version), else in every published version, newest first. The result has
    `source`, `story` (one line a stage), `made` (rows made from it), `packs` and `adapters`.
    """
    refs = [dataset] if dataset else list(reversed(store.datasets()))
    for ref in refs:
        manifest = store.manifest(ref)
        found = _find(row, manifest, store)
        if found is not None:
            return _tell(found, manifest, store)
    looked = ", ".join(refs) or "no published version"
    raise SourceError(
        f"no row {row!r}", where=looked, fix="give an id or a source id (file:line) as `datakit show` prints it"
    )


def _find(row: str, manifest: DatasetManifest, store: Store) -> dict[str, Any] | None:
    """The first row of a version with this id or source id, as a dict of its origin; None if there is none."""
    import pyarrow.compute as pc

    for shard in _all_shards(manifest, store):
        if shard.kind in ("tokens", "packed"):
            continue
        table = store.read(shard.key, ORIGIN)
        hit = pc.or_(pc.equal(table.column("id"), row), pc.equal(table.column("source_id"), row))
        if pc.any(hit).as_py():
            return dict(table.filter(hit).slice(0, 1).to_pylist()[0])
    for report in manifest.stages:
        for drop in _drops(report, store, "source_id", {row}):
            return {"id": drop["id"], "source_id": row, "source": "", "position": None, "parents": []}
    return None


def _tell(row: dict[str, Any], manifest: DatasetManifest, store: Store) -> dict[str, Any]:
    story: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    packs: list[dict[str, Any]] = []
    ids, alive = {row["id"]}, True
    for report in manifest.stages:
        dropped = [d for d in _drops(report, store, "id", ids) if d["stage"] == report.id]
        here = any(d["id"] == row["id"] or d["source_id"] == row["source_id"] for d in dropped)
        children = _children(row["id"], report, store) if report.kind == "example" else []
        fresh = [child for child in children if child["id"] not in ids]
        ids |= {child["id"] for child in fresh}
        made += fresh
        if report.kind == "packed":
            packs = _packs(ids, report, store)
        line = _line(
            report, [d for d in dropped if d["id"] == row["id"]], fresh, packs if report.kind == "packed" else []
        )
        own = report.kind in ("document", "example")
        if line is None and own and alive and _holds(row["id"], report, store):
            line = {"what": "read" if not story else "kept"}
        if line is not None:
            story.append({"stage": report.id, **line})
        story += [
            {"stage": report.id, "what": "dropped", "row": d["id"], **_reason(d)}
            for d in dropped
            if d["id"] != row["id"]
        ]
        alive = alive and not here
    adapters = [a for a in store.adapters() if a.dataset_digest == manifest.digest] if packs else []
    return {
        "id": row["id"],
        "source_id": row["source_id"],
        "source": row["source"],
        "position": row["position"],
        "parents": row["parents"] or [],
        "dataset": manifest.ref,
        "story": story,
        "made": made,
        "packs": packs,
        "adapters": [{"path": a.path, "trainer": a.trainer, "base": a.base} for a in adapters],
    }


def _line(
    report: StageReport, drops: list[dict[str, Any]], made: list[dict[str, Any]], packs: list[dict[str, Any]]
) -> dict[str, Any] | None:
    if drops:
        return {"what": "folded" if drops[0]["matched"] else "dropped", **_reason(drops[0])}
    if made:
        return {"what": "made", "rows": [child["id"] for child in made]}
    if packs:
        return {"what": "packed", "packs": packs}
    return None


def _reason(drop: dict[str, Any]) -> dict[str, Any]:
    return {name: drop[name] for name in ("rule", "value", "threshold", "matched") if drop[name] is not None}


def _drops(report: StageReport, store: Store, column: str, wanted: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pa.array(sorted(wanted), pa.large_string())
    for key in report.steps:
        table = store.read_drops(key)
        if table is not None:
            yield from table.filter(pc.is_in(table.column(column), values)).to_pylist()


def _children(row: str, report: StageReport, store: Store) -> list[dict[str, Any]]:
    """Rows after a stage that have `row` among their parents."""
    found = []
    for shard in store.shards_of(report):
        table = store.read(shard.key, ("id", "parents", "made_by"))
        for child in _with_parent(table, row):
            found.append({"id": child["id"], "made_by": child["made_by"]})
    return found


def _with_parent(table: pa.Table, row: str) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    parents = table.column("parents").combine_chunks()
    hits = pc.unique(pc.list_parent_indices(parents).filter(pc.equal(pc.list_flatten(parents), row)))
    return list(table.take(hits).to_pylist())


def _packs(ids: set[str], report: StageReport, store: Store) -> list[dict[str, Any]]:
    """Packed rows that hold any of these ids: number of the pack in the dataset, split, place in it."""
    found, number = [], 0
    for shard in store.shards_of(report):
        table = store.read(shard.key, ("spans", "split"))
        for place, (spans, split) in enumerate(zip(*(c.to_pylist() for c in table.columns), strict=True), start=number):
            found += [
                {"pack": place, "split": split, "row": s["id"], "start": s["start"], "length": s["length"]}
                for s in spans
                if s["id"] in ids
            ]
        number += table.num_rows
    return found


def _holds(row: str, report: StageReport, store: Store) -> bool:
    import pyarrow.compute as pc

    shards = store.shards_of(report)
    return any(pc.any(pc.equal(store.read(s.key, ("id",)).column("id"), row)).as_py() for s in shards)


def _all_shards(manifest: DatasetManifest, store: Store) -> Iterator[ShardRecord]:
    """Shards of a version, stage by stage, each once."""
    seen: set[str] = set()
    for report in manifest.stages:
        for shard in store.shards_of(report):
            if shard.key not in seen:
                seen.add(shard.key)
                yield shard
