"""Where an adapter starts when not at zero: from activations (EVA), from what 4 bits lost (LoftQ), and the way back.

PiSSA and OLoRA move a part of the base's weights into the adapter, so such an adapter fits a changed base only. It is
written as a plain one: (B A - B0 A0) has twice the rank and fits the base as everybody has it. All starts are drawn
from the seed and the first rows, so an interrupted run finds the same one again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from datakit.errors import TrainError

OVERSAMPLING, ITERATIONS = 8, 4
"""Of the randomised SVD (Halko et al., 0909.4061): exact enough that more changes no digit that training notices."""
MUTATED = ("pissa", "olora")


def low_rank_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """The layers of a PEFT model that have a LoRA adapter, with their names in the base."""
    from peft.tuners.lora import LoraLayer

    for name, part in model.get_base_model().named_modules():
        if isinstance(part, LoraLayer) and "default" in part.lora_A:
            yield name, part


@torch.no_grad()
def start_from_activations(model: Any, forward: Callable[[], object]) -> None:
    """EVA (Paischer et al., 2410.07170): A becomes the main directions of each layer's inputs; B stays zero."""
    hooks = [part.register_forward_pre_hook(_take_directions) for _, part in low_rank_layers(model)]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()


def _take_directions(part: Any, given: tuple[torch.Tensor, ...]) -> None:
    matrix = part.lora_A["default"].weight
    inputs = given[0].reshape(-1, given[0].shape[-1]).float()
    rank = matrix.shape[0]
    if min(inputs.shape) < rank:
        raise TrainError(
            f"init: eva needs {rank} tokens and channels, it has {min(inputs.shape)}", fix="lower rank, or init: zero"
        )
    matrix.copy_(_svd(inputs, rank)[2].T)


@torch.no_grad()
def start_from_lost_bits(model: Any, folder: Path) -> None:
    """LoftQ (Li et al., 2310.08659), one round: B A becomes the best low-rank answer to (weight - its 4-bit copy)."""
    from bitsandbytes.functional import dequantize_4bit

    weights = {name: file for file in sorted(folder.glob("*.safetensors")) for name in _names(file)}
    prefix = f"{model.get_base_model().base_model_prefix}."
    for name, part in low_rank_layers(model):
        held = part.get_base_layer().weight
        stored = next((n for n in (f"{name}.weight", f"{name}.weight".removeprefix(prefix)) if n in weights), None)
        if stored is None:
            raise TrainError(f"init: loftq finds no weight {name} in the base's files", fix="set init: zero")
        lost = _read(weights[stored], stored).to(held.device).float() - dequantize_4bit(held.data, held.quant_state)
        matrix, other = part.lora_A["default"].weight, part.lora_B["default"].weight
        u, s, v = _svd(lost.float(), matrix.shape[0])
        root = (s / part.scaling["default"]).sqrt()
        other.copy_(u * root)
        matrix.copy_((v * root).T)


def _svd(matrix: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    u, s, v = torch.svd_lowrank(matrix, min(rank + OVERSAMPLING, *matrix.shape), niter=ITERATIONS)
    return u[:, :rank], s[:rank], v[:, :rank]


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())


def _read(file: Path, name: str) -> torch.Tensor:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return opened.get_tensor(name)


def start_of(model: Any) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Copies of A and B as they are now, on the CPU; {name of the layer: (A0, B0)}."""
    return {
        name: (
            part.lora_A["default"].weight.detach().cpu().clone(),
            part.lora_B["default"].weight.detach().cpu().clone(),
        )
        for name, part in low_rank_layers(model)
    }


def as_plain_adapter(
    state: dict[str, torch.Tensor], config: Any, start: dict[str, tuple[torch.Tensor, torch.Tensor]]
) -> tuple[dict[str, torch.Tensor], Any]:
    """(state, PEFT configuration) of the adapter B A - B0 A0, of twice the rank, for the unchanged base."""
    import copy

    plain = copy.deepcopy(config)
    grown = math.sqrt(2) if plain.use_rslora else 2
    plain.init_lora_weights = True
    plain.r, plain.lora_alpha = 2 * plain.r, grown * plain.lora_alpha
    plain.rank_pattern = {name: 2 * rank for name, rank in plain.rank_pattern.items()}
    plain.alpha_pattern = {name: grown * alpha for name, alpha in plain.alpha_pattern.items()}
    doubled = dict(state)
    for name, (first, second) in start.items():
        a, b = (f"base_model.model.{name}.lora_{side}.weight" for side in "AB")
        doubled[a] = torch.cat([state[a].cpu(), first.to(state[a].dtype)], dim=0)
        doubled[b] = torch.cat([state[b].cpu(), -second.to(state[b].dtype)], dim=1)
    return doubled, plain
