"""Folded texts as sets of hashed shingles: cut a text into units, hash every run of neighbouring units.

    unit        what stands as one unit                                       of "가나다 abc!"
    word        runs of letters, digits and `_` (Python's \\w+)               가나다 | abc
    script      words, but every Hangul syllable, jamo, kana and Han          가 | 나 | 다 | abc
                character alone, and every letter of the scripts that
                part no words by blanks (Thai, Lao, Burmese, Khmer)
    syllable    every letter and digit alone                                  가 | 나 | 다 | a | b | c
    char        every character alone, blanks and signs too                   가 | 나 | 다 | ␠ | a | b | c | !

A shingle holds `ngram` units. Under `script` one begins at every unit and is as short as it can be with

    number of words / ngram  +  number of lone characters / syllables  >=  1

A text too short for one is one shingle; a text of signs alone ("!!!", emoji) is cut as by `char`; an empty text has no
shingles.

In Korean one changed particle changes one syllable but a whole word, and so five word shingles: of texts with 5 % of
their eojeol edited, word 5-grams leave a Jaccard of 0.63 at the median, syllable 5-grams 0.82 and syllable 3-grams 0.88
(99 % of the pairs at 0.8 or above; tests/korean_near_duplicates.py). Words in Latin letters carry about as much as
three syllables; five *letters* carry far too little. Hence `script`. It also looks past spacing errors.

A text with several parts (question and answer) has the union of its parts' shingles; those of part 1, 2 ... are hashed
once more with the part's number, so that no part is taken for another. `strip` names shingles that don't count, sorted:
a template. A part that has no others left counts as one shingle, the whole of it.

Cost: 1.5 ns a byte; memory: 9 bytes a unit of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.kernels.characters import HAN, HANGUL, JAMO, KANA, TABLE, decode
from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.folding import fold
from datakit.kernels.lanes import RUNS, hash_windows
from datakit.kernels.masks import (
    ALL,
    WIDE,
    between,
    first_bits,
    may_be_settled,
    settled,
    tripled,
    wordlikes,
    zeros_above,
    zeros_below,
)
from datakit.kernels.unaligned import read64

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
BREAK, JOINED, ALONE = 0, 1, 2
"""What a character is to a unit: no part of one, a part of a longer one, one by itself."""
_KNOWN = 0x20000
_NO_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
_MASK = (1 << 64) - 1

# Odd 64-bit constants: the FNV-1a offset, the multipliers of MurmurHash3's 64-bit finalizer, 2^64 / golden ratio.
_START, _PART = 0xCBF29CE484222325, 0x9E3779B97F4A7C15
_MIX1, _MIX2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
START, PART = np.uint64(_START), np.uint64(_PART)
MIX1, MIX2, HALF, ONE = np.uint64(_MIX1), np.uint64(_MIX2), np.uint64(33), np.uint64(1)
NONE = np.empty(0, np.uint64)
"""No template."""


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
        kind = _kind(table, ord(char))
        if kind == JOINED and open_word:
            found[-1] += char
        elif kind != BREAK:
            found.append(char)
        open_word = kind == JOINED
    return found


@dataclass(frozen=True, slots=True)
class Cut:
    """How texts are cut into shingles."""

    unit: str = "script"
    ngram: int = 5
    """Units in a shingle."""
    syllables: int = 3
    """Lone characters in a shingle of the unit `script`; other units ignore it."""

    @property
    def tables(self) -> tuple[Array, Array]:
        """What the characters are to the unit, and to `char`."""
        return unit_table(self.unit), unit_table("char")

    @property
    def words(self) -> tuple[int, int]:
        """Words in a shingle, and lone characters: the same number, but for `script`."""
        return self.ngram, self.syllables if self.unit == "script" else self.ngram

    def numbers(self, part: int) -> tuple[int, int, int]:
        """What a kernel needs to know beside the tables."""
        return (*self.words, part)


def unit_hash(unit: str) -> int:
    """64-bit hash of one unit: its UTF-8 bytes, eight at a time, mixed. Units of up to eight bytes never collide."""
    data, hashed = unit.encode(), _START
    for i in range(0, len(data), 8):
        hashed = _added(hashed, int.from_bytes(data[i : i + 8], "little"))
    return _mixed(hashed)


def run_hash(units: list[str], part: int = 0) -> int:
    """64-bit hash of a run of units of a part, in plain Python: what the kernels are held to. Order matters."""
    hashed = _START
    for unit in units:
        hashed = ((hashed ^ (hashed >> 29)) * _MIX1 + unit_hash(unit)) & _MASK
    return _mixed(_mixed(hashed) ^ (part * _PART & _MASK)) if part else _mixed(hashed)


def _added(hashed: int, word: int) -> int:
    hashed = ((hashed ^ word) * _MIX1) & _MASK
    return hashed ^ (hashed >> 33)


def _mixed(hashed: int) -> int:
    hashed = ((hashed ^ (hashed >> 33)) * _MIX1) & _MASK
    hashed = ((hashed ^ (hashed >> 33)) * _MIX2) & _MASK
    return hashed ^ (hashed >> 33)


def runs_of(folded: str, cut: Cut) -> list[list[str]]:
    """The runs of units that a folded text's shingles are the hashes of, in order, in plain Python."""
    table, everything = cut.tables
    units = units_of(folded, cut.unit)
    if not units:
        table, units = everything, list(folded)
    words, lone = cut.words
    weights = [words if len(one) == 1 and _kind(table, ord(one)) == ALONE else lone for one in units]
    runs, end, weight = [], 0, 0
    for start in range(len(units)):
        while weight < words * lone and end < len(units):
            weight += weights[end]
            end += 1
        if weight < words * lone:
            break
        runs.append(units[start:end])
        weight -= weights[start]
    return runs or ([units] if units else [])


def shingles_of(folded: str, cut: Cut, part: int = 0, strip: Sequence[int] = ()) -> list[int]:
    """The hashed shingles of a folded text in order, repeats kept, in plain Python."""
    hashes = [run_hash(run, part) for run in runs_of(folded, cut)]
    left = [hashed for hashed in hashes if hashed not in strip]
    return left or ([_whole(hashes)] if hashes else [])


def _whole(hashes: list[int]) -> int:
    hashed = _START
    for one in hashes:
        hashed = _added(hashed, one)
    return hashed


def _kind(table: Array, point: int) -> int:
    """What a character is to a unit. Beyond the table: Han, or no letter at all."""
    return int(table[point if point < _KNOWN else 0x4E00 if point < 0x40000 else 0x21])


@inlined
def mix(hashed: Any) -> Any:
    """MurmurHash3's 64-bit finalizer."""
    hashed = (hashed ^ (hashed >> HALF)) * MIX1
    hashed = (hashed ^ (hashed >> HALF)) * MIX2
    return hashed ^ (hashed >> HALF)


@inlined
def _add(hashed: Any, word: Any) -> Any:
    hashed = (hashed ^ word) * MIX1
    return hashed ^ (hashed >> HALF)


@kernel
def hash_units(data: Any, start: int, end: int, table: Any, out: Any, alone: Any) -> int:
    """Hash the units of one folded text into `out`; `alone` says which are single characters. Returns their number.

    Both must hold `end - start` items. Where ASCII, Han and Hangul run on, 64 bytes are looked at at once; a unit that
    those may cut off, or that holds other characters, goes character by character.
    """
    count: Any = 0
    i: Any = start
    while i < end:
        if i + WIDE + 16 <= len(data):
            known, joined, lone, bytes_of_lone = _kinds(data, i, min(WIDE, end - i), table)
            if known > 0 and i + known < end:  # the last run may go on behind
                known -= zeros_above(~(joined << np.uint64(WIDE - known)))
            if known > 0:
                within = first_bits(known)
                joined, lone, bytes_of_lone = joined & within, lone & within, bytes_of_lone & within
                opens = lone | (joined & ~(joined << ONE))
                closes = opens | ~(joined | bytes_of_lone)
                while opens:
                    at = zeros_below(opens)
                    size = min(1 + zeros_below((closes >> np.uint64(at)) >> ONE), WIDE - at)
                    out[count] = _hash_bytes(data, i + at, size)
                    alone[count] = (lone >> np.uint64(at)) & ONE
                    count += 1
                    opens &= opens - ONE
                i += known
                continue
        while i < end:
            out[count], kind, i = _next_unit(data, i, end, table)
            alone[count] = kind == ALONE
            count += kind != BREAK
            if i < end and may_be_settled(data[i]) and i + WIDE + 16 <= len(data):
                break
    return count


@inlined
def _kinds(data: Any, i: int, room: int, table: Any) -> tuple[Any, Any, Any, Any]:
    """How many of `room` bytes from `i` on are of ASCII, Han and Hangul, and of these the bytes of joined characters,
    the first bytes of lone ones, and all bytes of lone ones. Each of the three kinds of characters is of one class."""
    high, word, far = between(data, i, 0x80, 0xFF), wordlikes(data, i), np.uint64(0)
    other = ~(high | word)
    if high:
        far = settled(data, i) & first_bits(room - 2)
        high &= ~tripled(far)
    joined = (word if table[0x61] == JOINED else np.uint64(0)) | (
        tripled(far) if table[0xAC00] == JOINED else np.uint64(0)
    )
    lone = (word if table[0x61] == ALONE else np.uint64(0)) | (other if table[0x21] == ALONE else np.uint64(0))
    far = far if table[0xAC00] == ALONE else np.uint64(0)
    return zeros_below(high | ~first_bits(room)), joined, lone | far, lone | tripled(far)


@inlined
def _hash_bytes(data: Any, i: int, size: int) -> Any:
    """The hash of a unit of `size` bytes; there are 16 more to read behind its first byte. No branch up to 16 bytes."""
    hashed = _add(START, read64(data, i) & (ALL >> np.uint64(64 - 8 * min(size, 8))))
    longer = _add(hashed, read64(data, i + 8) & (ALL >> np.uint64(64 - 8 * min(max(size - 8, 1), 8))))
    hashed = longer if size > 8 else hashed
    for at in range(16, size, 8):
        hashed = _add(hashed, read64(data, i + at) & (ALL >> np.uint64(64 - 8 * min(size - at, 8))))
    return mix(hashed)


@kernel
def _next_unit(data: Any, i: int, end: int, table: Any) -> tuple[Any, Any, Any]:
    """The next unit, character by character: its hash, its kind (BREAK: a character that is part of none), the place
    after it. Bytes gather in `word`, which is hashed when it is full or the unit ends."""
    hashed, word, shift = START, np.uint64(0), np.uint64(0)
    kind: Any = BREAK
    while i < end:
        like, after = decode(data, i, end)
        if like >= _KNOWN:  # beyond the table: Han, or no letter at all
            like = 0x4E00 if like < 0x40000 else 0x21
        now = np.int64(table[like])
        if kind == JOINED and now != JOINED:
            break
        kind = now
        if kind == BREAK:
            return hashed, kind, after
        for place in range(i, after):
            word |= np.uint64(data[place]) << shift
            shift += np.uint64(8)
            if shift == 64:
                hashed, word, shift = _add(hashed, word), np.uint64(0), np.uint64(0)
        i = after
        if kind == ALONE:
            break
    return mix(_add(hashed, word) if shift > 0 else hashed), kind, i


@inlined
def hash_run(units: Any, start: int, ngram: int) -> Any:
    """The hash of `ngram` neighbouring units."""
    hashed = START
    for k in range(ngram):
        hashed = (hashed ^ (hashed >> np.uint64(29))) * MIX1 + units[start + k]
    return mix(hashed)


@kernel
def hash_shingles(
    data: Any, start: int, end: int, table: Any, everything: Any, cut: Any, strip: Any, out: Any, alone: Any
) -> int:
    """Hash the shingles of one folded text into `out` (at least `end - start` items); returns their number.

    `everything` is the table of the unit `char`, for texts of signs alone; `cut` is (words, lone characters, part).
    """
    count = hash_units(data, start, end, table, out, alone)
    if count == 0:
        count = hash_units(data, start, end, everything, out, alone)
    if count == 0:
        return 0
    shingles, tag = _hash_runs(out, alone, count, cut[0], cut[1]), np.uint64(cut[2]) * PART
    if shingles == 0:
        out[0], shingles = hash_run(out, 0, count), 1
    if tag:
        for i in range(shingles):
            out[i] = mix(out[i] ^ tag)
    return _strip(out, shingles, strip) if len(strip) else shingles


@kernel
def _hash_runs(out: Any, alone: Any, count: int, words: int, lone: int) -> Any:
    """Hash the runs of `count` units in place: unit i is never read again after run i. Returns their number."""
    stop, weight, enough = 0, 0, words * lone
    first: Any = 0
    while first < count:
        while weight < enough and stop < count:
            weight += words if alone[stop] else lone
            stop += 1
        if weight < enough:
            break
        window, ahead = stop - first, 0
        while ahead < RUNS and stop + ahead < count and alone[first + ahead] == alone[stop + ahead] == alone[first]:
            ahead += 1
        leaves = words if alone[first] else lone
        if ahead == RUNS and weight - leaves < enough:  # each time as much comes in as goes: the next runs are as long
            hash_windows(out, first, window, START, MIX1, MIX2)
            first, stop = first + RUNS, stop + RUNS
            continue
        weight -= leaves
        out[first] = hash_run(out, first, window)
        first += 1
    return first


@kernel
def _strip(out: Any, count: int, strip: Any) -> int:
    """Take out what `strip` names; if nothing is left, one hash stands for all. Returns how many are left."""
    to, whole = 0, START
    for i in range(count):
        whole = _add(whole, out[i])
        place = np.searchsorted(strip, out[i])
        if place == len(strip) or strip[place] != out[i]:
            out[to] = out[i]
            to += 1
    if to == 0:
        out[0] = whole
    return max(to, 1)


@kernel
def collect_shingles(
    offsets: Any, data: Any, table: Any, everything: Any, cut: Any, strip: Any, share: Any, shares: Any
) -> Any:
    """All shingles of some texts whose hash is `share` modulo `shares`: their flat hashes and offsets, not yet sets."""
    longest = 1
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    scratch, alone = np.empty(longest, np.uint64), np.empty(longest, np.bool_)
    places = np.zeros(len(offsets), np.int64)
    flat = np.empty(max(64, (offsets[-1] - offsets[0]) // 4), np.uint64)
    to = 0
    for row in range(len(offsets) - 1):
        count = hash_shingles(data, offsets[row], offsets[row + 1], table, everything, cut, strip, scratch, alone)
        if to + count > len(flat):
            wider = np.empty(2 * (to + count), np.uint64)
            wider[:to] = flat[:to]
            flat = wider
        for i in range(count):
            if shares == 1 or scratch[i] % shares == share:
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
    texts: pa.LargeStringArray,
    cut: Cut,
    *,
    part: int = 0,
    strip: Array = NONE,
    share: int = 0,
    shares: int = 1,
) -> tuple[Array, Array]:
    """The sets of shingles of some texts: sorted distinct uint64 hashes, end to end, and their offsets.

    With `shares` > 1 only hashes that are `share` modulo `shares`: sizes and intersections add up over the shares.
    """
    flat, places = collect_shingles(
        *fold(texts), *cut.tables, cut.numbers(part), strip, np.uint64(share), np.uint64(shares)
    )
    for start, end in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        flat[start:end].sort()
    places = _compact(flat, places)
    return flat[: places[-1]].copy(), places
