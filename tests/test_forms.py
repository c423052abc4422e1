"""Forms: what a file says in a form comes back from `export` as it was read, and no file is taken for another form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import SourceError, StageError
from datakit.outcome import Drop
from datakit.runner import apply
from datakit.stage import Env
from datakit.stages.export import Export
from datakit.stages.export.forms import as_form
from datakit.stages.ingest import Ingest
from datakit.stages.ingest.forms import FORMS, NEEDED
from datakit.turns import packed, texts_within, with_texts

TEXT = st.text(st.sampled_from('가나 ab\n\t🙂é<|im_end|>{}"'), min_size=1, max_size=10)
WORDS = TEXT.filter(str.strip)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT, "type": st.just("function"),
         "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT | st.dictionaries(TEXT, TEXT, max_size=2)})}
    ),
    min_size=1, max_size=2,
)  # fmt: skip
PARTS = st.lists(TEXT.map(lambda text: {"type": "text", "text": text}), min_size=1, max_size=3)
SPOKEN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "developer", "Human"]), "content": TEXT | PARTS},
    optional={"weight": st.sampled_from([0, 1]), "name": TEXT, "tool_call_id": TEXT},
)
CALLING = st.fixed_dictionaries(
    {"role": st.just("assistant"), "tool_calls": CALLS}, optional={"content": st.none() | TEXT, "weight": st.just(1.0)}
)
TURNS = st.lists(SPOKEN | CALLING, min_size=1, max_size=4)
TOOLS = st.lists(
    st.fixed_dictionaries({"type": st.just("function"), "function": st.dictionaries(TEXT, TEXT)}), min_size=1
)
SHAREGPT = st.lists(
    st.fixed_dictionaries(
        {"from": st.sampled_from(["human", "gpt", "system", "observation", "function_call", "chatgpt"]), "value": TEXT}
    )
    | SPOKEN.filter(lambda turn: isinstance(turn["content"], str)),
    min_size=1, max_size=4,
)  # fmt: skip
SIDE = WORDS | TURNS | SPOKEN
ROWS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "alpaca": st.fixed_dictionaries(
        {"instruction": WORDS, "output": WORDS}, optional={"input": st.just("") | WORDS, "system": WORDS}
    ),
    "sharegpt": st.fixed_dictionaries({"conversations": SHAREGPT}, optional={"system": TEXT, "tools": TOOLS | WORDS}),
    "messages": st.fixed_dictionaries({"messages": TURNS}, optional={"tools": TOOLS | WORDS}),
    "completion": st.fixed_dictionaries({"prompt": SIDE, "completion": SIDE}, optional={"tools": TOOLS | WORDS}),
    "preference": st.fixed_dictionaries(
        {"chosen": SIDE, "rejected": SIDE}, optional={"prompt": SIDE, "tools": TOOLS | WORDS}
    ),
}


def read(form: str, row: dict[str, Any]) -> dict[str, Any]:
    """One row as ingest makes it: its core columns, and Alpaca's own as `source.` columns."""
    body = FORMS[form]({name: [value] for name, value in row.items()}, {})
    assert not isinstance(body.values[0], Drop), body.values[0]
    turns = {
        name: [{"weight": None, "more": None, **turn} for turn in body.values[0].get(name) or ()]
        for name in ("messages", "chosen", "rejected")
    }
    extra = {f"source.{name}": values[0] for name, values in body.extra.items()}
    return {"id": "a", **body.values[0], **turns, **extra}


@pytest.mark.parametrize("form", list(ROWS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_round_trip_any_row_comes_back_as_it_was(form: str, data: st.DataObject) -> None:
    row = data.draw(ROWS[form])
    assert as_form(read(form, row), form) == row


def test_round_trip_of_dpo_layouts() -> None:
    """TRL's: texts or messages, with a prompt or with it inside both answers; LLaMA-Factory's: one turn each."""
    ask, good, bad = (
        {"role": r, "content": c} for r, c in (("user", "물음"), ("assistant", "좋음"), ("assistant", "나쁨"))
    )
    for row in (
        {"prompt": "물음", "chosen": "좋음", "rejected": "나쁨"},
        {"chosen": "좋음", "rejected": "나쁨"},
        {"prompt": [ask], "chosen": [good], "rejected": [bad]},
        {"chosen": [ask, good], "rejected": [ask, bad]},
        {"prompt": [ask], "chosen": [ask, good], "rejected": [ask, bad]},
        {"prompt": [ask], "chosen": good, "rejected": bad},
    ):
        found = read("preference", row)
        assert as_form(found, "preference") == row
        assert [turn["content"] for turn in (*found["chosen"], *found["rejected"])] == ["좋음", "나쁨"]


def test_round_trip_of_a_row_that_was_rewritten_keeps_the_new_text() -> None:
    """What `pii` took out of a message must not come back from the columns that the file had."""
    row = read("alpaca", {"instruction": "kim@example.com에게", "input": "010-1234-5678", "output": "네"})
    row["messages"][0]["content"] = "<EMAIL>에게\n\n<PHONE>"
    assert as_form(row, "alpaca") == {"instruction": "<EMAIL>에게\n\n<PHONE>", "output": "네"}
    row["messages"][0]["content"] = "<EMAIL>에게\n\n010-1234-5678"
    assert as_form(row, "alpaca")["instruction"] == "<EMAIL>에게"


def test_round_trip_through_files_keeps_rows_and_their_other_columns(here: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "서울 날씨?"}, {"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "서울"}'}}]},
            {"role": "tool", "tool_call_id": "1", "content": "맑음"}, {"role": "assistant", "content": "맑아요 🙂"}],
         "topic": "날씨"},
        {"messages": [{"role": "developer", "content": "짧게"}, {"role": "user", "content": "안녕"},
                      {"role": "assistant", "content": "네"}], "topic": "인사"},
    ]  # fmt: skip
    (here / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    apply([Ingest(files="in.jsonl", form="messages"), Export(path="out", format="jsonl", form="messages")], [])
    [path] = (here / "out").glob("train-*.jsonl")
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [_without_nulls(row) for row in told] == rows


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def test_form_that_cannot_hold_a_row_is_an_error_that_names_it() -> None:
    row = read("messages", {"messages": [{"role": "user", "content": "a"}]})
    for form in ("alpaca", "preference", "completion"):
        with pytest.raises(StageError, match=f"form {form}") as caught:
            as_form(row, form)
        assert caught.value.where == "row a"


def test_turn_texts_inside_calls_can_be_rewritten() -> None:
    more = packed({"tool_calls": [{"function": {"name": "mail", "arguments": {"to": "kim@a.kr"}}}], "@role": "gpt"})
    assert "kim@a.kr" in texts_within(more)
    assert "gpt" not in texts_within(more)
    masked = with_texts(more, iter([text.replace("kim@a.kr", "<EMAIL>") for text in texts_within(more)]))
    assert masked == (more or "").replace("kim@a.kr", "<EMAIL>")


# auto


def test_auto_reads_each_file_by_its_columns_and_says_so(here: Path) -> None:
    told: list[str] = []
    (here / "a.jsonl").write_text(json.dumps({"instruction": "물음", "output": "답"}), encoding="utf-8")
    (here / "b.jsonl").write_text(json.dumps({"prompt": "물음", "completion": "답"}), encoding="utf-8")
    (here / "c.jsonl").write_text(json.dumps({"q": "물음", "chosen": "답", "rejected": "아니"}), encoding="utf-8")
    stage = Ingest(files=["a.jsonl", "b.jsonl", "c.jsonl"], form="auto", columns={"prompt": "q"})
    with pytest.raises(SourceError, match="fit no form"):
        apply(stage, [])  # `prompt` is called q now, so b has a completion only
    stage = Ingest(files=["a.jsonl", "b.jsonl", "c.jsonl"], form="auto")
    [found] = stage.read_group(stage.sources(), Env(tell=told.append))
    contents = [[turn["content"] for turn in row["messages"]] for row in found.kept.to_pylist()]
    assert contents == [["물음", "답"], ["물음", "답"], []]
    assert any("form alpaca (instruction, output)" in line for line in told)
    assert found.counters["form.preference"] == 1


@pytest.mark.parametrize(
    "columns", [{"messages": [], "conversations": []}, {"chosen": "a", "rejected": "b", "messages": []}]
)
def test_auto_columns_that_fit_two_forms_are_an_error_that_names_the_setting(here: Path, columns: Any) -> None:
    (here / "a.jsonl").write_text(json.dumps(columns), encoding="utf-8")
    with pytest.raises(SourceError, match="fit the forms") as caught:
        apply(Ingest(files="a.jsonl", form="auto"), [])
    assert "`form`" in caught.value.fix


@pytest.mark.parametrize("form", list(NEEDED))
def test_columns_may_have_other_names_in_every_form(here: Path, form: str) -> None:
    turns = [{"role": "user", "content": "물음"}, {"role": "assistant", "content": "답"}]
    values: dict[str, Any] = {"messages": turns, "conversations": [{"from": "human", "value": "물음"}]}
    row = {f"my_{part}": values.get(part, "물음") for part in NEEDED[form]}
    (here / "a.jsonl").write_text(json.dumps(row), encoding="utf-8")
    names = {part: f"my_{part}" for part in NEEDED[form]}
    found = apply(Ingest(files="a.jsonl", form=form, columns=names), [])
    assert found.rows.num_rows == 1
    assert not [name for name in found.rows.column_names if name.startswith("source.my_")]
