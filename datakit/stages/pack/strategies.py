"""Which row goes into which pack, by each strategy, and the order of the packs.

A plan lists pieces (a row, or a part of one) pack by pack. Costs are those of the kernels; everything else here is one
pass over the rows of a split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datakit.streaming import drawn_order, lots_of

if TYPE_CHECKING:
    import numpy as np

    from datakit.stages.pack.rows import Rows

RUN = 64
"""Packs of like length that stand behind each other in `bucketed`: enough for a batch, few enough to mix lengths."""


@dataclass(slots=True)
class Plan:
    """Pieces pack by pack: pack p holds the pieces `borders[p]:borders[p + 1]` and has `places[p]` places."""

    rows: np.ndarray
    """The row of every piece (int32)."""
    starts: np.ndarray
    """Where its tokens begin (int64)."""
    lengths: np.ndarray
    borders: np.ndarray
    places: np.ndarray
    runs: np.ndarray | None = None
    """The run of every pack, where runs are shuffled as a whole."""

    @property
    def packs(self) -> int:
        return len(self.places)

    def used(self) -> np.ndarray:
        """Tokens in every pack (int64)."""
        import numpy as np

        sums = np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))
        return sums[self.borders[1:]] - sums[self.borders[:-1]]

    def take(self, packs: np.ndarray) -> Plan:
        """Some packs, in the order given."""
        import numpy as np

        sizes = np.diff(self.borders)[packs]
        borders = np.concatenate(([0], np.cumsum(sizes)))
        pieces = np.repeat(self.borders[packs] - borders[:-1], sizes) + np.arange(borders[-1])
        runs = None if self.runs is None else self.runs[packs]
        return Plan(self.rows[pieces], self.starts[pieces], self.lengths[pieces], borders, self.places[packs], runs)

    def held_back(self, full: float, limit: int) -> tuple[Plan, np.ndarray]:
        """The packs that are `full`, and the rows of the others: the emptiest, up to `limit` rows. A row that was cut
        stays whole: it goes out where its first piece does, so packs of pieces are never held back."""
        import numpy as np

        none = np.empty(0, np.int32)
        if not self.packs or self.runs is not None:
            return self, none
        used, sizes = self.used(), np.diff(self.borders)
        cut = np.bincount(self.rows, minlength=0)[self.rows] > 1
        whole = np.add.reduceat(cut, self.borders[:-1]) == 0
        waiting = np.flatnonzero(whole & (used < full * self.places))
        waiting = waiting[np.argsort(used[waiting], kind="stable")]
        waiting = waiting[np.cumsum(sizes[waiting]) <= limit]
        goes = np.ones(self.packs, np.bool_)
        goes[waiting] = False
        return self.take(np.flatnonzero(goes)), self.take(waiting).rows if len(waiting) else none

    def shuffled(self, seed: int, name: str) -> Plan:
        """The packs in an order that the seed draws; runs stay together."""
        import numpy as np

        if self.runs is None:
            return self.take(drawn_order(self.packs, seed, "packs", name))
        of_run = lots_of(int(self.runs.max()) + 1, seed, "runs", name)
        return self.take(np.lexsort((lots_of(self.packs, seed, "packs", name), self.runs, of_run[self.runs])))


def planned(strategy: str, rows: Rows, mine: np.ndarray, seq_len: int) -> Plan:
    """The packs of some rows (one split) by a strategy. Rows longer than `seq_len` are cut."""
    import numpy as np

    from datakit.kernels.packing import best_fit, first_fit

    if strategy == "wrapped":
        return _wrapped(rows, mine, seq_len)
    owners, starts, lengths = _cut(rows, mine, seq_len)
    if strategy in ("best_fit", "first_fit"):
        pack_of = (best_fit if strategy == "best_fit" else first_fit)(lengths, seq_len)
        return _gathered(owners, starts, lengths, pack_of, seq_len)
    borders = np.arange(len(owners) + 1, dtype=np.int64)
    if strategy == "padded":
        return Plan(owners, starts, lengths, borders, np.full(len(owners), seq_len, np.int64))
    return _bucketed(Plan(owners, starts, lengths, borders, _bucket_sizes(lengths, seq_len)))


def _cut(rows: Rows, mine: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows as pieces of at most `seq_len` tokens: row, start, length."""
    import numpy as np

    starts, lengths = rows.starts[mine], rows.lengths[mine]
    if not len(mine) or int(lengths.max()) <= seq_len:
        return mine, starts, lengths
    pieces = -(-lengths // seq_len)
    number = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    rest = np.repeat(lengths, pieces) - number * seq_len
    return (
        np.repeat(mine, pieces),
        np.repeat(starts, pieces) + number * seq_len,
        np.minimum(rest, seq_len).astype(np.int32),
    )


def _gathered(owners: np.ndarray, starts: np.ndarray, lengths: np.ndarray, pack_of: np.ndarray, seq_len: int) -> Plan:
    import numpy as np

    from datakit.kernels.packing import grouped

    packs = int(pack_of.max(initial=-1)) + 1
    order, borders = grouped(pack_of, packs)
    return Plan(owners[order], starts[order], lengths[order], borders, np.full(packs, seq_len, np.int64))


def _wrapped(rows: Rows, mine: np.ndarray, seq_len: int) -> Plan:
    """All tokens in input order, cut wherever a pack or a row ends."""
    import numpy as np

    ends = np.cumsum(rows.lengths[mine], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.union1d(ends, np.arange(seq_len, total, seq_len))
    begins = np.concatenate(([0], cuts[:-1])).astype(np.int64)[: len(cuts)]
    place = np.searchsorted(ends, begins, side="right")
    first = ends - rows.lengths[mine]
    packs = -(-total // seq_len)
    borders = np.searchsorted(begins, np.arange(packs + 1) * seq_len)
    starts = rows.starts[mine][place] + begins - first[place]
    return Plan(mine[place], starts, (cuts - begins).astype(np.int32), borders, np.full(packs, seq_len, np.int64))


def _bucket_sizes(lengths: np.ndarray, seq_len: int) -> np.ndarray:
    """The next power of two, `seq_len` at most."""
    import numpy as np

    powers = 1 << np.arange(21, dtype=np.int64)
    return np.minimum(powers[np.searchsorted(powers, lengths)], seq_len)


def _bucketed(plan: Plan) -> Plan:
    """One row a pack, by size; packs of one size in runs of `RUN`."""
    import numpy as np

    plan = plan.take(np.argsort(plan.places, kind="stable"))
    _, first, inverse = np.unique(plan.places, return_index=True, return_inverse=True)
    within = (np.arange(plan.packs) - first[inverse]) // RUN
    plan.runs = np.cumsum(np.diff(inverse * (plan.packs + 1) + within, prepend=-1) != 0) - 1
    return plan
