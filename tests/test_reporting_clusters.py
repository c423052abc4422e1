"""Duplicate clusters on the page: what differs is marked, text has been through `pii`, the page stays small."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.reporting import clusters, figures
from datakit.reporting.page import listed
from datakit.reporting.texts import gate
from datakit.store import Store
from tests.command_line import call, pipeline_file

SECRET = "hong.gildong@example.com"
WORDS = [f"낱말{n}" for n in range(400)] + [f"word{n}" for n in range(400)]


def text_of(seed: int, length: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def edited(words: list[str], count: int, mark: str) -> str:
    """The text with `count` words changed at its end, where they touch the fewest shingles."""
    return " ".join([*words[: len(words) - count], *(f"{mark}{n}" for n in range(count))])


def built(texts: list[str], *stages: str) -> tuple[Any, Store]:
    rows = [{"text": text} for text in texts]
    Path("rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    told = call("run", pipeline_file("{use: ingest, files: rows.jsonl}", *stages))
    assert told.code == 0, told.err
    store = Store("store")
    return store.manifest("p"), store


def found(texts: list[str], *stages: str) -> clusters.Duplicates:
    manifest, store = built(texts, *stages)
    duplicates = clusters.duplicates(manifest, store, gate(manifest))
    assert duplicates is not None
    return duplicates


def page() -> str:
    api.report("p")
    return Path("report.html").read_text(encoding="utf-8")


def test_cluster_shows_where_its_copies_differ(here: Path) -> None:
    words = text_of(1)
    duplicates = found([edited(words, 2, "가"), edited(words, 3, "나"), edited(words, 2, "가")], "dedup", "pii")
    (cluster,) = duplicates.examples
    assert (cluster.size, duplicates.clusters, duplicates.folded, duplicates.largest) == (3, 1, 2, 3)
    near, exact = cluster.copies
    assert (near.rule, exact.rule, exact.similarity, exact.there) == ("near_copy", "exact_copy", None, [])
    assert near.similarity == cluster.lowest < 1
    assert "가" in "".join(text for text, differs in near.here if differs)
    assert "나" in "".join(text for text, differs in near.there if differs)
    told = page()
    assert re.search(r"<mark>[^<]*가[^<]*</mark>", told)
    assert f'data-size="3" data-alike="{cluster.lowest}"' in told


def test_text_of_copies_dropped_before_pii_has_been_through_it(here: Path) -> None:
    words = text_of(2)
    texts = [f"{' '.join(words)} {SECRET} {end}" for end in ("끝", "마침")]
    duplicates = found(texts, "dedup", "pii")
    assert "EMAIL" in str(duplicates) or "이메일" in str(duplicates)
    assert SECRET not in str(duplicates) + page()
    manifest, store = built(texts, "dedup")
    hidden = clusters.duplicates(manifest, store, gate(manifest))
    assert hidden is not None
    assert (hidden.examples[0].text, hidden.examples[0].copies[0].there) == (None, [])
    raw = clusters.duplicates(manifest, store, gate(manifest, raw=True))
    assert str(raw).count(SECRET) >= 2


def test_markup_in_a_text_is_text(here: Path) -> None:
    words = text_of(3)
    found([f"{' '.join(words)} <b>{end}</b>" for end in ("하나", "둘")], "dedup", "pii")
    told = page()
    assert "&lt;" in told
    assert "<b>하나" not in told


def test_page_is_bounded_and_shows_the_borderline_and_the_largest(here: Path) -> None:
    texts = []
    for number in range(70):
        words = text_of(100 + number, 300)
        texts += [" ".join(words)] * (2 + number % 3) + [edited(words, 1 + number % 20, "바꿈")]
    duplicates = found(texts, "dedup", "pii")
    assert duplicates.clusters == 70
    assert len(duplicates.examples) == clusters.CLUSTERS
    lowest = sorted(cluster.lowest for cluster in duplicates.examples)
    every = sorted(found_lowest(texts))
    assert lowest[: clusters.BORDERLINE] == every[: clusters.BORDERLINE]
    assert max(cluster.size for cluster in duplicates.examples) == duplicates.largest
    assert [cluster.size for cluster in duplicates.examples] == sorted(
        (c.size for c in duplicates.examples), reverse=True
    )
    assert all(len(cluster.copies) <= clusters.COPIES for cluster in duplicates.examples)
    assert len(page().encode()) < 1_500_000


def found_lowest(texts: list[str]) -> list[float]:
    rows = api.drops("p", rule="near_copy", rows=10_000)["rows"]
    lowest: dict[str, float] = {}
    for row in rows:
        lowest[row["matched"]] = min(float(row["value"]), lowest.get(row["matched"], 1.0))
    return list(lowest.values())


def test_text_ends_where_the_budget_is_spent(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MOST_CHARACTERS", 300)
    texts = [edited(text_of(n), end, "끝") for n in range(5) for end in (1, 2)]
    duplicates = found(texts, "dedup", "pii")
    told = [cluster.text is not None for cluster in duplicates.examples]
    assert told[0]
    assert not told[-1]


def test_curve_of_the_bands_is_what_the_stage_noted(here: Path) -> None:
    words = text_of(4)
    duplicates = found([edited(words, 2, "가"), edited(words, 3, "나")], "dedup", "pii")
    manifest = Store("store").manifest("p")
    noted = manifest.note("dedup")["bands"]["found"]
    assert {str(similarity): share for similarity, share in duplicates.curve} == noted
    assert duplicates.threshold == 0.8
    assert 'class="limit"' in page()
    assert found([" ".join(words)], "{use: dedup, near: false}", "pii").curve == []


def test_every_failed_rule_is_counted_once_for_each_row(here: Path) -> None:
    manifest, store = built(["자전거수리 자전거수리비용 자전거수리점 " * 20, "ㅋㅋㅋ " * 30], "quality", "pii")
    rows = api.drops("p")["rows"]
    told = {rule.name: (rule.failed, rule.dropped) for rule in figures.collect(manifest, store).rules}
    failed = [rule for row in rows for rule in (row["rule"], *(one["rule"] for one in row["further"] or ()))]
    assert {name: count for name, (count, _) in told.items()} == {name: failed.count(name) for name in set(failed)}
    assert sum(dropped for _, dropped in told.values()) == len(rows) == 2
    assert "Rows that fail" in page()


def test_choices_of_a_stage_become_a_table(here: Path) -> None:
    manifest, store = built(["하나"], "pii")
    shares = {"ko": 0.75, "en": 0.25}
    methods = {"all rows": {"rows": 9, "lang": shares}, "random": {"rows": 3, "overlap": {"longest": 0.5}}}
    report = manifest.stages[-1].model_copy(update={"notes": {"methods": methods, "chosen": "random"}})
    (choices,) = figures.collect(manifest.model_copy(update={"stages": (*manifest.stages[:-1], report)}), store).choices
    assert choices.columns == ["rows", "lang", "overlap"]
    assert choices.lines == [("all rows", [9, shares, None]), ("random", [3, None, {"longest": 0.5}])]
    assert [listed(value) for value in choices.lines[0][1]] == ["9", "ko 75.0%, en 25.0%", "–"]
    assert figures.collect(manifest, store).choices == []
