"""Attention for packed rows: every document attends to itself alone, without a mask and without flash-attn.

Registered with transformers under the name `datakit_blocks`. A micro-batch is one line of n tokens made of documents
of lengths n1, n2, ...; each document is one causal SDPA call, so the work is the sum of ni squared instead of n
squared, and no [n, n] mask is built. On a CPU (2 cores, 9 heads on 3, 1024 tokens in 10 documents, one layer, forward
and backward) that is 12 ms against 62 ms for SDPA with a block mask, and the same 12 ms in a hand-written softmax.

transformers itself leaks between packed documents as soon as a KV cache or a 2-D mask is passed; so `prove_isolation`
runs two short documents through every model before it is trained, and refuses a model in which one feels the other.
"""

from __future__ import annotations

from typing import Any

import torch

from datakit.errors import TrainError

NAME = "datakit_blocks"
PROBE_TOKENS = 6
"""Length of each of the two documents that prove isolation."""


def use_blocks(model: Any) -> None:
    """Make a transformers model attend within documents; its calls then need `document_lengths`."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, blocks)
    AttentionMaskInterface.register(NAME, _no_mask)
    model.set_attn_implementation(NAME)


def blocks(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    document_lengths: tuple[int, ...] | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, n, width], key and value [1, key heads, n, width] -> [1, n, heads, width]."""
    if document_lengths is None or attention_mask is not None or softcap is not None or query.shape[0] != 1:
        family = type(module).__name__
        raise TrainError(
            f"packed rows can't be kept apart in {family}",
            fix="choose a base of the Llama, Qwen, Mistral or SmolLM family",
        )
    short = query.dtype
    with torch.autocast(query.device.type, enabled=False):
        if query.device.type == "cpu":
            # The CPU kernel is 1.3 to 2 times as fast in float32 as in bfloat16 (both ways, 32 to 256 tokens).
            query, key, value = query.float(), key.float(), value.float()
        lengths = list(document_lengths)
        parts = [
            torch.nn.functional.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=_window(q.shape[2], sliding_window, q.device),
                dropout_p=dropout,
                is_causal=sliding_window is None or q.shape[2] <= sliding_window,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
        ]
        return torch.cat(parts, dim=2).transpose(1, 2).to(short), None


def prove_isolation(model: Any, backbone: Any) -> None:
    """Refuse a model in which a packed document changes when its neighbour does, or sees its own future."""
    n = PROBE_TOKENS
    ids = torch.arange(2 * n, device=model.device)[None] % 7 + 3
    lengths = (n, n)
    positions = torch.arange(n, device=model.device).repeat(2)[None]
    other_first, other_last = ids.clone(), ids.clone()
    other_first[0, :n] += 5
    other_last[0, -1] += 5
    with torch.no_grad():
        whole, first, last = (
            hidden_states(backbone, tokens, positions, lengths)[0] for tokens in (ids, other_first, other_last)
        )
    if not torch.equal(whole[n:], first[n:]) or not torch.equal(whole[:-1], last[:-1]):
        fix = "choose a base of the Llama, Qwen, Mistral or SmolLM family"
        raise TrainError(f"{type(model).__name__} lets packed documents see each other", fix=fix)
    if torch.equal(whole[:n], first[:n]):
        raise TrainError(
            f"{type(model).__name__} doesn't react to its input", fix="check the weights of the base model"
        )


def hidden_states(
    backbone: Any, input_ids: torch.Tensor, position_ids: torch.Tensor, lengths: tuple[int, ...]
) -> torch.Tensor:
    """The last hidden states [1, n, width] of packed documents."""
    # use_cache=False on purpose: left at its default, transformers ignores the restarts of position_ids.
    out = backbone(input_ids=input_ids, position_ids=position_ids, use_cache=False, document_lengths=lengths)
    return out.last_hidden_state


def _window(length: int, width: int | None, device: torch.device) -> torch.Tensor | None:
    """The mask of a sliding window (True: seen), where the document is longer than the window."""
    if width is None or length <= width:
        return None
    place = torch.arange(length, device=device)
    back = place[:, None] - place[None, :]
    return (back >= 0) & (back < width)


def _no_mask(*_: Any, **__: Any) -> None:
    """No mask is ever built for this backend."""
