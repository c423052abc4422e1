"""What can happen in the middle of a run: memory that runs out, a request to stop, a full disk, a best step."""

from __future__ import annotations

import errno
import json
import os
import signal
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from datakit_lora import checkpoint, keeper
from datakit_lora.batches import halves, read_rows
from datakit_lora.held_out import language_of
from datakit_lora.loop import cut
from datakit_lora.objective import Answers
from datakit_lora.watch import overfits, spiked, stalled
from safetensors.torch import load_file

from datakit.errors import TrainError
from datakit.trainer import Event
from tests.lora_rows import Fitting, fitting, settings

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _starving(monkeypatch: pytest.MonkeyPatch, most: int, error: BaseException) -> list[int]:
    """Memory runs out for every micro-batch of more than `most` documents; the sizes that were tried."""
    tried: list[int] = []
    plain = Answers.summed

    def summed(self: Answers, losses: Any, rows: Any) -> torch.Tensor:
        count = sum(len(row.pieces) for row in rows)
        if torch.is_grad_enabled():
            tried.append(count)
            found = plain(self, losses, rows)
            if count > most:
                # Half of the gradients are there already when it happens.
                found.backward()
                raise error
            return found
        return plain(self, losses, rows)

    monkeypatch.setattr(Answers, "summed", summed)
    return tried


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_memory_that_runs_out_splits_the_micro_batch_and_changes_no_step(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    config = settings(tiny_llama, batch_tokens=512, epochs=3, dropout=0.0)
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config).metrics
    tried = _starving(monkeypatch, 3, error)
    work = fitting(tiny_llama, tmp_path / "starved")
    starved = work.fit(config).metrics
    assert max(tried) > 3
    assert tried[-1] <= 3
    assert [told["loss"] for told in starved["curve"]] == pytest.approx([t["loss"] for t in whole["curve"]], rel=1e-4)
    assert starved["learned_tokens"] == whole["learned_tokens"]
    assert {alarm["what"] for alarm in starved["alarms"]} == {"out of memory"}
    assert len(starved["alarms"]) < 4  # the new size holds for the steps that follow
    assert any("memory ran out" in line and "the step is the same" in line for line in work.told)


def test_memory_that_runs_out_on_one_document_is_one_error(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _starving(monkeypatch, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(TrainError, match="can't be cut further") as caught:
        fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama))
    assert "gradient_checkpointing" in caught.value.fix


def test_another_runtime_error_is_no_lack_of_memory(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _starving(monkeypatch, 0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama))


def test_cut_keeps_every_document_once(tiny_llama: Path, tmp_path: Path) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    for most in (1, 60, 150, 10_000):
        parts = cut(Answers(), [rows], most)
        ids = [piece.id for part in parts for row in part for piece in row.pieces]
        assert ids == [piece.id for row in rows for piece in row.pieces]
        sizes = [sum(len(piece.input_ids) for row in part for piece in row.pieces) for part in parts]
        single = [sum(len(row.pieces) for row in part) == 1 for part in parts]
        assert all(size <= most or alone for size, alone in zip(sizes, single, strict=True))
    assert len(halves(rows[:1])) == 2


def _stopping(work: Fitting, at: int) -> None:
    def listen(event: Event) -> None:
        if event.what == "train" and event.done == at:
            os.kill(os.getpid(), signal.SIGTERM)

    work.listener = listen


def test_sigterm_keeps_a_checkpoint_says_so_and_goes_on_exactly(tiny_llama: Path, tmp_path: Path) -> None:
    config = settings(tiny_llama, batch_tokens=128, epochs=2, dropout=0.1, checkpoint_every=100)
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config)
    work = fitting(tiny_llama, tmp_path / "stopped")
    _stopping(work, 3)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainError, match=r"SIGTERM\) after step 3 of \d+: its checkpoint is kept") as caught:
        work.fit(config)
    assert "run the same command again" in caught.value.fix
    assert signal.getsignal(signal.SIGTERM) == before
    work.listener = None
    again = work.fit(config)
    assert next(event for event in work.events if event.what == "resume").done == 3
    assert again.files[WEIGHTS] == whole.files[WEIGHTS]
    lines = [json.loads(line) for line in (work.out / "train.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == [
        told["step"] for told in whole.metrics["curve"]
    ]
    assert {"loss", "real_tokens_per_s", "mfu", "peak_memory_bytes"} <= set(lines[1])


@pytest.mark.parametrize(
    "changes",
    [{"method": "full", "optimizer": "adamw8bit", "learning_rate": 1e-3}, {"method": "prompt"}, {"init": "pissa"}],
    ids=["full, 8 bits", "prompt", "pissa"],
)
def test_a_run_of_any_method_goes_on_exactly(tiny_llama: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    if "optimizer" in changes:
        pytest.importorskip("bitsandbytes")
    config = settings(tiny_llama, **{"batch_tokens": 256, "max_steps": 4, "checkpoint_every": 100, **changes})
    weights = "model.safetensors" if config.method == "full" else WEIGHTS
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config)
    work = fitting(tiny_llama, tmp_path / "stopped")
    _stopping(work, 2)
    with pytest.raises(TrainError, match="SIGTERM"):
        work.fit(config)
    work.listener = None
    again = work.fit(config)
    assert again.metrics["curve"] == whole.metrics["curve"]
    assert again.files[weights] == whole.files[weights]


def test_disk_full_at_a_checkpoint_leaves_the_one_before_and_one_error(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tiny_llama, batch_tokens=128, epochs=2, checkpoint_every=2)
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config)
    plain, count = checkpoint._write, [0]

    def write(path: Path, data: bytes) -> None:
        count[0] += 1
        if count[0] > 2:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        plain(path, data)

    monkeypatch.setattr(checkpoint, "_write", write)
    work = fitting(tiny_llama, tmp_path / "full")
    with pytest.raises(TrainError, match="the disk is full"):
        work.fit(config)
    assert [place.name for place in (work.out / "checkpoints").iterdir()] == ["step-00000002"]
    monkeypatch.setattr(checkpoint, "_write", plain)
    assert work.fit(config).files[WEIGHTS] == whole.files[WEIGHTS]


def _told_losses(monkeypatch: pytest.MonkeyPatch, *losses: float) -> None:
    """Evaluations give these losses, one after the other."""
    told = iter(losses)
    monkeypatch.setattr(keeper, "measure", lambda engine, held, rows: {"nll": next(told), "tokens": 9})


def test_checkpoints_the_newest_stay_and_the_best_is_what_is_written(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told_losses(monkeypatch, 5.0, 3.0, 2.0, 2.5, 2.5, 2.5)
    work = fitting(tiny_llama, tmp_path / "adapter")
    seen: list[list[str]] = []
    best: dict[str, torch.Tensor] = {}

    def listen(event: Event) -> None:
        names = sorted(place.name for place in work.out.glob("checkpoints/step-*"))
        seen.append(names)
        if "step-00000002" in names and not best:
            best.update(load_file(work.out / "checkpoints/step-00000002/state.safetensors"))

    work.listener = listen
    metrics = work.fit(
        settings(
            tiny_llama,
            batch_tokens=128,
            max_steps=5,
            eval_every=1,
            keep_best=True,
            checkpoint_every=1,
            keep_checkpoints=1,
        )
    ).metrics
    assert metrics["steps"] == 5
    assert metrics["eval_after"]["step"] == 2
    assert seen[-1] == ["step-00000002", "step-00000004"]
    assert any("step 2, the best held-out loss" in line for line in work.told)
    written = load_file(work.out / WEIGHTS)
    kept = {name.removeprefix("weight.").replace(".default", ""): t for name, t in best.items() if "weight." in name}
    assert written
    assert all(torch.equal(tensor, kept[name]) for name, tensor in written.items())


def test_patience_stops_a_run_that_gets_no_better(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _told_losses(monkeypatch, 5.0, 3.0, 3.5, 3.0)
    work = fitting(tiny_llama, tmp_path / "adapter")
    metrics = work.fit(settings(tiny_llama, batch_tokens=128, eval_every=1, patience=2, epochs=4)).metrics
    assert metrics["steps"] == 3 < metrics["planned_steps"]
    assert metrics["eval_after"] == {"step": 3, "nll": 3.0, "tokens": 9}
    assert any("stopped early" in line for line in work.told)


def test_row_losses_stand_beside_the_adapter_and_sum_up_to_the_held_out_loss(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama, row_losses=True))
    table = pq.read_table(work.out / "row_losses.parquet").to_pandas()
    assert "row_losses.parquet" in artifact.files
    val = table[table["split"] == "val"]
    for column, measured in (("loss_before", "eval_before"), ("loss_after", "eval_after")):
        mean = (val[column] * val["tokens"]).sum() / val["tokens"].sum()
        assert mean == pytest.approx(artifact.metrics[measured]["nll"], rel=1e-5)
    assert set(table[table["split"] == "train"]["id"]) == {f"d{place}" for place in range(24)}


def test_row_losses_of_a_run_that_went_on_are_those_of_an_undisturbed_one(tiny_llama: Path, tmp_path: Path) -> None:
    config = settings(tiny_llama, row_losses=True, batch_tokens=128, epochs=2)
    whole = fitting(tiny_llama, tmp_path / "whole").fit(config)
    work = fitting(tiny_llama, tmp_path / "stopped")
    _stopping(work, 2)
    with pytest.raises(TrainError, match="SIGTERM"):
        work.fit(config)
    work.listener = None
    assert work.fit(config).files["row_losses.parquet"] == whole.files["row_losses.parquet"]


def test_evaluation_tells_bits_a_byte_and_each_language(tiny_llama: Path, tmp_path: Path) -> None:
    found = fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama, max_steps=1)).metrics["eval_after"]
    assert set(found["by_language"]) == {"en", "ko"}
    parts = found["by_language"].values()
    assert sum(part["nll"] * part["tokens"] for part in parts) / found["tokens"] == pytest.approx(found["nll"])
    assert found["bits_per_byte"] > 0
    assert found["perplexity"] == pytest.approx(2.718281828459045 ** found["nll"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("서울", "ko"), (unicodedata.normalize("NFD", "서울 big"), "ko"), ("ㅋㅋㅋ", "ko"), ("Seoul is big", "en"),
        ("API를 호출하세요", "ko"),        ("call the API (호출)", "en"), ("1234 !?", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_language_of_tells_korean_also_decomposed(text: str, language: str) -> None:
    assert language_of(text) == language


def test_samples_are_answered_before_and_after_in_the_card(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.fit(settings(tiny_llama, samples=("대한민국의 수도는 어디인가요? 0",), max_steps=2))
    card = (work.out / "README.md").read_text(encoding="utf-8")
    assert "**대한민국의 수도는 어디인가요? 0**" in card
    assert "- before:" in card
    assert "- after:" in card


def _curve(*losses: float) -> list[dict[str, float]]:
    return [{"step": place + 1, "loss": loss} for place, loss in enumerate(losses)]


def test_watch_a_jump_is_told_and_a_noisy_loss_is_not() -> None:
    assert spiked(_curve(*[2.0] * 16, 4.0))
    assert not spiked(_curve(*[2.0, 2.6] * 8, 2.7))
    assert not spiked(_curve(*[2.0] * 5, 9.0))


def test_watch_overfitting_needs_both_losses_to_part() -> None:
    evals = [{"step": 2 * place, "nll": nll} for place, nll in enumerate((2.0, 2.1, 2.2))]
    assert overfits(evals, _curve(3, 3, 2, 1.5))
    assert not overfits(evals, _curve(3, 3, 3.5, 4))
    assert not overfits([*evals[:2], {"step": 4, "nll": 1.9}], _curve(3, 3, 2, 1.5))


def test_watch_patience_counts_evaluations_without_a_better_one() -> None:
    evals = [{"step": place, "nll": nll} for place, nll in enumerate((3.0, 2.0, 2.5, 2.0))]
    assert stalled(evals, 2)
    assert not stalled(evals, 3)
    assert not stalled(evals, 0)


def test_loggers_that_are_not_installed_are_a_problem_before_anything_is_loaded(
    tiny_llama: Path, tmp_path: Path
) -> None:
    from importlib.util import find_spec

    from datakit_lora.trainer import LoraTrainer

    missing = [name for name in ("tensorboard", "wandb", "trackio") if find_spec(name) is None]
    work = fitting(tiny_llama, tmp_path / "adapter")
    problems = LoraTrainer().check(work.manifest, settings(tiny_llama, loggers=tuple(missing)))
    assert [problem.message for problem in problems] == [f"{name} is not installed" for name in missing]


def test_trackers_get_plain_numbers(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    heard: list[tuple[dict[str, float], int]] = []
    fake = ModuleType("trackio")
    fake.init = lambda **_: None  # type: ignore[attr-defined]
    fake.log = lambda figures, step: heard.append((figures, step))  # type: ignore[attr-defined]
    fake.finish = lambda: heard.append(({}, -1))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio", fake)
    fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama, loggers=("trackio",), max_steps=2))
    assert heard[-1] == ({}, -1)
    assert {step for figures, step in heard[:-1] if "step/loss" in figures} == {1, 2}
    assert all(isinstance(value, float) for figures, _ in heard for value in figures.values())
