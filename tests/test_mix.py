"""mix: proportions, totals, copies, order, and the same choice every time."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit.errors import StageError
from datakit.runner import Applied, apply
from datakit.stages.mix import Mix, share_out
from datakit.stages.split import Split


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
    wanted = {"rows": 60, "chosen": 25, "copies": 0, "wanted": 0.3333, "got": 0.3333}
    assert found.notes["groups"]["en"] == wanted


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


def test_mix_drops_tell_the_place_and_the_quota_it_missed() -> None:
    found = apply(Mix(by="lang", weights={"ko": 1, "en": 1}), corpus(ko=9, en=4))
    told = sorted(zip(*(found.drops.column(name).to_pylist() for name in ("value", "threshold")), strict=True))
    assert told == [(str(place), "4") for place in range(5, 10)]


def test_mix_temperature_flattens_the_sizes_of_the_groups() -> None:
    rows = corpus(ko=16, en=256)
    shares = {
        temperature: apply(Mix(by="lang", temperature=temperature, rows=40, repeat=3), rows).notes["groups"]["ko"]
        for temperature in (1.0, 2.0, 1000.0)
    }
    assert [shares[t]["chosen"] for t in (1.0, 2.0, 1000.0)] == [2, 8, 20]  # 16/272, 4/20 and about a half of 40
    assert shares[2.0]["wanted"] == 0.2


def test_mix_temperature_one_without_rows_keeps_every_row() -> None:
    assert apply(Mix(by="lang", temperature=1), corpus(ko=7, en=31)).stats.kept == 38


def test_mix_temperature_and_weights_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="one of the two"):
        Mix(weights={"ko": 1}, temperature=2)


def test_mix_repeat_fills_a_small_group_with_copies_of_its_rows() -> None:
    found = apply(Mix(by="lang", weights={"ko": 1, "en": 1}, repeat=4), corpus(ko=10, en=25))
    assert langs(found) == {"ko": 25, "en": 25}
    assert (found.stats.rows_in, found.stats.kept, found.stats.dropped, found.stats.made) == (35, 35, 0, 15)
    assert found.notes["groups"]["ko"] == {"rows": 10, "chosen": 25, "copies": 15, "wanted": 0.5, "got": 0.5}
    times = Counter(found.rows.column("text").to_pylist())
    assert {n for text, n in times.items() if text.startswith("ko")} == {2, 3}


def test_mix_copies_have_ids_of_their_own_and_stay_in_the_family() -> None:
    found = apply(Mix(by="lang", weights={"ko": 2, "en": 1}, repeat=3), corpus(ko=8, en=8))
    rows = found.rows.to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == 24
    first = {row["id"]: row for row in rows[:16]}
    for copy in rows[16:]:
        (parent,) = copy["parents"]
        assert copy["family"] == (first[parent]["family"] or parent)
        assert (copy["text"], copy["source_id"]) == (first[parent]["text"], first[parent]["source_id"])
    sides = apply([Mix(by="lang", weights={"ko": 2, "en": 1}, repeat=3), Split(val=0.5)], corpus(ko=8, en=8)).rows
    by_text: dict[str, set[str]] = {}
    for row in sides.to_pylist():
        by_text.setdefault(row["text"], set()).add(row["split"])
    assert all(len(found) == 1 for found in by_text.values())
    assert {side for found in by_text.values() for side in found} == {"train", "val"}


def test_mix_two_stages_that_repeat_are_refused() -> None:
    assert "leave `repeat` to one" in (Mix(repeat=2).chains("document", [Mix(repeat=2)]) or "")
    assert Mix(repeat=2).chains("document", [Mix()]) is None


def test_mix_any_column_tells_groups_apart_and_null_is_a_group() -> None:
    rows = [{"text": f"글 {n}", "source.topic": "요리" if n % 4 else None} for n in range(40)]
    found = apply(Mix(by="source.topic", weights={"요리": 1, "": 1}), rows)
    assert Counter(found.rows.column("source.topic").to_pylist()) == {"요리": 10, None: 10}


def test_mix_weight_of_a_group_without_rows_is_noted() -> None:
    found = apply(Mix(by="lang", weights={"ko": 1, "fr": 1}), corpus(ko=6))
    assert found.notes["groups"]["fr"] == {"rows": 0, "chosen": 0, "copies": 0, "wanted": 0.5, "got": 0.0}


@pytest.mark.parametrize("stage", [Mix(by="lang", temperature=2, rows=70, repeat=5), Mix(rows=9)])
@pytest.mark.parametrize("cuts", [(1, 2, 30), (17,)])
def test_mix_rows_are_the_same_however_shards_are_cut(stage: Mix, cuts: tuple[int, ...]) -> None:
    rows = [row for shard in corpus(ko=12, en=40) for row in shard]
    whole = apply(stage, rows).rows
    ids = whole.column("id").to_pylist()
    table = apply(Mix(), rows).rows  # all rows, with their ids
    shards = [table.slice(a, b - a) for a, b in pairwise([0, *cuts, table.num_rows])]
    cut = apply(stage, shards).rows
    assert cut.column("id").to_pylist() == ids
    assert cut.equals(whole)


def breaches(weights: list[Fraction], have: list[int], rows: int | None, repeat: int, quotas: list[int]) -> list[str]:
    """What is wrong with some quotas, by the laws that mix's page states."""
    found = []
    active = [g for g, weight in enumerate(weights) if weight > 0 and have[g]]
    if any(not 0 <= quotas[g] <= repeat * have[g] for g in range(len(have))):
        found.append("more than there is")
    if any(quotas[g] for g in range(len(have)) if g not in active):
        found.append("a group without weight")
    if rows is not None and sum(quotas) != min(rows, sum(repeat * have[g] for g in active)):
        found.append("another total")
    if rows is None and active and not any(quotas[g] >= have[g] for g in active):
        found.append("more could be had")
    # Groups that had more to give share the rest by their weights, to the row.
    open_ended = [g for g in active if rows is None or quotas[g] < repeat * have[g]]
    rest, weight = sum(quotas[g] for g in open_ended), sum(weights[g] for g in open_ended)
    if any(abs(quotas[g] - rest * weights[g] / weight) > 1 for g in open_ended):
        found.append("off its share")
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]), st.integers(0, 40)), min_size=1, max_size=5),
    st.integers(1, 120) | st.none(),
    st.integers(1, 4),
)
def test_share_out_any_groups_holds_totals_and_shares_to_the_row(
    groups: list[tuple[float, int]], rows: int | None, repeat: int
) -> None:
    weights, have = [Fraction(str(w)) for w, _ in groups], [n for _, n in groups]
    assert breaches(weights, have, rows, repeat, share_out(weights, have, rows, repeat)) == []


@pytest.mark.parametrize(
    ("quotas", "breach"),
    [
        ([3, 3, 3, 0], "another total"),  # all rounded down
        ([7, 2, 2, 0], "off its share"),
        ([4, 4, 2, 1], "a group without weight"),
        ([4, 4, 51, 0], "more than there is"),
    ],
)
def test_share_out_laws_broken_on_purpose_are_noticed(quotas: list[int], breach: str) -> None:
    weights, have = [Fraction(1), Fraction(1), Fraction(1), Fraction(0)], [50, 50, 50, 9]
    assert share_out(weights, have, 11) == [4, 4, 3, 0]
    assert breach in breaches(weights, have, 11, 1, quotas)
