"""Pieces of text against the published regexes, in the `regex` package, and the class table against the library."""

from __future__ import annotations

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.pretokens import UNKNOWN, split, unknown
from datakit.tokenizers.bytelevel import PROBE, REGEXES, class_table

ALPHABET = "가힣ㅋᄀ한aBzſé\u0301 \t\n\r\u00a0\u3000\u20281٣½Ⅷ.,!'’-_<|>🙂👩\u200d漢字नमก็"
TEXTS = st.lists(
    st.text(st.sampled_from(ALPHABET), max_size=16) | st.text(max_size=8)
    | st.lists(st.sampled_from(["'s", "'LL", "'ſ", "  ", "\r\n", " \n", "한국어", "1234", " !\n"])).map("".join),
    max_size=4,
)  # fmt: skip


def pieces(texts: list[str], cutting: str, alone: bool = False) -> list[list[str]]:
    raw = [text.encode() for text in texts]
    ends = np.cumsum([len(one) for one in raw], dtype=np.int64)
    starts = ends - np.array([len(one) for one in raw], np.int64)
    data = np.frombuffer(b"".join(raw), np.uint8)
    stops, counts = split(data, starts, ends, class_table(alone), *REGEXES[cutting], alone)
    found, at, place = [], 0, 0
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        at, row = start, []
        for stop in stops[place : place + count].tolist():
            row.append(bytes(data[at:stop]).decode())
            at = stop
        place += count
        found.append(row)
    return found


def known(text: str, alone: bool = False) -> bool:
    return not any(class_table(alone)[ord(char)] & UNKNOWN for char in text)


@pytest.mark.parametrize("cutting", list(REGEXES))
@settings(max_examples=150, deadline=None)
@given(texts=TEXTS)
def test_split_any_text_equals_the_regex(cutting: str, texts: list[str]) -> None:
    texts = [text for text in texts if known(text)]
    assert pieces(texts, cutting) == [regex.findall(cutting, text) for text in texts]


@pytest.mark.parametrize("cutting", list(REGEXES))
def test_split_texts_made_to_trap_it_equal_the_library(cutting: str) -> None:
    from tokenizers import Regex, pre_tokenizers

    library = pre_tokenizers.Split(Regex(cutting), "isolated")
    texts = [text for text in PROBE if known(text)]
    assert pieces(texts, cutting) == [[piece for piece, _ in library.pre_tokenize_str(text)] for text in texts]


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from("가a 12½٣.'s\n"), max_size=20))
def test_split_digits_alone_equals_digits_before_the_regex(text: str) -> None:
    from tokenizers import pre_tokenizers

    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    [found] = pieces([text], next(iter(REGEXES)), alone=True)
    places = [offsets for _, offsets in pre_tokenizers.Sequence(steps).pre_tokenize_str(text)]
    assert found == [text[a:b] for a, b in places]


def test_split_with_another_regex_is_noticed() -> None:
    """The planted breach: Qwen's and Llama 3's regexes differ in digits only, and the comparison sees it."""
    one, three = (next(r for r, rule in REGEXES.items() if rule[2] == most) for most in (1, 3))
    assert pieces(["1234"], one) != [regex.findall(three, "1234")]
    assert pieces(["1234"], three) == [["123", "4"]]


def test_class_table_characters_that_nobody_knows_are_unknown() -> None:
    texts = ["가 a 🙂", "\U000e0fff", "a\U0010fffd"]
    offsets = np.cumsum([0, *(len(text.encode()) for text in texts)], dtype=np.int64)
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    assert unknown(offsets, data, class_table(False)).tolist() == [False, True, True]
