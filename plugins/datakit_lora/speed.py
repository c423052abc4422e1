"""How fast a run is: tokens a second in three kinds, and the share of the device's arithmetic that does useful work.

Useful work is counted as 4 N a token with an adapter (forward, and gradients of activations; frozen weights need none
of their own), 6 N with `full`; N is every weight of the base. What gradient checkpointing computes again doesn't count.
The device's arithmetic is measured, not looked up: the best of a few square matrix products in the run's number type.

slot tokens: places in packed rows, padding too. real: tokens of documents. supervised: tokens that are learned.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from datakit_lora.device import peak_memory
from datakit_lora.loop import Progress

SIDES = {"cpu": 768, "cuda": 8192}
TRIES = 4


@dataclass(frozen=True, slots=True)
class Figures:
    """The same figures for a line on a terminal, and for the journal."""

    short: dict[str, str]
    full: dict[str, float]


@dataclass(frozen=True, slots=True)
class Speed:
    """What is needed to tell the figures of a run."""

    flops_a_token: float
    peak_flops: float
    device: str

    def figures(self, progress: Progress) -> Figures:
        """Of all steps so far, evaluations left out."""
        seconds = progress.seconds or 1e-9
        rates = {
            "slot": progress.slots / seconds, "real": progress.real / seconds,
            "supervised": progress.supervised / seconds,
        }  # fmt: skip
        used = self.flops_a_token * rates["real"]
        memory = peak_memory(self.device)
        full = {f"{kind}_tokens_per_s": round(rate, 1) for kind, rate in rates.items()}
        full |= {"tflops": round(used / 1e12, 6), "mfu": round(used / self.peak_flops, 4), "peak_memory_bytes": memory}
        short = {
            "tok/s": " ".join(f"{rate:,.0f} {kind}" for kind, rate in rates.items()),
            "mfu": f"{used / self.peak_flops:.0%}",
            "memory": f"{memory / 2**30:.1f} GiB",
        }
        return Figures(short, full)


def speed_of(model: Any, trains_all: bool, device: str, dtype: str, threads: int) -> Speed:
    """For a model that is about to be trained."""
    weights = sum(_size(weight) for name, weight in model.named_parameters() if ".default" not in name)
    return Speed((6.0 if trains_all else 4.0) * weights, peak_flops(device, dtype, threads), device)


def _size(weight: torch.Tensor) -> int:
    """Numbers in a weight; bitsandbytes keeps two in a byte."""
    return 2 * weight.numel() if type(weight).__name__ == "Params4bit" else weight.numel()


@cache
def peak_flops(device: str, dtype: str, threads: int) -> float:
    """Multiplications and additions a second of a large matrix product (a fifth of a second, once a process)."""
    side = SIDES[device]
    one = torch.ones(side, side, device=device, dtype=getattr(torch, dtype))
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        product = one @ one
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    del product
    return 2.0 * side**3 / best
