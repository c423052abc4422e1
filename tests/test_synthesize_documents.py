# ruff: noqa: E501
"""Recipes over documents: what they make stands in the document, every bad reply is a named fault, nothing is lost."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stages.synthesize.each import passages_of
from datakit.stages.synthesize.generate import abreast
from datakit.stages.synthesize.grounding import (
    folded,
    is_quoted,
    numbers,
    strange_name,
    strange_number,
    support,
    ungrounded,
)
from datakit.stages.synthesize.parse import records, said
from datakit.stages.synthesize.rewrite import STYLES, level_share
from tests.fakes.openai_server import Answer, openai_server
from tests.recipes import document, dropped, made, on_documents, recipe, recorded, refused

KO = (
    "달빛도서관은 매주 화요일부터 일요일까지 문을 연다. 여는 시각은 오전 9시이고 닫는 시각은 오후 8시이다. "
    "회원은 한 번에 책을 다섯 권까지 2주 동안 빌릴 수 있다. 늦게 돌려주면 늦은 날만큼 빌리지 못한다. "
    "어린이 자료실은 2층에 있으며 신발을 벗고 들어가기 때문에 양말을 신고 오는 것이 좋다. "
    "2023년에 새로 지은 별관에는 3만 5천 권의 책이 있고, 점자책도 천 권 가까이 갖추었다."
)
EN = (
    "The Fern Lane repair café opens on the first Saturday of each month. Volunteers mend toasters, lamps and coats, and "
    "they show you how it is done. Bring no more than two things, since the queue is long. In 2023 they mended 412 things, "
    "and only 61 had to be thrown away. Microwave ovens are never opened, because their capacitors stay charged. "
    "Tea is free, cake costs 2 pounds, and Mrs Okafor keeps the list at the door."
)


def pair(question: str, answer: str, evidence: str) -> dict[str, str]:
    return {"question": question, "answer": answer, "evidence": evidence}


GOOD = pair(
    "달빛도서관에서는 책을 몇 권까지 빌릴 수 있나요?",
    "회원은 한 번에 5권까지 2주 동안 빌릴 수 있습니다.",
    "한 번에 책을 다섯 권까지 2주 동안 빌릴 수 있다",
)


def grounded(tmp_path: Path, *pairs: dict[str, str], text: str = KO, lang: str = "ko", **settings: Any) -> Any:
    teacher = recorded(tmp_path, {"purpose": "grounded", "text": {"pairs": list(pairs)}})
    return on_documents(recipe("grounded", teacher, **{"per_passage": 10, **settings}), document(text, lang=lang))


# grounded


def test_grounded_row_names_document_evidence_prompt_and_request(tmp_path: Path) -> None:
    applied = grounded(tmp_path, GOOD)
    [row] = made(applied)
    assert row["messages"] == [
        {"role": "user", "content": f"{GOOD['question']}\n\n{KO}", "weight": None},
        {"role": "assistant", "content": GOOD["answer"], "weight": None},
    ]
    assert (row["parents"], row["family"], row["licence"]) == (["d1"], "family-d1", "CC-BY-4.0")
    assert (row["synthesize.parent_licence"], row["synthesize.evidence"]) == ("CC-BY-4.0", GOOD["evidence"])
    assert row["synthesize.prompt"].startswith("grounded.ko@")
    assert row["synthesize.teacher"].startswith("replay:")
    assert len(row["synthesize.request"]) == 40
    assert (applied.stats.rows_in, applied.stats.folded, applied.stats.made) == (1, 1, 1)


def test_licence_of_the_stage_stands_before_the_parents_own(tmp_path: Path) -> None:
    [row] = made(grounded(tmp_path, GOOD, licence="CC-BY-SA-4.0"))
    assert (row["licence"], row["synthesize.parent_licence"]) == ("CC-BY-SA-4.0", "CC-BY-4.0")


def test_without_text_the_question_stands_alone_and_the_text_beside_it(tmp_path: Path) -> None:
    [row] = made(grounded(tmp_path, GOOD, with_text=False))
    assert row["messages"][0]["content"] == GOOD["question"]
    assert row["synthesize.source_text"] == KO


FAULTS = {
    "no_evidence": pair("어린이 자료실은 어디에 있나요?", "2층에 있습니다.", "어린이 자료실은 건물 2층 안쪽에 있다"),
    "strange_number": pair("달빛도서관은 몇 시에 문을 닫나요?", "오후 9시 30분에 닫습니다.", "닫는 시각은 오후 8시이다"),
    "strange_name": pair("별관에는 책이 얼마나 있나요?", "별관의 ‘무지개 서가’에 3만 5천 권이 있습니다.", "별관에는 3만 5천 권의 책이 있고"),
    "needs_text": pair("이 글에서 소개하는 도서관은 언제 여나요?", "화요일부터 일요일까지 엽니다.", "매주 화요일부터 일요일까지 문을 연다"),
    "given_away": pair("어린이 자료실은 2층에 있으며 신발을 벗나요?", "어린이 자료실은 2층에 있으며", "어린이 자료실은 2층에 있으며"),
    "unsupported": pair("책을 늦게 돌려주면 어떻게 되나요?", "사서가 전화로 독촉하고 연체료를 현금으로 받습니다.", "늦게 돌려주면 늦은 날만큼 빌리지 못한다"),
    "language": pair("How many books may a member borrow at once?", "다섯 권입니다.", "책을 다섯 권까지"),
    "answer_language": pair("어린이 자료실은 몇 층에 있나요?", "It is on the second floor.", "어린이 자료실은 2층에 있으며"),
    "no_output": pair("어린이 자료실에 갈 때 무엇을 신어야 하나요?", "", "양말을 신고 오는 것이 좋다"),
    "too_short": pair("언제?", "화요일입니다.", "매주 화요일부터 일요일까지"),
    "repeat": {**GOOD, "answer": "다섯 권까지 빌릴 수 있습니다."},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_grounded_refuses_by_name(tmp_path: Path, fault: str) -> None:
    applied = grounded(tmp_path, GOOD, FAULTS[fault])
    assert len(made(applied)) == 1
    assert refused(applied) == {fault: 1}


def test_document_without_a_sound_pair_is_dropped_with_the_first_fault(tmp_path: Path) -> None:
    applied = grounded(tmp_path, FAULTS["no_evidence"], FAULTS["strange_number"])
    assert dropped(applied) == [("d1", "no_row", "no_evidence")]
    assert applied.stats.rows_in == applied.stats.dropped == 1


def test_english_document_gives_english_questions_and_its_own_faults(tmp_path: Path) -> None:
    sound = pair(
        "How many things were mended at Fern Lane in 2023?",
        "In 2023 the volunteers mended 412 things.",
        "In 2023 they mended 412 things",
    )
    wrong = [
        pair(
            "Who keeps the list at the door?",
            "The list at the door is kept by Mrs Adeyemi.",
            "Mrs Okafor keeps the list at the door",
        ),
        pair("How much does cake cost at the café?", "Cake costs 3 pounds.", "cake costs 2 pounds"),
        pair("수리 카페는 언제 여나요?", "첫째 토요일입니다.", "the first Saturday of each month"),
    ]
    applied = grounded(tmp_path, sound, *wrong, text=EN, lang="en")
    assert [row["lang"] for row in made(applied)] == ["en"]
    assert refused(applied) == {"strange_name": 1, "strange_number": 1, "language": 1}


@pytest.mark.parametrize(
    ("text", "finish", "rows", "fault"),
    [
        ("", "stop", 0, "no_reply"), ("   \n", "stop", 0, "no_reply"), ("죄송하지만 어렵습니다.", "stop", 0, "no_json"),
        ('{"pairs": [' + json.dumps(GOOD, ensure_ascii=False) + ', {"question": "잘린', "length", 1, None),
        ('{"pairs": [{"question": "잘린', "length", 0, "no_json"),
        ("물론이죠!\n```json\n" + json.dumps([GOOD], ensure_ascii=False) + "\n```\n도움이 되셨길!", "stop", 1, None),
        (json.dumps({"pairs": "none"}), "stop", 0, "no_json"),
        (json.dumps({"pairs": [{**GOOD, "answer": None}]}, ensure_ascii=False), "stop", 0, "no_output"),
        ("{" * 1_000_000, "stop", 0, "no_json"), ('{"a":' * 5_000, "stop", 0, "no_json"), ("[1, 2", "length", 0, "no_json"),
    ],
)  # fmt: skip
def test_bad_replies_are_faults_and_whole_pairs_are_salvaged(
    tmp_path: Path, text: str, finish: str, rows: int, fault: str | None
) -> None:
    teacher = recorded(tmp_path, {"purpose": "grounded", "text": text, "finish_reason": finish})
    applied = on_documents(recipe("grounded", teacher), document(KO))
    assert len(made(applied)) == rows
    assert dropped(applied) == ([] if fault is None else [("d1", "no_row", fault)])


def test_documents_in_another_language_are_dropped_unasked(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, {"purpose": "grounded", "text": {"pairs": [GOOD]}})
    rows = [document(KO), document("本日は晴天なり。", "ja", "ja"), document(EN, "en", "en")]
    applied = on_documents(recipe("grounded", teacher, language="ko"), *rows)
    assert dropped(applied) == [("ja", "other_language", "ja"), ("en", "other_language", "en")]
    assert applied.notes["requests"] == 1


def test_rows_that_are_enough_end_it_and_the_rest_is_not_asked(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, {"purpose": "grounded", "default": True, "text": {"pairs": [GOOD]}})
    rows = [document(KO, f"d{n}") for n in range(6)]
    applied = on_documents(recipe("grounded", teacher, rows=3, window=2), *rows)
    assert len(made(applied)) == 3
    assert [(own, rule) for own, rule, _ in dropped(applied)] == [
        ("d3", "not_chosen"),
        ("d4", "not_asked"),
        ("d5", "not_asked"),
    ]
    assert applied.notes["requests"] == 4
    capped = on_documents(recipe("grounded", teacher, max_requests=4, window=3), *rows)
    assert [rule for _, rule, _ in dropped(capped)] == ["not_asked"] * 2
    assert capped.notes["requests"] == 4


def test_new_document_leaves_the_requests_of_others_as_they_are(tmp_path: Path) -> None:
    """Replies are kept by request: what is paid for one document must not hang on what else there is."""
    with openai_server(lambda number, body: Answer(text=json.dumps({"pairs": [GOOD]}, ensure_ascii=False))) as server:
        stage = recipe("grounded", {"base_url": server.url, "model": "m"})  # type: ignore[arg-type]
        cache = tmp_path / "cache"
        first = apply(stage, [document(KO, "a"), document(KO + " 끝.", "b")], cache=cache)
        asked = len(server.bodies)
        second = apply(
            stage, [document("앞에 온 글이다. " + KO, "0"), document(KO, "a"), document(KO + " 끝.", "b")], cache=cache
        )
        assert (asked, len(server.bodies)) == (2, 3)
    ids = [row["id"] for row in made(first)]
    assert ids == [row["id"] for row in made(second)][1:]
    kept = [json.loads(line)["key"] for path in cache.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert {row["synthesize.request"] for row in made(second)} == set(kept), "a row names the kept reply it came from"


def test_request_carries_a_schema_unless_the_endpoint_refuses_it(tmp_path: Path) -> None:
    for structured in (True, False):
        with openai_server(lambda number, body: Answer(text="{}")) as server:
            teacher: Any = {"base_url": server.url, "model": "m"}
            apply(recipe("grounded", teacher, structured=structured), [document(KO)], cache=tmp_path / str(structured))
            assert ("response_format" in server.bodies[0]) == structured


# Grounding


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        ("한 번에 책을 다섯 권까지", True), ("한번에 책을 다섯권까지,", True), (unicodedata.normalize("NFD", "어린이 자료실은 2층"), True),
        ("２층에 있으며", True), ("책을 여섯 권까지", False), ("책을", False), ("", False), ("...!!??,,", False),
    ],
)  # fmt: skip
def test_evidence_is_found_after_folding_only(evidence: str, found: bool) -> None:
    assert is_quoted(evidence, KO) is found


@pytest.mark.parametrize(
    ("answer", "text", "strange"),
    [
        ("35,000권입니다.", "3만 5천 권의 책", None), ("3만 5천 권입니다.", "35,000권의 책", None), ("3만권", "삼만 권", "30000"),
        ("5권까지", "다섯 권까지", None), ("3개", "세 개의 방", None), ("3 rooms", "three rooms", None), ("2년", "이 글은 길다", "2"),
        ("1억 2천만 원", "120,000,000원", None), ("3.0점", "3점", None), ("1. 첫째\n2. 둘째", "첫째와 둘째", None),
        ("20%", "10%와 15%", "20"), ("2024년 3월 5일", "2024년 3월 6일", "5"), ("숫자 없음", "아무것도", None),
    ],
)  # fmt: skip
def test_numbers_are_compared_by_value(answer: str, text: str, strange: str | None) -> None:
    assert strange_number(answer, text) == strange


@pytest.mark.parametrize(
    ("answer", "strange"),
    [
        ("The list is kept by Mrs Okafor.", None), ("The list is kept by Mrs Adeyemi.", "Adeyemi"), ("Volunteers mend coats.", None),
        ("Okafor's list is at the door.", None), ("They call it “the long queue”.", "the long queue"), ("They call it “the queue”.", None),
        ("목록은 Okafor 씨가 맡습니다.", None), ("목록은 Kim 씨가 맡습니다.", "Kim"),
    ],
)  # fmt: skip
def test_names_and_quotations_must_stand_in_the_text(answer: str, strange: str | None) -> None:
    assert strange_name(answer, EN) == strange


def test_support_knows_korean_endings_and_english_forms() -> None:
    assert support("빌리지 못합니다. 늦은 날만큼입니다.", KO) == 1.0
    assert support("연체료를 현금으로 냅니다.", KO) < 0.5
    assert support("The volunteer mended the toaster.", EN) == 1.0
    assert support("", KO) == 1.0


@given(
    st.lists(
        st.sampled_from(["도서관", "3만 5천", "412", "“x y”", "Kim", "세 권", "\u1112\u1161", "🙂", "…", "1,000,000"]),
        max_size=8,
    )
)
def test_text_is_grounded_in_itself(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert ungrounded(text, text, "", 1.0) is None
    assert folded(folded(text)) == folded(text)
    assert numbers(text) == numbers(unicodedata.normalize("NFC", text))


# Reading JSON


@given(st.text('{}[]",:ab\\ \n가1', max_size=80))
def test_no_reply_makes_reading_json_fail(reply: str) -> None:
    for record in records(reply, ("a",)):
        said(record, "a")


@given(st.lists(st.fixed_dictionaries({"a": st.text(max_size=5), "b": st.integers()}), max_size=4), st.integers(0, 200))
def test_whole_records_are_found_however_the_reply_is_cut(rows: list[dict[str, Any]], cut: int) -> None:
    reply = json.dumps({"list": rows}, ensure_ascii=False)
    found = records(reply[:cut], ("a", "b"))
    assert found == rows[: len(found)]
    assert records(f"Sure:\n```\n{reply}\n``` done", ("a", "b")) == rows


# Passages


@given(st.text("가 나다.\n라", max_size=300), st.integers(5, 60))
def test_passages_hold_every_word_in_order_within_the_limit(text: str, limit: int) -> None:
    passages = passages_of(text, limit)
    assert all(0 < len(passage) <= limit for passage in passages)
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_passages_end_where_paragraphs_end() -> None:
    text = "첫째 문단이다. 짧다.\n\n둘째 문단이다.\n\n" + "셋째 문단은 길다. " * 6
    passages = passages_of(text, 60)
    assert passages[0] == "첫째 문단이다. 짧다.\n\n둘째 문단이다."
    assert all(passage.endswith(".") for passage in passages)


def test_long_document_is_asked_about_in_passages(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, {"purpose": "grounded", "default": True, "text": {"pairs": [GOOD]}})
    long = "\n\n".join([KO] * 4)
    applied = on_documents(recipe("grounded", teacher, passages=3, passage_ko=400), document(long))
    assert applied.notes["requests"] == 3
    short = on_documents(recipe("grounded", teacher), document("짧은 글."))
    assert dropped(short) == [("d1", "no_row", "too_short")]


# The other recipes


def one(
    tmp_path: Path, name: str, text: Any, source: str = KO, lang: str = "ko", finish: str = "stop", **settings: Any
) -> Any:
    teacher = recorded(tmp_path, {"purpose": name, "text": text, "finish_reason": finish})
    return on_documents(recipe(name, teacher, **settings), document(source, lang=lang))


SUMMARY = "달빛도서관은 화요일부터 일요일까지 열며 회원은 다섯 권을 2주 동안 빌릴 수 있다."


def test_summary_is_asked_for_in_the_documents_language(tmp_path: Path) -> None:
    [row] = made(one(tmp_path, "summarize", SUMMARY))
    assert row["messages"][0]["content"].endswith(KO)
    assert "2문장" in row["messages"][0]["content"].split("\n")[0]
    [row] = made(
        one(
            tmp_path,
            "summarize",
            "Volunteers at Fern Lane mend things on the first Saturday of each month and show how.",
            EN,
            "en",
            sentences=1,
        )
    )
    assert "sentence" in row["messages"][0]["content"].split("\n")[0]
    assert "sentence(s)" not in row["messages"][0]["content"]


@pytest.mark.parametrize(
    ("text", "finish", "fault"),
    [
        (SUMMARY, "length", "cut"), ("The library is open from Tuesday to Sunday.", "stop", "language"), (KO[:230], "stop", "too_long"),
        ("달빛도서관은 매주 화요일부터 일요일까지 문을 연다.", "stop", "copied"), ("달빛도서관은 7일 내내 연다.", "stop", "strange_number"),
        ("", "stop", "no_reply"), ("수영장은 깨끗하고 강사가 친절하며 주차장도 넓다.", "stop", "unsupported"),
    ],
)  # fmt: skip
def test_summary_is_refused_by_name(tmp_path: Path, text: str, finish: str, fault: str) -> None:
    assert dropped(one(tmp_path, "summarize", text, finish=finish)) == [("d1", "no_row", fault)]


def facts(
    *pairs: tuple[str, str], instruction: str = "다음 글에서 여는 시각과 대출 기간을 찾아 JSON으로 정리해 주세요."
) -> dict[str, Any]:
    return {"instruction": instruction, "facts": [{"name": name, "value": value} for name, value in pairs]}


def test_facts_become_a_json_answer(tmp_path: Path) -> None:
    [row] = made(one(tmp_path, "extract", facts(("여는 시각", "오전 9시"), ("대출 기간", "2주"))))
    assert json.loads(row["messages"][1]["content"]) == {"여는 시각": "오전 9시", "대출 기간": "2주"}


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (facts(("여는 시각", "오전 9시")), "few_facts"), (facts(("여는 시각", "오전 10시"), ("대출 기간", "2주")), "strange_value"),
        (facts(("여는 시각", "오전 9시"), ("위치", "2층")), "not_asked_for"), ({"instruction": "x"}, "no_json"),
        (facts(("여는 시각", "오전 9시"), ("대출 기간", "2주"), instruction="Find it."), "too_short"),
        ({"instruction": "여는 시각을 찾아 주세요.", "facts": "none"}, "few_facts"),
    ],
)  # fmt: skip
def test_facts_are_refused_by_name(tmp_path: Path, reply: Any, fault: str) -> None:
    applied = one(tmp_path, "extract", reply)
    assert [rule for _, rule, _ in dropped(applied)] == ["no_row"]
    assert set(refused(applied)) in ({fault}, {"language"} if fault == "too_short" else {fault})


POLITE = (
    "달빛도서관은 매주 화요일부터 일요일까지 문을 열어요. 여는 시각은 오전 9시이고 닫는 시각은 오후 8시예요. 회원은 한 번에 책을 다섯 권까지 2주 동안 빌릴 수 있어요. "
    "늦게 돌려주면 늦은 날만큼 빌리지 못해요. 어린이 자료실은 2층에 있고 신발을 벗고 들어가니까 양말을 신고 오는 게 좋아요. 2023년에 새로 지은 별관에는 3만 5천 권의 책이 있고, 점자책도 천 권 가까이 있어요."
)


def rewritten(tmp_path: Path, text: str) -> Any:
    """The rewriting of KO with the style that the seed draws for some document id that draws 해요체."""
    from datakit.schemas import table_from_rows
    from datakit.stage import Env
    from datakit.stages.synthesize.rewrite import Rewrite, _style
    from datakit.stages.synthesize.rows import document_items

    teacher = recorded(tmp_path, {"purpose": "rewrite", "default": True, "text": text})
    stage = recipe("rewrite", teacher)
    assert isinstance(stage, Rewrite)
    session = stage.session(Env(), None)
    for number in range(100):
        row = document(KO, f"d{number}")
        [item] = document_items(table_from_rows([row], "document"))
        if "해요체" in _style(session, item, 0).told:
            return on_documents(stage, row)
    raise AssertionError("no id draws 해요체")


def test_rewriting_keeps_facts_and_speaks_at_the_level_that_was_asked(tmp_path: Path) -> None:
    [row] = made(rewritten(tmp_path, POLITE))
    assert row["synthesize.instruction"] == "다음 글을 해요체로 바꿔 주세요."
    for text, fault in (
        (KO, "copied"), (KO.replace("연다.", "여는 곳이다."), "speech_level"), (POLITE.replace("2주", "3주"), "strange_number"),
        (POLITE.replace("2023년에 ", ""), "lost_number"), (POLITE[:40], "length"), ("It is open from Tuesday.", "language"),
    ):  # fmt: skip
        assert set(refused(rewritten(tmp_path, text))) == {fault}, fault


def test_speech_levels_are_told_by_their_endings() -> None:
    polite, formal, casual = (style.ends for style in STYLES["ko"][:3])
    assert level_share("밥 먹었어요. 이제 가요! 그렇죠?", polite) == 1.0
    assert level_share("밥을 먹었습니다. 가시겠습니까?", formal) == 1.0
    assert level_share("밥 먹었어. 이제 가자. 그렇지?", casual) == 1.0
    assert level_share("밥을 먹었습니다. 가요.", casual) == 0.0


TURNS = [
    {"role": "user", "content": "달빛도서관은 무슨 요일에 열어요?"},
    {"role": "assistant", "content": "매주 화요일부터 일요일까지 문을 엽니다."},
    {"role": "user", "content": "그럼 책은 몇 권까지 빌릴 수 있어요?"},
    {"role": "assistant", "content": "회원은 한 번에 다섯 권까지 2주 동안 빌릴 수 있습니다."},
]


def test_dialogue_is_a_row_of_turns(tmp_path: Path) -> None:
    [row] = made(one(tmp_path, "dialogue", {"turns": TURNS}))
    assert [(turn["role"], turn["content"]) for turn in row["messages"]] == [(t["role"], t["content"]) for t in TURNS]
    [row] = made(one(tmp_path, "dialogue", {"turns": TURNS}, with_text=True))
    assert row["messages"][0]["content"] == f"{TURNS[0]['content']}\n\n{KO}"


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (TURNS[:2], "turns"), (TURNS[:3], "turns"), (TURNS[1:] + TURNS[:1], "turns"), ([TURNS[0], TURNS[0], *TURNS[2:]], "turns"),
        ([*TURNS[:3], {"role": "assistant", "content": ""}], "turns"), ([*TURNS[:3], {"role": "assistant", "content": "7권입니다."}], "strange_number"),
        ([*TURNS[:2], {"role": "user", "content": "이 글의 주제는 뭐예요?"}, TURNS[3]], "needs_text"), ([*TURNS, *TURNS], "repeat"),
        ([*TURNS[:3], {"role": "assistant", "content": "Members may borrow many books."}], "language"), ("none", "turns"),
    ],
)  # fmt: skip
def test_dialogue_is_refused_by_name(tmp_path: Path, turns: Any, fault: str) -> None:
    assert dropped(one(tmp_path, "dialogue", {"turns": turns})) == [("d1", "no_row", fault)]


def test_backtranslated_answer_is_the_text_itself(tmp_path: Path) -> None:
    [row] = made(one(tmp_path, "backtranslate", "“달빛도서관의 여는 날과 대출 규칙을 한 단락으로 안내해 주세요.”"))
    assert row["messages"][1]["content"] == KO
    assert row["messages"][0]["content"] == "달빛도서관의 여는 날과 대출 규칙을 한 단락으로 안내해 주세요."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{KO[:80]} 이렇게 시작하는 글을 써 주세요.", "given_away"), ("다음 글의 내용을 그대로 써 주세요.", "needs_text"),
        ("도서관 안내를 7문장으로 써 주세요.", "strange_number"), ("Write about the library.", "language"), ("써 줘.", "too_short"),
    ],
)  # fmt: skip
def test_backtranslation_is_refused_by_name(tmp_path: Path, text: str, fault: str) -> None:
    assert dropped(one(tmp_path, "backtranslate", text)) == [("d1", "no_row", fault)]


# The engine


def test_askings_run_abreast_and_are_looked_at_in_order() -> None:
    log: list[Any] = []

    def asking(name: str, steps: int) -> Any:
        for step in range(steps):
            replies = yield [f"{name}{step}"]
            log.append(replies[0])
        return name

    asked: list[list[str]] = []

    def ask(requests: Any) -> Any:
        asked.append(list(requests))
        return [request.upper() for request in requests]

    assert abreast(ask, [asking("a", 2), asking("b", 0), asking("c", 3)]) == ["a", "b", "c"]
    assert asked == [["a0", "c0"], ["a1", "c1"], ["c2"]]
    assert log == ["A0", "C0", "A1", "C1", "C2"]


@pytest.mark.parametrize("name", ["grounded", "summarize", "extract", "rewrite", "dialogue", "backtranslate"])
def test_shards_and_windows_decide_nothing(tmp_path: Path, name: str) -> None:
    replies = {
        "grounded": {"pairs": [GOOD]}, "summarize": SUMMARY, "extract": facts(("여는 시각", "오전 9시"), ("대출 기간", "2주")),
        "rewrite": POLITE, "dialogue": {"turns": TURNS}, "backtranslate": "달빛도서관의 대출 규칙을 안내해 주세요.",
    }  # fmt: skip
    teacher = recorded(tmp_path, {"purpose": name, "default": True, "text": replies[name]})
    rows = table_from_rows([document(KO, f"d{n}") for n in range(7)], "document")
    whole = apply(recipe(name, teacher), rows)
    assert made(whole)
    cut = apply(recipe(name, teacher, window=2), [rows.slice(0, 1), rows.slice(1, 4), rows.slice(5)])
    assert cut.rows.equals(whole.rows)
    assert cut.drops.equals(whole.drops)
    assert whole.stats.rows_in == whole.stats.dropped + whole.stats.folded == 7


def test_documents_and_examples_go_where_they_belong(tmp_path: Path) -> None:
    teacher = recorded(tmp_path)
    assert "works on example rows" in str(recipe("cot", teacher).chains("document", []))
    assert recipe("cot", teacher).chains("example", []) is None
    assert recipe("dialogue", teacher).chains("document", []) is None
    assert "takes document rows" in str(recipe("dialogue", teacher).chains("example", []))
