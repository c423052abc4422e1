"""What `repeats` is held to: repeated passages found in plain Python, by comparing every window with every other."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from datakit.kernels.folding import fold_table
from datakit.kernels.segments import Snap, segments_of
from datakit.kernels.shingles import ALONE, BREAK, JOINED, unit_table

Unit = tuple[str, int, bool]
"""Folded letters, place of the first character, whether the unit is a single character."""


def plain_units(text: str) -> list[Unit]:
    """The units of a text; decomposed Hangul counts as composed."""
    table, lower = unit_table("script"), fold_table()
    units: list[Unit] = []
    open_word, place = False, 0
    while place < len(text):
        char, size = _letter(text, place)
        point = int(lower[ord(char)]) if ord(char) < 0x10000 else ord(char)
        like = point if point < len(table) else 0x4E00 if point < 0x40000 else 0x21
        kind = table[like]
        if kind == JOINED and open_word:
            units[-1] = (units[-1][0] + chr(point), units[-1][1], False)
        elif kind != BREAK:
            units.append((chr(point), place, kind == ALONE))
        open_word = kind == JOINED
        place += size
    return units


def _letter(text: str, place: int) -> tuple[str, int]:
    """One character, or the syllable that two or three jamo make, and how many characters it takes."""
    for size in (3, 2):
        part = text[place : place + size]
        whole = unicodedata.normalize("NFC", part)
        if len(part) == size and len(whole) == 1 and "가" <= whole <= "힣":
            return whole, size
    return text[place], 1


def plain_windows(units: Sequence[Unit], words: int, syllables: int) -> list[tuple[str, ...]]:
    """The windows of a text, by their first unit."""
    found, end, weight = [], 0, 0
    for start in range(len(units)):
        while weight < words * syllables and end < len(units):
            weight += words if units[end][2] else syllables
            end += 1
        if weight < words * syllables:
            break
        found.append(tuple(unit[0] for unit in units[start:end]))
        weight -= words if units[start][2] else syllables
    return found


def plain_cuts(texts: Sequence[str], words: int, syllables: int, snap: Snap) -> list[set[int]]:
    """For each text, first to last, the characters that are cut."""
    cut: list[set[int]] = [set() for _ in texts]
    while True:
        alive = [
            [place for place in range(len(text)) if place not in gone] for text, gone in zip(texts, cut, strict=True)
        ]
        left = ["".join(text[place] for place in places) for text, places in zip(texts, alive, strict=True)]
        more = _round(left, words, syllables, snap)
        if not any(more):
            return cut
        for gone, places, found in zip(cut, alive, more, strict=True):
            gone.update(places[place] for place in found)


def _round(texts: Sequence[str], words: int, syllables: int, snap: Snap) -> list[set[int]]:
    firsts: dict[tuple[str, ...], int] = {}
    found = []
    for number, text in enumerate(texts):
        units = plain_units(text)
        covered = [False] * len(units)
        for start, window in enumerate(plain_windows(units, words, syllables)):
            if firsts.setdefault(window, number) != number:
                covered[start : start + len(window)] = [True] * len(window)
        found.append(_runs(text, units, covered, (words, syllables), snap))
    return found


def _runs(text: str, units: Sequence[Unit], covered: Sequence[bool], sizes: tuple[int, int], snap: Snap) -> set[int]:
    """The characters of runs of whole covered segments that are half a window long or longer."""
    words, syllables = sizes
    cut: set[int] = set()
    run: list[int] = []
    waiting: list[int] = []
    weight, begin = 0, 0
    for segment in (*segments_of(text, snap), ""):
        end = begin + len(segment)
        inside = [n for n, unit in enumerate(units) if begin <= unit[1] < end]
        if segment and not inside:  # signs alone go with a run that goes on
            waiting += range(begin, end)
        elif segment and all(covered[n] for n in inside):
            run += [*(waiting if run else []), *range(begin, end)]
            waiting = []
            weight += sum(words if units[n][2] else syllables for n in inside)
        else:
            if 2 * weight >= words * syllables:
                cut.update(run)
            run, waiting, weight = [], [], 0
        begin = end
    return cut
