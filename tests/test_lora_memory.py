"""The memory plan: its parts are what they say, it follows the settings, and it stands beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.memory import MemoryPlan, plan_memory
from datakit_lora.prepare import prepare
from datakit_lora.trainer import LoraTrainer

from datakit.models import load_base, resolve_base
from datakit.trainer import TrainJob
from tests.lora_rows import fitting, settings


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _plan(base: Path, dtype: str = "float32", **changes: Any) -> MemoryPlan:
    return plan_memory(base, settings(base, **{"batch_tokens": 512, **changes}), "cpu", dtype, slots=128)


def test_plan_weights_adapter_and_optimiser_are_counted_exactly(tiny_llama: Path, tmp_path: Path) -> None:
    plan = _plan(tiny_llama)
    base, _ = load_base(tiny_llama)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), settings(tiny_llama), "cpu", "float32")
    trained = sum(weight.numel() for weight in engine.weights.values())
    assert plan.weights == sum(weight.numel() * 4 for weight in base.parameters())
    assert plan.trained_parameters == trained
    assert (plan.adapter, plan.optimiser) == (8 * trained, 8 * trained)


@pytest.mark.parametrize(
    "method", ["lora", "qlora", "ia3", "prefix", "prompt", "ptuning", "head", "norms", "full"]
)  # fmt: skip
def test_plan_knows_every_method_and_its_trained_weights(tiny_llama: Path, tmp_path: Path, method: str) -> None:
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    config = settings(tiny_llama, method=method)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32")
    plan = _plan(tiny_llama, method=method)
    assert plan.trained_parameters == sum(weight.numel() for weight in engine.weights.values())
    assert plan.total > 0


def test_plan_activations_are_what_autograd_keeps(tiny_llama: Path, tmp_path: Path) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    config = settings(tiny_llama, batch_tokens=10_000)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
    weights = {weight.untyped_storage().data_ptr() for weight in engine.model.parameters()}
    sizes: dict[int, int] = {}
    held: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = lay_out(rows)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        engine.losses.hidden(batch)
    plan = plan_memory(tiny_llama, config, "cpu", "float32", rows)
    measured = sum(sizes.values()) / len(batch.input_ids)
    # The plan adds one layer's gradients to what is kept: half of it, with two layers.
    assert plan.bytes_a_token == pytest.approx(1.5 * measured, rel=0.1)


def test_plan_follows_the_settings(tiny_llama: Path) -> None:
    plain = _plan(tiny_llama)
    assert _plan(tiny_llama, gradient_checkpointing=True).activations < plain.activations
    assert _plan(tiny_llama, "bfloat16").weights == plain.weights // 2
    assert _plan(tiny_llama, method="qlora").weights < plain.weights
    assert _plan(tiny_llama, optimizer="adamw8bit").optimiser < plain.optimiser / 3
    assert _plan(tiny_llama, batch_tokens=1024).activations == 2 * plain.activations
    assert _plan(tiny_llama, rank=8).adapter == 2 * plain.adapter
    assert _plan(tiny_llama, method="full").optimiser > plain.optimiser


def test_plan_largest_batch_fits_and_the_next_would_not(tiny_llama: Path) -> None:
    plan = _plan(tiny_llama)
    most = plan.largest_batch_tokens
    assert most % 64 == 0
    assert plan.fixed + most * plan.bytes_a_token <= 0.9 * plan.free
    assert plan.fixed + (most + 64) * plan.bytes_a_token > 0.9 * plan.free


def test_plan_reads_no_weights_and_leaves_random_numbers_alone(tiny_llama: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (bare / name).write_bytes((tiny_llama / name).read_bytes())
    before = torch.get_rng_state()
    assert _plan(bare).weights == _plan(tiny_llama).weights
    assert torch.equal(before, torch.get_rng_state())


def test_plan_of_the_trainer_stands_beside_the_measured_peak_in_the_record(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    told = LoraTrainer().plan(
        work.manifest, settings(tiny_llama), TrainJob(work.store, work.out, work.cache, lambda _: None)
    )  # type: ignore[arg-type]
    assert told["total"] == sum(
        told[name] for name in ("weights", "adapter", "optimiser", "activations", "logits", "process")
    )
    memory = work.fit(settings(tiny_llama, max_steps=1)).metrics["memory"]
    assert memory["planned"]["weights"] == told["weights"]
    assert memory["measured"] > 0
    assert 0.5 < memory["ratio"] < 5  # a tiny model: the peak of the whole test process stands beside it
