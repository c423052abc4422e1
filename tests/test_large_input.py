"""Large, hollow and broken input through ingest to dedup: memory is bounded, and every row is accounted for.

Each corpus is small here and of its full size in a test marked `slow`, which runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import call, pipeline_file

SENTENCE = "서울에는 비가 옵니다. 우산을 챙기세요. It is raining in Seoul. "
LETTER = (
    "주문하신 무선 청소기가 오늘 물류 창고에서 발송되었습니다. 상자를 받으시면 구성품이 모두 들어 있는지 먼저 "
    "확인해 주세요. 충전기는 바닥에 놓고 전원을 연결한 뒤 네 시간쯤 기다리면 됩니다. 사용하시다가 궁금한 점이 "
    "생기면 언제든지 상담원에게 전화해 주시고, 반품은 열흘 안에 신청하셔야 합니다. Your order left our warehouse "
    "this morning. Please check that nothing is missing before you throw the box away, and keep the receipt."
)
"""Prose that every rule keeps."""
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of a process of its own said, and its peak memory."""

    stages: list[dict[str, Any]]
    peak_mb: float


def pipeline_of(data: Path) -> str:
    """A pipeline that cleans one file."""
    return pipeline_file(f"{{use: ingest, files: {data}}}", "normalize", "language", "quality", "dedup")


def ran(data: Path) -> Ran:
    """Clean one file in a fresh process."""
    command = [
        sys.executable,
        "-m",
        "datakit",
        "run",
        pipeline_of(data),
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
    assert found.peak_mb - small < 20 + 8 * megabytes


def row(text: str) -> bytes:
    return json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"


def templated(number: int) -> bytes:
    """A letter that thousands get, with another name, day and number."""
    return row(f"{number}번 고객님. {LETTER} 주문 번호 {number * 7919 % 1_000_003}, {number % 28 + 1}일 도착합니다.")


def spelled_apart(number: int) -> bytes:
    """One letter from fifty senders, with its Hangul composed and taken apart."""
    text = f"제{number % 50}호 지점에서 보냅니다. {LETTER}"
    return row(unicodedata.normalize("NFD" if number % 100 < 50 else "NFC", text))


def broken(number: int) -> bytes:
    """Half a pair of UTF-16 in JSON, which no UTF-8 can hold, in text that is good otherwise."""
    return f'{{"text": "{number}번 글 \\ud83d 이 깨졌습니다. \\udc00 {LETTER}"}}\n'.encode()


CORPORA: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "empty": (1_000_000, lambda number: row("")),
    "identical": (200_000, lambda number: row(LETTER)),
    "one template": (50_000, templated),
    "lone surrogates": (100_000, broken),
    "decomposed Hangul": (100_000, spelled_apart),
    "emoji": (200_000, lambda number: row("😀👍🏽👨\u200d👩\u200d👧🇰🇷" * (number % 40 + 1))),
}
"""Rows at full size, and one of them as a line."""
SMALL = 300


def corpus(name: str, rows: int) -> Path:
    """So many rows of a corpus in a file."""
    data = Path("rows.jsonl")
    with data.open("wb") as file:
        file.writelines(map(CORPORA[name][1], range(rows)))
    return data


def check_answer(name: str, stages: list[dict[str, Any]], rows: int) -> None:
    """All rows accounted for, and what is known of the corpus besides."""
    assert unaccounted(stages, rows) == []
    gone, left = {stage["id"]: stage["rules"] for stage in stages}, stages[-1]["kept"]
    if name == "empty":
        assert (gone["ingest"], left) == ({"no_text": rows}, 0)
    elif name == "identical":
        assert (gone["dedup"], left) == ({"exact_copy": rows - 1}, 1)
    elif name == "one template":
        assert 1 <= left < rows / 10
    elif name == "decomposed Hangul":  # neither spelling is lost, neither is counted as another text
        assert left == 1
        assert gone["dedup"]["exact_copy"] == rows // 50 - 1  # those of the one that stays, however they are spelled
    elif name == "emoji":
        assert left <= 40


@pytest.mark.parametrize("name", list(CORPORA))
def test_small_corpus_of_nothing_good_is_accounted_for(here: Path, name: str) -> None:
    told = call("run", pipeline_of(corpus(name, SMALL)), "--json")
    assert told.code == 0, told.err
    check_answer(name, told.json["stages"], SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CORPORA))
def test_full_corpus_of_nothing_good_takes_bounded_memory(here: Path, small: float, name: str) -> None:
    rows = CORPORA[name][0]
    data = corpus(name, rows)
    found = ran(data)
    check_answer(name, found.stages, rows)
    assert found.peak_mb - small < 500 + 3 * data.stat().st_size / MEGABYTE


def test_rows_that_are_lost_are_found() -> None:
    honest = {"id": "ingest", "rows_in": 3, "kept": 2, "dropped": 1, "folded": 0, "rules": {"no_text": 1}}
    assert unaccounted([honest], 3) == []
    assert unaccounted([honest], 4) == ["ingest"]
    assert unaccounted([{**honest, "rules": {}}], 3) == ["ingest"]
    assert unaccounted([honest, {**honest, "id": "next"}], 3) == ["next"]
