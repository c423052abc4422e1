"""UTF-8 decoding and character classes against Python's own, and compiling where nothing can be kept."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels import characters as c
from datakit.kernels.compiled import _TOLD, announce, kernel

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=50)


def _repeated(drawn: tuple[str, int]) -> str:
    return drawn[0] * drawn[1]


def points(texts: list[str]) -> list[list[int]]:
    offsets, data = c.buffers(pa.array(["padding", *texts], pa.large_string())[1:])
    found = []
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        row = []
        while start < end:
            point, start = c.decode(data, start, end)
            row.append(int(point))
        found.append(row)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_TEXT, max_size=4))
def test_decode_any_texts_in_a_slice_gives_their_code_points(texts: list[str]) -> None:
    assert points(texts) == [[ord(char) for char in text] for text in texts]


def test_decode_broken_bytes_never_reads_past_the_end() -> None:
    for raw in (b"\xea", b"\xea\xb0", b"\xf0\x9f\x98", b"\x80\x80", b"\xff", b"\xc2"):
        data, i = np.frombuffer(raw + b"secret", np.uint8), 0
        while i < len(raw):
            point, i = c.decode(data, i, len(raw))
            assert point == c.REPLACEMENT
        assert i == len(raw)


@settings(max_examples=300, deadline=None)
@given(st.characters(codec="utf-8"))
def test_char_class_any_character_equals_the_reference(char: str) -> None:
    assert c.char_class(ord(char)) == c.class_of(char)


def test_char_class_of_known_characters_is_as_named() -> None:
    named = {
        c.SPACE: " \t\n\u3000\u00a0",
        c.DIGIT: "09٣½Ⅳ①",
        c.LATIN: "azÉßſ𝓪",
        c.HANGUL: "가힣각",
        c.JAMO: "ㅋㅠㄱ\u1100\u1161",
        c.KANA: "あカー",
        c.HAN: "漢々𠀀",
        c.LETTER: "жقกαא",
        c.PUNCTUATION: ".,!_-·「",
        c.SYMBOL: "+$😀❤→🏽",
        c.CONTROL: "\x00\x7f\u200b\u200d\ufeff\u00ad",
        c.MARK: "\u0301\ufe0f\u3099",
    }
    assert {char: c.char_class(ord(char)) for chars in named.values() for char in chars} == {
        char: name for name, chars in named.items() for char in chars
    }


def test_space_class_is_exactly_what_split_splits_at() -> None:
    spaces = {chr(point) for point in range(0x10000) if c.TABLE[point] == c.SPACE}
    assert spaces == {chr(point) for point in range(0x110000) if chr(point).isspace()}


def test_letters_of_every_class_are_letters_to_unicode() -> None:
    for point in range(0x10000):
        if c.LETTERS >> int(c.TABLE[point]) & 1:
            assert unicodedata.category(chr(point)) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nl")


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY_TEXT, max_size=4))
def test_count_classes_any_texts_equals_counting_one_by_one(texts: list[str]) -> None:
    counts = c.count_classes(*c.buffers(pa.array(texts, pa.large_string())))
    assert counts.sum(axis=1).tolist() == [len(text) for text in texts]
    for text, row in zip(texts, counts, strict=True):
        assert row.tolist() == [sum(c.class_of(char) == name for char in text) for name in range(c.CLASSES)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, st.integers(0, 9)).map(_repeated), max_size=4))
def test_count_characters_any_texts_in_a_slice_equals_pythons_len(texts: list[str]) -> None:
    for column in (["padding", *texts], ["padding", *texts, "뒤" * 40]):
        offsets, data = c.buffers(pa.array(column, pa.large_string())[1 : 1 + len(texts)])
        assert c.count_characters(offsets, data).tolist() == [len(text) for text in texts]


def test_buffers_of_empty_and_null_arrays_are_empty() -> None:
    for array in (pa.array([], pa.large_string()), pa.array(["", ""], pa.large_string())):
        offsets, data = c.buffers(array)
        assert offsets.tolist() == [0] * (len(array) + 1)
        assert data.size == 0


def test_kernel_without_a_place_to_cache_compiles_all_the_same() -> None:
    """Numba finds no file to cache beside for a function made from text, as in a read-only installation."""
    place: dict[str, object] = {}
    exec("def twice(x):\n    return 2 * x", place)
    twice = kernel(place["twice"])  # type: ignore[arg-type]
    assert twice(21) == 42


def test_announce_before_the_first_compilation_says_so_once() -> None:
    place: dict[str, object] = {}
    exec("def thrice(x):\n    return 3 * x", place)
    fresh = kernel(place["thrice"])  # type: ignore[arg-type]
    told: list[str] = []
    _TOLD.discard("test kernels")
    announce(told.append, "test kernels", fresh)
    announce(told.append, "test kernels", fresh)
    assert len(told) == 1
    assert "compiling the test kernels" in told[0]


def test_announce_for_kernels_already_compiled_is_silent() -> None:
    told: list[str] = []
    c.count_classes(*c.buffers(pa.array(["가"], pa.large_string())))
    announce(told.append, "class kernels", c.count_classes)
    assert told == []
