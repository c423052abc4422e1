"""Where some rows are: which versions read them, what was made of them there, which packs and adapters hold that.

Works on sets of ids: one read of the id columns of each version, however many rows are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import SourceError
from datakit.lineage import children_of, drops_of, packs_holding, rows_named
from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

Hit = Callable[["pa.Table"], "pa.Array"]
"""Which rows of a table of a source stage are meant."""


@dataclass(slots=True)
class Holding:
    """One version that read some of the rows."""

    manifest: DatasetManifest
    published: bool
    """False for the newest run of a pipeline that published nothing."""
    rows: dict[str, str]
    """id -> name of the file that it was read from."""
    made: list[str] = field(default_factory=list)
    """Ids of rows made from them, and from those."""
    packs: list[dict[str, Any]] = field(default_factory=list)
    """Packed rows that hold any of these: pack, split, row, start, length."""
    adapters: list[str] = field(default_factory=list)
    """Folders of adapters trained on this version, if it was trained on any of these."""
    exports: list[str] = field(default_factory=list)
    """Folders that its pipeline exports to."""
    indexes: list[str] = field(default_factory=list)
    """Dedup indexes that its pipeline extends."""

    def as_json(self) -> dict[str, Any]:
        """The same for people and programs."""
        named = ("made", "packs", "adapters", "exports", "indexes")
        told = {name: getattr(self, name) for name in named}
        return {"dataset": self.manifest.ref, "published": self.published, "rows": sorted(self.rows), **told}


def holdings(rows: Sequence[str], store: Store, *, match: Sequence[str] = ()) -> list[Holding]:
    """Every version that read a row that is meant, oldest first; SourceError if none did.

    `rows`: ids, source ids, FILE:LINE, or names of whole files. `match`: pieces of text; a row that holds one is meant.
    Exact and near copies of a meant row are meant too: they hold the same.
    """
    found = [
        one for manifest, published in _manifests(store) if (one := _holding(manifest, published, rows, match, store))
    ]
    if not found:
        what = f"no row {rows[0]!r}" if len(rows) == 1 and not match else "none of these rows"
        looked = ", ".join(store.datasets()) or "no published version"
        raise SourceError(
            what, where=looked, fix="give ids, source ids, FILE:LINE or files as `datakit why` knows them"
        )
    return found


def _manifests(store: Store) -> Iterator[tuple[DatasetManifest, bool]]:
    refs = store.datasets()
    yield from ((store.manifest(ref), True) for ref in refs)
    yield from ((last, False) for last in store.last_runs() if last.ref not in refs)


def _holding(
    manifest: DatasetManifest, published: bool, rows: Sequence[str], match: Sequence[str], store: Store
) -> Holding | None:
    meant: dict[str, str] = {}
    for report in manifest.stages:
        for shard in _read_from_files(report, store):
            meant |= _meant(store.read(shard.key), rows, match)
    if not meant:
        return None
    meant |= _copies(meant, manifest, store)
    found = Holding(manifest, published, meant)
    ids = set(meant)
    for report in manifest.stages:
        fresh = {child["id"] for child in children_of(ids, report, store)} - ids
        found.made += sorted(fresh)
        ids |= fresh
        if report.kind == "packed":
            found.packs = packs_holding(ids, report, store)
    learned = any(pack["split"] == "train" for pack in found.packs)
    trained = (adapter for adapter in store.adapters() if adapter.dataset_digest == manifest.digest)
    found.adapters = sorted({adapter.path for adapter in trained}) if learned else []
    for stage in manifest.recipe.get("stages", ()):
        if stage.get("use") == "export" and stage.get("path"):
            found.exports.append(str(stage["path"]))
        if stage.get("index"):
            found.indexes.append(str(stage["index"]))
    return found


def _read_from_files(report: StageReport, store: Store) -> Iterator[ShardRecord]:
    """The shards of a stage that reads files; none of any other."""
    for key in report.steps:
        step = store.step_record(key)
        if step is not None and step.sources:
            yield from (record for shard in step.shards if (record := store.record(shard)))


def _meant(table: pa.Table, rows: Sequence[str], match: Sequence[str]) -> dict[str, str]:
    """id -> file of the rows that are meant."""
    import pyarrow as pa
    import pyarrow.compute as pc

    hit = pa.array([False] * table.num_rows)
    for row in rows:
        hit = pc.or_kleene(hit, pc.or_kleene(rows_named(table, row), _of_file(table, row)))
    if match:
        hit = pc.or_kleene(hit, _holds_any(table, match))
    chosen = table.filter(pc.fill_null(hit, False))
    return dict(zip(chosen.column("id").to_pylist(), chosen.column("source").to_pylist(), strict=True))


def _of_file(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Rows of a whole file: FILE as it is called, or a path that ends so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = Path(name).parts
    names = pa.array(["/".join(parts[place:]) for place in range(len(parts))], pa.large_string())
    return pc.is_in(table.column("source"), names)


def _holds_any(table: pa.Table, pieces: Sequence[str]) -> pa.Array:
    """Rows whose text, or any of whose turns, holds one of some pieces of text."""
    import pyarrow as pa

    columns = [name for name in ("text", "messages", "chosen", "rejected") if name in table.schema.names]
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return pa.array([any(piece in text for text in _texts(row) for piece in pieces) for row in rows])


def _texts(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _texts(list(value.values()))
        elif isinstance(value, list):
            yield from _texts(value)


def _copies(meant: dict[str, str], manifest: DatasetManifest, store: Store) -> dict[str, str]:
    """Rows that were folded into a meant row, and rows that a meant row was folded into: they hold the same."""
    ids = set(meant)
    while True:
        fresh: set[str] = set()
        for report in manifest.stages:
            fresh |= {drop["id"] for drop in drops_of(report, store, "matched", ids)}
            fresh |= {drop["matched"] for drop in drops_of(report, store, "id", ids) if drop["matched"]}
        if not fresh - ids:
            break
        ids |= fresh
    found: dict[str, str] = {}
    for report in manifest.stages:
        for shard in _read_from_files(report, store):
            table = store.read(shard.key, ["id", "source"])
            for row in table.to_pylist():
                if row["id"] in ids - meant.keys():
                    found[row["id"]] = row["source"]
    return found
