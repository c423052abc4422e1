"""The walk: which executor works on a step, and that none of them can be told from the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datakit.executors import Mixed, Threads
from datakit.pipeline import Pipeline
from datakit.runner import run
from datakit.stages.normalize import Normalize
from datakit.stages.quality import Quality
from datakit.store import Store
from datakit.walk import Walk

KOREAN = "오늘은 날씨가 좋아서 친구와 함께 한강 공원에 갔습니다. 사람들이 많이 나와서 자전거를 타고 있었습니다. "
ENGLISH = "The weather was fine today, so we went to the park by the river and looked at the people on their bicycles. "


@pytest.fixture
def cleaning(tmp_path: Path) -> Pipeline:
    """Two files, with copies, short texts and decomposed Hangul, through the stages that work in threads; then pii."""
    for name in ("ko", "en"):
        texts = [
            f"{n}번째 글. {KOREAN * (1 + n % 4)}" if name == "ko" else f"No. {n}. {ENGLISH * 3}" for n in range(40)
        ]
        rows = [
            {"text": text} for text in [*texts, texts[0], "ㅋㅋㅋㅋㅋㅋ", "각 &amp; 힣\u200b", "call 010-1234-5678"]
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    stages = [{"use": "ingest", "files": str(tmp_path / "*.jsonl")}, "normalize", "language", "quality", "dedup", "pii"]
    return Pipeline.from_dict({"name": "clean", "stages": stages})


def bytes_of(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and {"runs", "names"}.isdisjoint(path.parts))
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def test_threads_processes_and_one_process_write_the_same_store(cleaning: Pipeline, tmp_path: Path) -> None:
    found = []
    for name, executor, workers in (("a", "serial", 1), ("b", "threads", 2), ("c", "processes", 2), ("d", None, 2)):
        run(cleaning, Store(tmp_path / name), executor=executor, workers=workers)
        found.append(bytes_of(tmp_path / name))
    assert len(found[0]) > 10
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[3] == found[0]


def test_a_later_steps_processes_start_only_if_there_is_a_file_to_read(
    cleaning: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[list[str]] = []

    def warm(self: Mixed, work: object, job: tuple[tuple[Normalize, ...], object, object]) -> None:
        warmed.append([stage.name for stage in job[0]])

    monkeypatch.setattr(Mixed, "warm", warm)
    for _ in range(2):
        run(cleaning, Store(tmp_path / "store"), workers=2)
    assert warmed == [["pii"]]


def test_a_step_runs_in_threads_only_if_all_of_its_stages_free_the_gil(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("나쁜말\n")
    free, bound = Quality(), Quality(toxic_words=str(words), max_toxic_share=0.5)
    assert [stage.frees_gil for stage in (free, bound, Normalize(), Normalize(markup="strip"))] == [
        True, False, True, False,
    ]  # fmt: skip
    used: list[str] = []
    whole = Walk._progress

    def told(self: Walk, executor: object, *args: object) -> object:
        used.append(type(executor).__name__)
        return whole(self, executor, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Walk, "_progress", told)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": KOREAN * 3}))
    ingest = {"use": "ingest", "files": str(tmp_path / "a.jsonl")}
    for place, last in enumerate((free, bound)):
        stages = [ingest, "normalize", {"use": "quality", **last.model_dump(exclude_defaults=True)}]
        run(Pipeline.from_dict({"name": "p", "stages": stages}), Store(tmp_path / f"store-{place}"), workers=2)
    assert used == [Threads.__name__, Mixed.__name__]
