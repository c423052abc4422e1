"""The order of streamed rows: each row once an epoch, few shards open, the same anywhere, on from any row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import TrainError
from datakit.streaming import Exported, StreamOrder, drawn_order, stream

SIZES = st.lists(st.integers(0, 30), max_size=12).map(tuple)


def seen(order: StreamOrder, epoch: int = 0, start: int = 0) -> list[tuple[int, int]]:
    return [
        (int(shard), int(row))
        for block in order.blocks(epoch, start)
        for shard, row in zip(block.shards, block.rows, strict=True)
    ]


def broken_law(order: StreamOrder, found: list[tuple[int, int]]) -> str | None:
    """The first law that doesn't hold."""
    if sorted(found) != [(shard, row) for shard, size in enumerate(order.sizes) for row in range(size)]:
        return "every row once"
    for block in order.blocks(0):
        shards = set(block.shards.tolist())
        if len(shards) > 1 and sum(order.sizes[shard] for shard in shards) - max(
            order.sizes[shard] for shard in shards
        ) >= order.window + max(order.sizes):
            return "few shards are open"
    return None


@settings(max_examples=80, deadline=None)
@given(SIZES, st.integers(1, 60), st.integers(0, 3), st.integers(1, 4))
def test_any_shards_give_every_row_once_and_ranks_share_them_evenly(
    sizes: tuple[int, ...], window: int, seed: int, ranks: int
) -> None:
    order = StreamOrder(sizes, seed, window)
    whole = seen(order)
    assert broken_law(order, whole) is None
    parts = [seen(StreamOrder(sizes, seed, window, rank, ranks)) for rank in range(ranks)]
    assert sorted(row for part in parts for row in part) == sorted(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if whole:
        assert whole[0::ranks] == parts[0]


def test_laws_planted_breaches_are_found() -> None:
    order = StreamOrder((5, 5), 0, 3)
    assert broken_law(order, seen(order)[:-1]) == "every row once"
    assert broken_law(order, [*seen(order), (0, 0)]) == "every row once"


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 60), st.integers(0, 200), st.integers(1, 3))
def test_going_on_at_any_row_gives_the_rest(sizes: tuple[int, ...], window: int, start: int, ranks: int) -> None:
    order = StreamOrder(sizes, 1, window, 0, ranks)
    assert seen(order, 2, start) == seen(order, 2)[start:]


def test_seed_and_epoch_draw_other_orders_and_neighbours_are_parted() -> None:
    orders = [seen(StreamOrder((100,) * 5, seed, 200), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    follow = sum(b == (a[0], a[1] + 1) for a, b in zip(orders[0], orders[0][1:], strict=False))
    assert follow < 15


def test_drawn_order_is_a_permutation_that_python_and_numpy_versions_do_not_change() -> None:
    assert sorted(drawn_order(50, 0, "a").tolist()) == list(range(50))
    assert drawn_order(8, 7, "rows", 0).tolist() == [0, 4, 1, 6, 3, 7, 2, 5]


def test_stream_reads_only_the_shards_of_a_block_and_keeps_order() -> None:
    opened: list[int] = []

    def read(shard: int) -> pa.Table:
        opened.append(shard)
        return pa.table({"n": [shard * 100 + row for row in range(4)]})

    order = StreamOrder((4,) * 6, 3, 8)
    blocks = stream(read, order, 0)
    first = next(blocks)
    assert len(opened) == 2
    rows = [*first["n"].to_pylist(), *(value for table in blocks for value in table["n"].to_pylist())]
    assert rows == [shard * 100 + row for shard, row in seen(order)]
    assert sorted(opened) == list(range(6))


def test_export_streams_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.test_export import DOCUMENTS, corpus, write

    monkeypatch.setattr("datakit.stages.export.files.FILE_BYTES", 100)
    write(tmp_path, corpus(DOCUMENTS[:3], DOCUMENTS[3:5], DOCUMENTS[5:]), "parquet")
    found = Exported.of(tmp_path)
    assert found.sizes == (3, 2, 2)
    told: list[Any] = [
        value for table in stream(found.read, StreamOrder(found.sizes, 0, 4), 0) for value in table["id"].to_pylist()
    ]
    assert sorted(told) == [row["id"] for row in DOCUMENTS]
    assert told != sorted(told)
    with pytest.raises(TrainError, match="no Parquet files of the split 'test'"):
        Exported.of(tmp_path, "test")


def test_window_over_all_rows_is_a_full_shuffle() -> None:
    rows = seen(StreamOrder((50,) * 4, 0, 10_000))
    shards = np.array([shard for shard, _ in rows])
    assert all(0 < (shards[:50] == shard).sum() < 30 for shard in range(4))
