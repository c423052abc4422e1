# ruff: noqa: E501
"""Reviews go out and come back: ids stay, edits are taken, nothing is read as a formula, bad files are named."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit import api
from datakit.errors import ConfigError, SourceError
from datakit.reviewing import COLUMNS, _cell
from datakit.runner import apply
from datakit.stages.review import KEPT, REJECTED, Review, read_reviews
from tests.command_line import call, pipeline_file
from tests.recipes import example

ROWS = [
    {"instruction": "=SUM(A1)이 무슨 뜻인가요?", "input": "", "output": "A1의 값을 더하라는 뜻입니다."},
    {"instruction": "다음 문장을 존댓말로 바꿔 주세요.", "input": "밥 먹었어?\n어디 가?", "output": "식사하셨어요?\n어디 가세요?"},
    {"instruction": "Name three fruits, with commas.", "input": "", "output": 'Apple, "pear", plum'},
]  # fmt: skip


@pytest.fixture
def dataset(here: Path) -> str:
    Path("rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    template = "{use: template, style: alpaca-ko}"
    api.run(pipeline_file("{use: ingest, files: rows.jsonl, form: alpaca}", "pii", template, name="e"))
    return "e"


def table(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"), newline="")))


def filled(path: str, rows: list[dict[str, str]], encoding: str = "utf-8-sig", delimiter: str = ",") -> str:
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_csv_opens_in_korean_excel_and_keeps_ids(dataset: str) -> None:
    told = api.review_export(dataset, "out/r.csv")
    assert told["rows"] == 3
    data = Path("out/r.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = table("out/r.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == [row["id"] for row in api.show(dataset, rows=9)]
    assert rows[0]["question"] == "'=SUM(A1)이 무슨 뜻인가요?", "no cell is a formula"
    assert rows[1]["question"].endswith("밥 먹었어?\n어디 가?")
    assert {row["dataset"] for row in rows} == {told["dataset"]}


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8-sig", ","), ("cp949", ","), ("utf-8", ";"), ("utf-16", "\t")]
)
def test_verdicts_and_edits_come_back_and_lineage_stays(dataset: str, encoding: str, delimiter: str) -> None:
    api.review_export(dataset, "r.csv")
    rows = table("r.csv")
    rows[0]["verdict"], rows[0]["comment"] = "탈락", "수식 이야기는 빼자"
    rows[1]["edited_answer"] = "진지 드셨어요?\n어디 가세요?"
    rows[2]["verdict"], rows[2]["edited_question"] = "OK", "Name three fruits."
    told = api.review_import(filled("r.csv", rows, encoding, delimiter))
    assert (told["rows"], told["edited"], told["rejected"]) == (2, 2, 1)
    assert told["dataset"].startswith("e@")
    found = {row["id"]: row for row in api.show("e", rows=9)}
    second, third = found[rows[1]["id"]], found[rows[2]["id"]]
    assert second["messages"][1]["content"] == "진지 드셨어요?\n어디 가세요?"
    assert "진지 드셨어요?" in second["text"], "what stands behind is made anew"
    assert third["messages"][0]["content"] == "Name three fruits."
    assert second["source_id"] == "rows.jsonl:2"
    assert second["review.verdict"] == "edited"
    story = api.why(rows[0]["id"])
    assert "rejected" in json.dumps(api.as_json(story), ensure_ascii=False)


def test_jsonl_round_trip_without_a_change_changes_nothing(dataset: str) -> None:
    before = api.show(dataset, rows=9)
    api.review_export(dataset, "r.jsonl")
    told = api.review_import("r.jsonl")
    assert told["unreviewed"] == 3
    after = api.show("e", rows=9)
    assert [(row["id"], row["messages"]) for row in after] == [(row["id"], row["messages"]) for row in before]


def test_entry_stands_before_template_and_may_be_kept_in_the_file(dataset: str) -> None:
    api.review_export(dataset, "r.jsonl")
    entry = api.review_import("r.jsonl")["entry"]
    assert json.loads(entry) == {"use": "review", "file": "r.jsonl"}
    stages = [stage.id for stage in api.run("e.yaml").manifest.stages]
    assert stages == ["ingest", "pii", "template"], "the file itself is as it was"
    with_it = pipeline_file(
        "{use: ingest, files: rows.jsonl, form: alpaca}", "pii", entry, "{use: template, style: alpaca-ko}", name="e"
    )
    assert api.run(with_it).run.ran == 0


def test_second_export_of_equal_rows_is_left_alone_and_work_is_never_overwritten(dataset: str) -> None:
    api.review_export(dataset, "r.csv")
    api.review_export(dataset, "r.csv")
    rows = table("r.csv")
    rows[0]["verdict"] = "ok"
    filled("r.csv", rows)
    with pytest.raises(ConfigError, match="there already"):
        api.review_export(dataset, "r.csv")
    assert table("r.csv")[0]["verdict"] == "ok"
    assert not Path("r.csv.tmp").exists()


def test_text_from_before_pii_needs_raw(dataset: str) -> None:
    api.run(pipeline_file("{use: ingest, files: rows.jsonl, form: alpaca}", name="bare"))
    call("review", "export", "bare", "b.csv").is_an_error(2, "no `pii` stage", "--raw")
    assert call("review", "export", "bare", "b.csv", "--raw").code == 0
    call("review", "export", "e", "b.xlsx").is_an_error(2, "neither .csv nor .jsonl")


# The stage


def reviewed(tmp_path: Path, *rows: dict[str, Any], **settings: Any) -> Any:
    file = tmp_path / "r.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return apply(Review(file=str(file), **settings), [example("질문", "답", f"e{n}") for n in range(3)], kind="example")


def test_rows_that_nobody_judged_are_kept_or_dropped_as_told(tmp_path: Path) -> None:
    verdicts = ({"id": "e0", "verdict": "ok"}, {"id": "e1", "verdict": "x"}, {"id": "nobody", "verdict": "ok"})
    kept = reviewed(tmp_path, *verdicts)
    assert [row["id"] for row in kept.rows.to_pylist()] == ["e0", "e2"]
    dropped = reviewed(tmp_path, *verdicts, unreviewed="drop")
    assert [(row["id"], row["rule"]) for row in dropped.drops.to_pylist()] == [("e1", "rejected"), ("e2", "unreviewed")]
    assert dropped.stats.counters == {"accepted": 1, "rejected": 1, "unreviewed": 1}


def test_edit_of_a_conversation_meets_first_question_and_last_answer(tmp_path: Path) -> None:
    turns = [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
    row = {
        "id": "t",
        "messages": [{"role": role, "content": text} for role, text in turns],
        "synthesize.instruction": "q1",
    }
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"id": "t", "edited_question": "Q", "edited_answer": "A"}))
    [found] = apply(Review(file=str(file)), [row], kind="example").rows.to_pylist()
    assert [turn["content"] for turn in found["messages"]] == ["s", "Q", "a1", "q2", "A"]
    assert found["synthesize.instruction"] is None


def test_edit_of_a_preference_row_meets_the_chosen_answer(tmp_path: Path) -> None:
    sides = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    row = {"id": "p", "messages": [{"role": "user", "content": "q"}], **sides}
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"id": "p", "edited_answer": "better"}))
    [found] = apply(Review(file=str(file)), [row], kind="example").rows.to_pylist()
    assert (found["chosen"][0]["content"], found["rejected"][0]["content"]) == ("better", "rejected")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("r.csv", "id,verdict\ne0,maybe\n", "an unknown verdict"), ("r.csv", "verdict\nok\n", "has no id"), ("r.csv", "id,verdict\n,ok\n", "has no id"),
        ("r.csv", "id,verdict\ne0,ok\ne0,x\n", "judged twice"), ("r.jsonl", '{"id": "e0"\n', "no JSON object"), ("r.jsonl", "[]\n", "no JSON object"),
        ("r.csv", b"\xff\xff\x80", "neither UTF-8 nor CP949"),
    ],
)  # fmt: skip
def test_bad_file_is_named_before_a_row_is_read(tmp_path: Path, name: str, data: str | bytes, told: str) -> None:
    file = tmp_path / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(SourceError, match=told) as caught:
        read_reviews(str(file))
    assert str(file) in caught.value.where
    [problem] = Review(file=str(file)).problems()
    assert told in problem.message


def test_file_about_no_dataset_or_two_is_refused(dataset: str) -> None:
    Path("r.csv").write_text("id,verdict\na,ok\n")
    call("review", "import", "r.csv").is_an_error(3, "which dataset is it about?")
    Path("r.csv").write_text("id,dataset\na,e@1\nb,f@1\n")
    call("review", "import", "r.csv").is_an_error(3, "which dataset is it about?")
    call("review", "import", "no.csv").is_an_error(3, "can't be read", "no.csv")


def test_verdict_words_are_apart() -> None:
    assert not KEPT & REJECTED


@given(st.text(max_size=20), st.from_regex(r"[0-9a-f]{32}", fullmatch=True))
def test_no_cell_is_a_formula_and_every_id_comes_back(text: str, own: str) -> None:
    assert not _cell("question", text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert _cell("id", own).lstrip("'") == own
    assert not _cell("id", "12345678901234567890123456789e12").isdigit()
