"""What `refresh`, `rollback`, `gc` and `doctor` did, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datakit.display import adapter, funnel, line, table

if TYPE_CHECKING:
    from datakit.collecting import Collected
    from datakit.doctoring import Diagnosis
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
