"""Rows by what a training made of their loss; `select` goes by it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit.errors import SourceError
from datakit.learned import Learned, outstanding, read_learned
from datakit.stages.select import Select
from tests.recipes import example, on_examples

losses = st.floats(0.001, 20)


def write(path: Path, rows: list[Learned]) -> Path:
    columns = {"id": "id", "split": "split", "loss_before": "before", "loss_after": "after"}
    pq.write_table(pa.table({name: [getattr(row, own) for row in rows] for name, own in columns.items()}), path)
    return path


def test_rows_are_told_by_how_their_loss_moved() -> None:
    rows = [
        Learned("heart", "train", 2.0, 0.05),
        Learned("known", "train", 0.06, 0.05),
        Learned("learned", "train", 3.0, 1.5),
        Learned("noise", "train", 6.0, 5.95),
        Learned("against", "train", 2.0, 2.5),
        Learned("more against", "train", 2.0, 3.5),
        Learned("easy and still", "train", 1.0, 1.0),
        Learned("held out", "val", 2.0, 9.0),
    ]
    found = {kind: [row.id for row in told] for kind, told in outstanding(rows).items()}
    assert found == {"memorised": ["heart"], "unlearnable": ["noise"], "contradicted": ["more against", "against"]}


@given(st.lists(st.tuples(losses, losses)))
def test_no_row_is_of_two_kinds_and_order_doesn_t_matter(pairs: list[tuple[float, float]]) -> None:
    rows = [Learned(str(n), "train", before, after) for n, (before, after) in enumerate(pairs)]
    found = outstanding(rows)
    told = [row.id for kind in found.values() for row in kind]
    assert len(told) == len(set(told))
    again = outstanding(rows[::-1])
    assert {k: {r.id for r in v} for k, v in again.items()} == {k: {r.id for r in v} for k, v in found.items()}


def test_select_keeps_the_rows_that_taught_most(tmp_path: Path) -> None:
    rows = [example(f"물음 {n}", f"답 {n}", id=str(n)) for n in range(5)]
    falls = [Learned("0", "train", 2.0, 2.5), Learned("1", "train", 3.0, 1.0), Learned("2", "train", 3.0, 2.9)]
    path = write(tmp_path / "l.parquet", [*falls, Learned("3", "train", 2.0, 0.5)])
    found = on_examples(Select(rows=2, by=("learned",), losses=str(path)), *rows)
    assert found.rows.column("id").to_pylist() == ["1", "3"]
    drops = {drop["id"]: drop["value"] for drop in found.drops.to_pylist()}
    assert drops["0"].startswith("learned -0.5")
    assert drops["4"].startswith("learned no score")


def test_losses_are_part_of_the_stage_s_identity_by_content(tmp_path: Path) -> None:
    path = write(tmp_path / "l.parquet", [Learned("0", "train", 2.0, 1.0)])
    stage = Select(rows=1, by=("learned",), losses=str(path))
    before = stage.keyed_as(0)
    moved = path.rename(tmp_path / "m.parquet")
    assert stage.model_copy(update={"losses": str(moved)}).keyed_as(0) == before
    write(moved, [Learned("0", "train", 2.0, 1.5)])
    assert stage.model_copy(update={"losses": str(moved)}).keyed_as(0) != before


def test_learned_without_losses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"losses: adapter/row_losses\.parquet"):
        Select(rows=1, by=("learned",))
    (tmp_path / "broken.parquet").write_text("PAR1")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    for name in ("broken.parquet", "other.parquet", "nowhere.parquet"):
        with pytest.raises(SourceError, match="no file of row losses"):
            read_learned(tmp_path / name)
