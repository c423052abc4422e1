"""The training loop: windows of micro-batches, one AdamW step each, a loss that is exact for ragged rows.

A step's loss is the sum of negative log-likelihoods over the learned tokens of its whole window, divided by their
number. Averaging the means of micro-batches instead weighs short ones too much; that was a bug of several trainers.

When memory runs out in the middle of a window, its gradients are thrown away, every micro-batch above half the size is
cut in two, and the window is computed again: the step is the same step. The new size holds from then on, and is kept
in checkpoints.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from datakit.errors import TrainError
from datakit_lora.adapter import Adapted
from datakit_lora.batches import Plan, Row
from datakit_lora.config import LoraSettings
from datakit_lora.device import computing_in
from datakit_lora.failures import LESS_MEMORY, out_of_memory
from datakit_lora.loss import Losses
from datakit_lora.objective import Answers, Objective

FOUR_BITS = "Linear4bit"
"""Class name of bitsandbytes' layer; its module is imported only where 4 bits are asked for."""
NAMED_ROWS = 5
"""How many documents of a bad micro-batch an error names."""


@dataclass(slots=True)
class Progress:
    """What a run has to tell so far; survives in checkpoints."""

    curve: list[dict[str, float]] = field(default_factory=list)
    """One entry a step: step, tokens (learned so far), loss, lr, gradient (its length before clipping)."""
    evals: list[dict[str, Any]] = field(default_factory=list)
    """One entry an evaluation: step, nll (nats a token; with dpo the loss a pair), tokens (or pairs), and more."""
    alarms: list[dict[str, Any]] = field(default_factory=list)
    """What went wrong and was survived: step, what, and the ids of some rows."""
    seconds: float = 0.0
    slots: int = 0
    real: int = 0
    supervised: int = 0
    most_tokens: int = 0
    """Largest micro-batch, in tokens, since memory ran out; 0: it never did."""

    @property
    def best(self) -> dict[str, Any] | None:
        """The best evaluation after the first; of equals the first."""
        later = [found for found in self.evals if found["step"]]
        return min(later, key=lambda found: found["nll"]) if later else None


@dataclass(frozen=True, slots=True)
class Engine:
    """A model ready to train: how to get its loss, its trained weights, its optimiser."""

    adapted: Adapted
    losses: Losses
    weights: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    dtype: str
    objective: Objective

    @property
    def model(self) -> Any:
        """The model with what is trained on it."""
        return self.adapted.model


def make_engine(
    adapted: Adapted, losses: Losses, settings: LoraSettings, dtype: str, objective: Objective | None = None
) -> Engine:
    """An engine over a model: AdamW on everything that asks for gradients, LoRA+'s matrices B at their own rate."""
    weights = {name: weight for name, weight in adapted.model.named_parameters() if weight.requires_grad}
    faster = [name for name in weights if "lora_B" in name and settings.lora_plus > 1]
    groups = [
        {"params": [weight for name, weight in weights.items() if (name in faster) is quick], "ratio": ratio}
        for quick, ratio in ((False, 1.0), (True, settings.lora_plus))
    ]
    optimizer = _optimizer([group for group in groups if group["params"]], settings)
    return Engine(adapted, losses, weights, optimizer, dtype, objective or Answers())


def _optimizer(groups: list[dict[str, Any]], settings: LoraSettings) -> torch.optim.Optimizer:
    common = {"lr": settings.rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, **common, fused=True)  # type: ignore[arg-type]
    from bitsandbytes import optim

    chosen = {"adamw8bit": optim.AdamW8bit, "paged_adamw8bit": optim.PagedAdamW8bit}[settings.optimizer]
    return chosen(groups, **common)


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
        return settings.rate * (step + 1) / warm
    way = (step - warm) / max(1, steps - 1 - warm)
    share = settings.final_learning_rate + (1 - settings.final_learning_rate) * 0.5 * (
        1 + math.cos(math.pi * min(1.0, way))
    )
    return settings.rate * share


def train(
    engine: Engine,
    rows: Sequence[Row],
    plan: Plan,
    settings: LoraSettings,
    progress: Progress,
    *,
    start: int,
    after_step: Callable[[int], bool | None],
    tell: Callable[[str], None] = print,
) -> None:
    """Run the steps from `start` to the end of the plan; `after_step(done)` reports, evaluates, keeps checkpoints.

    It ends the run early by returning True. `tell` says what the person who waits should know.
    """
    set_training(engine.model, True)
    with unhurried_garbage():
        for step, window in enumerate(plan.windows(start), start):
            began = time.perf_counter()
            batches = [[rows[place] for place in micro] for micro in window]
            seen = [row for micro in batches for row in micro]
            rate = learning_rate(step, plan.steps, settings)
            for group in engine.optimizer.param_groups:
                group["lr"] = rate * group.get("ratio", 1.0)
            loss, length = _step(engine, batches, settings, progress, step + 1, tell)
            progress.slots += sum(row.slots for row in seen)
            progress.real += sum(row.real for row in seen)
            progress.supervised += sum(row.supervised for row in seen)
            progress.seconds += time.perf_counter() - began
            told = {"step": step + 1, "tokens": progress.supervised, "loss": loss, "lr": rate, "gradient": length}
            progress.curve.append(told)
            if after_step(step + 1):
                break


@contextmanager
def unhurried_garbage() -> Iterator[None]:
    """No pauses of half a second for Python's garbage while a GPU waits; what a step leaves dies by counting."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def _step(
    engine: Engine,
    batches: Sequence[list[Row]],
    settings: LoraSettings,
    progress: Progress,
    step: int,
    tell: Callable[[str], None],
) -> tuple[float, float]:
    """One step of the optimiser; (mean loss over the window, length of its gradient)."""
    worth = sum(engine.objective.worth(row) for micro in batches for row in micro)
    parts = cut(engine.objective, batches, progress.most_tokens)
    random = torch.get_rng_state()
    while (sums := _gradients(engine, parts, worth)) is None:
        torch.set_rng_state(random)
        parts = _smaller(engine, parts, progress, step, tell)
    length = torch.nn.utils.clip_grad_norm_(engine.weights.values(), settings.clip)
    total = float(torch.stack(sums).sum())
    # A step that is not a number would poison AdamW's moments, and the last checkpoint with them.
    if not math.isfinite(total) or not bool(torch.isfinite(length)):
        bad = [part for part, found in zip(parts, sums, strict=True) if not bool(torch.isfinite(found))]
        raise _no_number(step, bad or parts, settings)
    engine.optimizer.step()
    engine.optimizer.zero_grad()
    return total / worth, float(length)


def _gradients(engine: Engine, parts: Sequence[list[Row]], worth: int) -> list[torch.Tensor] | None:
    """The gradient of a window, summed where it lies; the summed loss of each part. None: memory ran out."""
    sums = []
    try:
        for part in parts:
            with computing_in(engine.dtype, engine.model):
                summed = engine.objective.summed(engine.losses, part)
            (summed / worth).backward()
            sums.append(summed.detach())
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None
    return sums


def _smaller(
    engine: Engine, parts: Sequence[list[Row]], progress: Progress, step: int, tell: Callable[[str], None]
) -> list[list[Row]]:
    """The parts of a window, none above half of the largest; without what was computed of them."""
    engine.optimizer.zero_grad()
    if engine.losses.model.device.type == "cuda":
        torch.cuda.empty_cache()
    largest = max(map(_tokens, parts))
    found = cut(engine.objective, parts, largest // 2)
    if len(found) == len(parts):
        raise TrainError("memory ran out on a micro-batch that can't be cut further", fix=LESS_MEMORY)
    progress.most_tokens = largest // 2
    now = max(map(_tokens, found))
    progress.alarms.append({"step": step, "what": "out of memory", "from": largest, "to": now})
    tell(f"step {step}: memory ran out at {largest} tokens; going on with {now} at a time, the step is the same")
    return found


def cut(objective: Objective, batches: Sequence[list[Row]], most: int) -> list[list[Row]]:
    """Micro-batches cut in halves until none has more than `most` tokens, or can't be cut; 0: as they are."""
    found: list[list[Row]] = []
    for batch in batches:
        parts = objective.halves(batch) if most and _tokens(batch) > most else [batch]
        found += cut(objective, parts, most) if len(parts) > 1 else parts
    return found


def _tokens(rows: Sequence[Row]) -> int:
    return sum(len(piece.input_ids) for row in rows for piece in row.pieces)


def _no_number(step: int, parts: Sequence[Sequence[Row]], settings: LoraSettings) -> TrainError:
    ids = [piece.id for part in parts for row in part for piece in row.pieces if piece.id]
    more = f" and {len(ids) - NAMED_ROWS} more" if len(ids) > NAMED_ROWS else ""
    return TrainError(
        f"the loss stopped being a number at step {step}",
        where=f"rows {', '.join(ids[:NAMED_ROWS])}{more}" if ids else "",
        fix=f"lower learning_rate (it is {settings.rate:g}), set dtype: float32, or look at these rows",
    )


def evaluate(engine: Engine, rows: Sequence[Row], rows_a_batch: int) -> tuple[float, int]:
    """(mean loss, what it was divided by) over rows that all have something to learn."""
    total, worth = 0.0, 0
    with measuring(engine):
        for start in range(0, len(rows), rows_a_batch):
            some = rows[start : start + rows_a_batch]
            total += float(engine.objective.summed(engine.losses, some))
            worth += sum(engine.objective.worth(row) for row in some)
    return total / worth, worth


@contextmanager
def measuring(engine: Engine) -> Iterator[None]:
    """Without gradients and without dropout."""
    set_training(engine.model, False)
    try:
        with torch.no_grad(), computing_in(engine.dtype, engine.model):
            yield
    finally:
        set_training(engine.model, True)
