"""Which weights a method trains: each as PEFT's own configuration, so that PEFT alone opens what was trained.

lora qlora   low-rank matrices beside the linear layers (rank and alpha patterns, DoRA, rsLoRA, six ways to start)
ia3          one factor a channel of keys, values and the inner feed-forward layer
prefix       keys and values before each document, in every layer         (starts at zero: close to the base)
prompt       input vectors before each document                           (starts at vectors of random known tokens)
ptuning      the same, made by a small network
head, norms  the output layer, or the norm layers, whole: PEFT's LN tuning copies any layer and trains the copy, so a
             head that shares its matrix with the embeddings leaves those alone
full         every weight; no PEFT, the result is a whole model
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import torch

from datakit.errors import ConfigError, Problem
from datakit_lora.config import SOFT, LoraSettings

STARTS: dict[str, Any] = {
    "zero": True, "gaussian": "gaussian", "orthogonal": "orthogonal", "pissa": "pissa", "olora": "olora",
    # Both are drawn after the adapter is on the base: starts.py.
    "eva": True, "loftq": True,
}  # fmt: skip


def peft_config(model: Any, tokenizer: Any, config: LoraSettings) -> Any:
    """PEFT's configuration of the method; not for `full`."""
    if config.method in SOFT:
        return _soft(config)
    if config.method == "ia3":
        return _ia3(model, config)
    if config.method in ("head", "norms"):
        return _whole_layers(model, config)
    return _low_rank(model, tokenizer, config)


def train_all(model: Any, config: LoraSettings) -> None:
    """`full`: everything asks for gradients, or only what lies in the uppermost layers and behind them."""
    chosen = layers_of(model, config)
    model.requires_grad_(chosen is None)
    if chosen is not None:
        backbone = model.base_model
        for part in [*(backbone.layers[place] for place in chosen), getattr(backbone, "norm", None)]:
            if part is not None:
                part.requires_grad_(True)


def _low_rank(model: Any, tokenizer: Any, config: LoraSettings) -> Any:
    from peft import LoraConfig

    targets = _targets(model, config)
    for setting in ("rank_pattern", "alpha_pattern"):
        _refuse_unmatched(model, targets, getattr(config, setting), setting)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=_number(config.alpha),
        lora_dropout=config.dropout,
        rank_pattern=dict(config.rank_pattern),
        alpha_pattern={name: _number(alpha) for name, alpha in config.alpha_pattern.items()},
        use_dora=config.dora,
        use_rslora=config.rslora,
        init_lora_weights=STARTS[config.init],
        target_modules=targets,
        layers_to_transform=layers_of(model, config),
        trainable_token_indices=_token_ids(tokenizer, config) or None,
        ensure_weight_tying=bool(config.train_tokens) and bool(model.config.tie_word_embeddings),
    )


def _number(alpha: float) -> Any:
    return int(alpha) if float(alpha).is_integer() else alpha


def _ia3(model: Any, config: LoraSettings) -> Any:
    from peft import IA3Config
    from peft.utils.constants import (
        TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as INNER,
    )
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as CHOSEN

    family = str(model.config.model_type)
    inner = [name for name in INNER.get(family, ["down_proj"]) if name in linear_names(model)]
    if config.target_modules == "all-linear":
        known = linear_names(model)
        wanted = CHOSEN.get(family, ["k_proj", "v_proj", "down_proj"])
        targets = [name for name in wanted if name in known]
        if len(targets) < len(wanted):
            fix = f"name some of its layers: {', '.join(known)}"
            raise _wrong("target_modules", f"which layers ia3 should scale in {family} is not known", fix)
    else:
        targets = _targets(model, config)
    return IA3Config(
        task_type="CAUSAL_LM",
        target_modules=targets,
        feedforward_modules=[name for name in inner if name in targets],
    )


def _soft(config: LoraSettings) -> Any:
    from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, PromptTuningInit

    common: dict[str, Any] = {"task_type": "CAUSAL_LM", "num_virtual_tokens": config.virtual_tokens}
    if config.method == "prefix":
        return PrefixTuningConfig(**common, init_weights="zero")
    if config.method == "ptuning":
        return PromptEncoderConfig(**common)
    return PromptTuningConfig(**common, prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB)


def _whole_layers(model: Any, config: LoraSettings) -> Any:
    from peft import LNTuningConfig

    if config.method == "head":
        head = model.get_output_embeddings()
        targets = [name for name, part in model.named_modules() if part is head]
    else:
        norms = (name for name, part in model.named_modules() if "norm" in type(part).__name__.lower())
        targets = sorted({name.rpartition(".")[2] for name in norms})
    return LNTuningConfig(task_type="CAUSAL_LM", target_modules=targets)


def linear_names(model: Any) -> list[str]:
    """The names of the linear layers inside the model (q_proj, ...), without the output layer; 4-bit ones too."""
    head = model.get_output_embeddings()
    inside = (name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and part is not head)
    return sorted({name.rpartition(".")[2] for name in inside})


def layers_of(model: Any, config: LoraSettings) -> list[int] | None:
    """Numbers of the layers that `top_layers` leaves to train; None: all."""
    layers = int(model.config.num_hidden_layers)
    if not config.top_layers:
        return None
    if config.top_layers > layers:
        raise _wrong("top_layers", f"the base has {layers} layers", f"give {layers} or less")
    return list(range(layers - config.top_layers, layers))


def _targets(model: Any, config: LoraSettings) -> list[str]:
    """The names of the layers to adapt. PEFT takes `all-linear` too, but not together with a choice of layers."""
    known, asked = linear_names(model), config.target_modules
    if asked == "all-linear":
        return known
    names = [asked] if isinstance(asked, str) else list(asked)
    if missing := sorted(set(names) - set(known)):
        near = _nearest(missing, known)
        fix = f"{near}this base has: all-linear, {', '.join(known)}"
        raise _wrong("target_modules", f"the base has no layers called {', '.join(missing)}", fix)
    return names


def _refuse_unmatched(model: Any, targets: Iterable[str], pattern: dict[str, Any], setting: str) -> None:
    """A pattern that no adapted layer meets would change nothing, without a word."""
    from peft.utils.other import get_pattern_key

    ends = tuple(targets)
    names = [name for name, part in model.named_modules() if name.rpartition(".")[2] in ends]
    idle = [key for key in pattern if all(get_pattern_key([key], name) != key for name in names)]
    if idle:
        near = _nearest(idle, ends)
        raise _wrong(setting, f"no adapted layer is called {', '.join(idle)}", f"{near}adapted: {', '.join(ends)}")


def _nearest(asked: Iterable[str], known: Iterable[str]) -> str:
    found = [near for name in asked for near in difflib.get_close_matches(name, list(known), 1, 0.6)]
    return f"did you mean {', '.join(dict.fromkeys(found))}? " if found else ""


def _token_ids(tokenizer: Any, config: LoraSettings) -> list[int]:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in config.train_tokens}
    unknown = [token for token, found in ids.items() if found is None or found == tokenizer.unk_token_id]
    if unknown:
        raise _wrong("train_tokens", f"the base has no tokens {', '.join(unknown)}", "name tokens of its vocabulary")
    return sorted(ids.values())


def _wrong(setting: str, message: str, fix: str) -> ConfigError:
    return ConfigError((Problem(f"train.{setting}", message, fix),))
