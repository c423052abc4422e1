"""Named templates against the published files that TRL ships, and skeletons against full renderings."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.runner import apply
from datakit.schemas import Message
from datakit.stages.template import Template
from datakit.stages.template.chat import ChatTemplate, Refused, Unverified, _compiled
from datakit.stages.template.formats import ALPACAS
from datakit.stages.template.named import NAMED
from datakit.stages.template.skeletons import is_opaque
from datakit.turns import packed

ROOT = Path(__file__).parents[1]
PUBLISHED = {"qwen": "qwen2_5", "llama3": "llama3", "gemma": "gemma"}
BOS = {"qwen": "", "llama3": "<|begin_of_text|>", "gemma": "<bos>"}
TEXTS = st.text(st.sampled_from("가나 ab\n\t🙂<|>é"), min_size=1, max_size=12)
TALKS = st.tuples(st.none() | TEXTS, st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
CALL = packed({"tool_calls": [{"type": "function", "function": {"name": "날씨", "arguments": '{"city": "서울"}'}}]})


def turns_of(talk: tuple[str | None, list[tuple[str, str]]]) -> list[Message]:
    turns = [Message(role, text) for pair in talk[1] for role, text in zip(("user", "assistant"), pair, strict=True)]
    return turns if talk[0] is None else [Message("system", talk[0]), *turns]


def published(style: str) -> str:
    folder = next(ROOT.glob(".peers/trl/lib/python3*/site-packages/trl/chat_templates"), None)
    if folder is None:
        pytest.skip("TRL is not installed in .peers")
    return (folder / f"{PUBLISHED[style]}.jinja").read_text(encoding="utf-8")


def rendering(source: str, turns: list[Message], bos: str, **more: Any) -> str | None:
    """What the template itself writes; None if it refuses."""
    try:
        return ChatTemplate(source, {"bos_token": bos}, ())._text(turns, [turn.content for turn in turns], None, **more)
    except Refused:
        return None


@pytest.mark.parametrize("style", list(PUBLISHED))
@settings(max_examples=80, deadline=None)
@given(talk=TALKS)
def test_named_template_gives_the_published_text(style: str, talk: Any) -> None:
    source, turns = published(style), turns_of(talk)
    for more in ({}, {"add_generation_prompt": True}):
        wanted = rendering(source, turns, BOS[style], **more)
        assert rendering(NAMED[style].jinja, turns, "", **more) == wanted


def test_qwen_writes_tools_and_calls_as_published() -> None:
    turns = [Message("user", "날씨?"), Message("assistant", "볼게요", None, CALL), Message("tool", "맑음")]
    turns = [*turns, Message("tool", "25도"), Message("assistant", "맑아요")]
    tools = '[{"type":"function","function":{"name":"날씨"}}]'
    ours, theirs = (ChatTemplate(source, {}, ("<|im_end|>",)) for source in (NAMED["qwen"].jinja, published("qwen")))
    found = ours.render(turns, tools)
    assert found.text == theirs._text(turns, [turn.content for turn in turns], tools)
    learned = [found.text[a:b] for _, (a, b) in sorted(found.answers.items())]
    assert learned[1] == "맑아요<|im_end|>"
    assert learned[0].startswith("볼게요\n<tool_call>")
    assert learned[0].endswith("</tool_call><|im_end|>")


def test_vicuna_is_one_line_as_fastchat_writes_it() -> None:
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, "abcd", strict=True)]
    found = apply(Template(style="vicuna"), [{"messages": turns}], kind="example").rows.to_pylist()[0]
    assert found["text"].endswith("user's questions. USER: a ASSISTANT: b</s>USER: c ASSISTANT: d</s>")
    assert [found["text"][s["start"] : s["end"]] for s in found["trained"]] == [" b</s>", " d</s>"]


def test_koalpaca_is_the_published_text() -> None:
    turns = [{"role": "user", "content": "번역해 줘.\n\nhello"}, {"role": "assistant", "content": "안녕"}]
    row = {"messages": turns, "source.instruction": "번역해 줘.", "source.input": "hello"}
    found = apply(Template(style="koalpaca"), [row], kind="example").rows.to_pylist()[0]
    assert found["text"] == (
        "Below is an instruction that describes a task, paired with an input that provides further context.\n"
        "아래는 작업을 설명하는 명령어와 추가적 맥락을 제공하는 입력이 짝을 이루는 예제입니다.\n\n"
        "Write a response that appropriately completes the request.\n요청을 적절히 완료하는 응답을 작성하세요.\n\n"
        "### Instruction(명령어):\n번역해 줘.\n\n### Input(입력):\nhello\n\n### Response(응답):안녕"
    )
    assert set(ALPACAS) == {"alpaca", "koalpaca", "alpaca-ko"}


# Skeletons


@pytest.mark.parametrize("style", list(NAMED))
@settings(max_examples=60, deadline=None)
@given(talks=st.lists(TALKS, min_size=2, max_size=4))
def test_skeleton_of_any_talk_gives_the_full_rendering(style: str, talks: Any) -> None:
    one = ChatTemplate(NAMED[style].jinja, {}, (NAMED[style].stop,))
    assert one._opaque
    for turns in map(turns_of, talks):
        if not all(turn.content.strip() for turn in turns):
            continue  # a blank turn has no skeleton
        try:
            full = one._fully(turns, None)
        except Refused:
            continue
        assert one.render(turns) == full
        assert one.render(turns) == full  # the second time from its skeleton


LOOKING = (
    "{% if 'a' in messages[0].content %}x{% endif %}",
    "{% if messages[0].content == 'a' %}x{% endif %}",
    "{{ messages[0].content.split('a')[0] }}",
    "{{ messages[0].content | length }}",
    "{% set t = 'x' + messages[0].content %}{% if 'a' in t %}y{% endif %}",
    "{{ messages[0].content[0] }}",
    "{{ messages[0] | tojson }}",
    "{% if messages[0].content is sequence %}x{% endif %}",
)
HIDING = (
    "{% if messages[0].content in 'abc' %}x{% endif %}",
    "{{ messages[0].content | upper }}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(messages[0].content) }}",
    "{% set t %}{{ messages[0].content }}{% endset %}{% if 'a' in t %}x{% endif %}",
    "{% set t = 'x' ~ messages[0].content %}{% if 'a' in t %}y{% endif %}",
    "{{ '%s' % messages[0].content }}",
    "{{ 'abc'.startswith(messages[0].content) }}",
)


@pytest.mark.parametrize("look", [*LOOKING, *HIDING])
def test_template_that_looks_into_contents_gets_no_skeleton(look: str) -> None:
    """The planted breaches: what such a template writes depends on the words, so no skeleton may stand for it."""
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}" + look
    one = ChatTemplate(source, {}, ("<end>",))
    assert one._opaque == (look in LOOKING)
    for words in ("abc", "나", "a"):
        turns = [Message("user", words), Message("assistant", "답")]
        told = one._text(turns, [turn.content for turn in turns], None)
        with suppress(Unverified):  # where it writes a text twice
            assert one.render(turns).text == told
    assert not any(one._skeletons.values())


@pytest.mark.parametrize("style", list(NAMED))
def test_named_templates_are_opaque(style: str) -> None:
    assert is_opaque(_compiled(NAMED[style].jinja)[1])
