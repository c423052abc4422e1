"""Windows of texts, so that equal passages of two texts can be found, proved and cut at clean borders.

A text is read as its `script` units (`shingles`): words, and every Hangul syllable and CJK character alone, in lower
case. Signs, white space and line breaks are nothing, so a quoted mail (`> ` before each line) or a Korean text with
other spacing has the same units. Decomposed Hangul is read as syllables. A *window* starts at a unit and is as short
as it can be with

    number of words / words  +  number of syllables / syllables  >=  1

A *half* is the same with 1/2. The *anchor* of a window is the smallest hash of the halves inside it, so equal windows
have equal anchors, and a text has only about one anchor in `words / 4` units (winnowing: Schleimer et al. 2003):

    mark       the distinct anchors of every text: what a corpus has to remember of it (8 bytes each)
    list_windows   hash, row and first unit of the windows with an anchor that is shared
    keep_regions   the units of windows that other texts repeat, with their letters, as a `Library`
    cover      the spans of a text that are repeated, after comparing letter by letter with the library

All hashes are 64-bit and made of 64-bit unit hashes; they find, the letters prove. A text may have `dead` spans, cut
before, which are passed over as if they weren't there. Cost: 16 ns a byte to mark or list, 36 to cover; memory: 80
bytes a unit of the longest text. `repeats_reference` says the same in plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.characters import decode
from datakit.kernels.compiled import kernel
from datakit.kernels.segments import next_segment
from datakit.kernels.shingles import ALONE, BREAK, JOINED, MIX1, START, mix

Array = np.ndarray[Any, Any]
_KNOWN = 0x20000
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Base of the rolling polynomial, odd (the golden ratio in 64 bits)."""
PLACE = np.int64(32)
"""A window is known by `place << PLACE | unit`."""


@kernel
def read_letter(data: Any, i: int, end: int) -> tuple[Any, int]:
    """The code point at byte `i`, conjoining jamo composed to one syllable as NFC does, and the index after it."""
    point, after = decode(data, i, end)
    if 0x1100 <= point <= 0x1112 and after < end:
        vowel, then = decode(data, after, end)
        if not 0x1161 <= vowel <= 0x1175:
            return point, after
        point, after = 0xAC00 + ((point - 0x1100) * 21 + vowel - 0x1161) * 28, then
    if 0xAC00 <= point <= 0xD7A3 and (point - 0xAC00) % 28 == 0 and after < end:
        last, then = decode(data, after, end)
        if 0x11A8 <= last <= 0x11C2:
            return point + last - 0x11A7, then
    return point, after


@kernel
def room_for(size: int, words: int, syllables: int) -> Any:
    """Scratch arrays for texts of up to `size` bytes, in the order in which `read_windows` names them."""
    powers = np.ones(max(words, syllables) + 2, np.uint64)
    for i in range(1, len(powers)):
        powers[i] = powers[i - 1] * _BASE
    whole = np.empty(size + 2, np.uint64), np.empty(size + 2, np.uint64), np.empty(size + 2, np.uint64)
    numbers = np.empty((6, size + 2), np.int64)
    return whole, numbers, np.empty(size + 2, np.bool_), np.empty(3 * size + 8, np.uint8), powers


@kernel
def read_units(data: Any, start: int, end: int, dead: Any, table: Any, lower: Any, room: Any) -> int:
    """The units of one text into `room`: hash, whether alone, first and last byte, letters. Returns their number.

    `dead` holds sorted spans of bytes to pass over.
    """
    (hashes, _, _), numbers, alone, letters, _ = room
    begins, ends, letter_ends, joints = numbers[0], numbers[1], numbers[2], numbers[3]
    count, to, gap = 0, 0, 0
    inside, hashed = False, START
    i = start
    while i < end:
        if gap < len(dead) and i >= dead[gap, 0]:
            i = max(i, dead[gap, 1])
            gap += 1
            continue
        begin = i
        point, i = read_letter(data, i, end)
        folded = np.int64(lower[point]) if point < 0x10000 else point
        like = folded
        if like >= _KNOWN:  # beyond the table: Han, or no letter at all
            like = 0x4E00 if like < 0x40000 else 0x21
        kind = table[like]
        if inside and kind != JOINED:
            hashes[count], letter_ends[count] = mix(hashed), to
            count += 1
            inside = False
        if kind == BREAK:
            continue
        if not inside:
            hashed, begins[count], joints[count], alone[count] = START, begin, gap, kind == ALONE
            letters[to] = 0x20  # so that "ab c" isn't "a bc"
            to += 1
        hashed = (hashed ^ np.uint64(folded)) * MIX1
        to = _write(letters, to, folded)
        ends[count] = i
        if kind == ALONE:
            hashes[count], letter_ends[count] = mix(hashed), to
            count += 1
        inside = kind == JOINED
    if inside:
        hashes[count], letter_ends[count] = mix(hashed), to
        count += 1
    return count


@kernel
def _write(out: Any, to: int, point: int) -> int:
    """A code point as UTF-8 at `to`; returns the place after it."""
    if point < 0x80:
        out[to] = point
        return to + 1
    if point < 0x800:
        out[to], out[to + 1] = 0xC0 | (point >> 6), 0x80 | (point & 0x3F)
        return to + 2
    if point < 0x10000:
        out[to], out[to + 1] = 0xE0 | (point >> 12), 0x80 | ((point >> 6) & 0x3F)
        out[to + 2] = 0x80 | (point & 0x3F)
        return to + 3
    out[to], out[to + 1] = 0xF0 | (point >> 18), 0x80 | ((point >> 12) & 0x3F)
    out[to + 2], out[to + 3] = 0x80 | ((point >> 6) & 0x3F), 0x80 | (point & 0x3F)
    return to + 4


@kernel
def read_windows(data: Any, start: int, end: int, dead: Any, reading: Any, room: Any) -> tuple[int, int]:
    """Units and windows of one text into `room`; returns how many of each. Window i starts at unit i."""
    table, lower, words, syllables = reading
    total = read_units(data, start, end, dead, table, lower, room)
    (hashes, sums, anchors), numbers, alone, _, powers = room
    stops, half_stops = numbers[4], numbers[5]
    enough = words * syllables
    windows = _stops(alone, total, words, syllables, enough, stops)
    if windows == 0:
        return total, 0
    halves = _stops(alone, total, words, syllables, (enough + 1) // 2, half_stops)
    sums[0] = np.uint64(0)
    for i in range(total):
        sums[i + 1] = sums[i] * _BASE + hashes[i]
    _find_anchors(sums, powers, stops, half_stops, windows, halves, anchors)
    return total, windows


@kernel
def _stops(alone: Any, total: int, words: int, syllables: int, enough: int, out: Any) -> int:
    """Where the shortest run of weight `enough` that starts at each unit stops; returns how many there are."""
    end, weight = 0, 0
    for start in range(total):
        while weight < enough and end < total:
            weight += words if alone[end] else syllables
            end += 1
        if weight < enough:
            return start
        out[start] = end
        weight -= words if alone[start] else syllables
    return total


@kernel
def window_hash(sums: Any, powers: Any, start: int, stop: int) -> Any:
    """The hash of the units from `start` to before `stop`."""
    return mix(sums[stop] - sums[start] * powers[stop - start])


@kernel
def _find_anchors(sums: Any, powers: Any, stops: Any, half_stops: Any, windows: int, halves: int, anchors: Any) -> None:
    """The smallest hash of the halves inside each window, by a queue of the halves that may still be it."""
    queue, found = np.empty(halves, np.int64), np.empty(halves, np.uint64)
    head, tail, half = 0, 0, 0
    for window in range(windows):
        while half < halves and half_stops[half] <= stops[window]:
            hashed = window_hash(sums, powers, half, half_stops[half])
            while tail > head and found[tail - 1] >= hashed:
                tail -= 1
            queue[tail], found[tail] = half, hashed
            tail += 1
            half += 1
        while queue[head] < window:
            head += 1
        anchors[window] = found[head]


@kernel
def _longest(offsets: Any) -> int:
    size = 1
    for row in range(len(offsets) - 1):
        size = max(size, offsets[row + 1] - offsets[row])
    return size


@kernel
def _grown(array: Any, size: int) -> Any:
    wider = np.empty(max(2 * len(array), size), array.dtype)
    wider[: len(array)] = array
    return wider


@kernel
def mark(texts: Any, reading: Any, joints: bool) -> tuple[Any, Any]:
    """Distinct anchors of each text, sorted, end to end, and their offsets.

    `texts` are offsets, bytes, and dead spans: those of text `row` are `dead[gaps[row]:gaps[row + 1]]`. `reading` is
    the unit table, the table of lower case, `words` and `syllables`. `joints`: only of windows that reach over a span.
    """
    offsets, data, gaps, dead = texts
    words, syllables = reading[2], reading[3]
    room = room_for(_longest(offsets), words, syllables)
    anchors, numbers = room[0][2], room[1]
    flat, places, to = np.empty(1024, np.uint64), np.zeros(len(offsets), np.int64), 0
    for row in range(len(offsets) - 1):
        spans = dead[gaps[row] : gaps[row + 1]]
        _, windows = read_windows(data, offsets[row], offsets[row + 1], spans, reading, room)
        begin = to
        for window in range(windows):
            if joints and numbers[3, window] == numbers[3, numbers[4, window] - 1]:
                continue
            if to > begin and flat[to - 1] == anchors[window]:
                continue
            if to == len(flat):
                flat = _grown(flat, 0)
            flat[to] = anchors[window]
            to += 1
        to = begin + _distinct(flat[begin:to])
        places[row + 1] = to
    return flat[:to], places


@kernel
def _distinct(values: Any) -> int:
    """Sort in place, move the distinct values to the front; returns their number."""
    values.sort()
    to = 0
    for i in range(len(values)):
        if to == 0 or values[i] != values[to - 1]:
            values[to] = values[i]
            to += 1
    return to


@kernel
def _find(values: Any, sieve: Any, value: Any) -> int:
    """The place of `value` in sorted values, -1 if it isn't there."""
    if not sieve[value & np.uint64(len(sieve) - 1)]:
        return -1
    place = np.searchsorted(values, value)
    return place if place < len(values) and values[place] == value else -1


@kernel
def list_windows(texts: Any, reading: Any, places: Any, shared: Any, shared_sieve: Any) -> tuple[Any, Any]:
    """Hash and code (`places[row] << PLACE | unit`) of each window whose anchor is among `shared` (sorted)."""
    offsets, data, gaps, dead = texts
    words, syllables = reading[2], reading[3]
    room = room_for(_longest(offsets), words, syllables)
    (_, sums, anchors), numbers, _, _, powers = room
    hashes, codes, count = np.empty(1024, np.uint64), np.empty(1024, np.int64), 0
    for row in range(len(offsets) - 1):
        spans = dead[gaps[row] : gaps[row + 1]]
        _, windows = read_windows(data, offsets[row], offsets[row + 1], spans, reading, room)
        known = False
        for window in range(windows):
            if window == 0 or anchors[window] != anchors[window - 1]:
                known = _find(shared, shared_sieve, anchors[window]) >= 0
            if known:
                if count == len(hashes):
                    hashes, codes = _grown(hashes, 0), _grown(codes, 0)
                hashes[count] = window_hash(sums, powers, window, numbers[4, window])
                codes[count] = (places[row] << PLACE) | window
                count += 1
    return hashes[:count], codes[:count]


@kernel
def keep_regions(texts: Any, reading: Any, places: Any, known: Any) -> tuple[Any, Any, Any]:
    """The stretches of units whose windows are the first of their kind; `known` holds the shared anchors and
    their sieve, the repeated hashes and theirs, and the code of the first window of each hash. Returns

        regions   (code of the first unit, number of units, place of the first unit in `units`) a region
        units     (end of its letters in `letters`, first byte, byte behind it in the text) a unit
        letters   what `read_units` wrote for them
    """
    offsets, data, gaps, dead = texts
    words, syllables = reading[2], reading[3]
    room = room_for(_longest(offsets), words, syllables)
    (_, sums, anchors), numbers, _, spelled, powers = room
    shared, shared_sieve, repeated, sieve, firsts = known
    regions, units, letters = np.empty((64, 3), np.int64), np.empty((64, 3), np.int64), np.empty(1024, np.uint8)
    count, held, to = 0, 0, 0
    for row in range(len(offsets) - 1):
        spans = dead[gaps[row] : gaps[row + 1]]
        _, windows = read_windows(data, offsets[row], offsets[row + 1], spans, reading, room)
        reach, marked = -1, False
        for window in range(windows):
            stop = numbers[4, window]
            if window == 0 or anchors[window] != anchors[window - 1]:
                marked = _find(shared, shared_sieve, anchors[window]) >= 0
            found = _find(repeated, sieve, window_hash(sums, powers, window, stop)) if marked else -1
            if found < 0 or firsts[found] != (places[row] << PLACE) | window:
                continue
            if window >= reach:  # a new region; else the last one grows
                if count == len(regions):
                    regions = _taller(regions, 0)
                regions[count, 0], regions[count, 1], regions[count, 2] = (places[row] << PLACE) | window, 0, held
                count += 1
                reach = window
            if held + stop - reach > len(units):
                units = _taller(units, held + stop - reach)
            for unit in range(reach, stop):
                begin = numbers[2, unit - 1] if unit else 0
                size = numbers[2, unit] - begin
                if to + size > len(letters):
                    letters = _grown(letters, to + size)
                letters[to : to + size] = spelled[begin : begin + size]
                to += size
                units[held, 0] = to
                units[held, 1], units[held, 2] = numbers[0, unit] - offsets[row], numbers[1, unit] - offsets[row]
                held += 1
            regions[count - 1, 1] += stop - reach
            reach = stop
    return regions[:count], units[:held], letters[:to]


@kernel
def _taller(array: Any, rows: int) -> Any:
    taller = np.empty((max(2 * len(array), rows), array.shape[1]), array.dtype)
    taller[: len(array)] = array
    return taller


@kernel
def _same(library: Any, region: int, kept: int, room: Any, unit: int, count: int) -> bool:
    """Whether `count` units from `unit` on have the letters of a region's units from its unit `kept` on."""
    regions, units, letters = library
    letter_ends, spelled = room[1][2], room[3]
    first = regions[region, 2] + kept
    if kept + count > regions[region, 1]:
        return False
    mine = letter_ends[unit - 1] if unit else 0
    theirs = units[first - 1, 0] if first else 0
    size = letter_ends[unit + count - 1] - mine
    if units[first + count - 1, 0] - theirs != size:
        return False
    differ = 0
    for i in range(size):
        differ += spelled[mine + i] != letters[theirs + i]
    return differ == 0


@kernel
def _prove(place: int, windows: int, room: Any, known: Any, library: Any, kept: Any) -> bool:
    """For each unit the unit in the library that it repeats (-1: none), by windows whose letters are the same.

    A window that goes on where the one before it went is compared from where that one stopped.
    """
    (_, sums, anchors), numbers, _, _, powers = room
    shared, shared_sieve, repeated, sieve, firsts = known
    regions, stops, any_found, marked = library[0], numbers[4], False, False
    last: Any = np.int64(-1)
    region: Any = np.int64(0)
    reach = 0
    for window in range(windows):
        stop = stops[window]
        if window == 0 or anchors[window] != anchors[window - 1]:
            marked = _find(shared, shared_sieve, anchors[window]) >= 0
        found = _find(repeated, sieve, window_hash(sums, powers, window, stop)) if marked else -1
        if found < 0 or firsts[found] >> PLACE >= place:
            last = -1
            continue
        goes_on = last >= 0 and firsts[found] == last + 1
        if not goes_on:
            region = np.searchsorted(regions[:, 0], firsts[found], side="right") - 1
            reach = window
            if region < 0:
                last = -1
                continue
        own = firsts[found] - regions[region, 0]
        if not _same(library, region, own + reach - window, room, reach, stop - reach):
            last = -1
            continue
        for unit in range(window, stop):
            if kept[unit] < 0:
                kept[unit] = regions[region, 2] + own + unit - window
        last, reach, any_found = firsts[found], stop, True
    return any_found


@kernel
def cover(texts: Any, reading: Any, places: Any, known: Any, library: Any, snap: int) -> tuple[Any, Any, Any]:
    """What can be cut: runs of whole segments all of whose units are repeated, at least half a window together.

    cuts     (row, first byte, byte behind it)
    sources  (row, number of a unit of the library, how many units in a row from there), for what is cut
    left     weight of the units that stay in each text, in parts of `words * syllables`; -1: nothing cut
    """
    offsets, data, gaps, dead = texts
    words, syllables = reading[2], reading[3]
    room = room_for(_longest(offsets), words, syllables)
    numbers, alone = room[1], room[2]
    cuts, sources, left = np.empty((64, 3), np.int64), np.empty((64, 3), np.int64), np.full(len(places), -1, np.int64)
    count, told = 0, 0
    kept = np.empty(_longest(offsets) + 2, np.int64)
    for row in range(len(offsets) - 1):
        start, end, spans = offsets[row], offsets[row + 1], dead[gaps[row] : gaps[row + 1]]
        total, windows = read_windows(data, start, end, spans, reading, room)
        kept[:total] = -1
        if not _prove(places[row], windows, room, known, library, kept):
            continue
        weight, cut_weight = 0, 0
        for unit in range(total):
            weight += words if alone[unit] else syllables
        unit, i = 0, start
        run_start, run_end, run_unit, run_stop, run_weight = -1, -1, 0, 0, 0
        while i < end or run_start >= 0:
            first, segment, covered, size = unit, i, i < end, 0
            if i < end:
                i = next_segment(data, i, end, spans, snap)
                while unit < total and numbers[0, unit] < i:
                    covered = covered and kept[unit] >= 0
                    size += words if alone[unit] else syllables
                    unit += 1
            if covered and unit == first:  # signs alone: part of a run, if it goes on
                continue
            if covered:
                if run_start < 0:
                    run_start, run_unit, run_weight = segment, first, 0
                run_end, run_stop, run_weight = i, unit, run_weight + size
                continue
            if run_start >= 0 and 2 * run_weight >= words * syllables:
                if count == len(cuts):
                    cuts = _taller(cuts, 0)
                cuts[count, 0], cuts[count, 1], cuts[count, 2] = row, run_start - start, run_end - start
                count += 1
                cut_weight += run_weight
                for u in range(run_unit, run_stop):
                    if u > run_unit and kept[u] == kept[u - 1] + 1:
                        sources[told - 1, 2] += 1
                        continue
                    if told == len(sources):
                        sources = _taller(sources, 0)
                    sources[told, 0], sources[told, 1], sources[told, 2] = row, kept[u], 1
                    told += 1
            run_start = -1
        if cut_weight:
            left[row] = weight - cut_weight
    return cuts[:count], sources[:told], left
