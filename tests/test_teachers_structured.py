"""JSON out of replies: whatever a model puts round it or gets wrong; what is cut is as much as came whole."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.teachers.structured import Parsed, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("가나 \"'\\\n{}[],:abㅋ😀", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("가ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = st.lists(VALUES, min_size=1, max_size=3) | st.dictionaries(st.text("가ab"), VALUES, min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("text", "value", "fault"),
    [
        ('{"질문": "왜?"}', {"질문": "왜?"}, ""),
        ('다음과 같습니다.\n```json\n{"질문": "왜?",}\n```\n도움이 되었기를!', {"질문": "왜?"}, ""),
        ('As [1] says: {"a": [1, 2, 3]}. See [2].', {"a": [1, 2, 3]}, ""),
        ("{'a': True, 'b': None}", {"a": True, "b": None}, ""),
        ("{“질문”： “네”}", {"질문": "네"}, ""),
        ('{"a": "one\ntwo"}', {"a": "one\ntwo"}, ""),
        (r'{"a": "\ud55c \ud83d\ude00 \d",}', {"a": "한 😀 d"}, ""),
        ('<think>{"a": 0} or so</think>{"a": 1}', {"a": 1}, ""),
        ("[]", [], ""),
        ("3", 3, ""),
        ('[{"q": "하나"}, {"q": "둘"}, {"q": "세', [{"q": "하나"}, {"q": "둘"}], "cut"),
        ('{"items": [{"q": "a", "n": 12}, {"q": "b", "n": 1', {"items": [{"q": "a", "n": 12}, {"q": "b"}]}, "cut"),
        ('```json\n{"a": "끝이 없', None, "cut"),
        ('{"a": [], "b": 1, "c": -', {"a": [], "b": 1}, "cut"),
        ('{"a": [], "b": 1, "c": 2.5e', {"a": [], "b": 1}, "cut"),
        ("", None, "empty"),
        ("<think>hm</think>\n", None, "empty"),
        ("죄송하지만 [그것은] 할 수 없습니다.", None, "no_json"),
        ("{{name}} is a template", None, "no_json"),
    ],
)
def test_reply_is_read(text: str, value: Any, fault: str) -> None:
    assert parse_json(text) == Parsed(value, fault)


@given(VALUES)
def test_plain_json_is_itself(value: Any) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False)) == Parsed(value, "")


@given(CONTAINERS, st.sampled_from(["", "답: ", "Here it is.\n```json\n"]), st.sampled_from(["", "\n```", " 끝."]))
def test_prose_and_fences_change_nothing(value: Any, before: str, after: str) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2)):
        assert parse_json(before + text + after) == Parsed(value, "")


@given(CONTAINERS, st.data())
def test_cut_reply_gives_a_part_of_the_whole_and_says_so(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False)
    part, fault = parse_json(text[: data.draw(st.integers(1, len(text) - 1))])
    assert fault in ("cut", "no_json") or text.startswith('"')
    assert part is None or is_part(part, value)


def is_part(part: Any, whole: Any) -> bool:
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and is_part(inner, whole[name]) for name, inner in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(part) <= len(whole) and all(map(is_part, part, whole))
    return bool(part == whole)


@given(st.text("{}[]\",:'ab가1 \\u\n", max_size=60))
def test_nothing_raises_and_nothing_else_is_said(text: str) -> None:
    assert parse_json(text).fault in ("", "empty", "no_json", "cut")


@pytest.mark.parametrize("unit", ["{", "[", '{"a":', "[1,", '"', "{'a':'", '{"a" 1} ', '{"q":"가나다"},'])
def test_a_megabyte_of_anything_is_read_in_time(unit: str) -> None:
    started = time.process_time()
    parse_json("[" + unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 10, "quadratic would take hours"
