"""The 19 ways in which trainers were wrong for their users, each with a test of ours.

| # | failure | test ("here" or the module's last word: a part of its name) |
|---|---|---|
| 1 | packed samples attend to each other | attention: packed_logits_equal, changing_one_document; here: test_1 |
| 2 | a mask beside position ids ends isolation | here: test_2; attention: transformers_own_packing_leaks |
| 3 | first token predicted from the neighbour | here: test_3; batches: first_token_of_a_document |
| 4 | pad is the end token: stopping isn't learned | here: test_4; trainer: load_generates_what_it_learned |
| 5 | a turn's end token outside the loss | here: test_5 |
| 6 | a template without marks masks everything | here: test_6; trainer: nothing_to_learn |
| 7 | merges across prompt and answer | here: test_7 |
| 8 | BOS doubled | here: test_8 |
| 9 | resume: order, optimiser, adapter | trainer: interrupted_and_run_again, killed_and_run_again; here: test_9 |
| 10 | accumulation averages means | trainer: four_small_batches, mean_of_means; here: test_10 |
| 11 | all labels masked: not a number | here: test_11 |
| 12 | silent truncation | here: test_12 (test_tokenize and test_pack: every token is accounted for) |
| 13 | checkpointing trains nothing | trainer: moves_every_adapter_weight, checkpointing_changes_nothing |
| 14 | a merged QLoRA is worse | merge: into_the_original_weights, merged_logits |
| 15 | new tokens are not saved | methods: train_tokens_move_their_vectors; merge: merged_logits |
| 16 | bfloat16 adapters: steps round to nothing | methods: dora_lengths_move; here: test_16 |
| 17 | serving renders another template | here: test_17; merge: same_greedy_tokens |
| 18 | evaluation hangs on packing and batches | here: test_18 |
| 19 | flash attention overflows | here: test_19 |
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datakit_lora import attention
from datakit_lora.attention import Documents, attend, blocks, overflows
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.conversation import labelled, render
from datakit_lora.held_out import held_out, measure
from datakit_lora.loop import Progress, train
from datakit_lora.prepare import make_plan, prepare
from datakit_lora.trainer import LoraTrainer

from datakit.errors import TrainError
from datakit.models import load_base, resolve_base
from datakit.schemas import Message
from tests.lora_rows import ASKED, documents, fitting, packed, settings, table

HERE = Path(__file__)
TURNS = [Message("user", "공유기가 느려요."), Message("assistant", "다시 켜 주세요."), Message("user", "Thanks!"),
         Message("assistant", "You are welcome.")]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _engine(base: Path, tmp_path: Path, **changes: Any) -> Any:
    config = settings(base, **changes)
    return prepare(resolve_base(str(base), tmp_path), config, "cpu", config.dtype)[0]


def test_every_class_of_the_table_has_a_test_that_exists() -> None:
    rows = [line for line in (__doc__ or "").splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 20))
    modules = "attention|batches|trainer|methods|merge"
    for row in rows:
        told = row.split("|")[3]
        named = [("failure_classes", f"def test_{number}_") for number in re.findall(r"here: test_(\d+)", told)]
        for module, names in re.findall(rf"\b({modules}): ([a-z_, ]+)", told):
            named += [(module, name) for name in names.strip().split(", ")]
        assert named, row
        for module, name in named:
            assert name in (HERE.parent / f"test_lora_{module}.py").read_text(encoding="utf-8"), (module, name)


def test_2_a_mask_beside_packed_documents_is_refused() -> None:
    some = torch.randn(1, 2, 4, 8)
    with pytest.raises(TrainError, match="can't be kept apart"):
        attend(None, some, some, some, torch.ones(1, 4), kernel=blocks, documents=Documents((2, 2), some.device))


def test_3_learned_tokens_are_the_labelled_ones_without_each_documents_first(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    docs = [(ids, list(ids)) for ids, _ in documents(tokenizer)]
    assert sum(row.supervised for row in read_rows(table(packed(docs)))) == sum(len(ids) - 1 for ids, _ in docs)


def test_4_an_end_token_that_is_also_the_pad_token_is_learned(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    end = tokenizer.eos_token_id
    rows = read_rows(table(packed(documents(tokenizer), pad=end)))
    assert all(int(piece.targets[-1]) == end for row in rows for piece in row.pieces)
    assert sum(int((piece.targets == end).sum()) for row in rows for piece in row.pieces) == len(ASKED)


def test_5_the_last_learned_token_of_every_turn_is_the_stop_token(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    ids, labels = labelled(tokenizer, TURNS)
    ends = [
        place for place, label in enumerate(labels) if label >= 0 and (place + 1 == len(ids) or labels[place + 1] < 0)
    ]
    assert [ids[place] for place in ends] == [tokenizer.eos_token_id] * 2


def test_6_a_template_without_generation_marks_learns_the_same_answers(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    marked = labelled(tokenizer, TURNS)
    tokenizer.chat_template = re.sub(r"\{% (end)?generation %\}", "", tokenizer.chat_template)
    assert labelled(tokenizer, TURNS) == marked
    assert any(label >= 0 for label in marked[1])


def test_7_what_is_masked_and_what_is_learned_is_the_whole_text(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    ids, labels = labelled(tokenizer, TURNS)
    assert tokenizer.decode(ids) == render(tokenizer, TURNS, ask=False)
    learned = tokenizer.decode([label for label in labels if label >= 0])
    assert learned == "다시 켜 주세요.<|im_end|>You are welcome.<|im_end|>"


def test_8_a_conversation_begins_once(tiny_llama: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    ids, _ = labelled(tokenizer, TURNS)
    assert ids[0] == tokenizer.bos_token_id
    assert ids[1] != tokenizer.bos_token_id


def test_9_a_run_that_goes_on_sees_the_rows_it_had_not_seen(tiny_llama: Path, tmp_path: Path) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    plan = make_plan(rows, settings(tiny_llama, batch_tokens=128, epochs=2))
    seen = list(plan.windows())
    for start in range(plan.steps):
        assert list(plan.windows(start)) == seen[start:]


def test_10_a_short_last_window_weighs_its_own_tokens(tiny_llama: Path, tmp_path: Path) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    curves = []
    for tokens, accumulation in ((128, 8), (1024, 1)):
        config = settings(tiny_llama, batch_tokens=tokens, accumulation=accumulation, epochs=1)
        engine, progress = _engine(tiny_llama, tmp_path), Progress()
        plan = make_plan(rows, config)
        assert len(rows) % 8
        train(engine, rows, plan, config, progress, start=0, after_step=lambda _: None, tell=print)
        curves.append([(told["loss"], told["gradient"]) for told in progress.curve])
    assert len(curves[0]) == 2
    for one, other in zip(*curves, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_11_a_micro_batch_without_a_learned_token_is_a_zero_that_can_be_differentiated(
    tiny_llama: Path, tmp_path: Path
) -> None:
    engine = _engine(tiny_llama, tmp_path)
    rows = read_rows(table(packed([([5, 6, 7], [-100] * 3)])))
    loss = engine.losses.summed(lay_out(rows))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(weight.grad is None or not weight.grad.any() for weight in engine.weights.values())


def test_12_a_document_longer_than_the_base_takes_is_refused_never_cut(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.store.train = table(packed([([5] * 600, [5] * 600)], 640))
    with pytest.raises(TrainError, match=r"599 tokens|600 tokens"):
        work.fit(settings(tiny_llama))


def test_16_what_is_trained_is_float32_on_a_bfloat16_base_and_saved_so(tiny_llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    work = fitting(tiny_llama, tmp_path / "adapter")
    for method in ("lora", "ia3", "norms", "prefix", "prompt"):
        engine = _engine(tiny_llama, tmp_path, method=method, dtype="bfloat16")
        assert {weight.dtype for weight in engine.weights.values()} == {torch.float32}, method
    work.fit(settings(tiny_llama, dtype="bfloat16", max_steps=1))
    assert {t.dtype for t in load_file(work.out / "adapter_model.safetensors").values()} == {torch.float32}


def test_17_an_adapter_carries_the_template_it_was_trained_with(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    own = (
        "{% for message in messages %}[{{ message['content'] }}]{% endfor %}{% if add_generation_prompt %}[{% endif %}"
    )
    work.notes = {"template": {"chat_template": own}}
    model = LoraTrainer().load(work.fit(settings(tiny_llama, max_steps=1)), tmp_path)
    assert render(model.tokenizer, TURNS[:1], ask=True) == "[공유기가 느려요.]["  # type: ignore[attr-defined]


def test_18_evaluation_does_not_depend_on_packing_or_batches(tiny_llama: Path, tmp_path: Path) -> None:
    _, tokenizer = load_base(tiny_llama)
    docs = documents(tokenizer, 11)
    engine = _engine(tiny_llama, tmp_path)
    found = []
    for seq_len, rows_a_batch in ((128, 1), (128, 3), (512, 2), (64, 4)):
        rows = read_rows(table(packed(docs, seq_len)))
        found.append(measure(engine, held_out(rows, tokenizer), rows_a_batch))
    for other in found[1:]:
        assert other["nll"] == pytest.approx(found[0]["nll"], rel=1e-5)
        assert other["bits_per_byte"] == pytest.approx(found[0]["bits_per_byte"], rel=1e-5)
        assert other["tokens"] == found[0]["tokens"]


def test_19_many_short_documents_fall_back_before_flash_attention_counts_past_32_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = SimpleNamespace(shape=(1, 16, 8128, 128))
    assert overflows(query, 8128)  # type: ignore[arg-type]
    assert not overflows(query, 4000)  # type: ignore[arg-type]
    used: list[str] = []
    real = torch.randn(1, 2, 4, 8)
    monkeypatch.setattr(attention, "blocks", lambda *given, **more: used.append("blocks") or real.transpose(1, 2))
    monkeypatch.setattr(attention, "INT32", 1)
    attend(None, real, real, real, None, kernel=attention.varlen, documents=Documents((2, 2), real.device))
    assert used == ["blocks"]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["sdpa", "flex", "varlen", "flash"])
def test_1_every_way_to_attend_on_a_gpu_gives_what_blocks_gives(tiny_llama: Path, name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    if name == "flash":
        pytest.importorskip("flash_attn")
    generator = torch.Generator().manual_seed(0)
    lengths = (5, 40, 3, 80)
    shape = (1, 4, sum(lengths), 64)
    query, key, value = (torch.randn(shape, generator=generator).cuda().bfloat16() for _ in range(3))
    key, value = key[:, :2], value[:, :2]
    found = [
        attend(
            None, query, key, value, None, kernel=attention.KERNELS[way], documents=Documents(lengths, query.device)
        )[0]
        for way in ("blocks", name)
    ]
    assert (found[0].float() - found[1].float()).abs().max() < 2e-2


def test_nf4_round_trip_error_is_what_bitsandbytes_gives(tiny_llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    exact, _ = load_base(tiny_llama)
    name = "model.layers.0.mlp.up_proj"
    weight = exact.get_submodule(name).weight.detach()
    errors = {}
    for kind in ("nf4", "fp4"):
        engine = _engine(tiny_llama, tmp_path, method="qlora", four_bit=kind)
        held = engine.model.get_base_model().get_submodule(name).base_layer.weight
        ours = dequantize_4bit(held.data, held.quant_state).float()
        theirs = dequantize_4bit(*quantize_4bit(weight, quant_type=kind, compress_statistics=True)).float()
        assert torch.equal(ours, theirs)
        errors[kind] = float((ours - weight).square().mean())
    assert errors["nf4"] < errors["fp4"]
    assert math.sqrt(errors["nf4"]) < 0.12 * float(weight.std())
