"""Questions asked of eight ASCII bytes at once, against Python's own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.compiled import kernel
from datakit.kernels.unaligned import (
    blanks,
    controls,
    first_byte,
    line_end,
    lowered,
    read32,
    read64,
    same_bytes,
    wordlike,
    write64,
)

EIGHT = st.lists(st.integers(0, 0x7F), min_size=8, max_size=8).map(bytes)
ASKED: list[tuple[Any, Callable[[int], bool]]] = [
    (blanks, lambda byte: byte == 0x20),
    (controls, lambda byte: byte < 0x20),
    (wordlike, lambda byte: chr(byte).isalnum() or byte == 0x5F),
]


@kernel
def _moved(data: Any, i: int, out: Any, to: int, mask: Any) -> tuple[Any, Any]:
    write64(out, to, read64(data, i))
    return read32(data, i), first_byte(mask)


@settings(max_examples=300, deadline=None)
@given(EIGHT)
def test_masks_any_eight_bytes_equal_the_plain_rule(eight: bytes) -> None:
    word = np.uint64(int.from_bytes(eight, "little"))
    assert int(lowered(word)).to_bytes(8, "little") == eight.lower()
    for mask, rule in ASKED:
        assert int(mask(word)).to_bytes(8, "little") == bytes(0x80 * rule(byte) for byte in eight)


@pytest.mark.parametrize("place", range(9))
def test_reads_and_writes_any_place_move_the_bytes_that_stand_there(place: int) -> None:
    data, out = np.frombuffer("한국어 데이터 세트".encode(), np.uint8), np.zeros(24, np.uint8)
    mask = np.uint64(0x80 << 8 * place) if place < 8 else np.uint64(0)
    four, first = _moved(data, place, out, 3, mask)
    assert bytes(out[3:11]) == bytes(data[place : place + 8])
    assert not out[:3].any()
    assert not out[11:].any()
    assert int(four).to_bytes(4, "little") == bytes(data[place : place + 4])
    assert first == place


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=8, max_size=8), st.integers(0, 255))
def test_same_bytes_any_eight_bytes_are_compared_one_by_one(eight: bytes, byte: int) -> None:
    word, wanted = (np.uint64(int.from_bytes(part, "little")) for part in (eight, bytes([byte]) * 8))
    assert int(same_bytes(word, wanted)).to_bytes(8, "little") == bytes(0x80 * (one == byte) for one in eight)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("a\n가\u010a \u0a0a"), max_size=30), st.integers(0, 90), st.integers(0, 90))
def test_line_end_any_part_of_a_text_is_where_python_finds_it(text: str, start: int, end: int) -> None:
    raw = text.encode()
    start, end = sorted((min(start, len(raw)), min(end, len(raw))))
    found = raw.find(b"\n", start, end)
    assert line_end(np.frombuffer(raw, np.uint8), start, end) == (found if found >= 0 else end)
