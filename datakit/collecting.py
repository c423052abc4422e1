"""`gc`: frees the room of what no version of a store needs. Never a file that a name reaches, never a paid reply
(replies lie in the cache folder, not in the store), never while somebody works on the store (the lease).

Records go before the data they speak of, so that a gc that is killed leaves no record of missing data.
"""

from __future__ import annotations

from dataclasses import dataclass

from datakit.lease import lease
from datakit.reaching import reached
from datakit.store import Store


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` did, or would do."""

    kept: int
    """Files that stay."""
    kept_bytes: int
    removed: int
    """Files that went (or would go, in a dry run)."""
    removed_bytes: int
    dry_run: bool


def gc(store: Store, *, dry_run: bool = False) -> Collected:
    """Remove every file that nothing reaches; with `dry_run` only say how much it would be."""
    with lease(store, "gc"):
        return collect(store, dry_run=dry_run)


def collect(store: Store, *, dry_run: bool = False) -> Collected:
    """The same for whoever holds the store's lease."""
    files = store.files()
    needed = reached(store) | {"lease.json"}
    gone = sorted(files.keys() - needed, key=lambda path: (not path.endswith(".json"), path))
    if not dry_run:
        for path in gone:
            store.remove(path)
    size = sum(files[path] for path in gone)
    kept = {path: files[path] for path in files if path in needed and path != "lease.json"}
    return Collected(len(kept), sum(kept.values()), len(gone), size, dry_run)
