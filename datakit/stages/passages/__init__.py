"""Passages that documents share are kept once. See `stage` for how it goes."""

from datakit.stages.passages.stage import Passages

__all__ = ["Passages"]
