"""Rows in the order in which a method keeps them, and what methods one after the other let through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from datakit.stages.select.measures import Measures

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CHOSEN, TOO_HARD = -1, -2
"""Steps of rows that no method passed over: they are kept, or their IFD is above the limit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The fate of every row: which of the methods passed it over, its rank there (from 1) and its score."""

    step: Array
    rank: Array
    score: Array
    limits: list[int]
    """How many rows each method let through."""

    @property
    def rows(self) -> Array:
        """The numbers of the rows that are kept."""
        import numpy as np

        return np.flatnonzero(self.step == CHOSEN)


def choose(measures: Measures, methods: Sequence[str], count: int, pool: float) -> Choice:
    """Let rows through one method after the other: `pool` of them, at least `count`; the last lets `count` through."""
    import numpy as np

    step = np.full(len(measures), CHOSEN, np.int8)
    rank = np.zeros(len(measures), np.int64)
    score = np.full(len(measures), np.nan)
    in_order = np.argsort(measures.by_id)
    rows, limits = in_order, list[int]()
    for number, method in enumerate(methods):
        rows = _fit(measures, method, rows, step, score)
        last = number == len(methods) - 1
        limit = min(len(rows), count if last else max(count, ceil(pool * len(rows))))
        order, scores = ranked(measures, method, rows, limit)
        gone = order[limit:]
        step[gone], rank[gone] = number, np.arange(limit + 1, len(order) + 1)
        score[gone] = scores[limit:]
        rows = in_order[np.sort(measures.by_id[order[:limit]])]
        limits.append(limit)
    return Choice(step, rank, score, limits)


def _fit(measures: Measures, method: str, rows: Array, step: Array, score: Array) -> Array:
    """The rows that a method may keep at all: `ifd` keeps none whose question makes its answer less likely."""
    import numpy as np

    if method != "ifd" or measures.are_documents:
        return rows
    difficulty = measures.difficulty[rows]
    hard = np.nan_to_num(difficulty) > measures.stage.max_ifd
    step[rows[hard]], score[rows[hard]] = TOO_HARD, difficulty[hard]
    return rows[~hard]


def ranked(measures: Measures, method: str, rows: Array, count: int) -> tuple[Array, Array]:
    """Some rows, given in the order of their ids, in the order in which a method keeps them, and their scores.

    `count` is how many will be kept: behind these, `diverse` only orders by the distance to them.
    """
    import numpy as np

    if method == "diverse":
        measures.warn_of_long_work(len(rows), count)
        return _spread(measures.vectors(rows), rows, count)
    if method == "random":
        order = np.argsort(measures.drawn[rows], kind="stable")
        return rows[order], measures.drawn[rows][order] / 2.0**64
    told = {"longest": "characters", "quality": "quality", "ifd": "difficulty", "learned": "learned"}[method]
    scores = getattr(measures, told)[rows]
    groups = measures.groups[rows]
    worth = _middling(scores, groups) if method == "ifd" and measures.are_documents else scores
    order = by_share(worth, groups)
    return rows[order], scores[order]


def by_share(worth: Array, groups: Array) -> Array:
    """The highest first, so that every beginning of the order reaches equally deep into each group, to half a row.

    Place p of n in a group stands at (p + 1/2) / n, as in Webster's way of sharing out seats. Rows without worth (NaN)
    come last in their group; ties keep the order given.
    """
    import numpy as np

    order = np.lexsort((np.arange(len(worth)), -worth, groups))
    ordered = groups[order]
    starts, ends = np.searchsorted(ordered, ordered), np.searchsorted(ordered, ordered, side="right")
    stands = np.empty(len(worth))
    stands[order] = (np.arange(len(worth)) - starts + 0.5) / (ends - starts)
    return np.argsort(stands, kind="stable")


def _middling(perplexity: Array, groups: Array) -> Array:
    """How near a perplexity is to the middle of its group, as the distance of logarithms, negative."""
    import numpy as np

    logs = np.log(np.maximum(perplexity, 1e-12))
    worth = np.full(len(logs), np.nan)
    for group in np.unique(groups):
        mine = groups == group
        if not np.isnan(logs[mine]).all():
            worth[mine] = -np.abs(logs[mine] - np.nanmedian(logs[mine]))
    return worth


def _spread(vectors: Array, rows: Array, count: int) -> tuple[Array, Array]:
    """k-center greedy; the score of a row is its distance (1 - cosine) to the nearest kept row."""
    import numpy as np

    from datakit.kernels.centers import spread

    first, near = spread(vectors, count)
    left = np.setdiff1d(np.arange(len(rows)), first)
    order = np.concatenate([first, left[np.argsort(near[left], kind="stable")]]).astype(np.int64)
    return rows[order], np.maximum(1.0 - near[order].astype(np.float64), 0.0)
