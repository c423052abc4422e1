# ruff: noqa: E501
"""Defects: each class is found in Korean and English, and what only looks like one is let through."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.defects import RULES, defect_of
from datakit.defects.marks import is_no_input, without_no_input
from datakit.defects.sums import SUM, value_of
from datakit.runner import Applied, apply
from datakit.stages.defects import Defects

SHARED = Path(__file__).parents[2] / "shared" / "data"
OWN = Path(__file__).parents[1] / "sample_data"

BROKEN: list[tuple[str, str, str, str]] = [
    ("no_output", "Name a bird.", "", "  "),
    ("no_output", "Name a bird.", "", "N/A"),
    ("no_output", "새 이름을 하나 쓰시오.", "", "해당 없음"),
    ("no_output", "List three colours.", "", "Here are three colours:"),
    ("no_output", "색을 세 가지 쓰시오.", "", "세 가지 색은 다음과 같습니다："),
    ("leaked", "Name a bird.", "", "A sparrow.\n\n18. Instruction: Name a fish."),
    ("leaked", "새 이름을 하나 쓰시오.", "", "참새입니다.\n\n3. 지시: 물고기 이름을 쓰시오."),
    ("leaked", "### Instruction:\nName a bird.", "", "A sparrow."),
    ("senses", "Describe the people in the attached photo.", "", "Two people are smiling."),
    ("senses", "What is happening in this picture?", "", "A dog runs."),
    ("senses", "Draw a picture of a lighthouse at night.", "", "Here it is."),
    ("senses", "Summarize the article at https://example.com/tides", "", "It is about tides."),
    ("senses", "Summarize the text.", "https://example.com/tides", "It is about tides."),
    ("senses", "Say what is shown.", "![a boat](http://example.com/boat.png)", "A boat."),
    ("senses", "첨부한 사진에 무엇이 보이는지 설명해 주세요.", "", "강아지가 보입니다."),
    ("senses", "등대가 있는 풍경화를 그려 줘.", "", "그렸습니다."),
    ("senses", "아래 그래프를 보고 매출 변화를 설명하시오.", "", "매출이 늘었습니다."),
    ("senses", "글을 요약해 주세요.", "https://example.com/tides", "조석에 관한 글입니다."),
    ("no_input", "Tell a joke.", "<noinput>", "Why did the chicken cross the road?"),
    ("no_input", "농담을 하나 해 줘.", "(입력 없음)", "세상에서 가장 뜨거운 과일은 천도복숭아입니다."),
    ("same_output", "Rewrite the sentence politely.", "Give me water.", "Give me water."),
    ("same_output", "문장을 공손하게 고쳐 쓰시오.", "물 줘.", "물 줘."),
    ("refusal", "Recommend a film.", "", "I'm sorry, but I can't recommend films."),
    ("refusal", "How do you feel?", "", "As an AI language model, I have no feelings."),
    ("refusal", "오늘 날씨가 어때?", "", "죄송하지만 저는 실시간 정보를 알 수 없습니다."),
    ("refusal", "기분이 어때?", "", "저는 인공지능이라서 감정을 느끼지 못합니다."),
    ("answer_language", "봄에 어울리는 시를 한 편 써 주세요.", "", "The cherry trees are waking in the morning light, and rivers sing again."),
    ("answer_language", "Explain why the sea is salty.", "", "강물이 바위의 소금기를 조금씩 녹여 바다로 나르기 때문에 바닷물은 짭니다."),
    ("truncated", "Explain why the sea is salty.", "", "Rivers carry salt from the rocks to the sea. Over millions of years this made the"),
    ("truncated", "바닷물이 짠 까닭을 설명하시오.", "", "강물이 바위에서 녹여 낸 소금기를 바다로 실어 나릅니다. 오랜 세월 동안 이렇게 쌓인 소금기를"),
    ("truncated", "Show how to say hello in Python.", "", "You can do it like this, in one line of code:\n```python\nprint('hello')"),
    ("escapes", "List two birds.", "", "1. Sparrow\\n2. Wren"),
    ("escapes", "새를 두 가지 쓰시오.", "", "참새입니다.\\n굴뚝새입니다."),
    ("escapes", "Name a shop.", "", "Smith &amp; Sons is a good shop."),
    ("escapes", "가게 이름을 지어 주세요.", "", "가게 이름은 \ufffd빛입니다."),
    ("no_code", "Write a Python function that reverses a string.", "", "You go through the string from its end and collect the letters."),
    ("no_code", "Write an SQL query to find all customers in Busan.", "", "All customers in Busan are found."),
    ("no_code", "파이썬으로 문자열을 뒤집는 함수를 작성하세요.", "", "문자열의 끝에서부터 글자를 하나씩 모으면 됩니다."),
    ("no_code", "부산에 사는 고객을 찾는 SQL 쿼리를 작성해 줘.", "", "부산에 사는 고객을 모두 찾았습니다."),
    ("wrong_sum", "How much are three at 12 dollars?", "", "Three cost 3 * 12 = $38."),
    ("wrong_sum", "What is the total?", "", "In all there are 1,200 + 350 = 1,650 seats."),
    ("wrong_sum", "사과 3개씩 4봉지면 몇 개인가요?", "", "사과는 모두 3 × 4 = 14개입니다."),
    ("wrong_sum", "평균을 구하시오.", "", "평균은 (80 + 90 + 70) / 3 = 75점입니다."),
]  # fmt: skip
SOUND: list[tuple[str, str, str]] = [
    ("Is there milk?", "", "No."), ("몇 개인가요?", "", "3"), ("What face fits?", "", "🙂"), ("답만 쓰시오.", "", "없다"),
    ("Explain what an instruction is.", "", "An instruction: a sentence that tells somebody what to do."),
    ("지시문이 무엇인지 설명하시오.", "", "지시문은 무엇을 하라고 시키는 글입니다."),
    ("Draw a conclusion from these facts.", "It rained all day.", "The ground is wet."),
    ("Map each name to a number.", "Kim, Lee", "Kim 1, Lee 2"),
    ("Thomas has to go to the hospital every day. Why?", "", "He may work there."),
    ("Write a caption for a photo of a lighthouse.", "", "The last light before the sea."),
    ("What is the domain of this address?", "https://example.com/a", "example.com"),
    ("Correct the mail.", "See https://example.com for the dates of our next meeting, wich is in may.", "See https://example.com for the dates of our next meeting, which is in May."),
    ("지도를 읽는 법을 글로 설명해 주세요.", "", "먼저 방위를 찾습니다."),
    ("사진관에서 쓸 안내문을 지어 주세요.", "", "사진은 사흘 뒤에 찾으실 수 있습니다."),
    ("그림을 그리던 화가의 이야기를 지어 줘.", "", "바닷가에 한 화가가 살았습니다."),
    ("Apologise to a guest.", "", "I'm sorry that your room was not ready. Please accept a free breakfast."),
    ("고객에게 사과하는 글을 써 주세요.", "", "주문하신 책이 늦어 죄송합니다. 내일까지 꼭 보내 드리겠습니다."),
    ("다음 문장을 영어로 옮기시오.", "나는 내일 아침에 바닷가에 간다.", "I am going to the beach with my old friends tomorrow morning."),
    ("Translate into Korean.", "The sea is salty because rivers carry salt.", "강물이 소금기를 나르기 때문에 바닷물은 짭니다."),
    ("가장 유명한 교향곡은?", "", "Symphony No. 5"),
    ("List things for a trip.", "", "- a map of the whole region and of the towns\n- warm clothes and rain gear"),
    ("Write the end of a letter to a friend whom you miss.", "", "I hope to see you very soon.\n\nLooking forward to it,"),
    ("Suggest a game.", "", "- Everybody orders one dish out of a novel.\n- The others have to guess which"),
    ("놀이를 두 가지 쓰시오.", "", "- 큰 대야에 물을 받아 종이배 띄우기\n- 빗소리에 맞춰 냄비와 숟가락으로 연주하기"),
    ("여행 준비물을 쓰시오.", "", "- 두꺼운 겉옷과 비옷 그리고 여벌의 양말\n- 지도와 나침반"),
    ("Write the regex for a line end in Python.", "", "Use `\\n` or `\\r\\n`."),
    ("Give the gradient.", "", "It is \\nabla f, where \\theta is held fixed."),
    ("Explain what a function is in Python.", "", "It is a named piece of a program."),
    ("파이썬 함수가 무엇인지 설명해 주세요.", "", "이름을 붙인 코드 묶음입니다."),
    ("Write a Python function that adds.", "", "def add(a, b):\n    return a + b"),
    ("두 수를 더하는 파이썬 함수를 작성하세요.", "", "add = lambda a, b: a + b"),
    ("Find the mistake.", "2 + 2 = 5", "The text says 2 + 2 = 5, but it is 4."),
    ("Is it so?", "", "It is wrong to say that 7 + 5 = 13."),
    ("Divide.", "", "17 / 5 = 3 remainder 2, and 2 / 3 = 0.67, and 1/4 = 25%."),
    ("나누시오.", "", "17 ÷ 5 = 3 나머지 2이고, 10 / 4 = 2.5입니다."),
    ("Solve.", "", "From 2x + 3 = 7 we get x = 2, and 2^3 = 8, and 3 + 4 = 5 + 2."),
    ("When?", "", "The train leaves at 10:30-11 = platform 4, on 2020-01-02."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "instruction", "given_", "output"), BROKEN)
def test_defect_is_found_by_its_name(rule: str, instruction: str, given_: str, output: str) -> None:
    found = defect_of(instruction, given_, output)
    assert found is not None
    assert found[0] == rule
    assert defect_of(instruction, given_, output, [other for other in RULES if other != rule]) is None


@pytest.mark.parametrize(("instruction", "given_", "output"), SOUND)
def test_sound_row_has_no_defect(instruction: str, given_: str, output: str) -> None:
    assert defect_of(instruction, given_, output) is None


def test_every_rule_is_tried_in_both_languages() -> None:
    korean = {rule for rule, *texts in BROKEN if re.search("[가-힣]", "".join(texts))}
    english = {rule for rule, *texts in BROKEN if not re.search("[가-힣]", texts[0])}
    assert korean == english == set(RULES)


@given(st.text("가a1 .=+-/*()\n:`{}\\&;없음N/A<>", max_size=60), st.text("가a1 .=+-/*()\n:`\\u&;", max_size=60))
def test_no_text_makes_the_rules_fail(asked: str, output: str) -> None:
    defect_of(asked, "", output)
    defect_of(asked, output, asked)


# Sums


@pytest.mark.parametrize(
    ("text", "value"),
    [("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("10 - 2 - 3", 5), ("1,200 / 4 / 3", 100), ("$3 × 2", 6), ("1 / 0", None), ("(1 + 2", None)],
)  # fmt: skip
def test_sum_has_its_value(text: str, value: int | None) -> None:
    assert value_of(text) == value


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), min_size=1, max_size=4), st.integers(1, 99))
def test_sum_equals_pythons(parts: list[tuple[str, int]], first: int) -> None:
    from fractions import Fraction

    told = f"{first}" + "".join(f" {sign} {number}" for sign, number in parts)
    exact = re.sub(r"\d+", r"Fraction(\g<0>)", told)
    assert value_of(told) == eval(exact, {"Fraction": Fraction})


# The stage


def row(place: int, asked: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"id": f"r{place}", "source_id": f"s{place}", "messages": messages, "lang": None, **more}


def used(rows: list[dict[str, Any]], **settings: Any) -> Applied:
    return apply(Defects(**settings), rows, kind="example")


def test_rows_go_with_rule_and_value_and_never_their_text() -> None:
    applied = used(
        [row(0, "Name a bird.", "N/A"), row(1, "3 × 4는?", "3 × 4 = 14입니다."), row(2, "Name a bird.", "A wren.")]
    )
    told = [(drop["id"], drop["rule"], drop["value"]) for drop in applied.drops.to_pylist()]
    assert told == [("r0", "no_output", "placeholder"), ("r1", "wrong_sum", "12")]
    assert applied.rows["id"].to_pylist() == ["r2"]


def test_marker_of_no_input_is_taken_out_of_the_row() -> None:
    rows = [
        row(0, "Tell a joke.\n\n<noinput>", "Knock, knock.", **{"source.instruction": "Tell a joke.", "source.input": "<noinput>"}),
        row(1, "농담해 줘.\n\n입력 없음", "천도복숭아!", **{"source.instruction": "농담해 줘.", "source.input": "입력 없음"}),
    ]  # fmt: skip
    applied = used(rows)
    assert [one["messages"][0]["content"] for one in applied.rows.to_pylist()] == ["Tell a joke.", "농담해 줘."]
    assert applied.rows["source.input"].to_pylist() == ["", ""]
    assert applied.stats.counters["mended.no_input"] == 2
    assert set(used(rows, mend=False).drops["rule"].to_pylist()) == {"no_input"}


def test_second_exchange_and_preferred_answer_are_judged_too() -> None:
    talk = [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello there."},
        {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Name a bird."},
        {"role": "assistant", "content": "none"},
    ]  # fmt: skip
    assert used([{**row(0, "", ""), "messages": talk}]).drops["rule"].to_pylist() == ["no_output"]
    preferred = {"messages": talk[:2], "chosen": [{"role": "assistant", "content": "N/A"}], "rejected": [talk[2]]}
    assert used([{**row(0, "", ""), **preferred}]).drops["rule"].to_pylist() == ["no_output"]


def test_only_the_rules_that_are_named() -> None:
    rows = [row(0, "Name a bird.", "N/A"), row(1, "3 × 4는?", "3 × 4 = 14입니다.")]
    assert used(rows, only=("wrong_sum",)).drops["id"].to_pylist() == ["r1"]


def test_list_that_ends_with_none_keeps_it() -> None:
    assert without_no_input("Which one?\nA\nNone") == "Which one?\nA\nNone"
    assert without_no_input("<noinput>") == "<noinput>"


@pytest.mark.parametrize(
    "text",
    [
        "<noinput>",
        "No input required.",
        "[no input]",
        "N/A",
        "없음",
        "입력 없음",
        "(입력이 필요 없음)",
        "해당 사항 없음",
    ],
)
def test_spelling_of_no_input_is_known(text: str) -> None:
    assert is_no_input(text)


# On texts of others


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
@pytest.mark.parametrize("name", ["seed_tasks_en.jsonl", "user_oriented_instructions_en.jsonl"])
def test_tasks_that_people_wrote_are_sound(name: str) -> None:
    found = [
        (one["input"], defect_of(task["instruction"], one["input"], one["output"]))
        for task in rows_of(SHARED / name)
        for one in task["instances"]
    ]
    assert [fault for _, fault in found if fault] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
def test_korean_dialogue_is_sound() -> None:
    with (SHARED / "chatbot_ko.csv").open(encoding="utf-8-sig") as lines:
        found = [defect_of(one["Q"], "", one["A"]) for one in csv.DictReader(lines)]
    assert sum(fault is not None for fault in found) <= 3


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
def test_right_sums_stay_and_changed_ones_go() -> None:
    """GSM8K: 20 of 7,473 answers have a sum that is wrong (each was read); of answers with one result changed nearly all are found."""
    answers = [re.sub(r"<<.*?>>", "", one["answer"]) for one in rows_of(SHARED / "gsm8k_train.jsonl")]
    assert sum(defect_of("Solve the problem.", "", answer, ("wrong_sum",)) is not None for answer in answers) == 20
    rng, changed, found = Random(0), 0, 0
    for answer in answers[:2000]:
        sums = list(SUM.finditer(answer))
        if sums:
            one = rng.choice(sums)
            told = float(re.sub(r"[^\d.-]", "", one["right"]))
            wrong = f"{answer[: one.start('right')]}{int(told) + 3}{answer[one.end('right') :]}"
            changed += 1
            found += defect_of("Solve the problem.", "", wrong, ("wrong_sum",)) is not None
    assert changed > 1000
    assert found / changed > 0.9


def test_own_seeds_are_sound() -> None:
    for path in sorted(OWN.glob("seeds*.jsonl")):
        for task in rows_of(path):
            for one in task["instances"]:
                assert defect_of(task["instruction"], one["input"], one["output"]) is None, task["id"]
