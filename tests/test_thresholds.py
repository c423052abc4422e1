"""`rethreshold`: what moved thresholds would do, told from kept signals, is what a run with them does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.errors import ConfigError, StoreError
from datakit.pipeline import Pipeline
from tests.command_line import call
from tests.test_signals import MOVED, TEXTS, file, forbid_measuring

__all__ = ["file"]
SETS = (MOVED, ("quality.min_words=3", "quality.max_odd_words=1", "quality.max_jamo_share=1"), ())


def quality_of(done: api.Done) -> dict[str, Any]:
    return next(report.stats for report in done.manifest.stages if report.use == "quality")


@pytest.mark.parametrize("moved", SETS, ids=len)
def test_rethreshold_foretells_the_run(file: str, moved: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    before = quality_of(api.run(file))
    forbid_measuring(monkeypatch)
    found = api.rethreshold(file, set=moved)[-1]
    after = quality_of(api.run(file, set=moved))
    assert (found["rows"], found["before"], found["after"]) == (before["rows_in"], before["kept"], after["kept"])
    assert {rule["rule"]: rule["before"] for rule in found["rules"] if rule["before"]} == before["rules"]
    assert {rule["rule"]: rule["after"] for rule in found["rules"] if rule["after"]} == after["rules"]


def test_rethreshold_counts_add_up_by_rule_and_by_language(file: str) -> None:
    api.run(file)
    found = api.rethreshold(file, set=SETS[1])[0]
    assert found["before"] + found["returning"] - found["leaving"] == found["after"]
    assert min(found["returning"], found["leaving"]) > 0
    for name in ("returning", "leaving"):
        assert sum(rule[name] for rule in found["rules"]) == found[name]
    for name in ("rows", "before", "after", "returning", "leaving"):
        assert sum(lang[name] for lang in found["languages"]) == found[name]
    assert {"ko", "en"} <= {lang["lang"] for lang in found["languages"]}


def test_rethreshold_reads_signals_only(file: str) -> None:
    """The shards may be gone from the disk: their texts are not needed."""
    api.run(file)
    whole = api.rethreshold(file, set=MOVED)
    for path in Path("store/objects").rglob("*.parquet"):
        path.unlink()
    assert api.rethreshold(file, set=MOVED) == whole


def test_rethreshold_after_a_run_with_other_thresholds_needs_no_run_of_the_file_itself(file: str) -> None:
    api.run(file, set=MOVED)
    assert api.rethreshold(file, set=("quality.min_words=5",))[0]["rows"] == 2 * len(TEXTS)


def test_rethreshold_of_a_pipeline_value_is_that_of_its_file(file: str) -> None:
    api.run(file)
    assert api.rethreshold(Pipeline.load(file), set=MOVED) == api.rethreshold(file, set=MOVED)


def test_rethreshold_for_people_holds_what_the_json_holds(file: str) -> None:
    api.run(file)
    told = call("rethreshold", file, "--set", MOVED[0]).out
    found = call("rethreshold", file, "--set", MOVED[0], "--json").json
    assert found == api.rethreshold(file, set=MOVED)
    assert f"{found[0]['leaving']} newly gone" in told
    assert all(rule["rule"] in told for rule in found[0]["rules"])


def test_rethreshold_of_more_than_a_threshold_is_refused(file: str) -> None:
    api.run(file)
    Path("more.txt").write_text("오늘의 특가\n", encoding="utf-8")
    for other in ("quality.phrases=more.txt", "normalize.markup=strip"):
        with pytest.raises(ConfigError, match="more than move a threshold"):
            api.rethreshold(file, set=(other,))
        assert call("rethreshold", file, "--set", other).code == 2


def test_rethreshold_before_any_run_says_what_to_do(file: str) -> None:
    with pytest.raises(StoreError, match="not measured yet") as caught:
        api.rethreshold(file, set=MOVED)
    assert "datakit run" in caught.value.fix
    api.run(file)
    shutil.rmtree("store/signals")
    with pytest.raises(StoreError, match="not measured yet"):
        api.rethreshold(file, set=MOVED)


def test_rethreshold_without_a_stage_that_measures_is_refused(file: str) -> None:
    Path("q.yaml").write_text("name: q\nstages:\n- {use: ingest, files: '*.jsonl'}\n- normalize\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no stage"):
        api.rethreshold("q.yaml")
