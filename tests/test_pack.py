"""pack: every row once, neighbours apart, splits apart, and a file that plain `datasets` opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.executors import Processes
from datakit.runner import Applied, apply
from datakit.schemas import IGNORED
from datakit.stages import pack as pack_module
from datakit.stages.pack import Pack

SIZES = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["train", "val", None])), min_size=1, max_size=50)


def rows_of(sizes: list[tuple[int, str | None]]) -> list[dict[str, Any]]:
    """Rows whose tokens are all different, the first half of each not learned."""
    rows, at = [], 1000
    for number, (size, split) in enumerate(sizes):
        ids = list(range(at, at + size))
        at += size
        labels = [IGNORED if place < size // 2 else token for place, token in enumerate(ids)]
        rows.append({"id": f"행{number}", "source_id": str(number), "input_ids": ids, "labels": labels, "split": split})
    return rows


def packs_of(applied: Applied) -> list[dict[str, Any]]:
    return applied.rows.to_pylist()


def broken_law(rows: list[dict[str, Any]], packs: list[dict[str, Any]], seq_len: int, pad: int = 0) -> str | None:
    """The first law of packs that doesn't hold."""
    known = {row["id"]: row for row in rows}
    seen: list[str] = []
    for pack in packs:
        columns = [pack["input_ids"], pack["labels"], pack["position_ids"]]
        if any(len(column) != seq_len for column in columns):
            return "every pack has seq_len places"
        at = 0
        for span in pack["spans"]:
            row, places = known[span["id"]], slice(span["start"], span["start"] + span["length"])
            seen.append(span["id"])
            ids, labels, positions = (column[places] for column in columns)
            if span["start"] != at or ids != row["input_ids"]:
                return "spans say whose tokens are whose"
            if labels != [IGNORED, *row["labels"][1:]]:
                return "labels are the row's, but for the first"
            if positions != list(range(len(ids))):
                return "position ids restart at every row"
            if (row["split"] or "train") != pack["split"]:
                return "splits share no pack"
            at += span["length"]
        rest = seq_len - at
        if [column[at:] for column in columns] != [[pad] * rest, [IGNORED] * rest, list(range(rest))]:
            return "the pad is a segment of its own, never learned"
    if sorted(seen) != sorted(known):
        return "every row is in exactly one pack"
    return None


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_pack_any_rows_keeps_the_laws(sizes: list[tuple[int, str | None]]) -> None:
    rows = rows_of(sizes)
    found = apply(Pack(seq_len=40, pad_id=9), rows, kind="tokens")
    assert broken_law(rows, packs_of(found), 40, pad=9) is None
    assert found.notes["tokens"] + found.notes["padding"] == 40 * found.notes["packs"]
    assert found.stats.folded == len(rows)
    assert found.stats.made == found.notes["packs"]


@pytest.mark.parametrize(
    ("column", "place", "value", "law"),
    [
        ("labels", 5, 1005, "labels are the row's"),  # the first token of the second row, predicted from the first
        ("position_ids", 5, 5, "position ids restart"),
        ("labels", 8, 0, "the pad is"),
        ("input_ids", 0, 7, "spans say"),
        ("split", None, "val", "splits share"),
        ("spans", None, [], "the pad is"),
    ],
)
def test_laws_of_packs_planted_breach_is_found(column: str, place: int | None, value: Any, law: str) -> None:
    rows = rows_of([(5, "train"), (3, "train")])
    packs = packs_of(apply(Pack(seq_len=10), rows, kind="tokens"))
    assert broken_law(rows, packs, 10) is None
    if place is None:
        packs[0][column] = value
    else:
        packs[0][column][place] = value
    assert law in (broken_law(rows, packs, 10) or "")


def test_row_above_seq_len_is_dropped_and_counted() -> None:
    found = apply(Pack(seq_len=8), rows_of([(9, "train"), (8, "train"), (30, "val")]), kind="tokens")
    assert found.drops.column("value").to_pylist() == ["9", "30"]
    assert found.drops.column("threshold").to_pylist() == ["8", "8"]
    assert (found.notes["tokens_dropped"], found.notes["tokens"]) == (39, 8)
    assert (found.stats.dropped, found.stats.folded, found.stats.made) == (2, 1, 1)


def test_split_cuts_long_rows_and_loses_no_token() -> None:
    rows = rows_of([(25, "train"), (7, "train"), (8, "val")])
    found = apply(Pack(seq_len=8, split=True), rows, kind="tokens")
    tokens = [token for pack in packs_of(found) for token in pack["input_ids"] if token]
    assert sorted(tokens) == sorted(token for row in rows for token in row["input_ids"])
    assert found.notes["fill"] == 1.0
    assert found.stats.folded == 3


def test_shards_workers_and_runs_change_nothing() -> None:
    drawn = np.random.default_rng(1).integers(1, 300, 400).tolist()
    rows = rows_of([(size, "val" if n % 9 == 0 else "train") for n, size in enumerate(drawn)])
    whole = apply(Pack(seq_len=512), rows, kind="tokens")
    cut = apply(Pack(seq_len=512), [rows[:3], rows[3:200], rows[200:]], kind="tokens", executor=Processes(2))
    assert whole.rows.equals(cut.rows)
    assert whole.rows.column("split").to_pylist() == sorted(whole.rows.column("split").to_pylist())


def test_order_of_packs_does_not_follow_length() -> None:
    rows = rows_of([(size, "train") for size in range(60, 0, -1)] * 3)
    packs = packs_of(apply(Pack(seq_len=64), rows, kind="tokens"))
    longest = [max(span["length"] for span in pack["spans"]) for pack in packs]
    assert longest != sorted(longest, reverse=True)
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.4


def test_output_shards_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of([(30, "train")] * 20)
    one = apply(Pack(seq_len=32), rows, kind="tokens")
    monkeypatch.setattr(pack_module, "SHARD_PLACES", 32 * 6)
    many = apply(Pack(seq_len=32), rows, kind="tokens")
    assert many.rows.column("input_ids").num_chunks == 4
    assert many.rows.to_pylist() == one.rows.to_pylist()


def test_no_rows_left_gives_no_packs() -> None:
    found = apply(Pack(seq_len=4), rows_of([(5, "train")]), kind="tokens")
    assert found.rows.num_rows == 0
    assert found.notes["fill"] == 0.0


def test_row_without_tokens_is_an_error_with_a_remedy() -> None:
    with pytest.raises(StageError, match="no tokens"):
        apply(Pack(seq_len=4), [{"id": "a", "source_id": "a", "input_ids": [], "labels": []}], kind="tokens")


def test_packed_file_opens_with_datasets(tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    from datasets import Dataset

    rows = rows_of([(5, "train"), (3, "train"), (9, "train")])
    found = apply(Pack(seq_len=10), rows, kind="tokens")
    pq.write_table(found.rows, tmp_path / "packs.parquet")
    opened = Dataset.from_parquet(str(tmp_path / "packs.parquet"), cache_dir=str(tmp_path / "cache"))
    assert opened.column_names == ["input_ids", "labels", "position_ids", "spans", "split"]
    assert opened[0]["input_ids"] == found.rows.column("input_ids")[0].as_py()
    assert isinstance(opened[0]["position_ids"][0], int)
