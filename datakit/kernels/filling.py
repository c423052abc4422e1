"""Puts contents into skeletons: the texts of many conversations, written at once from Arrow's memory.

    blank      which texts hold nothing but white space
    filled     skeletons and the contents of each row's turns -> texts, where contents stand, what is learned

The skeletons are `stages/template/skeletons.py`'s as arrays (`Skeletons` there makes them); `Skeleton.fill` is the
reference. White space is what `str.strip()` takes away. Cost: 0.6 ns a byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.characters import SPACE, char_class, decode
from datakit.kernels.compiled import inlined, kernel

LITERAL = -1
"""The turn of a part that is fixed text."""
EDGE = -1
"""The turn of a border of a learned span that is the beginning or the end of the whole text."""


@inlined
def _lead(data: Any, i: int, end: int) -> int:
    """The first byte from `i` on that is no white space."""
    while i < end:
        point, after = decode(data, i, end)
        if char_class(point) != SPACE:
            break
        i = after
    return i


@inlined
def _tail(data: Any, start: int, end: int) -> int:
    """The end of a text without white space behind it."""
    while end > start:
        i = end - 1
        while i > start and data[i] & 0xC0 == 0x80:
            i -= 1
        if char_class(decode(data, i, end)[0]) != SPACE:
            break
        end = i
    return end


@kernel
def blank(offsets: Any, data: Any) -> Any:
    """Which texts are white space only, or empty."""
    found = np.empty(len(offsets) - 1, np.bool_)
    for row in range(len(found)):
        found[row] = _lead(data, offsets[row], offsets[row + 1]) == offsets[row + 1]
    return found


@inlined
def _characters(part: Any) -> int:
    count = 0
    for byte in part:
        count += int(byte & 0xC0 != 0x80)
    return count


@kernel
def filled(
    offsets: Any, data: Any, heads: Any, builds: Any, parts: Any, turns: Any, trims: Any, borders: Any, literals: Any,
    spans: Any, learned: Any,
) -> tuple[Any, Any, Any, Any, Any, Any]:  # fmt: skip
    """(text offsets, text bytes, content rows, contents, trained rows, trained): the spans are rows of (start, end) in
    characters, those of row n from `rows[n]` to `rows[n + 1]`.

    Row n is skeleton `builds[n]`, its first turn content `heads[n]`. Skeleton s has the parts `parts[s]:parts[s + 1]`:
    content of turn `turns[p]` (without outer white space if `trims[p]`), or the bytes `borders[p]:borders[p + 1]` of
    `literals`. It learns `learned[k]` for k in `spans[s]:spans[s + 1]`: (turn, characters before it, turn, characters
    behind it).
    """
    rows = len(builds)
    texts = np.zeros(rows + 1, np.int64)
    content_rows, trained_rows = np.zeros(rows + 1, np.int64), np.zeros(rows + 1, np.int64)
    for row in range(rows):
        build, size, count = builds[row], 0, 0
        for part in range(parts[build], parts[build + 1]):
            if turns[part] == LITERAL:
                size += borders[part + 1] - borders[part]
            else:
                size += offsets[heads[row] + turns[part] + 1] - offsets[heads[row] + turns[part]]
                count += 1
        texts[row + 1] = texts[row] + size  # an upper bound, as long as nothing is trimmed
        content_rows[row + 1] = content_rows[row] + count
        trained_rows[row + 1] = trained_rows[row] + spans[build + 1] - spans[build]
    out = np.empty(texts[-1], np.uint8)
    contents, trained = np.empty((content_rows[-1], 2), np.int64), np.empty((trained_rows[-1], 2), np.int64)
    most = 0
    for build in range(len(parts) - 1):
        most = max(most, parts[build + 1] - parts[build])
    places = np.empty((most + 1, 2), np.int64)
    at = 0
    for row in range(rows):
        build, character, place = builds[row], 0, content_rows[row]
        for part in range(parts[build], parts[build + 1]):
            turn = turns[part]
            if turn == LITERAL:
                piece = literals[borders[part] : borders[part + 1]]
            else:
                start, end = offsets[heads[row] + turn], offsets[heads[row] + turn + 1]
                if trims[part]:
                    start = _lead(data, start, end)
                    end = _tail(data, start, end)
                piece = data[start:end]
            out[at : at + len(piece)] = piece
            at += len(piece)
            after = character + _characters(piece)
            if turn != LITERAL:
                contents[place, 0], contents[place, 1] = character, after
                places[turn, 0], places[turn, 1] = character, after
                place += 1
            character = after
        texts[row + 1] = at
        for k in range(spans[build], spans[build + 1]):
            to = trained_rows[row] + k - spans[build]
            first, before, last, behind = learned[k]
            trained[to, 0] = 0 if first == EDGE else places[first, 0] - before
            trained[to, 1] = character if last == EDGE else places[last, 1] + behind
    return texts, out[:at].copy(), content_rows, contents, trained_rows, trained
