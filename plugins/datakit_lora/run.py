"""One training run in reading order: rows -> base -> adapter -> loss before -> steps -> loss after -> files.

Equal rows, settings, base, torch version, device, number type and number of threads give equal adapter bytes, also
when the run was interrupted in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from datakit.canon import digest_file
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.models import BaseModelFiles, base_settings, resolve_base
from datakit.schemas import Message
from datakit.trainer import Event, TrainJob
from datakit_lora.adapted import AdaptedModel
from datakit_lora.adapter import write_adapter
from datakit_lora.attention import PREFIX
from datakit_lora.batches import Row, read_rows
from datakit_lora.checkpoint import Shelf, forget_checkpoints
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
from datakit_lora.failures import StopSign, explained, stoppable
from datakit_lora.held_out import document_losses, held_out, write_row_losses
from datakit_lora.keeper import Keeper
from datakit_lora.loop import Engine, Progress, measuring
from datakit_lora.memory import plan_memory
from datakit_lora.model_card import model_card
from datakit_lora.objective import read_pairs
from datakit_lora.prepare import make_plan, prepare
from datakit_lora.speed import speed_of

EXECUTION = {"checkpoint_every", "keep_checkpoints", "threads", "device", "dtype", "attention", "loggers", "samples"}
"""Settings not compared on resume: they change nothing, or are compared as what they came to on this machine."""
ROW_LOSSES = "row_losses.parquet"
SAMPLE_TOKENS = 64
"""Longest answer to a prompt of `samples`."""


@dataclass(slots=True)
class Asides:
    """What is found out beside the loss, before and after the steps."""

    answers: list[list[str]] = field(default_factory=list)
    losses: list[list[tuple[float, int]]] = field(default_factory=list)


def run(dataset: DatasetManifest, config: LoraSettings, job: TrainJob) -> AdapterArtifact:
    """Train an adapter on the dataset's `train` split into `job.out`, measured on its `val` split."""
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with (
        explained(job.out),
        stoppable() as sign,
        cpu_threads(config.threads) as threads,
        torch.random.fork_rng(gpus),
    ):
        job.out.mkdir(parents=True, exist_ok=True)
        refuse_other_tokenizer(dataset, config.base, job.cache)
        base = resolve_base(config.base, job.cache)
        rows, held = rows_of(dataset, config, job, base)
        refuse_foreign_rows([*rows, *held], base_settings(base.folder))
        return _fit(dataset, config, job, base, rows, held, threads, sign)


def plan(dataset: DatasetManifest, config: LoraSettings, job: TrainJob) -> dict[str, Any]:
    """The memory plan of a run, by its own rows; the base is resolved, its weights are not read."""
    base = resolve_base(config.base, job.cache)
    rows, _ = rows_of(dataset, config, job, base)
    return plan_memory(base.folder, config, choose_device(config), choose_dtype(config), rows).as_json()


def rows_of(
    dataset: DatasetManifest, config: LoraSettings, job: TrainJob, base: BaseModelFiles
) -> tuple[list[Row], list[Row]]:
    """The rows to train on, and those to measure on; a TrainError if there is nothing to learn."""
    if config.objective == "dpo":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base.folder)
        trained, held = (read_pairs(job.rows(dataset, split), tokenizer) for split in ("train", "val"))
    else:
        trained, held = (read_rows(job.rows(dataset, split)) for split in ("train", "val"))
    return learnable(trained, "train"), [row for row in held if row.pieces][: config.eval_rows]


def _fit(
    dataset: DatasetManifest,
    config: LoraSettings,
    job: TrainJob,
    base: BaseModelFiles,
    rows: list[Row],
    held: list[Row],
    threads: int,
    sign: StopSign,
) -> AdapterArtifact:
    device, dtype = choose_device(config), choose_dtype(config)
    job.report(Event("load", values={"base": config.base}))
    planned = plan_memory(base.folder, config, device, dtype, rows)
    engine, tokenizer = prepare(base, config, device, dtype, rows)
    attention = engine.losses.model.config._attn_implementation.removeprefix(PREFIX)
    job.report(Event("load", 1, 1, {"attention": attention, "planned memory": f"{planned.total / 2**30:.1f} GiB"}))
    if device == "cpu" and (warning := crowded(threads, load_average(), cores())):
        job.tell(warning)
    machine = {
        "device": device, "dtype": dtype, "threads": threads, "torch": str(torch.__version__), "attention": attention,
    }  # fmt: skip
    if template := dataset.note("template").get("chat_template"):
        tokenizer.chat_template = template
    asides = Asides()

    def look_aside() -> None:
        if config.samples:
            asides.answers.append(_answers(engine, tokenizer, config.samples))
        if config.row_losses:
            asides.losses.append(document_losses(engine, [*rows, *held], keeper.plan.rows_a_batch))

    identity = {**config.model_dump(mode="json", exclude=EXECUTION), **machine}
    identity |= {"dataset": dataset.digest, "base_files": base.fingerprint}
    keeper = Keeper(
        job,
        Shelf(job.out / "checkpoints", identity, config.keep_checkpoints),
        engine,
        held_out(held, tokenizer),
        make_plan(rows, config),
        config,
        speed_of(engine.model, config.method == "full", device, dtype, threads),
        sign,
        look_aside,
    )
    progress = keeper.go(rows)
    look_aside()
    metrics = {**metrics_of(engine, progress, keeper), **machine, "memory": planned.beside(peak_memory(device))}
    card = model_card(dataset, config, base.opens_as, metrics, list(zip(config.samples, *asides.answers, strict=True)))
    files = write_adapter(job.out, engine.adapted, tokenizer, opens_as=base.opens_as, files={"README.md": card})
    if config.row_losses:
        write_row_losses(job.out / ROW_LOSSES, [("train", rows), ("val", held)], *asides.losses)
        files[ROW_LOSSES] = digest_file(job.out / ROW_LOSSES)
    forget_checkpoints(keeper.shelf.folder)
    return _artifact(dataset, config, job.out, metrics, files)


def _artifact(
    dataset: DatasetManifest, config: LoraSettings, out: Path, metrics: dict[str, Any], files: dict[str, str]
) -> AdapterArtifact:
    return AdapterArtifact(
        name=out.name,
        trainer=config.use,
        base=config.base,
        dataset=dataset.ref,
        dataset_digest=dataset.digest,
        config=config.model_dump(mode="json"),
        metrics=metrics,
        seed=config.seed,
        files=files,
        datakit_version=dataset.datakit_version,
        path=str(out),
    )


def _answers(engine: Engine, tokenizer: Any, prompts: Sequence[str]) -> list[str]:
    """What the model says now; generating needs attention with a cache, so it is lent the usual one."""
    model = engine.losses.model
    own = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        with measuring(engine):
            speaker = AdaptedModel(engine.model, tokenizer, engine.dtype)
            asked = [[Message("user", prompt)] for prompt in prompts]
            return speaker.generate(asked, max_new_tokens=SAMPLE_TOKENS)
    finally:
        model.set_attn_implementation(own)


def metrics_of(engine: Engine, progress: Progress, keeper: Keeper) -> dict[str, Any]:
    """The figures of a run. Seconds and tokens a second are of the steps alone, without loading and evaluation."""
    measured = progress.evals
    told = keeper.speed.figures(progress).full
    return {
        "steps": int(progress.curve[-1]["step"]) if progress.curve else 0,
        "planned_steps": keeper.plan.steps,
        "learned_tokens": progress.supervised,
        "trained_parameters": sum(weight.numel() for weight in engine.weights.values()),
        "eval_before": measured[0] if measured else None,
        "eval_after": measured[-1] if measured else None,
        "evals": measured,
        "curve": progress.curve,
        "alarms": progress.alarms,
        "tokens_per_s": {kind: told[f"{kind}_tokens_per_s"] for kind in ("slot", "real", "supervised")},
        "tflops": told["tflops"],
        "mfu": told["mfu"],
        "seconds": round(progress.seconds, 2),
        "cold_start_seconds": round(keeper.cold_start, 2),
        "peak_memory_bytes": int(told["peak_memory_bytes"]),
    }
