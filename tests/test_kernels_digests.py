"""XXH3-128 against the package `xxhash`, and what folding makes of texts before they are digested."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.digests import digests_of

BORDERS = sorted(
    {size + step for size in (0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 2048) for step in (-1, 0, 1)}
)
TEXTS = st.lists(st.binary(max_size=300) | st.text("가나다라 abc\n😀", max_size=400).map(str.encode), max_size=8)


def digests(texts: list[bytes]) -> list[bytes]:
    offsets = np.array([0, *accumulate(map(len, texts))])
    return [bytes(row) for row in digests_of(offsets, np.frombuffer(b"".join(texts), np.uint8))]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_digests_any_texts_equal_those_of_xxhash(texts: list[bytes]) -> None:
    assert digests(texts) == [xxhash.xxh3_128_digest(text) for text in texts]


@pytest.mark.parametrize("text", ["한국어 데이터 세트를 만든다. ", "an instruction dataset 😀 "])
def test_digests_every_length_class_equal_those_of_xxhash(text: str) -> None:
    long = (text * 200).encode()
    texts = [long[:size] for size in BORDERS if size >= 0]
    assert digests(texts) == [xxhash.xxh3_128_digest(text) for text in texts]


def test_digests_one_changed_byte_anywhere_changes_the_digest() -> None:
    for size in (3, 8, 16, 128, 240, 1500):
        text = bytes(range(256)) * 6
        changed = [text[:place] + b"!" + text[place + 1 : size] for place in range(size) if text[place] != 33]
        assert len(set(digests([text[:size], *changed]))) == len(changed) + 1
