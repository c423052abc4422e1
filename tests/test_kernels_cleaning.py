"""The tidying kernel against its plain-Python reference, and the promise of `scan`: no flag, nothing to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels import cleaning
from datakit.kernels.characters import buffers

CHARS = " \t\n\r\u00a0\u3000\u200b\u200d\u200c\u2028\x00\x85`!ㅋㅠ가각e\u0301😀🏽❤\ufe0f&<-अ.~\U000e0062"
TEXT = st.text(st.sampled_from(CHARS), max_size=40) | st.text(st.characters(codec="utf-8"), max_size=30)
TEXTS = st.lists(TEXT, min_size=1, max_size=4)


def tidied(texts: Sequence[str], repeats: int = 3, blank_lines: int = 1) -> tuple[list[str], list[int]]:
    array = pa.array(["앞글 ", *texts], pa.large_string())[1:]
    offsets, data, flags = cleaning.tidy(*buffers(array), repeats, blank_lines)
    return pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data)).to_pylist(), [
        int(flag) for flag in flags
    ]


def scanned(text: str, repeats: int = 3, blank_lines: int = 1) -> int:
    return int(cleaning.scan(*buffers(pa.array([text], pa.large_string())), repeats, blank_lines)[0])


def hold_to_reference(work: Callable[..., tuple[list[str], list[int]]], texts: list[str], r: int, b: int) -> None:
    got, flags = work(texts, r, b)
    assert got == [cleaning.tidy_text(text, r, b) for text in texts]
    assert [text != after for text, after in zip(texts, got, strict=True)] == [bool(flag) for flag in flags]


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(0, 3), st.integers(0, 2))
def test_tidy_any_texts_equals_the_plain_reference(texts: list[str], repeats: int, blank_lines: int) -> None:
    hold_to_reference(tidied, texts, repeats, blank_lines)


def test_tidy_planted_breach_is_caught() -> None:
    """A kernel that forgets trailing space would be noticed."""

    def broken(texts: list[str], repeats: int, blank_lines: int) -> tuple[list[str], list[int]]:
        return list(texts), [0] * len(texts)

    with pytest.raises(AssertionError):
        hold_to_reference(broken, ["줄 끝 \n다음"], 3, 1)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_tidy_again_and_again_comes_to_rest(texts: list[str]) -> None:
    """Once may not be enough (a removed character may complete a code fence), twice is; the stage repeats it."""
    twice, _ = tidied(tidied(texts)[0])
    assert tidied(twice) == (twice, [0] * len(twice))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  안녕  하세요 \r\n\r\n\r\n잘 가요\t\n", "안녕 하세요\n\n잘 가요"),
        ("ㅋㅋㅋㅋㅋㅋ 재밌다ㅠㅠㅠㅠ!!!!!", "ㅋㅋㅋ 재밌다ㅠㅠㅠ!!!"),
        ("wait......... ~~~~~ 😂😂😂😂😂", "wait... ~~~ 😂😂😂"),
        ("1000000 ======== aaaaaa", "1000000 ======== aaaaaa"),
        ("제\u200b로\ufeff폭\u00ad \x00문자", "제로폭 문자"),
        ("👨\u200d👩\u200d👧 가\u200d족", "👨\u200d👩\u200d👧 가족"),
        ("def f():\n    return  1\n\n```\na   b\n```", "def f():\n    return  1\n\n```\na   b\n```"),
        ("전각\u3000공백\u00a0둘", "전각 공백 둘"),
        (" \n\t\u200b ", ""),
    ],
)
def test_tidy_of_one_text_gives_what_a_reader_expects(before: str, after: str) -> None:
    assert tidied([before])[0] == [after]


@settings(max_examples=600, deadline=None)
@given(TEXT, st.integers(0, 3), st.integers(0, 2))
def test_scan_without_tidy_flag_means_that_tidy_changes_nothing(text: str, repeats: int, blank_lines: int) -> None:
    suspected = scanned(text, repeats, blank_lines) & cleaning.TIDY
    assert suspected or cleaning.tidy_text(text, repeats, blank_lines) == text


@pytest.mark.parametrize(
    "text", ["a b", "가 나\n\n다", "x\n    y = 1\n\ty", "- 하나\n- 둘", "ㅋㅋㅋ!!!", "----", "ab\n```\nc\n```"]
)
def test_scan_of_tidy_text_does_not_suspect_it(text: str) -> None:
    assert not scanned(text) & cleaning.TIDY


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_scan_without_nfc_flag_means_composed(text: str) -> None:
    assert scanned(text) & cleaning.NFC or unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (unicodedata.normalize("NFD", "한글"), cleaning.NFC),
        ("a &amp; b", cleaning.ENTITIES),
        ("&#44032;", cleaning.ENTITIES),
        ("한글".encode().decode("latin-1"), cleaning.MOJIBAKE),
        ("한글 문서".encode("cp949").decode("latin-1"), cleaning.MOJIBAKE),
        ("café’s".encode().decode("cp1252"), cleaning.MOJIBAKE),
        ("<b>굵게</b>", cleaning.MARKUP),
    ],
)
def test_scan_of_a_suspicious_text_raises_its_flag(text: str, flag: int) -> None:
    assert scanned(text) & flag


@pytest.mark.parametrize(
    "text", ["", "안녕하세요. 오늘은 3월 2일입니다!", "Plain text & more; A&B", "ㅋㅋ 😀 漢字", "naïve café"]
)
def test_scan_of_ordinary_text_raises_no_flag(text: str) -> None:
    assert scanned(text) == 0
