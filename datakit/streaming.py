"""The order of rows in training for a dataset that doesn't fit into memory: shards shuffled, then rows in a window.

    epoch 3    shards 4 0 2 | 5 1 3          in an order that the seed and the epoch draw
               block of >= `window` rows     as many whole shards as it takes; rows are shuffled inside of it

Every row is seen once an epoch; only the shards of one block are open at a time; the same seed gives the same order on
any machine, and a run goes on at row n without reading what lies before. Ranks take every n-th row, and the rows that
all ranks see are the same for any number of them. With a window as large as the dataset this is a full shuffle.

`Exported` streams the Parquet files of an export, memory-mapped; any other shards go through `stream`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datakit.canon import key_of
from datakit.errors import TrainError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are shuffled together: place i is row `rows[i]` of shard `shards[i]`."""

    shards: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """Which row comes when; the fields decide all."""

    sizes: tuple[int, ...]
    """Rows of every shard."""
    seed: int = 0
    window: int = 10_000
    """Fewest rows that are shuffled together (the last block may have fewer)."""
    rank: int = 0
    ranks: int = 1

    def blocks(self, epoch: int, start: int = 0) -> Iterator[Block]:
        """The blocks of an epoch, without the first `start` rows of this rank."""
        import numpy as np

        passed, left = 0, start
        for number, shards in enumerate(self._groups(epoch)):
            sizes = [self.sizes[shard] for shard in shards]
            order = drawn_order(sum(sizes), self.seed, "rows", epoch, number)
            # A rank's turn goes on across blocks, so that ranks differ by one row at most over the epoch.
            mine = order[(self.rank - passed) % self.ranks :: self.ranks]
            passed += sum(sizes)
            if left < len(mine):
                owner = np.repeat(np.array(shards), sizes)
                first = np.repeat(np.cumsum(sizes) - sizes, sizes)
                taken = mine[left:]
                yield Block(owner[taken], taken - first[taken])
            left = max(0, left - len(mine))

    def _groups(self, epoch: int) -> Iterator[list[int]]:
        """Shards of each block."""
        group: list[int] = []
        held = 0
        for shard in drawn_order(len(self.sizes), self.seed, "shards", epoch).tolist():
            group.append(shard)
            held += self.sizes[shard]
            if held >= self.window:
                yield group
                group, held = [], 0
        if held:
            yield group


@dataclass(frozen=True, slots=True)
class Exported:
    """The Parquet files of one split of an export, and their rows."""

    files: tuple[Path, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, folder: str | Path, split: str = "train") -> Exported:
        """The files that `export` wrote; reads their ends only."""
        import pyarrow.parquet as pq

        files = tuple(sorted(Path(folder).glob(f"{split}-*-of-*.parquet")))
        if not files:
            fix = "give the folder that `datakit export DATASET FOLDER` wrote, and one of its splits"
            raise TrainError(f"no Parquet files of the split {split!r}", where=str(folder), fix=fix)
        return cls(files, tuple(pq.read_metadata(file).num_rows for file in files))

    def read(self, shard: int) -> pa.Table:
        """The rows of one file, memory-mapped."""
        import pyarrow.parquet as pq

        return pq.read_table(self.files[shard], memory_map=True, partitioning=None)


def stream(read: Callable[[int], pa.Table], order: StreamOrder, epoch: int, start: int = 0) -> Iterator[pa.Table]:
    """The rows of an epoch in order, a block at a time; `read(i)` gives the rows of shard i."""
    import numpy as np
    import pyarrow as pa

    for block in order.blocks(epoch, start):
        shards = np.unique(block.shards)
        tables = [read(int(shard)) for shard in shards]
        first = np.concatenate(([0], np.cumsum([table.num_rows for table in tables])))
        places = first[np.searchsorted(shards, block.shards)] + block.rows
        yield pa.concat_tables(tables).take(pa.array(places))


def drawn_order(count: int, *salt: object) -> np.ndarray:
    """The numbers below `count` in an order that `salt` alone draws (splitmix64, Steele et al. 2014)."""
    import numpy as np

    return np.argsort(lots_of(count, *salt), kind="stable")


def lots_of(count: int, *salt: object) -> np.ndarray:
    """A number for each place that has nothing to do with it."""
    import numpy as np

    keys = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    keys += np.uint64(int(key_of(*salt)[:16], 16))
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
