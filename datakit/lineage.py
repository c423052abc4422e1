"""Where a row came from and where it went: from source line through every stage to packed rows and adapters.

A walk over the records of a published version. Reads id columns and drop sidecars; of text nothing but what `readable`
needs to keep personal data out of the ids it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from datakit.errors import SourceError
from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.readable import Reader
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN = ["id", "source_id", "source", "position", "parents"]


def why(row: str, store: Store, *, dataset: str | None = None) -> dict[str, Any]:
    """The story of one row (by id, by the id its file gave it, or by FILE:LINE): where it was read, what each stage
    did with it, where it is.

    Looks in `dataset` (name or name@version), else in every published version, newest first. The result has
    `story` (one line a stage, those of the rows it was made from first, with their id as `row`), `made` (rows made
    from it), `packs`, `adapters` (`learned` is false where the row was held out) and `elsewhere`: how it ended in the
    other versions that hold it.
    """
    every = _newest_first(store)
    refs = [dataset] if dataset else every
    manifests = [store.manifest(ref) for ref in refs]
    # A run that published nothing (its rows were the same, or a gate held) may still have read and dropped the row.
    for manifest in [*manifests, *(last for last in store.last_runs() if not dataset)]:
        found = _find(row, manifest, store)
        if found is not None:
            others = (store.manifest(ref) for ref in every if ref != manifest.ref)
            return {**_tell(found, manifest, store), "elsewhere": list(_elsewhere(found["id"], others, store))}
    looked = ", ".join(refs) or "no published version"
    raise SourceError(
        f"no row {row!r}", where=looked, fix="give an id or a source id (file:line) as `datakit show` prints it"
    )


def _newest_first(store: Store) -> list[str]:
    """All published versions, the one that was published last first: by the runs, then by day and count."""
    published = [run["dataset"] for run in store.runs() if run.get("published")]
    order = {ref: place for place, ref in enumerate(published)}
    return sorted(store.datasets(), key=lambda ref: order.get(ref, -1), reverse=True)


def _elsewhere(row: str, manifests: Iterable[DatasetManifest], store: Store) -> Iterator[dict[str, Any]]:
    """How a row ended in other versions: the last line of its story there, and the adapters that learned it."""
    for manifest in manifests:
        if found := _find(row, manifest, store):
            told = _tell(found, manifest, store)
            last = {name: told["story"][-1].get(name) for name in ("stage", "what", "rule")} if told["story"] else {}
            adapters = [adapter["path"] for adapter in told["adapters"] if adapter["learned"]]
            yield {"dataset": manifest.ref, **last, "adapters": adapters}


def _find(row: str, manifest: DatasetManifest, store: Store) -> dict[str, Any] | None:
    """The first row of a version with this id, source id or place, as a dict of its origin; None if there is none."""
    import pyarrow.compute as pc

    for shard in _all_shards(manifest, store):
        if shard.kind in ("tokens", "packed"):
            continue
        table = store.read(shard.key, ORIGIN)
        hit = rows_named(table, row)
        if pc.any(hit).as_py():
            return dict(table.filter(hit).slice(0, 1).to_pylist()[0])
    for report in manifest.stages:
        for column in ("id", "source_id"):
            for drop in drops_of(report, store, column, {row}):
                named = {name: drop[name] for name in ("id", "source_id")}
                return {**named, "source": "", "position": None, "parents": []}
    return None


def rows_named(table: pa.Table, row: str) -> pa.ChunkedArray:
    """Which rows have this id or source id, or stand at FILE:LINE (FILE as it is called, or a path that ends so)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    hit = pc.or_kleene(pc.equal(table.column("id"), row), pc.equal(table.column("source_id"), row))
    file, _, line = row.rpartition(":")
    if not (file and line.isascii() and line.isdigit() and len(line) < 19):
        return hit
    parts = file.split("/")
    files = pa.array(["/".join(parts[place:]) for place in range(len(parts))], pa.large_string())
    placed = pc.and_kleene(pc.is_in(table.column("source"), files), pc.equal(table.column("position"), int(line)))
    return pc.or_kleene(hit, placed)


def _tell(row: dict[str, Any], manifest: DatasetManifest, store: Store) -> dict[str, Any]:
    story = [
        {**line, "row": old["id"]} for old in _ancestors(row, manifest, store) for line in _own(old, manifest, store)
    ]
    own = {line["stage"]: line for line in _own(row, manifest, store)}
    made: list[dict[str, Any]] = []
    packs: list[dict[str, Any]] = []
    ids = {row["id"]}
    for report in manifest.stages:
        fresh = [child for child in children_of(ids, report, store) if child["id"] not in ids]
        gone = [drop for drop in drops_of(report, store, "id", ids - {row["id"]}) if drop["stage"] == report.id]
        ids |= {child["id"] for child in fresh}
        made += fresh
        if fresh:
            story.append({"stage": report.id, "what": "made", "rows": [child["id"] for child in fresh]})
        elif report.id in own:
            story.append(own[report.id])
        story += [{"stage": report.id, "what": _fate(drop), "row": drop["id"], **_reason(drop)} for drop in gone]
        if report.kind == "packed" and (packs := packs_holding(ids, report, store)):
            story.append({"stage": report.id, "what": "packed", "packs": packs})
    adapters = [a for a in store.adapters() if a.dataset_digest == manifest.digest] if packs else []
    learned = any(pack["split"] == "train" for pack in packs)
    reader = Reader(manifest, store)
    _name_matched(story, manifest, reader)
    return {
        **row,
        "source_id": reader.names([(row["id"], row["source_id"] or row["id"])])[0],
        "parents": row["parents"] or [],
        "dataset": manifest.ref,
        "story": story,
        "made": made,
        "packs": packs,
        "adapters": [{"path": a.path, "trainer": a.trainer, "base": a.base, "learned": learned} for a in adapters],
    }


def _name_matched(story: list[dict[str, Any]], manifest: DatasetManifest, reader: Reader) -> None:
    """Beside the id of a row that stands for another its source id, where the row is known here."""
    places = {report.id: place for place, report in enumerate(manifest.stages)}
    for line in story:
        if matched := line.get("matched"):
            known = reader.before(places[line["stage"]], {matched}).get(matched)
            line["matched_source_id"] = known.source_id if known else None


def _ancestors(row: dict[str, Any], manifest: DatasetManifest, store: Store) -> list[dict[str, Any]]:
    """The rows that a row was made from, and those they were made from, oldest first."""
    found: list[dict[str, Any]] = []
    for parent in row["parents"] or []:
        if old := _find(parent, manifest, store):
            found += [one for one in (*_ancestors(old, manifest, store), old) if one not in found]
    return found


def _own(row: dict[str, Any], manifest: DatasetManifest, store: Store) -> Iterator[dict[str, Any]]:
    """What each stage did with one row: read or made it, kept it, dropped it, folded it into another."""
    drops = {
        place: drop
        for place, report in enumerate(manifest.stages)
        for drop in drops_of(report, store, "id", {row["id"]})
        if drop["stage"] == report.id
    }
    last = min(drops, default=len(manifest.stages))
    seen = False
    for place, report in enumerate(manifest.stages[: last + 1]):
        if place == last:
            yield {"stage": report.id, "what": _fate(drops[place]), **_reason(drops[place])}
            return
        # Fused stages share one output shard, which no longer holds a row that a later one of them dropped.
        fused = last < len(manifest.stages) and report.steps == manifest.stages[last].steps
        if report.kind != "packed" and (fused or _holds(row["id"], report, store)):
            first = "made" if report.stats["made"] else "read"
            yield {"stage": report.id, "what": "kept" if seen else first}
            seen = True


def _fate(drop: dict[str, Any]) -> str:
    return "folded" if drop["matched"] else "dropped"


def _reason(drop: dict[str, Any]) -> dict[str, Any]:
    return {name: drop[name] for name in ("rule", "value", "threshold", "matched", "further") if drop[name] is not None}


def drops_of(report: StageReport, store: Store, column: str, wanted: set[str]) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pa.array(sorted(wanted), pa.large_string())
    for key in report.steps:
        table = store.read_drops(key)
        if table is not None:
            yield from table.filter(pc.is_in(table.column(column), values)).to_pylist()


def children_of(rows: set[str], report: StageReport, store: Store) -> list[dict[str, Any]]:
    """Rows after a stage that have one of `rows` among their parents."""
    if report.kind not in ("document", "example"):
        return []
    found = []
    for shard in store.shards_of(report):
        table = store.read(shard.key, ["id", "parents", "made_by"])
        found += [{"id": child["id"], "made_by": child["made_by"]} for child in _with_parent(table, rows)]
    return found


def _with_parent(table: pa.Table, rows: set[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    parents = table.column("parents").combine_chunks()
    hit = pc.is_in(pc.list_flatten(parents), pa.array(sorted(rows), pa.large_string()))
    return list(table.take(pc.unique(pc.list_parent_indices(parents).filter(hit))).to_pylist())


def packs_holding(ids: set[str], report: StageReport, store: Store) -> list[dict[str, Any]]:
    """Packed rows that hold any of these ids: number of the pack in the dataset, split, place in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found, number, wanted = [], 0, pa.array(sorted(ids), pa.large_string())
    for shard in store.shards_of(report):
        table = store.read(shard.key, ["spans", "split"]).combine_chunks()
        spans = table.column("spans").combine_chunks()
        flat = pc.list_flatten(spans)
        hit = pc.is_in(flat.field("id"), wanted)
        held = zip(flat.filter(hit).to_pylist(), pc.list_parent_indices(spans).filter(hit).to_pylist(), strict=True)
        for span, place in held:
            # A pack without a split is trained on: training and `read_split` read null as `train`.
            named = {"pack": number + place, "split": table.column("split")[place].as_py() or "train"}
            found.append({**named, "row": span["id"], "start": span["start"], "length": span["length"]})
        number += table.num_rows
    return found


def _holds(row: str, report: StageReport, store: Store) -> bool:
    import pyarrow.compute as pc

    shards = store.shards_of(report)
    return any(pc.any(pc.equal(store.read(s.key, ["id"]).column("id"), row)).as_py() for s in shards)


def _all_shards(manifest: DatasetManifest, store: Store) -> Iterator[ShardRecord]:
    """Shards of a version, stage by stage, each once."""
    seen: set[str] = set()
    for report in manifest.stages:
        for shard in store.shards_of(report):
            if shard.key not in seen:
                seen.add(shard.key)
                yield shard
