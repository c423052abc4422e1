"""The kernel with datatrove's definitions against its plain-Python reference (the benchmark holds it to datatrove)."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels import datatrove
from datakit.kernels.characters import buffers
from datakit.kernels.datatrove_reference import measure_text

CHARS = " \t\n\r\x0b\x85\u2028\u200b가다.ㅋaThe_09…-*#{}[]!?。１é漢•😀\u0301|"
PARTS = (
    "the", "The", "be", "to", "고양이는", "간다.", "[1]", "[edit]", "[12", "[]", "lorem ipsum", "JavaScript",
    "use cookies",
    "\n", "\n\n", "\r\n", "\u2028", "...", "…", "{", "-", "•", "_", "x" * 1001, "3.14", "a b c", "[citation needed]",
    "x" * 991, "é" * 600,
    "가" * 997, "a b", "cy", "ms", "m i", "privacy policy", "terms of use",
)  # fmt: skip
TEXT = (
    st.text(st.sampled_from(CHARS), max_size=60)
    | st.lists(st.sampled_from(PARTS), max_size=50).map(" ".join)
    | st.lists(st.sampled_from(PARTS), max_size=30).map("".join)
    | st.text(st.characters(codec="utf-8", max_codepoint=0xFFFF), max_size=40)
)


def measured(texts: list[str]) -> list[dict[str, float]]:
    table = datatrove.measure(*buffers(pa.array(["앞 글\n", *texts], pa.large_string())[1:]))
    return [dict(zip(datatrove.SIGNALS, row.tolist(), strict=True)) for row in table]


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=3))
def test_measure_any_texts_equals_the_plain_reference(texts: list[str]) -> None:
    for text, got in zip(texts, measured(texts), strict=True):
        assert got == pytest.approx(measure_text(text), abs=1e-9)


def test_measure_planted_breach_is_caught() -> None:
    """Text that has one word more gives other signals."""
    with pytest.raises(AssertionError):
        assert measured(["the cat sat on the mat"])[0] == pytest.approx(measure_text("the cat sat on the mat ."))


def test_measure_of_known_text_has_the_published_oddities() -> None:
    """A single 4-gram fills its text, blank lines at the ends are repeated lines: that is how datatrove counts."""
    row = measured(["This is a test", "\na b c d\n"])
    assert row[0]["top_4_gram"] == 1.0
    assert row[1]["dup_line_frac"] == pytest.approx(1 / 3)
