"""Questions asked of 64 bytes at once, against Python's own answers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.compiled import kernel
from datakit.kernels.masks import (
    between,
    first_bits,
    gaps,
    may_be_settled,
    ones,
    settled,
    tripled,
    wordlikes,
    write_folded,
    zeros_above,
    zeros_below,
)  # fmt: skip
from datakit.kernels.shingles import unit_table

BYTES = st.lists(st.integers(0, 255), min_size=64, max_size=64).map(bytes)
KOREAN_AND_HAN = [*range(0x4E00, 0x9FC0), *range(0xAC00, 0xD780)]


@kernel
def _asked(data: Any, i: int, low: int, high: int) -> tuple[Any, Any, Any, Any]:
    return between(data, i, low, high), wordlikes(data, i), gaps(data, i), settled(data, i)


@kernel
def _counted(mask: Any) -> tuple[Any, Any, Any]:
    return zeros_below(mask), zeros_above(mask), ones(mask)


@kernel
def _written(data: Any, i: int, out: Any, to: int) -> None:
    write_folded(data, i, out, to)


def masked(eight: bytes, rule: Callable[[int], bool]) -> int:
    return sum(rule(byte) << place for place, byte in enumerate(eight))


@settings(max_examples=200, deadline=None)
@given(BYTES, st.integers(0, 255), st.integers(0, 255))
def test_masks_any_bytes_equal_the_plain_rule(data: bytes, one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    found, words, blank, _ = _asked(np.frombuffer(b"...." + data, np.uint8), 4, low, high)
    assert found == masked(data, lambda byte: low <= byte <= high)
    assert words == masked(data, lambda byte: byte < 0x80 and (chr(byte).isalnum() or byte == 0x5F))
    assert blank == masked(data, lambda byte: byte < 0x80 and chr(byte).isspace())


@settings(max_examples=100, deadline=None)
@given(BYTES)
def test_write_folded_any_bytes_lowers_ascii_and_blanks_its_white_space(data: bytes) -> None:
    out = np.full(80, 0xFF, np.uint8)
    _written(np.frombuffer(data, np.uint8), 0, out, 7)
    blanked = bytes(0x20 if byte < 0x80 and chr(byte).isspace() else byte for byte in data.lower())
    assert bytes(out) == b"\xff" * 7 + blanked + b"\xff" * 9


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]))
def test_counts_any_mask_equal_those_of_its_binary_digits(mask: int) -> None:
    below, above, bits = _counted(np.uint64(mask))
    digits = f"{mask:064b}"
    assert (below, above, bits) == (
        64 - len(digits.rstrip("0")), 64 - len(digits.lstrip("0")), digits.count("1")
    )  # fmt: skip


@pytest.mark.parametrize("count", [-2, 0, 1, 63, 64])
def test_first_bits_any_count_are_so_many(count: int) -> None:
    assert int(first_bits(count)) == (1 << max(count, 0)) - 1


def test_settled_every_basic_character_is_just_han_and_hangul() -> None:
    wanted = set(KOREAN_AND_HAN)
    for point in range(0x80, 0x10000):
        if 0xD800 <= point < 0xE000:
            continue
        spelled = chr(point).encode()
        found = int(_asked(np.frombuffer(spelled.ljust(64, b"."), np.uint8), 0, 0, 0)[3])
        assert found == (point in wanted), hex(point)
        assert not found or may_be_settled(spelled[0])
    assert int(tripled(np.uint64(0b1001))) == 0b111111


def test_settled_characters_have_no_case_are_in_nfc_and_are_of_one_class_in_every_unit() -> None:
    for point in KOREAN_AND_HAN:
        char = chr(point)
        assert unicodedata.normalize("NFC", char) == char.lower() == char
        assert unicodedata.combining(char) == 0
    for unit in ("script", "word", "syllable", "char"):
        assert len(set(unit_table(unit)[KOREAN_AND_HAN].tolist())) == 1
