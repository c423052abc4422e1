"""Conversations as token ids and labels, by the chat template that a tokenizer carries.

What counts is every turn of the assistant's with its stop token: the text between the conversation up to the turn, with
its generation prompt, and the conversation with the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datakit.errors import TrainError
from datakit.schemas import IGNORED, Message

Turns = Sequence[Message]


def render(tokenizer: Any, turns: Turns, *, ask: bool) -> str:
    """A conversation as text; `ask` adds what comes before the assistant's next turn."""
    if not tokenizer.chat_template:
        fix = "train on a base with a chat template, or put chat_template.jinja into the adapter's folder"
        raise TrainError("the adapter's tokenizer has no chat template", fix=fix)
    told = [{"role": turn.role, "content": turn.content} for turn in turns]
    return str(tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=ask))


def labelled(tokenizer: Any, turns: Turns, first: int = 0) -> tuple[list[int], list[int]]:
    """(input_ids, labels) of a conversation, -100 outside what the assistant says from turn `first` on."""
    text = render(tokenizer, turns, ask=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = _answers(tokenizer, turns, text, first)
    labels = [
        token if any(start <= begin < end for start, end in spans) else IGNORED
        for token, (begin, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return list(encoded["input_ids"]), labels


def _answers(tokenizer: Any, turns: Turns, text: str, first: int) -> list[tuple[int, int]]:
    """Character spans of the assistant's turns in the rendered text."""
    spans = []
    for place, turn in enumerate(turns):
        if turn.role != "assistant" or place < first:
            continue
        before = render(tokenizer, turns[:place], ask=True)
        whole = render(tokenizer, turns[: place + 1], ask=False)
        if not text.startswith(before) or not text.startswith(whole.rstrip()):
            fix = "use a chat template that doesn't change earlier turns"
            raise TrainError("the chat template doesn't keep a conversation's beginning", fix=fix)
        spans.append((len(before), len(whole.rstrip())))
    return spans
