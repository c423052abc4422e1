"""Where phrases may begin: a sieve over the first four or six bytes, 64 bytes of text at a time.

    places   begin of an ASCII word, or any other character that is not ASCII white space
    sieves   one bit for each hash of four bytes, and one for each of six (16 kB each): of phrases whose first six bytes
             are certain the six are known (two syllables of Hangul), of others four

A place that the sieves let through is looked at again by whoever asks (phrases.py), so they may be wrong about a place
that holds no phrase, never about one that does. Cost: about 1 ms a MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.masks import WIDE, between, first_bits
from datakit.kernels.unaligned import read64

SHORT, LONG = 4, 6
"""Bytes that are looked at."""
MOST_WAYS = 2**LONG
"""Of more ways to spell six bytes than ASCII letters in two cases have, four are looked at: sieves must stay empty."""
_PLACES = 1 << 17
_MIX, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(47)
_SHORT_KEPT, _LONG_KEPT = np.uint64((1 << 8 * SHORT) - 1), np.uint64((1 << 8 * LONG) - 1)
_SMALL = np.uint64(0x2020202020202020)
_ONE, _LOW6, _SIX = np.uint64(1), np.uint64(63), np.uint64(6)
_ANY = frozenset(range(256))


def sieves_of(openings: Iterable[list[frozenset[int]]]) -> Any:
    """The sieves for phrases that begin like this: for each byte, as many as are certain, the values it may have."""
    sieves = np.zeros((2, _PLACES // 64), np.uint64)
    for opening in openings:
        size = LONG if prod(map(len, opening[:LONG])) <= MOST_WAYS and len(opening) >= LONG else SHORT
        padded = [*opening, *[_ANY] * SHORT][:size]
        small = (sorted({value | 0x20 for value in values}) for values in padded)
        keys = [sum(byte << 8 * place for place, byte in enumerate(key)) for key in product(*small)]
        places = np.array(keys, np.uint64) * _MIX >> _SHIFT
        np.bitwise_or.at(sieves[int(size == LONG)], places >> _SIX, _ONE << (places & _LOW6))
    return sieves


@inlined
def may_begin(data: Any, i: int, end: int, sieves: Any) -> bool:
    """Whether the sieves let the bytes at place `i` of a text that goes to `end` through; ASCII letters in any case."""
    if i + LONG > end or i + 8 > len(data):
        return True
    word = read64(data, i) | _SMALL
    short, long = (word & _SHORT_KEPT) * _MIX >> _SHIFT, (word & _LONG_KEPT) * _MIX >> _SHIFT
    found = sieves[0, short >> _SIX] >> (short & _LOW6) | sieves[1, long >> _SIX] >> (long & _LOW6)
    return found & _ONE != 0


@kernel
def openings(data: Any, i: int, room: int, inside: bool) -> Any:
    """Which of the next `room` bytes, 64 at most, a phrase may begin with; `inside`: an ASCII word goes on at `i`."""
    if i + WIDE > len(data):
        return _openings_by_byte(data, i, room, inside)
    word = between(data, i, 0x61, 0x7A) | between(data, i, 0x41, 0x5A) | between(data, i, 0x30, 0x39)
    never = between(data, i, 0x09, 0x0D) | between(data, i, 0x20, 0x20) | between(data, i, 0x80, 0xBF)
    begun = word & ~((word << _ONE) | np.uint64(inside))
    return (begun | ~(word | never)) & first_bits(room)


@kernel
def _openings_by_byte(data: Any, i: int, room: int, inside: bool) -> Any:
    """The same at the end of the data, where 64 bytes can't be read."""
    found = np.uint64(0)
    for step in range(room):
        byte = data[i + step]
        never = 9 <= byte <= 13 or byte == 32 or 0x80 <= byte < 0xC0 or (is_word(byte) and inside)
        inside = is_word(byte)
        found |= np.uint64(not never) << np.uint64(step)
    return found


@inlined
def is_word(byte: int) -> bool:
    """Whether a byte is an ASCII letter or digit."""
    return (97 <= byte | 32 <= 122 and byte < 128) or 48 <= byte <= 57
