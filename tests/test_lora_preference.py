"""DPO: the loss is the paper's, the adapter comes to prefer what was chosen, and what can't be learned is said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from datakit_lora.loop import evaluate
from datakit_lora.objective import Preference, margins, read_pairs
from datakit_lora.prepare import prepare
from datakit_lora.trainer import LoraTrainer

from datakit.errors import TrainError
from datakit.models import load_base, resolve_base
from datakit.schemas import Message, table_from_rows
from tests.lora_rows import ASKED, Fitting, fitting, settings

REFUSED = ("I don't know.", "모르겠습니다.")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def preferences(count: int = 6) -> pa.Table:
    rows = [
        {
            "id": f"p{place}",
            "messages": [{"role": "user", "content": f"{ASKED[place % 6][0]} {place // 6}"}],
            "chosen": [{"role": "assistant", "content": ASKED[place % 6][1]}],
            "rejected": [{"role": "assistant", "content": REFUSED[place % 2]}],
        }
        for place in range(count)
    ]
    return table_from_rows(rows, "example")


def _preferring(base: Path, out: Path) -> Fitting:
    work = fitting(base, out)
    work.store.train, work.store.val, work.kind = preferences(12), preferences(6), "example"
    return work


def _chosen(base: Path, **more: Any) -> Any:
    return settings(base, **{"objective": "dpo", "learning_rate": 1e-2, "epochs": 4, **more})


def _log_probability(model: Any, tokenizer: Any, asked: str, answer: str) -> float:
    """Of an answer with its stop token after a question, one sequence at a time."""
    before = tokenizer(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    told = tokenizer(f"{answer}<|im_end|>")["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([before + told])).logits[0].log_softmax(-1)
    places = range(len(before) - 1, len(before) + len(told) - 1)
    return sum(float(logits[place, token]) for place, token in zip(places, told, strict=True))


@pytest.mark.parametrize("method", ["lora", "prompt", "full"])
def test_dpo_learns_to_prefer_the_chosen_answers(tiny_llama: Path, tmp_path: Path, method: str) -> None:
    rates = {"lora": 1e-2, "prompt": 3e-1, "full": 2e-3}
    work = _preferring(tiny_llama, tmp_path / "adapter")
    config = _chosen(tiny_llama, method=method, learning_rate=rates[method], virtual_tokens=4)
    assert LoraTrainer().check(work.manifest, config) == []
    metrics = work.fit(config).metrics
    before, after = metrics["eval_before"], metrics["eval_after"]
    assert before["tokens"] == after["tokens"] == 6
    if method != "prompt":  # random virtual tokens are not the base
        assert before["nll"] == pytest.approx(math.log(2), rel=1e-4)
    assert after["nll"] < 0.9 * before["nll"]
    assert after["accuracy"] >= max(0.8, before["accuracy"])
    card = (work.out / "README.md").read_text(encoding="utf-8")
    assert "preference optimisation" in card
    assert "6 pairs" in card


def test_dpo_loss_is_that_of_the_paper(tiny_llama: Path, tmp_path: Path) -> None:
    base, tokenizer = load_base(tiny_llama)
    config = _chosen(tiny_llama, beta=0.3)
    rows = read_pairs(preferences(), tokenizer)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
    with torch.no_grad():
        for weight in engine.weights.values():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    from datakit_lora.attention import use_attention

    use_attention(engine.losses.model, "blocks")
    found, pairs = evaluate(engine, rows, 2)
    engine.losses.model.set_attn_implementation("sdpa")
    expected = 0.0
    for place in range(6):
        asked, answer = f"{ASKED[place][0]} 0", ASKED[place][1]
        told = [
            _log_probability(model, tokenizer, asked, answer)
            - _log_probability(model, tokenizer, asked, REFUSED[place % 2])
            for model in (engine.model, base)
        ]
        expected -= math.log(1 / (1 + math.exp(-0.3 * (told[0] - told[1]))))
    assert (found, pairs) == (pytest.approx(expected / 6, rel=1e-4), 6)


def test_dpo_a_swapped_pair_turns_the_margin_as_the_planted_breach_shows(tiny_llama: Path, tmp_path: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    rows = read_pairs(preferences(), tokenizer)
    swapped = [type(row)(row.pieces[::-1], row.slots, row.real, row.supervised) for row in rows]
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), _chosen(tiny_llama), "cpu", "float32", rows)
    with torch.no_grad():
        there, back = margins(engine.losses, rows), margins(engine.losses, swapped)
    assert torch.allclose(there, -back, atol=1e-4)
    assert there.abs().min() > 1e-2


def test_dpo_small_batches_equal_one_large_one(tiny_llama: Path, tmp_path: Path) -> None:
    curves = []
    for tokens, windows in ((1, 12), (100_000, 1)):
        work = _preferring(tiny_llama, tmp_path / f"adapter{tokens}")
        metrics = work.fit(_chosen(tiny_llama, batch_tokens=tokens, accumulation=windows, max_steps=2)).metrics
        curves.append([told["loss"] for told in metrics["curve"]])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_read_pairs_learn_only_the_answers_and_keep_their_stop_token(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    row = read_pairs(preferences(1), tokenizer)[0]
    learned = [[int(token) for token in piece.targets if token >= 0] for piece in row.pieces]
    assert tokenizer.decode(learned[0]) == ASKED[0][1] + "<|im_end|>"
    assert tokenizer.decode(learned[1]) == REFUSED[0] + "<|im_end|>"
    assert [piece.id for piece in row.pieces] == ["p0", "p0"]


def test_dpo_without_preferences_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    [problem] = LoraTrainer().check(work.manifest, _chosen(tiny_llama))
    assert "objective: dpo trains on example rows" in problem.message
    with pytest.raises(TrainError, match="no preference rows"):
        work.fit(_chosen(tiny_llama))
    work.store.train = table_from_rows([{"id": "a", "messages": [{"role": "user", "content": "?"}]}], "example")
    with pytest.raises(TrainError, match="has no"):
        work.fit(_chosen(tiny_llama))


def test_dpo_generates_with_ours(tiny_llama: Path, tmp_path: Path) -> None:
    work = _preferring(tiny_llama, tmp_path / "adapter")
    model = LoraTrainer().load(work.fit(_chosen(tiny_llama, epochs=1)), tmp_path)
    assert isinstance(model.generate([[Message("user", "공유기가 느려요. 0")]], max_new_tokens=3)[0], str)


def test_preference_halves_keep_a_pair_together() -> None:
    from datakit_lora.batches import Row

    objective = Preference(0.1, {})
    rows = [Row((), 1, 1, 1)] * 3
    assert [len(part) for part in objective.halves(rows)] == [1, 2]
    assert objective.halves(rows[:1]) == [rows[:1]]
