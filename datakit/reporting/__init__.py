"""The dataset report: one self-contained HTML page of what happened to the data, and the dataset card.

The page loads nothing and sends nothing, reads well on a phone, in print, in the dark, in Korean and in English. It
shows figures always, and text only from rows that have been through the `pii` stage. Cost: a second for a few hundred
documents, mostly imports; lengths are measured on 256 MB of a stage at most.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from datakit.errors import StoreError
from datakit.manifests import DatasetManifest
from datakit.reporting.adapters import read_trained
from datakit.reporting.card import dataset_card
from datakit.reporting.clusters import duplicates
from datakit.reporting.figures import collect
from datakit.reporting.page import Page, render
from datakit.reporting.texts import gate, samples
from datakit.reporting.variety import variety
from datakit.store import Store

__all__ = ["dataset_card", "write_report"]


def write_report(
    manifest: DatasetManifest,
    store: Store,
    out: str | Path,
    *,
    adapter: str | Path | None = None,
    raw: bool = False,
) -> dict[str, Any]:
    """Write the page of a dataset to the file `out`; returns its main figures.

    `adapter`: a folder with artifact.json (and evaluation.json) adds training and before/after. `raw` shows text even
    where no `pii` stage has been over it, and says so on the page.
    """
    allowed = gate(manifest, raw)
    figures, trained = collect(manifest, store), read_trained(adapter, manifest)
    found = duplicates(manifest, store, allowed)
    varied = variety(manifest, store)
    page = Page(manifest, figures, allowed, found, samples(allowed, store), trained, varied)
    data = render(page).encode("utf-8", "replace")
    _write(Path(out), data)
    return {
        "bytes": len(data),
        "rows": manifest.rows,
        "text": allowed.state,
        "pii": None if figures.pii is None else sum(count for _, count in figures.pii),
        "clusters": None if found is None else found.clusters,
        "diversity": None if varied is None else varied.as_dict(),
        "loss_before": trained.before if trained else None,
        "loss_after": trained.after if trained else None,
    }


def _write(path: Path, data: bytes) -> None:
    """The file appears whole or not at all."""
    draft = path.with_name(f".tmp-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        message = f"the report can't be written: {error.strerror}"
        raise StoreError(message, where=str(path), fix="choose another file with --out") from error
