"""What `gc` and `doctor` did to a store, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datakit.display import line, table

if TYPE_CHECKING:
    from datakit.collecting import Collected
    from datakit.doctoring import Diagnosis


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
