"""pack: rows of tokens share rows of one length, so that hardly a place of a training step is spent on filling.

    pack 7   | row a ........ | row b ..... | row c . |pad|       position ids 0 1 2 .. | 0 1 2 .. | 0 1 | 0 1
             | -100 .......... -100 ........ -100 ..... -100       the first label of each row is never learned

    best_fit   best-fit decreasing over the whole split: the fullest packs
    first_fit  rows in input order, each into the first pack with room: neighbours stay near each other
    wrapped    one stream of tokens, cut every `seq_len` places: no padding but the last, rows are cut
    padded     one row a pack
    bucketed   one row a pack, padded to the next power of two only, packs of like length behind each other

`train` and `val` never share a pack; a row is never cut unless `split` (or `wrapped`) says so; every row is in exactly
one pack, and `spans` says whose tokens are whose. The order of packs is drawn by the seed: the fullest, which hold the
longest rows, aren't all first. A label that is neither its own token nor -100 is an error: shifted labels would teach
every token one place off.

Memory: 45 bytes a row of a window (`window` rows at once, by default all), one input shard and one output shard of 8
million places. The tokens of a window (4 bytes each) and the ids wait in memory-mapped temporary files. With a window,
packs that came out less than `FULL` wait for the next one, so no fill is lost.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from datakit.errors import failing_at
from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind
from datakit.stage import Corpus, CorpusStage, Field, Outbox

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stages.pack.rows import Rows, Spool
    from datakit.stages.pack.strategies import Plan
    from datakit.stages.pack.tables import Findings

FULL = 0.995
"""Fill of a pack that needn't wait for the next window."""
Strategy = Literal["best_fit", "first_fit", "wrapped", "padded", "bucketed"]


class Pack(CorpusStage):
    """Puts rows of tokens together into packs of `seq_len` places; rows in a pack don't see each other in training."""

    use: ClassVar[str] = "pack"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    rules: ClassVar[tuple[str, ...]] = ("too_long",)
    seeded: ClassVar[bool] = True

    seq_len: Annotated[int, Field(ge=2, le=1 << 20)] = 2048
    """Places in a pack: tokens the trainer sees in one row."""
    strategy: Strategy = "best_fit"
    """best_fit (fullest), first_fit (input order), wrapped (cuts rows), padded or bucketed (one row a pack)."""
    split: bool = False
    """Whether rows longer than `seq_len` are cut into pieces; otherwise they are dropped, and counted."""
    window: Annotated[int, Field(ge=1)] | None = None
    """Rows packed at once, so that memory has a bound (45 bytes each); null: all, the fullest packs."""
    pad_id: Annotated[int, Field(ge=0)] = 0
    """Id that fills the end of a pack; it is a segment of its own that nothing sees and nothing learns."""

    @property
    def cuts(self) -> bool:
        """Whether rows may be cut."""
        return self.split or self.strategy == "wrapped"

    def gives(self, kind: Kind | None) -> Kind:
        """Packs."""
        return "packed"

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Collect a window of rows, choose packs, write them split by split; then the next window."""
        from datakit.stages.pack.rows import Spool
        from datakit.stages.pack.tables import Findings

        found = Findings(self.seq_len)
        with tempfile.TemporaryDirectory(prefix="datakit-pack-") as folder, Spool(Path(folder)) as spool:
            for shard in corpus.shards:
                table = shard.read(["id", "source_id", "input_ids", "labels", "split"])
                with failing_at(self.name, shard.source or shard.key[:12]):
                    kept = self._short_enough(table, out, found)
                    while spool.count + kept.num_rows >= (self.window or 1 << 62):
                        room = max(1, (self.window or 0) - spool.count)
                        spool.add(kept.slice(0, room))
                        kept = kept.slice(room)
                        self._deliver(spool, corpus.env.seed, out, found, last=False)
                    spool.add(kept)
            self._deliver(spool, corpus.env.seed, out, found, last=True)
            out.account(folded=spool.taken)
        out.note(strategy=self.strategy, **found.notes(spool.taken))

    def _short_enough(self, table: pa.Table, out: Outbox, found: Findings) -> pa.Table:
        """The rows of a shard that fit a pack, or may be cut; the others go, and are counted."""
        import pyarrow as pa
        import pyarrow.compute as pc

        sizes = pc.fill_null(pc.list_value_length(table.column("input_ids")), 0).to_numpy()
        found.longest = max(found.longest, int(sizes.max(initial=0)))
        long = sizes > self.seq_len
        if self.cuts or not long.any():
            return table
        gone = table.select(["id", "source_id"]).filter(pa.array(long)).to_pydict()
        dropped = zip(gone["id"], gone["source_id"], sizes[long].tolist(), strict=True)
        out.drop(drops_table([(row, source, Drop("too_long", size, self.seq_len)) for row, source, size in dropped]))
        found.lose(sizes[long])
        return table.filter(pa.array(~long))

    def _deliver(self, spool: Spool, seed: int, out: Outbox, found: Findings, *, last: bool) -> None:
        """Pack what the spool holds and write it; in front of a next window, rows of packs with room stay behind."""
        import numpy as np

        from datakit.stages.pack.strategies import planned

        rows = spool.rows()
        stay: list[np.ndarray] = []
        for name in rows.splits():
            mine = rows.of_split(name)
            plan = planned(self.strategy, rows, mine, self.seq_len)
            if not last:
                plan, left = plan.held_back(FULL, limit=len(mine) // 4)
                stay.append(left)
            if plan.packs:
                self._write(rows, plan.shuffled(seed, name), name, out, found)
        spool.keep(rows, np.sort(np.concatenate(stay)) if stay else np.empty(0, np.int32))

    def _write(self, rows: Rows, plan: Plan, name: str, out: Outbox, found: Findings) -> None:
        """The packs of one split, an output shard at a time."""
        from datakit.stages.pack.tables import tables

        for table, counts, fills in tables(rows, plan, name, self.pad_id):
            out.write(table, counters=counts)
            found.add(Counter(counts), fills)
