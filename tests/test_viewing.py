"""`show`, `drops`, `datasets`: every dropped row is counted and explained, text only as it stands after `pii`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.errors import ConfigError
from datakit.manifests import AdapterArtifact
from datakit.store import Store
from tests.command_line import call, pipeline_file

NUMBER = "010-1234-5678"
LONG = (
    "도서관 자원봉사자를 모집합니다. 매주 토요일 오전에 책을 정리하고 어린이에게 그림책을 읽어 줄 분을 찾습니다. "
    f"관심 있는 분은 {NUMBER}으로 전화해 주세요. 활동은 봄부터 시작하며 한 번에 두 시간쯤 걸립니다."
)
ROWS = [
    {"key": "first", "text": LONG},
    {"key": "near", "text": LONG.replace("매주 토요일", "매주 일요일")},
    {"key": "kim@naver.com", "text": LONG + " 고맙습니다."},
    *({"key": f"blank{n}", "text": "\u200b" * (n + 1) + " "} for n in range(5)),
]
OWN = Path(__file__).with_name("stages_of_ones_own.py")
STAGES = (
    "{use: ingest, files: rows.jsonl, id_field: key}",
    "normalize",
    "{use: dedup, threshold: 0.6}",
)


def run(*stages: str, name: str = "p") -> None:
    told = call("run", pipeline_file(*stages, name=name))
    assert told.code == 0, told.err


@pytest.fixture
def rows(here: Path) -> Path:
    """Near copies with a telephone number, one of them with an address for an id, and blank rows."""
    (here / "rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    return here


def without_text(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if "text" not in name}


def test_drops_count_every_rule_and_name_the_row_that_stays(rows: Path) -> None:
    run(*STAGES, "pii")
    found = api.drops("p")
    by_rule = {(c["stage"], c["rule"]): c["rows"] for c in found["counts"]}
    assert sum(by_rule.values()) == len(found["rows"]) == len(ROWS) - Store("store").manifest("p").rows
    near = [row for row in found["rows"] if row["rule"] == "near_copy"]
    assert [row["matched_source_id"] for row in near] == ["first"] * 2
    assert all(float(row["value"]) >= float(row["threshold"]) == 0.6 for row in near)


def test_text_of_rows_dropped_before_pii_is_shown_as_pii_leaves_it(rows: Path) -> None:
    run(*STAGES, "pii")
    found = api.drops("p", rule="near_copy")
    assert found["text"] == "after_pii"
    assert [row["text"].count("[전화번호]") for row in found["rows"]] == [1, 1]
    assert all("토요일" in row["matched_text"] for row in found["rows"])
    assert NUMBER not in str(found)
    assert "kim@naver.com" not in str(found)
    assert {row["source_id"] for row in found["rows"]} == {"near", "rows.jsonl:3"}
    raw = api.drops("p", rule="near_copy", raw=True)
    assert (raw["text"], str(raw).count(NUMBER)) == ("raw", 4)
    assert "kim@naver.com" in str(raw)


def test_without_pii_the_rows_are_told_without_text(rows: Path) -> None:
    run(*STAGES)
    found = api.drops("p")
    assert found["text"] == "pii_missing"
    assert {row["text"] for row in found["rows"]} | {row["matched_text"] for row in found["rows"]} == {None}
    assert "--raw" in call("drops", "p").out
    assert NUMBER in call("drops", "p", "--raw").out


def test_text_needs_the_key_that_pii_ran_with(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_PII_KEY", "0123456789abcdef")
    run(*STAGES, "{use: pii, operator: hash}")
    assert api.drops("p")["text"] == "after_pii"
    monkeypatch.delenv("DATAKIT_PII_KEY")
    found = api.drops("p")
    assert (found["text"], {row["text"] for row in found["rows"]}) == ("key_missing", {None})
    assert "DATAKIT_PII_KEY" not in str(found)
    assert "key" in call("drops", "p").out


def test_stage_and_rule_narrow_and_rows_are_taken_in_turn(rows: Path) -> None:
    run(*STAGES, "pii")
    everything = api.drops("p", rows=100)["rows"]
    for stage, rule in {(row["stage"], row["rule"]) for row in everything}:
        mine = [row for row in everything if (row["stage"], row["rule"]) == (stage, rule)]
        assert api.drops("p", stage=stage, rule=rule)["rows"] == mine
    few = api.drops("p", rows=2)
    assert {row["stage"] for row in few["rows"]} == {"normalize", "dedup"}
    assert few["counts"] == api.drops("p")["counts"]
    with pytest.raises(ConfigError, match="no stage 'x'"):
        api.drops("p", stage="x")
    with pytest.raises(ConfigError, match="'near_cpy'") as caught:
        api.drops("p", rule="near_cpy")
    assert "near_copy" in caught.value.fix


def test_terminal_marks_what_differs_and_says_what_json_says(rows: Path) -> None:
    run(*STAGES, "pii")
    told = call("drops", "p", "--rule", "near_copy").out
    assert "«일»요일" in told
    assert "«토»요일" in told
    for row in api.drops("p", rule="near_copy")["rows"]:
        assert all(
            str(value) in told for value in without_text(row).values() if value not in (None, row["id"], row["matched"])
        )


def test_every_rule_that_a_row_failed_is_named(here: Path) -> None:
    (here / "rows.jsonl").write_text(
        json.dumps({"text": "자전거수리 자전거수리비용 자전거수리점 " * 20}, ensure_ascii=False), encoding="utf-8"
    )
    run("{use: ingest, files: rows.jsonl}", "quality", "pii")
    row = api.drops("p")["rows"][0]
    also = [failed["rule"] for failed in row["further"]]
    assert len({row["rule"], *also}) == 1 + len(also) > 1
    told = call("drops", "p").out
    assert "also" in told
    assert all(rule in told for rule in also)


def test_drops_are_shown_under_show_too_and_need_no_name_where_there_is_one_dataset(rows: Path) -> None:
    """`datakit show drops --stage dedup`, as one looks for it."""
    run(*STAGES)
    stage = api.drops("p")["counts"][0]["stage"]
    assert call("show", "drops", "--stage", stage).out == call("drops", "p", "--stage", stage).out
    assert api.drops(stage=stage) == api.drops("p", stage=stage)
    assert call("show", "--json").json == call("show", "p", "--json").json


def test_no_name_where_there_are_none_or_several_datasets_is_refused(rows: Path) -> None:
    with pytest.raises(ConfigError, match="no dataset yet"):
        api.drops(store="nowhere")
    run(*STAGES)
    run(*STAGES, name="other")
    call("show", "drops").is_an_error(2, "DATASET", "other, p")


def test_version_without_drops_says_so(rows: Path) -> None:
    run("{use: ingest, files: rows.jsonl}", "pii")
    assert "nothing was dropped" in call("drops", "p").out
    assert api.drops("p")["counts"] == []


def test_text_read_in_behind_pii_is_not_shown(rows: Path) -> None:
    late = "{use: ingest, files: rows.jsonl, id: late}"
    run("{use: ingest, files: rows.jsonl}", "pii", late)
    with pytest.raises(ConfigError, match="read in after `pii`"):
        api.show("p")
    assert NUMBER not in str(api.show("p", stage="pii"))
    assert NUMBER in str(api.show("p", raw=True, rows=20))


def test_show_of_an_empty_dataset_says_that_it_is_empty(rows: Path) -> None:
    own = f"{{use: '{OWN}:MaxLength', limit: 1}}"
    for name, stages in (("p", (own, "pii")), ("q", ("pii", own)), ("r", (own,))):
        run("{use: ingest, files: rows.jsonl}", *stages, name=name)
        assert api.show(name) == []
        told = call("show", name)
        assert (told.code, "no rows" in told.out, "drops" in told.out) == (0, True, True)
        assert api.drops(name)["counts"][0]["rows"] == len(ROWS)


def test_datasets_lists_versions_newest_first_with_their_adapters(rows: Path) -> None:
    assert api.datasets() == []
    assert "datakit run" in call("datasets").out
    run("{use: ingest, files: rows.jsonl}", "pii")
    (rows / "rows.jsonl").write_text('{"text": "하나"}\n', encoding="utf-8")
    run("{use: ingest, files: rows.jsonl}", "pii")
    run("{use: ingest, files: rows.jsonl}", "pii", name="a")
    store = Store("store")
    newest = store.manifest("p")
    store.put_adapter("a" * 40, AdapterArtifact(
        name="a", trainer="lora", base="b", dataset=newest.ref, dataset_digest=newest.digest, config={},
        metrics={}, seed=0, files={}, path="adapters/p",
    ))  # fmt: skip
    found = api.datasets()
    assert [one["dataset"].rpartition("@")[0] for one in found] == ["a", "p", "p"]
    assert [one["rows"] for one in found] == [1, 1, len(ROWS)]
    assert found[1]["dataset"] == newest.ref
    assert found[1]["day"] == newest.version[:10].replace(".", "-")
    assert [one["bytes"] for one in found] == [sum(s.bytes for s in store.manifest(o["dataset"]).shards) for o in found]
    assert found[2]["adapters"] == []
    assert "adapters/p" in call("datasets").out
