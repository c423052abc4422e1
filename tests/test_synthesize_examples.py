# ruff: noqa: E501
"""Recipes over examples, and Magpie: new rows name their parents, bad replies are named faults, rows in are kept or told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit.errors import TeacherError
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stages.synthesize.cot import agree, reasoning_fault
from datakit.stages.synthesize.evolve import WAYS, answer_fault
from datakit.stages.synthesize.translate import translation_fault
from tests.fakes.openai_server import Answer, openai_server
from tests.recipes import dropped, example, made, on_examples, recipe, recorded, refused

TASK = "‘봄’을 소재로 두 줄짜리 시를 써 주세요."
ANSWER = "언 강이 먼저 몸을 풀면\n버들개지가 눈을 뜬다."
HARDER = "‘봄’을 소재로, 계절을 직접 가리키는 낱말을 쓰지 않고 두 줄짜리 시를 써 주세요."
LONG = "처마 끝 고드름이 하루에 한 뼘씩 짧아지고\n장독대 옆 흙에서는 초록 바늘이 올라온다."


def evolved(
    tmp_path: Path,
    *,
    task: str = HARDER,
    equal: str = "아니요",
    answer: str = LONG,
    finish: str = "stop",
    **settings: Any,
) -> Any:
    teacher = recorded(
        tmp_path,
        {"purpose": "evolve", "text": task, "finish_reason": finish},
        {"purpose": "evolve_equal", "default": True, "text": equal},
        {"purpose": "answer", "default": True, "text": answer},
    )
    return on_examples(recipe("evolve", teacher, **settings), example(TASK, ANSWER))


def test_evolved_row_follows_the_one_it_was_made_of(tmp_path: Path) -> None:
    applied = evolved(tmp_path)
    assert applied.rows.num_rows == 2
    [row] = made(applied)
    assert [turn["content"] for turn in row["messages"]] == [HARDER, LONG]
    assert (row["parents"], row["family"], row["licence"]) == (["e1"], "e1", "CC0-1.0")
    assert row["synthesize.task"].removeprefix("evolve_") in WAYS
    assert row["synthesize.prompt"].split()[0].startswith("evolve.ko@")
    assert (applied.stats.rows_in, applied.stats.kept, applied.stats.made) == (1, 1, 1)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ({"equal": "예, 같습니다."}, "equal"), ({"task": TASK}, "equal"), ({"answer": "죄송하지만 그런 시는 쓸 수 없습니다."}, "refusal"),
        ({"answer": "그리고, 또는 … 등."}, "says_nothing"), ({"answer": "!!! ???"}, "says_nothing"), ({"task": "새 과제: " + HARDER}, "copied_prompt"),
        ({"task": "주어진 과제를 조금 더 어렵게 고쳤습니다. " + HARDER}, "copied_prompt"), ({"task": "Write a poem about spring in two lines."}, "language"),
        ({"task": ""}, "no_reply"), ({"finish": "length"}, "cut"), ({"answer": ""}, "no_reply"),
    ],
)  # fmt: skip
def test_evolve_eliminates_by_name(tmp_path: Path, reply: dict[str, str], fault: str) -> None:
    applied = evolved(tmp_path, **reply)  # type: ignore[arg-type]
    assert refused(applied) == {fault: 1}
    assert applied.rows.num_rows == 1, "the row that came in stays"
    assert dropped(evolved(tmp_path, keep=False, **reply)) == [("e1", "no_row", fault)]  # type: ignore[arg-type]


def test_evolve_goes_on_from_what_was_made(tmp_path: Path) -> None:
    second = "‘봄’을 소재로, 계절을 가리키는 낱말 없이 두 줄짜리 시를 쓰고 어떤 감각을 썼는지 한 문장으로 밝혀 주세요."
    teacher = recorded(
        tmp_path,
        {"purpose": "evolve", "text": HARDER},
        {"purpose": "evolve", "text": second},
        {"purpose": "evolve_equal", "default": True, "text": "아니요"},
        {"purpose": "answer", "text": LONG},
        {"purpose": "answer", "text": LONG + "\n촉각과 시각을 썼습니다."},
    )
    applied = on_examples(recipe("evolve", teacher, rounds=3), example(TASK, ANSWER))
    assert [row["synthesize.instruction"] for row in made(applied)] == [HARDER, second]
    assert refused(applied) == {"no_reply": 1}, "the third round has no reply and ends the line"


def test_short_apology_is_a_refusal_and_a_long_one_is_none() -> None:
    """The paper's rule: `sorry` in an answer of fewer than 80 words."""
    assert answer_fault("q", "Sorry, that is hard to say.", "en") == "refusal"
    letter = (
        "Dear Ms Lee, we are sorry that your parcel was late. " + "We looked into what had happened on the way. " * 12
    )
    assert answer_fault("Write a letter.", letter, "en") is None


# paraphrase


def paraphrased(tmp_path: Path, text: str, finish: str = "stop", **more: Any) -> Any:
    teacher = recorded(tmp_path, {"purpose": "paraphrase", "text": text, "finish_reason": finish})
    row = example(
        "다음 ‘속담’ 2개의 뜻을 풀이해 주세요.\n\n등잔 밑이 어둡다", "가까운 것을 오히려 모른다는 뜻입니다.", **more
    )
    return on_examples(recipe("paraphrase", teacher, ways=3), row)


NAMED = {"synthesize.instruction": "다음 ‘속담’ 2개의 뜻을 풀이해 주세요.", "synthesize.input": "등잔 밑이 어둡다"}


def test_paraphrase_keeps_input_and_answer(tmp_path: Path) -> None:
    applied = paraphrased(
        tmp_path, "1. 아래 ‘속담’ 2개는 무슨 의미로 쓰는 말인가요?\n2. ‘속담’ 2개를 골라 쉬운 말로 설명하시오.", **NAMED
    )
    rows = made(applied)
    assert len(rows) == 2
    for row in rows:
        assert row["messages"][0]["content"].endswith("\n\n등잔 밑이 어둡다")
        assert row["messages"][1]["content"] == "가까운 것을 오히려 모른다는 뜻입니다."
        assert row["parents"] == ["e1"]


@pytest.mark.parametrize(
    ("text", "finish", "fault"),
    [
        ("1. 다음 ‘속담’ 2개의 뜻을 풀이해 주세요!", "stop", "repeat"), ("1. 아래 ‘속담’ 3개는 무슨 의미로 쓰는 말인가요?", "stop", "changed_number"),
        ("1. 아래 격언 2개는 무슨 의미로 쓰는 말인가요?", "stop", "lost_quotation"), ("1. What do these 2 ‘속담’ sayings really mean to you?", "stop", "language"),
        ("", "stop", "no_reply"), ("1. 아래 ‘속담’ 2개는 무슨", "length", "no_list"),
    ],
)  # fmt: skip
def test_paraphrase_is_refused_by_name(tmp_path: Path, text: str, finish: str, fault: str) -> None:
    assert refused(paraphrased(tmp_path, text, finish, **NAMED)) == {fault: 1}


# translate

KO_TEXT, EN_TEXT = (
    "오늘 회의는 오후 3시로 미뤄졌어요. 자료는 미리 읽어 오세요.",
    "Today's meeting has been moved to 3 p.m. Please read the material beforehand.",
)


def test_translation_goes_both_ways_turn_by_turn(tmp_path: Path) -> None:
    teacher = recorded(
        tmp_path,
        {"purpose": "translate", "language": "en", "default": True, "text": EN_TEXT},
        {"purpose": "translate", "language": "ko", "default": True, "text": KO_TEXT},
    )
    rows = [example(KO_TEXT, KO_TEXT, "a"), example(EN_TEXT, EN_TEXT, "b", "en")]
    found = made(on_examples(recipe("translate", teacher), *rows))
    assert [(row["parents"], row["lang"], row["messages"][1]["content"]) for row in found] == [
        (["a"], "en", EN_TEXT), (["b"], "ko", KO_TEXT)
    ]  # fmt: skip
    only = on_examples(recipe("translate", teacher, into="ko"), *rows)
    assert [row["parents"] for row in made(only)] == [["b"]]
    assert refused(only) == {"same_language": 1}


@pytest.mark.parametrize(
    ("original", "text", "into", "fault"),
    [
        (EN_TEXT, KO_TEXT, "ko", None), (EN_TEXT, EN_TEXT, "ko", "language"), (KO_TEXT, KO_TEXT, "en", "language"), (EN_TEXT, KO_TEXT.replace("3", "4"), "ko", "changed_number"),
        (EN_TEXT, "3시요.", "ko", "length"), (KO_TEXT, EN_TEXT * 3, "en", "length"), ("Run ```x``` now please, my friend.", "지금 x를 실행해 주세요, 친구.", "ko", "changed_code"),
        ("12", "12", "ko", None), ("a single room", "방 1개", "ko", None),
    ],
)  # fmt: skip
def test_translation_fault(original: str, text: str, into: str, fault: str | None) -> None:
    assert translation_fault(original, text, into) == fault


def test_translation_is_refused_if_one_turn_is(tmp_path: Path) -> None:
    teacher = recorded(
        tmp_path,
        {"purpose": "translate", "text": EN_TEXT},
        {"purpose": "translate", "text": EN_TEXT, "finish_reason": "length"},
    )
    applied = on_examples(recipe("translate", teacher), example(KO_TEXT, KO_TEXT))
    assert (made(applied), refused(applied)) == ([], {"cut": 1})


# cot

SUM = "연필 3자루와 800원짜리 지우개를 샀더니 2,300원이었습니다. 연필 한 자루는 얼마입니까?"
STEPS = "지우개 값을 먼저 뺍니다. 2,300 - 800 = 1,500원입니다. 연필이 3자루이므로 1,500 ÷ 3 = 500원입니다."


def reasoned(tmp_path: Path, *texts: str, answer: str = "500원", **settings: Any) -> Any:
    teacher = recorded(tmp_path, *({"purpose": "cot", "text": text} for text in texts))
    return on_examples(recipe("cot", teacher, **settings), example(SUM, answer))


def test_reasoning_that_arrives_at_the_rows_answer_is_kept(tmp_path: Path) -> None:
    [row] = made(reasoned(tmp_path, f"{STEPS}\n답: 500원"))
    assert row["messages"][0]["content"] == SUM
    assert row["messages"][1]["content"] == f"{STEPS}\n답: 500원"


def test_first_of_some_samples_that_agrees_is_taken(tmp_path: Path) -> None:
    applied = reasoned(tmp_path, f"{STEPS}\n답: 600원", STEPS, f"{STEPS}\n**답:** 500원.", samples=3)
    assert made(applied)[0]["messages"][1]["content"].endswith("500원.")
    assert applied.notes["requests"] == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{STEPS}\n답: 600원", "disagrees"), (STEPS, "no_final_answer"), ("답: 500원", "no_reasoning"), ("", "no_reply"),
        ("Subtract the eraser first, then share by three pencils, which gives five hundred each.\nAnswer: 500", "language"),
    ],
)  # fmt: skip
def test_reasoning_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    assert refused(reasoned(tmp_path, text)) == {fault: 1}


def test_rows_without_a_short_answer_are_passed_over_unasked(tmp_path: Path) -> None:
    applied = reasoned(tmp_path, f"{STEPS}\n답: 500원", answer="아주 긴 답입니다. " * 20)
    assert (applied.notes["requests"], refused(applied)) == (0, {"no_short_answer": 1})


@pytest.mark.parametrize(
    ("given", "answer", "same"),
    [
        ("500원", "500", True), ("1,500", "천오백", False), ("서울", "서울입니다.", True), ("(B)", "b", True), ("부산", "서울", False),
        ("3과 4", "4와 3", False), ("3.0", "3", True), ("", "서울", False), ("3만 5천 원", "35000", True),
    ],
)  # fmt: skip
def test_short_answers_agree_by_number_or_by_letters(given: str, answer: str, same: bool) -> None:
    assert agree(given, answer) is same


def test_english_reasoning_ends_in_answer() -> None:
    text = "There are three boxes with four pens each, so there are 3 * 4 = 12 pens.\nThe final answer: 12."
    assert reasoning_fault("q", text, "12 pens", "en") is None


# All of them


@pytest.mark.parametrize("name", ["evolve", "paraphrase", "translate", "cot", "preference"])
def test_shards_and_windows_decide_nothing(tmp_path: Path, name: str) -> None:
    teacher = recorded(
        tmp_path,
        {"purpose": "evolve", "default": True, "text": HARDER}, {"purpose": "evolve_equal", "default": True, "text": "아니요"},
        {"purpose": "answer", "text": LONG}, {"purpose": "answer", "text": ANSWER}, {"purpose": "paraphrase", "default": True, "text": "1. ‘봄’으로 시 한 편 지어 줘. 줄은 둘이야."},
        {"purpose": "translate", "default": True, "text": EN_TEXT.replace("3", "")}, {"purpose": "cot", "default": True, "text": f"{STEPS}\n답: 500"},
        {"purpose": "compare", "when": f"답 A:\n{LONG}", "text": {"reason": "", "better": "A"}}, {"purpose": "compare", "default": True, "text": {"reason": "", "better": "B"}},
    )  # fmt: skip
    rows = table_from_rows(
        [
            example(
                SUM if name == "cot" else TASK, "500원" if name == "cot" else ANSWER, f"e{n}", parents=[], made_with=[]
            )
            for n in range(7)
        ],
        "example",
    )
    whole = apply(recipe(name, teacher), rows)
    cut = apply(recipe(name, teacher, window=2), [rows.slice(0, 1), rows.slice(1, 4), rows.slice(5)])
    assert made(whole) or name == "translate"
    assert cut.rows.equals(whole.rows)
    assert whole.stats.rows_in == whole.stats.kept + whole.stats.dropped + whole.stats.folded == 7


# Magpie


def test_magpie_completes_an_empty_user_turn_and_answers_by_chat(tmp_path: Path) -> None:
    task, answer = "아침에 먹기 좋은 반찬 세 가지를 알려 주세요.", "두부조림, 콩나물무침, 계란말이가 좋습니다."

    def script(number: int, body: dict[str, Any]) -> Answer:
        completion = {"id": "c", "object": "text_completion", "created": 0, "model": "m"}
        completion["choices"] = [{"index": 0, "text": task, "finish_reason": "stop", "logprobs": None}]
        return Answer(text=answer) if "messages" in body else Answer(raw=json.dumps(completion).encode())

    with openai_server(script) as server:
        stage = recipe(
            "magpie", {"base_url": server.url, "model": "m", "concurrency": 1}, language="ko", rows=1, window=1
        )  # type: ignore[arg-type]
        [row] = made(apply(stage, [], kind="example", cache=tmp_path))
        raw, chat = server.bodies
    assert raw["prompt"].startswith("<|im_start|>system\n당신은 한국어로")
    assert raw["prompt"].endswith("<|im_end|>\n<|im_start|>user\n")
    assert raw["stop"] == ["<|im_end|>"]
    assert chat["messages"] == [{"role": "user", "content": task}]
    assert [turn["content"] for turn in row["messages"]] == [task, answer]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_endpoint_that_only_chats_is_told_so(tmp_path: Path, status: int) -> None:
    with openai_server(lambda number, body: Answer(status=status)) as server:
        stage = recipe("magpie", {"base_url": server.url, "model": "m"}, language="en", rows=1)  # type: ignore[arg-type]
        with pytest.raises(TeacherError, match="completes no raw text") as caught:
            apply(stage, [], kind="example", cache=tmp_path)
    assert "teacher: local" in caught.value.fix


def test_magpie_needs_no_seeds_and_holds_tasks_against_one_another(tmp_path: Path) -> None:
    teacher = recorded(
        tmp_path,
        {"purpose": "magpie", "text": "아침에 먹기 좋은 반찬 세 가지를 알려 주세요."},
        {"purpose": "magpie", "text": "아침에 먹기 좋은 반찬 세 가지만 알려 주세요."},
        {"purpose": "magpie", "text": "첨부한 사진을 설명해 주세요."},
        {"purpose": "magpie", "text": "면접에서 자기소개를", "finish_reason": "length"},
        {"purpose": "answer", "default": True, "text": "두부조림, 콩나물무침, 계란말이가 좋습니다."},
    )
    stage = recipe("magpie", teacher, language="ko")
    assert stage.problems() == []
    applied = apply(stage, [], kind="example")
    assert len(made(applied)) == 1
    assert {name: n for name, n in refused(applied).items() if name != "no_reply"} == {
        "repeat": 1,
        "senses": 1,
        "cut": 1,
    }
