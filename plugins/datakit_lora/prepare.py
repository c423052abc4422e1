"""From a base on disk to an engine that can train: loaded, documents kept apart, something to train put on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from datakit.errors import ConfigError, Problem
from datakit.models import BaseModelFiles, DType, load_base
from datakit_lora.adapter import Adapted, with_adapter
from datakit_lora.attention import choose_attention, prove_isolation, use_attention
from datakit_lora.batches import Plan, Row, lay_out
from datakit_lora.config import LoraSettings
from datakit_lora.device import computing_in, four_bit
from datakit_lora.fused import fuse
from datakit_lora.loop import Engine, make_engine, set_training
from datakit_lora.loss import losses_of
from datakit_lora.objective import Preference, references


def prepare(
    base: BaseModelFiles, config: LoraSettings, device: str, dtype: DType, rows: Sequence[Row] = ()
) -> tuple[Engine, Any]:
    """(engine, tokenizer): the base with a fresh adapter on it, documents kept apart, ready to train on `rows`."""
    if config.offload and device == "cpu":
        raise ConfigError((Problem("train.offload", "activations are in CPU memory already", "set offload: false"),))
    # What is trained is float32; `full` trains the base itself, and computes in `dtype` all the same.
    held: DType = "float32" if config.method == "full" else dtype
    model, tokenizer = load_base(base.folder, quantize=four_bit(config), dtype=held, device=device)
    use_attention(model, choose_attention(config, model, device, dtype), compiled=config.compile)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(
            {"use_reentrant": False}, every_n_layers=config.checkpoint_layers, offload=config.offload
        )
    set_training(model, False)
    bare = losses_of(model)
    prove_isolation(model, bare.backbone)
    first = rows[: max(1, config.batch_tokens // max((row.slots for row in rows), default=1))]
    objective = None
    with torch.no_grad(), computing_in(dtype, model):
        if config.objective == "dpo":
            objective = Preference(config.beta, references(bare, rows, len(first) or 1))
        adapted = with_adapter(model, tokenizer, config, folder=base.folder, probe=lambda: bare.hidden(lay_out(first)))
    return _engine(adapted, config, dtype, objective), tokenizer


def _engine(adapted: Adapted, config: LoraSettings, dtype: DType, objective: Preference | None) -> Engine:
    set_training(adapted.model, False)
    fuse(adapted.model)
    with computing_in(dtype, adapted.model):
        losses = losses_of(adapted.model)
    if config.compile:
        for layer in losses.backbone.layers:
            layer.compile(dynamic=True)
    return make_engine(adapted, losses, config, dtype, objective)


def make_plan(rows: Sequence[Row], config: LoraSettings) -> Plan:
    """Which rows each step sees."""
    widest = max(row.slots for row in rows)
    return Plan(
        len(rows), widest, config.batch_tokens, config.accumulation, config.epochs, config.max_steps, config.seed
    )
