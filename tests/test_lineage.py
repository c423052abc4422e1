"""`why`: where a row came from and where it went, by its id and by the id its file gave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.errors import SourceError, StoreError
from datakit.lineage import why
from datakit.manifests import AdapterArtifact
from datakit.store import Store
from tests.command_line import call, pipeline_file

KEPT = (
    "# 공유기 설정\n\n공유기를 처음 켜면 초록 불이 세 번 깜빡입니다. 설정 화면은 브라우저에서 열 수 있습니다. "
    "비밀번호는 상자 바닥의 스티커에 적혀 있습니다. 비밀번호를 바꾼 뒤에는 공유기가 한 번 다시 켜지기 때문에 "
    "연결이 잠시 끊깁니다. 연결이 돌아오지 않으면 전원을 뽑고 십 초쯤 기다린 다음 다시 꽂으세요.\n\n"
    "무선 이름은 설정 화면의 둘째 칸에서 바꿀 수 있습니다. 이름에는 한글과 영문을 모두 쓸 수 있습니다."
)
OTHER = (
    "The harbour office closes at six because the last ferry leaves at half past five. Tickets are sold at the kiosk "
    "beside the pier. A return ticket is valid for two days, and children under six travel free of charge.\n\n"
    "If the sea is rough, the ferry may be cancelled. In that case the office sends a message to everyone who left a "
    "number. Tickets for a cancelled ferry are refunded at the kiosk, or they can be used on the following day."
)
ROWS = [
    {"key": "kept", "text": KEPT},
    {"key": "short", "text": "네."},
    {"key": "twin", "text": OTHER},
    {"key": "copy", "text": OTHER},
    {"key": "", "text": OTHER.upper()},
]
STAGES = (
    "{use: ingest, files: a.jsonl, id_field: key}",
    "normalize",
    "{use: tests/stages_of_ones_own.py:MaxLength, limit: 500, id: short_enough}",
    "{use: pii}",
    "{use: dedup, near: false}",
    "synthesize",
    "{use: split, val: 0.5}",
)


@pytest.fixture
def store(here: Path, tiny_llama: Path) -> Store:
    """A store with one packed dataset and one adapter that was trained on it."""
    rows = [*ROWS, {"key": "long", "text": "가 " * 400}]
    (here / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    own = Path(__file__).with_name("stages_of_ones_own.py")
    stages = [stage.replace("tests/stages_of_ones_own.py", str(own)) for stage in STAGES]
    template = f"{{use: template, style: tokenizer, tokenizer: '{tiny_llama}'}}"
    tokenize = f"{{use: tokenize, tokenizer: '{tiny_llama}', max_length: 2048}}"
    told = call("run", pipeline_file(*stages, template, tokenize, "{use: pack, seq_len: 2048}"))
    assert told.code == 0, told.err
    found = Store(here / "store")
    manifest = found.manifest("p")
    found.put_adapter("a" * 40, AdapterArtifact(
        name="a", trainer="lora", base="b", dataset=manifest.ref, dataset_digest=manifest.digest, config={},
        metrics={}, seed=0, files={}, path="adapters/p",
    ))  # fmt: skip
    return found


def told(story: list[dict[str, Any]], row: str | None = None) -> list[tuple[str, str]]:
    return [(line["stage"], line["what"]) for line in story if line.get("row") == row]


CLEANED = [("ingest", "read"), ("normalize", "kept"), ("short_enough", "kept"), ("pii", "kept")]


def test_parent_is_followed_into_its_children_their_packs_and_the_adapter(store: Store) -> None:
    found = why("kept", store)
    assert (found["source_id"], found["source"], found["position"]) == ("kept", "a.jsonl", 1)
    assert told(found["story"]) == [*CLEANED, ("dedup", "kept"), ("synthesize", "made"), ("pack", "packed")]
    made = [child["id"] for child in found["made"]]
    assert made
    assert {pack["row"] for pack in found["packs"]} == set(made)
    for pack in found["packs"]:
        shard = store.read(store.manifest("p").shards[0].key).to_pylist()[pack["pack"]]
        span = {"id": pack["row"], "start": pack["start"], "length": pack["length"]}
        assert span in shard["spans"]
        assert shard["split"] == pack["split"]
    learned = any(pack["split"] == "train" for pack in found["packs"])
    assert found["adapters"] == [{"path": "adapters/p", "trainer": "lora", "base": "b", "learned": learned}]


def test_child_tells_its_parents_story_first(store: Store) -> None:
    parent = why("kept", store)
    child = why(parent["made"][0]["id"], store)
    assert child["parents"] == [parent["id"]]
    assert (child["source_id"], child["position"]) == ("kept", 1)
    assert told(child["story"], parent["id"]) == [*CLEANED, ("dedup", "kept")]
    later = [("synthesize", "made"), ("split", "kept"), ("template", "kept"), ("tokenize", "kept"), ("pack", "packed")]
    assert told(child["story"]) == later
    assert child["story"][0]["row"] == parent["id"]


def test_same_story_by_id_and_by_source_id(store: Store) -> None:
    for name in ("kept", "short", "twin", "copy", "long", "a.jsonl:5", "a.jsonl:3", "some/folder/a.jsonl:4"):
        found = why(name, store)
        assert why(found["id"], store) == found
        assert why(name, store, dataset="p") == found
        assert why(name, store, dataset=found["dataset"]) == found


def test_dropped_row_names_rule_value_and_limit_and_what_fused_stages_before_did(store: Store) -> None:
    found = why("long", store)
    assert told(found["story"]) == [*CLEANED[:2], ("short_enough", "dropped")]
    end = found["story"][-1]
    assert (end["rule"], end["threshold"], int(end["value"]) > 500) == ("too_long", "500", True)
    assert (found["made"], found["packs"], found["adapters"]) == ([], [], [])


def test_row_that_gave_no_task_is_dropped_by_the_miner(store: Store) -> None:
    assert why("short", store)["story"][-1]["rule"] == "no_task"


def test_folded_row_names_the_row_that_stands_for_it(store: Store) -> None:
    end = why("copy", store)["story"][-1]
    assert (end["stage"], end["what"], end["matched"]) == ("dedup", "folded", why("twin", store)["id"])


def test_file_and_line_name_a_row_whose_file_gave_it_another_id(store: Store) -> None:
    for line, row in enumerate(ROWS[:4], start=1):
        assert why(f"a.jsonl:{line}", store)["source_id"] == row["key"]
    for nobody in ("a.jsonl:99", "b.jsonl:1", "jsonl:1", "a.jsonl:²", ":1", "a.jsonl:" + "9" * 30):
        with pytest.raises(SourceError, match="no row"):
            why(nobody, store)


def test_folded_row_names_the_survivor_by_its_source_id_and_how_alike_they_are(store: Store) -> None:
    end = why("copy", store)["story"][-1]
    assert (end["rule"], end["value"], end["threshold"]) == ("exact_copy", "1", "1")
    assert end["matched_source_id"] == "twin"
    assert f"twin stays instead ({end['matched']})" in call("why", "copy").out


def test_adapter_did_not_learn_a_row_that_was_held_out(store: Store) -> None:
    children = [why(child["id"], store) for name in ("kept", "twin") for child in why(name, store)["made"]]
    splits = {pack["split"] for child in children for pack in child["packs"]}
    assert splits == {"train", "val"}
    for child in children:
        held_out = {pack["split"] for pack in child["packs"]} == {"val"}
        assert [adapter["learned"] for adapter in child["adapters"]] == [not held_out]
        told = call("why", child["id"]).out
        assert ("held out" in told, "learned it" in told) == (held_out, not held_out)


def test_other_versions_and_datasets_that_hold_the_row_are_listed(store: Store) -> None:
    first = store.manifest("p").ref
    assert why("twin", store)["elsewhere"] == []
    own = Path(__file__).with_name("stages_of_ones_own.py")
    assert call("run", pipeline_file(STAGES[0], f"{{use: '{own}:MaxLength', limit: 300}}", name="a")).code == 0
    found = why("twin", store)
    assert found["dataset"] == store.manifest("a").ref
    (other,) = found["elsewhere"]
    assert (other["dataset"], other["what"], other["stage"]) == (first, "packed", "pack")
    learned = any(pack["split"] == "train" for pack in why("twin", store, dataset=first)["packs"])
    assert other["adapters"] == (["adapters/p"] if learned else [])
    (back,) = why("twin", store, dataset=first)["elsewhere"]
    assert (back["dataset"], back["what"], back["rule"]) == (found["dataset"], "dropped", "too_long")
    assert f"also in {first}: packed at pack" in call("why", "twin").out


def test_source_id_that_is_personal_is_not_repeated(here: Path) -> None:
    rows = [{"key": "kim@naver.com", "text": OTHER}, {"key": "b", "text": KEPT}]
    Path("a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert call("run", pipeline_file(STAGES[0], "normalize", "pii")).code == 0
    found = why("a.jsonl:1", Store("store"))
    assert found == why("kim@naver.com", Store("store"))
    assert "kim@" not in json.dumps(found) + call("why", "a.jsonl:1").out
    assert why("b", Store("store"))["source_id"] == "b"


def test_unknown_id_is_a_source_error(store: Store) -> None:
    with pytest.raises(SourceError, match="'nobody'") as caught:
        why("nobody", store)
    assert "p@" in caught.value.where
    with pytest.raises(StoreError, match="no dataset 'q'"):
        why("kept", store, dataset="q")
    with pytest.raises(SourceError, match="'kept'") as caught:
        why("kept", Store("empty"))
    assert caught.value.where == "no published version"


def test_story_for_people_holds_what_the_json_holds(store: Store) -> None:
    child = why("kept", store)["made"][0]["id"]
    for name in ("kept", "copy", "long", child):
        found = api.why(name)
        out = call("why", name).out
        assert found["id"] in out
        for line in found["story"]:
            assert line["stage"] in out
            assert line["what"] in out
            assert str(line.get("matched", "")) in out
            assert all(row in out for row in line.get("rows", []))
    assert "adapters/p" in call("why", child).out


def test_row_of_an_older_version_is_still_found(store: Store) -> None:
    first = store.manifest("p").ref
    Path("a.jsonl").write_text(json.dumps(ROWS[0], ensure_ascii=False), encoding="utf-8")
    assert call("run", "p.yaml").code == 0
    assert why("kept", store)["dataset"] != first
    assert why("copy", store)["dataset"] == first
