"""Evaluation: losses weighted by tokens, by language and category; samples; reuse; held-out files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datakit import evaluation
from datakit.errors import SourceError, TrainError
from datakit.evaluation import EVALUATION, evaluate, read_rows
from datakit.store import Store
from tests.command_line import call
from tests.test_training import fit, publish

SECRET = "900101-1234568"
ROWS = [
    {"instruction": "수도는?", "input": "", "output": "서울", "language": "ko", "category": "fact"},
    {"instruction": "Shorten.", "input": "A long text.", "output": "A text.", "language": "en", "category": "summary"},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}],
     "language": "en", "category": "chat"},
]  # fmt: skip


@pytest.fixture
def store(here: Path) -> Store:
    """A store with a dataset to train on."""
    found = Store(here / "store").prepare()
    publish(found, ["글"], "1")
    return found


@pytest.fixture
def rows(here: Path) -> Path:
    """A file of three held-out rows, with a byte order mark and empty lines."""
    path = here / "heldout.jsonl"
    path.write_text(
        "\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n", encoding="utf-8"
    )
    return path


def test_losses_are_weighted_by_tokens_and_grouped(store: Store, rows: Path) -> None:
    fit(store, gain=0.75)
    found = evaluate("adapter", rows, samples=2)
    assert (found["count"], found["tokens"]) == (3, 2 + 7 + 11)
    assert (found["base_loss"], found["adapter_loss"], found["change"]) == (2.0, 1.5, -0.25)
    assert {name: figures["tokens"] for name, figures in found["by_language"].items()} == {"ko": 2, "en": 18}
    assert list(found["by_category"]) == ["chat", "fact", "summary"]
    assert [sample["adapter"] for sample in found["samples"]] == ["수도는?", "Shorten.\n\nA long text."]
    assert found["samples"][0]["base"] == "?는도수"


def test_evaluation_is_kept_and_reused_until_something_changes(
    store: Store,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []
    real = evaluation.open_adapter
    monkeypatch.setattr(evaluation, "open_adapter", lambda *a, **k: opened.append(1) or real(*a, **k))
    fit(store)
    first = evaluate("adapter", rows)
    assert evaluate("adapter", rows) == first
    assert len(opened) == 1
    evaluate("adapter", rows, samples=1)
    (Path("adapter") / EVALUATION).write_text("half a fi")
    assert evaluate("adapter", rows) == first
    rows.write_text(json.dumps(ROWS[0]), encoding="utf-8")
    assert evaluate("adapter", rows)["count"] == 1
    fit(store, gain=0.1)
    assert evaluate("adapter", rows)["adapter_loss"] == 0.2
    assert len(opened) == 5


@pytest.mark.parametrize(
    "bad",
    [
        f'{{"instruction": "{SECRET}"}}', f'{{"instruction": "{SECRET}", "output": 5}}', f'["{SECRET}"]',
        f'{{"instruction": "{SECRET}', '{"messages": []}', "5",
        f'{{"messages": [{{"role": "user", "content": "{SECRET}"}}]}}',
        f'{{"messages": [{{"role": "assistant", "content": "{SECRET}"}}]}}',
    ],
)  # fmt: skip
def test_row_that_is_none_is_told_by_line_and_never_quoted(here: Path, bad: str) -> None:
    Path("h.jsonl").write_text(f"\n{json.dumps(ROWS[0])}\n{bad}\n")
    with pytest.raises(SourceError) as caught:
        read_rows("h.jsonl")
    assert caught.value.where == "h.jsonl:3"
    assert SECRET not in "".join(caught.value.lines())


def test_file_that_is_none_is_a_source_error(here: Path) -> None:
    Path("empty.jsonl").write_text("\n")
    Path("bytes.jsonl").write_bytes(b"\xff\xfe\xfa")
    Path("folder").mkdir()
    for name in ("empty.jsonl", "bytes.jsonl", "folder", "nowhere.jsonl"):
        with pytest.raises(SourceError) as caught:
            read_rows(name)
        assert (caught.value.where, bool(caught.value.fix)) == (name, True)


def test_folder_without_an_adapter_is_a_train_error(rows: Path) -> None:
    with pytest.raises(TrainError, match="no adapter here"):
        evaluate("nowhere", rows)


def test_command_shows_the_losses_that_json_gives(store: Store, rows: Path) -> None:
    fit(store, gain=0.75)
    told = call("evaluate", "adapter", "--rows", rows, "--samples", 1, "--json")
    assert told.json["adapter_loss"] == 1.5
    shown = call("evaluate", "adapter", "--rows", rows, "--samples", 1)
    assert "-25.0%" in shown.out
    assert "language ko" in shown.out
    answer = call("generate", "adapter", "--prompt", "안녕", "--prompt", "Bye", "--base", "--json").json
    assert answer == [{"prompt": "안녕", "answer": "녕안"}, {"prompt": "Bye", "answer": "eyB"}]
    call("generate", "nowhere", "--prompt", "x").is_an_error(7, "no adapter here")
