"""Many phrases found in one pass: an Aho-Corasick automaton over UTF-8 bytes.

    table = compile_phrases(sure=["all rights reserved", "무단 전재"], menu=["home", "로그인"])
    covered, hits = cover(offsets, data, *table)

Sure phrases count wherever they stand. Menu phrases are ordinary words, so they count only in lines that do not end as
a sentence does; such a line counts whole if it holds a phrase of either kind and two separators (Home | News | Sport)
and is no row of a Markdown table.

What counts as the same: ASCII case, and white space of any length and kind. A phrase that begins or ends with an ASCII
letter or digit matches whole words only; Hangul matches inside a word, since particles stick to it.
Cost: about 200 MB/s a core whatever the number of phrases; 1 kB of table a byte of phrase. Source: Aho and Corasick,
1975.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.characters import decode
from datakit.kernels.compiled import kernel

SENTENCE_ENDS = ".!?。！？…다요죠까"
"""A line that ends with one of these is prose; its menu words are words."""
SEPARATORS = "|>/·»"
"""Between the entries of a menu, with white space on both sides."""
_EDGE = 1
"""Stands in the folded bytes wherever an ASCII word begins or ends."""


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


def compile_phrases(sure: Sequence[str], menu: Sequence[str] = ()) -> tuple[Any, Any, Any]:
    """(next state by state and byte, visible characters of the longest phrase that ends in a state, the same of the
    longest sure phrase) for `cover`."""
    steps: list[dict[int, int]] = [{}]
    any_longest, sure_longest = [0], [0]
    for phrases, is_sure in ((sure, True), (menu, False)):
        for phrase in phrases:
            state = 0
            for byte in fold(phrase.strip()):
                if byte not in steps[state]:
                    steps[state][byte] = len(steps)
                    steps.append({})
                    any_longest.append(0)
                    sure_longest.append(0)
                state = steps[state][byte]
            size = visible(phrase) if state else 0
            any_longest[state] = max(any_longest[state], size)
            sure_longest[state] = max(sure_longest[state], size * is_sure)
    table = np.zeros((len(steps), 256), np.int32)
    back = [0] * len(steps)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        any_longest[state] = max(any_longest[state], any_longest[back[state]])
        sure_longest[state] = max(sure_longest[state], sure_longest[back[state]])
        if state:
            table[state] = table[back[state]]
        for byte, child in steps[state].items():
            back[child] = int(table[back[state], byte]) if state else 0
            table[state, byte] = child
            queue.append(child)
    return table, np.array(any_longest, np.int32), np.array(sure_longest, np.int32)


_ENDS = np.array(sorted(ord(char) for char in SENTENCE_ENDS), np.int64)


@kernel
def cover(offsets: Any, data: Any, table: Any, any_longest: Any, sure_longest: Any) -> tuple[Any, Any]:
    """For every text: how many visible characters lie in phrases (each once), and how many phrases were found."""
    rows = offsets.size - 1
    covered, hits = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    for row in range(rows):
        # A line is read by itself: a phrase does not reach over a line end.
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            stop = i
            while stop < end and data[stop] != 10:
                stop += 1
            size, found = _cover_line(data, i, stop, table, any_longest, sure_longest)
            covered[row] += size
            hits[row] += found
            i = stop + 1
    return covered, hits


@kernel
def _cover_line(data: Any, start: int, end: int, table: Any, any_longest: Any, sure_longest: Any) -> tuple[int, int]:
    state, seen, inside, spaced, separators, last_at, table_row = 0, 0, False, True, 0, -1, False
    any_size, any_done, any_hits, sure_size, sure_done, sure_hits = 0, 0, 0, 0, 0, 0
    for i in range(start, end + 1):
        byte = np.int64(data[i]) if i < end else np.int64(32)
        if 65 <= byte <= 90:
            byte += 32
        word: Any = 48 <= byte <= 57 or 97 <= byte <= 122
        space: Any = byte == 32 or 9 <= byte <= 13
        for step in range(2):  # first the edge of a word, if there is one, then the byte
            if step == 0:
                if word == inside:
                    continue
                inside, state = word, table[state, _EDGE]
            elif i == end or (space and spaced):
                continue
            else:
                if not space and byte & 0xC0 != 0x80:
                    separators += spaced and _separator(data, i, end)
                    table_row = table_row or (last_at < 0 and byte == 124)
                    last_at = i
                    seen += 1
                state, spaced = table[state, 32 if space else byte], space
            if any_longest[state]:
                any_size += seen - max(seen - any_longest[state], any_done)
                any_done, any_hits = seen, any_hits + 1
            if sure_longest[state]:
                sure_size += seen - max(seen - sure_longest[state], sure_done)
                sure_done, sure_hits = seen, sure_hits + 1
    if last_at < 0 or _ends_prose(data, last_at, end):
        return sure_size, sure_hits
    return (seen if any_hits and separators >= 2 and not table_row else any_size), any_hits


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
