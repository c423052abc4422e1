"""`compare`: every row is in both or explained, settings differ where they differ, distances are distances."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit import api
from datakit.comparing import recipes, shifts
from tests.command_line import call, pipeline_file
from tests.test_lineage import OTHER

OWN = Path(__file__).with_name("stages_of_ones_own.py")
PLACES = ("항구", "도서관", "시장", "학교", "공원", "역", "우체국", "미술관")
KOREAN = [
    f"{place}에는 매주 {n + 2}번 장이 섭니다. 아침 일찍 가면 싱싱한 채소를 살 수 있고, 점심에는 국수를 먹습니다. "
    f"{place} 앞에서 {n + 3}번 버스를 타면 됩니다."
    for n, place in enumerate(PLACES)
]
RICH = (Path(__file__).parents[1] / "sample_data/corpus/wiki_ko/wiki-ko-030.txt").read_text(encoding="utf-8")
"""A page that several rows are made of."""
ENGLISH = [f"The {name} opens at {n + 5} in the morning, and tickets are sold beside it until noon." for n, name in
           enumerate(("pier", "museum", "market", "station", "library", "park"))]  # fmt: skip


def write(name: str, texts: list[str]) -> None:
    rows = [{"key": f"{name}{n}", "text": text} for n, text in enumerate(texts)]
    Path(f"{name}.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")


def run(*stages: str, name: str = "p") -> str:
    told = call("run", pipeline_file(*stages, name=name), "--json")
    assert told.code == 0, told.err
    return str(told.json["dataset"])


def ingest(*names: str) -> str:
    return f"{{use: ingest, files: [{', '.join(f'{name}.jsonl' for name in names)}], id_field: key}}"


def reasons(found: list[dict[str, Any]]) -> dict[tuple[str, str | None, str | None], int]:
    return {(one["how"], one["stage"], one["rule"]): one["rows"] for one in found}


@pytest.fixture
def files(here: Path) -> Path:
    write("ko", KOREAN)
    write("en", ENGLISH)
    return here


def add_up(found: dict[str, Any]) -> None:
    """The law: rows of a side = those in both and those alone, and every row alone has one reason."""
    for name in ("a", "b"):
        alone = found["rows"][f"only_{name}"]
        assert found[name]["compared_rows"] == found["rows"]["both"] + alone
        assert sum(one["rows"] for one in found[f"only_{name}"]) == alone


def mirrored(found: dict[str, Any]) -> dict[str, Any]:
    """What comparing the other way round must say of rows."""
    rows = found["rows"]
    return {**rows, "only_a": rows["only_b"], "only_b": rows["only_a"]}


def test_same_data_differs_in_nothing(files: Path) -> None:
    run(ingest("ko", "en"), "normalize", "quality")
    found = api.compare("p", "p")
    assert (found["same"], found["settings"], found["only_a"], found["only_b"]) == (True, [], [], [])
    assert (found["rows"]["both"], found["rows"]["changed"]) == (found["a"]["compared_rows"], 0)
    assert {one["distance"] for one in found["shifts"]} == {0.0}
    assert "the same data" in call("compare", "p", "p").out


def test_row_dropped_by_the_other_names_stage_and_rule(files: Path) -> None:
    run(ingest("ko", "en"), "normalize")
    longest = f"{{use: '{OWN}:MaxLength', limit: 80, id: short}}"
    run(ingest("ko", "en"), "normalize", longest, name="q")
    found = api.compare("p", "q")
    gone = sum(len(text) > 80 for text in KOREAN + ENGLISH)
    assert 0 < gone < len(KOREAN + ENGLISH)
    assert reasons(found["only_a"]) == {("dropped", "short", "too_long"): gone}
    assert found["settings"] == [{"stage": "short", "field": "use", "a": None, "b": f"{OWN}:MaxLength"}]
    back = api.compare("q", "p")
    assert (back["rows"], reasons(back["only_b"])) == (mirrored(found), reasons(found["only_a"]))
    add_up(found)
    out = call("compare", "p", "q").out
    assert "short: too_long" in out
    assert found["only_a"][0]["examples"][0] in out


def test_file_that_was_not_read_and_row_that_left_its_file_are_told_apart(files: Path) -> None:
    first = run(ingest("ko", "en"))
    write("ko", KOREAN[2:])
    second = run(ingest("ko"))
    found = api.compare(first, second)
    assert reasons(found["only_a"]) == {
        ("source_not_read", None, None): len(ENGLISH), ("row_not_read", None, None): 2,
    }  # fmt: skip
    assert found["only_b"] == []
    assert found["settings"][0]["field"] == "files"
    source = next(one for one in found["shifts"] if one["figure"] == "source")
    assert {n["name"]: (n["a"], n["b"]) for n in source["names"]} == {"ko.jsonl": (8, 6), "en.jsonl": (6, 0)}
    add_up(found)


def test_row_made_of_a_dropped_document_and_row_not_made_are_told_apart(files: Path) -> None:
    write("ko", [RICH])
    write("en", [OTHER])
    run(ingest("ko", "en"), "language", "pii", "synthesize")
    run(
        ingest("ko", "en"),
        "{use: language, keep: [ko]}",
        "pii",
        "{use: synthesize, per_document: 1}",
        name="q",
    )
    found = api.compare("p", "q")
    told = reasons(found["only_a"])
    assert found["a"]["compared"] == "example"
    assert {how for how, _, _ in told} == {"document_dropped", "not_made"}
    assert [key[1:] for key in told if key[0] == "document_dropped"] == [("language", "wrong_language")]
    add_up(found)


def test_text_that_a_stage_changed_is_counted(files: Path) -> None:
    run(ingest("ko"))
    run(ingest("ko"), f"{{use: '{OWN}:Shout'}}", name="q")
    found = api.compare("p", "q")
    assert (found["rows"]["both"], found["rows"]["only_a"]) == (len(KOREAN), 0)
    run(ingest("en"), name="r")
    run(ingest("en"), f"{{use: '{OWN}:Shout'}}", name="s")
    assert api.compare("r", "s")["rows"]["changed"] == len(ENGLISH)


def test_pipelines_without_a_common_kind_are_compared_too(files: Path) -> None:
    Path("rows.jsonl").write_text('{"instruction": "수도는?", "output": "서울"}\n', encoding="utf-8")
    run("{use: ingest, files: rows.jsonl, form: alpaca}")
    run(ingest("ko"), name="q")
    found = api.compare("p", "q")
    assert {found["a"]["compared"], found["b"]["compared"]} <= {"example", "document"}
    assert reasons(found["only_a"]) == {("source_not_read", None, None): 1}
    add_up(found)


def test_empty_dataset_is_compared_too(files: Path) -> None:
    run(ingest("ko"))
    run(ingest("ko"), f"{{use: '{OWN}:MaxLength', limit: 1}}", name="q")
    found = api.compare("p", "q")
    assert reasons(found["only_a"]) == {("dropped", "max_length", "too_long"): len(KOREAN)}
    assert {one["shift"] for one in found["shifts"]} == {"nothing to compare"}
    assert call("compare", "q", "p").code == 0


def test_personal_data_is_in_no_answer(files: Path) -> None:
    rows = [{"key": "kim@naver.com", "text": KOREAN[0]}, {"key": "b", "text": KOREAN[1]}]
    Path("ko.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8")
    run(ingest("ko"), "{use: pii, allow: [02-123-4567]}")
    run(ingest("en"), "{use: pii, deny: [김철수, 박영희]}", name="q")
    found = api.compare("p", "q")
    assert found["only_a"][0]["examples"] == ["ko.jsonl:1", "b"]
    assert [s["b"] for s in found["settings"] if s["field"] == "deny"] == ["2 entries"]
    told = json.dumps(found, ensure_ascii=False) + call("compare", "p", "q").out
    assert not [secret for secret in ("kim@", "02-123-4567", "김철수") if secret in told]


ENTRY = st.fixed_dictionaries({"use": st.sampled_from(["normalize", "quality", "dedup"])})


def test_settings_fill_in_defaults_and_name_moved_stages() -> None:
    one = {
        "seed": 0,
        "stages": [{"use": "dedup", "threshold": 0.8}, {"use": "pii"}],
        "train": {"use": "lora", "rank": 8},
    }
    other = {"seed": 1, "stages": [{"use": "pii"}, {"use": "dedup", "ngram": 7}], "train": {"use": "lora"}}
    found = {(s["stage"], s["field"]): (s["a"], s["b"]) for s in recipes.settings(one, other)}
    assert found == {
        ("", "seed"): (0, 1), ("", "order"): ("dedup, pii", "pii, dedup"), ("dedup", "ngram"): (5, 7),
        ("train", "rank"): (8, None),
    }  # fmt: skip


@given(st.lists(ENTRY, max_size=3, unique_by=str), st.lists(ENTRY, max_size=3, unique_by=str))
def test_settings_differ_exactly_if_the_recipes_do(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    found = recipes.settings({"stages": one}, {"stages": other})
    assert (found == []) == (one == other)


NUMBERS = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


@given(NUMBERS, NUMBERS)
def test_ks_is_the_largest_gap_of_the_cumulative_shares(one: list[float], other: list[float]) -> None:
    every = {*one, *other}
    plain = max(abs(sum(v <= at for v in one) / len(one) - sum(v <= at for v in other) / len(other)) for at in every)
    found = shifts.ks(np.array(one), np.array(other))
    assert found == pytest.approx(plain)
    assert found == shifts.ks(np.array(other), np.array(one))


WORDS = st.lists(st.sampled_from(["ko", "en", "ja", ""]), min_size=1, max_size=30).map(Counter)


@given(WORDS, WORDS, WORDS)
def test_total_variation_is_a_distance(one: Counter[str], other: Counter[str], third: Counter[str]) -> None:
    there, back = shifts.total_variation(one, other), shifts.total_variation(other, one)
    assert there == pytest.approx(back)
    assert 0 <= there <= 1 + 1e-9
    assert shifts.total_variation(one, one) == 0
    assert there <= shifts.total_variation(one, third) + shifts.total_variation(third, other) + 1e-9


def test_words_for_distances_need_more_than_chance() -> None:
    assert [shifts.called(d, 0.0) for d in (0.0, 0.049, 0.05, 0.19, 0.2, 1.0)] == (
        ["little", "little", "clear", "clear", "strong", "strong"]
    )
    assert shifts.called(0.15, chance=0.3) == "little"
    same = np.random.default_rng(0).normal(size=(2, 500))
    assert shifts._numbers("x", *same)["shift"] == "little"
    assert shifts._numbers("x", same[0], same[1] + 1)["shift"] == "strong"
