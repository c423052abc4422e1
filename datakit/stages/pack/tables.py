"""Packs as Arrow tables, an output shard at a time, and what there is to tell of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datakit.stages.pack.rows import Rows
from datakit.stages.pack.strategies import Plan

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SHARD_PLACES = 8 << 20
"""Places (tokens and pads) in an output shard: 4,096 packs of 2,048."""
FILL_EDGES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Lower edges of the bins of the histogram of fill; the last bin ends at 1."""


def tables(rows: Rows, plan: Plan, name: str, pad: int) -> Iterator[tuple[pa.Table, dict[str, int], np.ndarray]]:
    """The packs of a plan: tables of one split, counters, and the fill of every pack.

    A table is good until the next one is asked for: all are written into the same memory, since new memory costs more
    than the work on it (a page fault each 4 KiB).
    """
    import numpy as np

    edges = np.concatenate(([0], np.cumsum(plan.places)))
    room = np.empty((3, min(int(edges[-1]), SHARD_PLACES + int(plan.places.max(initial=0)))), np.int32)
    first = 0
    while first < plan.packs:
        last = int(np.searchsorted(edges, edges[first] + SHARD_PLACES, side="right")) - 1
        last = min(max(last, first + 1), plan.packs)
        yield _table(rows, plan, slice(first, last), name, pad, room)
        first = last


def _table(
    rows: Rows, plan: Plan, packs: slice, name: str, pad: int, room: np.ndarray
) -> tuple[pa.Table, dict[str, int], np.ndarray]:
    """Some packs as one table, in the memory of `room`."""
    import numpy as np
    import pyarrow as pa

    from datakit.kernels.packing import lay_out
    from datakit.schemas import schema_of

    borders = plan.borders[packs.start : packs.stop + 1]
    here = slice(int(borders[0]), int(borders[-1]))
    borders = borders - borders[0]
    edges = np.concatenate(([0], np.cumsum(plan.places[packs])))
    learned = lay_out(rows.marked, plan.starts[here], plan.lengths[here], borders, edges, pad, room)
    places = pa.array(edges)
    lists = [pa.LargeListArray.from_arrays(places, pa.array(column[: edges[-1]])) for column in room]
    spans, used = _spans(rows, plan.rows[here], plan.lengths[here], borders)
    split = pa.array([name] * len(learned), pa.large_string())
    table = pa.table([*lists, pa.LargeListArray.from_arrays(pa.array(borders), spans), split], schema_of("packed"))
    counts = {
        "tokens": int(used.sum()),
        "trained_tokens": int(learned.sum()),
        "padding": int(edges[-1] - used.sum()),
        "packs_without_trained_tokens": int(np.count_nonzero(learned == 0)),
        "pieces": len(spans),
    }
    return table, {key: count for key, count in counts.items() if count}, used / np.diff(edges)


def _spans(rows: Rows, owners: np.ndarray, lengths: np.ndarray, borders: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Whose tokens stand where, piece by piece; and the tokens of every pack."""
    import numpy as np
    import pyarrow as pa

    from datakit.schemas import schema_of

    ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    before = np.repeat(ends[borders[:-1]], np.diff(borders))  # tokens in front of a piece's pack
    parts = [rows.ids(owners), pa.array((ends[:-1] - before).astype(np.int32)), pa.array(lengths)]
    spans = pa.StructArray.from_arrays(parts, fields=list(schema_of("packed").field("spans").type.value_type))
    return spans, ends[borders[1:]] - ends[borders[:-1]]


class Findings:
    """Adds up what the stage tells: counts, a histogram of fill, a histogram of tokens lost."""

    def __init__(self, seq_len: int) -> None:
        self.seq_len = seq_len
        self.longest = 0
        self._counts: Counter[str] = Counter()
        self._fills = [0] * len(FILL_EDGES)
        self._lost: Counter[int] = Counter()
        self._lost_tokens: Counter[int] = Counter()

    def add(self, counts: Counter[str], fills: np.ndarray) -> None:
        """Take in an output shard."""
        import numpy as np

        self._counts.update(counts)
        self._counts["packs"] += len(fills)
        bins = np.bincount(np.searchsorted(FILL_EDGES, fills, side="right") - 1, minlength=len(FILL_EDGES))
        self._fills = [old + int(new) for old, new in zip(self._fills, bins, strict=True)]

    def lose(self, sizes: np.ndarray) -> None:
        """Take in the sizes of rows that were too long, by the power of two of `seq_len` that they are below."""
        import numpy as np

        steps = np.ceil(np.log2(sizes / self.seq_len)).astype(int)
        for step, size in zip(steps.tolist(), sizes.tolist(), strict=True):
            self._lost[step] += 1
            self._lost_tokens[step] += size

    def notes(self, rows: int) -> dict[str, Any]:
        """All of it, as JSON values."""
        counts = self._counts
        places = counts["tokens"] + counts["padding"]
        upper = (*FILL_EDGES[1:], 1.0)
        return {
            "seq_len": self.seq_len,
            "packs": counts["packs"],
            "rows": rows,
            "pieces": counts["pieces"],
            "tokens": counts["tokens"],
            "trained_tokens": counts["trained_tokens"],
            "padding": counts["padding"],
            "fill": round(counts["tokens"] / places, 6) if places else 0.0,
            "longest": self.longest,
            "tokens_dropped": self._lost_tokens.total(),
            "fill_histogram": [
                [low, high, packs] for low, high, packs in zip(FILL_EDGES, upper, self._fills, strict=True) if packs
            ],
            "lost_histogram": [
                [self.seq_len * 2 ** (step - 1), self.seq_len * 2**step, self._lost[step], self._lost_tokens[step]]
                for step in sorted(self._lost)
            ],
        }
