"""Novelty: equal to the textbook for any texts and any growth of the pool, awake to Hangul, ties told by integers."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.subsequences import longest_in_python, most_alike_in_python
from datakit.stages.synthesize.novelty import Pool, published_tokens_of, tokens_of

PAIRS = Path(__file__).parents[2] / "shared" / "data" / "question_pair_ko.csv"
TEXT = st.text("abc 가나다\u1100\u1161é😀🏽\u200d。'_\ufffd", max_size=14)


def pool_of(texts: list[str], threshold: float = 0.7, published: bool = False) -> Pool:
    pool = Pool(threshold, published=published)
    for place, text in enumerate(texts):
        pool.add(text, str(place))
    return pool


def test_equal_korean_sentences_score_one() -> None:
    """The published tokenizer keeps [a-z0-9] alone: these two would score 0."""
    texts = ["오늘 저녁에 먹을 반찬을 추천해 주세요."]
    assert pool_of(texts).nearest(texts[0]) == ("0", 1.0)
    assert pool_of(texts).nearest("오늘 저녁에는 먹을 반찬 좀 추천해 주세요!") is not None
    assert pool_of(texts).nearest("기차가 늦어진 까닭을 설명하시오.") is None
    assert pool_of(texts, published=True).nearest(texts[0]) is None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (unicodedata.normalize("NFD", "한글 ABC 12"), ["한", "글", "abc", "12"]),
        ("Naïve Straße—don't", ["naïve", "straße", "don", "t"]),
        ("“인용” 『책』、。… 'x'", ["인", "용", "책", "x"]),
        ("漢字かな", ["漢", "字", "か", "な"]),
        ("Привет мир", ["привет", "мир"]),
        ("👩🏽\u200d🚀 ok ☎", ["👩", "🏽", "🚀", "ok", "☎"]),
        ("ㅋㅋ", ["ㅋ", "ㅋ"]),
        ("\ufffd \udce9 _ \u0301 \x00", []),
        ("", []),
    ],
)  # fmt: skip
def test_tokens_of_any_script(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


def test_published_tokens_are_those_of_rouge_score() -> None:
    assert published_tokens_of("Naïve 한글, don't STOP-2!") == ["na", "ve", "don", "t", "stop", "2"]


def test_text_without_a_token_is_new_and_repeats_nothing() -> None:
    pool = pool_of(["", "...", "\ufffd"])
    assert [pool.nearest(text) for text in ("", "...", "가", "\ufffd")] == [None] * 4


def test_tie_at_the_threshold_is_new() -> None:
    pool = pool_of(["a b c d e f g h i j"])
    assert pool.nearest("a b c d e f g x y z") is None
    assert pool.nearest("a b c d e f g h y z") == ("0", 0.8)


def test_published_rule_keeps_the_published_rounding_of_ties() -> None:
    """2 * 0.7 * 0.7 / 1.4 is 0.7 in floats, but for 7 and 13 tokens with 7 in common it comes out above 0.7."""
    same = pool_of(["a b c d e f g h i j"], published=True)
    assert same.nearest("a b c d e f g x y z") is None
    words = [f"w{n}" for n in range(13)]
    precision, recall = 7 / 13, 7 / 7
    above = 2 * precision * recall / (precision + recall) > 0.7
    found = pool_of([" ".join(words)], published=True).nearest(" ".join(words[:7]))
    assert (found is not None) == above
    assert pool_of([" ".join(words)]).nearest(" ".join(words[:7])) is None


def test_other_threshold_for_one_question() -> None:
    """A language may have a threshold of its own; 0 finds the nearest one however far it is."""
    pool = pool_of(["가 나 다 라 마", "a b c"])
    assert pool.nearest("가 나 다 바 사") is None
    assert pool.nearest("가 나 다 바 사", 0.5) == ("0", 0.6)
    assert pool.nearest("마", 0) == ("0", 2 / 6)
    assert pool.nearest("z", 0) is None


@settings(deadline=None)
@given(st.lists(TEXT, max_size=6), TEXT, st.booleans(), st.sampled_from([0.0, 0.5, 0.7]))
def test_nearest_equals_the_textbook(earlier: list[str], text: str, published: bool, threshold: float) -> None:
    split = published_tokens_of if published else tokens_of
    found = pool_of(earlier, threshold, published).nearest(text)
    row, common = most_alike_in_python(split(text), [split(one) for one in earlier], round(1000 * threshold), published)
    assert (found is None) == (row < 0)
    if found:
        assert found == (str(row), 2 * common / (len(split(text)) + len(split(earlier[row]))))


def test_pool_grows_without_forgetting() -> None:
    """Past every doubling of its arrays: thousands of texts, new words all the while."""
    texts = [f"task {n} asks for w{n} and v{n} in {n % 7} ways 과제 {n}번" for n in range(3000)]
    pool = pool_of(texts)
    for place in (0, 255, 256, 257, 1023, 1024, 2999):
        assert pool.nearest(texts[place]) == (str(place), 1.0)


def test_asking_leaves_the_pool_as_it_was() -> None:
    asked, quiet = pool_of(["a b c", "가 나 다"]), pool_of(["a b c", "가 나 다"])
    for text in ("새 말 가 나", "new words a b", "😀"):
        asked.nearest(text)
    for text in ("a b c d", "가 나 다 라", "new words"):
        assert asked.nearest(text, 0) == quiet.nearest(text, 0)


@pytest.mark.skipif(not PAIRS.is_file(), reason="no question_pair_ko.csv beside the checkout")
def test_korean_calibration_is_as_the_docstring_tells() -> None:
    with PAIRS.open(encoding="utf-8-sig") as lines:
        rows = [(row["question1"], row["question2"], row["is_duplicate"] == "0") for row in csv.DictReader(lines)]
    same = sum(alike for _, _, alike in rows)
    found = [alike for one, other, alike in rows if _above(tokens_of(one), tokens_of(other))]
    assert (round(sum(found) / len(found), 3), round(sum(found) / same, 2)) == (0.985, 0.46)


def _above(one: list[str], other: list[str]) -> bool:
    return 20 * longest_in_python(one, other) > 7 * (len(one) + len(other))
