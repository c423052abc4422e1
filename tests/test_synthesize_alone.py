# ruff: noqa: E501
"""What can be read alone: no passage begins in the middle of a thought, no statement is a request or lacks a subject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.stages.synthesize.alone import is_exchange, is_talk, is_whole, leans, stands_alone, subject_of, tells
from datakit.stages.synthesize.cutting import may_begin, passage_with
from datakit.stages.synthesize.mine_shapes import FIGURES_COMPILED, _complete, _won
from datakit.stages.synthesize.passages import TAG, read_page

ALONE = [
    ("온돌문화는 2018년 국가무형문화재로 지정되었다.", "ko"),
    ("바늘이 가리키는 북쪽과 지도의 북쪽은 조금 다르다.", "ko"),
    ("나침반은 지구가 지닌 자기장으로 방위를 알려 주는 도구입니다.", "ko"),
    ("Gravity weakens with distance from a heavy body.", "en"),
    ("A bog is a wetland fed by rain alone.", "en"),
    ("In 1994 Peter Shor described a quantum algorithm.", "en"),
]
LEANING = [
    ("이런 변화는 2년 전 철거된 보와 관련이 깊어 보인다.", "ko"),
    ("이곳에서는 1958년부터 나무배와 작은 철선을 지었다.", "ko"),
    ("다만 구시가지를 지나던 구간은 큰길로 옮긴다.", "ko"),
    ("첫째, 가능합니다.", "ko"),
    ('대답은 "모른다"였다.', "ko"),
    ("같은 매체를 나눕니다.", "ko"),
    ("알맞은 크기를 오랫동안 찾은 것이다.", "ko"),
    ("인력은 어떻게 마련했을까.", "ko"),
    ("지난달에는 전체 자리의 약 18퍼센트가 이렇게 풀렸습니다.", "ko"),
    ("The first such apparatus was lit at the mouth of the river.", "en"),
    ("If they are in the lake as well, press the red button.", "en"),
    ("Whichever way is followed, moisture must drop.", "en"),
    ("Almost certainly not, says the reply to the question.", "en"),
    ("And as for the error, the usual reason is the clock.", "en"),
]
ORDERS = [
    ("사물함은 정지 중에도 따로 말씀해 주셔야 멈춥니다.", "ko"),
    ("사본은 바깥에도 한 벌을 꼭 두세요.", "ko"),
    ("필기는 붙었는데 실기는 서술형이라 저는 막막합니다.", "ko"),
    ("Please stop using the kettle until Monday.", "en"),
    ("Wash hands before the induction begins again.", "en"),
    ("Take off rings and watches early in the day.", "en"),
    ("The lamp on your desk was sold by our own shop.", "en"),
]
PAGE = """나침반

나침반은 지구가 지닌 자기장을 이용하여 방위를 알려 주는 도구이다. 가볍게 만든 바늘을 축 위에 올려 돌게 한다.

이 바늘은 자기력선과 나란해질 때까지 움직인다. 바늘이 가리키는 북쪽과 지도의 북쪽은 조금 다르다. 두 방향 사이의 각을 편각이라 한다."""


@pytest.mark.parametrize(("sentence", "language"), ALONE)
def test_sentence_with_its_own_subject_stands_alone_and_tells(sentence: str, language: str) -> None:
    assert stands_alone(sentence, language)
    assert tells(sentence, language)


@pytest.mark.parametrize(("sentence", "language"), LEANING)
def test_sentence_that_leans_on_another_does_not_stand_alone(sentence: str, language: str) -> None:
    assert not stands_alone(sentence, language)


@pytest.mark.parametrize(("sentence", "language"), LEANING + ORDERS)
def test_request_or_leaning_sentence_tells_no_fact(sentence: str, language: str) -> None:
    assert not tells(sentence, language)


@pytest.mark.parametrize(
    ("sentence", "noun"),
    [
        ("온돌은 방을 덥힌다.", "온돌"),
        ("효모는 당을 먹는다.", "효모"),
        ("태양의 힘도 크다.", "힘"),
        ("지붕을 얹은 웅덩이에 대피시킨다.", ""),
        ("번호가 아니라 색으로 구분한다.", ""),
        ("기다릴 필요가 없다.", ""),
    ],
)
def test_subject_is_a_noun_with_a_particle_that_agrees(sentence: str, noun: str) -> None:
    assert subject_of(sentence) == noun


@pytest.mark.parametrize(
    "text",
    [
        "그래서 두 가지를 따로 본다.",
        "Two things matter, as follows:",
        "A *bold* claim.",
        "값은 [전화번호]이다.",
        "끝이 없는 글",
    ],
)
def test_text_that_announces_more_or_holds_marks_is_not_whole(text: str) -> None:
    assert not is_whole(text)
    assert is_whole("바늘이 가리키는 북쪽과 지도의 북쪽은 조금 다르다.")


def test_ticket_is_an_exchange_and_encyclopaedia_is_no_talk() -> None:
    ticket = "I bought the kettle in March and the lid leaks.\n\nReply: Please send a photo of the lid to the desk."
    assert is_exchange(read_page(ticket, "en"))
    assert not is_talk(read_page(PAGE, "ko"))
    assert is_talk(read_page("제목\n\n저는 어제 책을 받았어요. 그런데 표지가 찢어졌네요. 바꿀 수 있나요?", "ko"))


@given(st.integers(60, 400))
def test_passage_holds_its_sentence_under_the_title_and_begins_where_it_may(limit: int) -> None:
    page = read_page(PAGE, "ko")
    for place, inner, sentence in page.plain_sentences():
        passage = passage_with(page, place, inner, limit)
        if not passage:
            continue
        head, _, body = passage.partition("\n\n")
        assert (head, sentence in body, len(passage) <= limit) == ("나침반", True, True)
        assert is_whole(body)
        assert not body.startswith("이 바늘은")
    assert not may_begin(page, 1)


@pytest.mark.parametrize("tag", ["[이메일]", "[전화번호]", "<PERSON>"])
def test_no_passage_holds_a_tag(tag: str) -> None:
    page = read_page(PAGE.replace("가볍게 만든", f"{tag} 만든"), "ko")
    passages = [passage_with(page, place, inner, 400) for place, inner, _ in page.plain_sentences()]
    assert any(passages)
    assert not any(TAG.search(passage) for passage in passages)


def test_amount_is_read_whole_and_a_bare_one_makes_the_list_incomplete() -> None:
    pattern = FIGURES_COMPILED["ko"]["금액"]
    text = "용돈은 5만 2천 원에서 4만 8,148원이 되었고 자장면은 500원이다."
    found = [one.group() for one in pattern.finditer(text)]
    assert found == ["5만 2천 원", "4만 8,148원", "500원"]
    assert [_won(one) for one in found] == [52_000, 48_148, 500]
    assert _complete("금액", pattern, text, found)
    assert not _complete("금액", pattern, text + " 떡볶이 9,000", found)
    assert not _complete("금액", pattern, text, ["50,000원", "5만 원"])


@pytest.mark.parametrize(
    ("sentence", "language"),
    [
        ("WEXCOMBE HARBOUR — A small ferry went back into the water on Monday.", "en"),
        ("(솔내)= 옛 조선소 창고가 소리 전시장으로 탈바꿈해 20일 공개된다.", "ko"),
    ],
)
def test_dateline_is_no_part_of_an_answer(sentence: str, language: str) -> None:
    assert leans(sentence, language)
    assert not leans(sentence.split("— ")[-1].split("= ")[-1], language)
