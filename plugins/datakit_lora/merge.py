"""Base and adapter as one model: a Hugging Face folder that needs no adapter, and a GGUF file where it is asked for.

An adapter of `qlora` learned on what 4 bits left of the base, so it is merged into exactly that, dequantised; merged
into the original weights it would answer worse, and into 4 bits again its small changes would be rounded away (peft
#1043, #2105, #2321). The losses of the adapter and of what was written, read back from the disk, are told side by side.

Virtual tokens (`prefix`, `prompt`, `ptuning`) are no change of weights: they can't be merged.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from datakit.errors import TrainError
from datakit.manifests import AdapterArtifact
from datakit.models import load_base, resolve_base, score_batch
from datakit.schemas import Message
from datakit_lora.adapted import opened
from datakit_lora.adapter import hushed
from datakit_lora.config import SOFT, LoraSettings
from datakit_lora.conversation import labelled
from datakit_lora.failures import explained
from datakit_lora.gguf_file import refuse_foreign, write_gguf, write_modelfile

PROBES = (
    ("What do I need for bread?", "Flour, water, salt, yeast, and a little patience."),
    ("대한민국의 수도는 어디인가요?", "대한민국의 수도는 서울입니다."),
    ("The router is slow.", "Please restart the router, and wait for the green light."),
    ("공유기가 느려요.", "공유기를 다시 켜고 초록 불이 들어올 때까지 기다려 주세요."),
)
"""What losses are compared on where no rows are given."""


def merge(
    artifact: AdapterArtifact,
    out: Path,
    cache: Path,
    *,
    dtype: str,
    gguf: str | None,
    rows: Sequence[Sequence[Message]] = (),
) -> dict[str, Any]:
    """Write the merged model into `out`; what was written, and the losses before and after."""
    settings = LoraSettings.model_validate(artifact.config)
    if settings.method in SOFT:
        fix = "use the adapter with its base, or train with method: lora"
        raise TrainError(f"virtual tokens ({settings.method}) can't be merged into weights", fix=fix)
    if out.exists() and any(out.iterdir()):
        raise TrainError("the folder is not empty", where=str(out), fix="give an empty or a new folder")
    base = resolve_base(artifact.base, cache)
    if gguf:
        refuse_foreign(base.folder)
    adapted = opened(artifact.path, base.folder, settings, "float32", "cpu")
    told = rows or [[Message("user", asked), Message("assistant", answer)] for asked, answer in PROBES]
    labelled_rows = [labelled(adapted.tokenizer, turns) for turns in told]
    plain = _dequantised(adapted.model, base.folder) if settings.method == "qlora" else None
    before = _mean(score_batch(adapted.model, labelled_rows))
    with explained(out):
        _save(_whole(adapted.model, plain, artifact.path), adapted.tokenizer, out, dtype)
    del adapted, plain
    model, _ = load_base(out)
    after = _mean(score_batch(model, labelled_rows))
    found: dict[str, Any] = {"folder": str(out), "dtype": dtype, "loss_adapter": before, "loss_merged": after}
    if gguf:
        with explained(out):
            file = write_gguf(model, out, out / "model.gguf", gguf)
            found |= {"gguf": str(file), "modelfile": str(write_modelfile(out, file.name))}
    return found


def _whole(model: Any, plain: Any, folder: str) -> Any:
    """The model with the adapter in its weights; with `plain` the adapter is put on that one instead."""
    if not hasattr(model, "peft_config"):
        return model
    with hushed():
        if plain is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(plain, folder)
        merged = model.merge_and_unload(safe_merge=True)
    head, embeddings = merged.get_output_embeddings(), merged.get_input_embeddings()
    # A head that was trained by itself no longer shares its matrix.
    merged.config.tie_word_embeddings = bool(torch.equal(head.weight, embeddings.weight))
    return merged


@torch.no_grad()
def _dequantised(model: Any, base: Path) -> Any:
    """The base as it lies on disk, with what its 4-bit weights stand for in place of what they were made from."""
    from bitsandbytes.functional import dequantize_4bit

    plain, _ = load_base(base)
    for name, part in model.get_base_model().named_modules():
        if type(part).__name__ == "Linear4bit" and hasattr(part.weight, "quant_state"):
            target = plain.get_submodule(name.removesuffix(".base_layer"))
            target.weight.copy_(dequantize_4bit(part.weight.data, part.weight.quant_state))
    return plain


def _save(model: Any, tokenizer: Any, out: Path, dtype: str) -> None:
    """Into a folder beside it that is renamed when it is whole."""
    making = out.with_name(f".{out.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    model.to(getattr(torch, dtype)).save_pretrained(making)
    tokenizer.save_pretrained(making)
    if out.exists():
        out.rmdir()
    making.rename(out)


def _mean(found: Sequence[tuple[float, int]]) -> float:
    return round(sum(nll for nll, _ in found) / max(1, sum(tokens for _, tokens in found)), 6)
