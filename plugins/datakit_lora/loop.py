"""The training loop: windows of micro-batches, one AdamW step each, a loss that is exact for ragged rows.

A step's loss is the sum of negative log-likelihoods over the learned tokens of its whole window, divided by their
number. Averaging the means of micro-batches instead weighs short ones too much; that was a bug of several trainers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from datakit.errors import TrainError
from datakit_lora.batches import Plan, Row, lay_out
from datakit_lora.config import LoraSettings
from datakit_lora.device import computing_in
from datakit_lora.loss import Losses

FOUR_BITS = "Linear4bit"
"""Class name of bitsandbytes' layer; its module is imported only where 4 bits are asked for."""


@dataclass(slots=True)
class Progress:
    """What a run has to tell so far; survives in checkpoints."""

    curve: list[dict[str, float]] = field(default_factory=list)
    """One entry a step: step, tokens (learned so far), loss, lr, gradient (its length before clipping)."""
    evals: list[dict[str, float]] = field(default_factory=list)
    """One entry an evaluation: step, nll (nats a token), tokens."""
    seconds: float = 0.0
    slots: int = 0
    real: int = 0
    supervised: int = 0


@dataclass(frozen=True, slots=True)
class Engine:
    """A model ready to train: how to get its loss, its trained weights, its optimiser."""

    model: Any
    losses: Losses
    weights: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    dtype: str


def make_engine(model: Any, losses: Losses, settings: LoraSettings, dtype: str) -> Engine:
    """An engine over a PEFT model: AdamW on everything that asks for gradients."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(
        weights.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    return Engine(model, losses, weights, optimizer, dtype)


def set_training(model: Any, on: bool) -> None:
    """Dropout on or off, and nothing else.

    A 4-bit layer of bitsandbytes must stay in training mode: its first evaluation on a CPU with avx512_bf16 repacks the
    weights for inference for good, and from then on no gradient flows through it, without an error.
    """
    model.train(on)
    for part in model.modules():
        if type(part).__name__ == FOUR_BITS:
            part.training = True


def learning_rate(step: int, steps: int, settings: LoraSettings) -> float:
    """The learning rate of a step (counted from 0): linear warm-up, then a cosine to its final share."""
    warm = max(1, math.ceil(settings.warmup * steps)) if settings.warmup else 0
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    way = (step - warm) / max(1, steps - 1 - warm)
    share = settings.final_learning_rate + (1 - settings.final_learning_rate) * 0.5 * (
        1 + math.cos(math.pi * min(1.0, way))
    )
    return settings.learning_rate * share


def train(
    engine: Engine,
    rows: Sequence[Row],
    plan: Plan,
    settings: LoraSettings,
    progress: Progress,
    *,
    start: int,
    after_step: Callable[[int], None],
) -> None:
    """Run the steps from `start` to the end of the plan; `after_step(done)` reports, evaluates, keeps checkpoints."""
    set_training(engine.model, True)
    for step, window in enumerate(plan.windows(start), start):
        began = time.perf_counter()
        batches = [[rows[place] for place in micro] for micro in window]
        supervised = sum(row.supervised for micro in batches for row in micro)
        rate = learning_rate(step, plan.steps, settings)
        for group in engine.optimizer.param_groups:
            group["lr"] = rate
        loss, length = _step(engine, batches, supervised, settings.clip)
        _refuse_nonsense(step + 1, loss, length, settings)
        progress.slots += sum(row.slots for micro in batches for row in micro)
        progress.real += sum(row.real for micro in batches for row in micro)
        progress.supervised += supervised
        progress.seconds += time.perf_counter() - began
        told = {"step": step + 1, "tokens": progress.supervised, "loss": loss, "lr": rate, "gradient": length}
        progress.curve.append(told)
        after_step(step + 1)


def _step(engine: Engine, batches: Sequence[Sequence[Row]], supervised: int, clip: float) -> tuple[float, float]:
    """One step of the optimiser; (mean loss over the window, length of its gradient)."""
    total = torch.zeros((), device=engine.losses.model.device)
    for micro in batches:
        with computing_in(engine.dtype, engine.model):
            summed = engine.losses.summed(lay_out(micro))
        (summed / supervised).backward()
        total += summed.detach()
    length = torch.nn.utils.clip_grad_norm_(engine.weights.values(), clip)
    # A step that is not a number would poison AdamW's moments, and the last checkpoint with them.
    if bool(torch.isfinite(length)):
        engine.optimizer.step()
    engine.optimizer.zero_grad()
    return float(total) / supervised, float(length)


def _refuse_nonsense(step: int, loss: float, length: float, settings: LoraSettings) -> None:
    if not math.isfinite(loss) or not math.isfinite(length):
        raise TrainError(
            f"the loss stopped being a number at step {step}",
            fix=f"lower learning_rate (it is {settings.learning_rate:g}), or set dtype: float32",
        )


def evaluate(engine: Engine, rows: Sequence[Row], rows_a_batch: int) -> tuple[float, int]:
    """(mean negative log-likelihood in nats a learned token, number of those tokens) over rows that all have some."""
    set_training(engine.model, False)
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), rows_a_batch):
            micro = rows[start : start + rows_a_batch]
            with computing_in(engine.dtype, engine.model):
                total += float(engine.losses.summed(lay_out(micro)))
            tokens += sum(row.supervised for row in micro)
    set_training(engine.model, True)
    return total / tokens, tokens
