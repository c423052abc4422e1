"""dedup over examples: question and answer each on its own, templates left out, further columns; Korean and English."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import ConfigError
from datakit.kernels.folding import fold_text
from datakit.kernels.shingles import Cut, shingles_of
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stages.dedup import Dedup
from datakit.stages.dedup.compared import Compared

PASSAGE = (
    "지난달에 산 무선 청소기가 충전이 되지 않아 서비스 센터에 전화했더니 상담원이 전원 단자를 마른 천으로 닦아 보라고 "
    "했다. 시키는 대로 했지만 불이 들어오지 않아서 결국 택배로 보냈고, 닷새 뒤에 새 배터리를 끼운 제품이 돌아왔다."
)
PROMPTS = {
    "ko": "당신은 친절한 도우미입니다. 다음 지시를 끝까지 읽고 단계별로 생각한 다음 예의 바른 문장으로 대답하세요. "
    "모르는 것은 모른다고 하고, 확실하지 않은 숫자나 이름은 지어내지 마세요. 답은 다섯 문장을 넘기지 않습니다. 주제: ",
    "en": "You are a helpful assistant. Read the following instruction to the end, think step by step, and answer in "
    "polite sentences. If you don't know something, say so, and never make up figures or names. Use five sentences at "
    "most, and end with one question to the reader. Write for somebody who hears of the matter for the first time, "
    "explain every word that is not common, and do not use lists, tables or headings of any kind anywhere. Topic: ",
}
ANSWERS = {
    "ko": "물어보신 {}에 대해 말씀드리겠습니다. 도움이 되었기를 바라며 더 궁금한 점이 있으면 언제든지 물어보세요.",
    "en": "Here is what I can tell you about {}. I hope that this was helpful; ask me whenever anything else comes up.",
}
SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호구누두루무부수우주추쿠투푸후"


def example(place: int, user: str, assistant: str | None, **columns: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": user, "weight": None}]
    if assistant is not None:
        turns.append({"role": "assistant", "content": assistant, "weight": None})
    return {"id": f"e{place}", "source_id": str(place), "messages": turns, "source": "x", "position": place, **columns}


def kept(rows: list[dict[str, Any]], **choices: Any) -> list[str]:
    return apply(Dedup(**choices), rows, kind="example").rows.column("id").to_pylist()


def topic(place: int, lang: str) -> str:
    draw = random.Random(place)
    word = "".join(draw.choice(SYLLABLES) for _ in range(4))
    return f"{word}의 역사" if lang == "ko" else f"the history of thing{place}"


def templated(lang: str, count: int) -> list[dict[str, Any]]:
    """Rows of one long prompt and one form of answer, each about something else."""
    topics = [topic(place, lang) for place in range(count)]
    return [example(n, PROMPTS[lang] + one, ANSWERS[lang].format(one)) for n, one in enumerate(topics)]


def test_rows_are_copies_only_if_question_and_answer_are() -> None:
    prompt, other = "다음 글을 한 문장으로 줄여 쓰세요. " + PASSAGE, "오늘은 텃밭에 상추를 심고 물을 주었다."
    rows = [
        example(0, prompt, "청소기를 고쳤다."),
        example(1, prompt, "그는 배터리를 바꾸었다고 말했다."),
        example(2, other, "청소기를 고쳤다."),
        example(3, prompt.replace("닷새", "엿새"), "청소기를 고쳤다!"),
    ]
    assert kept(rows) == ["e0", "e1", "e2"]
    assert kept(rows, parts="together") == ["e0", "e2"]
    assert kept(rows, text="user") == ["e0", "e2"]
    assert kept(rows, text="assistant") == ["e0", "e1"]


def test_equal_messages_in_other_roles_are_no_exact_copies() -> None:
    rows = [example(0, "가", "나"), example(1, "나", "가"), example(2, "가\n\n나", None), example(3, "가", " 나 ")]
    assert kept(rows, near=False) == ["e0", "e1", "e2"]
    assert kept(rows, near=False, parts="together") == ["e0", "e1"]


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_any_examples_folded_are_alike_in_every_part(seed: int) -> None:
    draw = random.Random(seed)
    words = PASSAGE.split()

    def edited() -> str:
        return " ".join(word if draw.random() > 0.03 else f"{word}x" for word in words)

    texts = [edited() for _ in range(6)]
    rows = [example(place, draw.choice(texts), draw.choice(texts)) for place in range(30)]
    turns = {row["id"]: [turn["content"] for turn in row["messages"]] for row in rows}

    def alike(one: str, other: str) -> float:
        found = []
        for left, right in zip(turns[one], turns[other], strict=True):
            a, b = (set(shingles_of(fold_text(text), Cut())) for text in (left, right))
            found.append(len(a & b) / len(a | b))
        return min(found)

    found = apply(Dedup(template=0), rows, kind="example")
    for drop in found.drops.to_pylist():
        assert f"{alike(drop['id'], drop['matched']):.6g}" == drop["value"]
    stays = found.rows.column("id").to_pylist()
    assert all(alike(one, other) < 0.8 for n, one in enumerate(stays) for other in stays[:n])


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_thousand_rows_of_one_template_about_other_topics_all_stay(lang: str) -> None:
    rows = templated(lang, 1000)
    found = apply(Dedup(), rows, kind="example")
    assert (found.stats.kept, found.stats.folded) == (1000, 0)
    assert found.notes["template"] > 20
    careless = apply(Dedup(template=0, parts="together"), rows, kind="example")  # what the defaults protect from
    assert careless.stats.kept < 100


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_copies_within_a_template_are_still_folded(lang: str) -> None:
    rows = templated(lang, 200)
    rows += [{**row, "id": f"copy{n}", "position": 500 + n} for n, row in enumerate(rows[:20])]
    spoken = (
        "{} 아주 길고 자세하게 쓴 {}째 답을 여기에 적어 두니 천천히 읽어 보세요."
        if lang == "ko"
        else ("{} and a long and detailed answer number {} that stands here and is to be read slowly.")
    )
    texts = [spoken.format(topic(place, lang), topic(place + 900, lang)) for place in range(200)]
    rows += [example(1000 + n, PROMPTS[lang] + text, text) for n, text in enumerate(texts)]
    near = [example(2000 + n, PROMPTS[lang] + text, text + " !") for n, text in enumerate(texts[:20])]
    found = apply(Dedup(), rows + near, kind="example")
    gone = set(found.drops.column("id").to_pylist())
    assert gone == {f"copy{n}" for n in range(20)} | {f"e{2000 + n}" for n in range(20)}


def test_function_calls_with_one_system_prompt_and_form_of_answer_stay() -> None:
    system = {"role": "system", "content": PROMPTS["en"] + "get_weather(city: str), send_mail(to: str)", "weight": None}
    rows = []
    for place in range(400):
        row = example(
            place, f"날씨 {topic(place, 'ko')}", f'<call> {{"name": "get_weather", "city": "{topic(place, "ko")}"}}'
        )
        rows.append({**row, "messages": [system, *row["messages"]]})
    assert len(kept(rows)) == 400


def test_template_of_one_source_is_found_whatever_the_shards_are() -> None:
    rows = templated("ko", 60) + [{**example(100 + n, PASSAGE, PASSAGE), "source": "other"} for n in range(3)]
    whole = apply(Dedup(), rows, kind="example")
    cut = apply(Dedup(), [rows[40:], rows[:7], rows[7:40]], kind="example")
    assert whole.notes["template"] == cut.notes["template"] > 0
    assert sorted(whole.drops.to_pylist(), key=str) == sorted(cut.drops.to_pylist(), key=str)
    assert [drop["matched"] for drop in whole.drops.to_pylist()] == ["e100", "e100"]


def test_preference_rows_with_other_replies_are_no_copies() -> None:
    def turns(text: str) -> list[dict[str, Any]]:
        return [{"role": "assistant", "content": text, "weight": None}]

    rows = [
        example(place, PASSAGE, None, chosen=turns(yes), rejected=turns(no))
        for place, (yes, no) in enumerate((("좋아요", "싫어요"), ("좋아요", "글쎄요"), ("좋아요", "싫어요 ")))
    ]
    assert kept(rows) == kept(rows, parts="together", near=False) == ["e0", "e1"]


def test_examples_without_the_chosen_message_stay() -> None:
    rows = [example(place, f"질문 {place}", None) for place in range(3)]
    found = apply(Dedup(text="assistant"), rows, kind="example")
    assert (found.stats.kept, found.notes["empty"]) == (3, 3)


def test_fields_must_be_alike_too_and_can_be_all_that_is_compared() -> None:
    columns = [("안내", 1), ("안내 ", 1), ("공지", 1), ("안내", 2)]
    rows = [
        {
            "id": f"r{n}",
            "source_id": "",
            "text": PASSAGE,
            "source": "a",
            "position": n,
            "source.title": title,
            "source.n": m,
        }
        for n, (title, m) in enumerate(columns)
    ]

    def stays(**choices: Any) -> list[str]:
        return apply(Dedup(**choices), rows).rows.column("id").to_pylist()

    assert stays() == ["r0"]
    assert stays(fields=["source.title"]) == ["r0", "r2"]
    assert stays(fields=["source.title", "source.n"], near=False) == ["r0", "r2", "r3"]
    assert stays(text="none", fields=["source.n"]) == ["r0", "r3"]


def test_fields_that_one_shard_lacks_are_empty_there_and_that_all_lack_are_refused() -> None:
    with_title = [{"id": "a", "source_id": "", "text": PASSAGE, "source": "a", "position": 0, "source.title": "안내"}]
    without = [{"id": "b", "source_id": "", "text": PASSAGE, "source": "b", "position": 0}]
    found = apply(Dedup(fields=["source.title"]), [with_title, without])
    assert found.stats.kept == 2
    with pytest.raises(ConfigError, match=r"no row has a column 'source.titel'"):
        apply(Dedup(fields=["source.titel"]), [with_title, without])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"text": "none"}, "leaves nothing"), ({"keep": "oldest"}, "needs a column"), ({"by": "x"}, "goes by no column")],
)
def test_settings_that_contradict_each_other_are_told(wrong: dict[str, Any], told: str) -> None:
    assert told in Dedup(**wrong).problems()[0].message
    with pytest.raises(ConfigError, match=told):
        apply(Dedup(**wrong), [example(0, "가", "나")], kind="example")


def test_texts_of_sliced_examples_pick_their_own_messages() -> None:
    table = table_from_rows([example(place, f"user {place}", f"reply {place}") for place in range(5)], "example")
    (replies,) = Compared("assistant").of(table.slice(2, 2))
    assert replies.to_pylist() == ["reply 2", "reply 3"]
    asked, answered = Compared().of(table.slice(3))
    assert (asked.to_pylist(), answered.to_pylist()) == (["user 3", "user 4"], ["reply 3", "reply 4"])
    assert [part.to_pylist() for part in Compared().of(table.slice(0, 0))] == [[], []]
