"""The phrase automaton against a search one phrase at a time."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.characters import buffers
from datakit.kernels.phrases import compile_phrases, cover, cover_text, visible

SURE = ("all rights", "rights reserved", "무단 전재", "이용약관", "1:1 문의", "a", "to b c", "copyright ©")
MENU = ("home", "로그인", "menu b", "copyright", "홈")
TABLE = compile_phrases(SURE, MENU)
PARTS = (
    "all",
    "rights",
    "RIGHTS",
    "reserved",
    "무단",
    "전재",
    "이용약관을",
    "\n",
    "1:1",
    "문의",
    "a",
    "ba",
    "...",
    "é",
    "home",
    " | ",
    " > ",
    "to",
    "b",
    "c",
    "  ",
    "\t",
    "copyright",
    "Copyright ©",
    "홈으로",
    "가나다라마바사 abcdefgh",
)
TEXT = st.tuples(
    st.lists(st.sampled_from((*PARTS, "로그인", "다", "· ", ".", " menu b", "|")), max_size=24),
    st.sampled_from(("", " ", "\n ")),
).map(lambda drawn: drawn[1].join(drawn[0]))


MARKS = (("menu", "전재"), ("home",), ("없음",))
MARKING = compile_phrases(SURE, MENU, MARKS)


def covered(text: str) -> tuple[int, int]:
    sizes, hits, _ = cover(*buffers(pa.array(["앞 글 a", text], pa.large_string())[1:]), *TABLE)
    return int(sizes[0]), int(hits[0])


@settings(max_examples=400, deadline=None)
@given(TEXT)
def test_cover_any_text_equals_searching_phrase_by_phrase(text: str) -> None:
    assert covered(text)[0] == cover_text(text, SURE, MENU)


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_cover_marks_lines_and_changes_nothing_else(text: str) -> None:
    """A mark counts the lines that hold one of its phrases, as searching each phrase finds them."""
    sizes, hits, marked = cover(*buffers(pa.array([text], pa.large_string())), *MARKING)
    assert (int(sizes[0]), int(hits[0])) == covered(text)
    found = [sum(any(cover_text(line, [phrase]) for phrase in mark) for line in text.split("\n")) for mark in MARKS]
    assert marked[0].tolist() == [*found, 0, 0, 0, 0, 0]


def test_cover_planted_breach_is_caught() -> None:
    """An automaton that lacks one phrase gives another answer than the reference."""
    lacking = compile_phrases(SURE[1:], MENU)
    sizes, _, _ = cover(*buffers(pa.array(["all rights"], pa.large_string())), *lacking)
    assert sizes[0] != cover_text("all rights", SURE, MENU)


@pytest.mark.parametrize(
    ("text", "size", "hits"),
    [
        ("", 0, 0),
        ("ALL   Rights\treserved.", 17, 2),
        ("무단 전재를 금합니다", 4, 1),
        ("homework", 0, 0),
        ("Home", 4, 1),
        ("I went home.", 0, 0),
        ("로그인이 안 됩니다", 0, 0),
        ("로그인", 3, 1),
        ("Home | News | Sport", 15, 1),
        ("| home | news |", 4, 1),
    ],
)
def test_cover_of_known_texts_counts_visible_characters(text: str, size: int, hits: int) -> None:
    assert covered(text) == (size, hits)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_cover_many_texts_gives_each_what_it_gets_alone(texts: list[str]) -> None:
    """Neither what stands behind a text nor where it lies among the 64 bytes that are read at once counts."""
    sizes, hits, _ = cover(*buffers(pa.array(texts, pa.large_string())), *TABLE)
    assert list(zip(sizes.tolist(), hits.tolist(), strict=True)) == [covered(text) for text in texts]


def test_cover_phrase_at_any_place_is_found() -> None:
    """Blocks of 64 bytes begin anywhere; nothing falls between two."""
    for pad in range(140):
        for filler in ("x" * pad, "가" * (pad // 3) + "." * (pad % 3), " " * pad, "\n" * pad):
            assert covered(f"{filler} Copyright  © {filler}")[0] == 10
            assert covered(f"{filler} 홈")[0] == 1 or filler.endswith("x")
            assert covered(f"{filler}\nhome")[0] == 4


@given(TEXT)
def test_cover_never_exceeds_the_text(text: str) -> None:
    assert covered(text)[0] <= visible(text)
