"""Deduplication: exact and near copies folded into one row that stays. See `stage` for how it goes."""

from datakit.stages.dedup.stage import Dedup

__all__ = ["Dedup"]
