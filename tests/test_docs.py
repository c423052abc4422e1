"""What README says is true: generated parts are current, its YAML validates, its Python runs, its tree is the disk."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from datakit.cli import main
from datakit.pipeline import Pipeline
from datakit.registry import stage_class
from tests.readme import BLOCK, BLOCKS, READMES, ROOT, TOP, filled

PIPELINES = sorted((ROOT / "pipelines").rglob("*.yaml"))
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def fences(language: str, readme: Path = READMES[0]) -> list[str]:
    return [body for named, body in FENCE.findall(readme.read_text(encoding="utf-8")) if named == language]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_generated_parts_are_current(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert BLOCK.search(text)
    assert filled(text) == text, "run `make readme`"


def test_every_block_is_used_in_the_english_readme() -> None:
    named = {match["name"] for match in BLOCK.finditer(READMES[0].read_text(encoding="utf-8"))}
    assert named == set(BLOCKS)


def test_stale_block_is_seen() -> None:
    assert (
        filled("<!-- generated: commands -->\nold\n<!-- end -->") != "<!-- generated: commands -->\nold\n<!-- end -->"
    )


def test_readme_says_what_it_does_in_ten_lines() -> None:
    told = READMES[0].read_text(encoding="utf-8").split("\n## ")[0]
    assert len([line for line in told.splitlines() if line.startswith("- ")]) <= 10


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_commands_in_readme_exist(readme: Path) -> None:
    used = set(re.findall(r"^datakit ([a-z]+)", "\n".join(fences("bash", readme)), re.MULTILINE))
    used |= set(re.findall(r"`datakit ([a-z]+)", readme.read_text(encoding="utf-8")))
    assert used
    assert used <= set(main.commands)


def test_every_command_is_in_readme_and_has_help() -> None:
    text = READMES[0].read_text(encoding="utf-8")
    for name, command in main.commands.items():
        assert re.search(rf"^  {name}\s", text, re.MULTILINE), name
        told = CliRunner().invoke(main, [name, "--help"])
        assert told.exit_code == 0
        assert command.help
        for inner in command.commands.values() if isinstance(command, click.Group) else [command]:
            assert inner.help
            assert any("--json" in param.opts for param in inner.params), name


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_stages_spelled_in_readme_are_right(readme: Path) -> None:
    entries = [yaml.safe_load(entry) for entry in re.findall(r"`(\{use: [^`]+\})`", readme.read_text(encoding="utf-8"))]
    assert entries
    for entry in entries:
        stage_class(entry.pop("use")).model_validate(entry)


def test_every_make_target_in_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for readme in READMES:
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", readme.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_top_level_is_what_readme_draws() -> None:
    hidden = {"build", "dist", "demo", "store", "adapters", "exports"}
    on_disk = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - hidden
    assert {name for name in on_disk if not name.endswith(".egg-info")} == set(TOP)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_published_pipeline_validates(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    value = Pipeline.load(path)
    assert Pipeline.from_dict(yaml.safe_load(value.to_yaml())) == value


def test_the_published_pipelines_are_there() -> None:
    named = {path.stem for path in PIPELINES}
    assert {"quickstart", "alpaca", "self_instruct", "grounded", "korean_web", "refresh"} <= named


def test_library_call_in_readme_is_the_quickstart_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = next(body for body in fences("python") if "dk.Pipeline(" in body)
    space: dict[str, object] = {}
    exec(code.split("done = ")[0], space)
    assert space["pipeline"] == Pipeline.load("pipelines/quickstart.yaml")


def test_stage_of_ones_own_in_readme_runs(here: Path) -> None:
    (here / "my_stage.py").write_text(next(body for body in fences("python") if "# my_stage.py" in body))
    (here / "a.jsonl").write_text('{"text": "짧은 글"}\n{"text": "' + "긴 글 " * 10 + '"}\n')
    (here / "p.yaml").write_text(
        "name: own\nstages:\n- {use: ingest, files: a.jsonl}\n- {use: 'my_stage.py:MaxLength', limit: 20}\n"
    )
    assert Pipeline.load("p.yaml", ["max_length.limit=7"]).stages[1].model_dump()["limit"] == 7
    for workers in ("1", "2"):
        told = CliRunner().invoke(main, ["run", "p.yaml", "--workers", workers, "--store", f"s{workers}"])
        assert told.exit_code == 0, told.output
        assert "too_long 1" in told.output


def test_trainer_of_ones_own_in_readme_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datakit.manifests import DatasetManifest
    from datakit.schemas import schema_of
    from datakit.store import Store
    from datakit.training import train

    (here / "my_trainer.py").write_text(next(body for body in fences("python") if "# my_trainer.py" in body))
    monkeypatch.syspath_prepend(str(here))
    store = Store(here / "store").prepare()
    shard = store.put_shard(schema_of("packed").empty_table(), "packed")
    manifest = DatasetManifest(
        name="n", version="1", kind="packed", digest="d", rows=0, shards=(shard,), recipe={}, stages=()
    )
    artifact = train(manifest, f"{here}/my_trainer.py:MyTrainer", {}, store=store, out=here / "out")
    assert artifact.metrics == {"rows": 0}
    assert "torch" not in sys.modules or artifact.trainer == "mine"
