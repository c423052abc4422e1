"""Folded texts as sets of hashed shingles: cut a text into units, hash every run of `ngram` neighbouring units.

    unit        what stands as one unit                                       of "가나다 abc!"
    word        runs of letters, digits and `_` (Python's \\w+)               가나다 | abc
    script      words, but every Hangul syllable, jamo, kana and Han          가 | 나 | 다 | abc
                character alone, and every letter of the scripts that
                part no words by blanks (Thai, Lao, Burmese, Khmer)
    syllable    every letter and digit alone                                  가 | 나 | 다 | a | b | c
    char        every character alone, blanks and signs too                   가 | 나 | 다 | ␠ | a | b | c | !

A text with fewer than `ngram` units is one shingle; a text of signs alone ("!!!", emoji) is cut as by `char`; an empty
text has no shingles.

In Korean one changed particle changes one syllable but a whole word, and so five word shingles: of texts with 5 % of
their words changed, word 5-grams leave a Jaccard of 0.63 and syllable 5-grams 0.84. Words in Latin letters carry about
as much as three syllables; five *letters* carry far too little. Hence `script`. It also looks past spacing errors.

Cost: 3 ns a byte; memory: 9 bytes a unit of the longest text.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.kernels.characters import HAN, HANGUL, JAMO, KANA, TABLE, decode
from datakit.kernels.compiled import kernel
from datakit.kernels.folding import fold

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
BREAK, JOINED, ALONE = 0, 1, 2
"""What a character is to a unit: no part of one, a part of a longer one, one by itself."""
_KNOWN = 0x20000
_NO_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
_MASK = (1 << 64) - 1

# Odd 64-bit constants: the FNV-1a prime and offset, and the multipliers of MurmurHash3's 64-bit finalizer.
_FNV, _START = 0x100000001B3, 0xCBF29CE484222325
_MIX1, _MIX2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
FNV, START = np.uint64(_FNV), np.uint64(_START)
MIX1, MIX2, HALF = np.uint64(_MIX1), np.uint64(_MIX2), np.uint64(33)


@cache
def unit_table(unit: str) -> Array:
    """BREAK, JOINED or ALONE for the code points below U+20000; see the module's page for the four units."""
    if unit == "char":
        return np.full(_KNOWN, ALONE, np.uint8)
    word = np.array([chr(point).isalnum() or point == 0x5F for point in range(_KNOWN)])
    alone = np.zeros(_KNOWN, np.bool_)
    if unit == "syllable":
        alone[:] = True
    elif unit == "script":
        alone[: len(TABLE)] = np.isin(TABLE, (HANGUL, JAMO, KANA, HAN))
        alone[0x1AFF0:0x1B170] = True
        for low, high in _NO_SPACES:
            alone[low : high + 1] = True
    elif unit != "word":
        raise ValueError(f"no unit {unit!r}; one of script, word, syllable, char")
    return np.where(word, np.where(alone, ALONE, JOINED), BREAK).astype(np.uint8)


def units_of(folded: str, unit: str) -> list[str]:
    """The units of a folded text, in plain Python."""
    found: list[str] = []
    table, open_word = unit_table(unit), False
    for char in folded:
        point = ord(char)
        if point >= _KNOWN:  # beyond the table: Han, or no letter at all
            point = 0x4E00 if point < 0x40000 else 0x21
        kind = table[point]
        if kind == JOINED and open_word:
            found[-1] += char
        elif kind != BREAK:
            found.append(char)
        open_word = kind == JOINED
    return found


def unit_hash(unit: str) -> int:
    """64-bit hash of one unit: FNV-1a over code points, then mixed."""
    hashed = _START
    for char in unit:
        hashed = ((hashed ^ ord(char)) * _FNV) & _MASK
    return _mixed(hashed)


def run_hash(units: list[str]) -> int:
    """64-bit hash of a run of units, in plain Python: what the kernels are held to. Order matters."""
    hashed = _START
    for unit in units:
        hashed = ((hashed ^ (hashed >> 29)) * _MIX1 + unit_hash(unit)) & _MASK
    return _mixed(hashed)


def _mixed(hashed: int) -> int:
    hashed = ((hashed ^ (hashed >> 33)) * _MIX1) & _MASK
    hashed = ((hashed ^ (hashed >> 33)) * _MIX2) & _MASK
    return hashed ^ (hashed >> 33)


def shingles_of(folded: str, unit: str, ngram: int) -> list[int]:
    """The hashed shingles of a folded text in order, repeats kept, in plain Python."""
    units = units_of(folded, unit) or list(folded)
    if not units:
        return []
    return [run_hash(units[i : i + ngram]) for i in range(max(1, len(units) - ngram + 1))]


@kernel
def mix(hashed: Any) -> Any:
    """MurmurHash3's 64-bit finalizer."""
    hashed = (hashed ^ (hashed >> HALF)) * MIX1
    hashed = (hashed ^ (hashed >> HALF)) * MIX2
    return hashed ^ (hashed >> HALF)


@kernel
def hash_units(data: Any, start: int, end: int, table: Any, out: Any, alone: Any) -> int:
    """Hash the units of one folded text into `out`; `alone` says which are single characters. Returns their number.

    Both must hold `end - start` items.
    """
    count = 0
    inside = False
    hashed = START
    i = start
    while i < end:
        point, i = decode(data, i, end)
        like = point
        if point >= _KNOWN:  # beyond the table: Han, or no letter at all
            like = 0x4E00 if point < 0x40000 else 0x21
        kind = table[like]
        if kind == JOINED:
            hashed = ((hashed if inside else START) ^ np.uint64(point)) * FNV
            inside = True
            continue
        if inside:
            out[count], alone[count] = mix(hashed), False
            count += 1
            inside = False
        if kind == ALONE:
            out[count], alone[count] = mix((START ^ np.uint64(point)) * FNV), True
            count += 1
    if inside:
        out[count], alone[count] = mix(hashed), False
        count += 1
    return count


@kernel
def hash_run(units: Any, start: int, ngram: int) -> Any:
    """The hash of `ngram` neighbouring units."""
    hashed = START
    for k in range(ngram):
        hashed = (hashed ^ (hashed >> np.uint64(29))) * MIX1 + units[start + k]
    return mix(hashed)


@kernel
def hash_shingles(
    data: Any, start: int, end: int, table: Any, everything: Any, ngram: int, out: Any, alone: Any
) -> int:
    """Hash the shingles of one folded text into `out` (at least `end - start` items); returns their number.

    `everything` is the table of the unit `char`, for texts of signs alone.
    """
    count = hash_units(data, start, end, table, out, alone)
    if count == 0:
        count = hash_units(data, start, end, everything, out, alone)
    if count == 0:
        return 0
    length = min(ngram, count)
    for i in range(count - length + 1):  # in place: place i is never read again after window i
        out[i] = hash_run(out, i, length)
    return count - length + 1


@kernel
def collect_shingles(offsets: Any, data: Any, table: Any, everything: Any, ngram: int, share: Any, shares: Any) -> Any:
    """All shingles of some texts whose hash is `share` modulo `shares`: their flat hashes and offsets, not yet sets."""
    longest = 1
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch, alone = np.empty(longest, np.uint64), np.empty(longest, np.bool_)
    places = np.zeros(len(offsets), np.int64)
    flat = np.empty(max(64, (offsets[-1] - offsets[0]) // 4), np.uint64)
    to = 0
    for row in range(len(offsets) - 1):
        count = hash_shingles(data, offsets[row], offsets[row + 1], table, everything, ngram, scratch, alone)
        if to + count > len(flat):
            wider = np.empty(2 * (to + count), np.uint64)
            wider[:to] = flat[:to]
            flat = wider
        for i in range(count):
            if scratch[i] % shares == share:
                flat[to] = scratch[i]
                to += 1
        places[row + 1] = to
    return flat[:to], places


@kernel
def _compact(flat: Any, places: Any) -> Any:
    """Remove repeats from sorted stretches, in place; returns the new offsets."""
    fresh = np.zeros(len(places), np.int64)
    to = 0
    for row in range(len(places) - 1):
        begin = to
        for i in range(places[row], places[row + 1]):
            if to == begin or flat[i] != flat[to - 1]:
                flat[to] = flat[i]
                to += 1
        fresh[row + 1] = to
    return fresh


def shingle_sets(
    texts: pa.LargeStringArray, unit: str, ngram: int, share: int = 0, shares: int = 1
) -> tuple[Array, Array]:
    """The sets of shingles of some texts: sorted distinct uint64 hashes, end to end, and their offsets.

    With `shares` > 1 only hashes that are `share` modulo `shares`: sizes and intersections add up over the shares.
    """
    offsets, data = fold(texts)
    table, everything = unit_table(unit), unit_table("char")
    flat, places = collect_shingles(offsets, data, table, everything, ngram, np.uint64(share), np.uint64(shares))
    for start, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        flat[start:end].sort()
    places = _compact(flat, places)
    return flat[: places[-1]].copy(), places
