"""The adapter: put on a base before training, written as a folder in PEFT's layout after."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from datakit.canon import digest_file
from datakit.errors import ConfigError, Problem
from datakit_lora.config import LoraSettings

WEIGHTS = "adapter_model.safetensors"


def with_adapter(model: Any, config: LoraSettings) -> Any:
    """A PEFT model: the frozen base with a fresh LoRA (B is zero, A is drawn from the seed)."""
    from peft import LoraConfig, get_peft_model

    # PEFT's prepare_model_for_kbit_training is left out on purpose: it copies embeddings and head to float32.
    for weight in model.parameters():
        weight.requires_grad_(False)
    torch.manual_seed(config.seed)
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=int(config.alpha) if config.alpha.is_integer() else config.alpha,  # type: ignore[arg-type]
        lora_dropout=config.dropout,
        target_modules=_targets(model, config),
        layers_to_transform=_layers(model, config),
    )
    with renamed_in_transformers():
        return get_peft_model(model, settings)


@contextmanager
def renamed_in_transformers() -> Iterator[None]:
    """Hushes one warning: PEFT 0.21 still reads a property that transformers 5.23 renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def linear_names(model: Any) -> list[str]:
    """The names of the linear layers inside the model (q_proj, ...), without the output layer; 4-bit ones too."""
    head = model.get_output_embeddings()
    inside = (name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not head)
    return sorted({name.rpartition(".")[2] for name in inside})


def _targets(model: Any, config: LoraSettings) -> list[str]:
    """The names of the layers to adapt. PEFT takes `all-linear` too, but not together with a choice of layers."""
    known, asked = linear_names(model), config.target_modules
    if asked == "all-linear":
        return known
    names = [asked] if isinstance(asked, str) else list(asked)
    if missing := sorted(set(names) - set(known)):
        fix = f"this base has: all-linear, {', '.join(known)}"
        raise ConfigError(
            (Problem("train.target_modules", f"the base has no layers called {', '.join(missing)}", fix),)
        )
    return names


def _layers(model: Any, config: LoraSettings) -> list[int] | None:
    layers = int(model.config.num_hidden_layers)
    if not config.top_layers:
        return None
    if config.top_layers > layers:
        raise ConfigError((Problem("train.top_layers", f"the base has {layers} layers", f"give {layers} or less"),))
    return list(range(layers - config.top_layers, layers))


def write_adapter(out: Path, model: Any, tokenizer: Any, *, opens_as: str, card: str) -> dict[str, str]:
    """Write the folder: all files beside it first, then renamed one by one, the weights last. {name: digest}."""
    making = out / ".making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    model.peft_config["default"].base_model_name_or_path = opens_as
    # "auto" would ask the hub for the base's config, to find out whether embeddings were resized; they never are.
    model.save_pretrained(making, save_embedding_layers=False)
    _settle(making / "adapter_config.json")
    tokenizer.save_pretrained(making)
    (making / "README.md").write_text(card, encoding="utf-8")
    names = sorted((file.name for file in making.iterdir()), key=lambda name: (name == WEIGHTS, name))
    for name in names:
        os.replace(making / name, out / name)
    shutil.rmtree(making)
    return {name: digest_file(out / name) for name in sorted(names)}


def _settle(path: Path) -> None:
    """PEFT writes sets in whatever order they come: sort them, so that equal runs write equal bytes."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings["target_modules"])
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
