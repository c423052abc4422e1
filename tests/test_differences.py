"""Two texts side by side: nothing invented, nothing lost, marks where they differ, syllables for Korean."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.differences import Piece, side_by_side, units

TEXTS = st.text(alphabet=st.sampled_from("가나다라 각ab c,.\n👩‍🦰é\u1100\u1161漢カ")) | st.text()


def joined(pieces: list[Piece]) -> str:
    return "".join(text for text, _ in pieces)


def marked(pieces: list[Piece]) -> list[str]:
    return [text for text, differs in pieces if differs]


@given(TEXTS)
def test_units_joined_are_the_text(text: str) -> None:
    assert "".join(units(text)) == text


@given(TEXTS, TEXTS)
def test_sides_are_the_texts_and_what_is_unmarked_is_equal(one: str, other: str) -> None:
    left, right = side_by_side(one, other, context=10_000, limit=10_000)
    assert (joined(left), joined(right)) == (one, other)
    equal = [[text for text, differs in side if not differs] for side in (left, right)]
    assert equal[0] == equal[1]
    assert (one == other) == (not marked(left) and not marked(right))


@pytest.mark.parametrize(
    ("one", "other", "here", "there"),
    [
        ("동호회는 매주 토요일에 모입니다.", "동호회는 격주 토요일에 모입니다.", ["매"], ["격"]),
        ("회원이 모입니다", "회원은 모입니다", ["이"], ["은"]),
        ("The ferry leaves at six.", "The ferry leaves at half past five.", ["six"], ["half past five"]),
        ("물은 100도에서 끓는다", "물은 100도에서 끓는다", [], []),
        ("東京タワー", "東京タウー", ["ワ"], ["ウ"]),
    ],
)
def test_marks_are_words_and_syllables(one: str, other: str, here: list[str], there: list[str]) -> None:
    left, right = side_by_side(one, other)
    assert (marked(left), marked(right)) == (here, there)


def test_decomposed_hangul_is_marked_by_syllables_too() -> None:
    one, other = (unicodedata.normalize("NFD", text) for text in ("책을 읽다", "책을 읽자"))
    left, right = side_by_side(one, other)
    assert [unicodedata.normalize("NFC", text) for text in marked(left) + marked(right)] == ["다", "자"]


def test_long_equal_stretches_are_left_out_and_sides_are_bounded() -> None:
    same = "같은 문장이 길게 이어집니다. " * 200
    left, right = side_by_side(f"{same}하나{same}", f"{same}둘{same}", context=20, limit=100)
    assert (marked(left), marked(right)) == (["하나"], ["둘"])
    assert len(joined(left)) < 60
    assert "…" in joined(left)
    left, right = side_by_side("가" * 5000, "나" * 9000, limit=100)
    assert max(len(joined(left)), len(joined(right))) <= 104
