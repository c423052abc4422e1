"""The rows of a window: lengths in memory, tokens and ids in memory-mapped files.

Tokens are marked (kernels/packing.py): one int32 says both the id and whether it is learned. Rows that stay behind for
the next window are copied to the front of its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

AT_ONCE = 1 << 20
"""Tokens marked at once: they stay in the processor's cache until they are written."""


@dataclass(slots=True)
class Rows:
    """All rows of a window, in input order."""

    marked: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    split_of: np.ndarray
    known: dict[str, int]
    names: pa.ChunkedArray

    def splits(self) -> list[str]:
        """The splits that have rows here: `train` first, then the others by name."""
        import numpy as np

        there = np.bincount(self.split_of, minlength=len(self.known)) > 0
        return sorted((name for name, number in self.known.items() if there[number]), key=_train_first)

    def of_split(self, name: str) -> np.ndarray:
        """The rows of a split, in input order (int32)."""
        import numpy as np

        return np.flatnonzero(self.split_of == self.known[name]).astype(np.int32)

    def ids(self, chosen: np.ndarray) -> pa.Array:
        """The ids of some rows."""
        import pyarrow as pa

        taken = self.names.take(pa.array(chosen))
        return pa.concat_arrays(taken.chunks) if taken.num_chunks else pa.array([], pa.large_string())


class Spool:
    """Collects the rows of a window on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, int] = {}
        self._number = 0
        self.taken = 0
        """Rows ever added."""
        self._open()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def count(self) -> int:
        """Rows in the window."""
        return sum(len(part) for part in self._lengths)

    def add(self, table: pa.Table) -> None:
        """Take rows in."""
        import numpy as np
        import pyarrow.compute as pc

        if not table.num_rows:
            return
        table = table.combine_chunks()
        for part in _marked(table):
            self._stream.write(part)
        self._lengths.append(pc.list_value_length(table.column("input_ids")).to_numpy().astype(np.int32))
        split = pc.fill_null(table.column("split"), "train").combine_chunks().dictionary_encode()
        numbers = [self._known.setdefault(name, len(self._known)) for name in split.dictionary.to_pylist()]
        self._splits.append(np.array(numbers, np.int16)[split.indices.to_numpy()])
        self._write_names(table.select(["id"]))
        self.taken += table.num_rows

    def rows(self) -> Rows:
        """All rows of the window."""
        import numpy as np
        import pyarrow as pa

        self._stream.flush()
        lengths = np.concatenate([np.empty(0, np.int32), *self._lengths])
        if self._names is None:
            none = np.empty(0, np.int32)
            return Rows(none, none.astype(np.int64), lengths, none.astype(np.int16), {}, pa.chunked_array([], "string"))
        self._names.close()
        return Rows(
            np.memmap(self._path("tokens"), np.int32, "r"),
            np.cumsum(lengths, dtype=np.int64) - lengths,
            lengths,
            np.concatenate(self._splits),
            self._known,
            pa.ipc.open_file(pa.memory_map(str(self._path("names")))).read_all().column("id"),
        )

    def keep(self, rows: Rows, chosen: np.ndarray) -> None:
        """Begin the next window with some rows of this one."""
        import numpy as np
        import pyarrow as pa

        from datakit.kernels.packing import copied

        old = [self._path("tokens"), self._path("names")]
        self._stream.close()
        self._number += 1
        self._open()
        if len(chosen):
            lengths = rows.lengths[chosen]
            tokens = np.empty(int(lengths.sum(dtype=np.int64)), np.int32)
            copied(rows.marked, rows.starts[chosen], lengths, tokens)
            self._stream.write(tokens.data)
            self._lengths.append(lengths)
            self._splits.append(rows.split_of[chosen])
            self._write_names(pa.table({"id": rows.ids(chosen)}))
        for path in old:
            path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._stream = self._path("tokens").open("wb")
        self._names: Any = None
        self._lengths: list[np.ndarray] = []
        self._splits: list[np.ndarray] = []

    def _path(self, what: str) -> Path:
        return self._folder / f"{what}-{self._number}"

    def _write_names(self, names: pa.Table) -> None:
        import pyarrow as pa

        if self._names is None:
            self._names = pa.ipc.new_file(str(self._path("names")), names.schema)
        self._names.write_table(names)


def _marked(table: pa.Table) -> Iterator[memoryview]:
    """The tokens of some rows, marked; rows without tokens and labels that don't belong to their tokens are refused."""
    import numpy as np
    import pyarrow.compute as pc

    from datakit.kernels.packing import mark

    ids, labels = (table.column(name).chunk(0) for name in ("input_ids", "labels"))
    sizes, others = (pc.fill_null(pc.list_value_length(one), 0) for one in (ids, labels))
    if not pc.all(pc.greater(sizes, 0)).as_py():
        raise StageError("a row has no tokens", fix="a stage before `pack` must drop rows without tokens")
    if not sizes.equals(others):
        raise StageError("a row has more tokens than labels, or fewer", fix="give every token a label, -100 to mask it")
    tokens, own = ids.flatten().to_numpy(), labels.flatten().to_numpy()
    room = np.empty(min(len(tokens), AT_ONCE), np.int32)
    for start in range(0, len(tokens), AT_ONCE):
        part = room[: len(tokens) - start]
        wrong = mark(tokens[start : start + AT_ONCE], own[start : start + AT_ONCE], part)
        if wrong >= 0:
            row = int(np.searchsorted(np.cumsum(sizes.to_numpy()), start + wrong, side="right"))
            raise StageError(
                "a label is neither its own token nor -100",
                where=f"row {table.column('id')[row].as_py()}",
                fix="labels stand at the place of their token, not one before it; the trainer shifts them",
            )
        yield part.data


def _train_first(name: str) -> tuple[bool, str]:
    return name != "train", name
