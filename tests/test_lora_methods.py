"""Every method: it learns, PEFT alone opens what it wrote, ours opens it too, packed rows mean what rows apart mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.batches import lay_out, read_rows
from datakit_lora.config import LoraSettings
from datakit_lora.loop import Progress, train
from datakit_lora.prepare import make_plan, prepare
from datakit_lora.trainer import LoraTrainer
from pydantic import ValidationError

from datakit.errors import ConfigError
from datakit.models import load_base, resolve_base
from datakit.schemas import Message
from tests.lora_rows import ASKED, Fitting, fitting, packed, settings, table

METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"rslora": True},
    "dora": {"dora": True},
    "lora_plus": {"lora_plus": 4.0},
    "gaussian": {"init": "gaussian"},
    "orthogonal": {"init": "orthogonal"},
    "pissa": {"init": "pissa"},
    "olora": {"init": "olora"},
    "pissa and rslora": {"init": "pissa", "rslora": True, "rank_pattern": {"down_proj": 2}},
    "eva": {"init": "eva"},
    "patterns": {"rank_pattern": {"down_proj": 8}, "alpha_pattern": {"q_proj": 4.0}},
    "train_tokens": {"train_tokens": ("<|im_end|>", "<|im_start|>")},
    "qlora": {"method": "qlora"},
    "qlora fp4": {"method": "qlora", "four_bit": "fp4", "double_quant": False},
    "qlora loftq": {"method": "qlora", "init": "loftq"},
    "ia3": {"method": "ia3", "learning_rate": 5e-2},
    "prefix": {"method": "prefix", "virtual_tokens": 4, "learning_rate": 1e-1},
    "prompt": {"method": "prompt", "virtual_tokens": 4, "learning_rate": 1e-1},
    "ptuning": {"method": "ptuning", "virtual_tokens": 4, "learning_rate": 2e-2},
    "head": {"method": "head", "learning_rate": 1e-2},
    "norms": {"method": "norms", "learning_rate": 3e-2},
    "full": {"method": "full", "learning_rate": 3e-3},
    "full, upper layer": {"method": "full", "learning_rate": 1e-2, "top_layers": 1},
    "8-bit adamw": {"optimizer": "adamw8bit"},
}
SOFT = ("prefix", "prompt", "ptuning")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def _chosen(base: Path, name: str, **more: Any) -> LoraSettings:
    return settings(base, **{"batch_tokens": 256, "epochs": 3, **METHODS[name], **more})


def _opened_by_peft(work: Fitting, config: LoraSettings) -> Any:
    """The adapter as a stranger opens it, without anything of ours."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    if config.method == "full":
        return AutoModelForCausalLM.from_pretrained(work.out)
    named = json.loads((work.out / "adapter_config.json").read_text())["base_model_name_or_path"]
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(named), work.out)


def _loss(model: Any, rows: list[dict[str, Any]]) -> float:
    """Mean loss of each document by itself; virtual tokens stand before its logits."""
    total, tokens = 0.0, 0
    for row in rows:
        for span in row["spans"]:
            ids, labels = (row[name][span["start"] :][: span["length"]] for name in ("input_ids", "labels"))
            wanted = torch.tensor(labels[1:])
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -len(ids) : -1]
            total += torch.nn.functional.cross_entropy(logits, wanted, ignore_index=-100, reduction="sum").item()
            tokens += int((wanted >= 0).sum())
    return total / tokens


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # PEFT's own, all four
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:You have requested `ensure_weight_tying`:UserWarning")
@pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning")
@pytest.mark.parametrize("name", METHODS)
def test_method_learns_and_opens_with_peft_alone_and_with_ours(tiny_llama: Path, tmp_path: Path, name: str) -> None:
    if "qlora" in name or "8-bit" in name:
        pytest.importorskip("bitsandbytes")
    config = _chosen(tiny_llama, name)
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(config)
    before, after = artifact.metrics["eval_before"]["nll"], artifact.metrics["eval_after"]["nll"]
    assert after < 0.985 * before
    ours = LoraTrainer().load(artifact, tmp_path)
    asked = [[Message("user", f"{question} 0")] for question, _ in ASKED]
    rows = [[*turns, Message("assistant", answer)] for turns, (_, answer) in zip(asked, ASKED, strict=True)]
    tuned, base = ours.score(rows), ours.score(rows, adapter=False)
    assert sum(one.nll for one in tuned) / sum(one.tokens for one in tuned) == pytest.approx(after, rel=1e-5)
    assert sum(one.nll for one in tuned) < sum(one.nll for one in base)
    assert len(ours.generate(asked[:2], max_new_tokens=4)) == 2
    if config.method == "qlora":
        return  # PEFT alone would need the base in 4 bits; ours just showed that it gives the same loss
    assert _loss(_opened_by_peft(work, config), work.store.val.to_pylist()) == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize("name", ["lora", *SOFT])
def test_method_packed_loss_and_gradients_equal_those_of_documents_apart(
    tiny_llama: Path, tmp_path: Path, name: str
) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    rows = read_rows(work.store.train)
    config = _chosen(tiny_llama, name)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
    with torch.no_grad():
        for weight in engine.weights.values():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    virtual = engine.losses.soft.in_the_line if engine.losses.soft else 0
    found = []
    for parts in ([rows], [[type(row)((piece,), 1, 1, 1)] for row in rows for piece in row.pieces]):
        total = sum(engine.losses.summed(lay_out(part, virtual)) for part in parts)
        total.backward()
        found.append((float(total.detach()), {key: weight.grad.clone() for key, weight in engine.weights.items()}))
        engine.optimizer.zero_grad()
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for key, slope in found[0][1].items():
        assert slope.abs().max() > 0, key
        assert torch.allclose(slope, found[1][1][key], rtol=1e-3, atol=2e-4 * float(slope.abs().max())), key


@pytest.mark.parametrize("name", SOFT)
def test_virtual_tokens_of_one_document_only_would_differ_as_the_planted_breach_shows(
    tiny_llama: Path, tmp_path: Path, name: str
) -> None:
    """PEFT puts virtual tokens before the whole line: of packed documents the second would have none."""
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)[:1]
    config = _chosen(tiny_llama, name)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
    with torch.no_grad():
        for weight in engine.weights.values():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        soft = engine.losses.soft
        right = float(engine.losses.summed(lay_out(rows, soft.in_the_line)))
        ids = torch.tensor(rows[0].pieces[0].input_ids.tolist() + rows[0].pieces[1].input_ids.tolist())
        plain, _ = load_base(tiny_llama)
        wrong = plain(input_ids=ids[None]).logits[0].float()
    targets = torch.tensor(rows[0].pieces[0].targets.tolist() + rows[0].pieces[1].targets.tolist())
    leaky = torch.nn.functional.cross_entropy(wrong, targets, ignore_index=-100, reduction="sum")
    assert abs(float(leaky) - right) > 1e-2 * right


@pytest.mark.parametrize("name", ["pissa", "olora", "orthogonal"])
def test_init_moved_into_the_adapter_starts_where_the_base_is(tiny_llama: Path, tmp_path: Path, name: str) -> None:
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    losses = []
    for chosen in ("lora", name):
        engine, _ = prepare(
            resolve_base(str(tiny_llama), tmp_path), _chosen(tiny_llama, chosen), "cpu", "float32", rows
        )
        losses.append(float(engine.losses.summed(lay_out(rows)).detach()))
    apart = abs(losses[0] - losses[1]) / losses[0]
    assert apart < 1e-4 if name != "orthogonal" else apart < 0.5


def test_init_loftq_makes_up_for_a_part_of_what_four_bits_lost(tiny_llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from bitsandbytes.functional import dequantize_4bit
    from datakit_lora.starts import low_rank_layers

    exact, _ = load_base(tiny_llama)
    lost = []
    for name in ("qlora", "qlora loftq"):
        config = _chosen(tiny_llama, name, rank=8)
        engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32")
        total = 0.0
        for place, part in low_rank_layers(engine.model):
            held = part.get_base_layer().weight
            now = dequantize_4bit(held.data, held.quant_state).float()
            now = now + part.scaling["default"] * part.lora_B["default"].weight @ part.lora_A["default"].weight
            total += float((exact.get_submodule(place).weight - now).square().sum().detach())
        lost.append(total)
    assert lost[1] < 0.8 * lost[0]


def test_init_eva_spans_the_inputs_better_than_a_random_start(tiny_llama: Path, tmp_path: Path) -> None:
    from datakit_lora.starts import low_rank_layers

    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    shares = []
    for name in ("lora", "eva"):
        engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), _chosen(tiny_llama, name), "cpu", "float32", rows)
        _, part = next(low_rank_layers(engine.model))
        seen: list[torch.Tensor] = []
        hook = part.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0][0].detach()))
        with torch.no_grad():
            engine.losses.hidden(lay_out(rows))
        hook.remove()
        basis = torch.linalg.qr(part.lora_A["default"].weight.detach().T)[0]
        shares.append(float((seen[0] @ basis).square().sum() / seen[0].square().sum()))
    assert shares[1] > 2 * shares[0]


def test_lora_plus_gives_the_matrices_b_their_own_rate(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    rows, moved = read_rows(work.store.train), []
    for ratio in (1.0, 16.0):
        config = _chosen(tiny_llama, "lora", lora_plus=ratio, max_steps=1, learning_rate=1e-3, warmup=0.0)
        engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32", rows)
        train(engine, rows, make_plan(rows, config), config, Progress(), start=0, after_step=lambda _: None, tell=print)
        moved.append(max(float(w.detach().abs().max()) for name, w in engine.weights.items() if "lora_B" in name))
    assert moved[1] == pytest.approx(16 * moved[0], rel=1e-3)


def test_rank_and_alpha_patterns_are_met_by_the_layers_they_name(tiny_llama: Path, tmp_path: Path) -> None:
    config = _chosen(tiny_llama, "lora", rank=4, alpha=8, rank_pattern={"down_proj": 9}, alpha_pattern={"q_proj": 3.0})
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32")
    ranks = {name: weight.shape[0] for name, weight in engine.weights.items() if "lora_A" in name}
    assert {rank for name, rank in ranks.items() if "down_proj" in name} == {9}
    assert {rank for name, rank in ranks.items() if "down_proj" not in name} == {4}
    [scale] = {m.scaling["default"] for n, m in engine.model.named_modules() if n.endswith("0.self_attn.q_proj")}
    assert scale == 3.0 / 4


def test_train_tokens_move_their_vectors_and_no_others(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(_chosen(tiny_llama, "train_tokens", max_steps=3))
    model = LoraTrainer().load(artifact, tmp_path).model.merge_and_unload()  # type: ignore[attr-defined]
    base, _ = load_base(tiny_llama)
    moved = (model.get_input_embeddings().weight != base.get_input_embeddings().weight).any(1).nonzero().flatten()
    ends = AutoTokenizer.from_pretrained(tiny_llama).convert_tokens_to_ids(["<|im_end|>", "<|im_start|>"])
    assert moved.tolist() == sorted(ends)


def test_head_leaves_the_embeddings_it_shares_a_matrix_with_alone(tiny_llama: Path, tmp_path: Path) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(_chosen(tiny_llama, "head"))
    opened = LoraTrainer().load(artifact, tmp_path).model.get_base_model()  # type: ignore[attr-defined]
    base, _ = load_base(tiny_llama)
    assert torch.equal(opened.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert artifact.metrics["trained_parameters"] == base.lm_head.weight.numel()


def test_full_on_plain_text_is_continued_pre_training(tiny_llama: Path, tmp_path: Path) -> None:
    """Rows that are learned whole, as `tokenize` makes them of documents."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    texts = [answer * 3 for _, answer in ASKED]
    docs = [(ids, list(ids)) for ids in (tokenizer(text)["input_ids"] for text in texts)]
    work = fitting(tiny_llama, tmp_path / "adapter")
    work.store.train, work.store.val = table(packed(docs)), table(packed(docs[:2]), "val")
    metrics = work.fit(_chosen(tiny_llama, "full", epochs=8)).metrics
    assert metrics["eval_after"]["nll"] < 0.8 * metrics["eval_before"]["nll"]
    assert metrics["eval_before"]["tokens"] == sum(len(ids) - 1 for ids, _ in docs[:2])


def test_full_in_bfloat16_keeps_its_weights_in_float32(tiny_llama: Path, tmp_path: Path) -> None:
    config = _chosen(tiny_llama, "full", dtype="bfloat16")
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "bfloat16")
    assert {weight.dtype for weight in engine.weights.values()} == {torch.float32}


def test_dora_lengths_move_on_a_bfloat16_base(tiny_llama: Path, tmp_path: Path) -> None:
    """Failure class 16: in bfloat16 a small step of a magnitude near 1 rounds to nothing."""
    rows = read_rows(fitting(tiny_llama, tmp_path / "adapter").store.train)
    config = _chosen(tiny_llama, "dora", dtype="bfloat16", learning_rate=1e-4, max_steps=2)
    engine, _ = prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "bfloat16", rows)
    before = {name: weight.detach().clone() for name, weight in engine.weights.items() if "magnitude" in name}
    train(engine, rows, make_plan(rows, config), config, Progress(), start=0, after_step=lambda _: None, tell=print)
    assert before
    assert all(not torch.equal(weight, engine.weights[name]) for name, weight in before.items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "ia3", "dora": True, "rank_pattern": {"x": 1}}, "dora, rank_pattern: only with method: lora"),
        ({"init": "loftq"}, "set method: qlora"),
        ({"init": "pissa", "method": "qlora"}, "init: loftq"),
        ({"init": "olora", "dora": True}, "choose one"),
        ({"init": "orthogonal", "rank": 3}, "even rank"),
        ({"method": "prompt", "top_layers": 1}, "top_layers"),
        ({"offload": True}, "only with gradient_checkpointing"),
        ({"patience": 2}, "give eval_every"),
        ({"keep_best": True, "eval_every": 2, "checkpoint_every": 0}, "give checkpoint_every"),
        ({"row_losses": True, "objective": "dpo"}, "only with objective: sft"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LoraSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_modules": "q_porj"}, "did you mean q_proj"),
        ({"rank_pattern": {"down_prj": 4}}, "did you mean down_proj"),
        ({"alpha_pattern": {"lm_head": 4.0}}, "no adapted layer is called lm_head"),
        ({"train_tokens": ("<|nowhere|>",)}, "no tokens <|nowhere|>"),
        ({"attention": "varlen"}, "needs a CUDA device"),
        ({"method": "prefix", "attention": "sdpa"}, "prefix tuning"),
        ({"gradient_checkpointing": True, "offload": True}, "in CPU memory already"),
    ],
)
def test_settings_the_base_or_the_machine_can_not_meet_are_refused(
    tiny_llama: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    config = settings(tiny_llama, **changes)
    with pytest.raises(ConfigError) as caught:
        prepare(resolve_base(str(tiny_llama), tmp_path), config, "cpu", "float32")
    assert words in "\n".join(caught.value.lines())
