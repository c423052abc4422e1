"""The adapter: put on a base before training, written as a folder in PEFT's layout after.

`full` has no adapter: the model itself is trained and written as a folder that `AutoModelForCausalLM` opens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from datakit.canon import digest_file
from datakit_lora.config import LoraSettings
from datakit_lora.methods import peft_config, train_all
from datakit_lora.starts import MUTATED, as_plain_adapter, start_from_activations, start_from_lost_bits, start_of

WEIGHTS = ("adapter_model.safetensors", "model.safetensors")


@dataclass(frozen=True, slots=True)
class Adapted:
    """A base with something to train on it."""

    model: Any
    """A PEFT model; with `full` the base itself."""
    start: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    """What is taken off again when the adapter is written (see starts.py); empty for most."""


def with_adapter(
    model: Any, tokenizer: Any, config: LoraSettings, *, folder: Path, probe: Callable[[], object]
) -> Adapted:
    """The frozen base with a fresh adapter, drawn from the seed; `probe` runs some rows through the base's layers."""
    from peft import get_peft_model

    torch.manual_seed(config.seed)
    if config.method == "full":
        train_all(model, config)
        return Adapted(model)
    # PEFT's prepare_model_for_kbit_training is left out on purpose: it copies embeddings and head to float32.
    for weight in model.parameters():
        weight.requires_grad_(False)
    with hushed():
        adapted = get_peft_model(model, peft_config(model, tokenizer, config))
    _in_float32(adapted)
    if config.init == "eva":
        start_from_activations(adapted, probe)
    if config.init == "loftq":
        start_from_lost_bits(adapted, folder)
    return Adapted(adapted, start_of(adapted) if config.init in MUTATED else {})


def _in_float32(model: Any) -> None:
    """What is trained is float32 whatever the base is: in bfloat16 small steps would round to nothing.

    PEFT sees to that for LoRA alone.
    """
    for weight in model.parameters():
        if weight.requires_grad and weight.dtype != torch.float32:
            weight.data = weight.data.float()


HUSHED = (
    # PEFT 0.21 about a name of transformers 5.23.
    "`is_gradient_checkpointing` is deprecated",
    # A head that shares its matrix is copied on purpose, and merging unties it; embeddings and head move together.
    "Model has `tie_word_embeddings=True`",
    "You have requested `ensure_weight_tying`",
    # A norm layer is copied whole, whatever it is.
    "Unsupported layer type",
    # The way back to a plain adapter is our own.
    "Using Rank-Stabilized LoRA with rank_pattern",
    # Of a single prompt behind virtual tokens, positions are what PEFT counts anyway.
    "Position ids are not supported for parameter efficient tuning",
)
"""Beginnings of PEFT's warnings that nobody can act on here."""


@contextmanager
def hushed() -> Iterator[None]:
    """Those warnings off."""
    with warnings.catch_warnings():
        for beginning in HUSHED:
            warnings.filterwarnings("ignore", message=re.escape(beginning))
        yield


def write_adapter(
    out: Path, adapted: Adapted, tokenizer: Any, *, opens_as: str, files: dict[str, str]
) -> dict[str, str]:
    """Write the folder: all files beside it first, then renamed one by one, the weights last. {name: digest}.

    `files` are texts to write with it: name -> content.
    """
    making = out / ".making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _save(making, adapted, opens_as)
    tokenizer.save_pretrained(making)
    for name, text in files.items():
        (making / name).write_text(text, encoding="utf-8")
    names = sorted((file.name for file in making.iterdir()), key=lambda name: (name in WEIGHTS, name))
    for name in names:
        os.replace(making / name, out / name)
    shutil.rmtree(making)
    return {name: digest_file(out / name) for name in sorted(names)}


def _save(folder: Path, adapted: Adapted, opens_as: str) -> None:
    if not hasattr(adapted.model, "peft_config"):
        adapted.model.save_pretrained(folder)
        return
    config = adapted.model.peft_config["default"]
    config.base_model_name_or_path = opens_as
    if adapted.start:
        _save_plain(folder, adapted)
    else:
        with hushed():
            # "auto" would ask the hub for the base's config, to find out whether embeddings were resized; never so.
            adapted.model.save_pretrained(folder, save_embedding_layers=False)
    _settle(folder / "adapter_config.json")


def _save_plain(folder: Path, adapted: Adapted) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    with hushed():
        state = get_peft_model_state_dict(adapted.model, save_embedding_layers=False)
    state, config = as_plain_adapter(state, adapted.model.peft_config["default"], adapted.start)
    config.inference_mode = True
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / WEIGHTS[0], {"format": "pt"})
    config.save_pretrained(folder)


def _settle(path: Path) -> None:
    """PEFT writes sets in whatever order they come: sort them, so that equal runs write equal bytes."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    for name in ("target_modules", "feedforward_modules"):
        if isinstance(settings.get(name), list):
            settings[name] = sorted(settings[name])
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
