"""Variety of instructions: verbs and objects in two languages, counts as the textbook has them, no word in figures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.diversity import Row, as_many_as, different, diversity, nearest, rows_of, sampled
from datakit.diversity.verbs_en import singular, verb_and_object
from datakit.diversity.verbs_ko import connected_stem, predicate_and_object
from datakit.kernels.subsequences import longest_in_python
from datakit.schemas import table_from_rows
from datakit.stages.synthesize.novelty import tokens_of

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("Write a short, formal email to a landlord.", ("write", "email")),
        ("Please summarize the following text in one sentence.", ("summarize", "text")),
        ("Can you suggest five names for a podcast?", ("suggest", "name")),
        ("Given a list of words, sort them by length.", ("sort", "")),
        ("In this task, you are asked to classify the reviews.", ("classify", "review")),
        ("Create a list of subtopics for the given topic.", ("create", "subtopic")),
        ("Come up with an interesting idea for a movie.", ("come up with", "idea")),
        ("What is the difference between a crow and a raven?", ("what", "difference")),
        ("Is the following sentence grammatical?", ("whether", "")),
        ("The text below is long. Shorten it, and translate the result.", ("shorten", "")),
        ("Your task is to rewrite these angry messages politely.", ("rewrite", "message")),
        ("Nothing to see here", None),
        ("", None),
        ("???", None),
    ],
)
def test_english_verb_and_object(instruction: str, found: tuple[str, str] | None) -> None:
    assert verb_and_object(instruction) == found


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("다음 문장을 존댓말로 바꿔 주세요.", ("바꾸다", "문장")),
        ("글의 중심 내용을 한 문장으로 쓰시오.", ("쓰다", "내용")),
        ("아래 회의록을 세 줄로 요약해줘", ("요약하다", "회의록")),
        ("맞춤법에 맞는 말을 고르세요.", ("고르다", "말")),
        ("새로 여는 빵집의 이름을 지어 줄래? 세 글자로 지어 주세요.", ("짓다", "")),
        ("가게 이름을 세 개 지어 주시겠어요?", ("짓다", "이름")),
        ("꽃이 피는 까닭은 무엇인가요?", ("무엇", "까닭")),
        ("하늘은 왜 파란가요?", ("왜", "하늘")),
        ("이 글은 광고인가요?", ("여부", "글")),
        ("동호회가 사람을 모으려고 합니다. 좋은 방법을 알려 주세요.", ("알리다", "방법")),
        ("보고서를 만들어 주세요. 금액은 숫자로 적습니다.", ("만들다", "보고서")),
        ("아이 눈높이에 맞춰 세 문장으로 대답하라.", ("대답하다", "")),
        ("서론과 결론을 나눠 주십시오.", ("나누다", "결론")),
        ("회의 내용을 정리한다.", ("정리하다", "내용")),
        ("비 오는 날의 바닷가", None),
        ("", None),
    ],
)
def test_korean_predicate_and_object(instruction: str, found: tuple[str, str] | None) -> None:
    assert predicate_and_object(instruction) == found


@pytest.mark.parametrize(
    ("form", "stem"),
    [("바꿔", "바꾸"), ("알려", "알리"), ("써", "쓰"), ("찾아", "찾"), ("요약해", "요약하"), ("덧붙여", "덧붙이"),
     ("봐", "보"), ("보내", "보내"), ("골라", "고르"), ("도와", "돕"), ("만들어", "만들"), ("짧", ""), ("abc", ""),
     ("", "")],
)  # fmt: skip
def test_contraction_is_undone(form: str, stem: str) -> None:
    assert connected_stem(form) == stem


def test_decomposed_hangul_is_the_same() -> None:
    import unicodedata

    text = "다음 문장을 존댓말로 바꿔 주세요."
    assert predicate_and_object(unicodedata.normalize("NFD", text)) == predicate_and_object(text)


@pytest.mark.parametrize(
    ("word", "one"),
    [("messages", "message"), ("stories", "story"), ("boxes", "box"), ("glass", "glass"), ("bus", "bus"),
     ("phrases", "phrase")],
)  # fmt: skip
def test_noun_in_the_singular(word: str, one: str) -> None:
    assert singular(word) == one


@given(st.text("가을를a z주세요.?,write ", max_size=60))
def test_any_text_is_read_without_failing(text: str) -> None:
    verb_and_object(text)
    predicate_and_object(text)


def test_nearly_every_seed_has_a_verb() -> None:
    seeds = [json.loads(line) for line in (ROOT / "sample_data/seeds.jsonl").read_text("utf-8").split("\n") if line]
    for lang, find in (("ko", predicate_and_object), ("en", verb_and_object)):
        texts = [seed["instruction"] for seed in seeds if seed["language"] == lang]
        assert sum(find(text) is not None for text in texts) >= 0.95 * len(texts)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")
def test_nine_in_ten_instructions_of_people_have_a_verb() -> None:
    for name in ("seed_tasks_en.jsonl", "user_oriented_instructions_en.jsonl"):
        rows = [json.loads(line) for line in (SHARED / name).read_text("utf-8").split("\n") if line]
        assert sum(verb_and_object(row["instruction"]) is not None for row in rows) > 0.9 * len(rows)


def test_as_many_as_counts_equal_things_and_discounts_rare_ones() -> None:
    assert as_many_as(Counter("abcd")) == pytest.approx(4)
    assert 1 < as_many_as(Counter({"a": 97, "b": 1, "c": 1, "d": 1})) < 1.3
    assert as_many_as(Counter()) == 0


def test_different_grams_are_counted_over_so_many_tokens() -> None:
    assert different([["a", "b", "a", "b"]], 1) == 0.5
    assert different([["a", "b", "a", "b"]], 2) == 2 / 3
    assert different([["a"] * 5, ["b"] * 5], 1, most=5) == 0.2
    assert different([], 2) == different([["a"]], 2) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abc 가나다", min_size=1, max_size=12), min_size=2, max_size=8))
def test_nearest_equals_a_loop_over_all_pairs(texts: list[str]) -> None:
    tokens = [tokens_of(text) for text in texts]
    scores = [
        max(
            2 * longest_in_python(one, other) / max(1, len(one) + len(other))
            for place, other in enumerate(tokens)
            if place != own
        )
        for own, one in enumerate(tokens)
    ]
    found = nearest(texts)
    assert found is not None
    tenths = Counter(min(9, int(score * 10 + 1e-9)) for score in scores)
    assert found.tenths == pytest.approx([tenths[place] / len(texts) for place in range(10)])
    assert found.spread.high <= max(scores) + 1e-9


def rows(count: int, same: bool) -> list[Row]:
    names = [f"{one}{other}x" for one in "abcdefgh" for other in "klmno"]
    return [
        Row(f"r{n}", "en", f"Write a {names[0 if same else n]} on {names[0 if same else 39 - n]} now.", "x y z")
        for n in range(count)
    ]


def test_copies_are_less_varied_than_different_rows() -> None:
    [copies], [varied] = diversity(rows(20, True)), diversity(rows(20, False))
    assert (copies.pairs, copies.as_many_as) == (1, 1)
    assert (varied.pairs, varied.as_many_as) == (20, pytest.approx(20))
    assert copies.nearest is not None
    assert varied.nearest is not None
    assert copies.nearest.spread.median == 1 > varied.nearest.spread.median
    assert copies.different["instruction.2"] < varied.different["instruction.2"]


def test_order_of_rows_changes_nothing_and_languages_stand_apart() -> None:
    both = [*rows(9, False), Row("k", "ko", "시를 써 주세요.", "바다"), Row("e", "ko", " ", "")]
    assert diversity(both) == diversity(both[::-1])
    assert [(one.lang, one.rows) for one in diversity(both)] == [("en", 9), ("ko", 1)]
    assert diversity(both)[1].nearest is None


def test_sample_of_more_rows_keeps_most_of_the_sample() -> None:
    before = {row.id for row in sampled(rows(39, False), 10)}
    after = {row.id for row in sampled(rows(40, False), 10)}
    assert len(before & after) >= 9


def test_plain_figures_hold_no_word_of_the_texts() -> None:
    [found] = diversity(
        [Row("1", "ko", "비밀편지를 써 주세요.", "홍길동"), Row("2", "ko", "비밀편지를 고쳐 주세요.", "홍길동")]
    )
    assert found.verbs[0].objects == (("비밀편지", 1),)
    told = json.dumps(found.as_dict(), ensure_ascii=False)
    assert "편지" not in told
    assert "길동" not in told


def test_instruction_is_told_from_its_input() -> None:
    def example(own: str, **more: Any) -> dict[str, Any]:
        said = [{"role": "user", "content": "Sort them.\n\nb, a"}, {"role": "assistant", "content": "a, b"}]
        return {"id": own, "source_id": own, "lang": "en", "messages": said, **more}

    [plain] = rows_of(table_from_rows([example("1")], "example"))
    [known] = rows_of(table_from_rows([example("1", **{"synthesize.instruction": "Sort these."})], "example"))
    assert (plain.instruction, plain.answer, known.instruction) == ("Sort them.", "a, b", "Sort these.")
