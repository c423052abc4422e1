"""One run of transformers' Trainer on packed rows.

A packed row goes in as its documents; DataCollatorWithFlattening lays them end to end with positions that restart,
which is what transformers' SDPA and flash attention keep apart (no mask, no cache). Losses before and after are
measured document by document with `score_batch`, weighted by tokens: Trainer's own evaluation averages batches.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from datakit.errors import TrainError
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.models import load_base, resolve_base, score_batch
from datakit.schemas import IGNORED
from datakit.trainer import Event, TrainJob
from datakit_transformers.config import TransformersSettings

if TYPE_CHECKING:
    import pyarrow as pa

Document = dict[str, list[int]]
_CHECKPOINTING = "activation_checkpointing"
"""What transformers 5.23 calls gradient checkpointing."""


def run(dataset: DatasetManifest, config: TransformersSettings, job: TrainJob) -> AdapterArtifact:
    """Train an adapter on the dataset's `train` split into `job.out`, measured on its `val` split."""
    from datakit_lora.adapter import Adapted, write_adapter

    rows = [row for row in documents_of(job.rows(dataset, "train")) if row]
    held_out = [document for row in documents_of(job.rows(dataset, "val")) for document in row]
    if not rows:
        raise TrainError("the split `train` has no token to learn", fix="look at the dataset's report and `template`")
    base = resolve_base(config.base, job.cache)
    job.report(Event("load", values={"base": config.base}))
    model, tokenizer = load_base(base.folder, dtype=config.dtype)
    adapted = with_lora(model, config)
    job.out.mkdir(parents=True, exist_ok=True)
    trainer = trainer_of(adapted, rows, config, str(job.out / "checkpoints"), job)
    before = _measured(adapted, held_out)
    with _quietly():
        trainer.train(resume_from_checkpoint=_newest(trainer.args.output_dir))
    after = _measured(adapted, held_out)
    if template := dataset.note("template").get("chat_template"):
        tokenizer.chat_template = template
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    metrics = {
        "steps": trainer.state.global_step,
        "eval_before": before,
        "eval_after": after,
        "curve": [{"step": place + 1, "loss": loss} for place, loss in enumerate(losses)],
        "trained_parameters": sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad),
        "processes": trainer.args.world_size,
    }
    card = _card(dataset, config, base.opens_as, metrics)
    files: dict[str, str] = {}
    if trainer.is_world_process_zero():
        files = write_adapter(job.out, Adapted(adapted), tokenizer, opens_as=base.opens_as, files={"README.md": card})
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


def documents_of(table: pa.Table) -> Iterator[list[Document]]:
    """The documents of each packed row that have something to learn; the pad tail is none of them."""
    for row in table.select(["input_ids", "labels", "spans"]).to_pylist():
        spans = row["spans"] or [{"start": 0, "length": len(row["input_ids"])}]
        cut = [
            {name: row[name][span["start"] : span["start"] + span["length"]] for name in ("input_ids", "labels")}
            for span in spans
        ]
        yield [document for document in cut if any(label != IGNORED for label in document["labels"][1:])]


def with_lora(model: Any, config: TransformersSettings) -> Any:
    """The model with a fresh LoRA, drawn from the seed."""
    import torch
    from datakit_lora.adapter import hushed
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    alpha: Any = int(config.alpha) if config.alpha.is_integer() else config.alpha
    targets = config.target_modules if isinstance(config.target_modules, str) else list(config.target_modules)
    settings = LoraConfig(
        task_type="CAUSAL_LM", r=config.rank, lora_alpha=alpha, lora_dropout=config.dropout, target_modules=targets
    )
    with hushed():
        return get_peft_model(model, settings)


def trainer_of(
    model: Any, rows: list[list[Document]], config: TransformersSettings, folder: str, job: TrainJob | None = None
) -> Any:
    """transformers' Trainer over rows of documents, ready to train."""
    from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments

    lay_flat = DataCollatorWithFlattening()

    def collate(batch: list[dict[str, list[Document]]]) -> Any:
        return lay_flat([document for row in batch for document in row["documents"]])

    return Trainer(
        model=model,
        args=TrainingArguments(**{**_arguments(config, folder), **config.arguments}),
        train_dataset=[{"documents": row} for row in rows],
        data_collator=collate,
        callbacks=[_reporting(job)] if job else None,
    )


def _arguments(config: TransformersSettings, folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "per_device_train_batch_size": config.batch_rows,
        "gradient_accumulation_steps": config.accumulation,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.clip,
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        **({_CHECKPOINTING: True} if config.gradient_checkpointing else {}),
        "bf16": config.dtype == "bfloat16",
        "use_cpu": config.device == "cpu",
        "seed": config.seed,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "save_strategy": "steps",
        "save_steps": 50,
        "save_total_limit": 2,
    }


def _reporting(job: TrainJob) -> Any:
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        """Trainer's log as datakit's events."""

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                job.report(Event("train", state.global_step, state.max_steps, {"loss": float(logs["loss"])}))

    return Reporting()


@contextmanager
def _quietly() -> Iterator[None]:
    """transformers' own log off: datakit reports."""
    from transformers.utils import logging as bars

    level = bars.get_verbosity()
    bars.set_verbosity_error()
    try:
        yield
    finally:
        bars.set_verbosity(level)


def _newest(folder: str) -> str | None:
    """The checkpoint to go on from, if an interrupted run left one."""
    from transformers.trainer_utils import get_last_checkpoint

    return get_last_checkpoint(folder) if os.path.isdir(folder) else None


def _measured(model: Any, documents: list[Document]) -> dict[str, Any] | None:
    if not documents:
        return None
    was = model.training
    model.eval()
    found = score_batch(model, [(document["input_ids"], document["labels"]) for document in documents])
    model.train(was)
    tokens = sum(count for _, count in found)
    return {"nll": sum(nll for nll, _ in found) / max(1, tokens), "tokens": tokens}


def _card(dataset: DatasetManifest, config: TransformersSettings, opens_as: str, metrics: dict[str, Any]) -> str:
    losses = [found and f"{found['nll']:.4f}" for found in (metrics["eval_before"], metrics["eval_after"])]
    lines = [
        f"# {dataset.name}: a LoRA adapter for `{config.base}`, trained with transformers' Trainer",
        "",
        f"Base `{opens_as}`; dataset `{dataset.ref}`, digest `{dataset.digest}`.",
        f"Held-out loss {losses[0]} before, {losses[1]} after {metrics['steps']} steps (nats a learned token).",
        "",
    ]
    return "\n".join(lines)
