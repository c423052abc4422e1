"""One small table a shard, kept in the store: who a row is, its exact digest and its MinHash signature.

    id  source  position  characters  digest (16 bytes)  shingles  signature (4 bytes a permutation)

The digest is XXH3-128 of the folded text; of a row of several parts, that of its parts' digests end to end. The
signature is that of the union of all parts' shingles: if every part of two rows is alike by J at least, so is the
union, so the bands find them. `sign` makes the table from a shard; `Index` is all of them in memory, ordered by who
is kept first. An index takes about `4 * permutations + 52` bytes a row and its id: 600 bytes with 128 permutations.
Text is in memory one shard at a time, folded text two megabytes at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.stages.dedup.compared import Compared
from datakit.stages.dedup.survivors import Keep, places

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasketch import LeanMinHash, MinHashLSH

SIGN_VERSION = 2
"""Part of the stored tables' keys; bump when folding, units, hashes or permutations change."""
BLOCK_BYTES = 1 << 21
"""Text that is folded and signed at a time, so that folded text takes little memory in any shard. Larger blocks cost a
tenth more: their buffers are given back to the system after each. Smaller ones do too, by what each call costs."""
WHO = ("id", "source", "position")
"""The columns of a shard that say who a row is."""


def sign(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """The signature table of one shard. Settings: compared, unit, ngram, syllables, permutations, near (false: no
    signatures), strip (the template's shingles, in hex; optional)."""
    import numpy as np
    import pyarrow as pa

    from datakit.kernels.places import place_columns

    texts = Compared(**settings["compared"]).of(table)
    signed = [_signed([part.slice(*rows) for part in texts], settings) for rows in _blocks(texts)]
    characters, digests, shingles, signatures = (np.concatenate(column) for column in zip(*signed, strict=True))
    columns = {
        **place_columns(table),
        "characters": pa.array(characters),
        "digest": _binary(digests),
        "shingles": pa.array(shingles),
    }
    return pa.table({**columns, "signature": _binary(signatures)} if settings["near"] else columns)


def _blocks(texts: Sequence[pa.LargeStringArray]) -> list[tuple[int, int]]:
    """First row and number of rows of stretches of about BLOCK_BYTES of text, at least one."""
    import numpy as np

    from datakit.kernels.characters import buffers

    before = np.sum([buffers(part)[0] for part in texts], axis=0)
    ends = np.flatnonzero(np.diff((before - before[0]) // BLOCK_BYTES)) + 1
    starts = [0, *ends[ends < len(before) - 1].tolist()]
    return [(start, end - start) for start, end in zip(starts, [*starts[1:], len(before) - 1], strict=True)]


def _signed(texts: Sequence[pa.LargeStringArray], settings: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Characters, digests, numbers of shingles and signatures of rows of several parts; without `near` the number is 1
    for a row that says something, and there are no signatures."""
    import numpy as np

    from datakit.kernels.characters import buffers, count_characters
    from datakit.kernels.digests import digests_of
    from datakit.kernels.folding import fold

    characters = sum(count_characters(*buffers(part)) for part in texts)
    parts = [fold(part) for part in texts]
    digests = [digests_of(*part) for part in parts]
    if len(digests) > 1:
        step = 16 * len(digests)
        ends = np.arange(0, step * len(texts[0]) + 1, step)
        digests = [digests_of(ends, np.concatenate(digests, axis=1).ravel())]
    if settings["near"]:
        return characters, digests[0], *_sketched(parts, settings)
    filled = np.any([np.diff(offsets) > 0 for offsets, _ in parts], axis=0)
    return characters, digests[0], filled.astype(np.int64), np.empty((len(filled), 0), "<u4")


def _sketched(parts: list[tuple[Any, Any]], settings: dict[str, Any]) -> tuple[Any, Any]:
    """Numbers of shingles and signatures of rows of several folded parts."""
    import numpy as np

    from datakit.kernels.minhash import sign_folded
    from datakit.kernels.shingles import Cut

    cut = Cut(settings["unit"], settings["ngram"], settings["syllables"])
    strip = np.frombuffer(bytes.fromhex(settings.get("strip", "")), "<u8")
    width = settings["permutations"]
    signed = [sign_folded(*part, cut, width, part=number, strip=strip) for number, part in enumerate(parts)]
    signatures, counts = signed[0]
    for more, others in signed[1:]:
        signatures, counts = np.minimum(signatures, more), counts + others
    return counts, signatures.astype("<u4", copy=False)


def _binary(rows: np.ndarray[Any, Any]) -> pa.FixedSizeBinaryArray:
    """The rows of a matrix as bytes of fixed size."""
    import numpy as np
    import pyarrow as pa

    width = rows.shape[1] * rows.itemsize
    held = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, held])


@dataclass(slots=True)
class Index:
    """The signature tables of a corpus, in memory. Rows are numbered through all shards in their order.

    `row_of[place]` is the row at a place: places order the rows by who is kept first, whatever the shards are.
    """

    ids: pa.ChunkedArray
    digests: np.ndarray[Any, Any]
    """rows x 2, uint64."""
    shingles: np.ndarray[Any, Any]
    signatures: np.ndarray[Any, Any]
    """rows x permutations, uint32."""
    shard_starts: np.ndarray[Any, Any]
    """First row of every shard, and the number of rows at the end."""
    row_of: np.ndarray[Any, Any]
    source: np.ndarray[Any, Any]
    """A number for each row's source, int32."""

    @property
    def bytes_per_row(self) -> int:
        """Memory of the index, ids included, divided by its rows."""
        arrays = (self.digests, self.shingles, self.signatures, self.row_of, self.source)
        return (sum(array.nbytes for array in arrays) + self.ids.nbytes) // max(1, len(self.shingles))


def load_index(
    tables: Iterable[pa.Table], rows: int, permutations: int, keep: Keep, ranks: Sequence[pa.Table] | None = None
) -> Index:
    """All signature tables in one index; `rows` is their total, `permutations` 0 without signatures.

    `ranks` are the tables of `survivors.rank`, where `keep` goes by a column.
    """
    import numpy as np
    import pyarrow as pa

    signatures = np.empty((rows, permutations), np.uint32)
    slim: list[pa.Table] = []
    starts = [0]
    for table in tables:
        end = starts[-1] + table.num_rows
        if permutations:
            if table.num_rows:
                signatures[starts[-1] : end] = _bytes_of(table.column("signature"), 4 * permutations).view("<u4")
            table = table.drop_columns(["signature"])
        slim.append(table)
        starts.append(end)
    whole = pa.concat_tables(slim).unify_dictionaries()
    return Index(
        ids=whole.column("id"),
        digests=_bytes_of(whole.column("digest"), 16).view("<u8") if rows else np.empty((0, 2), np.uint64),
        shingles=whole.column("shingles").to_numpy(),
        signatures=signatures,
        shard_starts=np.array(starts, np.int64),
        row_of=places(whole, keep, ranks),
        source=whole.column("source").combine_chunks().indices.to_numpy().astype(np.int32),
    )


def _bytes_of(column: pa.ChunkedArray, width: int) -> np.ndarray[Any, Any]:
    """A fixed-size binary column as rows x width bytes."""
    import numpy as np

    array = column.combine_chunks()
    flat = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
    return flat.reshape(len(array), width)


def to_datasketch(tables: Iterable[pa.Table], threshold: float = 0.8) -> MinHashLSH:
    """Signature tables (of a store, or `Archive.tables` of an index on disk) as datasketch's own index, by row id.

    Query it with `datasketch.MinHash(num_perm, seed=1, scheme="affine32", hashfunc=shingle_hash32)`. Its import takes
    some seconds (scipy); datakit itself never needs it.
    """
    from datasketch import MinHashLSH

    from datakit.kernels.minhash import choose_bands

    index: MinHashLSH | None = None
    for row_id, signature in lean_minhashes(tables):
        width = len(signature.hashvalues)
        index = index or MinHashLSH(num_perm=width, params=choose_bands(threshold, width))
        index.insert(row_id, signature)
    if index is None:
        raise ValueError("no signatures were given")
    return index


def lean_minhashes(tables: Iterable[pa.Table]) -> Iterator[tuple[str, LeanMinHash]]:
    """Id and signature of each row that has shingles, as datasketch's values."""
    import numpy as np
    from datasketch import LeanMinHash

    from datakit.kernels.minhash import SEED

    for table in tables:
        columns = (table.column(name).to_pylist() for name in ("id", "signature", "shingles"))
        for row_id, signature, shingles in zip(*columns, strict=True):
            if shingles:
                yield row_id, LeanMinHash(seed=SEED, hashvalues=np.frombuffer(signature, "<u4"), scheme="affine32")


def shingle_hash32(units: list[str], part: int = 0) -> int:
    """The 32-bit hash of a run of units that signatures are made of: a `hashfunc` for datasketch."""
    from datakit.kernels.shingles import run_hash

    return run_hash(units, part) >> 32
