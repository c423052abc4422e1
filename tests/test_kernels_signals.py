"""The signal kernel against its plain-Python reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels import signals
from datakit.kernels.characters import buffers
from datakit.kernels.signals_reference import measure_text

STOP_WORDS, ENDINGS = ("the", "of", "and"), "은는이가다"
TABLE = signals.stop_table(STOP_WORDS, ENDINGS)
CHARS = ' \t\n\r\u200b가다는ㅋㅁaebcdfgkTHE.…-*")1/:w😀\u0301漢かж·_#{?。'
WORDS = (
    "the",
    "The,",
    "cat",
    "고양이는",
    "간다.",
    "ㅁㄴㅇㄹ",
    "-",
    "\n",
    "\n\n",
    "http://a.b",
    "www.x.y",
    "xkcdfgh",
    "HTTP",
    "1",
    "...",
)
TEXT = (
    st.text(st.sampled_from(CHARS), max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
    | st.text(st.characters(codec="utf-8"), max_size=40)
)


def measured(texts: Sequence[str]) -> list[dict[str, float]]:
    table = signals.measure(*buffers(pa.array(["앞 글", *texts], pa.large_string())[1:]), *TABLE)
    return [dict(zip(signals.SIGNALS, row.tolist(), strict=True)) for row in table]


def hold_to_reference(work: Callable[[Sequence[str]], list[dict[str, float]]], texts: list[str]) -> None:
    for text, got in zip(texts, work(texts), strict=True):
        assert got == pytest.approx(measure_text(text, STOP_WORDS, ENDINGS), abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=3))
def test_measure_any_texts_equals_the_plain_reference(texts: list[str]) -> None:
    hold_to_reference(measured, texts)


def test_measure_planted_breach_is_caught() -> None:
    """Counting one word more than there are would be noticed."""

    def broken(texts: Sequence[str]) -> list[dict[str, float]]:
        return [row | {"words": row["words"] + 1} for row in measured(texts)]

    with pytest.raises(AssertionError):
        hold_to_reference(broken, ["고양이는 간다"])


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=5))
def test_measure_of_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    assert measured(texts) == [measured([text])[0] for text in texts]


def test_measure_short_text_has_no_top_ngram() -> None:
    """Gopher's rule as published gives 0.5 for the 2-grams of this sentence."""
    row = measured(["This is a test."])[0]
    assert row["top_2gram"] == row["top_4gram"] == 0


def test_measure_blank_lines_and_fences_are_no_duplicate_lines() -> None:
    row = measured(["```\n가나다\n```\n\n\n```\n라마바\n```"])[0]
    assert (row["lines"], row["duplicate_lines"]) == (2, 0)


def test_measure_repeated_line_is_found_in_korean_and_english() -> None:
    for line in ("빨리 해결해 주세요!", "Please fix this now!"):
        row = measured(["\n".join([line] * 10)])[0]
        assert row["duplicate_lines"] == pytest.approx(0.9)
        assert row["repeated_5gram"] > 0.5


@pytest.mark.parametrize(
    ("word", "odd"),
    [
        ("ㅁㄴㅇㄹ", True),
        ("ㅋㅋㅋㅋㅋ", False),
        ("ㅠㅠㅠ", False),
        ("ㄱㅅ", False),
        ("sdkfjhg", True),
        ("HTTP", False),
        ("strength", False),
    ],
)
def test_odd_words_of_one_word_tells_mash_from_speech(word: str, odd: bool) -> None:
    assert measured([word])[0]["odd_words"] == float(odd)


def test_measure_long_single_line_takes_linear_time() -> None:
    """Two million repeated words: a quadratic step would not end."""
    row = measured(["가나 다라 " * 400_000])[0]
    assert row["words"] == 800_000
    assert row["repeated_10gram"] > 0.99


@pytest.fixture(scope="module")
def empty() -> dict[str, Any]:
    return measured([""])[0]


def test_measure_empty_text_is_zero_everywhere(empty: dict[str, Any]) -> None:
    assert set(empty.values()) == {0.0}
