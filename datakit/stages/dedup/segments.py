"""A segment: some documents of an index in one folder, written once, then only mapped into memory.

    rows.arrow      id, source_id                                         the strings of a row
    digests.u64     rows x 2                                              16 bytes a row
    signatures.u32  rows x permutations                                  512 with 128 permutations
    lookup.u64      tables x rows: sorted keys, and whose they are         8 for each band, the digest and the id: 216
    sets.u32        the shingle sets end to end, sorted                    4 a shingle
    places.i64      rows x parts + 1: where each set begins                8 a part

Together 0.8 kB a document without sets. With them 2.3 kB for documents of 3.7 kB of English text (word 5-grams), and
2.6 kB by `script`; Korean has a shingle a syllable, so its sets take 4 bytes where the text takes 3.

Little-endian, without headers: what they hold follows from the scheme of the index. Keys are the upper 32 bits of the
band keys, of digests, and of a hash of the id; whoever looks up compares the thing itself. Sets are the upper halves of
the 64-bit shingle hashes, those that signatures are made of: two texts of n shingles each get a similarity that is too
high by n / 2^33 on average, which shows in the sixth digit from 10,000 shingles on.

A segment appears whole or not at all: it is written as `.tmp-NAME`, flushed to the disk and renamed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

STEP = 1 << 15
"""Rows copied at a time when segments are joined."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the files of all segments of an index hold."""

    permutations: int
    """Length of a signature, 0 without."""
    bands: int
    band_rows: int
    sets: bool
    """Whether shingle sets are kept."""
    parts: int
    """Sets a row: one for each part that is compared on its own."""

    @property
    def tables(self) -> int:
        """Tables of keys: the bands, the digest, the id."""
        return self.bands + 2


@dataclass(frozen=True, slots=True)
class Additions:
    """Some documents on their way into a segment."""

    ids: pa.Array
    source_ids: pa.Array
    digests: Array
    """rows x 2, uint64."""
    signatures: Array
    """rows x permutations, uint32."""
    flat: Array
    """Shingle sets end to end, row by row, the parts of a row in their order; uint32."""
    sizes: Array
    """rows x parts: shingles in each."""


def write_segment(folder: Path, shape: Shape, parts: Iterator[Additions]) -> int:
    """Write the documents of all parts, in order, as one segment; returns their number. Nothing is written for none."""
    draft = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    rows = _write_columns(draft, shape, parts)
    if not rows:
        shutil.rmtree(draft)
        return 0
    _write_lookup(draft, shape, rows)
    for path in draft.iterdir():
        flush(path)
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed before it could name the segment
    os.replace(draft, folder)
    flush(folder.parent)
    return rows


def flush(path: Path) -> None:
    """Have the disk hold what was written to a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_columns(draft: Path, shape: Shape, parts: Iterator[Additions]) -> int:
    """All files but the lookup tables, a part at a time."""
    import numpy as np
    import pyarrow as pa

    schema = pa.schema([("id", pa.large_string()), ("source_id", pa.large_string())])
    rows, place, waiting = 0, 0, schema.empty_table()
    with (
        pa.OSFile(str(draft / "rows.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, schema) as strings,
        (draft / "digests.u64").open("wb") as digests,
        (draft / "signatures.u32").open("wb") as signatures,
        (draft / "sets.u32").open("wb") as sets,
        (draft / "places.i64").open("wb") as places,
    ):
        places.write(np.zeros(1, "<i8").tobytes())
        for part in parts:
            batch = [part.ids.cast(pa.large_string()), part.source_ids.cast(pa.large_string())]
            waiting = pa.concat_tables([waiting, pa.table(batch, schema=schema)])
            for start in range(0, waiting.num_rows - STEP + 1, STEP):  # even batches, however the parts are cut
                strings.write_table(waiting.slice(start, STEP).combine_chunks())
            waiting = waiting.slice(waiting.num_rows // STEP * STEP)
            digests.write(np.ascontiguousarray(part.digests, "<u8").data)
            signatures.write(np.ascontiguousarray(part.signatures, "<u4").data)
            if shape.sets:
                sets.write(np.ascontiguousarray(part.flat, "<u4").data)
                places.write((place + np.cumsum(part.sizes.ravel())).astype("<i8").tobytes())
                place += len(part.flat)
            rows += len(part.ids)
        strings.write_table(waiting.combine_chunks())
    unused = (["signatures.u32"] if not shape.permutations else []) + ([] if shape.sets else ["sets.u32", "places.i64"])
    for name in unused:
        (draft / name).unlink()
    return rows


def _write_lookup(draft: Path, shape: Shape, rows: int) -> None:
    """The lookup tables: keys in the order of rows, in one pass, then each table is sorted (20 bytes a row)."""
    import numpy as np

    from datakit.kernels.lookup import sorted_table

    written = Segment(draft, shape, rows)
    lookup = np.memmap(draft / "lookup.u64", "<u8", "w+", shape=(shape.tables, rows))
    for start, batch in zip(range(0, rows, STEP), written.strings, strict=True):
        here = slice(start, start + STEP)
        for band in range(shape.bands):
            lookup[band, here] = band_keys32(written.signatures[here], shape, band)
        lookup[-2, here] = digest_keys(written.digests[here])
        lookup[-1, here] = id_keys(batch.column("id"))
    for table in lookup:
        table[:] = sorted_table(table)
    lookup.flush()


def digest_keys(digests: Array) -> Array:
    """The 32-bit key of each digest."""
    import numpy as np

    return (digests[:, 0] >> np.uint64(32)).astype(np.uint32)


def id_keys(ids: pa.Array) -> Array:
    """A 32-bit hash of each id."""
    import numpy as np

    hashed = [blake2b(name.encode(), digest_size=4).digest() for name in ids.to_pylist()]
    return np.frombuffer(b"".join(hashed), "<u4")


def band_keys32(signatures: Array, shape: Shape, band: int) -> Array:
    """The 32-bit keys of one band."""
    import numpy as np

    from datakit.kernels.minhash import band_keys

    keys = band_keys(signatures, np.arange(len(signatures)), band * shape.band_rows, shape.band_rows)
    return (keys >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True)
class Segment:
    """A segment on the disk. Its arrays are mapped when they are first asked for: memory holds the pages touched."""

    folder: Path
    shape: Shape
    rows: int

    @cached_property
    def strings(self) -> list[pa.RecordBatch]:
        """id and source_id of each row."""
        import pyarrow as pa

        path = self.folder / "rows.arrow"
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path) from error
        if table.num_rows != self.rows:
            raise damaged(path)
        return list(table.to_batches())

    @cached_property
    def digests(self) -> Array:
        """rows x 2, uint64."""
        return self._mapped("digests.u64", "<u8", (self.rows, 2))

    @cached_property
    def signatures(self) -> Array:
        """rows x permutations, uint32."""
        return self._mapped("signatures.u32", "<u4", (self.rows, self.shape.permutations))

    @cached_property
    def lookup(self) -> Array:
        """tables x rows, uint64: see `kernels.lookup`."""
        return self._mapped("lookup.u64", "<u8", (self.shape.tables, self.rows))

    @cached_property
    def places(self) -> Array:
        """Where each set begins, and where the last one ends."""
        return self._mapped("places.i64", "<i8", (self.rows * self.shape.parts + 1,))

    @cached_property
    def sets(self) -> Array:
        """All sets end to end."""
        return self._mapped("sets.u32", "<u4", (int(self.places[-1]),))

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def sets_of(self, rows: Array, part: int | None = None) -> tuple[Array, Array]:
        """The sets of one part (None: of all parts) of some rows end to end, and the size of each."""
        import numpy as np

        from datakit.kernels.lookup import gathered

        parts = np.arange(self.shape.parts) if part is None else np.array([part])
        wanted = (rows[:, None] * self.shape.parts + parts).ravel()
        return gathered(self.sets, self.places, wanted), self.places[wanted + 1] - self.places[wanted]

    def parts(self, gone: Array) -> Iterator[Additions]:
        """The documents in steps, without some rows."""
        import numpy as np

        keep = np.ones(self.rows, np.bool_)
        keep[gone] = False
        for start in range(0, self.rows, STEP):
            rows = start + np.flatnonzero(keep[start : start + STEP])
            if len(rows):
                yield self.part(rows)

    def part(self, rows: Array) -> Additions:
        """Some documents as they went in."""
        import numpy as np

        told = rows_across(self.strings, rows)
        flat, sizes = self.sets_of(rows) if self.shape.sets else (np.empty(0, np.uint32), np.empty(0, np.int64))
        signatures = self.signatures[rows] if self.shape.permutations else np.empty((len(rows), 0), np.uint32)
        ids, source_ids = (told.column(name).combine_chunks() for name in ("id", "source_id"))
        return Additions(ids, source_ids, self.digests[rows], signatures, flat, sizes)

    def _mapped(self, name: str, kind: str, shape: tuple[int, ...]) -> Array:
        import numpy as np

        path = self.folder / name
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        if not path.is_file() or path.stat().st_size != size:
            raise damaged(path)
        return np.memmap(path, kind, "r", shape=shape).view(np.ndarray)


def rows_across(batches: Sequence[pa.RecordBatch], rows: Array) -> pa.Table:
    """Some rows of batches that follow one another, in the order given. (`Table.take` would copy all of them.)"""
    import numpy as np
    import pyarrow as pa

    schema = pa.schema([("id", pa.large_string()), ("source_id", pa.large_string())])
    ends = np.cumsum([0, *(len(batch) for batch in batches)])
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], ends)
    held = [schema.empty_table()]
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        mine = rows[order[bounds[number] : bounds[number + 1]]] - ends[number]
        held.append(pa.Table.from_batches([batches[number].take(pa.array(mine))]))
    back = np.empty(len(rows), np.int64)
    back[order] = np.arange(len(rows))
    return pa.concat_tables(held).combine_chunks().take(pa.array(back))


def damaged(path: Path) -> StoreError:
    """A file of an index that is not what its record says."""
    return StoreError(
        "a file of the index is missing or damaged",
        where=str(path),
        fix="bring the folder back from a copy, or name a new folder in `index` and run again on all files",
    )
