"""What is new in the sources since the version before: files by name and digest, as the source stages read them."""

from __future__ import annotations

from dataclasses import dataclass

from datakit.manifests import DatasetManifest
from datakit.store import Store


@dataclass(frozen=True, slots=True)
class News:
    """Names of files that came, changed or went."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def news(manifest: DatasetManifest, last: DatasetManifest | None, store: Store) -> News:
    """The files of a version against those of the version before; without one, all are new."""
    now, before = sources(manifest, store), sources(last, store) if last else {}
    changed = tuple(sorted(name for name in now.keys() & before.keys() if now[name] != before[name]))
    return News(tuple(sorted(now.keys() - before.keys())), changed, tuple(sorted(before.keys() - now.keys())))


def sources(manifest: DatasetManifest, store: Store) -> dict[str, str]:
    """Name -> content digest of every file that a version was made from."""
    steps = (store.step_record(key) for report in manifest.stages for key in report.steps)
    return {name: digest for step in steps if step for name, digest in step.sources}
