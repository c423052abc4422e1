"""A new adapter beside the last one: trained apart, compared on the same held-out rows; the better one is used.

    OUT        the adapter that is in use
    OUT.new    the one that was trained last; it stays there if it lost
    OUT.last   the one that was in use before

A verdict is written before the dataset is published, and carried out after: killed in between, the next pass carries it
out. Each step is a rename, so OUT is missing for a moment at most, and never half an adapter.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datakit.canon import canonical
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.pipeline import Gates
from datakit.refreshing.gates import hold_loss_gate
from datakit.store import Store
from datakit.training import ARTIFACT, read_artifact

VERDICT = "verdict.json"
Train = Callable[[DatasetManifest, Path], AdapterArtifact]
"""Trains an adapter on a dataset into a folder."""
Judge = Callable[[Path], float]
"""The held-out loss of the adapter in a folder, nats a token."""


@dataclass(frozen=True, slots=True)
class Contest:
    """A new adapter against the last one."""

    loss: float | None
    """Held-out loss of the new adapter, None if the pipeline has no `evaluate:`."""
    last_loss: float | None
    """Held-out loss of the last adapter on the same rows, None if there is none."""
    kept: str
    """`new` or `last`: which of the two is in use now."""
    adapter: AdapterArtifact
    """The one in use."""


def compete(manifest: DatasetManifest, out: Path, train: Train, judge: Judge | None, gates: Gates) -> Contest:
    """Train beside the last adapter, compare, write the verdict; GateRefused if the new one is too much worse."""
    fresh = _beside(out, "new")
    (fresh / VERDICT).unlink(missing_ok=True)
    artifact, last = train(manifest, fresh), read_artifact(out)
    loss = judge(fresh) if judge else None
    before = judge(out) if judge and last else None
    if loss is not None and before is not None:
        hold_loss_gate(manifest.name, loss, before, gates)
    wins = last is None or loss is None or before is None or loss <= before
    verdict = {"dataset_digest": manifest.digest, "kept": "new" if wins else "last"}
    draft = fresh / f".{VERDICT}"
    draft.write_bytes(canonical(verdict))
    draft.replace(fresh / VERDICT)
    chosen = artifact if wins or last is None else last
    return Contest(loss, before, verdict["kept"], chosen.model_copy(update={"path": str(out)}))


def settle(out: Path, store: Store, published: DatasetManifest | None) -> None:
    """Carry out the verdict on the newest adapter, if the dataset that it learned from is published."""
    fresh, last = _beside(out, "new"), _beside(out, "last")
    try:
        verdict = json.loads((fresh / VERDICT).read_bytes())
    except FileNotFoundError:
        return
    if published is None or verdict["dataset_digest"] != published.digest or verdict["kept"] != "new":
        return
    if out.exists():
        if (last / ARTIFACT).is_file():
            shutil.rmtree(last)
        out.rename(last)
    fresh.rename(out)
    (out / VERDICT).unlink()
    if artifact := read_artifact(out):
        store.put_adapter(artifact.name, artifact)


def _beside(out: Path, name: str) -> Path:
    return out.with_name(f"{out.name}.{name}")
