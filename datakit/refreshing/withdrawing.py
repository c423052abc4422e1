"""`rollback`: an older version becomes the newest again, and what was published after it is not published again.

Names are never overwritten: the older version's rows are published anew under the next version. The digests of the
versions behind it are remembered, so that the next refresh does not bring the same rows back; other sources or settings
give other rows, and are published as ever.
"""

from __future__ import annotations

from datetime import UTC, datetime

from datakit.errors import StoreError
from datakit.lease import lease
from datakit.manifests import DatasetManifest
from datakit.runner import next_version
from datakit.store import Store


def rollback(dataset: str, store: Store, *, to: str | None = None, now: datetime | None = None) -> DatasetManifest:
    """Publish an older version of a dataset anew: `to` (a version, or name@version), else the newest one before that
    holds other rows and was never rolled back itself. Going back to the rows of the newest version changes nothing."""
    with lease(store, f"rollback {dataset}"):
        refs = [ref for ref in store.datasets() if ref.rpartition("@")[0] == dataset]
        newest, target = store.manifest(dataset), _target(dataset, refs, to, store)
        if target.digest == newest.digest:
            return newest
        behind = [store.manifest(ref).digest for ref in refs[refs.index(target.ref) + 1 :]]
        version = next_version(dataset, store, now or datetime.now(UTC))
        back = target.model_copy(update={"version": version, "parent": newest.ref})
        store.withdraw(dataset, [digest for digest in behind if digest != target.digest])
        store.publish(back)
        store.put_last(back)
        return back


def _target(dataset: str, refs: list[str], to: str | None, store: Store) -> DatasetManifest:
    if to is not None:
        return store.manifest(to if "@" in to else f"{dataset}@{to}")
    bad = {*store.withdrawn(dataset), store.manifest(refs[-1]).digest}
    older = [manifest for manifest in map(store.manifest, refs[:-1]) if manifest.digest not in bad]
    if not older:
        fix = "its versions: " + ", ".join(refs)
        raise StoreError(f"{dataset} has no older version to go back to", where=store.url, fix=fix)
    return older[-1]
