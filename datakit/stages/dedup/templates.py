"""The template of a source of examples: shingles that many of its rows share are wording, not content.

Instruction rows are often made from few templates ("Read the passage and ...", a system prompt, a form of answer).
Compared whole, rows about different things look alike: 859,092 function-calling rows were once folded into 2
(github.com/marin-community/marin, issue 6854). So for examples, shingles that stand in `share` of the rows of a source
or more (and in at least `ROWS`) are left out of every row before it is compared. What stands beside the template stays,
wherever the template begins and ends, in any language; shingles that reach from a template into its slot differ with
the slot. A row that is nothing but template counts as one shingle: it is like rows of exactly that template only.

A source is judged by at most `SAMPLED` of its rows, exact copies apart, drawn by digest: the same rows whatever the
shards are. A price: if a tenth of a source are near copies of one row, they look like a template, and only those that
also agree in the rest are folded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.signatures import Index
from datakit.stages.dedup.verify import Verifier

if TYPE_CHECKING:
    import numpy as np

SHARE = 0.1
"""Share of a source's rows that makes a shingle a template of it, for examples; documents are compared whole."""
ROWS = 20
"""Fewest rows that make a template; a smaller source has none."""
SAMPLED = 500
"""Most rows of a source that are looked at: 4 kB each."""


def find_template(index: Index, verifier: Verifier, alone: np.ndarray[Any, Any], share: float) -> Any:
    """The shingles of all sources' templates, sorted (uint64). `alone`: the rows that are nobody's exact copy."""
    import numpy as np

    rows = sampled(index, alone)
    if not len(rows):
        return np.empty(0, np.uint64)
    sources = index.source[rows]
    looked_at = np.bincount(sources)
    found = [np.empty(0, np.uint64)]
    for flat, places in verifier.sets(rows):
        source_of = np.repeat(sources, np.diff(places))
        order = np.lexsort((flat, source_of))
        flat, source_of = flat[order], source_of[order]
        opens = np.flatnonzero(np.concatenate([[True], (flat[1:] != flat[:-1]) | (source_of[1:] != source_of[:-1])]))
        counts = np.diff(np.append(opens, len(flat)))
        enough = counts >= np.maximum(ROWS, share * looked_at[source_of[opens]])
        found.append(flat[opens[enough]])
    return np.unique(np.concatenate(found))


def sampled(index: Index, alone: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The rows to look at, ascending: of every source that has enough, those with the smallest digests."""
    import numpy as np

    order = alone[np.lexsort((index.digests[alone, 0], index.source[alone]))]
    sources = index.source[order]
    starts = np.searchsorted(sources, sources, side="left")
    counts = np.searchsorted(sources, sources, side="right") - starts
    within = np.arange(len(order)) - starts
    return np.sort(order[(within < SAMPLED) & (counts >= ROWS)])
