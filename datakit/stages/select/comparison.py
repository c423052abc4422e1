"""What each method would keep, side by side: how much the choices overlap, and what they are made of.

The overlap of two choices is Jaccard's: rows in both / rows in either. Two choices of half of the rows by lot overlap
by a third; of a tenth, by a nineteenth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datakit.stages.select.measures import Measures
from datakit.stages.select.rankings import Choice

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_TASKS = 12


def compared(measures: Measures, choices: Mapping[str, Choice]) -> dict[str, dict[str, Any]]:
    """A line for all rows, then one for every choice."""
    import numpy as np

    everything = np.arange(len(measures))
    kept = {name: choice.rows for name, choice in choices.items()}
    lines = {"all rows": _described(measures, everything)}
    for name, rows in kept.items():
        lines[name] = _described(measures, rows) | {
            "overlap": {other: _jaccard(rows, theirs) for other, theirs in kept.items() if other != name}
        }
    return lines


def _described(measures: Measures, rows: Array) -> dict[str, Any]:
    """Number, mean length, shares of languages and tasks, mean scores."""
    found: dict[str, Any] = {
        "rows": len(rows),
        "characters": _mean(measures.characters[rows], 1),
        "lang": _shares(measures.langs[rows], measures.lang_names),
        "task": _shares(measures.tasks[rows], measures.task_names),
    }
    if measures.has_quality:
        found["quality"] = _mean(measures.quality[rows], 4)
    if measures.difficulty_known:
        found["perplexity" if measures.are_documents else "ifd"] = _mean(measures.difficulty[rows], 4)
    return found


def _mean(values: Array, digits: int) -> float | None:
    """The mean of the values that there are; of no values, nothing."""
    import numpy as np

    known = np.sort(values[~np.isnan(values)])  # sorted: one order of adding, whatever the shards
    return round(float(known.mean()), digits) if len(known) else None


def _shares(codes: Array, names: Sequence[str]) -> dict[str, float]:
    """The share of the commonest names."""
    import numpy as np

    counts = np.bincount(codes, minlength=len(names))
    commonest = sorted(range(len(names)), key=lambda code: (-counts[code], names[code]))[:MOST_TASKS]
    return {names[code]: round(int(counts[code]) / len(codes), 4) for code in commonest if counts[code]}


def _jaccard(some: Array, others: Array) -> float:
    """Rows in both, of rows in either."""
    import numpy as np

    both = len(np.intersect1d(some, others, assume_unique=True))
    return round(both / max(1, len(some) + len(others) - both), 4)
