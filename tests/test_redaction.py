"""`pii scan` and `pii redact`: places without values, the same rows without personal data, nothing passed through."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from datakit.errors import ConfigError, SourceError, StageError
from datakit.redaction import dumps, loads, redact, scan, texts_of
from datakit.stages.pii import Pii, judge

KOREAN = "담당자: 김민수, 연락처 010-1234-5678로 hong@naver.com으로 주세요."
ROWS: list[dict[str, Any]] = [
    {"id": 7, "text": KOREAN, "stars": 4.5, "note": "hong@naver.com"},
    {
        "messages": [
            {"role": "user", "content": "저는 김민수입니다."},
            {"role": "assistant", "content": "김민수님 반가워요"},
        ]
    },
    {"id": "c", "instruction": "Mail a@b.co.kr", "input": None, "output": "봄이 왔다"},
    {"id": "d", "text": ["no", "text"]},
]


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_scan_tells_places_types_and_rules_but_no_value(tmp_path: Path) -> None:
    found = scan([written(tmp_path / "가.jsonl", ROWS)], stage=Pii())
    assert [one["id"] for one in found.as_json()] == [7, "가.jsonl:2", "c", "d"]
    first = found.documents[0]["spans"]
    assert [KOREAN[span["start"] : span["end"]] for span in first] == ["김민수", "010-1234-5678", "hong@naver.com"]
    assert [span["type"] for span in first] == ["PERSON", "PHONE", "EMAIL"]
    assert all(set(span) == {"start", "end", "type", "rule", "score"} for span in first)
    assert {span["field"] for span in found.documents[1]["spans"]} == {"messages.0.content", "messages.1.content"}
    told = json.dumps(found.as_json(), ensure_ascii=False)
    assert not any(value in told for value in ("김민수", "5678", "hong", "a@b"))
    assert found.counts["EMAIL", "email"] == 2


def test_scan_reads_other_formats_and_a_named_field(tmp_path: Path) -> None:
    (tmp_path / "하나.csv").write_text("id,body\nx,연락처 010-1234-5678\n", encoding="cp949")
    (tmp_path / "둘.txt").write_text(KOREAN, encoding="utf-8")
    csv = scan([str(tmp_path / "하나.csv")], stage=Pii(), text="body")
    assert [(one["id"], len(one["spans"])) for one in csv.documents] == [("x", 1)]
    assert len(scan([str(tmp_path / "둘.txt")], stage=Pii()).documents[0]["spans"]) == 3
    named = scan([written(tmp_path / "a.jsonl", ROWS)], stage=Pii(), text="note")
    assert [len(one["spans"]) for one in named.documents] == [1, 0, 0, 0]


def test_redact_keeps_rows_order_and_other_fields(tmp_path: Path) -> None:
    done = redact(written(tmp_path / "in.jsonl", ROWS), str(tmp_path / "out.jsonl"), stage=Pii())
    out = read(tmp_path / "out.jsonl")
    assert out[0] == {**ROWS[0], "text": "담당자: [이름], 연락처 [전화번호]로 [이메일]으로 주세요."}
    assert [turn["content"] for turn in out[1]["messages"]] == ["저는 [이름]입니다.", "[이름]님 반가워요"]
    assert out[2] == {**ROWS[2], "instruction": "Mail [이메일]"}
    assert out[3] == ROWS[3]
    assert (done.rows, done.written, done.skipped) == (4, 4, 1)
    assert done.values == {"PERSON": 3, "PHONE": 1, "EMAIL": 2}


def test_redact_twice_changes_nothing_and_gz_is_read_and_written(tmp_path: Path) -> None:
    once, twice = tmp_path / "once.jsonl.gz", tmp_path / "twice.jsonl.gz"
    redact(written(tmp_path / "in.jsonl", ROWS), str(once), stage=Pii(operator="surrogate"))
    redact(str(once), str(twice), stage=Pii(operator="surrogate"))
    assert once.read_bytes() == twice.read_bytes()
    assert b"5678" not in gzip.decompress(once.read_bytes())


def test_rows_that_cant_be_searched_are_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MOST", 50)
    rows = [{"text": "봄"}, {"text": "010-1234-5678 " * 60}, {"text": "hong@naver.com"}]
    source = written(tmp_path / "in.jsonl", rows)
    with pytest.raises(StageError, match="1 of 3 rows") as told:
        redact(source, str(tmp_path / "out.jsonl"), stage=Pii())
    assert told.value.where.endswith("line 2")
    assert [row["text"] for row in read(tmp_path / "out.jsonl")] == ["봄", "[EMAIL]"]
    found = scan([source], stage=Pii())
    assert found.unsearched == ["in.jsonl:2"]
    assert len(found.documents) == 2


def test_row_whose_rule_fails_is_left_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(judge: Any, rule: Any, start: int, end: int) -> None:
        raise ValueError(judge.text)

    monkeypatch.setattr(judge.Judge, "_weigh", broken)
    with pytest.raises(StageError) as told:
        redact(written(tmp_path / "in.jsonl", ROWS), str(tmp_path / "out.jsonl"), stage=Pii())
    assert "5678" not in "".join(told.value.lines())
    assert read(tmp_path / "out.jsonl") == ROWS[3:]


def test_broken_line_names_itself_and_leaves_no_output(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "봄"}\n{"text": "010-1234-5678"\n', encoding="utf-8")
    with pytest.raises(SourceError) as told:
        redact(str(source), str(tmp_path / "out.jsonl"), stage=Pii())
    assert told.value.where == "in.jsonl:2"
    found = scan([str(source)], stage=Pii())
    assert (len(found.documents), found.unsearched) == (1, ["in.jsonl:2"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_redact_refuses_to_write_over_what_it_reads(tmp_path: Path) -> None:
    source = written(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(ConfigError, match="the file that is read"):
        redact(source, str(tmp_path / "x" / ".." / "in.jsonl"), stage=Pii())
    assert read(tmp_path / "in.jsonl") == ROWS


def test_redact_refuses_what_is_no_json_lines(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\n봄\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="JSON lines"):
        redact(str(tmp_path / "in.csv"), str(tmp_path / "out.jsonl"), stage=Pii())


def test_texts_are_found_in_every_common_form() -> None:
    row = {
        "conversations": [{"from": "human", "value": "a"}, 3],
        "chosen": "b",
        "rejected": [{"content": "c"}],
        "x": "d",
    }
    texts, skipped = texts_of(row)
    assert [value for _, value in texts] == ["a", "b", "c"]
    assert skipped == 1


@pytest.mark.parametrize(
    "line", ['{"id": 12345678901234567890123, "x": NaN}', '{"id": "\\ud83d", "x": [null, 1.5, 1e300]}', '{"봄": true}']
)
def test_other_fields_survive_whatever_json_they_hold(line: str) -> None:
    row = loads(line.encode())
    assert repr(loads(dumps(row))) == repr(row) == repr(json.loads(line))
