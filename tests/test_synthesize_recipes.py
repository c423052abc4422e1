"""Recipes are classes of one stage: each has its own settings, refuses the others', and reads back from YAML."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

import datakit
from datakit import api
from datakit.errors import ConfigError
from datakit.pipeline import Pipeline
from datakit.runner import apply
from datakit.stage import fields_of
from datakit.stages.synthesize import RECIPES, Synthesize
from datakit.stages.synthesize.judge import Judge
from tests.command_line import call
from tests.recipes import document, dropped, made, on_documents, recipe, recorded

ROOT = Path(__file__).parents[1]
SEEDS = str(ROOT / "sample_data" / "seeds.jsonl")
SEEDED = {"self_instruct", "alpaca"}


def value(name: str, tmp_path: Path) -> Synthesize:
    settings: dict[str, Any] = {} if name == "mine" else {"teacher": recorded(tmp_path)}
    return Synthesize.model_validate({"recipe": name, **settings, **({"seeds": SEEDS} if name in SEEDED else {})})


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_a_frozen_documented_value(tmp_path: Path, name: str) -> None:
    stage = value(name, tmp_path)
    assert type(stage) is Synthesize.class_for({"recipe": name})
    assert (stage.recipe, stage.use, stage.name) == (name, "synthesize", "synthesize")
    assert stage.problems() == []
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert Synthesize.model_validate(stage.model_dump(mode="json")) == stage
    assert Synthesize(**stage.model_dump(mode="json")) == stage
    assert stage.gives("document") == "example"
    for field, info in fields_of(type(stage)).items():
        assert info.description, f"{name}.{field} has no line of help"
    with pytest.raises(ValidationError):
        stage.rows = 5


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_refuses_what_is_not_its_own(tmp_path: Path, name: str) -> None:
    others = {field for found in Synthesize.variants().values() for field in found.model_fields}
    for field in others - set(type(value(name, tmp_path)).model_fields):
        with pytest.raises(ValidationError, match="Extra inputs"):
            Synthesize.model_validate({**value(name, tmp_path).model_dump(mode="json"), field: 1})


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "mine"])
def test_recipe_without_a_teacher_says_so(name: str) -> None:
    [problem] = [one for one in Synthesize.model_validate({"recipe": name}).problems() if one.path == "teacher"]
    assert problem.message == f"{name} needs a teacher"
    assert Judge().problems()[0].message == "judge needs a teacher"


def test_pipeline_reads_back_with_its_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for path in sorted(Path("pipelines").glob("*.yaml")):
        pipeline = Pipeline.load(path)
        again = Pipeline.from_dict(yaml.safe_load(pipeline.to_yaml()))
        assert [type(stage) for stage in again.stages] == [type(stage) for stage in pipeline.stages]
        assert again == pipeline


def test_unknown_recipe_and_setting_are_told_with_the_nearest_known(tmp_path: Path) -> None:
    entry = {"use": "synthesize", "recipe": "ground", "teacher": recorded(tmp_path)}
    ingest = {"use": "ingest", "files": SEEDS}
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_dict({"name": "p", "stages": [ingest, entry]})
    assert "did you mean 'grounded'?" in str(caught.value.problems)
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_dict({"name": "p", "stages": [ingest, {**entry, "recipe": "grounded", "per_pasage": 2}]})
    assert "did you mean 'per_passage'?" in str(caught.value.problems)


def test_set_changes_the_settings_of_the_recipe_at_hand(tmp_path: Path) -> None:
    data = {"name": "p", "stages": [{"use": "synthesize", "recipe": "alpaca", "seeds": SEEDS}]}
    pipeline = Pipeline.from_dict(data, ["synthesize.teacher=local", "synthesize.rows=7"])
    assert pipeline.stages[0].identity()["teacher"]["use"] == "local"
    assert pipeline.stages[0].identity()["rows"] == 7
    with pytest.raises(ConfigError, match="no such setting"):
        Pipeline.from_dict(data, ["synthesize.teacher=local", "synthesize.per_passage=2"])


def test_stage_is_described_with_its_recipes_and_each_recipe_with_its_settings() -> None:
    [whole] = api.stages("synthesize")
    assert [one["name"] for one in whole["variants"]] == list(RECIPES)
    [one] = api.stages("synthesize.grounded")
    assert {"per_passage", "with_text", "support"} <= {setting["name"] for setting in one["settings"]}
    assert "grounded" in call("stages", "synthesize").out
    call("stages", "synthesize.groundd").is_an_error(2, "did you mean 'grounded'?")
    assert isinstance(datakit.Synthesize(), Synthesize)


def test_grounded_pipeline_gives_accepted_korean_rows_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stages = [stage for stage in Pipeline.load("pipelines/grounded.yaml").stages if stage.use != "export"]
    applied = apply([stage for stage in stages if stage.use != "pii"])
    rows = made(applied)
    assert Counter(row["lang"] for row in rows) == {"ko": 12, "en": 4}
    for row in rows:
        assert row["synthesize.evidence"]
        assert row["judge.score"] >= 4
        assert row["parents"]
    assert sum(rule == "low_score" for _, rule, _ in dropped(applied)) == 2
    assert [stage.use for stage in stages].count("pii") == 2, "before a teacher sees the text, and after it wrote"


def test_budget_that_is_used_up_leaves_the_rest_unasked(tmp_path: Path) -> None:
    text = (
        "달빛도서관은 매주 화요일부터 일요일까지 문을 열고, 회원은 한 번에 책을 다섯 권까지 두 주 동안 빌릴 수 있다. "
        * 2
    )
    rows = [document(text, f"d{n}") for n in range(5)]
    stage = recipe("grounded", recorded(tmp_path), budget={"max_requests": 2}, window=3)
    applied = on_documents(stage, *rows)
    assert [(rule, told) for _, rule, told in dropped(applied)] == [("no_row", "no_reply")] * 2 + [
        ("not_asked", None)
    ] * 3
    assert applied.notes["spent"]["requests"] == applied.notes["requests"] == 2
