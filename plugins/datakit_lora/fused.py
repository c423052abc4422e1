"""LoRA's linear layer as one step of autograd: y = x W' + s (x A') B', with nothing kept but x and x A'.

PEFT's layer is four products, a scaling and an addition, each a pass over memory with a node of its own; here the
additions ride on the products (addmm), forward and backward, and W gets no gradient. The forward pass is bitwise the
same in float32; gradients differ by the order of two additions. Only a plain float adapter is replaced: DoRA, dropout,
4-bit bases and an adapter that is switched off keep PEFT's own path.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch


class LowRank(torch.autograd.Function):
    """x [n, in], weight [out, in], bias [out] or None, a [r, in], b [out, r] -> [n, out]."""

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
        x, low_a, low_b = x.to(kind), a.to(kind), b.to(kind)
        inner = x @ low_a.T
        y = torch.nn.functional.linear(x, weight, bias).addmm_(inner, low_b.T, alpha=scale)
        ctx.save_for_backward(x, inner, weight, low_a, low_b)
        ctx.scale, ctx.kinds = scale, (a.dtype, b.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of x, a and b."""
        x, inner, weight, a, b = ctx.saved_tensors
        slope = grads[0].to(weight.dtype)
        back = (slope @ b).mul_(ctx.scale)
        for_b = (slope.T @ inner).mul_(ctx.scale).to(ctx.kinds[1])
        for_a = (back.T @ x).to(ctx.kinds[0])
        # The lowest layers' inputs need none: nothing below them is trained.
        for_x = (slope @ weight).addmm_(back, a) if ctx.needs_input_grad[0] else None
        return for_x, None, None, for_a, for_b, None


def fuse(model: Any) -> int:
    """Give every plain LoRA layer of a PEFT model this step; how many there were."""
    from peft.tuners.lora import Linear

    count = 0
    for part in model.modules():
        if type(part) is Linear and _is_plain(part):
            setattr(part, "forward", partial(_forward, part, part.forward))  # noqa: B010  # the instance's own
            count += 1
    return count


def _is_plain(part: Any) -> bool:
    names = list(part.lora_A)
    base = part.get_base_layer()
    return (
        names == ["default"]
        and type(base) is torch.nn.Linear
        and not part.lora_variant
        and part.lora_B["default"].bias is None
        and isinstance(part.lora_dropout["default"], torch.nn.Identity)
    )


def _forward(part: Any, other: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if args or kwargs or part.disable_adapters or part.merged:
        return other(x, *args, **kwargs)
    base = part.get_base_layer()
    flat = x.reshape(-1, x.shape[-1])
    a, b = part.lora_A["default"].weight, part.lora_B["default"].weight
    y = LowRank.apply(flat, base.weight, base.bias, a, b, part.scaling["default"])
    return y.view(*x.shape[:-1], y.shape[-1])
