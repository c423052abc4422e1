"""Cuts text into the pieces that a byte-level BPE never merges across: the pre-tokenizer's regex, as a kernel.

    ends, counts = split(data, starts, ends, classes, rules)      # piece ends as byte offsets, pieces of each stretch

Two families of regexes are known (`\\s`, `\\p{L}`, `\\p{N}` are bits of `classes`, a table over all code points that is
asked of the tokenizers library itself, so that its Unicode version decides):

    GPT2    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    CL100K  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,n}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|
            \\s*[\\r\\n]+|\\s+(?!\\S)|\\s+       n: 1 for Qwen, 3 for Llama 3; Qwen 3.5 counts marks among the letters

`rules` may ask for digits that stand alone (a Digits pre-tokenizer before: SmolLM2, StarCoder). The reference in the
tests is the same regex in the `regex` package. Cost: 4 ns a byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.characters import decode
from datakit.kernels.compiled import inlined, kernel

LETTER, NUMBER, SPACE, MARK, ALONE, UNKNOWN = 1, 2, 4, 8, 16, 32
"""Bits of the class table. ALONE: a digit for a Digits pre-tokenizer. UNKNOWN: nobody asked the library."""
GPT2, CL100K = 0, 1
_APOSTROPHE, _BLANK, _RETURN, _NEWLINE = 0x27, 0x20, 0x0D, 0x0A


@inlined
def _contraction(data: Any, i: int, end: int, any_case: bool) -> int:
    """Bytes of s, t, m, d, re, ve or ll at `i`, behind an apostrophe; 0 for none."""
    if i >= end:
        return 0
    fold = np.uint8(0x20) if any_case else np.uint8(0)
    first = data[i] | fold
    if first in (0x73, 0x74, 0x6D, 0x64):
        return 1
    if i + 1 < end:
        second = data[i + 1] | fold
        if first in (0x72, 0x76) and second == 0x65:
            return 2
        if first == 0x6C and second == 0x6C:
            return 2
        if any_case and data[i] == 0xC5 and data[i + 1] == 0xBF:  # ſ, which folds to s
            return 2
    return 0


@inlined
def _run(data: Any, i: int, end: int, classes: Any, mask: int, wanted: bool, most: int) -> int:
    """The end of a run of at most `most` characters that have (or lack) a class of the mask."""
    while i < end and most > 0:
        point, after = decode(data, i, end)
        if (classes[point] & mask != 0) != wanted:
            break
        i, most = after, most - 1
    return i


@inlined
def _spaces(data: Any, i: int, end: int, classes: Any, lines: bool) -> int:
    """The end of the piece of white space at `i`: to its last line end, else all but the space before a word."""
    at, last, newline = i, i, 0
    while at < end:
        point, after = decode(data, at, end)
        if classes[point] & SPACE == 0:
            break
        if point in (_RETURN, _NEWLINE):
            newline = after
        last, at = at, after
    if lines and newline > 0:
        return newline
    return at if at == end or last == i else last


@kernel
def piece_end(data: Any, i: int, end: int, classes: Any, family: int, letters: int, numbers: int) -> int:
    """Where the piece that begins at byte `i` ends. `letters`: the mask of letters; `numbers`: most digits together."""
    point, after = decode(data, i, end)
    kind = classes[point]
    if point == _APOSTROPHE:
        size = _contraction(data, after, end, family != GPT2)
        if size > 0:
            return after + size
    words = SPACE | letters | NUMBER
    if family == GPT2:
        begin = i
        if point == _BLANK and after < end:
            begin = after
            kind = classes[decode(data, after, end)[0]]
        if kind & SPACE:
            return _spaces(data, i, end, classes, False)
        if kind & letters:
            return _run(data, begin, end, classes, letters, True, end)
        if kind & NUMBER:
            return _run(data, begin, end, classes, NUMBER, True, end)
        return _run(data, begin, end, classes, words, False, end)
    if kind & letters:
        return _run(data, i, end, classes, letters, True, end)
    if kind & NUMBER:
        return _run(data, i, end, classes, NUMBER, True, numbers)
    if after < end and point not in (_RETURN, _NEWLINE) and classes[decode(data, after, end)[0]] & letters:
        return _run(data, after, end, classes, letters, True, end)
    begin = after if point == _BLANK else i
    stop = _run(data, begin, end, classes, words, False, end)
    if stop > begin:
        while stop < end and data[stop] in (_RETURN, _NEWLINE):
            stop += 1
        return stop
    return _spaces(data, i, end, classes, True)


@kernel
def split(
    data: Any, starts: Any, ends: Any, classes: Any, family: int, letters: int, numbers: int, alone: bool
) -> tuple[Any, Any]:
    """The end of every piece, and how many pieces each stretch `data[starts[k]:ends[k]]` has."""
    total = 0
    for k in range(len(starts)):
        total += ends[k] - starts[k]
    found = np.empty(total, np.int64)
    counts = np.zeros(len(starts), np.int64)
    size = 0
    for k in range(len(starts)):
        i, end, first = starts[k], ends[k], size
        while i < end:
            stop = end
            if alone:
                stop = _run(data, i, end, classes, ALONE, False, end)
                if stop == i:  # a digit
                    i = decode(data, i, end)[1]
                    found[size] = i
                    size += 1
                    continue
            while i < stop:
                i = piece_end(data, i, stop, classes, family, letters, numbers)
                found[size] = i
                size += 1
        counts[k] = size - first
    return found[:size].copy(), counts


@kernel
def unknown(offsets: Any, data: Any, classes: Any) -> Any:
    """Which texts hold a character of unknown class."""
    found = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(found)):
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            point, i = decode(data, i, end)
            if classes[point] & UNKNOWN:
                found[row] = True
                break
    return found
