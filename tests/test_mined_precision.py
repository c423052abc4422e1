"""The miner's precision by the verdicts of people who had not seen its rules; see tests/mined_sample.py."""

from __future__ import annotations

import pytest

from tests.mined_sample import EACH, KINDS, checked, precision, read

ROWS = [{"id": str(n), "language": "ko", "kind": "talk", "task": "title" if n % 2 else "reason"} for n in range(10)]


def verdicts(wrong: int) -> list[dict[str, str]]:
    return [{"id": row["id"], "verdict": "wrong" if n < wrong else "right", "why": ""} for n, row in enumerate(ROWS)]


def test_precision_counts_right_rows_by_field() -> None:
    assert precision(ROWS, verdicts(1), ()) == {"all": (9, 10)}
    assert precision(ROWS, verdicts(1), ("language", "task")) == {"ko reason": (4, 5), "ko title": (5, 5)}


@pytest.mark.parametrize(
    "told", [verdicts(0)[1:], [*verdicts(0), verdicts(0)[0]], [{**verdicts(0)[0], "verdict": "?"}, *verdicts(0)[1:]]]
)
def test_verdicts_that_don_t_fit_the_sample_are_refused(told: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="verdict"):
        precision(ROWS, told, ())


def test_sample_has_every_kind_of_text_in_both_languages() -> None:
    rows = read("mined_sample_1.jsonl")
    assert len(rows) >= 200
    assert len({row["id"] for row in rows}) == len(rows)
    for language in ("ko", "en"):
        for kind in set(KINDS.values()):
            assert sum((row["language"], row["kind"]) == (language, kind) for row in rows) == EACH


@pytest.mark.skipif(not checked(), reason="no verdicts yet")
def test_nine_in_ten_mined_rows_are_right() -> None:
    number = checked()
    rows, told = read(f"mined_sample_{number}.jsonl"), read(f"mined_verdicts_{number}.jsonl")
    for by in ((), ("language",), ("kind",)):
        for name, (right, total) in precision(rows, told, by).items():
            assert right >= 0.9 * total, name
