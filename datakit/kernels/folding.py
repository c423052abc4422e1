"""Texts folded for comparison: NFC, lower case, white space folded to one blank and trimmed.

    "  가나다\r\nABC" -> "가나다 abc"

Two texts are exact copies if they fold to the same bytes, and all shingles are cut from folded text. Lower case is
taken character by character (İ becomes i, Σ always σ); above U+FFFF capitals stay. Texts that may not be in NFC are
found on the way, and only they go through `unicodedata`. Cost: 0.5 ns a byte, and 1.5 times the text's bytes of memory.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.kernels.characters import buffers, decode
from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.masks import (
    WIDE,
    between,
    first_bits,
    gaps,
    may_be_settled,
    settled,
    tripled,
    write_folded,
    zeros_below,
)

if TYPE_CHECKING:
    import pyarrow as pa

Array = np.ndarray[Any, Any]
_ONE = np.uint64(1)


def fold_text(text: str) -> str:
    """The folded text, in plain Python."""
    lowered = "".join(char.lower()[0] if ord(char) <= 0xFFFF else char for char in unicodedata.normalize("NFC", text))
    return " ".join(lowered.split())


@cache
def fold_table() -> Array:
    """Code point -> folded code point below U+10000: lower case, white space to a blank."""
    chars = (chr(point) for point in range(0x10000))
    return np.array([0x20 if char.isspace() else ord(char.lower()[0]) for char in chars], np.uint16)


@cache
def _unsettled_table() -> Array:
    """Code points below U+10000 next to which a text may not be in NFC: marks, conjoining jamo, compatibility forms."""
    table = np.zeros(0x10000, np.bool_)
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = True
    for point in range(0xC0, 0x10000):
        char = chr(point)
        parts = unicodedata.decomposition(char)
        if parts and parts[0] != "<":
            table[point] |= unicodedata.normalize("NFC", char) != char
            for part in parts.split()[1:]:
                if (second := int(part, 16)) < 0x10000:
                    table[second] = True
        table[point] |= unicodedata.combining(char) != 0
    return table


@kernel
def _fold(offsets: Any, data: Any, table: Any, unsettled: Any) -> tuple[Any, Any, Any]:
    """Folded texts: their offsets and bytes, and which texts may not be in NFC (`unsettled`) and so are not done.

    Where the text's ASCII, Han and Hangul run on, 64 bytes are looked at at once and written run by run, without the
    blanks that follow a blank; so nothing branches on common bytes. The rest goes character by character.
    """
    places, found = np.zeros(len(offsets), np.int64), np.zeros(len(offsets) - 1, np.bool_)
    size = offsets[-1] - offsets[0]
    out = np.empty(size + size // 2 + WIDE, np.uint8)  # lower case takes three bytes at most where the capital had two
    to: Any = 0
    for row in range(len(offsets) - 1):
        begin = to
        to, found[row] = _fold_text(data, offsets[row], offsets[row + 1], table, unsettled, out, to)
        if to > begin and out[to - 1] == 0x20:
            to -= 1
        places[row + 1] = to
    return places, out[:to], found


@kernel
def _fold_text(data: Any, start: int, end: int, table: Any, unsettled: Any, out: Any, to: Any) -> tuple[Any, Any]:
    """Write one folded text from place `to` on, up to one blank too many; the place after it, and whether it may not
    be in NFC."""
    i: Any = start
    blank, found = _ONE, False
    while i < end:
        if i + 2 * WIDE <= len(data):
            room = min(WIDE, end - i)
            gap, high = gaps(data, i), between(data, i, 0x80, 0xFF)
            if high:
                high &= ~tripled(settled(data, i) & first_bits(room - 2))
            plain = zeros_below(high | ~first_bits(room))
            if plain > 0:
                kept = ~(gap & ((gap << _ONE) | blank)) & first_bits(plain)
                to = _write_kept(data, i, kept, out, to)
                i, blank = i + plain, (gap >> np.uint64(plain - 1)) & _ONE
                continue
        while i < end:
            begun: Any = i
            point, i = decode(data, i, end)
            basic = point < 0x10000
            # Above U+FFFF every letter block with compositions counts as unsettled, emoji do not.
            found |= unsettled[point] if basic else point < 0x1F000 or 0x2F800 <= point < 0x2FA20
            lower = np.int64(table[point]) if basic else point
            if lower == 0x20:
                out[to] = 0x20
                to += 1 - np.int64(blank)
                blank = _ONE
            elif lower == point:
                blank = np.uint64(0)
                for place in range(begun, i):
                    out[to] = data[place]
                    to += 1
            else:
                blank = np.uint64(0)
                to = _put(out, to, lower)
            if i < end and may_be_settled(data[i]) and i + 2 * WIDE <= len(data):
                break
    return to, found


@inlined
def _write_kept(data: Any, i: int, kept: Any, out: Any, to: Any) -> Any:
    """Write those of 64 bytes that are kept, run by run; each run is written with what stands behind it, which the
    next one overwrites. Three runs are written whether there are as many or not: most blocks have no more, and to guess
    how many costs more than to write them."""
    for _ in range(3):
        kept, to = _write_run(data, i, kept, out, to)
    while kept:
        kept, to = _write_run(data, i, kept, out, to)
    return to


@inlined
def _write_run(data: Any, i: int, kept: Any, out: Any, to: Any) -> tuple[Any, Any]:
    """Write the first run of bits and take it away; no bits are a run of none."""
    begin, carried = zeros_below(kept), kept + (kept & (~kept + _ONE))  # the run's bits give one behind it
    write_folded(data, i + begin, out, to)
    return kept & carried, to + zeros_below(carried) - begin


@kernel
def _put(out: Any, to: int, point: int) -> int:
    """Write a code point below U+10000 as UTF-8; the place after it."""
    if point < 0x80:
        out[to] = point
        return to + 1
    if point < 0x800:
        out[to], out[to + 1] = 0xC0 | (point >> 6), 0x80 | (point & 0x3F)
        return to + 2
    out[to], out[to + 1], out[to + 2] = 0xE0 | (point >> 12), 0x80 | ((point >> 6) & 0x3F), 0x80 | (point & 0x3F)
    return to + 3


def fold(texts: pa.LargeStringArray) -> tuple[Array, Array]:
    """Folded texts as offsets (int64, rows + 1) and UTF-8 bytes; `texts` holds no nulls."""
    import pyarrow as pa

    places, folded, unsettled = _fold(*buffers(texts), fold_table(), _unsettled_table())
    if not unsettled.any():
        return places, folded
    rows = np.flatnonzero(unsettled)
    mended = [unicodedata.normalize("NFC", text) for text in texts.take(pa.array(rows)).to_pylist()]
    new_places, new, _ = _fold(*buffers(pa.array(mended, pa.large_string())), fold_table(), _unsettled_table())
    return _spliced(places, folded, rows, new_places, new)


def _spliced(places: Array, folded: Array, rows: Array, new_places: Array, new: Array) -> tuple[Array, Array]:
    """The folded texts with those of some rows put in place of what is there."""
    pieces, at = [], 0
    for row, start, end in zip(rows.tolist(), new_places[:-1].tolist(), new_places[1:].tolist(), strict=True):
        pieces += [folded[at : places[row]], new[start:end]]
        at = places[row + 1]
    sizes = np.diff(places)
    sizes[rows] = np.diff(new_places)
    return np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([*pieces, folded[at:]])
