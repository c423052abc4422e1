"""Tokens of many texts at once: cutting at control tokens, characters that tokens cover, and what of them is learned.

A batch of texts is an Arrow buffer (offsets, data); tokens lie end to end, with the number of bytes that each covers.

    cut         texts -> stretches: text between control tokens (-1), control tokens (their id)
    joined      tokens of the stretches of text, and the control tokens between, as tokens of the texts
    covered     bytes a token -> the characters it covers
    learned     characters a token, spans that are learned -> what is learned, and what stands half inside
    closed      BOS before and EOS behind the rows that get one
    laid        rows by policy: pieces of rows, with BOS again where they are told to

References in plain Python are in tests/test_kernels_tokens.py. Each takes 1-3 ns a byte or token.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.characters import SPACE, char_class, decode
from datakit.kernels.compiled import kernel

TEXT = -1
"""Control id of a stretch that is text."""
FOREIGN = -2
"""Id of a name that the caller can't handle: texts that hold one are marked."""


@kernel
def _name_at(data: Any, i: int, end: int, names: Any, borders: Any) -> int:
    """Number of the first name that stands at byte `i`, or -1. Names are sorted longest first."""
    for number in range(len(borders) - 1):
        size = borders[number + 1] - borders[number]
        if i + size > end or size == 0:
            continue
        k = 0
        while k < size and data[i + k] == names[borders[number] + k]:
            k += 1
        if k == size:
            return number
    return -1


@kernel
def _cut_text(
    data: Any, i: int, end: int, first: Any, names: Any, borders: Any, ids: Any, spans: Any, controls: bool,
    starts: Any, ends: Any, found: Any, size: int,
) -> tuple[int, int, bool]:  # fmt: skip
    """One text's stretches, written from `size` on: (size after, or -1 if they don't fit; contents that hold a name;
    whether there is a foreign one). `spans`: starts and ends of its contents."""
    begin, character, span, counted, written, foreign = i, 0, 0, -1, 0, False
    while i < end:
        byte = data[i]
        number = _name_at(data, i, end, names, borders) if first[byte] else -1
        if number < 0:
            character += int(byte & 0xC0 != 0x80)
            i += 1
            continue
        stop, after = i + borders[number + 1] - borders[number], character
        for k in range(i, stop):
            after += int(data[k] & 0xC0 != 0x80)
        if ids[number] == FOREIGN:
            foreign = True
        elif controls:
            while span < len(spans[1]) and spans[1][span] <= character:
                span += 1
            if span < len(spans[0]) and spans[0][span] < after:
                if spans[0][span] <= character and after <= spans[1][span] and counted != span:
                    written += 1
                    counted = span
            else:
                if size + 3 > len(starts):
                    return -1, written, foreign
                if begin < i:
                    starts[size], ends[size], found[size] = begin, i, TEXT
                    size += 1
                starts[size], ends[size], found[size] = i, stop, ids[number]
                size += 1
                begin = stop
        i, character = stop, after
    if size + 1 > len(starts):
        return -1, written, foreign
    if begin < end:
        starts[size], ends[size], found[size] = begin, end, TEXT
        size += 1
    return size, written, foreign


@kernel
def cut(
    offsets: Any, data: Any, names: Any, borders: Any, ids: Any, span_rows: Any, span_starts: Any, span_ends: Any,
    controls: bool,
) -> tuple[Any, Any, Any, Any, Any, Any]:  # fmt: skip
    """(starts, ends, control ids, stretches of each text, contents that hold a name, texts with a foreign name).

    A name that overlaps a content (span_starts, span_ends: characters; those of text n are span_rows[n]:span_rows[n+1],
    in order) is text; so is every name if not `controls`. The leftmost longest name wins, and none begins inside it.
    """
    first = np.zeros(256, np.bool_)
    for number in range(len(borders) - 1):
        if borders[number + 1] > borders[number]:
            first[names[borders[number]]] = True
    rows = len(offsets) - 1
    room = 8 * rows + 16
    starts, ends, found = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    counts, written, foreign = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    size = 0
    for row in range(rows):
        low, high = span_rows[row], span_rows[row + 1]
        spans = (span_starts[low:high], span_ends[low:high])
        after = -1
        while after < 0:
            after, written[row], foreign[row] = _cut_text(
                data, offsets[row], offsets[row + 1], first, names, borders, ids, spans, controls, starts, ends, found,
                size,
            )  # fmt: skip
            if after < 0:
                starts, ends, found = _doubled(starts), _doubled(ends), _doubled(found)
        counts[row], size = after - size, after
    return starts[:size].copy(), ends[:size].copy(), found[:size].copy(), counts, written, foreign


@kernel
def _doubled(values: Any) -> Any:
    found = np.empty(2 * len(values), values.dtype)
    found[: len(values)] = values
    return found


@kernel
def joined(
    starts: Any, ends: Any, controls: Any, stretches: Any, tokens: Any, ids: Any, sizes: Any
) -> tuple[Any, Any, Any]:
    """(rows, ids, sizes) of the texts: `stretches[n]` stretches make text n, and the k-th stretch of text has the next
    `tokens[k]` of the ids."""
    total = len(ids)
    for control in controls:
        total += int(control != TEXT)
    rows = np.zeros(len(stretches) + 1, np.int64)
    found, covered = np.empty(total, np.int32), np.empty(total, np.int32)
    at = place = stretch = text = 0
    for row in range(len(stretches)):
        for _ in range(stretches[row]):
            if controls[stretch] != TEXT:
                found[at], covered[at] = controls[stretch], ends[stretch] - starts[stretch]
                at += 1
            else:
                for _ in range(tokens[text]):
                    found[at], covered[at] = ids[place], sizes[place]
                    at, place = at + 1, place + 1
                text += 1
            stretch += 1
        rows[row + 1] = at
    return rows, found, covered


@kernel
def covered(offsets: Any, data: Any, rows: Any, sizes: Any) -> tuple[Any, Any]:
    """The characters [start, end) that each token covers; a token that is part of a character covers that character."""
    starts, ends = np.empty(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    for row in range(len(rows) - 1):
        i, begun = offsets[row], 0  # characters that begin before byte i
        for token in range(rows[row], rows[row + 1]):
            stop = i + sizes[token]
            inside = i < offsets[row + 1] and data[i] & 0xC0 == 0x80
            starts[token] = begun - np.int64(inside)
            while i < stop:
                begun += int(data[i] & 0xC0 != 0x80)
                i += 1
            ends[token] = begun
    return starts, ends


@kernel
def _leads(offsets: Any, data: Any, row: int, starts: Any, leads: Any, low: int, high: int) -> None:
    """White space in front of each span of a text, in characters."""
    i, end, character, run, span = offsets[row], offsets[row + 1], 0, 0, low
    while span < high:
        while span < high and starts[span] == character:
            leads[span] = run
            span += 1
        if i >= end:
            break
        point, i = decode(data, i, end)
        run = run + 1 if char_class(point) == SPACE else 0
        character += 1


@kernel
def learned(
    offsets: Any, data: Any, rows: Any, starts: Any, ends: Any, span_rows: Any, span_starts: Any, span_ends: Any
) -> tuple[Any, Any]:
    """(learned, straddling) of every token: all its characters are in one span, white space before the span aside;
    or it is half inside, and so not learned. Spans of a text are in order and don't overlap."""
    inside, across = np.zeros(len(starts), np.bool_), np.zeros(len(starts), np.bool_)
    leads = np.zeros(len(span_starts), np.int64)
    for row in range(len(rows) - 1):
        low, high = span_rows[row], span_rows[row + 1]
        _leads(offsets, data, row, span_starts, leads, low, high)
        span = low
        for token in range(rows[row], rows[row + 1]):
            a, b = starts[token], max(ends[token], starts[token] + 1)
            while span < high and span_ends[span] <= a:
                span += 1
            for k in range(span, high):
                if span_starts[k] >= b:
                    break
                if span_starts[k] >= span_ends[k]:
                    continue
                if b <= span_ends[k] and span_starts[k] - a <= leads[k]:
                    inside[token] = True
                else:
                    across[token] = True
            if inside[token]:
                across[token] = False
    return inside, across


@kernel
def closed(rows: Any, ids: Any, labels: Any, bos: int, eos: int, open_ends: Any, ignored: int) -> tuple[Any, Any, Any]:
    """(rows, ids, labels) with one BOS first, unlearned (bos < 0: none), and EOS last where a text's end is open,
    learned (eos < 0: none)."""
    count = len(rows) - 1
    fresh = np.zeros(count + 1, np.int64)
    found, told = np.empty(len(ids) + 2 * count, np.int32), np.empty(len(ids) + 2 * count, np.int32)
    at = 0
    for row in range(count):
        a, b = rows[row], rows[row + 1]
        if bos >= 0 and (a == b or ids[a] != bos):
            found[at], told[at] = bos, ignored
            at += 1
        for token in range(a, b):
            found[at], told[at] = ids[token], labels[token]
            at += 1
        if eos >= 0 and open_ends[row] and (a == b or ids[b - 1] != eos):
            found[at], told[at] = eos, eos
            at += 1
        fresh[row + 1] = at
    return fresh, found[:at].copy(), told[:at].copy()


@kernel
def laid(ids: Any, labels: Any, starts: Any, ends: Any, heads: Any, bos: int, ignored: int) -> tuple[Any, Any, Any]:
    """(rows, ids, labels) of pieces of the tokens, each with BOS before it where `heads` says so."""
    rows = np.zeros(len(starts) + 1, np.int64)
    for k in range(len(starts)):
        rows[k + 1] = rows[k] + ends[k] - starts[k] + np.int64(heads[k])
    found, told = np.empty(rows[-1], np.int32), np.empty(rows[-1], np.int32)
    at = 0
    for k in range(len(starts)):
        if heads[k]:
            found[at], told[at] = bos, ignored
            at += 1
        for token in range(starts[k], ends[k]):
            found[at], told[at] = ids[token], labels[token]
            at += 1
    return rows, found, told


@kernel
def teaches(labels: Any, starts: Any, ends: Any, heads: Any, ignored: int) -> Any:
    """Learned tokens of each piece. The first token of a row is predicted from nothing, so its label doesn't count."""
    found = np.zeros(len(starts), np.int64)
    for k in range(len(starts)):
        for token in range(starts[k] + np.int64(not heads[k]), ends[k]):
            found[k] += np.int64(labels[token] != ignored)
    return found


@kernel
def count_words(offsets: Any, data: Any) -> Any:
    """Words of every text as `str.split()` finds them: text between white space, in Korean eojeol."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        i, end, within = offsets[row], offsets[row + 1], False
        while i < end:
            byte = data[i]
            if byte < 0x80 and byte > 0x20:
                space, i = False, i + 1
            else:
                point, i = decode(data, i, end)
                space = char_class(point) == SPACE
            if not space and not within:
                counts[row] += 1
            within = not space
    return counts
