"""The rules of answers: right and wrong ones in both languages, NFD too; the shipped prompts can be met."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import SourceError
from datakit.evaluation.obedience import read_told
from datakit.evaluation.rules import RULES, broken

SHIPPED = Path(__file__).parents[1] / "sample_data" / "rules.jsonl"
SECRET = "900101-1234568"
CASES: list[tuple[str, Any, str, str]] = [
    ("sentences", 2, "비가 옵니다. 우산을 챙기세요.", "비가 옵니다. 우산을 챙기세요. 춥습니다."),
    ("sentences", 1, "It costs 3.5 dollars.", "It costs 3. It is cheap."),
    ("sentences", [2, None], "첫 줄\n둘째 줄", "한 줄뿐"),
    ("sentences", 2, "1. 물을 끓입니다.\n2. 면을 넣습니다.", "1. 물을 끓입니다."),
    ("words", [1, 3], "나는 학교에 갑니다", "나는 오늘 학교에 갑니다"),
    ("characters", 3, "가나다", "가나"),
    ("characters", [None, 5], " 안녕 \n", "안녕하십니까"),
    ("lines", 2, "a\n\nb", "a\nb\nc"),
    ("paragraphs", 2, "a\nb\n\nc", "a\n\nb\n\nc"),
    ("items", 3, "- a\n- b\n- c", "- a\n- b"),
    ("items", 2, "① 사과\n② 배", "사과\n배"),
    ("items", 2, "가. 사과\n나. 배", "가방\n나비"),
    ("items", 1, "결과는 다음과 같습니다.\n1) 1.5배", "1.5배"),
    ("contains", ["배추"], "배추로 담급니다.", "양배추로 담급니다."),
    ("contains", ["cat"], "The Cat sat.", "Concatenate the cats."),
    ("contains", ["kg"], "무게는 10kg입니다.", "무게는 10kgs"),
    ("omits", ["물"], "선물을 받았다.", "물을 마셨다."),
    ("omits", ["ice"], "A nice price.", "Ice melts."),
    ("starts_with", "안녕", "\n안녕하세요.", "네, 안녕하세요."),
    ("ends_with", "고맙습니다.", "잘 받았습니다. 고맙습니다.\n", "고맙습니다. 그럼."),
    ("json", ["이름"], '```json\n{"이름": "하늘"}\n```', '답: {"이름": "하늘"}'),
    ("json", ["a"], '{"a": 1, "b": 2}', '["a"]'),
    ("json", [], "[1]", "[1"),
    ("language", "ko", "오늘은 OpenAI를 소개합니다.", "Today I introduce 오늘 and more."),
    ("language", "en", "The word kimchi is Korean.", "김치는 음식입니다."),
    ("without", "latin", "컴퓨터 3대", "컴퓨터 3대 (PC)"),
    ("without", "hangul", "Fine.", "Fine ㅋㅋ"),
    ("without", "digits", "세 개", "3개"),
    ("without", "commas", "하나 둘", "하나、둘"),
    ("case", "upper", "KEEP OUT! 주의", "Keep out"),
    ("case", "lower", "keep out", "12"),
    ("speech", "polite", "밥을 먹었어요! 맛있었습니다. 더 드릴까요?", "밥을 먹었어요. 맛있었다."),
    ("speech", "polite", "그렇죠? 문을 닫으십시오.", "나는 학생이 아니다."),
    ("speech", "polite", "어디 갑니까?", "그러니까."),
    ("speech", "polite", "그게 필요해요.", "준비물 필요."),
    ("speech", "plain", "비가 온다. 그는 다니다 말았다.", "비가 옵니다."),
    ("speech", "plain", "나는 학생이 아니다.", "비가 와요."),
    ("chooses", ["예", "아니요"], "아니요.", "아니요, 고래는 포유류입니다."),
    ("chooses", ["yes", "no"], '"Yes"', "yes and no"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "argument", "right", "wrong"), CASES)
def test_rule_tells_right_from_wrong_answers(rule: str, argument: Any, right: str, wrong: str) -> None:
    assert RULES[rule].fits(argument)
    for form in ("NFC", "NFD"):
        assert broken(unicodedata.normalize(form, right), {rule: argument}) == []
        assert broken(unicodedata.normalize(form, wrong), {rule: argument}) == [rule]


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, *_ in CASES} == set(RULES)


@given(st.text())
def test_no_text_makes_a_rule_fail_and_an_empty_one_breaks_all(text: str) -> None:
    rules = {rule: argument for rule, argument, *_ in CASES}
    assert set(broken(text, rules)) <= set(rules)
    assert broken(" \n", rules) == list(rules)


def test_deeply_nested_json_is_no_json() -> None:
    assert broken("[" * 100_000, {"json": []}) == ["json"]


def shipped() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines()]


def test_shipped_prompts_are_even_and_their_examples_keep_their_rules() -> None:
    told = read_told(SHIPPED)
    assert [sum(one.language == language for one in told) for language in ("ko", "en")] == [20, 20]
    assert {rule for one in told for rule in one.rules} == set(RULES)
    for one, line in zip(told, shipped(), strict=True):
        assert broken(line["example"], one.rules) == [], one.id


def test_shipped_rules_are_each_broken_by_some_other_answer() -> None:
    answers = [line["example"] for line in shipped()]
    for one in read_told(SHIPPED):
        for rule, argument in one.rules.items():
            others = [*answers, *(argument if rule == "omits" else [])]
            assert any(broken(other, {rule: argument}) for other in others), (one.id, rule)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f'{{"prompt": "{SECRET}", "rules": {{"sentence": 2}}}}', "no such rule"),
        (f'{{"prompt": "{SECRET}", "rules": {{"sentences": "2"}}}}', "'sentences' can't be checked so"),
        (f'{{"prompt": "{SECRET}", "rules": {{"words": [3, 1]}}}}', "'words' can't"),
        (f'{{"prompt": "{SECRET}", "rules": {{"words": [null, null]}}}}', "'words' can't"),
        (f'{{"prompt": "{SECRET}", "rules": {{"contains": []}}}}', "'contains' can't"),
        (f'{{"prompt": "{SECRET}", "rules": {{"language": "fr"}}}}', "'language' can't"),
        (f'{{"prompt": "{SECRET}", "rules": {{"language": ["ko"]}}}}', "'language' can't"),
        (f'{{"prompt": "{SECRET}", "rules": {{}}}}', "not a prompt with rules"),
        (f'{{"prompt": "{SECRET}"', "not a prompt with rules"),
        (f'["{SECRET}"]', "not a prompt with rules"),
        (f'{{"prompt": ["{SECRET}"], "rules": {{"lines": 1}}}}', "not a prompt with rules"),
    ],
)  # fmt: skip
def test_prompt_that_is_none_is_told_by_line_and_never_quoted(here: Path, line: str, told: str) -> None:
    Path("r.jsonl").write_text(f'{{"prompt": "Hi", "rules": {{"lines": 1}}}}\n{line}\n', encoding="utf-8")
    with pytest.raises(SourceError, match=told) as caught:
        read_told("r.jsonl")
    assert caught.value.where == "r.jsonl:2"
    assert SECRET not in "".join(caught.value.lines())
