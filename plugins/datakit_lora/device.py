"""Where to compute and in which number type: decided by what the device can do, never by a timing, so it repeats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from datakit.errors import ConfigError, Problem
from datakit.models import DType, FourBit
from datakit_lora.config import LoraSettings


def choose_device(config: LoraSettings) -> str:
    """`cuda` or `cpu`."""
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise ConfigError((Problem("train.device", "there is no CUDA device here", "use device: auto or cpu"),))
    return "cuda" if there and config.device != "cpu" else "cpu"


def choose_dtype(config: LoraSettings) -> DType:
    """`bfloat16` where the device multiplies matrices in it (GPUs since Ampere, CPUs with avx512_bf16 or AMX).

    With avx512_bf16 a step of 1000 tokens on SmolLM2 takes 4.2 CPU seconds against 7.3 in float32 (equal losses);
    without, bfloat16 is emulated, slowly.
    """
    if config.dtype != "auto":
        return config.dtype
    if choose_device(config) == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def four_bit(config: LoraSettings) -> FourBit | None:
    """How the base is held in 4 bits; None: it is not."""
    return FourBit(config.four_bit, config.double_quant) if config.method == "qlora" else None


@contextmanager
def computing_in(dtype: str, model: Any) -> Iterator[None]:
    """The number type of a PEFT model's forward pass: float32 adapters on a bfloat16 base compute in bfloat16."""
    from peft.helpers import disable_input_dtype_casting

    with ExitStack() as stack:
        if dtype == "bfloat16":
            stack.enter_context(torch.autocast(model.device.type, torch.bfloat16))
            # Autocast does the casting; PEFT would copy every input to float32 (20 % of peak memory: AgileRL#623).
            # PEFT knows the switch for LoRA's layers alone.
            if str(getattr(model, "peft_type", "")).endswith("LORA"):
                stack.enter_context(disable_input_dtype_casting(model))
        yield


@contextmanager
def cpu_threads(asked: int) -> Iterator[int]:
    """torch's thread count for a run (0: the cores this process may use); the process's own count comes back after."""
    before = torch.get_num_threads()
    torch.set_num_threads(asked or cores())
    try:
        yield asked or cores()
    finally:
        torch.set_num_threads(before)


def crowded(threads: int, load: float, cores: int) -> str:
    """One line if other work keeps this machine busy and torch is about to use several threads; "" if not.

    The number of threads is part of what makes a run repeat, so it is never chosen by the load: the person chooses.
    """
    if threads < 2 or load <= cores:
        return ""
    return (
        f"this machine is busy (load {load:.1f} on {cores} cores): {threads} torch threads that wait for one another "
        "can take many times as long as one; to train with one: --set train.threads=1 (datakit train: --set threads=1)"
    )


def load_average() -> float:
    """How many processes want a core, over the last minute; 0 where the system doesn't say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def peak_memory(device: str) -> int:
    """Bytes at most: of the GPU's allocator, or of the process's resident set so far."""
    import resource
    import sys

    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
