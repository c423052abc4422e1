"""Exact resume: everything that decides the next step, written atomically, found again after a kill.

    out/checkpoints/step-00000050/state.safetensors    adapter weights, AdamW's moments, torch's random state
                                  state.json           step, losses so far, and the identity of the run

A run is a pure function of its settings, its rows and its base, so the order of rows needs no state of its own: the
step is enough. A checkpoint folder is written under another name, synced and renamed, so a full disk or a kill costs
that checkpoint only; the newest few are kept and the best evaluation's, and a damaged newest one gives way to the one
before it, which is said. A checkpoint of another run (other settings, dataset, base or number of threads) is refused
with what differs, field by field: going on from it would be neither run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from datakit.canon import canonical, digest_bytes
from datakit.errors import TrainError

SCALAR = "scalar."
"""Begins the name of what an optimiser holds as a plain number (bitsandbytes' step)."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a checkpoint holds and restores in place: the trained weights by name, and their optimiser."""

    weights: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the checkpoints of a run lie, which run it is, and how many stay."""

    folder: Path
    identity: dict[str, Any]
    keep: int = 2

    def save(self, step: int, trained: Trained, progress: dict[str, Any], best: int | None = None) -> None:
        """Write the checkpoint of a finished step and forget all but the newest and the best."""
        data = save(_tensors(trained))
        state = {"step": step, "digest": digest_bytes(data), "progress": progress, "identity": self.identity}
        whole, making = self.folder / _name(step), self.folder / ".making"
        shutil.rmtree(making, ignore_errors=True)
        try:
            making.mkdir(parents=True)
            _write(making / "state.safetensors", data)
            _write(making / "state.json", canonical(state))
        except OSError:
            shutil.rmtree(making, ignore_errors=True)
            raise
        if whole.exists():
            shutil.rmtree(whole)
        os.rename(making, whole)
        for old in sorted(self.folder.glob("step-*"))[: -self.keep]:
            if best is None or old.name != _name(best):
                shutil.rmtree(old)

    def load(self, trained: Trained, tell: Callable[[str], None]) -> tuple[int, dict[str, Any]] | None:
        """Restore the newest whole checkpoint into `trained`; (step, progress), or None if there is none."""
        for place in sorted(self.folder.glob("step-*"), reverse=True):
            state = _state(place)
            if state is None:
                tell(f"the checkpoint {place.name} is damaged: going on from the one before it")
                continue
            _refuse_other_run(state["identity"], self.identity, self.folder)
            _restore(load_file(place / "state.safetensors"), trained)
            return state["step"], state["progress"]
        return None

    def weights(self, step: int, trained: Trained) -> bool:
        """Put the weights of a kept checkpoint, without its optimiser, into `trained`; False if it is not there."""
        place = self.folder / _name(step)
        if _state(place) is None:
            return False
        tensors = load_file(place / "state.safetensors")
        for name, weight in trained.weights.items():
            weight.data.copy_(tensors[f"weight.{name}"])
        return True


def _name(step: int) -> str:
    return f"step-{step:08d}"


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
        for moment, value in trained.optimizer.state[weight].items():
            if isinstance(value, torch.Tensor):
                tensors[f"{moment}:{name}"] = value.contiguous()
            else:
                tensors[f"{SCALAR}{moment}:{name}"] = torch.tensor(value)
    # bitsandbytes hands one table out to all weights; safetensors wants each tensor once.
    return {name: tensor.clone() if ":" in name else tensor for name, tensor in tensors.items()}


def _restore(tensors: dict[str, torch.Tensor], trained: Trained) -> None:
    try:
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
        for name, weight in trained.weights.items():
            weight.data.copy_(tensors[f"weight.{name}"])
        named = trained.weights
        for key, value in tensors.items():
            moment, colon, name = key.partition(":")
            if not colon:
                continue
            kept = trained.optimizer.state[named[name]]
            if moment.startswith(SCALAR):
                kept[moment.removeprefix(SCALAR)] = value.item()
            else:
                kept[moment] = value if moment == "step" else value.to(named[name].device)
    except (KeyError, RuntimeError, SafetensorError) as error:
        fix = "delete the folder checkpoints beside the adapter to begin anew"
        raise TrainError("the checkpoint doesn't fit this adapter", fix=fix) from error


def _write(path: Path, data: bytes) -> None:
    """Write and sync, so that a rename never makes an empty file look whole."""
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
