"""template: published texts to the letter, spans to the character, and the tokenizer's own rendering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.cache import cache_folder
from datakit.errors import ConfigError, StageError
from datakit.runner import Applied, apply
from datakit.schemas import Message
from datakit.stages.template import Template
from datakit.stages.template.chat import ChatTemplate, Unverified, _compiled
from datakit.stages.template.formats import ALPACAS, alpaca, cut

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content | trim }} </s>{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and not loop.last %}"
    "{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BLOCKS = (
    "{% for m in messages %}{% if m.role == 'assistant' %}A: {% generation %}{{ m.content }}<end>{% endgeneration %}\n"
    "{% else %}U: {{ m.content }}\n{% endif %}{% endfor %}"
)
COPYING = "{% for m in messages | reverse %}{{ m.content }} / {{ m.content }}\n{% endfor %}"
GEMMA_LIKE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA3_LIKE = (
    "{% for m in messages %}{% set text = '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim"
    " + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}"
)
STUMBLING = (
    "{% for m in messages %}{% if m.content[0] > '힣' %}{{ raise_exception('no') }}{% endif %}{% endfor %}" + CHATML
)
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
STOPS = ("<|im_end|>", "<end>", "</s>", "<|im_start|>", "<end_of_turn>", "<start_of_turn>", "<|eot_id|>", "<s>")
TEXTS = st.text(st.sampled_from("가나 ab\n\t🙂<|>🇰🇷é"), max_size=12)
TALKS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4)


def talk(*contents: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    turns = [{"role": roles[n % 2], "content": text, "weight": None} for n, text in enumerate(contents)]
    return {"messages": turns, **more}


def turns_of(pairs: list[tuple[str, str]]) -> list[Message]:
    return [Message(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]


def learned(applied: Applied, column: str = "trained") -> list[list[str]]:
    return [[row["text"][s["start"] : s["end"]] for s in row[column]] for row in applied.rows.to_pylist()]


def rendered(source: str, pairs: list[tuple[str, str]], **named: str) -> list[str]:
    found = ChatTemplate(source, named, STOPS).render(turns_of(pairs))
    return [found.text[start:end] for _, (start, end) in sorted(found.answers.items())]


def test_alpaca_without_input_is_the_published_text() -> None:
    found = apply(Template(style="alpaca"), [talk("Name the capital of Korea.", "Seoul.")], kind="example")
    assert found.rows.column("text").to_pylist() == [
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nName the capital of Korea.\n\n### Response:Seoul."
    ]
    assert learned(found) == [["Seoul."]]


@pytest.mark.parametrize("prefix", ["source", "synthesize"])
def test_alpaca_with_input_is_the_published_text(prefix: str) -> None:
    named = {f"{prefix}.instruction": "Translate.", f"{prefix}.input": "안녕하세요"}
    found = apply(Template(style="alpaca"), [talk("Translate.\n\n안녕하세요", "Hello", **named)], kind="example")
    assert found.rows.column("text").to_pylist() == [
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request."
        "\n\n### Instruction:\nTranslate.\n\n### Input:\n안녕하세요\n\n### Response:Hello"
    ]
    assert learned(found, "template.contents") == [["Translate.", "안녕하세요", "Hello"]]


def test_alpaca_message_rewritten_after_ingest_keeps_the_rewritten_text() -> None:
    """The source's own columns may still hold what `pii` took out of the message: they must never be printed."""
    named = {"source.instruction": "Write to kim@example.com.", "source.input": "and to 010-1234-5678"}
    for message in ("Write to <EMAIL>.\n\nand to <PHONE>", "Write to <EMAIL>.\n\nand to 010-1234-5678"):
        found = apply(Template(style="alpaca"), [talk(message, "Done", **named)], kind="example")
        assert "kim@" not in found.rows.column("text")[0].as_py()
    assert cut("지시\n\n입력 하나", ("지시", "입력 둘")) == ("지시", "입력 하나")
    assert cut("지시 하나", ("지시", "")) == ("지시 하나", "")


def test_alpaca_ko_is_korean_and_ends_where_the_answer_ends() -> None:
    found = apply(Template(style="alpaca-ko"), [talk("수도는?", "서울입니다.")], kind="example")
    text = found.rows.column("text")[0].as_py()
    assert "### 지시:\n수도는?\n\n### 답:\n서울입니다." in text
    assert learned(found) == [["서울입니다."]]


def test_alpaca_system_message_stands_for_the_preamble() -> None:
    turns = [Message("system", "너는 요리사다."), Message("user", "밥?"), Message("assistant", "네.")]
    found = alpaca(turns, ALPACAS["alpaca"])
    assert found is not None
    assert found.text.startswith("너는 요리사다.\n\n### Instruction:\n밥?")


def test_template_rows_that_cannot_be_learned_are_dropped_with_a_reason() -> None:
    rows = [talk("질문만"), talk("q", "  "), talk("q", "a", "q", "a"), talk("q", "a")]
    found = apply(Template(style="alpaca"), rows, kind="example")
    assert found.drops.column("rule").to_pylist() == ["no_answer", "no_answer", "many_turns"]
    assert found.rows.num_rows == 1


def test_chatml_every_answer_is_learned_with_its_stop() -> None:
    found = apply(Template(style="chatml"), [talk("하나", "둘", "셋", "넷")], kind="example")
    assert learned(found) == [["둘<|im_end|>", "넷<|im_end|>"]]
    assert learned(found, "template.contents") == [["하나", "둘", "셋", "넷"]]


@pytest.mark.parametrize(
    ("train_on", "expected"),
    [("assistant", ["b<|im_end|>", "d<|im_end|>"]), ("last", ["d<|im_end|>"]), ("all", None)],
)
def test_train_on_chooses_what_is_learned(train_on: Any, expected: list[str] | None) -> None:
    found = apply(Template(style="chatml", train_on=train_on), [talk("a", "b", "c", "d")], kind="example")
    assert learned(found) == [expected or [found.rows.column("text")[0].as_py()]]


def test_turn_of_weight_zero_is_read_but_not_learned() -> None:
    row = talk("a", "b", "c", "d")
    row["messages"][1]["weight"] = 0.0
    assert learned(apply(Template(style="chatml"), [row], kind="example")) == [["d<|im_end|>"]]


@settings(max_examples=80, deadline=None)
@given(TALKS)
def test_chat_template_any_talk_learns_answers_and_stop_exactly(pairs: list[tuple[str, str]]) -> None:
    expected = [answer + "<|im_end|>" for _, answer in pairs if answer.strip()]
    if expected:
        assert rendered(CHATML, pairs) == expected


@settings(max_examples=80, deadline=None)
@given(TALKS)
def test_chat_template_that_trims_learns_trimmed_answers(pairs: list[tuple[str, str]]) -> None:
    expected = [f"{answer.strip()} </s>" for _, answer in pairs if answer.strip()]
    if expected:
        assert rendered(TRIMMING, pairs, bos_token="<s>") == expected


def test_chat_template_with_generation_blocks_learns_the_blocks() -> None:
    assert rendered(BLOCKS, [("물음", "답"), ("again", " yes ")]) == ["답<end>", " yes <end>"]


def test_chat_template_that_cuts_thoughts_is_understood_by_prefixes() -> None:
    pairs = [("하나?", "<think>음</think>\n둘"), ("셋?", "<think>흠</think>\n넷")]
    with pytest.raises(Unverified):  # the first answer differs between the prefix and the whole
        rendered(THINKING, pairs)
    assert rendered(THINKING, pairs[:1]) == ["<think>음</think>\n둘<|im_end|>"]


def test_generation_block_without_its_stop_is_learned_with_it() -> None:
    outside = BLOCKS.replace("<end>{% endgeneration %}", "{% endgeneration %}<end>")
    assert rendered(outside, [("물음", "답"), ("again", "yes")]) == ["답<end>", "yes<end>"]


@pytest.mark.parametrize(("source", "stop"), [(GEMMA_LIKE, "<end_of_turn>"), (LLAMA3_LIKE, "<|eot_id|>")])
def test_chat_template_of_known_families_learns_answer_and_stop(source: str, stop: str) -> None:
    pairs = [("안녕", " 네, 안녕하세요. \n"), ("Name a city.\n", "Seoul 🙂")]
    assert rendered(source, pairs, bos_token="<s>") == [f"네, 안녕하세요.{stop}", f"Seoul 🙂{stop}"]


def test_chat_template_that_stumbles_over_marks_is_understood_by_prefixes() -> None:
    assert rendered(STUMBLING, [("하나", "둘"), ("셋", "넷")]) == ["둘<|im_end|>", "넷<|im_end|>"]


def test_content_with_the_marks_themselves_is_still_exact() -> None:
    assert rendered(CHATML, [("\ufdd00\ufdd1", "답\ufdd3")]) == ["답\ufdd3<|im_end|>"]


def test_template_that_copies_contents_fails_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "copy.jinja").write_text(COPYING, encoding="utf-8")
    with pytest.raises(StageError) as caught:
        apply(
            Template(style="jinja", file=str(tmp_path / "copy.jinja"), stop="<end>"), [talk("a", "b")], kind="example"
        )
    assert "generation" in caught.value.fix
    assert caught.value.where.startswith("row ")


def test_template_that_refuses_a_row_drops_it(tmp_path: Path) -> None:
    (tmp_path / "strict.jinja").write_text(REFUSING, encoding="utf-8")
    row = {"messages": [{"role": "system", "content": "s"}, *talk("a", "b")["messages"]]}
    found = apply(
        Template(style="jinja", file=str(tmp_path / "strict.jinja"), stop="<|im_end|>"),
        [row, talk("a", "b")],
        kind="example",
    )
    assert found.drops.column("rule").to_pylist() == ["refused"]
    assert learned(found) == [["b<|im_end|>"]]


def test_jinja_without_a_stop_is_a_problem_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "plain.jinja").write_text(CHATML, encoding="utf-8")
    stage = Template(style="jinja", file=str(tmp_path / "plain.jinja"))
    assert [problem.path for problem in stage.problems()] == ["stop"]
    with pytest.raises(ConfigError, match="line 1"):
        ChatTemplate("{% for %}", {}, ())


@pytest.mark.parametrize(
    "settings",
    [
        {"style": "tokenizer"},
        {"style": "jinja"},
        {"style": "alpaca", "tokenizer": "smollm2"},
        {"style": "chatml", "stop": "x"},
    ],
)
def test_settings_that_do_not_belong_together_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"style|tokenizer"):
        Template(**settings)


def test_tokenizer_style_equals_transformers_and_its_generation_mask(tiny_llama: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(tiny_llama)
    rows = [talk("대한민국의 수도는?", "서울입니다.", "And Japan?", " Tokyo 🙂 "), talk("hi", "안녕\n")]
    found = apply(Template(style="tokenizer", tokenizer=str(tiny_llama)), rows, kind="example")
    for row, text, spans in zip(rows, found.rows.column("text").to_pylist(), learned(found), strict=True):
        chat = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]
        assert text == theirs.apply_chat_template(chat, tokenize=False)
        masked = theirs.apply_chat_template(chat, return_assistant_tokens_mask=True, return_dict=True)
        kept = [t for t, m in zip(masked["input_ids"], masked["assistant_masks"], strict=True) if m]
        assert theirs.decode(kept) == "".join(spans)


def test_any_batch_size_gives_the_same_rows() -> None:
    rows = [talk(f"질문 {n}", *([f"답 {n}"] if n % 3 else [])) for n in range(40)]
    one = apply(Template(style="chatml"), rows, kind="example", batch_rows=1)
    assert one.rows.equals(apply(Template(style="chatml"), rows, kind="example").rows)


@pytest.mark.slow
def test_smollm2_template_equals_transformers() -> None:
    from transformers import AutoTokenizer

    from datakit.models import tokenizer_folder

    theirs = AutoTokenizer.from_pretrained(tokenizer_folder("smollm2", cache_folder()))
    rows = [talk("대한민국의 수도는?", "서울입니다.", "And Japan?", "Tokyo")]
    found = apply(Template(style="tokenizer", tokenizer="smollm2"), rows, kind="example")
    chat = [{"role": turn["role"], "content": turn["content"]} for turn in rows[0]["messages"]]
    assert found.rows.column("text").to_pylist() == [theirs.apply_chat_template(chat, tokenize=False)]
    assert learned(found) == [["서울입니다.<|im_end|>", "Tokyo<|im_end|>"]]


@pytest.mark.parametrize("style", [*ALPACAS, "chatml", "qwen", "llama3", "vicuna"])
@pytest.mark.parametrize("system", [None, "짧게 답하세요."])
def test_noted_chat_template_serves_what_was_trained(style: str, system: str | None) -> None:
    turns = [{"role": "user", "content": "수도는?"}, {"role": "assistant", "content": "서울입니다."}]
    turns = [{"role": "system", "content": system}, *turns] if system else turns
    result = apply(Template(style=style), [{"messages": turns}], kind="example")
    row = result.rows.to_pylist()[0]
    served, _ = _compiled(result.notes["chat_template"])
    asked = served.render(messages=turns[:-1], add_generation_prompt=True)
    assert asked == row["text"][: row["trained"][0]["start"]]
    assert served.render(messages=turns, eos_token="").rstrip("\n") == row["text"].rstrip("\n")
