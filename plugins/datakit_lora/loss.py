"""Cross entropy of the tokens that are learned, and of no others; logits exist for one tile of tokens at a time.

With an adapter the output layer is not trained, so its weight needs no gradient: of the three large products (logits,
gradient of the input, gradient of the weight) two are left. The gradient of the input is made while the tile is there,
so nothing is computed again. The idea is Liger-Kernel's; that a frozen head makes it cheaper still is measured in
huggingface/trl#7244. A head that is trained (`head`, `full`) goes through the same tiles and computes each twice
instead of keeping it. A head that is more than a matrix (a bias, a scale, a cap) keeps the model's own path.

Softmax, sums and the loss are float32 whatever the weights are. A tile spans the whole vocabulary, so no gradient is
summed over pieces of it in a short number type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from datakit_lora.attention import Documents, hidden_states
from datakit_lora.batches import ROUND, Batch
from datakit_lora.soft import Soft

TILE = 256
"""Tokens in a tile: with a vocabulary of 49,152 its logits are 50 MB in float32."""


@dataclass(frozen=True, slots=True)
class Losses:
    """A model split into what the loss needs: the layers below the head, the head, and virtual tokens if it has any."""

    model: Any
    backbone: Any
    weight: torch.Tensor | None
    """Weight of the output layer [vocabulary, width] if that is all it is, else None."""
    soft: Soft | None = None

    def summed(self, batch: Batch) -> torch.Tensor:
        """The sum of negative log-likelihoods over the learned tokens of a micro-batch (a scalar, float32)."""
        return self.each(batch).sum()

    def by_document(self, batch: Batch) -> torch.Tensor:
        """That sum for each document of the micro-batch [documents]."""
        each = self.each(batch)
        owner = on_device(batch.owner, each.device)
        return torch.zeros(len(batch.lengths), device=each.device).index_add(0, owner, each)

    def each(self, batch: Batch) -> torch.Tensor:
        """The negative log-likelihood of every learned token of a micro-batch [learned], float32."""
        device = self.model.device
        learned, wanted = on_device(batch.learned, device), on_device(batch.wanted, device)
        if self.weight is None:
            out = self.model(
                input_ids=on_device(batch.input_ids, device)[None],
                position_ids=on_device(batch.position_ids, device)[None],
                use_cache=False,
                documents=Documents(batch.lengths, device),
                logits_to_keep=learned,
            )
            return torch.nn.functional.cross_entropy(out.logits[0].float(), wanted, reduction="none")
        hidden = self.hidden(batch)[0, learned]
        if self.weight.requires_grad:
            return trained_head_loss(hidden, self.weight, wanted)
        return frozen_head_loss(hidden, self.weight, wanted)

    def hidden(self, batch: Batch) -> torch.Tensor:
        """The last hidden states [1, n, width]."""
        device = self.model.device
        ids, positions = on_device(batch.input_ids, device), on_device(batch.position_ids, device)
        documents = Documents(batch.lengths, device)
        if self.soft is None:
            return hidden_states(self.backbone, positions[None], documents, input_ids=ids[None])
        return self.soft.hidden_states(self.backbone, ids, positions, documents)


def on_device(array: Any, device: torch.device) -> torch.Tensor:
    """An array as a tensor on a device; to a GPU without waiting for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def losses_of(model: Any) -> Losses:
    """Split a causal language model, with a PEFT adapter or without."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    backbone, head = causal.base_model, causal.get_output_embeddings()
    soft = Soft(model) if hasattr(model, "prompt_encoder") else None
    inner = _trained_copy(head)
    plain = type(inner) is torch.nn.Linear and inner.bias is None
    if plain and _head_is_all(causal, backbone, head):
        return Losses(causal, backbone, inner.weight, soft)
    return Losses(causal, backbone, None)


def _trained_copy(head: Any) -> Any:
    """The layer that does the work where PEFT put a trained copy beside a head."""
    copies = getattr(head, "ln_tuning_layers", None)
    return copies["default"] if copies is not None and "default" in copies else head


def _head_is_all(causal: Any, backbone: Any, head: Any) -> bool:
    """Whether logits are head(hidden) and nothing else: some families scale or cap them (Gemma 2, Granite, Cohere)."""
    ids = torch.arange(3, 7, device=causal.device)[None]
    documents = Documents((4,), causal.device)
    positions = torch.arange(4, device=causal.device)[None]
    with torch.no_grad():
        hidden = hidden_states(backbone, positions, documents, input_ids=ids)
        out = causal(input_ids=ids, position_ids=positions, use_cache=False, documents=documents)
        return bool(torch.equal(head(hidden), out.logits))


def frozen_head_loss(
    hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor, tile: int = TILE
) -> torch.Tensor:
    """-log softmax(hidden @ weight.T)[wanted] of each token: hidden [n, width], weight [vocabulary, width], -> [n]."""
    return FrozenHead.apply(hidden, weight, wanted, tile)


class FrozenHead(torch.autograd.Function):
    """The loss above, with the gradient of `hidden` made in the forward pass; `weight` gets none."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor, tile: int) -> torch.Tensor:
        """Tile by tile of tokens."""
        count = len(wanted)
        found = torch.empty(count, dtype=torch.float32, device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        rows = torch.nn.functional.pad(hidden.to(weight.dtype), (0, 0, 0, -count % ROUND))
        goals = torch.nn.functional.pad(wanted, (0, -count % ROUND))[:, None]
        for start in range(0, count, tile):
            real = min(tile, count - start)
            part, goal = rows[start : start + tile], goals[start : start + tile]
            logits = (part @ weight.T).float()
            reached = logits.gather(1, goal)
            top = logits.amax(dim=1, keepdim=True)
            # One exponential, in place, serves the sum and the gradient: logsumexp would make two and a copy.
            mass = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
            found[start : start + real] = (top + mass.log() - reached)[:real, 0]
            if slope is not None:
                # mass x d loss / d logits = exp - mass x one_hot; dividing the small product spares a pass.
                logits.scatter_add_(1, goal, -mass)
                slope[start : start + real] = ((logits.to(weight.dtype) @ weight) / mass)[:real]
        if slope is not None:
            ctx.save_for_backward(slope)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """The kept gradient times what each token's loss is worth."""
        (slope,) = ctx.saved_tensors
        return slope * grads[0].to(slope.dtype)[:, None], None, None, None


def trained_head_loss(
    hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor, tile: int = TILE
) -> torch.Tensor:
    """The same where `weight` is trained too: a tile's logits are computed again in the backward pass."""
    parts = [
        checkpoint(_tile_loss, hidden[at : at + tile], weight, wanted[at : at + tile], use_reentrant=False)
        for at in range(0, len(wanted), tile)
    ]
    return torch.cat(parts) if parts else hidden.sum(1).float() * 0


def _tile_loss(hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    logits = torch.nn.functional.linear(hidden.to(weight.dtype), weight).float()
    return torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
