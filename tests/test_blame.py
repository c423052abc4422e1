"""The parts of a difference add up to it, and the stage that was changed carries it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit import api
from datakit.comparing.blame import blame
from datakit.manifests import DatasetManifest, StageReport
from datakit.outcome import StageStats
from tests.command_line import pipeline_file


def version(name: str, flows: list[tuple[str, int, int]]) -> DatasetManifest:
    reports = tuple(
        StageReport(id=stage, use=stage, kind="document", stats=StageStats(rows_in=into, kept=out).as_dict())
        for stage, into, out in flows
    )
    recipe = {"name": name, "stages": [{"use": stage} for stage, _, _ in flows]}
    return DatasetManifest(
        name=name,
        version="1",
        kind="document",
        digest=name,
        rows=flows[-1][2],
        shards=(),
        recipe=recipe,
        stages=reports,
    )


OWN = Path(__file__).with_name("stages_of_ones_own.py")
SHARES = st.lists(st.floats(0, 3), min_size=3, max_size=3)


@given(st.integers(1, 10_000), st.integers(1, 10_000), SHARES, SHARES)
def test_parts_add_up_to_the_difference(read_a: int, read_b: int, a: list[float], b: list[float]) -> None:
    def flows(read: int, shares: list[float]) -> list[tuple[str, int, int]]:
        found, rows = [], read
        for stage, share in zip(("normalize", "quality", "dedup"), shares, strict=True):
            found.append((stage, rows, round(rows * share)))
            rows = round(rows * share)
        return found

    one, other = version("a", flows(read_a, a)), version("b", flows(read_b, b))
    found = blame(one, other)
    assert abs(sum(part["rows"] for part in found["parts"]) - found["difference"]) < 0.6


@pytest.fixture
def two(here: Path) -> None:
    """Two versions that differ in one setting of one stage."""
    rows = [{"text": f"{'가나다 ' * n}끝"} for n in range(1, 41)]
    (here / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    for name, words in (("a", 2), ("b", 21)):
        pipeline_file(
            "{use: ingest, files: a.jsonl}", "normalize",
            f"{{use: '{OWN}:MaxLength', limit: {words * 4}}}",
            name=name,
        )  # fmt: skip
        api.run(f"{name}.yaml")


def test_the_changed_stage_carries_the_difference(two: None) -> None:
    found = api.blame("a", "b")
    assert found["difference"] == found["b"]["rows"] - found["a"]["rows"] != 0
    [part] = found["parts"]
    assert (part["stage"], part["rows"]) == ("max_length", found["difference"])
    assert [(one["field"], one["a"], one["b"]) for one in part["settings"]] == [("limit", 8, 84)]


def test_a_version_against_itself_has_no_parts(two: None) -> None:
    assert api.blame("a", "a")["parts"] == []
    assert api.blame("a", "a")["difference"] == 0


def test_provenance_names_files_by_digest_and_no_text(two: None) -> None:
    event = api.provenance("a")
    assert [one["name"] for one in event["inputs"]] == ["a.jsonl"]
    assert event["run"]["facets"]["datakit_stages"]["stages"][0]["rows_in"] == 40
    assert event["eventTime"].endswith("Z")
    document = api.provenance("a", form="prov")
    used = {one["prov:entity"] for one in document["used"].values()}
    made = {one["prov:entity"] for one in document["wasGeneratedBy"].values()}
    assert used - made == {"file:a.jsonl"}, "everything else that is used was made"
    assert used | made <= document["entity"].keys()
    assert {one["prov:activity"] for one in document["used"].values()} == document["activity"].keys()
    assert "가나다" not in json.dumps([event, document], ensure_ascii=False)
