"""Many phrases found in one pass: an Aho-Corasick automaton over UTF-8 bytes.

    automaton = compile_phrases(["all rights reserved", "무단 전재"], ["home", "로그인"], [["javascript"]])
    covered, hits, marked = cover(offsets, data, *automaton)

Sure phrases count wherever they stand. Menu phrases are ordinary words, so they count only in lines that do not end as
a sentence does; such a line counts whole if it holds a phrase of either kind and two separators (Home | News | Sport)
and is no row of a Markdown table.

Marks are further groups of phrases that cover nothing: for each it is counted how many lines hold one of them.

What counts as the same: ASCII case, and white space of any length and kind. A phrase that begins or ends with an ASCII
letter or digit matches whole words only; Hangul matches inside a word, since particles stick to it.
Only lines that need it are read by the automaton: those in which a phrase was found that may count. They are looked for
where the sieves of openings.py let a phrase begin, so ordinary prose is never read byte by byte.

Cost: about 2 ms a MB of prose, 5 ms a MB of menus, whatever the number of phrases. Source: Aho and Corasick, 1975.
"""

from __future__ import annotations

import re
import string
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.characters import decode
from datakit.kernels.compiled import kernel
from datakit.kernels.masks import WIDE, zeros_below
from datakit.kernels.openings import is_word, may_begin, openings, sieves_of
from datakit.kernels.unaligned import line_end

SENTENCE_ENDS = ".!?。！？…다요죠까"
"""A line that ends with one of these is prose; its menu words are words."""
SEPARATORS = "|>/·»"
"""Between the entries of a menu, with white space on both sides."""
_EDGE = 1
"""Stands in the folded bytes wherever an ASCII word begins or ends."""


_BLANKS = frozenset(b"\t\n\v\f\r ")
_NO_WORD = frozenset(range(256)).difference(b"0123456789", string.ascii_letters.encode())


def fold(text: str) -> bytes:
    """A text as the automaton reads it: ASCII in lower case, one space for white space, word edges marked."""
    out = bytearray()
    inside = False
    for byte in text.encode().lower():  # bytes.lower() changes ASCII only
        space = byte in b"\t\n\v\f\r "
        if space and out and out[-1] == 32:
            continue
        word = 48 <= byte <= 57 or 97 <= byte <= 122
        if word != inside:
            out.append(_EDGE)
        out.append(32 if space else byte)
        inside = word
    return bytes(out) + (bytes([_EDGE]) if inside else b"")


def visible(text: str) -> int:
    """Characters that are not ASCII white space."""
    return sum(char not in "\t\n\v\f\r " for char in text)


def compile_phrases(
    sure: Sequence[str], menu: Sequence[str] = (), marks: Sequence[Sequence[str]] = ()
) -> tuple[Any, Any, int, Any, Any]:
    """The automaton for `cover`: (next row by row and column, column of each byte, first row with a hit, what ends in
    each row from there on: visible characters of the longest phrase, of the longest sure phrase, bit set of the marks;
    the sieves of how phrases begin).

    States are numbered so that those in which a phrase ends come last; bytes that lead the same way from everywhere
    share a column.
    """
    steps: list[dict[int, int]] = [{}]
    ends = [[0, 0, 0]]
    groups = ((sure, 1, 1, 0), (menu, 1, 0, 0), *((listed, 0, 0, 1 << k) for k, listed in enumerate(marks)))
    for listed, is_any, is_sure, bit in groups:
        for phrase in listed:
            state = 0
            for byte in fold(phrase.strip()):
                if byte not in steps[state]:
                    steps[state][byte] = len(steps)
                    steps.append({})
                    ends.append([0, 0, 0])
                state = steps[state][byte]
            size = visible(phrase) if state else 0
            was = ends[state]
            ends[state] = [max(was[0], size * is_any), max(was[1], size * is_sure), was[2] | (bit if state else 0)]
    table = np.zeros((len(steps), 256), np.int32)
    back = [0] * len(steps)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        mine, shorter = ends[state], ends[back[state]]
        ends[state] = [max(mine[0], shorter[0]), max(mine[1], shorter[1]), mine[2] | shorter[2]]
        if state:
            table[state] = table[back[state]]
        for byte, child in steps[state].items():
            back[child] = int(table[back[state], byte]) if state else 0
            table[state, byte] = child
            queue.append(child)
    phrases = {fold(phrase.strip()) for phrases in (sure, menu, *marks) for phrase in phrases}
    openings = [opening for phrase in sorted(phrases - {b""}) for opening in _openings(phrase)]
    return *_packed(table, np.array(ends, np.int64)), sieves_of(openings)


def _openings(folded: bytes) -> list[list[frozenset[int]]]:
    """What the first bytes of a text may be where a folded phrase begins, as many as are certain: one way with single
    blanks, and for each blank one in which another follows."""
    ways: list[list[frozenset[int]]] = []
    found: list[frozenset[int]] = []
    for byte, after in zip(folded, [*folded[1:], 0], strict=True):
        if byte == 32:
            found.append(_BLANKS)
            ways.append([*found, _BLANKS])
        elif byte != _EDGE:
            found.append(frozenset({byte, *bytes([byte]).upper()}))
        elif not after:  # the last word ends here
            found.append(_NO_WORD)
    return [*ways, found]


def _packed(table: Any, ends: Any) -> tuple[Any, Any, int, Any]:
    for byte in range(256):
        low = byte + 32 if 65 <= byte <= 90 else 32 if byte in b"\t\n\v\f\r" else byte
        table[:, byte] = table[:, low]
    narrow, column = np.unique(table, axis=1, return_inverse=True)
    hit = ends.any(axis=1)
    order = np.concatenate([np.flatnonzero(~hit), np.flatnonzero(hit)])  # the start, state 0, stays first
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    width = narrow.shape[1]
    rows = (place[narrow[order]] * width).astype(np.int32)
    return rows.reshape(-1), column.reshape(-1).astype(np.int32), int((~hit).sum()) * width, ends[order][(~hit).sum() :]


_ENDS = np.array(sorted(ord(char) for char in SENTENCE_ENDS), np.int64)
_SIGN, _WORD, _BLANK, _INSIDE = 0, 1, 2, 3
_KIND = np.array(
    [
        _WORD if chr(byte).isalnum() and byte < 128 else _BLANK if byte in b"\t\n\v\f\r " else _SIGN
        for byte in range(256)
    ],
    np.uint8,
)
_KIND[0x80:0xC0] = _INSIDE
_MARKS = 8


_NOTHING, _MENU, _STRONG = 0, 1, 2


@kernel
def cover(offsets: Any, data: Any, table: Any, column: Any, first_hit: int, ends: Any, sieves: Any) -> tuple[Any, ...]:
    """For every text: how many visible characters lie in phrases (each once), how many phrases were found, and how many
    lines hold a phrase of each mark."""
    rows = offsets.size - 1
    covered, hits, marked = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros((rows, _MARKS), np.int64)
    width = column.max() + 1
    for row in range(rows):
        # A line is read by itself: a phrase does not reach over a line end.
        end = offsets[row + 1]
        i = _next_line(data, offsets[row], end, table, column, width, first_hit, ends, sieves)
        while i < end:
            i, size, found, bits = _cover_line(data, i, end, table, column, width, first_hit, ends)
            covered[row] += size
            hits[row] += found
            if bits:
                for mark in range(_MARKS):
                    marked[row, mark] += bits >> mark & 1
            i = _next_line(data, i, end, table, column, width, first_hit, ends, sieves)
    return covered, hits, marked


@kernel
def _next_line(
    data: Any, start: int, end: int, table: Any, column: Any, width: int, first_hit: int, ends: Any, sieves: Any
) -> int:
    """Where the first line from `start` on begins in which a phrase counts, else `end`."""
    prose_to, inside, i = start, False, start
    while i < end:
        room = min(WIDE, end - i)
        places = openings(data, i, room, inside)
        while places:
            at = i + zeros_below(places)
            places &= places - np.uint64(1)
            if not may_begin(data, at, end, sieves):
                continue
            held = _held(data, at, end, table, column, width, first_hit, ends)
            if held == _MENU and at >= prose_to:
                stop = line_end(data, at, end)
                if _is_prose(data, at, stop):
                    prose_to = stop
            if held == _STRONG or (held == _MENU and at >= prose_to):
                while at > start and data[at - 1] != 10:
                    at -= 1
                return at
        i += room
        inside = is_word(data[i - 1])
    return end


@kernel
def _held(data: Any, i: int, end: int, table: Any, column: Any, width: int, first_hit: int, ends: Any) -> int:
    """Whether a phrase begins at `i`: a sure one or a mark, or only a menu phrase. Goes on while one may."""
    state, inside, spaced, held = np.int64(0), False, False, _NOTHING
    while True:
        byte = data[i] if i < end else np.uint8(10)
        kind = _KIND[byte]
        if (kind == _WORD) != inside:
            inside = not inside
            state = np.int64(table[state + column[_EDGE]])
            held = max(held, _strength(state, width, first_hit, ends))
        if byte == 10 or held == _STRONG:
            return held
        if kind != _BLANK or not spaced:
            spaced = kind == _BLANK
            state = np.int64(table[state + column[byte]])
            held = max(held, _strength(state, width, first_hit, ends))
        if state == 0:
            return held
        i += 1


@kernel
def _strength(state: int, width: int, first_hit: int, ends: Any) -> int:
    """What ends in a state."""
    if state < first_hit:
        return _NOTHING
    found = (state - first_hit) // width
    return _STRONG if ends[found, 1] or ends[found, 2] else _MENU


@kernel
def _is_prose(data: Any, start: int, stop: int) -> bool:
    """Whether a line that ends at `stop` ends as a sentence does; something visible stands at `start`."""
    at = stop - 1
    while at > start and (_KIND[data[at]] == _BLANK or _KIND[data[at]] == _INSIDE):
        at -= 1
    return _ends_prose(data, at, stop)


@kernel
def _cover_line(
    data: Any, start: int, end: int, table: Any, column: Any, width: int, first_hit: int, ends: Any
) -> tuple[int, int, int, int]:
    """One line from `start`: where the next begins, characters in phrases, phrases, bit set of the marks."""
    state, seen, inside, spaced, separators, last_at, table_row, bits = np.int64(0), 0, False, True, 0, -1, False, 0
    any_size, any_done, any_hits, sure_size, sure_done, sure_hits = 0, 0, 0, 0, 0, 0
    edge, blank = column[_EDGE], column[32]
    i = start
    while True:
        byte = data[i] if i < end else np.uint8(10)
        kind = _KIND[byte]
        last = byte == 10
        for step in range(2):  # first the edge of a word, if there is one, then the byte
            if step == 0:
                if (kind == _WORD) == inside:
                    continue
                inside = not inside
                state = np.int64(table[state + edge])
            elif kind == _BLANK:
                if spaced or last:
                    continue
                spaced = True
                state = np.int64(table[state + blank])
            else:
                if kind != _INSIDE:
                    if kind == _SIGN and spaced:
                        separators += _separator(data, i, end)
                        table_row = table_row or (last_at < 0 and byte == 124)
                    last_at = i
                    seen += 1
                spaced = False
                state = np.int64(table[state + column[byte]])
            if state >= first_hit:
                found = (state - first_hit) // width
                if ends[found, 0]:
                    any_size += seen - max(seen - ends[found, 0], any_done)
                    any_done, any_hits = seen, any_hits + 1
                if ends[found, 1]:
                    sure_size += seen - max(seen - ends[found, 1], sure_done)
                    sure_done, sure_hits = seen, sure_hits + 1
                bits |= ends[found, 2]
        i += 1
        if last:
            break
    if last_at < 0 or any_hits == sure_hits == 0 or _ends_prose(data, last_at, end):
        return i, sure_size, sure_hits, bits
    return i, (seen if any_hits and separators >= 2 and not table_row else any_size), any_hits, bits


@kernel
def _separator(data: Any, i: int, end: int) -> bool:
    """Whether a separator with white space behind it stands at `i`."""
    byte = data[i]
    after = i + 1
    if byte == 0xC2 and after < end and (data[after] == 0xB7 or data[after] == 0xBB):  # · and »
        after += 1
    elif byte != 124 and byte != 62 and byte != 47:
        return False
    return after < end and (data[after] == 32 or data[after] == 9)


@kernel
def _ends_prose(data: Any, last_at: int, end: int) -> bool:
    point = decode(data, last_at, end)[0]
    at = np.searchsorted(_ENDS, point)
    return at < _ENDS.size and _ENDS[at] == point


def cover_text(text: str, sure: Sequence[str], menu: Sequence[str] = ()) -> int:
    """What `cover` is held to for one text: visible characters in phrases, one line and one phrase at a time."""
    return sum(_covered(line, sure, menu) for line in text.split("\n"))


def _covered(line: str, sure: Sequence[str], menu: Sequence[str]) -> int:
    prose = not line.strip("\t\v\f\r ") or line.rstrip("\t\v\f\r ")[-1] in SENTENCE_ENDS
    folded = fold(line.lstrip("\t\v\f\r "))
    taken = [False] * len(folded)
    for phrase in (fold(phrase.strip()) for phrase in (sure if prose else [*sure, *menu])):
        at = folded.find(phrase)
        while at >= 0 and phrase:
            taken[at : at + len(phrase)] = [True] * len(phrase)
            at = folded.find(phrase, at + 1)
    table_row = line.lstrip("\t\v\f\r ").startswith("|")
    if any(taken) and not prose and not table_row and len(re.findall(r"(?<![^\t\v\f\r ])[|>/·»](?=[\t ])", line)) >= 2:
        return visible(line)
    return sum(t and b != _EDGE and b != 32 and b & 0xC0 != 0x80 for t, b in zip(taken, folded, strict=True))
