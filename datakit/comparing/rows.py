"""The rows of two versions by id, and why a row of the one is not in the other. Arrow throughout: seconds a million.

A reason is looked for in the records of the *other* version, from the most exact to the least:

    dropped           its id is in a drop sidecar there: stage and rule
    document_dropped  the document it was made from is
    not_made          its document was read there, but this row was not made of it
    row_not_read      its file was read there, but held no such row (it was changed, or another reader read it)
    source_not_read   its file was not read there
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.manifests import DatasetManifest, ShardRecord, StageReport
from datakit.readable import TEXT_KINDS, Reader, is_source
from datakit.schemas import Kind, concat, text_view
from datakit.store import Store
from datakit.viewing import drop_tables

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 3
"""Rows named as examples of a reason."""
_IDENTITY = ("id", "source_id", "source", "family", "lang", "made_by")


@dataclass(frozen=True, slots=True)
class Side:
    """One of two versions: its compared rows (identity, `length` in characters, `digest` of the text, figures)."""

    manifest: DatasetManifest
    store: Store
    kind: Kind
    stage: str
    rows: pa.Table

    @property
    def ids(self) -> pa.Array:
        """The ids of the rows."""
        return self.rows.column("id").combine_chunks()


def sides(one: DatasetManifest, other: DatasetManifest, store: Store) -> tuple[Side, Side]:
    """Both versions at the last stage whose rows are of a kind that both have: examples, or else documents."""
    kinds = [{report.kind for report in manifest.stages} for manifest in (one, other)]
    common = tuple(kind for kind in reversed(TEXT_KINDS) if kind in kinds[0] & kinds[1])
    reports = [_last(manifest, common[:1] or TEXT_KINDS) for manifest in (one, other)]
    shards = [tuple(store.shards_of(report)) if report else () for report in reports]
    shared = {shard.key for shard in shards[0]} & {shard.key for shard in shards[1]}
    a, b = (
        Side(
            manifest,
            store,
            report.kind if report else "document",
            report.id if report else "",
            _rows(store, mine, shared),
        )
        for manifest, report, mine in zip((one, other), reports, shards, strict=True)
    )
    return a, b


def changed(a: Side, b: Side) -> int:
    """How many rows are in both with another text."""
    import pyarrow.compute as pc

    at = pc.index_in(a.rows.column("id"), b.ids)
    found = b.rows.column("digest").combine_chunks().take(at.combine_chunks())
    return pc.sum(pc.not_equal(a.rows.column("digest").combine_chunks(), found)).as_py() or 0


def reasons(side: Side, other: Side) -> list[dict[str, Any]]:
    """Why the rows that `side` alone has are not in `other`: counts by reason, most first, each with some rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = side.rows.filter(pc.invert(pc.is_in(side.rows.column("id"), other.ids))).combine_chunks()
    if not gone.num_rows:
        return []
    ids, roots = gone.column("id"), pc.coalesce(gone.column("family"), gone.column("id"))
    drops = _all_drops(other)
    read, sources = _read(other)
    own, root = (pc.index_in(column, drops.column("id").combine_chunks()) for column in (ids, roots))
    how = pc.case_when(
        pc.make_struct(
            pc.is_valid(own), pc.is_valid(root), pc.is_in(roots, read), pc.is_in(gone.column("source"), sources)
        ),
        *("dropped", "document_dropped", "not_made", "row_not_read", "source_not_read"),
    )
    dropped = drops.select(["stage", "rule"]).take(pc.coalesce(own, root))
    table = pa.table({"how": how, "stage": dropped.column("stage"), "rule": dropped.column("rule")})
    table = table.append_column("row", pa.array(range(gone.num_rows), pa.int64()))
    counted = table.group_by(["how", "stage", "rule"]).aggregate([("row", "count"), ("row", "min")]).to_pylist()
    reader = Reader(side.manifest, side.store)
    found = []
    for one in sorted(counted, key=lambda one: (-one["row_count"], one["row_min"])):
        named = {name: one[name] for name in ("how", "stage", "rule")}
        found.append({**named, "rows": one["row_count"], "examples": _examples(table, named, gone, reader)})
    return found


def _examples(table: pa.Table, named: dict[str, Any], gone: pa.Table, reader: Reader) -> list[str]:
    import pyarrow.compute as pc

    mask = pc.equal(table.column("how"), named["how"])
    for name in ("stage", "rule"):
        if named[name] is not None:
            mask = pc.and_(mask, pc.equal(table.column(name), named[name]))
    few = gone.select(["id", "source_id"]).take(table.column("row").filter(mask).slice(0, 10 * EXAMPLES)).to_pylist()
    named = {row["source_id"] or row["id"]: row["id"] for row in few}
    return reader.names([(own, source_id) for source_id, own in list(named.items())[:EXAMPLES]])


def _last(manifest: DatasetManifest, kinds: tuple[str, ...]) -> StageReport | None:
    return next((report for report in reversed(manifest.stages) if report.kind in kinds and report.steps), None)


def _rows(store: Store, shards: Sequence[ShardRecord], shared: set[str]) -> pa.Table:
    import pyarrow as pa

    empty: dict[str, pa.Array] = {name: pa.array([], pa.large_string()) for name in _IDENTITY}
    empty |= {name: pa.array([], pa.int64()) for name in ("length", "digest")}
    return concat([pa.table(empty), *(_identity(store, shard, shard.key in shared) for shard in shards)])


def _identity(store: Store, shard: ShardRecord, shared: bool) -> pa.Table:
    """Identity, length and the figures that stages added (`quality.score`) of one shard's rows; and a digest of the
    text (Python's own 64-bit hash: it lives as long as this process) unless both versions have the shard."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    table = store.read(shard.key).combine_chunks()
    figures = [f.name for f in table.schema if "." in f.name and pa.types.is_floating(f.type)]
    figures = [name for name in figures if not name.startswith("source.")]
    whole = table.to_batches()
    texts = text_view(whole[0]) if whole else pa.array([], pa.large_string())
    hashed = None if shared else np.fromiter(map(hash, texts.to_pylist()), np.int64, table.num_rows)
    digest = pa.nulls(table.num_rows, pa.int64()) if hashed is None else pa.array(hashed)
    length = pc.utf8_length(texts).cast(pa.int64())
    return table.select([*_IDENTITY, *figures]).append_column("length", length).append_column("digest", digest)


def _all_drops(side: Side) -> pa.Table:
    """Id, stage and rule of everything that the version's stages dropped."""
    import pyarrow as pa

    columns = ["id", "stage", "rule"]
    empty = pa.table({name: pa.array([], pa.large_string()) for name in columns})
    stages = side.manifest.stages
    found = [table.select(columns) for report in stages for table in drop_tables(side.store, report)]
    return pa.concat_tables([empty, *found]).combine_chunks()


def _read(side: Side) -> tuple[pa.Array, pa.Array]:
    """The ids of all rows that the version read in, and the names of the files they came from."""
    import pyarrow as pa

    shards = [shard for report in _sources(side.manifest) for shard in side.store.shards_of(report)]
    ids = [side.store.read(shard.key, ["id"]).column("id").combine_chunks() for shard in shards]
    named = pa.array(sorted({shard.source for shard in shards}), pa.large_string())
    return pa.concat_arrays([pa.array([], pa.large_string()), *ids]), named


def _sources(manifest: DatasetManifest) -> Iterator[StageReport]:
    return (report for report in manifest.stages if is_source(report))
