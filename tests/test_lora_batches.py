"""Packed rows to micro-batches: nothing learned is lost, nothing else is kept, the order is the seed's alone."""

from __future__ import annotations

import numpy as np
import pytest
from datakit_lora.batches import ROUND, Plan, lay_out, read_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import TrainError
from tests.lora_rows import packed, table

IGNORED = -100
DOC = st.lists(st.tuples(st.integers(3, 99), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(DOC, min_size=1, max_size=6))
def test_lay_out_keeps_every_learned_token_with_what_came_before_it(docs: list[list[tuple[int, bool]]]) -> None:
    made = [([token for token, _ in doc], [token if learned else IGNORED for token, learned in doc]) for doc in docs]
    batch = lay_out(read_rows(table(packed(made, 64))))
    expected = sorted(
        (tuple(ids[:place]), ids[place]) for ids, labels in made for place in range(1, len(ids)) if labels[place] >= 0
    )
    line = np.full(len(batch.input_ids), IGNORED)
    line[batch.learned] = batch.wanted
    assert [batch.lengths[owner] > 0 for owner in batch.owner] == [True] * batch.supervised
    found, start = [], 0
    for length in batch.lengths:
        ids = batch.input_ids[start : start + length].tolist()
        targets = line[start : start + length].tolist()
        assert batch.position_ids[start : start + length].tolist() == list(range(length))
        found += [(tuple(ids[: place + 1]), target) for place, target in enumerate(targets) if target != IGNORED]
        start += length
    assert sorted(found) == expected
    assert batch.supervised == len(expected)
    assert len(batch.input_ids) % ROUND == 0


def test_read_rows_first_token_of_a_document_is_never_predicted_from_its_neighbour() -> None:
    docs = [([5, 6, 7], [5, 6, 7]), ([8, 9], [8, 9])]
    row = read_rows(table(packed(docs, 8)))[0]
    assert [piece.targets.tolist() for piece in row.pieces] == [[6, 7], [9]]


def test_read_rows_pad_equal_to_a_learned_token_is_told_apart() -> None:
    row = read_rows(table(packed([([5, 6, 2], [IGNORED, 6, 2])], 16, pad=2)))[0]
    assert row.supervised == 2
    assert row.real == 3
    assert row.slots == 16


def test_read_rows_ragged_columns_are_refused() -> None:
    row = packed([([5, 6], [5, 6])], 4)[0]
    row["labels"] = row["labels"][:-1]
    with pytest.raises(TrainError, match="differ in length"):
        read_rows(table([row]))


def test_plan_sees_every_row_once_an_epoch_in_an_order_of_the_seed() -> None:
    plan = Plan(11, 128, 256, 2, 2.0, None, seed=3)
    windows = list(plan.windows())
    assert (plan.rows_a_batch, plan.steps_an_epoch, plan.steps) == (2, 3, 6)
    first = [row for window in windows[:3] for micro in window for row in micro]
    second = [row for window in windows[3:] for micro in window for row in micro]
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert windows == list(plan.windows())
    assert windows != list(Plan(11, 128, 256, 2, 2.0, None, seed=4).windows())


@given(st.integers(0, 5))
def test_plan_from_the_middle_is_the_rest(start: int) -> None:
    plan = Plan(11, 128, 256, 2, 2.0, None, seed=3)
    assert list(plan.windows(start)) == list(plan.windows())[start:]


def test_plan_max_steps_and_parts_of_epochs_stop_early() -> None:
    assert Plan(100, 128, 128, 1, 0.5, None, 0).steps == 50
    assert Plan(100, 128, 128, 1, 3.0, 7, 0).steps == 7
