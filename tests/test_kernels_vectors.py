"""Vectors without a model: equal to the plain reference, near what they estimate, exact in float32."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.folding import fold_text
from datakit.kernels.vectors import NORM, WIDTH, features_of, ngram_sums, sums_of, whole_numbers

TEXTS = st.text(
    st.one_of(
        st.sampled_from(
            "학교에서 공부를 했다 가각힣ㅋㅠ ABC abc 123 .,!? 漢字かな 😀👍🏽 é\u0301 \u1112\u1161\u11ab\n\t_"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=60,
)


def vectors(*texts: str) -> np.ndarray:
    return whole_numbers(ngram_sums(pa.array(texts, pa.large_string())))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one.astype(float), other.astype(float)
    return float(a @ b / sqrt((a @ a) * (b @ b)))


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_ngram_sums_any_texts_equal_the_plain_reference(texts: list[str]) -> None:
    found = ngram_sums(pa.array(texts, pa.large_string()))
    assert found.tolist() == [sums_of(fold_text(text)) for text in texts]


def test_ngram_sums_of_a_slice_are_those_of_its_rows() -> None:
    texts = pa.array(["앞 글", "학교에서 배운다", "the last one"], pa.large_string())
    assert ngram_sums(texts.slice(1, 1)).tolist() == [sums_of("학교에서 배운다")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the harbour was quiet and the ferry had left " * 3, "the harbour was quiet and the train had come " * 3),
        ("항구는 조용했고 마지막 배는 이미 섬으로 떠난 뒤였다", "항구가 조용했고 마지막 배가 이미 섬을 떠난 뒤였다"),
    ],
)
def test_cosine_estimates_the_share_of_common_features(one: str, other: str) -> None:
    a, b = features_of(fold_text(one)), features_of(fold_text(other))
    exact = len(a & b) / sqrt(len(a) * len(b))
    assert abs(cosine(*vectors(one, other)) - exact) < 3 / sqrt(WIDTH)


def test_cosine_other_particles_stay_near_and_other_topics_far() -> None:
    same, other = "철수가 학교에서 영어를 공부했다", "매운 김치찌개에는 돼지고기와 두부가 들어간다"
    moved = "철수는 학교에서는 영어도 공부했다"
    near, far = cosine(*vectors(same, moved)), cosine(*vectors(same, other))
    assert near > 0.4
    assert abs(far) < 0.2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(-900, 900), min_size=8, max_size=8), min_size=2, max_size=5))
def test_whole_numbers_dot_products_are_exact_in_float32_in_any_order(rows: list[list[int]]) -> None:
    found = whole_numbers(np.array(rows, float))
    exact = found.astype(np.int64) @ found.astype(np.int64).T
    narrow = found.astype(np.float32)
    assert np.array_equal((narrow @ narrow.T).astype(np.int64), exact)
    assert np.array_equal((narrow[:, ::-1] @ narrow[:, ::-1].T).astype(np.int64), exact)
    assert np.abs(exact).max() < 2**24
    lengths = np.sqrt(np.diag(exact))
    assert all(length == 0 or abs(length - NORM) < 4 for length in lengths)


def test_float32_of_larger_numbers_would_not_be_exact() -> None:
    big = np.array([[2.0**13 + 1, 2.0**12 + 1]], np.float32)
    assert int((big @ big.T).item()) != (2**13 + 1) ** 2 + (2**12 + 1) ** 2


def test_whole_numbers_text_without_features_stays_zero() -> None:
    assert not vectors("").any()
