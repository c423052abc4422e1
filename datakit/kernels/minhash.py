"""MinHash signatures in datasketch 2's `affine32` scheme, and how they are cut into bands.

For permutation k and 32-bit hash h of a shingle (the upper half of its 64-bit hash):

    signature[k] = min over the shingles of  a[k] * fmix32(h) + b[k]   mod 2^32,   a odd

bit for bit what `datasketch.MinHash(num_perm, seed, scheme="affine32", hashfunc=...)` gives for the same hashes
(github.com/ekzhu/datasketch, 2.0; tests hold the two together). The share of equal places estimates the Jaccard
similarity J with a standard deviation of sqrt(J (1 - J) / permutations): 0.035 at 0.8 with 128.

Rows whose signatures agree in all of one band's places become candidates: with probability 1 - (1 - J^rows)^bands.
`choose_bands` takes the longest bands that still find 9,999 of 10,000 pairs at the threshold. With 128 permutations:

    threshold   bands x rows   J = 0.3    0.5    0.6    0.7       0.8       0.9
    0.7             42 x 3        0.68   0.996  1.0    1.0       1.0       1.0
    0.8             25 x 5        0.06   0.55   0.87   0.990     0.99995   1.0
    0.9             18 x 7        0.004  0.13   0.40   0.79      0.986     0.99999

Too many candidates cost little, since they are verified; a pair that is missed is missed for good.
Cost: 4 ns a shingle for 128 permutations (64 of them at a time in vector registers), 512 bytes a row.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.folding import fold
from datakit.kernels.lanes import PLACES, least_permuted
from datakit.kernels.shingles import NONE, Cut, hash_shingles, mix

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
SEED = 1
"""Seed of the permutations: datasketch's default."""
FOUND = 0.9999
"""Share of the pairs at the threshold that the bands must find."""
UPPER = np.uint64(32)


@cache
def permutations(count: int, seed: int = SEED) -> tuple[Array, Array]:
    """The multipliers and addends of `count` permutations (uint32), drawn as datasketch draws them."""
    stream = np.random.RandomState(seed)
    a = stream.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, stream.randint(0, 1 << 32, count, dtype=np.uint32)


@inlined
def _premixed(hashed: Any) -> Any:
    """MurmurHash3's 32-bit finalizer of the upper half of a 64-bit hash."""
    h = np.uint32(hashed >> UPPER)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@kernel
def sign_texts(
    offsets: Any, data: Any, table: Any, everything: Any, cut: Any, strip: Any, a: Any, b: Any
) -> tuple[Any, Any]:
    """Signatures (rows x permutations) and numbers of shingles, repeats counted."""
    rows, width = len(offsets) - 1, len(a)
    longest = 1
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch, alone, mixed = np.empty(longest, np.uint64), np.empty(longest, np.bool_), np.empty(longest, np.uint32)
    signatures, counts = np.empty((rows, width), np.uint32), np.zeros(rows, np.int64)
    for row in range(rows):
        count = hash_shingles(data, offsets[row], offsets[row + 1], table, everything, cut, strip, scratch, alone)
        counts[row] = count
        for i in range(count):
            mixed[i] = _premixed(scratch[i])
        whole = width - width % PLACES
        for k in range(0, whole, PLACES):
            least_permuted(mixed, count, a, b, k, signatures[row])
        for k in range(whole, width):
            least = np.uint32(0xFFFFFFFF)
            for i in range(count):
                least = min(least, np.uint32(np.uint32(a[k] * mixed[i]) + b[k]))
            signatures[row, k] = least
    return signatures, counts


def sign_folded(
    offsets: Array, data: Array, cut: Cut, count: int, *, part: int = 0, strip: Array = NONE, seed: int = SEED
) -> tuple[Array, Array]:
    """Signatures of folded texts (uint32, rows x `count`; all ones for empty texts) and their numbers of shingles.

    The signature of a row of several parts is the elementwise minimum of its parts' signatures, which is the signature
    of the union of their shingles.
    """
    return sign_texts(offsets, data, *cut.tables, cut.numbers(part), strip, *permutations(count, seed))


def sign(texts: pa.LargeStringArray, cut: Cut, count: int, seed: int = SEED) -> tuple[Array, Array]:
    """The same for texts that are not folded yet."""
    return sign_folded(*fold(texts), cut, count, seed=seed)


def signature_of(shingles: list[int], count: int, seed: int = SEED) -> Array:
    """The signature of one set of 64-bit hashes in numpy: what the kernel is held to."""
    a, b = permutations(count, seed)
    h = (np.array(shingles, np.uint64) >> UPPER).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
    h ^= h >> np.uint32(16)
    return (h[:, None] * a + b).min(axis=0, initial=0xFFFFFFFF)


def found_share(jaccard: float, bands: int, rows: int) -> float:
    """The probability that two rows of this similarity become candidates."""
    return 1.0 - (1.0 - jaccard**rows) ** bands


def choose_bands(threshold: float, count: int) -> tuple[int, int]:
    """Bands and rows a band: the longest bands that find `FOUND` of the pairs at the threshold."""
    fitting = [rows for rows in range(1, min(16, count) + 1) if found_share(threshold, count // rows, rows) >= FOUND]
    rows = max(fitting, default=1)
    return count // rows, rows


@kernel
def band_keys(signatures: Any, rows: Any, start: int, width: int) -> Any:
    """One 64-bit key a row of `rows`: a hash of `width` places of its signature from `start` on."""
    keys = np.empty(len(rows), np.uint64)
    for i in range(len(rows)):
        key = np.uint64(width)
        for k in range(start, start + width):
            key = mix((key << np.uint64(1)) ^ np.uint64(signatures[rows[i], k]))
        keys[i] = key
    return keys


@kernel
def agreement(signatures: Any, one: int, other: int) -> int:
    """In how many places two signatures agree."""
    equal = 0
    for k in range(signatures.shape[1]):
        equal += signatures[one, k] == signatures[other, k]
    return equal
