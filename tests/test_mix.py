"""mix: proportions, totals, order, and the same choice every time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.runner import Applied, apply
from datakit.stages.mix import Mix, share_out


def corpus(**counts: int) -> list[list[dict[str, Any]]]:
    return [
        [{"text": f"{name} 글 {n}", "source": f"{name}.jsonl", "lang": name} for n in range(count)]
        for name, count in counts.items()
    ]


def langs(applied: Applied) -> Counter[str]:
    return Counter(applied.rows.column("lang").to_pylist())


def test_mix_two_to_one_takes_the_most_that_keep_the_proportion() -> None:
    found = apply(Mix(by="lang", weights={"ko": 2, "en": 1}), corpus(ko=50, en=60))
    assert langs(found) == {"ko": 50, "en": 25}
    assert found.stats.rules == {"sampled_out": 35}
    assert found.notes["groups"]["en"] == {"rows": 60, "chosen": 25}


def test_mix_total_with_a_short_group_fills_up_from_the_others() -> None:
    found = apply(Mix(by="lang", weights={"ko": 3, "en": 1}, rows=60), corpus(ko=20, en=100))
    assert langs(found) == {"ko": 20, "en": 40}


def test_mix_pattern_and_exact_name_the_exact_one_counts() -> None:
    found = apply(Mix(weights={"*": 1, "ko.jsonl": 0}), corpus(ko=5, en=7))
    assert langs(found) == {"en": 7}


def test_mix_without_weights_samples_all_rows_alike() -> None:
    found = apply(Mix(rows=30), corpus(ko=100, en=100))
    assert found.rows.num_rows == 30
    assert min(langs(found).values()) > 5


def test_mix_more_rows_keep_the_rows_chosen_before_and_their_order() -> None:
    rows = corpus(ko=80, en=80)
    few = apply(Mix(by="lang", weights={"ko": 1, "en": 1}, rows=20), rows).rows.column("id").to_pylist()
    more = apply(Mix(by="lang", weights={"ko": 1, "en": 1}, rows=40), rows).rows.column("id").to_pylist()
    assert [row for row in more if row in set(few)] == few


def test_mix_other_seed_chooses_other_rows() -> None:
    chosen = [apply(Mix(rows=20), corpus(ko=100), seed=seed).rows.column("id").to_pylist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_mix_group_without_weight_is_named() -> None:
    with pytest.raises(StageError, match="no weight for the lang 'en'"):
        apply(Mix(by="lang", weights={"ko": 1}), corpus(ko=3, en=3))


def test_mix_unknown_column_is_named() -> None:
    with pytest.raises(StageError, match="no column 'topic'"):
        apply(Mix(by="topic", weights={"a": 1}), corpus(ko=3))


def test_mix_order_of_weights_is_no_part_of_identity() -> None:
    one, other = Mix(weights={"*": 1, "a*": 2}), Mix(weights={"a*": 2, "*": 1})
    rows = corpus(a=9, ko=9)
    assert apply(one, rows).rows.equals(apply(other, rows).rows)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.integers(0, 40)), min_size=1, max_size=5),
    st.integers(1, 120) | st.none(),
)
def test_share_out_any_groups_never_takes_more_than_there_is(groups: list[tuple[float, int]], rows: int | None) -> None:
    weights, have = [w for w, _ in groups], [n for _, n in groups]
    quotas = share_out(weights, have, rows)
    assert all(0 <= quota <= count for quota, count in zip(quotas, have, strict=True))
    usable = sum(count for weight, count in groups if weight > 0)
    if rows is not None:
        assert sum(quotas) == min(rows, usable)
