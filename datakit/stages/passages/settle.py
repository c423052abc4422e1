"""Which documents go because too little is left of them, and which document each cut names as the one that keeps it.

A document of which little is left goes, unless it still holds a passage that another document lost to it: then it
stays, or the passage would vanish. If it goes, then what others lost to it stands in the documents that it lost it
to itself, and these are named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datakit.stages.passages.find import Cuts, Kept

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Settled:
    """Rows that lost text, by what becomes of them."""

    keepers: dict[int, list[int]] = field(default_factory=dict)
    """For every row that lost text the rows that keep it, the one that keeps most first."""
    gone: set[int] = field(default_factory=set)
    spared: int = 0
    """Rows of which too little is left, but which keep a passage."""


def settle(cuts: Cuts, row_of: np.ndarray[Any, Any], min_left: float) -> Settled:
    """What becomes of every row that lost text."""
    settled = Settled()
    needed: dict[int, list[Kept]] = defaultdict(list)
    for kept in (one for sources in cuts.sources.values() for one in sources):
        needed[int(row_of[kept.place])].append(kept)
    for row, left in cuts.left.items():
        if left < min_left:
            if all(_inside(kept, cuts.spans[row]) for kept in needed[row]):
                settled.gone.add(row)
            else:
                settled.spared += 1
    places = {row: place for place, row in enumerate(row_of.tolist()) if row in cuts.sources}
    for row in sorted(places, key=places.__getitem__):  # whoever keeps stands before, and so is settled
        sizes: Counter[int] = Counter()
        for kept in cuts.sources[row]:
            keeper = int(row_of[kept.place])
            sizes[settled.keepers[keeper][0] if keeper in settled.gone else keeper] += kept.end - kept.start
        settled.keepers[row] = sorted(sizes, key=lambda one: (-sizes[one], one))
    return settled


def _inside(kept: Kept, spans: np.ndarray[Any, Any]) -> bool:
    """Whether a stretch was cut whole."""
    import numpy as np

    at = int(np.searchsorted(spans[:, 0], kept.start, side="right")) - 1
    return at >= 0 and bool(spans[at, 1] >= kept.end)
