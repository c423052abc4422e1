"""The Pipeline value: YAML and library are one value, every problem is told at once, with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from datakit.errors import ConfigError
from datakit.pipeline import Pipeline
from tests.stages_of_ones_own import Lines, MaxLength

ROOT = Path(__file__).parents[1]
OWN = str(ROOT / "tests" / "stages_of_ones_own.py")


def problems(data: dict[str, object], *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_dict(data, overrides)
    return [problem.line() for problem in caught.value.problems]


def ingest(**fields: object) -> dict[str, object]:
    return {"use": "ingest", "files": str(ROOT / "sample_data/seeds.jsonl"), **fields}


def test_yaml_and_library_call_are_the_same_value(here: Path) -> None:
    (here / "a.txt").write_text("한 줄")
    (here / "p.yaml").write_text(
        f"name: p\nseed: 3\nstages:\n- use: {OWN}:Lines\n  files: [a.txt]\n- use: {OWN}:MaxLength\n  limit: 7\n"
    )
    loaded = Pipeline.load("p.yaml")
    called = Pipeline(name="p", seed=3, stages=[Lines(files=["a.txt"]), MaxLength(limit=7)])
    assert loaded.fingerprint() == called.fingerprint()
    assert Pipeline.from_dict(loaded.to_dict()) == loaded
    assert [stage.model_dump() for stage in loaded.stages] == [stage.model_dump() for stage in called.stages]


def test_every_problem_is_told_at_once() -> None:
    told = problems(
        {
            "name": "p",
            "sed": 3,
            "stages": [ingest(), {"use": "qality"}, {"use": "dedup", "treshold": 0.8}, {"use": "split", "val": 7}, {}],
        }
    )
    assert len(told) == 5
    assert any("did you mean 'seed'?" in line for line in told)
    assert any("did you mean 'quality'?" in line for line in told)
    assert any("did you mean 'threshold'?" in line for line in told)
    assert any(line.startswith("stages[3] split.val") for line in told)
    assert any("use: NAME" in line for line in told)


def test_problems_of_stages_and_of_the_trainer_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_dict({"name": "n", "stages": ["ingst"], "train": {"use": "lora", "rnk": 4}})
    told = [problem.path for problem in caught.value.problems]
    assert "stages[0]" in told
    assert any(path.startswith("train") for path in told)


def test_kinds_that_do_not_chain_name_the_missing_stage() -> None:
    told = problems({"name": "p", "stages": [ingest(), {"use": "pack"}]})
    assert told == ["stages[1] pack: `pack` takes tokens rows but gets document rows; add `tokenize` between"]


def test_a_pipeline_must_begin_with_rows() -> None:
    assert "begin with `ingest`" in problems({"name": "p", "stages": [{"use": "dedup"}]})[0]


def test_set_overrides_win_over_the_file_and_are_checked_alike() -> None:
    data = {"name": "p", "stages": [ingest(), {"use": "dedup", "threshold": 0.5}, {"use": "dedup", "id": "again"}]}
    value = Pipeline.from_dict(data, ["dedup.threshold=0.9", "again.threshold=0.7", "seed=5"])
    assert [stage.threshold for stage in value.stages[1:]] == [0.9, 0.7]
    assert value.seed == 5
    assert "did you mean 'dedup'?" in problems(data, "dedupe.threshold=1")[0]
    assert "stage.field=value" in problems(data, "dedup.threshold")[0]


def test_set_reaches_a_stage_of_ones_own_and_can_leave_out_training() -> None:
    data = {"name": "p", "stages": [{"use": f"{OWN}:Lines", "files": ["a"]}, {"use": f"{OWN}:MaxLength"}], "train": {}}
    value = Pipeline.from_dict(data, ["MaxLength.limit=7", "train=null"])
    assert value.stages[1].limit == 7
    assert value.train is None


def test_repeated_stages_get_names_of_their_own() -> None:
    value = Pipeline(name="p", stages=[Lines(files=["x"]), MaxLength(), MaxLength(limit=3)])
    assert [stage.name for stage in value.stages] == ["lines", "max_length", "max_length-2"]


def test_two_entries_with_one_id_are_refused() -> None:
    told = problems({"name": "p", "stages": [ingest(id="a"), {"use": "dedup", "id": "a"}]})
    assert "the id 'a'" in told[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: [1,\nb: 2", "not valid YAML"), ("- a\n- b\n", "`name:` and `stages:`"), ("", "`name:` and `stages:`")],
)
def test_a_file_that_is_no_pipeline_is_refused_with_its_place(here: Path, text: str, expected: str) -> None:
    (here / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=expected) as caught:
        Pipeline.load("p.yaml")
    assert "p.yaml" in caught.value.where


def test_a_missing_file_names_the_nearest_one(here: Path) -> None:
    (here / "quickstart.yaml").write_text("")
    with pytest.raises(ConfigError) as caught:
        Pipeline.load("quickstrat.yaml")
    assert "quickstart.yaml" in caught.value.fix


def test_train_section_is_checked_with_the_trainers_own_settings() -> None:
    tail = [{"use": "tokenize", "tokenizer": "smollm2"}, {"use": "pack"}]
    data = {"name": "p", "stages": [ingest(text="instruction"), *tail], "train": {"use": "lora", "rnk": 4}}
    assert "did you mean 'rank'?" in problems(data)[0]
    assert "did you mean 'lora'?" in problems({**data, "train": {"use": "loar"}})[0]
    short = {"name": "p", "stages": [ingest(text="instruction")], "train": {"use": "lora"}}
    assert "tokenize and pack" in problems(short)[0]
