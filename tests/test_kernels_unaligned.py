"""Unaligned loads, and questions asked of eight bytes at once, against Python's own answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.compiled import kernel
from datakit.kernels.unaligned import controls, first_byte, line_end, read32, read64, same_bytes


@kernel
def _read(data: Any, i: int) -> tuple[Any, Any]:
    return read32(data, i), read64(data, i)


@kernel
def _first(mask: Any) -> Any:
    return first_byte(mask)


@pytest.mark.parametrize("place", range(9))
def test_reads_any_place_give_the_bytes_that_stand_there(place: int) -> None:
    data = np.frombuffer("한국어 데이터 세트".encode(), np.uint8)
    four, eight = _read(data, place)
    assert int(four).to_bytes(4, "little") == bytes(data[place : place + 4])
    assert int(eight).to_bytes(8, "little") == bytes(data[place : place + 8])


@pytest.mark.parametrize("place", range(9))
def test_first_byte_of_a_mask_is_the_lowest(place: int) -> None:
    assert _first(np.uint64(0x8080808080808080 << 8 * place & 0xFFFFFFFFFFFFFFFF)) == place


@given(st.lists(st.integers(0, 0x7F), min_size=8, max_size=8).map(bytes))
def test_controls_of_eight_ascii_bytes_are_those_below_a_blank(eight: bytes) -> None:
    word = np.uint64(int.from_bytes(eight, "little"))
    assert int(controls(word)).to_bytes(8, "little") == bytes(0x80 * (byte < 0x20) for byte in eight)


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
