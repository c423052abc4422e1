"""Rows that repeat evaluation sets are dropped. See `stage` for how it goes."""

from datakit.stages.decontaminate.stage import Decontaminate

__all__ = ["Decontaminate"]
