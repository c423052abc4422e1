"""What a stage is worth: one dataset a trial, one adapter a seed, losses paired by seed; all of it found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.ablating import ENDLESS, variants
from datakit.errors import ConfigError
from datakit.pipeline import Pipeline
from datakit.registry import find
from datakit.store import Store
from tests.command_line import call, pipeline_file
from tests.test_api import LETTERS
from tests.trainers_of_ones_own import OWN

BOOKWORM = f"{OWN}:Bookworm"
SAME = "항구는 조용했고 마지막 배는 이미 섬으로 떠난 뒤였다."
TEXTS = [SAME, SAME, SAME, "The harbour was quiet, and the last ferry had left.", "  "]
STAGES = ("{use: ingest, files: in.jsonl}", "normalize", "{use: dedup, id: twins}", "pii", f"'{LETTERS}'")
TRAINED = f"train: {{use: '{BOOKWORM}', out: mine, seed: 5}}\nevaluate: {{rows: held.jsonl}}\n"


@pytest.fixture
def pipeline(here: Path) -> str:
    """Four rows, of which three are the same, and one that is empty."""
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS)
    Path("in.jsonl").write_text(lines, encoding="utf-8")
    rows = [
        {"instruction": "수도는?", "output": "서울", "language": "ko"},
        {"instruction": "Hi", "output": "Hello", "language": "en"},
    ]
    Path("held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return pipeline_file(*STAGES, "{use: export, path: out, format: jsonl}", more=TRAINED)


def trials(found: dict[str, Any]) -> dict[str | None, dict[str, Any]]:
    return {one["without"]: one for one in found["trials"]}


def test_worth_is_the_loss_without_minus_the_loss_with_by_seed(pipeline: str) -> None:
    found = api.ablate(pipeline, without=["twins", "pii"], seeds=3)
    told = trials(found)
    assert (found["seeds"], found["base_loss"]) == ([5, 6, 7], 2.0)
    assert [told[name]["rows"] for name in (None, "twins", "pii")] == [2, 4, 2]
    # a hundredth of two nats a row, a thousandth a seed
    assert told[None]["losses"] == pytest.approx([0.05, 0.052, 0.054])
    assert (told[None]["mean"], told[None]["spread"]) == (0.052, 0.002)
    assert (told["twins"]["worth_mean"], told["twins"]["worth_spread"], told["twins"]["helped"]) == (0.04, 0.0, 3)
    assert told["twins"]["worth_by_language"] == {"en": 0.04, "ko": 0.04}
    assert (told["pii"]["worth_mean"], told["pii"]["helped"]) == (0.0, 0)


def test_trials_are_datasets_of_their_own_and_write_nothing_of_the_pipeline_s(pipeline: str) -> None:
    api.ablate(pipeline, without=["dedup"], seeds=1)
    names = {ref.partition("@")[0] for ref in Store("store").datasets()}
    assert names == {"p-with-all", "p-without-dedup"}
    assert not Path("mine").exists()
    assert not Path("out").exists()
    assert sorted(path.parent.name for path in Path("ablation").glob("*/*")) == ["p-with-all", "p-without-dedup"]


def test_what_was_trained_is_found_again(pipeline: str) -> None:
    first = api.ablate(pipeline, without=["twins"], seeds=2)
    fits = find("trainer", BOOKWORM).fits
    before = len(fits)
    assert api.ablate(pipeline, without=["twins"], seeds=2) == first
    assert len(fits) == before
    api.ablate(pipeline, without=["twins"], seeds=3)
    assert len(fits) == before + 2


def test_one_seed_has_no_spread(pipeline: str) -> None:
    [_, trial] = api.ablate(pipeline, without=["twins"], seeds=1)["trials"]
    assert (trial["spread"], trial["worth_spread"]) == (None, None)


def test_command_names_stages_by_comma_and_shows_their_worth(pipeline: str) -> None:
    shown = call("ablate", pipeline, "--without", "twins,pii", "--without", "normalize", "--seeds", 2)
    assert shown.code == 0, shown.err
    assert "without twins" in shown.out
    assert "+0.0400" in shown.out
    assert "2 of 2" in shown.out
    assert "without normalize" in shown.out


@pytest.mark.parametrize(
    ("without", "told"),
    [(["twinz"], "twins"), ([], "no stage is named"), (["ingest"], "reads rows"), (["letters"], "add template")],
)  # fmt: skip
def test_trial_that_can_t_be_is_refused_before_anything_runs(pipeline: str, without: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        api.ablate(pipeline, without=["twins", *without] if without else [])
    assert told in "\n".join(caught.value.lines())
    assert not Path("store").exists()


def test_pipeline_without_rows_or_trainer_is_refused_with_both(pipeline: str) -> None:
    bare = ["train=null", "evaluate=null"]
    with pytest.raises(ConfigError) as caught:
        api.ablate(pipeline, without=["twins"], set=bare)
    assert "evaluate: {rows: FILE}" in "\n".join(caught.value.lines())
    assert "no `train:` section" in "\n".join(caught.value.lines())


def test_budget_is_one_of_steps_whatever_the_epochs(pipeline: str) -> None:
    with pytest.raises(ConfigError, match="train longer") as caught:
        variants(Pipeline.load(pipeline, ["train.use=lora"]), ["twins"])
    assert "--set train.max_steps=100" in "\n".join(caught.value.lines())
    found = variants(Pipeline.load(pipeline, ["train.use=lora", "train.max_steps=7", "train.epochs=2"]), ["twins"])
    assert [(one.pipeline.train or {})["epochs"] for one in found] == [ENDLESS, ENDLESS]
    own = variants(Pipeline.load(pipeline), ["twins"])
    assert "epochs" not in (own[0].pipeline.train or {})
