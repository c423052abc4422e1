"""What a run should be told about itself: a loss that jumps, a held-out loss that turns round, no progress any more."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

LOOK_BACK = 16
"""Steps that say what a usual loss is."""
JUMP = 1.5
"""A loss this many times the usual one, and above all of them, is a spike."""
TURNS = 2
"""Evaluations in a row with a worse held-out loss, while the training loss fell, that are called overfitting."""


def spiked(curve: Sequence[dict[str, float]]) -> bool:
    """Whether the last step's loss jumped."""
    before = [told["loss"] for told in curve[-LOOK_BACK - 1 : -1]]
    last = curve[-1]["loss"] if curve else 0.0
    return len(before) == LOOK_BACK and last > max(before) and last > JUMP * statistics.median(before)


def overfits(evals: Sequence[dict[str, Any]], curve: Sequence[dict[str, float]]) -> bool:
    """Whether the held-out loss rose in the last evaluations while what is learned got better."""
    last = evals[-TURNS - 1 :]
    if len(last) <= TURNS or not all(later["nll"] > sooner["nll"] for sooner, later in pairwise(last)):
        return False
    since = [told["loss"] for told in curve if told["step"] > last[0]["step"]]
    half = len(since) // 2
    return half > 0 and statistics.mean(since[half:]) < statistics.mean(since[:half])


def stalled(evals: Sequence[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` evaluations brought nothing better than what was there before them."""
    if not patience or len(evals) <= patience:
        return False
    best = min(found["nll"] for found in evals[:-patience])
    return all(found["nll"] >= best for found in evals[-patience:])
