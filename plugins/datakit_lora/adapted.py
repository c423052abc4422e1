"""A trained adapter on its base: generates greedily in batches, scores answers; `adapter=False` is the base alone.

Conversations are rendered with the chat template in the adapter's own folder, the one it was trained with. Virtual
tokens stand before a prompt without padding between, as they did in training; so methods that have them answer one
prompt at a time. The model of `full` has no adapter to switch off: its base is opened when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from datakit.errors import TrainError
from datakit.manifests import AdapterArtifact
from datakit.models import DType, load_base, resolve_base, score_batch
from datakit.trainer import Score
from datakit_lora.adapter import hushed
from datakit_lora.config import LoraSettings
from datakit_lora.conversation import Turns, labelled, render
from datakit_lora.device import choose_device, choose_dtype, computing_in, four_bit
from datakit_lora.loop import set_training

PROMPTS_A_BATCH = 8
"""Prompts that are generated together; sorted by length first, so little of it is padding."""


@dataclass(slots=True)
class AdaptedModel:
    """A PEFT model and the tokenizer of its adapter; or a model trained whole, and how to open its base."""

    model: Any
    tokenizer: Any
    dtype: str
    open_base: Callable[[], Any] | None = None
    base: Any = field(default=None, init=False)

    def generate(self, prompts: Sequence[Turns], *, max_new_tokens: int = 128, adapter: bool = True) -> list[str]:
        """Greedy answers to some conversations, without special tokens, in the order of the prompts."""
        texts = [render(self.tokenizer, turns, ask=True) for turns in prompts]
        order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
        answers: dict[int, str] = {}
        width = 1 if adapter and self._virtual() is not None else PROMPTS_A_BATCH
        for start in range(0, len(order), width):
            places = order[start : start + width]
            with self._adapter(adapter) as model:
                told = self._continue(model, [texts[place] for place in places], max_new_tokens)
            answers.update(zip(places, told, strict=True))
        return [answers[place] for place in range(len(texts))]

    def score(self, rows: Sequence[Turns], *, adapter: bool = True) -> list[Score]:
        """Summed negative log-likelihood of the assistant's tokens of each conversation."""
        virtual = (self._virtual() or 0) if adapter else 0
        with self._adapter(adapter) as model:
            found = score_batch(model, [labelled(self.tokenizer, turns) for turns in rows], virtual=virtual)
        return [Score(nll, tokens) for nll, tokens in found]

    def _virtual(self) -> int | None:
        """How many virtual tokens stand in the line before a prompt; None: the method has none anywhere."""
        if not hasattr(self.model, "prompt_encoder"):
            return None
        settings = self.model.peft_config["default"]
        return 0 if str(settings.peft_type).endswith("PREFIX_TUNING") else int(settings.num_virtual_tokens)

    @contextmanager
    def _adapter(self, on: bool) -> Iterator[Any]:
        model = self.model
        if not on and self.open_base is not None:
            self.base = self.base if self.base is not None else self.open_base()
            model = self.base
        with computing_in(self.dtype, model):
            if on or self.open_base is not None:
                yield model
            else:
                with model.disable_adapter():
                    yield model

    def _continue(self, model: Any, texts: Sequence[str], max_new_tokens: int) -> list[str]:
        self.tokenizer.padding_side = "left"
        given = self.tokenizer(list(texts), return_tensors="pt", padding=True, add_special_tokens=False)
        given = {name: given[name].to(model.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode(), hushed():
            out = model.generate(
                **given,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                use_cache=True,
                eos_token_id=self._stops(),
                pad_token_id=self._pad(),
            )
        new = out[:, given["input_ids"].shape[1] :]
        return [text.strip() for text in self.tokenizer.batch_decode(new, skip_special_tokens=True)]

    def _stops(self) -> list[int]:
        """The ids that end an answer: the tokenizer's and those of the base's generation settings."""
        named = self.model.generation_config.eos_token_id
        more = [named] if isinstance(named, int) else list(named or ())
        return sorted({stop for stop in (self.tokenizer.eos_token_id, *more) if stop is not None})

    def _pad(self) -> int:
        own = self.tokenizer.pad_token_id
        return int(own) if own is not None else self._stops()[0]


def open_adapter(artifact: AdapterArtifact, cache: Path) -> AdaptedModel:
    """Open an adapter folder on the base it was trained on, in the number type it was trained in."""
    settings = LoraSettings.model_validate(artifact.config)
    base = resolve_base(artifact.base, cache)
    dtype, device = choose_dtype(settings), choose_device(settings)
    return opened(artifact.path, base.folder, settings, dtype, device)


def opened(folder: str, base: Path, settings: LoraSettings, dtype: DType, device: str) -> AdaptedModel:
    """Open an adapter folder on a base folder."""
    from peft import PeftModel

    try:
        tokenizer = _tokenizer(folder)
        if settings.method == "full":
            model, _ = load_base(Path(folder), dtype=dtype, device=device)
            return AdaptedModel(model, tokenizer, dtype, lambda: load_base(base, dtype=dtype, device=device)[0])
        model, _ = load_base(base, dtype=dtype, device=device, quantize=four_bit(settings))
        with hushed():
            adapted = PeftModel.from_pretrained(model, folder)
        # Not `eval()`: 4-bit layers would change to a kernel that computes in bfloat16, and the losses with it.
        set_training(adapted, False)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainError("the adapter can't be opened", where=folder, fix="train it again") from error
    return AdaptedModel(adapted, tokenizer, dtype)


def _tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
