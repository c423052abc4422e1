"""Cuts text where a SentencePiece model can't join: before blanks, and around characters that stand alone.

    ends, counts, longest = words(data, starts, ends, alone, whole)     # as byte offsets

A cut stands before a run of blanks (whose ▁ begin a piece, never end one) and around each byte that `alone` marks. A
stretch that `whole` marks is one word, and so is one with a NUL. The reference in the tests is a loop over characters.
Cost: 2 ns a byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.compiled import inlined, kernel

_BLANK = 0x20


@inlined
def _behind_blank(data: Any, start: int, i: int) -> bool:
    """Whether a blank stands before byte `i`, or a ▁ as the text itself wrote it (E2 96 81)."""
    if i == start:
        return False
    if data[i - 1] == _BLANK:
        return True
    return i >= start + 3 and data[i - 1] == 0x81 and data[i - 2] == 0x96 and data[i - 3] == 0xE2


@kernel
def words(data: Any, starts: Any, ends: Any, alone: Any, whole: Any) -> tuple[Any, Any, Any]:
    """The end of every word, how many words each stretch `data[starts[k]:ends[k]]` has, and its longest word's bytes.

    `alone`: 256 flags; bytes from 0x80 on and the blank must be false there.
    """
    total = 0
    for k in range(len(starts)):
        total += ends[k] - starts[k]
    found = np.empty(total, np.int64)
    counts, longest = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    size = 0
    for k in range(len(starts)):
        start, end, first, begin = starts[k], ends[k], size, starts[k]
        cutting = not whole[k]
        for i in range(start, end):
            byte = data[i]
            if byte == 0:
                cutting, size, begin = False, first, start
                break
            if not cutting or i == start:
                continue
            cut = alone[byte] or alone[data[i - 1]]
            if cut or (byte == _BLANK and not _behind_blank(data, start, i)):
                found[size] = i
                size += 1
                longest[k] = max(longest[k], i - begin)
                begin = i
        if end > start:
            found[size] = end
            size += 1
            longest[k] = max(longest[k], end - begin)
        counts[k] = size - first
    return found[:size].copy(), counts, longest
