"""Attention for packed rows: every document attends to itself alone, whatever the device has to do it with.

A micro-batch is one line of n tokens made of documents of lengths n1, n2, ... Each way below is registered with
transformers under `datakit_<name>`; none builds transformers' own [n, n] mask:

    blocks   one causal SDPA call a document: work is the sum of ni squared; the exact one, and the CPU's. (2 cores, 9
             heads on 3, 1024 tokens in 10 documents, a layer both ways: 12 ms; SDPA with a block mask: 62 ms.)
    sdpa     one SDPA call with a block-diagonal mask, made once a micro-batch: memory n squared
    flex     torch's flex_attention with a document mask, compiled: CUDA, any number type
    varlen   torch's own variable-length flash attention (since 2.10): CUDA, 16-bit types, heads of 256 at most
    flash    the package flash-attn, where it is installed

transformers itself leaks between packed documents as soon as a KV cache or a 2-D mask is passed; so `prove_isolation`
runs two short documents through every model before it is trained, and refuses a model in which one feels the other.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch

from datakit.errors import ConfigError, Problem, TrainError
from datakit_lora.config import LoraSettings

PREFIX = "datakit_"
PROBE_TOKENS = 6
"""Length of each of the two documents that prove isolation."""
BOUNDS = 64
"""cu_seqlens are filled up to a multiple of this: a shape that changed each batch would compile anew each time."""
WIDEST_HEAD = 256
"""Widest head that torch's varlen attention takes."""
INT32 = 2**31
SUPPORTED = "choose a base of the Llama, Qwen, Mistral or SmolLM family"


class Documents:
    """Where the documents of a micro-batch lie; what a kernel needs of that is made once and serves every layer."""

    def __init__(
        self,
        lengths: tuple[int, ...],
        device: torch.device,
        prefix: Sequence[tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> None:
        self.lengths, self.device = lengths, device
        self.prefix = prefix
        """Learned keys and values [1, key heads, v, width] of each layer, seen by every token."""

    @cached_property
    def bounds(self) -> torch.Tensor:
        """cu_seqlens, int32: 0, n1, n1 + n2, ..., n, and n again up to a fixed length (documents of no token)."""
        ends = torch.tensor([0, *self.lengths]).cumsum(0)
        filled = torch.nn.functional.pad(ends, (0, -len(ends) % BOUNDS), value=int(ends[-1]))
        return filled.to(torch.int32).to(self.device)

    @cached_property
    def longest(self) -> int:
        """Length of the longest, rounded up, so that few values occur."""
        return -(-max(self.lengths) // BOUNDS) * BOUNDS

    @cached_property
    def numbers(self) -> torch.Tensor:
        """Which document each token belongs to [n]."""
        return torch.repeat_interleave(torch.tensor(self.lengths)).to(self.device)

    def mask(self, window: int | None) -> torch.Tensor:
        """[n, n] booleans, True where a token (row) sees another; made once for each width of window."""
        if window not in self._masks:
            place = torch.arange(len(self.numbers), device=self.device)
            back = place[:, None] - place[None, :]
            seen = (back >= 0) & (self.numbers[:, None] == self.numbers[None, :])
            self._masks[window] = seen if window is None else seen & (back < window)
        return self._masks[window]

    @cached_property
    def _masks(self) -> dict[int | None, torch.Tensor]:
        return {}

    @cached_property
    def block_masks(self) -> dict[int | None, Any]:
        """flex_attention's masks, by width of window."""
        return {}


def choose_attention(config: LoraSettings, model: Any, device: str, dtype: str) -> str:
    """The way to attend: as asked if it can be, else the fastest that this device, number type and model allow."""
    if config.attention == "auto":
        return "varlen" if config.method != "prefix" and not _why_not("varlen", model, device, dtype) else "blocks"
    why = _why_not(config.attention, model, device, dtype)
    if config.method == "prefix" and config.attention != "blocks":
        why = "prefix tuning puts keys before each document"
    if why:
        raise ConfigError((Problem("train.attention", f"{config.attention} can't be used: {why}", "set auto"),))
    return config.attention


def _why_not(name: str, model: Any, device: str, dtype: str) -> str:
    """What stands against a way to attend; "" if nothing does."""
    if name in ("blocks", "sdpa"):
        return ""
    if device != "cuda":
        return "it needs a CUDA device"
    if name == "flex":
        return "" if importlib.util.find_spec("triton") else "it needs the package triton"
    width = getattr(model.config, "head_dim", None) or model.config.hidden_size // model.config.num_attention_heads
    if dtype != "bfloat16":
        return "it computes in 16 bits only"
    if torch.cuda.get_device_capability() < (8, 0):
        return "it needs a GPU since Ampere"
    if width > WIDEST_HEAD:
        return f"a head of this base has {width} channels, {WIDEST_HEAD} are the most"
    package = "torch.nn.attention.varlen" if name == "varlen" else "flash_attn"
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    return ""


def use_attention(model: Any, name: str, *, compiled: bool = False) -> None:
    """Make a transformers model attend within documents; its calls then need `documents`.

    A model that is `compiled` leaves attention out: document lengths differ from batch to batch, and each would be
    compiled anew (25 s a step in nanochat's log).
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    call: Any = partial(attend, kernel=KERNELS[name])
    AttentionInterface.register(PREFIX + name, torch.compiler.disable(call) if compiled else call)
    AttentionMaskInterface.register(PREFIX + name, _no_mask)
    model.set_attn_implementation(PREFIX + name)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    kernel: Callable[..., torch.Tensor],
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    documents: Documents | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, n, width], key and value [1, key heads, n, width] -> [1, n, heads, width]."""
    if documents is None or attention_mask is not None or softcap is not None or query.shape[0] != 1:
        raise TrainError(f"packed rows can't be kept apart in {type(module).__name__}", fix=SUPPORTED)
    if kernel in (varlen, flash) and overflows(query, len(documents.lengths)):
        kernel = blocks
    prefix = documents.prefix[module.layer_idx] if documents.prefix is not None else None
    short = query.dtype
    with torch.autocast(query.device.type, enabled=False):
        found = kernel(
            query, key, value, documents, window=sliding_window, scale=scaling, dropout=dropout, before=prefix
        )
    return found.to(short), None


def overflows(query: torch.Tensor, documents: int) -> bool:
    """Whether flash attention's backward pass would count past 32 bits: many short documents in one long line.

    The bound was found by unslothai/unsloth (attention_dispatch.py): (tokens + 128 a document) x heads x width.
    """
    _, heads, tokens, width = query.shape
    return (tokens + 128 * (documents + BOUNDS)) * heads * (-(-width // 32) * 32) >= INT32


def blocks(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    window: int | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    before: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> torch.Tensor:
    """One SDPA call a document."""
    if query.device.type == "cpu":
        # The CPU kernel is 1.3 to 2 times as fast in float32 as in bfloat16 (both ways, 32 to 256 tokens).
        query, key, value = query.float(), key.float(), value.float()
    lengths = list(documents.lengths)
    parts = []
    for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True):
        if before is not None:
            k, v = (torch.cat([first.to(rest.dtype), rest], 2) for first, rest in zip(before, (k, v), strict=True))
        mask = _seen(q.shape[2], k.shape[2], window, q.device)
        parts.append(_sdpa(q, k, v, mask, scale, dropout))
    return torch.cat(parts, dim=2).transpose(1, 2)


def masked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    window: int | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> torch.Tensor:
    """One SDPA call with a mask."""
    return _sdpa(query, key, value, documents.mask(window), scale, dropout).transpose(1, 2)


def flex(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    window: int | None = None,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """torch's flex_attention."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    if window not in documents.block_masks:
        numbers = documents.numbers

        def seen(_batch: Any, _head: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            near = (q >= k) & (numbers[q] == numbers[k])
            return near if window is None else near & (q - k < window)

        size = len(numbers)
        documents.block_masks[window] = create_block_mask(seen, None, None, size, size, device=str(query.device))
    if not _compiled:
        _compiled.append(torch.compile(flex_attention, dynamic=True))
    grouped = query.shape[1] != key.shape[1]
    mask = documents.block_masks[window]
    return _compiled[0](query, key, value, block_mask=mask, scale=scale, enable_gqa=grouped).transpose(1, 2)


_compiled: list[Any] = []
"""flex_attention, compiled once a process."""


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    window: int | None = None,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """torch's variable-length flash attention."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    sizes = (documents.bounds, documents.bounds, documents.longest, documents.longest)
    back = (-1 if window is None else window - 1, 0)
    grouped = q.shape[1] != k.shape[1]
    found: Any = varlen_attn(q, k, v, *sizes, scale=scale, window_size=back, enable_gqa=grouped)
    return found[None]


def flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    documents: Documents,
    *,
    window: int | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> torch.Tensor:
    """The package flash-attn."""
    from flash_attn import flash_attn_varlen_func

    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))
    sizes = (documents.bounds, documents.bounds, documents.longest, documents.longest)
    back = (-1 if window is None else window - 1, 0)
    found = flash_attn_varlen_func(
        q, k, v, *sizes, dropout_p=dropout, softmax_scale=scale, causal=True, window_size=back
    )
    return found[None]


KERNELS: dict[str, Callable[..., torch.Tensor]] = {
    "blocks": blocks,
    "sdpa": masked,
    "flex": flex,
    "varlen": varlen,
    "flash": flash,
}


def _sdpa(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float | None,
    dropout: float,
) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _seen(tokens: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """The mask of a document (True: seen) where keys come before it or it is longer than its window; else None."""
    first = keys - tokens
    if not first and (window is None or tokens <= window):
        return None
    place = torch.arange(tokens, device=device)[:, None]
    back = place - (torch.arange(keys, device=device)[None, :] - first)
    near = back >= 0 if window is None else (back >= 0) & (back < window)
    return near if not first else near | (torch.arange(keys, device=device) < first)


def prove_isolation(model: Any, backbone: Any) -> None:
    """Refuse a model in which a packed document changes when its neighbour does, or sees its own future."""
    n = PROBE_TOKENS
    ids = torch.arange(2 * n, device=model.device)[None] % 7 + 3
    documents = Documents((n, n), ids.device)
    positions = torch.arange(n, device=model.device).repeat(2)[None]
    other_first, other_last = ids.clone(), ids.clone()
    other_first[0, :n] += 5
    other_last[0, -1] += 5
    with torch.no_grad():
        whole, first, last = (
            hidden_states(backbone, positions, documents, input_ids=tokens)[0]
            for tokens in (ids, other_first, other_last)
        )
    if not torch.equal(whole[n:], first[n:]) or not torch.equal(whole[:-1], last[:-1]):
        raise TrainError(f"{type(model).__name__} lets packed documents see each other", fix=SUPPORTED)
    if torch.equal(whole[:n], first[:n]):
        raise TrainError(
            f"{type(model).__name__} doesn't react to its input", fix="check the weights of the base model"
        )


def hidden_states(
    backbone: Any, position_ids: torch.Tensor, documents: Documents, **tokens: torch.Tensor
) -> torch.Tensor:
    """The last hidden states [1, n, width] of packed documents, given as `input_ids` or `inputs_embeds`."""
    # use_cache=False on purpose: left at its default, transformers ignores the restarts of position_ids.
    out = backbone(**tokens, position_ids=position_ids, use_cache=False, documents=documents)
    return out.last_hidden_state


def _no_mask(*_: Any, **__: Any) -> None:
    """No mask is ever built for these."""
