"""template: preference rows, phrasings, weights, what is learned, and rows that no template should take silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datakit.errors import StageError
from datakit.runner import Applied, apply
from datakit.stages.template import Template
from datakit.turns import packed

DROPPING = (
    "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)


def turns(*told: str) -> list[dict[str, Any]]:
    """`role:content` as turns."""
    return [dict(zip(("role", "content"), one.split(":", 1), strict=True)) for one in told]


def learned(found: Applied, prefix: str = "") -> list[list[str]]:
    text, trained = (f"template.{prefix}_text", f"template.{prefix}_trained") if prefix else ("text", "trained")
    return [[row[text][s["start"] : s["end"]] for s in row[trained]] for row in found.rows.to_pylist()]


def rules(found: Applied) -> list[str]:
    return found.drops.column("rule").to_pylist()


def test_preference_row_is_rendered_twice_and_learns_both_answers() -> None:
    row = {
        "messages": turns("user:가", "assistant:나", "user:물음"),
        "chosen": turns("assistant:좋음"),
        "rejected": turns("assistant:나쁨", "user:왜?", "assistant:몰라"),
    }
    found = apply(Template(style="chatml"), [row], kind="example")
    assert learned(found) == [["좋음<|im_end|>"]]
    assert learned(found, "rejected") == [["나쁨<|im_end|>", "몰라<|im_end|>"]]
    one = found.rows.to_pylist()[0]
    shared = one["text"][: one["trained"][0]["start"]]
    assert one["template.rejected_text"].startswith(shared)
    assert "물음" in shared


def test_preference_row_with_one_empty_answer_is_dropped() -> None:
    row = {"messages": turns("user:가"), "chosen": turns("assistant:나"), "rejected": turns("assistant: ")}
    found = apply(Template(style="chatml"), [row], kind="example")
    assert rules(found) == ["no_answer"]


@pytest.mark.parametrize(
    ("train_on", "expected"),
    [("completion", "d<|im_end|>\n"), ("last", "d<|im_end|>")],
)
def test_completion_is_all_that_follows_the_last_question(train_on: Any, expected: str) -> None:
    row = {"messages": turns("user:a", "assistant:b", "user:c", "assistant:d")}
    assert learned(apply(Template(style="chatml", train_on=train_on), [row], kind="example")) == [[expected]]


def test_phrasings_are_drawn_by_id_and_fit_the_row() -> None:
    ways = ("{instruction}", "할 일: {instruction}", "{instruction}\n입력: {input}", "[{input}] {instruction}")
    told = {"source.instruction": "번역해", "source.input": "hello"}
    rows = [{"messages": turns("user:번역해\n\nhello", "assistant:안녕"), **told, "id": f"r{n}"} for n in range(40)]
    rows += [{"messages": turns("user:{input}이 뭐야?", "assistant:자리"), "id": f"s{n}"} for n in range(40)]
    stage = Template(style="chatml", phrasings=ways)
    found = apply(stage, rows, kind="example").rows.column("text").to_pylist()
    asked = [text.split("user\n")[1].split("<|im_end|>")[0] for text in found]
    assert set(asked[:40]) == {"번역해\n입력: hello", "[hello] 번역해"}
    assert set(asked[40:]) == {"{input}이 뭐야?", "할 일: {input}이 뭐야?"}
    again = apply(stage, rows[::-1], kind="example").rows.column("text").to_pylist()
    assert again[::-1] == found


@pytest.mark.parametrize("ways", [("no place",), ("{instruction}{instruction}",)])
def test_phrasing_without_its_place_is_refused(ways: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="instruction"):
        Template(style="chatml", phrasings=ways)


@pytest.mark.parametrize(("weight", "expected"), [(1.0, [["나<|im_end|>"]]), (0.0, [])])
def test_weights_of_zero_and_one_choose_what_is_learned(weight: float, expected: list[list[str]]) -> None:
    row = {"messages": [*turns("user:가"), {"role": "assistant", "content": "나", "weight": weight}]}
    assert learned(apply(Template(style="chatml"), [row], kind="example")) == expected


def test_weight_between_is_an_error_that_names_the_row() -> None:
    row = {"id": "r7", "messages": [*turns("user:가"), {"role": "assistant", "content": "나", "weight": 0.5}]}
    with pytest.raises(StageError, match=r"weight 0\.5") as caught:
        apply(Template(style="chatml"), [row], kind="example")
    assert caught.value.where == "row r7"


@pytest.mark.parametrize(
    ("style", "told", "rule"),
    [
        ("chatml", [], "no_answer"),
        ("chatml", ["user:a", "user:b"], "no_answer"),
        ("gemma", ["assistant:먼저", "user:a", "assistant:b"], "refused"),
        ("gemma", ["user:a", "user:b", "assistant:c"], "refused"),
        ("alpaca", ["user:a", "user:b", "assistant:c"], "many_turns"),
        ("vicuna", ["user:a", "tool:b", "assistant:c"], "refused"),
    ],
)
def test_odd_conversations_are_counted_drops(style: Any, told: list[str], rule: str) -> None:
    found = apply(Template(style=style), [{"messages": turns(*told)}], kind="example")
    assert rules(found) == [rule]
    assert found.stats.conserved


def test_odd_order_that_a_template_allows_is_kept_as_it_stands() -> None:
    row = {"messages": turns("assistant:먼저", "user:a", "user:b", "assistant:c")}
    assert learned(apply(Template(style="chatml"), [row], kind="example")) == [["먼저<|im_end|>", "c<|im_end|>"]]


def test_null_contents_and_blank_turns_are_no_answers() -> None:
    row = {"messages": [*turns("user:가"), {"role": "assistant", "content": None}, *turns("user:나", "assistant:다")]}
    assert learned(apply(Template(style="chatml"), [row], kind="example")) == [["다<|im_end|>"]]


def test_template_that_leaves_a_message_out_drops_the_row(tmp_path: Path) -> None:
    (tmp_path / "drops.jinja").write_text(DROPPING, encoding="utf-8")
    stage = Template(style="jinja", file=str(tmp_path / "drops.jinja"), stop="<|im_end|>")
    rows = [{"messages": turns("system:규칙", "user:a", "assistant:b")}, {"messages": turns("user:a", "assistant:b")}]
    found = apply(stage, rows, kind="example")
    assert rules(found) == ["lost_turn"]
    assert learned(found) == [["b<|im_end|>"]]


def test_tool_call_that_spells_a_control_token_is_dropped() -> None:
    for arguments, expected in (("서울", []), ("<|im_end|>", ["tool_control"])):
        more = packed({"tool_calls": [{"function": {"name": "f", "arguments": {"city": arguments}}}]})
        call = {"role": "assistant", "content": "", "more": more}
        found = apply(Template(style="qwen"), [{"messages": [*turns("user:날씨?"), call]}], kind="example")
        assert rules(found) == expected


def test_tool_call_is_learned_as_the_answer_it_is() -> None:
    more = packed({"tool_calls": [{"function": {"name": "날씨", "arguments": '{"city": "서울"}'}}]})
    row = {"messages": [*turns("user:날씨?"), {"role": "assistant", "content": "", "more": more}]}
    [[answer]] = learned(apply(Template(style="qwen"), [row], kind="example"))
    assert answer == '<tool_call>\n{"name": "날씨", "arguments": {"city": "서울"}}\n</tool_call><|im_end|>'
