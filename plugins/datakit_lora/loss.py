"""Cross entropy through a frozen output layer, only where there is something to learn.

With LoRA the output layer is not trained, so its weight needs no gradient: of the three large products (logits,
gradient of the input, gradient of the weight) two are left, and only for the tokens that are learned. Logits exist for
one tile of tokens at a time; the gradient of the input is made while the tile is there, so nothing is computed again.
The idea is Liger-Kernel's; that a frozen head makes it cheaper still is measured in huggingface/trl#7244.

Softmax, sums and the loss are float32 whatever the weights are. A tile spans the whole vocabulary, so no gradient is
summed over pieces of it in a short number type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from datakit.schemas import IGNORED
from datakit_lora.attention import hidden_states
from datakit_lora.batches import ROUND, Batch

TILE = 256
"""Tokens in a tile: with a vocabulary of 49,152 its logits are 50 MB in float32."""


@dataclass(frozen=True, slots=True)
class Losses:
    """A model split into what the loss needs: the layers below the head, and the head."""

    model: Any
    backbone: Any
    weight: torch.Tensor | None
    """Weight of the output layer [vocabulary, width] if it is a plain frozen matrix, else None."""

    def summed(self, batch: Batch) -> torch.Tensor:
        """The sum of negative log-likelihoods over the learned tokens of a micro-batch (a scalar, float32)."""
        device = self.model.device
        tensors = (torch.from_numpy(array).to(device) for array in (batch.input_ids, batch.targets, batch.position_ids))
        ids, targets, positions = tensors
        learned = torch.nonzero(targets != IGNORED).squeeze(1)
        wanted = targets[learned]
        if self.weight is None:
            out = self.model(
                input_ids=ids[None],
                position_ids=positions[None],
                use_cache=False,
                document_lengths=batch.lengths,
                logits_to_keep=learned,
            )
            return torch.nn.functional.cross_entropy(out.logits[0].float(), wanted, reduction="sum")
        hidden = hidden_states(self.backbone, ids[None], positions[None], batch.lengths)[0, learned]
        return frozen_head_loss(hidden, self.weight, wanted)


def losses_of(model: Any) -> Losses:
    """Split a (PEFT) causal language model; a head that is trained, biased or scaled keeps the model's own path."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    backbone = causal.base_model
    head = causal.get_output_embeddings()
    plain = type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad
    if plain and _head_is_all(causal, backbone, head):
        return Losses(causal, backbone, head.weight)
    return Losses(causal, backbone, None)


def _head_is_all(causal: Any, backbone: Any, head: Any) -> bool:
    """Whether logits are head(hidden) and nothing else: some families scale or cap them (Gemma 2, Granite, Cohere)."""
    ids = torch.arange(3, 7, device=causal.device)[None]
    call = {"input_ids": ids, "position_ids": torch.arange(4, device=causal.device)[None], "use_cache": False}
    with torch.no_grad():
        hidden = backbone(**call, document_lengths=(4,)).last_hidden_state
        return bool(torch.equal(head(hidden), causal(**call, document_lengths=(4,)).logits))


def frozen_head_loss(
    hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor, tile: int = TILE
) -> torch.Tensor:
    """Sum of -log softmax(hidden @ weight.T)[wanted]: hidden [n, width], weight [vocabulary, width], wanted [n]."""
    return FrozenHead.apply(hidden, weight, wanted, tile)


class FrozenHead(torch.autograd.Function):
    """The loss above, with the gradient of `hidden` made in the forward pass; `weight` gets none."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, wanted: torch.Tensor, tile: int) -> torch.Tensor:
        """Sum over tiles of tokens."""
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        count = len(wanted)
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
            total += (top + mass.log() - reached)[:real].sum()
            if slope is not None:
                # mass x d loss / d logits = exp - mass x one_hot; dividing the small product spares a pass.
                logits.scatter_add_(1, goal, -mass)
                slope[start : start + real] = ((logits.to(weight.dtype) @ weight) / mass)[:real]
        if slope is not None:
            ctx.save_for_backward(slope)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """The kept gradient times the gradient of the sum."""
        (slope,) = ctx.saved_tensors
        return slope * grads[0].to(slope.dtype), None, None, None
