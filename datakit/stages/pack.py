"""pack: rows of tokens share rows of one length, so that hardly a place of a training step is spent on filling.

    pack 7   | row a ........ | row b ..... | row c . |pad|       position ids 0 1 2 .. | 0 1 2 .. | 0 1 | 0 1
             | -100 .......... -100 ........ -100 ..... -100       the first label of each row is never learned

Best-fit decreasing over a whole split (kernels/packing.py); `train` and `val` never share a pack; a row is never cut
unless `split` says so; every row is in exactly one pack, and `spans` says whose tokens are whose. The order of packs
doesn't depend on length: the fullest packs, which hold the longest rows, aren't all first.

Memory: 40 bytes a row, one input shard and one output shard of 8 million places. The tokens themselves (8 bytes each)
and the ids wait in memory-mapped temporary files on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from datakit.errors import StageError
from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind
from datakit.stage import Corpus, CorpusStage, Field, Outbox

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SHARD_PLACES = 8 << 20
"""Places (tokens and pads) in an output shard: 4,096 packs of 2,048."""


class Pack(CorpusStage):
    """Puts rows of tokens together into packs of `seq_len` places; rows in a pack don't see each other in training."""

    use: ClassVar[str] = "pack"
    takes: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    rules: ClassVar[tuple[str, ...]] = ("too_long",)

    seq_len: Annotated[int, Field(ge=2, le=1 << 20)] = 2048
    """Places in a pack: tokens the trainer sees in one row."""
    split: bool = False
    """Whether rows longer than `seq_len` are cut into pieces; otherwise they are dropped, and counted."""
    pad_id: Annotated[int, Field(ge=0)] = 0
    """Id that fills the end of a pack; it is a segment of its own that nothing sees and nothing learns."""

    def gives(self, kind: Kind | None) -> Kind:
        """Packs."""
        return "packed"

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Collect lengths and tokens, choose packs, write them split by split."""
        with tempfile.TemporaryDirectory(prefix="datakit-pack-") as folder:
            rows = self._collected(corpus, out, Path(folder))
            packs = used = learned = 0
            try:
                for name in rows.splits():
                    for table, counts in self._packed(rows, name):
                        out.write(table, counters=counts)
                        packs += table.num_rows
                        used += counts["tokens"]
                        learned += counts["trained_tokens"]
            finally:
                rows.close()
        places = packs * self.seq_len
        out.note(
            seq_len=self.seq_len,
            packs=packs,
            rows=rows.count,
            pieces=len(rows.lengths),
            tokens=used,
            trained_tokens=learned,
            padding=places - used,
            fill=round(used / places, 6) if places else 0.0,
            longest=int(rows.lengths.max()) if len(rows.lengths) else 0,
        )

    def _collected(self, corpus: Corpus, out: Outbox, folder: Path) -> _Rows:
        """Copy all tokens into temporary files and remember lengths; rows that are too long go."""
        import pyarrow as pa
        import pyarrow.compute as pc

        spool = _Spool(folder)
        for shard in corpus.shards:
            table = shard.read(["id", "source_id", "input_ids", "labels", "split"]).combine_chunks()
            lengths = pc.list_value_length(table.column("input_ids")).to_numpy()
            if not self.split and (lengths > self.seq_len).any():
                long = table.filter(pa.array(lengths > self.seq_len))
                sizes = lengths[lengths > self.seq_len].tolist()
                gone = [
                    (row, source, Drop("too_long", size, self.seq_len))
                    for row, source, size in zip(
                        long.column("id").to_pylist(), long.column("source_id").to_pylist(), sizes, strict=True
                    )
                ]
                out.drop(drops_table(gone))
                spool.tokens_dropped += sum(sizes)
                table = table.filter(pa.array(lengths <= self.seq_len)).combine_chunks()
            spool.add(table)
        out.account(folded=spool.count)
        out.note(tokens_dropped=spool.tokens_dropped)
        return spool.rows(self.seq_len)

    def _packed(self, rows: _Rows, name: str) -> Iterator[tuple[pa.Table, dict[str, int]]]:
        """The packs of one split, an output shard at a time."""
        import numpy as np

        from datakit.kernels.packing import best_fit

        mine = rows.of_split(name)
        pack_of = best_fit(rows.lengths[mine], self.seq_len)
        packs = int(pack_of.max()) + 1
        rank = np.argsort(_shuffle_keys(packs), kind="stable")
        moved = np.empty(packs, np.int64)
        moved[rank] = np.arange(packs)
        order = np.argsort(moved[pack_of], kind="stable")  # packs in their new order, rows in a pack in input order
        borders = np.zeros(packs + 1, np.int64)
        np.cumsum(np.bincount(moved[pack_of], minlength=packs), out=borders[1:])
        step = max(1, SHARD_PLACES // self.seq_len)
        for first in range(0, packs, step):
            cut = borders[first : min(first + step, packs) + 1]
            yield self._shard(rows, mine[order[cut[0] : cut[-1]]], cut - cut[0], name)

    def _shard(
        self, rows: _Rows, chosen: np.ndarray, borders: np.ndarray, name: str
    ) -> tuple[pa.Table, dict[str, int]]:
        """One output shard: `chosen` rows, pack by pack as `borders` say."""
        import numpy as np
        import pyarrow as pa

        from datakit.kernels.packing import lay_out
        from datakit.schemas import IGNORED, schema_of

        lengths, count = rows.lengths[chosen].astype(np.int64), len(borders) - 1
        ids, labels, places = lay_out(
            rows.ids, rows.labels, rows.starts[chosen], lengths, borders, self.seq_len, self.pad_id
        )
        ends = np.cumsum(lengths)
        before = np.repeat((ends - lengths)[borders[:-1]], np.diff(borders))  # tokens in front of a row's pack
        spans = pa.StructArray.from_arrays(
            [
                rows.names(chosen),
                pa.array((ends - lengths - before).astype(np.int32)),
                pa.array(lengths.astype(np.int32)),
            ],
            fields=list(schema_of("packed").field("spans").type.value_type),
        )
        edges = pa.array(np.arange(count + 1, dtype=np.int64) * self.seq_len)
        lists = [pa.LargeListArray.from_arrays(edges, pa.array(one)) for one in (ids, labels, places)]
        owners = pa.LargeListArray.from_arrays(pa.array(borders), spans)
        table = pa.table([*lists, owners, pa.array([name] * count, pa.large_string())], schema=schema_of("packed"))
        learned = int(np.count_nonzero(labels != IGNORED))
        return table, {
            "tokens": int(lengths.sum()),
            "trained_tokens": learned,
            "padding": len(ids) - int(lengths.sum()),
        }


class _Spool:
    """Writes tokens and ids of all rows to disk, one shard after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids = (folder / "ids").open("wb")
        self._labels = (folder / "labels").open("wb")
        self._names: Any = None
        self._lengths: list[np.ndarray] = []
        self._splits: list[np.ndarray] = []
        self._known: dict[str, int] = {}
        self.count = 0
        self.tokens_dropped = 0

    def add(self, table: pa.Table) -> None:
        """Take the rows of a shard in."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if not table.num_rows:
            return
        for stream, name in ((self._ids, "input_ids"), (self._labels, "labels")):
            stream.write(table.column(name).combine_chunks().flatten().to_numpy().data)
        self._lengths.append(pc.list_value_length(table.column("input_ids")).to_numpy().astype(np.int32))
        split = pc.fill_null(table.column("split"), "train").combine_chunks().dictionary_encode()
        numbers = [self._known.setdefault(name, len(self._known)) for name in split.dictionary.to_pylist()]
        self._splits.append(np.array(numbers, np.int16)[split.indices.to_numpy()])
        names = table.select(["id"])
        if self._names is None:
            self._names = pa.ipc.new_file(str(self._folder / "names"), names.schema)
        self._names.write_table(names)
        self.count += table.num_rows

    def rows(self, seq_len: int) -> _Rows:
        """All rows, cut where they are longer than `seq_len`."""
        import numpy as np

        for stream in (self._ids, self._labels):
            stream.close()
        if self._names is None:
            none = np.empty(0, np.int32)
            return _Rows(
                none, none, none.astype(np.int64), none, none.astype(np.int64), none.astype(np.int16), {}, None, 0
            )
        self._names.close()
        whole = np.concatenate(self._lengths)
        if not whole.all():
            raise StageError("a row has no tokens", fix="a stage before `pack` must drop rows without tokens")
        pieces = -(-whole.astype(np.int64) // seq_len)
        owner = np.repeat(np.arange(len(whole)), pieces)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = np.repeat(np.cumsum(whole, dtype=np.int64) - whole, pieces) + number * seq_len
        lengths = np.minimum(whole[owner] - number * seq_len, seq_len).astype(np.int32)
        return _Rows(
            np.memmap(self._folder / "ids", np.int32, "r"),
            np.memmap(self._folder / "labels", np.int32, "r"),
            starts,
            lengths,
            owner,
            np.concatenate(self._splits)[owner],
            self._known,
            self._folder / "names",
            self.count,
        )


@dataclass(slots=True)
class _Rows:
    """All rows that are to be packed: lengths in memory, tokens and ids in mapped files."""

    ids: np.ndarray
    labels: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    owners: np.ndarray
    split_of: np.ndarray
    known: dict[str, int]
    file: Path | None
    count: int
    _names: Any = None

    def splits(self) -> list[str]:
        """`train` first, then the others by name."""
        return sorted(self.known, key=lambda name: (name != "train", name))

    def of_split(self, name: str) -> np.ndarray:
        """The rows of a split, in input order."""
        import numpy as np

        return np.flatnonzero(self.split_of == self.known[name])

    def names(self, chosen: np.ndarray) -> pa.Array:
        """The ids of some rows."""
        import pyarrow as pa

        if self._names is None:
            self._names = pa.ipc.open_file(pa.memory_map(str(self.file))).read_all().column("id")
        taken = self._names.take(pa.array(self.owners[chosen]))
        return pa.concat_arrays(taken.chunks) if taken.num_chunks else pa.array([], pa.large_string())

    def close(self) -> None:
        """Let go of the mapped files."""
        del self.ids, self.labels
        self._names = None


def _shuffle_keys(count: int) -> np.ndarray:
    """A number for each pack that has nothing to do with its place (splitmix64, Steele et al. 2014)."""
    import numpy as np

    keys = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
