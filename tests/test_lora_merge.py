"""Merged models give the adapter's logits, from 4 bits too; llama.cpp opens the GGUF and answers alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datakit_lora.gguf_file import refuse_foreign
from datakit_lora.merge import merge
from datakit_lora.trainer import LoraTrainer

from datakit.errors import TrainError
from datakit.models import load_base
from datakit.schemas import Message
from tests.lora_rows import ASKED, fitting, settings


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {}, {"init": "pissa"}, {"dora": True}, {"train_tokens": ("<|im_end|>",)},
        {"method": "ia3", "learning_rate": 0.05},
        {"method": "head", "learning_rate": 1e-2}, {"method": "norms", "learning_rate": 3e-2},
        {"method": "full", "learning_rate": 3e-3}, {"method": "qlora"},
        {"method": "qlora", "rank_pattern": {"q_proj": 2}},
    ],
    ids=lambda changes: " ".join(f"{value}" for value in changes.values()) or "lora",
)  # fmt: skip
def test_merged_logits_are_the_adapters(tiny_llama: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    if changes.get("method") == "qlora":
        pytest.importorskip("bitsandbytes")
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama, **{"max_steps": 4, **changes}))
    told = merge(artifact, tmp_path / "merged", tmp_path, dtype="float32", gguf=None)
    adapted = LoraTrainer().load(artifact, tmp_path)
    merged, tokenizer = load_base(tmp_path / "merged")
    ids = torch.tensor([tokenizer(f"{ASKED[1][0]} {ASKED[0][1]}")["input_ids"]])
    with torch.no_grad():
        expected = adapted.model(input_ids=ids).logits  # type: ignore[attr-defined]
        found = merged(input_ids=ids).logits
    assert (expected - found).abs().max() < 1e-4
    assert told["loss_merged"] == pytest.approx(told["loss_adapter"], rel=1e-5)


def test_merging_qlora_into_the_original_weights_would_differ_as_the_planted_breach_shows(
    tiny_llama: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    from datakit_lora.adapter import hushed
    from peft import PeftModel

    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama, method="qlora", max_steps=4))
    merge(artifact, tmp_path / "merged", tmp_path, dtype="float32", gguf=None)
    right, tokenizer = load_base(tmp_path / "merged")
    base, _ = load_base(tiny_llama)
    with hushed():
        wrong = PeftModel.from_pretrained(base, work.out).merge_and_unload()
    ids = torch.tensor([tokenizer(ASKED[0][0])["input_ids"]])
    adapted = LoraTrainer().load(artifact, tmp_path).model  # type: ignore[attr-defined]
    with torch.no_grad():
        expected = adapted(input_ids=ids).logits
        apart = [(model(input_ids=ids).logits - expected).abs().max() for model in (right, wrong)]
    assert apart[1] > 10 * apart[0]


@pytest.mark.parametrize("method", ["prefix", "prompt", "ptuning"])
def test_virtual_tokens_can_not_be_merged(tiny_llama: Path, tmp_path: Path, method: str) -> None:
    work = fitting(tiny_llama, tmp_path / "adapter")
    artifact = work.fit(settings(tiny_llama, method=method, max_steps=1))
    with pytest.raises(TrainError, match="can't be merged"):
        merge(artifact, tmp_path / "merged", tmp_path, dtype="float32", gguf=None)
    assert not (tmp_path / "merged").exists()


def test_merge_writes_over_nothing(tiny_llama: Path, tmp_path: Path) -> None:
    artifact = fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama, max_steps=1))
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "mine").write_text("")
    with pytest.raises(TrainError, match="not empty"):
        merge(artifact, tmp_path / "merged", tmp_path, dtype="float32", gguf=None)


def test_gguf_read_back_by_transformers_is_the_merged_model(tiny_llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    artifact = fitting(tiny_llama, tmp_path / "adapter").fit(settings(tiny_llama, max_steps=3))
    out = tmp_path / "merged"
    told = merge(artifact, out, tmp_path, dtype="float32", gguf="f32")
    merged, tokenizer = load_base(out)
    again = AutoModelForCausalLM.from_pretrained(
        out, gguf_file="model.gguf", quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    words = "대한민국의 수도는 Seoul, 123!"
    ids = tokenizer(words)["input_ids"]
    assert AutoTokenizer.from_pretrained(out, gguf_file="model.gguf")(words)["input_ids"] == ids
    with torch.no_grad():
        apart = merged(input_ids=torch.tensor([ids])).logits - again(input_ids=torch.tensor([ids])).logits
    assert apart.abs().max() < 1e-4
    assert Path(told["modelfile"]).read_text().startswith("FROM ./model.gguf")


def test_gguf_of_another_family_is_refused_by_name(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gemma2"}')
    with pytest.raises(TrainError, match="family gemma2"):
        refuse_foreign(tmp_path)


@pytest.mark.slow
def test_gguf_gives_the_same_greedy_tokens_in_llama_cpp(tiny_llama: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    from datakit.teachers.local import _serve

    work = fitting(tiny_llama, tmp_path / "adapter", rows=6)
    artifact = work.fit(settings(tiny_llama, rank=16, alpha=32, epochs=60, learning_rate=5e-3))
    merge(artifact, tmp_path / "merged", tmp_path, dtype="float32", gguf="f32")
    expected = (
        LoraTrainer()
        .load(artifact, tmp_path)
        .generate([[Message("user", f"{question} 0")] for question, _ in ASKED[:4]], max_new_tokens=40)
    )
    server = _serve(tmp_path / "merged" / "model.gguf")
    from openai import OpenAI

    client = OpenAI(base_url=server.listening_address + "/v1", api_key="-")
    found = [
        client.chat.completions.create(
            model="local", messages=[{"role": "user", "content": f"{question} 0"}], temperature=0, max_tokens=40
        ).choices[0].message.content
        for question, _ in ASKED[:4]
    ]  # fmt: skip
    assert [(text or "").strip() for text in found] == expected
