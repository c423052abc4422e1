"""One small table a shard, kept in the store: who a row is, its exact digest and its MinHash signature.

    id  source  position  characters  digest (16 bytes)  shingles  signature (4 bytes a permutation)

`sign` makes it from a shard; `Index` is all of them in memory, ordered by who is kept first. An index takes about
`4 * permutations + 48` bytes a row and its id: 600 bytes with 128 permutations. Text is in memory one shard at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from datakit.schemas import TEXT_JOINT, text_view

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from datasketch import LeanMinHash, MinHashLSH

SIGN_VERSION = 1
"""Part of the stored tables' keys; bump when folding, units, hashes or permutations change."""
Parts = Literal["all", "user", "assistant"]
Keep = Literal["first", "longest"]
UNSEEN = 1 << 62
"""Stands for a missing position: after all that have one."""


def sign(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """The signature table of one shard. Settings: unit, ngram, permutations, text, near (false: no signatures)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels.folding import fold
    from datakit.kernels.minhash import sign_folded

    texts = texts_of(table, settings["text"])
    offsets, data = fold(texts)
    view = memoryview(data.data)
    bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    digests = [blake2b(view[start:end], digest_size=16).digest() for start, end in bounds]
    columns = {
        "id": table.column("id"),
        "source": pc.fill_null(table.column("source"), "").dictionary_encode(),
        "position": pc.fill_null(table.column("position"), UNSEEN),
        "characters": pc.utf8_length(texts).cast(pa.int64()),
        "digest": pa.array(digests, pa.binary(16)),
    }
    if not settings["near"]:
        return pa.table({**columns, "shingles": pa.array((np.diff(offsets) > 0).astype(np.int64))})
    width = settings["permutations"]
    signatures, counts = sign_folded(offsets, data, settings["unit"], settings["ngram"], width)
    held = pa.py_buffer(np.ascontiguousarray(signatures, "<u4"))
    signed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(4 * width), len(texts), [None, held])
    return pa.table({**columns, "shingles": pa.array(counts), "signature": signed})


def columns_of(kind: str | None) -> list[str]:
    """The columns that `sign` and `texts_of` look at."""
    return ["id", "source", "position", "messages" if kind == "example" else "text"]


def texts_of(table: pa.Table, parts: Parts) -> pa.LargeStringArray:
    """One text a row to compare: a document's text, or the messages of the chosen role joined by a blank line."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = table.combine_chunks()
    batches = whole.to_batches()
    if not batches:
        return pa.array([], pa.large_string())
    if parts == "all" or "messages" not in table.schema.names:
        return text_view(batches[0])
    messages = batches[0].column("messages")
    chosen = pc.fill_null(pc.equal(messages.values.field("role"), parts), False)
    before = np.concatenate([[0], np.cumsum(chosen.to_numpy(zero_copy_only=False))])
    offsets = pa.array(before[messages.offsets.to_numpy()], pa.int64())
    contents = pc.fill_null(messages.values.field("content").filter(chosen), "")
    lists = pa.LargeListArray.from_arrays(offsets, contents)
    return pc.binary_join(lists, pa.scalar(TEXT_JOINT, pa.large_string())).cast(pa.large_string())


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

    @property
    def bytes_per_row(self) -> int:
        """Memory of the index, ids included, divided by its rows."""
        held = (
            self.digests.nbytes + self.shingles.nbytes + self.signatures.nbytes + self.row_of.nbytes + self.ids.nbytes
        )
        return held // max(1, len(self.shingles))


def load_index(tables: Iterable[pa.Table], rows: int, permutations: int, keep: Keep) -> Index:
    """All signature tables in one index; `rows` is their total, `permutations` 0 without signatures."""
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
        row_of=_places(whole, keep),
    )


def _bytes_of(column: pa.ChunkedArray, width: int) -> np.ndarray[Any, Any]:
    """A fixed-size binary column as rows x width bytes."""
    import numpy as np

    array = column.combine_chunks()
    flat = np.frombuffer(array.buffers()[1], np.uint8, len(array) * width, array.offset * width)
    return flat.reshape(len(array), width)


def _places(whole: pa.Table, keep: Keep) -> np.ndarray[Any, Any]:
    """The rows in the order in which they are kept: (longest first,) name of the source, position, id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    sources = whole.column("source").combine_chunks()
    alphabetical = np.empty(len(sources.dictionary), np.int64)
    alphabetical[pc.sort_indices(sources.dictionary).to_numpy()] = np.arange(len(alphabetical))
    columns = {
        "source": alphabetical[sources.indices.to_numpy()],
        "position": whole.column("position"),
        "id": whole.column("id"),
    }
    if keep == "longest":
        columns["characters"] = pc.negate(whole.column("characters"))
    order = [name for name in ("characters", "source", "position", "id") if name in columns]
    ranked = pa.table(columns)
    return pc.sort_indices(ranked, sort_keys=[(name, "ascending") for name in order]).to_numpy().astype(np.int64)


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


def shingle_hash32(units: list[str]) -> int:
    """The 32-bit hash of a run of units that signatures are made of: a `hashfunc` for datasketch."""
    from datakit.kernels.shingles import run_hash

    return run_hash(units) >> 32
