"""LoRA's linear layers as one step of autograd, and a whole feed-forward layer as one: less kept, fewer passes.

    LowRank   y = x W' + s (x A') B', keeping x and x A'
    GatedMlp  down(silu(gate(x)) * up(x)), keeping x, gate(x), up(x) and the three small products

PEFT's layer is four products, a scaling and an addition, each a pass over memory with a node of its own; here the
additions ride on the products (addmm), forward and backward, and W gets no gradient. The feed-forward layer computes
silu(gate) * up once more on the way back instead of keeping it twice: of a Llama's activations a third. Sums are the
same numbers in the same number type; only the order of additions differs. Only plain float adapters are replaced: DoRA,
dropout, 4-bit bases and an adapter that is switched off keep PEFT's own path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

GATED = ("gate_proj", "up_proj", "down_proj")
Grads = tuple[torch.Tensor | None, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """One layer: weight [out, in], bias [out] or None, a [r, in], b [out, r], in one number type."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    a: torch.Tensor
    b: torch.Tensor
    scale: float

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(y, x A') of x [n, in]."""
        inner = x @ self.a.T
        return torch.nn.functional.linear(x, self.weight, self.bias).addmm_(inner, self.b.T, alpha=self.scale), inner

    def backward(
        self, slope: torch.Tensor, x: torch.Tensor, inner: torch.Tensor, wanted: bool
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
        """Gradients of x (if wanted), a and b."""
        back = (slope @ self.b).mul_(self.scale)
        for_b = (slope.T @ inner).mul_(self.scale)
        for_x = (slope @ self.weight).addmm_(back, self.a) if wanted else None
        return for_x, back.T @ x, for_b


class LowRank(torch.autograd.Function):
    """x [n, in], weight, bias, a, b, scale -> [n, out]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """In the number type of the weight."""
        kind = weight.dtype
        layer = Weights(weight, bias, a.to(kind), b.to(kind), scale)
        x = x.to(kind)
        y, inner = layer.forward(x)
        ctx.save_for_backward(x, inner, weight, layer.a, layer.b)
        ctx.scale, ctx.kinds = scale, (a.dtype, b.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Grads:
        """Gradients of x, a and b."""
        x, inner, weight, a, b = ctx.saved_tensors
        layer = Weights(weight, None, a, b, ctx.scale)
        # The lowest layers' inputs need none: nothing below them is trained.
        for_x, for_a, for_b = layer.backward(grads[0].to(weight.dtype), x, inner, ctx.needs_input_grad[0])
        return for_x, None, None, for_a.to(ctx.kinds[0]), for_b.to(ctx.kinds[1]), None


class GatedMlp(torch.autograd.Function):
    """x [n, width]; a and b of gate, up and down; their frozen weights and scales -> [n, width]."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, frozen: tuple[Any, ...], *trained: torch.Tensor) -> torch.Tensor:
        """In the number type of the weights."""
        kind = frozen[0][0].dtype
        short = [matrix.to(kind) for matrix in trained]
        layers = _layers(frozen, short)
        x = x.to(kind)
        gate, inner_gate = layers[0].forward(x)
        up, inner_up = layers[1].forward(x)
        y, inner_down = layers[2].forward(torch.nn.functional.silu(gate).mul_(up))
        ctx.save_for_backward(x, gate, up, inner_gate, inner_up, inner_down, *short)
        ctx.frozen, ctx.kinds = frozen, [matrix.dtype for matrix in trained]
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Grads:
        """Gradients of x and of the six small matrices."""
        x, gate, up, inner_gate, inner_up, inner_down, *short = ctx.saved_tensors
        layers = _layers(ctx.frozen, short)
        bent = torch.nn.functional.silu(gate)
        back, *down = layers[2].backward(grads[0].to(gate.dtype), bent * up, inner_down, True)
        assert back is not None
        from_up, *upper = layers[1].backward(back * bent, x, inner_up, ctx.needs_input_grad[0])
        slope = torch.ops.aten.silu_backward(back.mul_(up), gate)
        from_gate, *gated = layers[0].backward(slope, x, inner_gate, ctx.needs_input_grad[0])
        for_x = from_gate.add_(from_up) if from_gate is not None and from_up is not None else None
        found = [matrix.to(kind) for matrix, kind in zip((*gated, *upper, *down), ctx.kinds, strict=True)]
        return for_x, None, *found


def _layers(frozen: tuple[Any, ...], short: list[torch.Tensor]) -> list[Weights]:
    """Gate, up and down, from (weight, bias, scale) of each and their small matrices in a row."""
    pairs = zip(frozen, short[::2], short[1::2], strict=True)
    return [Weights(weight, bias, a, b, scale) for (weight, bias, scale), a, b in pairs]


def fuse(model: Any) -> int:
    """Give the plain LoRA layers of a PEFT model these steps; how many linear layers there were."""
    from peft.tuners.lora import Linear

    plain = {id(part) for part in model.modules() if type(part) is Linear and _is_plain(part)}
    for part in model.modules():
        if id(part) in plain:
            _put(part, _linear)
        elif all(id(getattr(part, name, None)) in plain for name in GATED) and _is_silu(getattr(part, "act_fn", None)):
            _put(part, _gated)
    return len(plain)


def _is_silu(bend: Any) -> bool:
    return type(bend).__name__ in ("SiLUActivation", "SiLU")


def _put(part: Any, step: Any) -> None:
    setattr(part, "forward", partial(step, part, part.forward))  # noqa: B010  # the instance's own


def _is_plain(part: Any) -> bool:
    base = part.get_base_layer()
    return (
        list(part.lora_A) == ["default"]
        and type(base) is torch.nn.Linear
        and not part.lora_variant
        and part.lora_B["default"].bias is None
        and isinstance(part.lora_dropout["default"], torch.nn.Identity)
    )


def _is_off(part: Any) -> bool:
    return bool(part.disable_adapters or part.merged)


def _linear(part: Any, other: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if args or kwargs or _is_off(part):
        return other(x, *args, **kwargs)
    base = part.get_base_layer()
    a, b = part.lora_A["default"].weight, part.lora_B["default"].weight
    flat = x.reshape(-1, x.shape[-1])
    return LowRank.apply(flat, base.weight, base.bias, a, b, part.scaling["default"]).view(*x.shape[:-1], -1)


def _gated(part: Any, other: Any, x: torch.Tensor) -> torch.Tensor:
    layers = [part.gate_proj, part.up_proj, part.down_proj]
    if any(map(_is_off, layers)):
        return other(x)
    frozen = tuple(
        (layer.get_base_layer().weight, layer.get_base_layer().bias, layer.scaling["default"]) for layer in layers
    )
    trained = [side["default"].weight for layer in layers for side in (layer.lora_A, layer.lora_B)]
    return GatedMlp.apply(x.reshape(-1, x.shape[-1]), frozen, *trained).view(*x.shape[:-1], -1)
