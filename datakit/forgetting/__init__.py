"""`forget`: some rows leave a store, with everything that was made of them; `trace` says where they are.

    1  tombstones     their ids, in forgotten.json: no later run reads these rows again, from whatever the files hold
    2  new versions   dedup indexes forget them; each pipeline runs again without them and publishes; what no such row
                      touched is reused
    3  old versions   the names of all versions that read them go
    4  adapters       those that learned of them are marked: forgotten.json in the folder
    5  the disk       everything that no version needs any more is removed, as `gc` does; then the store is searched
    6  the proof      runs/forgotten/<stamp>.json: what held them, what went, what was found afterwards (nothing)

Ids are hashes of content; no text is written anywhere. An adapter can't unlearn: it is named and marked, and what to do
with it is for people to decide. Killed at any moment: run it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datakit.canon import canonical
from datakit.collecting import collect
from datakit.errors import ConfigError, StoreError
from datakit.forgetting.finding import Holding, holdings
from datakit.lease import lease
from datakit.manifests import DatasetManifest
from datakit.store import Store

MARK = "forgotten.json"
Again = Callable[[DatasetManifest, bool], DatasetManifest]
"""Runs the pipeline of a version again; publishes what comes out, though the rows be the same, if told so."""


@dataclass(slots=True)
class Forgotten:
    """What held the rows, and what became of it."""

    holdings: list[Holding]
    published: list[str] = field(default_factory=list)
    """Versions published without the rows."""
    removed: list[str] = field(default_factory=list)
    """Versions whose names are gone."""
    marked: list[str] = field(default_factory=list)
    """Folders of adapters that were marked."""
    files: int = 0
    """Files that left the store."""
    bytes: int = 0
    left: int = 0
    """Rows with such an id found in the store afterwards: 0, or something is wrong."""
    proof: str = ""
    """The record of all this, below the store's root."""
    dry_run: bool = False

    @property
    def ids(self) -> dict[str, str]:
        """Id -> file of every row that was meant."""
        return {row: file for one in self.holdings for row, file in one.rows.items()}

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints, and the proof."""
        named = ("published", "removed", "marked", "files", "bytes", "left", "proof", "dry_run")
        told = {name: getattr(self, name) for name in named}
        return {"rows": sorted(self.ids), "held_by": [one.as_json() for one in self.holdings], **told}


def trace(rows: Sequence[str], store: Store) -> list[Holding]:
    """Where some rows went: every version that read them, what was made of them, packs, adapters, exports."""
    return holdings(rows, store)


def forget(
    rows: Sequence[str], store: Store, again: Again, *, match_file: str | None = None, dry_run: bool = False
) -> Forgotten:
    """Take rows, and all that was made of them, out of a store; `dry_run` only says what holds them."""
    match = pieces(match_file) if match_file else []
    if not rows and not match:
        raise ConfigError("which rows?", where="forget", fix="give ids, FILE:LINE, files, or --match-file FILE")
    done = Forgotten(holdings(rows, store, match=match), dry_run=dry_run)
    if dry_run:
        return done
    with lease(store, "forget"):
        store.bury(done.ids)
        _clear_indexes(done)
        held = [one.manifest for one in done.holdings]
        for name in dict.fromkeys(manifest.name for manifest in held):
            newest = next(manifest for manifest in reversed(held) if manifest.name == name)
            publish = any(one.published for one in done.holdings if one.manifest.name == name)
            new = again(newest, publish)
            done.published += [new.ref] if publish else []
        published = set(store.datasets())
        for manifest in held:
            if manifest.ref in published and manifest.ref not in done.published:
                store.unpublish(manifest.ref)
                done.removed.append(manifest.ref)
        _mark_adapters(done)
        gone = collect(store)
        done.files, done.bytes = gone.removed, gone.removed_bytes
        done.left = _left(set(done.ids), store)
        done.proof = store.put_proof(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}", done.as_json())
    if done.left:
        raise StoreError(f"{done.left} rows are still in the store", where=store.url, fix="run the same command again")
    return done


def pieces(path: str) -> list[str]:
    """The pieces of text in a file, one a line; empty lines don't count."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fix = "a UTF-8 file with one piece of text a line"
        raise ConfigError("the file of texts can't be read", where=path, fix=fix) from error
    return [line.strip() for line in lines if line.strip()]


def _clear_indexes(done: Forgotten) -> None:
    """Before the pipelines run again: what a step sees of its index is part of its key."""
    from datakit.stages.dedup.archive import Archive

    for path in {path for one in done.holdings for path in one.indexes if Path(path).exists()}:
        archive = Archive(path)
        archive.remove(sorted(done.ids))
        archive.compact()


def _mark_adapters(done: Forgotten) -> None:
    for one in done.holdings:
        for folder in one.adapters:
            if Path(folder).is_dir():
                mark = {"dataset": one.manifest.ref, "rows": sorted(one.rows), "made": one.made}
                (Path(folder) / MARK).write_bytes(canonical(mark))
                done.marked.append(folder)


def _left(ids: set[str], store: Store) -> int:
    """Rows of the store that have one of some ids; tokens and packs name them in their own columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found = pa.array(sorted(ids), pa.large_string()), 0
    for path in store.files():
        if not path.startswith(("objects/", "parts/", "signals/")) or path.endswith((".drops.parquet", ".json")):
            continue
        table = store.table(path)
        if "id" in table.schema.names:
            found += pc.sum(pc.is_in(table.column("id"), wanted)).as_py() or 0
        if "spans" in table.schema.names:
            spans = pc.list_flatten(table.column("spans").combine_chunks())
            found += pc.sum(pc.is_in(pc.struct_field(spans, "id"), wanted)).as_py() or 0
    return found
