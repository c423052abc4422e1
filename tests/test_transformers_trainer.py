"""The second trainer, on transformers' Trainer: the same rows, the same adapter, the same numbers as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.batches import read_rows
from datakit_lora.loop import Progress, train
from datakit_lora.prepare import make_plan, prepare
from datakit_transformers.config import TransformersSettings
from datakit_transformers.run import documents_of, trainer_of, with_lora
from datakit_transformers.trainer import TransformersTrainer

from datakit.errors import TrainError
from datakit.models import load_base, resolve_base
from datakit.registry import find
from datakit.schemas import Message
from datakit.trainer import Trainer, TrainJob
from tests.lora_rows import ASKED, Fitting, fitting, packed, settings, table

STEPS = 50


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _chosen(base: Path, **changes: Any) -> TransformersSettings:
    small = {"base": str(base), "rank": 4, "alpha": 8, "learning_rate": 2e-2, "batch_rows": 1, "accumulation": 2}
    return TransformersSettings(**{**small, "device": "cpu", **changes})


def _fit(work: Fitting, config: TransformersSettings) -> Any:
    job = TrainJob(work.store, work.out, work.cache, work.events.append)  # type: ignore[arg-type]
    return TransformersTrainer().fit(work.manifest, config, job)


def test_transformers_trainer_is_found_and_documents_every_setting() -> None:
    assert find("trainer", "transformers") is TransformersTrainer
    assert isinstance(TransformersTrainer(), Trainer)
    assert all(field.description for field in TransformersSettings.model_fields.values())


@pytest.mark.parametrize("accumulation", [1, 2])
def test_fifty_steps_of_ours_and_of_transformers_trainer_are_one_trajectory(
    tiny_llama: Path, tmp_path: Path, accumulation: int
) -> None:
    """Ragged rows, the same initial adapter, float32: losses and gradient norms agree, and lean to no side."""
    work = fitting(tiny_llama, tmp_path / "adapter", rows=24)
    rows = read_rows(work.store.train)
    assert len({row.supervised for row in rows}) > 1
    config = settings(
        tiny_llama, batch_tokens=128, accumulation=accumulation, epochs=1000, max_steps=STEPS, learning_rate=2e-3,
        warmup=0.0, final_learning_rate=1.0,
    )  # fmt: skip
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
    plan, progress = make_plan(rows, config), Progress()
    train(engine, rows, plan, config, progress, start=0, after_step=lambda _: None, tell=print)
    documents = list(documents_of(work.store.train))
    ordered = [documents[place] for window in plan.windows() for micro in window for place in micro]
    other = _chosen(
        tiny_llama, accumulation=accumulation, max_steps=STEPS, learning_rate=2e-3, warmup=0.0, schedule="constant",
        arguments={"train_sampling_strategy": "sequential", "save_strategy": "no"},
    )  # fmt: skip
    model, _ = load_base(tiny_llama)
    trainer = trainer_of(with_lora(model, other), ordered, other, str(tmp_path / "theirs"))
    # An epoch of ours may end with a short window; Trainer's steps are cut from one long line, so none may be short.
    assert len(rows) % accumulation == 0
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    theirs, ours = [entry["loss"] for entry in history], [told["loss"] for told in progress.curve]
    assert len(theirs) == STEPS
    apart = torch.tensor(ours) - torch.tensor(theirs)
    assert apart.abs().max() < 2e-3
    assert abs(float(apart.mean())) < 2e-4
    norms = torch.tensor([told["gradient"] for told in progress.curve]) / torch.tensor(
        [float(entry["grad_norm"]) for entry in history]
    )
    assert (norms - 1).abs().max() < 2e-2


def test_fit_writes_an_adapter_that_opens_scores_and_answers(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = _fit(work, _chosen(tiny_llama, epochs=6))
    before, after = artifact.metrics["eval_before"], artifact.metrics["eval_after"]
    assert after["nll"] < 0.9 * before["nll"]
    assert artifact.trainer == "transformers"
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer.json"} <= set(artifact.files)
    assert any(event.what == "train" for event in work.events)
    model = TransformersTrainer().load(artifact, tmp_path)
    rows = [[Message("user", f"{asked} 0"), Message("assistant", answer)] for asked, answer in ASKED]
    scores = model.score(rows)
    assert sum(one.nll for one in scores) / sum(one.tokens for one in scores) == pytest.approx(after["nll"], rel=1e-4)


def test_nothing_to_learn_and_unknown_arguments_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.store.train = table(packed([([5, 6, 7], [-100] * 3)]))
    with pytest.raises(TrainError, match="no token to learn"):
        _fit(work, _chosen(tiny_llama))
    [problem] = TransformersTrainer().check(work.manifest, _chosen(tiny_llama, arguments={"deepsped": "x.json"}))
    assert problem.fix == "did you mean 'deepspeed'?"
    documents = work.manifest.model_copy(update={"kind": "document"})
    problems = TransformersTrainer().check(documents, _chosen(Path("nowhere")))
    assert [one.path for one in problems] == ["train", "train.base"]
