"""pack: every row once, neighbours apart, splits apart, and a file that plain `datasets` opens."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit.errors import StageError
from datakit.executors import Processes
from datakit.runner import Applied, apply
from datakit.schemas import IGNORED
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


def broken_law(
    rows: list[dict[str, Any]], packs: list[dict[str, Any]], seq_len: int, pad: int = 0, cut: bool = False
) -> str | None:
    """The first law of packs that doesn't hold."""
    known = {row["id"]: row for row in rows}
    pieces: dict[str, list[tuple[list[int], list[int]]]] = {name: [] for name in known}
    for pack in packs:
        columns = [pack["input_ids"], pack["labels"], pack["position_ids"]]
        if len({len(column) for column in columns}) != 1 or len(columns[0]) > seq_len:
            return "no pack has more than seq_len places"
        at = 0
        for span in pack["spans"]:
            row, places = known[span["id"]], slice(span["start"], span["start"] + span["length"])
            ids, labels, positions = (column[places] for column in columns)
            if span["start"] != at or not ids or len(ids) != span["length"]:
                return "spans say whose tokens are whose"
            if positions != list(range(len(ids))):
                return "position ids restart at every row"
            if (row["split"] or "train") != pack["split"]:
                return "splits share no pack"
            pieces[span["id"]].append((ids, labels))
            at += span["length"]
        rest = len(columns[0]) - at
        if [column[at:] for column in columns] != [[pad] * rest, [IGNORED] * rest, list(range(rest))]:
            return "the pad is a segment of its own, never learned"
    for name, row in known.items():
        # All tokens differ, so the pieces of a row have one order.
        parts = sorted(pieces[name])
        if len(parts) > 1 and not cut:
            return "no row is cut unless told"
        if [token for ids, _ in parts for token in ids] != row["input_ids"]:
            return "every token of every row is in exactly one pack"
        whole = iter(row["labels"])
        for ids, labels in parts:
            own = [next(whole) for _ in ids]
            if labels != [IGNORED, *own[1:]]:
                return "labels are the row's, but for the first of a piece"
    return None


STRATEGIES = ("best_fit", "first_fit", "wrapped", "padded", "bucketed")


@settings(max_examples=60, deadline=None)
@given(SIZES, st.sampled_from(STRATEGIES), st.booleans(), st.none() | st.integers(1, 20))
def test_pack_any_rows_and_strategy_keeps_the_laws(
    sizes: list[tuple[int, str | None]], strategy: Any, split: bool, window: int | None
) -> None:
    rows = rows_of(sizes)
    stage = Pack(seq_len=24, strategy=strategy, split=split, window=window, pad_id=9)
    found = apply(stage, rows, kind="tokens", seed=3)
    stays = rows if stage.cuts else [row for row in rows if len(row["input_ids"]) <= 24]
    assert broken_law(stays, packs_of(found), 24, pad=9, cut=stage.cuts) is None
    notes = found.notes
    assert notes["tokens"] == sum(len(row["input_ids"]) for row in stays)
    assert notes["tokens_dropped"] == sum(len(row["input_ids"]) for row in rows) - notes["tokens"]
    assert sum(packs for _, _, packs in notes["fill_histogram"]) == notes["packs"] == found.stats.made
    assert (found.stats.folded, found.stats.dropped) == (len(stays), len(rows) - len(stays))
    assert notes["trained_tokens"] == sum(t != IGNORED for pack in packs_of(found) for t in pack["labels"])


@pytest.mark.parametrize(
    ("column", "place", "value", "law"),
    [
        ("labels", 5, 1005, "labels are the row's"),  # the first token of the second row, predicted from the first
        ("position_ids", 5, 5, "position ids restart"),
        ("labels", 8, 0, "the pad is"),
        ("input_ids", 0, 7, "every token of every row"),
        ("split", None, "val", "splits share"),
        ("spans", None, [], "the pad is"),
        ("labels", 2, IGNORED, "labels are the row's"),
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


def test_law_of_whole_rows_planted_cut_is_found() -> None:
    rows = rows_of([(9, "train"), (3, "train")])
    packs = packs_of(apply(Pack(seq_len=8, split=True), rows, kind="tokens"))
    assert broken_law(rows, packs, 8, cut=True) is None
    assert broken_law(rows, packs, 8) == "no row is cut unless told"
    assert "exactly one pack" in (broken_law(rows, [*packs, packs[0]], 8, cut=True) or "")
    assert "exactly one pack" in (broken_law(rows, packs[1:], 8, cut=True) or "")


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


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_row_above_seq_len_in_every_strategy_is_dropped_or_cut_as_told(strategy: Any) -> None:
    rows = rows_of([(400, "train"), (5, "train")])  # fifty times a pack
    told = apply(Pack(seq_len=8, strategy=strategy, split=True), rows, kind="tokens")
    assert (told.stats.dropped, told.notes["tokens"], told.notes["lost_histogram"]) == (0, 405, [])
    untold = apply(Pack(seq_len=8, strategy=strategy), rows, kind="tokens")
    lost = strategy != "wrapped"
    assert untold.stats.dropped == lost
    assert untold.notes["lost_histogram"] == ([[256, 512, 1, 400]] if lost else [])


def test_wrapped_fills_all_packs_but_the_last() -> None:
    found = apply(
        Pack(seq_len=16, strategy="wrapped"), rows_of([(size, "train") for size in range(1, 30)]), kind="tokens"
    )
    used = sorted(sum(span["length"] for span in pack["spans"]) for pack in packs_of(found))
    assert used[1:] == [16] * (len(used) - 1)
    assert found.notes["padding"] < 16


def test_bucketed_packs_are_powers_of_two_and_like_lengths_stand_together() -> None:
    drawn = np.random.default_rng(2).integers(1, 65, 1500).tolist()
    packs = packs_of(
        apply(Pack(seq_len=64, strategy="bucketed"), rows_of([(n, "train") for n in drawn]), kind="tokens")
    )
    sizes = [len(pack["input_ids"]) for pack in packs]
    lengths = [pack["spans"][0]["length"] for pack in packs]
    assert all(size >= length > (size // 2 if size > 1 else 0) for size, length in zip(sizes, lengths, strict=True))
    changes = sum(one != other for one, other in pairwise(sizes))
    assert changes <= len(sizes) // 64 + len(set(sizes))
    assert sizes != sorted(sizes)


def test_windows_lose_hardly_any_fill_and_bound_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    from datakit.stages.pack.rows import Spool

    most = 0
    real = Spool.rows

    def watched(self: Spool) -> Any:
        nonlocal most
        most = max(most, self.count)
        return real(self)

    monkeypatch.setattr(Spool, "rows", watched)
    drawn = np.clip(np.random.default_rng(3).lognormal(3.0, 0.75, 3000), 2, 128).astype(int).tolist()
    rows = rows_of([(size, "train") for size in drawn])
    whole = apply(Pack(seq_len=128), rows, kind="tokens")
    assert most == 3000
    most = 0
    shards = [rows[:7], rows[7:1500], rows[1500:]]
    streamed = apply(Pack(seq_len=128, window=500), shards, kind="tokens")
    assert most == 500
    assert streamed.notes["packs"] <= whole.notes["packs"] + 2
    assert streamed.rows.equals(apply(Pack(seq_len=128, window=500), rows, kind="tokens").rows)


def test_order_of_packs_follows_the_seed() -> None:
    rows = rows_of([(10, "train")] * 60)
    one, other, again = (apply(Pack(seq_len=20), rows, kind="tokens", seed=seed) for seed in (0, 1, 0))
    assert one.rows.equals(again.rows)
    assert not one.rows.equals(other.rows)
    firsts = [sorted(pack["input_ids"][0] for pack in packs_of(found)) for found in (one, other)]
    assert firsts[0] == firsts[1]  # the same packs


@pytest.mark.parametrize(
    ("ids", "labels", "said"),
    [
        ([5, 6, 7], [6, 7, IGNORED], "neither its own token nor -100"),  # shifted by one
        ([5, -6, 7], [5, -6, 7], "neither its own token nor -100"),
        ([5, 6, 7], [5, 6], "more tokens than labels"),
        ([], [], "no tokens"),
        (None, None, "no tokens"),
    ],
)
def test_labels_that_are_not_aligned_are_an_error_with_a_remedy(ids: Any, labels: Any, said: str) -> None:
    good = {"id": "a", "source_id": "a", "input_ids": [1], "labels": [1], "split": "train"}
    with pytest.raises(StageError, match=said) as caught:
        apply(Pack(seq_len=4), [good, {**good, "id": "b", "input_ids": ids, "labels": labels}], kind="tokens")
    assert caught.value.fix


def test_all_labels_masked_gives_packs_that_are_counted_as_such() -> None:
    rows = [{**row, "labels": [IGNORED] * len(row["input_ids"])} for row in rows_of([(8, "train"), (7, "val")])]
    found = apply(Pack(seq_len=8), rows, kind="tokens")
    assert found.stats.counters["packs_without_trained_tokens"] == 2
    assert found.notes["trained_tokens"] == 0


@pytest.mark.parametrize("seq_len", [0, 1])
def test_seq_len_of_one_is_refused(seq_len: int) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Pack(seq_len=seq_len)


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
    monkeypatch.setattr("datakit.stages.pack.tables.SHARD_PLACES", 32 * 6)
    many = apply(Pack(seq_len=32), rows, kind="tokens")
    assert many.rows.column("input_ids").num_chunks == 4
    assert many.rows.to_pylist() == one.rows.to_pylist()


def test_no_rows_left_gives_no_packs() -> None:
    found = apply(Pack(seq_len=4), rows_of([(5, "train")]), kind="tokens")
    assert found.rows.num_rows == 0
    assert found.notes["fill"] == 0.0


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
