"""UTF-8 decoding and character classes for the other kernels.

    offsets, data = buffers(array)              # views of Arrow's memory, no copy
    point, after = decode(data, i, end)         # one code point
    char_class(point)                           # one of the classes below

Each code point has exactly one class. For the first 65,536 code points the class is looked up in a table made from
Python's `unicodedata`, so SPACE is exactly what `str.split()` splits at; above them ranges are told apart, which is
right for all CJK characters and emoji and calls the letters, digits and marks of rare historic scripts LETTER.
Decoding costs about 1 ns a byte.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.kernels.masks import WIDE, between, first_bits, ones

if TYPE_CHECKING:
    import pyarrow as pa

UNASSIGNED, SPACE, DIGIT, LATIN, HANGUL, JAMO, KANA, HAN, LETTER, PUNCTUATION, SYMBOL, CONTROL, MARK = range(13)
"""The classes. HANGUL: composed syllables. JAMO: single letters (ㅋ, conjoining jamo). LETTER: of any other script.
SYMBOL: signs and emoji. CONTROL: control and format characters (ZWJ and U+200B too). MARK: combining (U+FE0F too)."""
CLASSES = 13
LETTERS = (1 << LATIN) | (1 << HANGUL) | (1 << JAMO) | (1 << KANA) | (1 << HAN) | (1 << LETTER)
"""Bit set of the classes of letters: `(LETTERS >> char_class(point)) & 1`."""
WORDLIKE = LETTERS | (1 << DIGIT)
"""Bit set of the classes that make words: letters and digits, without `_`, which is PUNCTUATION."""
REPLACEMENT = 0xFFFD

# Ranges of letters, by Unicode block; a character is LATIN etc. only if its category is a letter (or a letter number).
_SCRIPTS = (
    (LATIN, ((0x41, 0x24F), (0x250, 0x2AF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F))),
    (LATIN, ((0xA720, 0xA7FF), (0xAB30, 0xAB6F), (0xFB00, 0xFB06), (0xFF21, 0xFF5A))),
    (HANGUL, ((0xAC00, 0xD7A3),)),
    (JAMO, ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xD7B0, 0xD7FF), (0xFFA0, 0xFFDC))),
    (KANA, ((0x3040, 0x309F), (0x30A0, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))),
    (HAN, ((0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))),
)
_SCRIPT_AT = bytearray(0x10000)
for _script, _ranges in _SCRIPTS:
    for _low, _high in _ranges:
        _SCRIPT_AT[_low : _high + 1] = bytes([_script]) * (_high + 1 - _low)
_CATEGORIES = {"L": LETTER, "N": DIGIT, "P": PUNCTUATION, "S": SYMBOL, "M": MARK, "Z": CONTROL}


def class_of(char: str) -> int:
    """The class of one character, in plain Python: what `char_class` is held to."""
    point = ord(char)
    if point > 0xFFFF:
        return _class_above(point)
    category = unicodedata.category(char)
    if char.isspace():
        return SPACE
    if (category[0] == "L" or category == "Nl") and _SCRIPT_AT[point]:
        return _SCRIPT_AT[point]
    if category[0] == "C":
        return CONTROL if category in ("Cc", "Cf") else UNASSIGNED
    return _CATEGORIES[category[0]]


def _class_above(point: int) -> int:
    """The class of a code point above U+FFFF, by range."""
    if 0x1F000 <= point <= 0x1FBFF or 0x1CC00 <= point <= 0x1D3FF:
        return SYMBOL
    if 0x20000 <= point <= 0x3FFFF:
        return HAN
    if 0x1AFF0 <= point <= 0x1B16F:
        return KANA
    if 0x1D7CE <= point <= 0x1D7FF:
        return DIGIT
    if 0x1D400 <= point <= 0x1D6A5:  # 𝐛𝐨𝐥𝐝 and 𝓼𝓬𝓻𝓲𝓹𝓽 Latin letters, popular in social media
        return LATIN
    if 0xE0000 <= point <= 0xE007F:
        return CONTROL
    if 0xE0100 <= point <= 0xE01EF:
        return MARK
    return UNASSIGNED if point >= 0x40000 else LETTER


def _table() -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.array([class_of(chr(point)) for point in range(0x10000)], np.int8)


TABLE = _table()
_above = kernel(_class_above)


@kernel
def char_class(point: int) -> int:
    """The class of a code point."""
    return TABLE[point] if point < 0x10000 else _above(point)


@kernel
def decode(data: Any, i: int, end: int) -> tuple[Any, int]:
    """The code point at byte `i` and the index after it; `end` bounds the text. `i < end` is the caller's business.

    Arrow holds valid UTF-8. A stray byte is read as U+FFFD and never past `end`, so that broken memory can't crash.
    """
    first = np.int64(data[i])
    if first < 0x80:
        return first, i + 1
    if first >= 0xE0 and first < 0xF0 and i + 3 <= end:
        return ((first & 0x0F) << 12) | ((np.int64(data[i + 1]) & 0x3F) << 6) | (np.int64(data[i + 2]) & 0x3F), i + 3
    if first >= 0xC2 and first < 0xE0 and i + 2 <= end:
        return ((first & 0x1F) << 6) | (np.int64(data[i + 1]) & 0x3F), i + 2
    if first >= 0xF0 and first < 0xF5 and i + 4 <= end:
        high = ((first & 0x07) << 18) | ((np.int64(data[i + 1]) & 0x3F) << 12)
        return high | ((np.int64(data[i + 2]) & 0x3F) << 6) | (np.int64(data[i + 3]) & 0x3F), i + 4
    return REPLACEMENT, i + 1


@kernel
def count_classes(offsets: Any, data: Any) -> Any:
    """How many characters of each class every text has: int32 of shape (texts, CLASSES). 900 MB/s a core.

    ASCII goes into two histograms of bytes by turns (one alone waits for itself), and the lead bytes EB and EC, three
    quarters of all syllables, are Hangul without being decoded.
    """
    counts = np.zeros((offsets.size - 1, CLASSES), np.int32)
    plain = np.zeros((2, 128), np.int32)
    for row in range(offsets.size - 1):
        i, end = offsets[row], offsets[row + 1]
        own = counts[row]
        plain[:] = 0
        while i < end:
            byte = data[i]
            if byte < 0x80:
                plain[0, byte] += 1
                i += 1
                if i < end and data[i] < 0x80:
                    plain[1, data[i]] += 1
                    i += 1
            elif (byte == 0xEB or byte == 0xEC) and i + 3 <= end:
                own[HANGUL] += 1
                i += 3
            else:
                point, i = decode(data, i, end)
                own[char_class(point)] += 1
        for point in range(128):
            own[TABLE[point]] += plain[0, point] + plain[1, point]
    return counts


@kernel
def count_characters(offsets: Any, data: Any) -> Any:
    """How many characters every text has: its bytes without those that go on a character. 0.05 ns a byte."""
    counts = np.empty(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        i, end = offsets[row], offsets[row + 1]
        count = end - i
        while i < end and i + WIDE <= len(data):
            count -= ones(between(data, i, 0x80, 0xBF) & first_bits(min(WIDE, end - i)))
            i += WIDE
        for place in range(i, end):
            count -= np.int64(0x80 <= data[place] < 0xC0)
        counts[row] = count
    return counts


def buffers(array: pa.LargeStringArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The offsets (int64, length + 1) and bytes (uint8) of a large_string array, as views; slices are minded.

    Text `i` is `data[offsets[i]:offsets[i + 1]]`. Nulls read as empty or stale bytes: fill them first.
    """
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.frombuffer(bytes(8 * (len(array) + 1)), np.int64), np.frombuffer(b"", np.uint8)
    places = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return places, np.frombuffer(data if data is not None else b"", np.uint8)
