"""template: rows rendered all at once are the rows rendered one by one, to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.template import Template
from datakit.stages.template.batches import PlainRows
from datakit.work import as_batch

WORDS = st.text(st.sampled_from("가나ㅋ a1\n\u3000\x1c\u0085🙂é"), max_size=6)
TURNS = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "assistant", "user", "system", "tool", "critic"]), "content": WORDS},
    optional={
        "weight": st.sampled_from([None, None, 0.0, 1.0]),
        "more": st.sampled_from([None, None, '{"name":"김"}']),
    },
)
ASKED = {"role": "user", "content": "가?"}
TALKS = st.lists(TURNS, max_size=4) | st.lists(WORDS.map(lambda word: word + "다"), min_size=1, max_size=3).map(
    lambda words: [turn for word in words for turn in (ASKED, {"role": "assistant", "content": word})]
)
ROWS = st.fixed_dictionaries(
    {"messages": TALKS},
    optional={
        "tools": st.sampled_from([None, '[{"type":"function","function":{"name":"f"}}]']),
        "chosen": st.just([{"role": "assistant", "content": "나"}]),
        "rejected": st.just([{"role": "assistant", "content": "아"}]),
    },
)


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    named = [{**row, "id": f"{n}", "source_id": f"{n}"} for n, row in enumerate(rows)]
    return as_batch(table_from_rows(named, "example"))


def told(stage: Template, batch: pa.RecordBatch) -> Any:
    """Rows and drops, or the error that names a row."""
    try:
        outcome = stage.open(Env())(batch)
    except StageError as error:
        return str(error)
    return outcome.kept.to_pylist(), outcome.drops.to_pylist() if outcome.drops is not None else []


@pytest.mark.parametrize("style", ["chatml", "llama3", "gemma", "vicuna", "qwen"])
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROWS, max_size=6), train_on=st.sampled_from(["assistant", "last", "all", "completion"]))
def test_any_rows_at_once_are_the_rows_one_by_one(style: Any, rows: Any, train_on: Any) -> None:
    stage = Template(style=style, train_on=train_on)
    batch = batch_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainRows, "filled", lambda self, batch: None)
        wanted = told(stage, batch)
    assert told(stage, batch) == wanted


def test_sliced_batch_is_rendered_from_its_own_rows() -> None:
    rows = [{"messages": [ASKED, {"role": "assistant", "content": f"답 {n}"}]} for n in range(5)]
    whole, work = batch_of(rows), Template(style="chatml").open(Env())
    assert work(whole.slice(2, 2)).kept.to_pylist() == work(whole).kept.to_pylist()[2:4]


def test_plain_rows_are_done_at_once_and_others_left() -> None:
    """What makes a row another: each alone is the planted breach that would change a text or a drop."""
    plain = {"messages": [ASKED, {"role": "assistant", "content": "답"}]}
    others: list[dict[str, Any]] = [
        {"messages": [ASKED, {"role": "assistant", "content": "\u3000"}]},
        {"messages": [ASKED, {"role": "assistant", "content": "답", "weight": 0.0}]},
        {"messages": [ASKED, {"role": "assistant", "content": "답", "more": '{"name":"김"}'}]},
        {"messages": [ASKED, {"role": "critic", "content": "답"}]},
        {**plain, "tools": "[]"},
        {**plain, "chosen": [ASKED], "rejected": [ASKED]},
        {"messages": []},
        {"messages": [ASKED]},
    ]
    render: Any = Template(style="chatml")._renderer(Env())
    found = PlainRows(render.skeleton, "assistant").filled(batch_of([plain, *others, plain]))
    assert found is not None
    assert found.rows.tolist() == [True, *[False] * len(others), True]


def test_template_that_looks_into_contents_leaves_rows_to_be_rendered_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    file.write_text("{% for m in messages %}{{ m.content | upper }}<e>{% endfor %}", encoding="utf-8")
    stage: Any = Template(style="jinja", file=str(file), stop="<e>")
    rows = [{"messages": [ASKED, {"role": "assistant", "content": "답"}]}]
    assert PlainRows(stage._renderer(Env()).skeleton, "assistant").filled(batch_of(rows)) is None
