"""A trained adapter on its base: generates greedily in batches, scores answers; `adapter=False` is the base alone.

Conversations are rendered with the chat template in the adapter's own folder, the one it was trained with. What counts
in a score is what the template marks with {% generation %}, or else every assistant turn with its stop token: the text
between the conversation up to the turn, with its generation prompt, and the conversation with the turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from datakit.errors import TrainError
from datakit.manifests import AdapterArtifact
from datakit.models import load_base, resolve_base, score_batch
from datakit.schemas import IGNORED, Message
from datakit.trainer import Score
from datakit_lora.adapter import renamed_in_transformers
from datakit_lora.config import LoraSettings
from datakit_lora.device import choose_device, choose_dtype, computing_in

PROMPTS_A_BATCH = 8
"""Prompts that are generated together; sorted by length first, so little of it is padding."""

Turns = Sequence[Message]


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A PEFT model and the tokenizer of its adapter."""

    model: Any
    tokenizer: Any
    dtype: str

    def generate(self, prompts: Sequence[Turns], *, max_new_tokens: int = 128, adapter: bool = True) -> list[str]:
        """Greedy answers to some conversations, without special tokens, in the order of the prompts."""
        texts = [self._render(turns, ask=True) for turns in prompts]
        order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
        answers: dict[int, str] = {}
        for start in range(0, len(order), PROMPTS_A_BATCH):
            places = order[start : start + PROMPTS_A_BATCH]
            with self._adapter(adapter):
                told = self._continue([texts[place] for place in places], max_new_tokens)
            answers.update(zip(places, told, strict=True))
        return [answers[place] for place in range(len(texts))]

    def score(self, rows: Sequence[Turns], *, adapter: bool = True) -> list[Score]:
        """Summed negative log-likelihood of the assistant's tokens of each conversation."""
        with self._adapter(adapter):
            found = score_batch(self.model, [self._labelled(turns) for turns in rows])
        return [Score(nll, tokens) for nll, tokens in found]

    @contextmanager
    def _adapter(self, on: bool) -> Iterator[None]:
        with nullcontext() if on else self.model.disable_adapter(), computing_in(self.dtype, self.model):
            yield

    def _continue(self, texts: Sequence[str], max_new_tokens: int) -> list[str]:
        self.tokenizer.padding_side = "left"
        given = self.tokenizer(list(texts), return_tensors="pt", padding=True, add_special_tokens=False)
        given = {name: given[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            out = self.model.generate(
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

    def _render(self, turns: Turns, *, ask: bool) -> str:
        if not self.tokenizer.chat_template:
            fix = "train on a base with a chat template, or put chat_template.jinja into the adapter's folder"
            raise TrainError("the adapter's tokenizer has no chat template", fix=fix)
        told = [{"role": turn.role, "content": turn.content} for turn in turns]
        return str(self.tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=ask))

    def _labelled(self, turns: Turns) -> tuple[list[int], list[int]]:
        """(input_ids, labels) of a conversation, -100 outside what the assistant says."""
        text = self._render(turns, ask=False)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = self._answers(turns, text)
        labels = [
            token if any(start <= begin < end for start, end in spans) else IGNORED
            for token, (begin, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]
        return list(encoded["input_ids"]), labels

    def _answers(self, turns: Turns, text: str) -> list[tuple[int, int]]:
        """Character spans of the assistant's turns in the rendered text."""
        spans = []
        for place, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            before = self._render(turns[:place], ask=True)
            whole = self._render(turns[: place + 1], ask=False)
            if not text.startswith(before) or not text.startswith(whole.rstrip()):
                fix = "use a chat template that doesn't change earlier turns"
                raise TrainError("the chat template doesn't keep a conversation's beginning", fix=fix)
            spans.append((len(before), len(whole.rstrip())))
        return spans


def open_adapter(artifact: AdapterArtifact, cache: Path) -> AdaptedModel:
    """Open an adapter folder on the base it was trained on, in the number type it was trained in."""
    settings = LoraSettings.model_validate(artifact.config)
    base = resolve_base(artifact.base, cache)
    dtype, device = choose_dtype(settings), choose_device(settings)
    quantize: Mapping[str, Any] = {"quantize": "nf4"} if settings.method == "qlora" else {}
    model, _ = load_base(base.folder, dtype=dtype, device=device, **quantize)
    from peft import PeftModel

    try:
        with renamed_in_transformers():
            adapted = PeftModel.from_pretrained(model, artifact.path)
        tokenizer = _tokenizer(artifact.path)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainError("the adapter can't be opened", where=artifact.path, fix="train it again") from error
    return AdaptedModel(adapted.eval(), tokenizer, dtype)


def _tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
