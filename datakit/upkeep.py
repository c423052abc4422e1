"""What `refresh`, `rollback`, `trace`, `forget`, `gc` and `doctor` did, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datakit.display import adapter, funnel, line, table

if TYPE_CHECKING:
    from datakit.collecting import Collected
    from datakit.doctoring import Diagnosis
    from datakit.forgetting import Forgotten
    from datakit.manifests import DatasetManifest
    from datakit.refreshing import RefreshResult


NOTHING = {
    "same rows": "it holds the same rows",
    "rolled back": "these rows were rolled back; other sources make others",
}


def refresh(result: RefreshResult) -> None:
    """What a pass did."""
    funnel(result.run.manifest.stages)
    counts = [(name, len(getattr(result.sources, name))) for name in ("new", "changed", "removed")]
    line(f"files: {', '.join(f'{count:,} {name}' for name, count in counts)}")
    if result.published is None:
        line(f"nothing published: the newest is {result.run.manifest.ref}; {NOTHING[result.because]}")
        return
    line(f"published {result.published}")
    if result.removed:
        line(f"removed the names {', '.join(result.removed)}")
    if contest := result.contest:
        if contest.loss is not None and contest.last_loss is not None:
            losses = f"new adapter {contest.loss:.4f}, last one {contest.last_loss:.4f}"
            line(f"held-out loss: {losses}; the {contest.kept} one is used")
        adapter(contest.adapter)
    if result.unheard:
        line(f"warning: {result.unheard}")


def rollback(manifest: DatasetManifest) -> None:
    """Which version is the newest now."""
    line(f"{manifest.ref} holds {manifest.rows:,} {manifest.kind} rows; before it came {manifest.parent}")


def trace(found: Sequence[dict[str, Any]]) -> None:
    """Versions, and what of the rows is in them."""
    rows = []
    for one in found:
        trained = sum(pack["split"] == "train" for pack in one["packs"])
        version = one["dataset"] if one["published"] else f"{one['dataset']} (not published)"
        rows.append((version, len(one["rows"]), len(one["made"]), len(one["packs"]), trained, one["adapters"]))
    table("version", "rows>", "made of them>", "in packs>", "to train on>", "adapters that learned it", rows=rows)
    exports = sorted({path for one in found for path in one["exports"]})
    if exports:
        line(f"exported to {', '.join(exports)}")


def forget(done: Forgotten) -> None:
    """What held the rows, and what became of it."""
    trace([one.as_json() for one in done.holdings])
    if done.dry_run:
        line(f"{len(done.ids):,} rows would be forgotten")
        return
    line(f"{len(done.ids):,} rows forgotten; {done.files:,} files left the disk, {_megabytes(done.bytes)}")
    line(f"removed {', '.join(done.removed) or 'no version'}; published {', '.join(done.published) or 'none'}")
    if done.marked:
        line(f"adapters that learned of them, marked: {', '.join(done.marked)}; train again, or take them out of use")
    line(f"proof: {done.proof}")


def gc(done: Collected) -> None:
    """How much went and how much stays."""
    would = "would go" if done.dry_run else "removed"
    line(f"{done.removed:,} files {would}, {_megabytes(done.removed_bytes)}; no version needs them")
    line(f"{done.kept:,} files stay, {_megabytes(done.kept_bytes)}")


def doctor(seen: Diagnosis) -> None:
    """What is damaged, and what to do."""
    if seen.findings:
        table("file", "what", "remedy", rows=[(one.path, one.what, one.remedy) for one in seen.findings])
    looked = f"{seen.files:,} files read, {_megabytes(seen.bytes)}"
    line(f"{looked}: {len(seen.findings)} damaged, {seen.mended} mended" if seen.findings else f"{looked}: all whole")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
