"""Kept signals: a moved threshold measures nothing again, and decides as a fresh run does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit import api
from datakit.canon import digest_file
from datakit.errors import StageError, StoreError
from datakit.runner import measured
from datakit.store import Store
from tests.command_line import call, pipeline_file

TEXTS = (
    "좋아요",
    "배송이 빨라서 좋아요. 다음에도 여기서 살게요.",
    "한 번 더 사고 싶은 물건입니다",
    "ㅁㄴㅇㄻㄴㅇㄹ ㅂㅈㄷㄱㅂㅈㄷㄱ ㅋㅌㅊㅍㅋㅌㅊㅍ",
    "The parcel came early and I would buy it again.",
    "Good value",
    "!!!!!!!@@@@@#####$$$$$%%%%%",
)
OWN = Path(__file__).with_name("stages_of_ones_own.py")
MOVED = ("quality.min_words=3",)


@pytest.fixture
def file(here: Path) -> str:
    """A pipeline with a row stage before quality and one behind it, over two files."""
    for name, texts in (("a", TEXTS), ("b", TEXTS[::-1])):
        rows = "\n".join(json.dumps({"text": f"{text} {name}"}, ensure_ascii=False) for text in texts)
        (here / f"{name}.jsonl").write_text(rows, encoding="utf-8")
    return pipeline_file(f"{{use: '{OWN}:OneByOne', files: '*.jsonl'}}", "normalize", "language", "quality", "pii")


def forbid_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr("datakit.kernels.signals.measure", broken)
    monkeypatch.setattr("datakit.kernels.phrases.cover", broken)
    monkeypatch.setattr("datakit.signals._OPENED", {})


def files_of(store: str, done: api.Done) -> dict[str, str]:
    """Digests of all files of a dataset's last row stage: rows, drops, records."""
    return {
        path.name: digest_file(path)
        for report in done.manifest.stages
        for key in report.steps
        for path in Path(store, "objects", key[:2]).glob(f"{key}.*")
    }


def test_moved_threshold_measures_nothing_and_gives_the_bytes_of_a_fresh_run(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = api.run(file, store="fresh", set=MOVED)
    first = api.run(file)
    forbid_measuring(monkeypatch)
    moved = api.run(file, set=MOVED)
    assert moved.manifest.digest == fresh.manifest.digest != first.manifest.digest
    assert files_of("store", moved) == files_of("fresh", fresh)
    assert moved.manifest.rows < first.manifest.rows


def test_loosened_threshold_lets_rows_back_in(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tight = api.run(file, set=MOVED)
    forbid_measuring(monkeypatch)
    loose = api.run(file)
    assert loose.manifest.rows > tight.manifest.rows


def test_planted_measuring_is_seen(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without kept signals the broken kernel is called, and the run fails."""
    forbid_measuring(monkeypatch)
    with pytest.raises(StageError, match="quality failed"):
        api.run(file)


def test_signals_are_measured_anew_when_what_is_measured_changes(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    api.run(file)
    Path("more.txt").write_text("오늘의 특가\n", encoding="utf-8")
    forbid_measuring(monkeypatch)
    with pytest.raises(StageError, match="quality failed"):
        api.run(file, set=("quality.phrases=more.txt",))


def test_signals_of_other_rows_are_refused(file: str) -> None:
    api.run(file)
    store = Store("store")
    _, keys = measured(api.check(file), store)["quality"]
    other = store.signals(keys[1])
    assert other is not None
    store.put_signals(keys[0], other)
    with pytest.raises(StoreError, match="other rows"):
        api.run(file, set=MOVED)


def test_why_tells_every_rule_that_a_row_fails(file: str) -> None:
    api.run(file, set=(*MOVED, "quality.min_characters=60"))
    found = api.why("a.jsonl:7")
    end = found["story"][-1]
    rules = [end["rule"], *(failed["rule"] for failed in end["further"])]
    assert rules[:2] == ["few_characters", "few_words"]
    assert "symbols" in rules
    told = call("why", "a.jsonl:7").out
    assert all(rule in told for rule in rules)
    assert call("why", "a.jsonl:7", "--json").json["story"][-1]["further"] == end["further"]
