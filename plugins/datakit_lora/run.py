"""One training run in reading order: base -> adapter -> rows -> loss before -> steps -> loss after -> files.

Equal rows, settings, base, torch version, device, number type and number of threads give equal adapter bytes, also
when the run was interrupted in between.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.models import BaseModelFiles, DType, base_settings, load_base, resolve_base
from datakit.trainer import Event, Report, TrainJob
from datakit_lora.adapter import with_adapter, write_adapter
from datakit_lora.attention import NAME, prove_isolation, use_blocks
from datakit_lora.batches import Plan, Row, read_rows
from datakit_lora.checkpoint import Trained, forget_checkpoints, load_checkpoint, save_checkpoint
from datakit_lora.checks import learnable, refuse_foreign_rows, refuse_other_tokenizer
from datakit_lora.config import LoraSettings
from datakit_lora.device import (
    choose_device,
    choose_dtype,
    cores,
    cpu_threads,
    crowded,
    load_average,
    peak_memory,
)
from datakit_lora.failures import explained
from datakit_lora.loop import Engine, Progress, evaluate, make_engine, set_training, train
from datakit_lora.loss import losses_of
from datakit_lora.model_card import model_card

EXECUTION = {"checkpoint_every", "threads", "device", "dtype"}
"""Settings not compared on resume: one changes nothing, three are compared as what they came to on this machine."""


def run(dataset: DatasetManifest, config: LoraSettings, job: TrainJob) -> AdapterArtifact:
    """Train an adapter on the dataset's `train` split into `job.out`, measured on its `val` split."""
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with explained(job.out), cpu_threads(config.threads) as threads, torch.random.fork_rng(gpus):
        job.out.mkdir(parents=True, exist_ok=True)
        rows = learnable(read_rows(job.rows(dataset, "train")), "train")
        held_out = [row for row in read_rows(job.rows(dataset, "val")) if row.pieces][: config.eval_rows]

        job.report(Event("load", values={"base": config.base}))
        refuse_other_tokenizer(dataset, config.base, job.cache)
        base = resolve_base(config.base, job.cache)
        refuse_foreign_rows([*rows, *held_out], base_settings(base.folder))
        device, dtype = choose_device(config), choose_dtype(config)
        engine, tokenizer = prepare(base, config, device, dtype)
        if device == "cpu" and (warning := crowded(threads, load_average(), cores())):
            job.tell(warning)

        machine = {"device": device, "dtype": dtype, "threads": threads, "torch": str(torch.__version__)}
        identity = {**config.model_dump(mode="json", exclude=EXECUTION), **machine}
        identity |= {"dataset": dataset.digest, "base_files": base.fingerprint}
        keeper = Keeper(
            job.out / "checkpoints", engine, held_out, make_plan(rows, config), config, identity, job.report
        )
        progress = keeper.go(rows)

        metrics = {**metrics_of(engine, progress, keeper.plan), **machine}
        if template := dataset.note("template").get("chat_template"):
            tokenizer.chat_template = template
        card = model_card(dataset, config, base.opens_as, metrics)
        files = write_adapter(job.out, engine.model, tokenizer, opens_as=base.opens_as, card=card)
        forget_checkpoints(keeper.folder)
    return AdapterArtifact(
        name=job.out.name,
        trainer=config.use,
        base=config.base,
        dataset=dataset.ref,
        dataset_digest=dataset.digest,
        config=config.model_dump(mode="json"),
        metrics=metrics,
        seed=config.seed,
        files=files,
        datakit_version=dataset.datakit_version,
        path=str(job.out),
    )


def prepare(base: BaseModelFiles, config: LoraSettings, device: str, dtype: DType) -> tuple[Engine, Any]:
    """(engine, tokenizer): the base with a fresh adapter on it, documents kept apart, ready to train."""
    quantize = "nf4" if config.method == "qlora" else None
    model, tokenizer = load_base(base.folder, quantize=quantize, dtype=dtype, device=device)  # type: ignore[arg-type]
    use_blocks(model)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    adapted = with_adapter(model, config)
    set_training(adapted, False)
    losses = losses_of(adapted)
    prove_isolation(losses.model, losses.backbone)
    return make_engine(adapted, losses, config, dtype), tokenizer


def make_plan(rows: list[Row], config: LoraSettings) -> Plan:
    """Which rows each step sees."""
    widest = max(row.slots for row in rows)
    return Plan(
        len(rows), widest, config.batch_tokens, config.accumulation, config.epochs, config.max_steps, config.seed
    )


@dataclass(frozen=True, slots=True)
class Keeper:
    """Runs the steps, and between them reports, measures and keeps checkpoints."""

    folder: Path
    engine: Engine
    held_out: list[Row]
    plan: Plan
    config: LoraSettings
    identity: dict[str, Any]
    report: Report

    def go(self, rows: list[Row]) -> Progress:
        """From the newest checkpoint, or the beginning, to the end."""
        trained = Trained(self.engine.weights, self.engine.optimizer)
        found = load_checkpoint(self.folder, trained, self.identity)
        start, progress = (found[0], Progress(**found[1])) if found else (0, Progress())
        if found:
            self.report(Event("resume", start, self.plan.steps))
        else:
            self._measure(0, progress)

        def after_step(done: int) -> None:
            self.report(Event("train", done, self.plan.steps, _told(progress)))
            if done < self.plan.steps:
                self._between(done, progress, trained)

        train(self.engine, rows, self.plan, self.config, progress, start=start, after_step=after_step)
        self._measure(self.plan.steps, progress)
        return progress

    def _between(self, done: int, progress: Progress, trained: Trained) -> None:
        if self.config.eval_every and done % self.config.eval_every == 0:
            self._measure(done, progress)
        if self.config.checkpoint_every and done % self.config.checkpoint_every == 0:
            save_checkpoint(self.folder, done, trained, asdict(progress), self.identity)

    def _measure(self, step: int, progress: Progress) -> None:
        if self.held_out:
            nll, tokens = evaluate(self.engine, self.held_out, self.plan.rows_a_batch)
            progress.evals.append({"step": step, "nll": nll, "tokens": tokens})
            self.report(Event("eval", step, self.plan.steps, {"nll": nll, "tokens": tokens}))


def metrics_of(engine: Engine, progress: Progress, plan: Plan) -> dict[str, Any]:
    """The figures of a run. Seconds and tokens a second are of the steps alone, without loading and evaluation."""
    seconds = progress.seconds or 1e-9
    kinds = {"slot": progress.slots, "real": progress.real, "supervised": progress.supervised}
    measured = progress.evals
    return {
        "steps": plan.steps,
        "learned_tokens": progress.supervised,
        "trained_parameters": sum(weight.numel() for weight in engine.weights.values()),
        "eval_before": measured[0] if measured else None,
        "eval_after": measured[-1] if measured else None,
        "evals": measured,
        "curve": progress.curve,
        "tokens_per_s": {kind: round(tokens / seconds, 1) for kind, tokens in kinds.items()},
        "seconds": round(progress.seconds, 2),
        "peak_memory_bytes": peak_memory(engine.losses.model.device.type),
        "attention": NAME,
    }


def _told(progress: Progress) -> dict[str, float]:
    last = progress.curve[-1]
    speed = progress.real / progress.seconds if progress.seconds else 0.0
    return {"loss": last["loss"], "lr": last["lr"], "tokens_per_s": speed}
