"""Exact resume: everything that decides the next step, written atomically, found again after a kill.

    out/checkpoints/step-00000050/state.safetensors    adapter weights, AdamW's moments, torch's random state
                                  state.json           step, losses so far, and the identity of the run

A run is a pure function of its settings, its rows and its base, so the order of rows needs no state of its own: the
step is enough. A checkpoint folder is written under another name, synced and renamed; the newest two are kept, and a
damaged newest one gives way to the one before it. A checkpoint of another run (other settings, dataset, base or number
of threads) is refused with the names of what differs: going on from it would be neither run.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from datakit.canon import canonical, digest_bytes
from datakit.errors import TrainError

KEPT = 2
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a checkpoint holds and restores in place: the trained weights by name, and their optimiser."""

    weights: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer


def save_checkpoint(
    folder: Path, step: int, trained: Trained, progress: dict[str, Any], identity: dict[str, Any]
) -> None:
    """Write the checkpoint of a finished step and forget all but the newest."""
    data = save(_tensors(trained))
    state = {"step": step, "digest": digest_bytes(data), "progress": progress, "identity": identity}
    whole, making = folder / f"step-{step:08d}", folder / ".making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _write(making / "state.safetensors", data)
    _write(making / "state.json", canonical(state))
    if whole.exists():
        shutil.rmtree(whole)
    os.rename(making, whole)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)


def load_checkpoint(folder: Path, trained: Trained, identity: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
    """Restore the newest whole checkpoint into `trained`; (step, progress), or None if there is none."""
    for place in sorted(folder.glob("step-*"), reverse=True):
        state = _state(place)
        if state is None:
            continue
        _refuse_other_run(state["identity"], identity, folder)
        _restore(load_file(place / "state.safetensors"), trained)
        return state["step"], state["progress"]
    return None


def forget_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run that is finished."""
    shutil.rmtree(folder, ignore_errors=True)


def _state(place: Path) -> dict[str, Any] | None:
    """The record of a checkpoint whose bytes are what it says, else None."""
    try:
        state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        data = (place / "state.safetensors").read_bytes()
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and digest_bytes(data) == state.get("digest") else None


def _refuse_other_run(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if names:
        changes = ", ".join(f"{name} ({before.get(name)!r} -> {now.get(name)!r})" for name in names)
        raise TrainError(
            f"an interrupted run lies here that differs in {changes}",
            where=str(folder),
            fix="set it back to go on with that run, or delete this folder to begin anew",
        )


def _tensors(trained: Trained) -> dict[str, torch.Tensor]:
    tensors = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    for name, weight in trained.weights.items():
        tensors[f"weight.{name}"] = weight.detach().contiguous()
        moments = trained.optimizer.state[weight]
        tensors |= {f"{moment}.{name}": moments[moment].contiguous() for moment in MOMENTS}
    return tensors


def _restore(tensors: dict[str, torch.Tensor], trained: Trained) -> None:
    try:
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        for name, weight in trained.weights.items():
            weight.data.copy_(tensors[f"weight.{name}"])
            kept = {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
            moved = {moment: value if moment == "step" else value.to(weight.device) for moment, value in kept.items()}
            trained.optimizer.state[weight] = moved
    except (KeyError, RuntimeError, SafetensorError) as error:
        fix = "delete the folder checkpoints beside the adapter to begin anew"
        raise TrainError("the checkpoint doesn't fit this adapter", fix=fix) from error


def _write(path: Path, data: bytes) -> None:
    """Write and sync, so that a rename never makes an empty file look whole."""
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
