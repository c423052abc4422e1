"""split: relatives stay together, for any seed, batch and order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import ConfigError
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.split import Split


def sides(rows: list[dict[str, Any]], seed: int = 0, val: float = 0.3, test: float = 0.0) -> list[str]:
    work = Split(val=val, test=test).open(Env(seed))
    batch = table_from_rows(rows, "document").to_batches()[0]
    return work(batch).kept.column("split").to_pylist()


def torn(rows: list[dict[str, Any]], split: list[str]) -> set[str]:
    """Families that stand on both sides."""
    found: dict[str, set[str]] = {}
    for row, side in zip(rows, split, strict=True):
        found.setdefault(row["family"], set()).add(side)
    return {family for family, both in found.items() if len(both) > 1}


def rows_of(families: list[str]) -> list[dict[str, Any]]:
    return [{"id": f"row{n}", "family": family, "text": "가"} for n, family in enumerate(families)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=4), min_size=1, max_size=40), st.integers(0, 5), st.floats(0, 0.49), st.floats(0, 0.49)
)
def test_split_any_families_never_tears_one(families: list[str], seed: int, val: float, test: float) -> None:
    rows = rows_of(families)
    assert not torn(rows, sides(rows, seed, val, test))


def test_split_with_test_takes_none_of_val_and_meets_both_shares() -> None:
    rows = rows_of([f"가족{n}" for n in range(1000)])
    without, both = sides(rows, val=0.1), sides(rows, val=0.1, test=0.1)
    assert [side == "val" for side in both] == [side == "val" for side in without]
    assert 70 <= both.count("test") <= 130
    more = sides(rows, val=0.2, test=0.1)
    assert [side == "test" for side in more] == [side == "test" for side in both]


def test_split_without_a_share_for_training_is_refused() -> None:
    with pytest.raises((ConfigError, ValueError), match="leave nothing to train on"):
        Split(val=0.5, test=0.5)


def test_split_by_id_instead_of_family_would_tear_families() -> None:
    rows = rows_of(["어머니"] * 50)
    alone = [{**row, "family": row["id"]} for row in rows]  # the planted breach: every row its own family
    assert torn(rows, sides(alone))
    assert not torn(rows, sides(rows))


def test_split_thousand_families_meets_the_share() -> None:
    held = sides(rows_of([f"가족{n}" for n in range(1000)]), val=0.1).count("val")
    assert 70 <= held <= 130


def test_split_other_seed_holds_out_others_and_more_rows_move_none() -> None:
    rows = rows_of([f"f{n}" for n in range(200)])
    assert sides(rows, 0) != sides(rows, 1)
    assert sides(rows + rows_of(["new"]), 0)[:200] == sides(rows, 0)


def test_split_row_without_family_goes_by_its_id() -> None:
    rows = [{"id": f"row{n}", "text": "a"} for n in range(200)]
    assert set(sides(rows)) == {"train", "val"}


@pytest.mark.parametrize("kind", ["document", "example"])
def test_split_any_batch_size_gives_the_same_rows(kind: str) -> None:
    rows = [{"text": f"글 {n}", "family": f"f{n // 3}"} for n in range(60)]
    if kind == "example":
        rows = [{"messages": [{"role": "user", "content": row["text"]}], "family": row["family"]} for row in rows]
    whole = apply(Split(), rows, kind=kind)  # type: ignore[arg-type]
    small = apply(Split(), rows, kind=kind, batch_rows=7)  # type: ignore[arg-type]
    assert whole.rows.equals(small.rows)
    assert sum(whole.stats.counters.values()) == 60


def test_split_share_of_everything_is_refused() -> None:
    with pytest.raises((ConfigError, ValueError), match="less than 1"):
        Split(val=1.0)
