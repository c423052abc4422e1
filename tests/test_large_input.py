"""Large and hollow input through ingest to quality: memory is bounded, and every row is accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import pipeline_file

SENTENCE = "서울에는 비가 옵니다. 우산을 챙기세요. It is raining in Seoul. "
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of a process of its own said, and its peak memory."""

    stages: list[dict[str, Any]]
    peak_mb: float


def ran(data: Path) -> Ran:
    """Clean one file in a fresh process."""
    stages = (f"{{use: ingest, files: {data}}}", "normalize", "language", "quality")
    command = [
        sys.executable,
        "-m",
        "datakit",
        "run",
        pipeline_file(*stages),
        "--store",
        f"store-{data.stem}",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        out = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return Ran(json.loads(out)["stages"], used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MEGABYTE)


def document(path: Path, size: int) -> Path:
    """One row with a text of about `size` bytes."""
    text = SENTENCE * (size // len(SENTENCE.encode()))
    path.write_text(json.dumps({"text": text}, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def unaccounted(stages: list[dict[str, Any]], rows: int) -> list[str]:
    """Stages that say nothing of a row, or that drop it without a rule."""
    found = []
    for stage in stages:
        gone = stage["dropped"] + stage["folded"]
        if stage["rows_in"] != rows or rows != stage["kept"] + gone or sum(stage["rules"].values()) != gone:
            found.append(stage["id"])
        rows = stage["kept"]
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Peak memory of a run over next to nothing: interpreter, packages, kernels."""
    folder, before = tmp_path_factory.mktemp("small"), Path.cwd()
    os.chdir(folder)
    try:
        return ran(document(Path("small.jsonl"), 1000)).peak_mb
    finally:
        os.chdir(before)


@pytest.mark.parametrize(("megabytes", "ending"), [(10, "jsonl"), (50, "jsonl"), (50, "txt")])
def test_one_huge_document_takes_a_few_times_its_size(here: Path, small: float, megabytes: int, ending: str) -> None:
    data = document(here / f"huge.{ending}", megabytes * MEGABYTE)
    found = ran(data)
    assert unaccounted(found.stages, 1) == []
    assert found.stages[0]["kept"] == 1
    assert found.peak_mb - small < 8 * megabytes


@pytest.mark.slow
def test_a_million_empty_documents_are_a_million_drops(here: Path, small: float) -> None:
    data = here / "empty.jsonl"
    data.write_bytes(b'{"text": ""}\n' * 1_000_000)
    found = ran(data)
    assert unaccounted(found.stages, 1_000_000) == []
    assert found.stages[0]["rules"] == {"no_text": 1_000_000}
    assert found.peak_mb - small < 500


def test_rows_that_are_lost_are_found() -> None:
    honest = {"id": "ingest", "rows_in": 3, "kept": 2, "dropped": 1, "folded": 0, "rules": {"no_text": 1}}
    assert unaccounted([honest], 3) == []
    assert unaccounted([honest], 4) == ["ingest"]
    assert unaccounted([{**honest, "rules": {}}], 3) == ["ingest"]
    assert unaccounted([honest, {**honest, "id": "next"}], 3) == ["next"]
