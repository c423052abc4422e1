# ruff: noqa: E501
"""The miner: what it asks can be answered from the passage, in Korean as in English, the same in any batch and order."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.runner import Applied, apply
from datakit.stages.synthesize import Synthesize
from datakit.stages.synthesize.candidates import SURE, TASKS
from datakit.stages.synthesize.korean import with_particle
from datakit.stages.synthesize.mine import MOST, WEIGHTS, MineSettings, mine_document
from datakit.stages.synthesize.mine_shapes import NUMBER
from datakit.stages.synthesize.passages import TAG, read_page, split_sentences
from datakit.stages.synthesize.wordings import ENGLISH, KOREAN, WORDINGS

TIDE = """조석

바닷물의 높이가 하루에 두 번쯤 규칙적으로 오르내리는 현상을 조석이라고 한다. 물이 가장 높이 차오른 때를 만조라고 부른다.

달은 태양보다 가까이 있기 때문에 바닷물을 더 세게 당긴다. 그러나 태양의 힘도 무시할 수 없다. 예를 들어 보름에는 두 힘이 겹쳐 조차가 커진다.

인천 앞바다의 조석 차이는 9미터 안팎에 이른다. 월미도의 전망대는 1987년에 처음 문을 열었다. 갯벌이 넓으므로 배는 밀물을 기다려야 한다. 따라서 어부들은 물때표를 늘 지니고 다닌다."""
BOG = """Bog

A bog is a wetland fed by rain alone, in which dead plants pile up faster than they decay. The dead plants do not rot in the ground because the water holds very little oxygen.

Moss grows slowly on the surface. However, moss can hold twenty times its weight in water. For example, a handful of moss can fill a cup when it is squeezed.

In 1934 farmers began to drain the valley with open ditches. The bog below the path is 7 metres thick. Rain falls on most days of the year. As a result, the surface never dries out completely."""
MANUAL = """# 소화기 쓰는 법

## 불이 났을 때

1. 불이 났다고 크게 외친다.
2. 소화기를 불 가까이 옮긴다.
3. 안전핀을 뽑는다.
4. 호스를 불로 향하게 한다.
"""
TICKET = """책이 오지 않았어요. 어제 온다고 했는데 언제 받을 수 있나요? 주말에 여행을 떠나서 그 전에 꼭 받아야 합니다.

[상담원 답변]
불편을 드려 죄송합니다. 기사님께 확인해 보니 오늘 저녁 일곱 시까지 가져다드릴 수 있다고 합니다. 집에 안 계시면 경비실에 맡겨 두겠습니다."""


def mine(text: str, task: str = "", language: str | None = None, **settings: Any) -> list[dict[str, Any]]:
    """All rows of one document, of one task if it is named."""
    known = {"per_document": 20, "passage_ko": 600, "passage_en": 1000, "language": "auto", "tasks": SURE, "seed": 0}
    document = {"id": "d1", "source_id": "s1", "text": text, "lang": language, "family": "f1", "licence": "CC0"}
    rows = mine_document(document, MineSettings(**{**known, **settings}))
    return [row for row in rows if row["dropped"] is None and (not task or row["synthesize.task"] == task)]


def tried(text: str, task: str) -> set[tuple[str, str]]:
    """What seeds 0..39 ask (without the wording's passage) and answer for one task."""
    found = [row for seed in range(40) for row in mine(text, task, seed=seed)]
    return {(row["synthesize.instruction"], row["messages"][1]["content"]) for row in found}


def answers(text: str, task: str) -> set[str]:
    return {answer for _, answer in tried(text, task)}


@pytest.mark.parametrize(
    ("text", "task", "answer"),
    [
        (TIDE, "definition", "조석은 바닷물의 높이가 하루에 두 번쯤 규칙적으로 오르내리는 현상입니다."),
        (TIDE, "term", "만조라고 합니다."),
        (TIDE, "reason", "달은 태양보다 가까이 있기 때문입니다."),
        (TIDE, "reason", "갯벌이 넓기 때문입니다."),
        (TIDE, "result", "어부들은 물때표를 늘 지니고 다닌다."),
        (TIDE, "example", "보름에는 두 힘이 겹쳐 조차가 커진다."),
        (TIDE, "when", "1987년입니다."),
        (TIDE, "connective", "알맞은 말은 ‘그러나’입니다. 앞뒤 문장의 내용이 서로 맞서기 때문입니다."),
        (
            BOG,
            "definition",
            "A bog is a wetland fed by rain alone, in which dead plants pile up faster than they decay.",
        ),
        (BOG, "reason", "The reason is that the water holds very little oxygen."),
        (BOG, "result", "The surface never dries out completely."),
        (BOG, "example", "A handful of moss can fill a cup when it is squeezed."),
        (BOG, "when", "It happened in 1934."),
        (BOG, "connective", "“However” fits, because what follows goes against what was said before."),
    ],
)
def test_sentence_rule_gives_a_whole_right_answer(text: str, task: str, answer: str) -> None:
    assert answer in answers(text, task)


@pytest.mark.parametrize(
    ("sentence", "task"),
    [
        ("그는 그곳에 일찍 도착했기 때문에 오래 기다려야 했다.", "reason"),
        ("이 때문에 사람들이 그 길을 피해서 멀리 돌아다녔다.", "reason"),
        ("커다란 바위 하나가 길 한가운데를 막고 서 있었다.", "definition"),
        ("바닥 센서가 검은색을 낭떠러지로 착각하기 때문이라고 한다.", "definition"),
        ("친구가 동전 하나를 내밀며 공정한 동전이라고 한다.", "term"),
        ("이를 흔히 사람들은 바다의 숨이라고 부른다.", "definition"),
        ("It is a small house that stands at the end of the road.", "definition"),
        ("A good start is a warm cup of tea before the rain begins.", "definition"),
        ("They left early, not because they were tired of the long talk.", "reason"),
        ("The match was stopped because of the heavy rain that fell at noon.", "reason"),
    ],
)
def test_sentence_that_points_outside_or_means_something_else_is_passed_over(sentence: str, task: str) -> None:
    assert answers(sentence, task) == set()


def test_fact_without_a_subject_takes_the_topic_of_its_cause() -> None:
    """`달은 … 때문에 바닷물을 당긴다`: what is asked about must say who does it."""
    asked = {
        question for question, answer in tried(TIDE, "reason") if answer == "달은 태양보다 가까이 있기 때문입니다."
    }
    assert asked
    assert all("달은 바닷물을 더 세게 당긴다." in question for question in asked)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("표를 읽는 법\n\n전력량계는 집에서 쓴 전기를 잰다. 예를 들어 값은 다음과 같이 표에 적혀 있다.", "example"),
        (
            "Reading a meter\n\nA meter counts what a home uses. For example, the values are written as follows in a table.",
            "example",
        ),
        ("그 방법은 위험하다. 캐시를 쓰지 않도록 설정하므로 사용하지 않는 것이 좋습니다.", "reason"),
        (
            "The clerk waited. This was a long day for everybody in the office. As a result, these went home early.",
            "result",
        ),
        (
            "He was tired because it had rained. It's useful to run it because the light was on all night long.",
            "reason",
        ),
        ("값은 관련 형식의 값이다. 관련 형식의 긴 값을 원본값이라고 한다.", "term"),
    ],
)
def test_answer_or_question_that_points_elsewhere_is_no_task(text: str, task: str) -> None:
    assert answers(text, task) == set()


@pytest.mark.parametrize(("text", "language"), [(TIDE, "ko"), (BOG, "en")])
def test_continuation_is_the_documents_own_text_after_the_opening(text: str, language: str) -> None:
    rows = mine(text, "continue")
    assert rows
    for row in rows:
        opening, answer = row["synthesize.input"].removeprefix(text.split("\n", 1)[0]), row["messages"][1]["content"]
        told = " ".join(text.split())
        assert told.index(" ".join(opening.split())) < told.index(" ".join(answer.split()))
        assert (row["lang"], answer[-1]) == (language, ".")


def test_written_text_begins_the_document_of_that_title() -> None:
    title, body = TIDE.strip().split("\n", 1)
    rows = mine(TIDE, "write")
    assert rows
    assert rows[0]["synthesize.input"] in title
    assert " ".join(body.split()).startswith(" ".join(rows[0]["messages"][1]["content"].split())[:60])


LONG_BOG = BOG.replace(
    "little oxygen.",
    "little oxygen. Every layer of dead plants adds a millimetre or so in a year of ordinary weather.",
)


@pytest.mark.parametrize(("text", "language"), [(TIDE, "ko"), (LONG_BOG, "en")])
def test_continuation_is_called_a_paragraph_only_within_one(text: str, language: str) -> None:
    """Law: `first sentence` wordings give one sentence, `paragraph` wordings stay in a paragraph and end it."""
    general = set(WORDINGS[language]["continue"])
    single = set(WORDINGS[language]["continue sentence"])
    seen = set()
    for row in [row for seed in range(40) for row in mine(text, "continue", seed=seed)]:
        body = row["synthesize.input"].split("\n\n", 1)[1]
        within = f"{body} {row['messages'][1]['content']}" in text.split("\n\n")
        instruction = row["synthesize.instruction"]
        seen.add(within)
        assert within or instruction in general
        assert instruction not in single or len(split_sentences(body)) == 1
    assert seen == {True, False}


THREADS = [
    """Why do my tomato leaves curl upwards?

Lower leaves are rolled like cigars and the plant is otherwise green with lots of fruit. It was a hot week in the greenhouse.

Physiological leaf roll is what it looks like. The plant cuts down its surface to lose less water in the heat. Harmless, and the yield stays as it is.""",
    """고구마 순이 시들시들한데 물을 더 줘야 하나요

모종 스무 개는 비스듬히 심었고 비닐을 씌웠다. 낮에는 누워 있다가 아침에 보면 조금 살아나 있다. 물은 저녁마다 한 번씩 주고 있다.

답글: 닷새면 아직 뿌리가 내리지 않은 때다. 아침에 살아난다면 죽지 않는다. 한낮에 물을 주면 비닐 안이 찜통이 되니 해 질 무렵에 주는 편이 낫다.""",
]


@pytest.mark.parametrize("text", THREADS)
def test_continuation_never_goes_on_with_another_persons_post(text: str) -> None:
    reply = text.split("\n\n")[2]
    assert not any(reply[:30] in answer for answer in answers(text, "continue"))
    plain = text.replace("my ", "the ").replace("답글: ", "").replace("줘야 하나요", "주는 때")
    assert any(reply.removeprefix("답글: ")[:20] in answer for answer in answers(plain, "continue"))


def test_continuation_names_nothing_as_known_that_only_the_text_before_it_told() -> None:
    text = "Traffic lights\n\nA corridor links the ring road with a school. It is short and often full of cars at noon.\n\nTraffic in small helpings keeps {} clear in the morning. Sensors recorded a fall of 19 per cent in the average journey, which nobody had expected. Pedestrians gain as well, since the wait is now a little over a minute long."

    def begins_late(named: str) -> bool:
        rows = [row for seed in range(20) for row in mine(text.format(named), "continue", seed=seed)]
        return any("\n\nTraffic in" in r["synthesize.input"] and "ring road" not in r["synthesize.input"] for r in rows)

    assert begins_late("every lane")
    assert not begins_late("the corridor")
    assert not begins_late("the two lanes")


def test_answer_neither_saw_what_was_not_shown_nor_leaves_a_line_below_the_question() -> None:
    row = mine(TICKET.replace("\n\n[상담원", "\n\n---\n\n[상담원"), "answer")[0]
    assert row["synthesize.input"].endswith("받아야 합니다.")
    assert mine(TICKET.replace("불편을 드려", "사진 잘 보았습니다. 불편을 드려"), "answer") == []
    shown = TICKET.replace("책이 오지", "사진을 보냅니다. 책이 오지")
    assert mine(shown.replace("불편을 드려", "사진 잘 보았습니다. 불편을 드려"), "answer")


def test_word_with_a_capital_for_its_place_only_is_not_quoted() -> None:
    text = "Compost\n\nCompost is a heap of dead plants that rots into soil over a year. Turning means moving the outside of a heap to the inside with a fork. {} A cold heap needs a year of rest in the shade."
    told = "Turning means moving the outside of a heap to the inside with a fork."
    assert told not in answers(text.format("A fork brings in air."), "definition")
    assert told in answers(text.format("A fork is best for turning."), "definition")


def test_steps_come_back_in_their_order_and_are_shown_in_another() -> None:
    row = mine(MANUAL, "order", tasks=("order",))[0]
    answer = row["messages"][1]["content"].split("\n")
    assert [line[0] for line in answer] == ["1", "2", "3", "4"]
    shown = [line.removeprefix("- ") for line in row["synthesize.input"].split("\n")]
    assert sorted(shown) == sorted(line[3:] for line in answer)
    assert shown != [line[3:] for line in answer]


def test_reply_is_answer_and_question_is_input() -> None:
    row = mine(TICKET, "answer")[0]
    assert row["synthesize.input"].startswith("책이 오지 않았어요")
    assert row["messages"][1]["content"].startswith("불편을 드려")
    assert "답변]" not in row["messages"][1]["content"]


def test_reply_to_nobody_is_no_task() -> None:
    assert mine(TICKET.replace("?", ".").replace("있나요", "있다").replace("합니다", "한다"), "answer") == []


@pytest.mark.parametrize("text", [TIDE, BOG])
def test_check_tells_a_changed_number_from_the_right_one(text: str) -> None:
    """Law: the statement stands in the passage if and only if the answer says so."""
    rows = [row for seed in range(40) for row in mine(text, "check", seed=seed)]
    verdicts = set()
    for row in rows:
        statement = row["synthesize.instruction"].split("\n", 1)[-1].split(": ", 1)[-1]
        true = row["messages"][1]["content"].startswith(("맞습니다", "True"))
        assert (statement in row["synthesize.input"]) == true
        verdicts.add(true)
    assert verdicts == {True, False}


def test_bounded_number_is_never_changed() -> None:
    """`More than 300` with another number could be true as well."""
    text = "The old hall\n\nThe old hall by the river can seat more than 300 people on its benches. It was painted green last spring again."
    assert answers(text, "check") == {"True. The text says so."}


@pytest.mark.parametrize("text", [TIDE, BOG, MANUAL, TICKET])
def test_row_has_parent_family_licence_and_one_of_the_wordings(text: str) -> None:
    for row in mine(text):
        assert (row["parents"], row["family"], row["licence"]) == (["d1"], "f1", "CC0")
        assert row["made_by"] == f"synthesize/mine/{row['synthesize.task']}"
        user, assistant = row["messages"]
        assert user["content"] == f"{row['synthesize.instruction']}\n\n{row['synthesize.input']}"
        assert assistant["content"].strip()


def test_at_most_so_many_rows_and_few_of_a_kind_whose_answers_differ() -> None:
    for most in (1, 2, 5):
        rows = mine(TIDE, per_document=most)
        assert len(rows) == most
        for task, times in Counter(row["synthesize.task"] for row in rows).items():
            answers = [row["messages"][1]["content"] for row in rows if row["synthesize.task"] == task]
            assert times <= MOST.get(task, 1)
            assert not any(one in other for one, other in permutations(answers, 2))


@pytest.mark.parametrize("tag", ["[이메일]", "[EMAIL]", "[전화번호]", "<PERSON>"])
def test_tag_is_never_asked_for(tag: str) -> None:
    text = f"""{tag} 안내

{tag}은 편지를 전자 문서로 주고받는 주소를 말한다. {tag} 때문에 접수가 하루 늦어졌다. 접수 시각은 1987년 {tag}에 정했다.
접수 창구에서는 {tag}로 답을 보낸다. 따라서 {tag}를 꼭 적어야 한다. 수수료는 3,000원이고 등기는 {tag} 5,000원이다."""
    for seed in range(20):
        for row in mine(text, seed=seed):
            assert not TAG.search(row["messages"][1]["content"])


@pytest.mark.parametrize("limit", [120, 300, 600])
def test_passage_keeps_to_its_limit(limit: int) -> None:
    for text in (TIDE, BOG, TIDE.replace("\n\n", " ") * 3):
        for row in mine(text, passage_ko=limit, passage_en=limit):
            # A gap may be a few characters longer than the word that was there.
            assert len(row["synthesize.input"]) <= limit + 10


def test_other_language_is_dropped_not_guessed() -> None:
    settings = MineSettings(3, 600, 1000, "auto", TASKS, 0)
    japanese = {"id": "d", "source_id": "s", "text": "吾輩は猫である。名前はまだ無い。", "lang": "ja"}
    assert mine_document(japanese, settings)[0]["dropped"] == "other_language"
    korean_only = MineSettings(3, 600, 1000, "ko", TASKS, 0)
    document = {"id": "d", "source_id": "s", "text": BOG, "lang": "en"}
    assert mine_document(document, korean_only)[0]["dropped"] == "other_language"


def documents(count: int = 12) -> list[dict[str, Any]]:
    texts = (TIDE, BOG, MANUAL, TICKET, "짧은 글.")
    return [{"source_id": f"s{n}", "id": f"doc{n:02}", "text": texts[n % 5], "lang": None} for n in range(count)]


def made(applied: Applied) -> list[tuple[Any, ...]]:
    return [(r["id"], r["parents"][0], r["messages"][0]["content"]) for r in applied.rows.to_pylist()]


def test_rows_are_the_same_for_any_shards() -> None:
    rows = documents()
    whole = apply(Synthesize(), rows)
    split = apply(Synthesize(), [rows[:1], rows[1:7], rows[7:]])
    assert made(whole) == made(split)
    assert made(whole) != made(apply(Synthesize(), rows, seed=1))


def test_documents_are_folded_or_dropped_none_lost() -> None:
    applied = apply(Synthesize(), documents())
    stats = applied.stats
    assert (stats.rows_in, stats.kept, stats.dropped, stats.folded) == (12, 0, 4, 8)
    assert stats.made == applied.rows.num_rows
    assert dict(stats.rules) == {"no_task": 4}
    assert len({parent for _, parent, _ in made(applied)}) == 8


def test_rows_limit_takes_so_many_and_stays_within_the_unlimited_ones() -> None:
    every = {row[0] for row in made(apply(Synthesize(), documents()))}
    few = apply(Synthesize(rows=7), [documents()[:5], documents()[5:]])
    assert few.rows.num_rows == 7
    assert {row[0] for row in made(few)} < every
    assert few.stats.rows_in == few.stats.dropped + few.stats.folded


def test_tasks_setting_limits_the_kinds() -> None:
    applied = apply(Synthesize(tasks=("title", "reason")), documents())
    assert set(applied.rows["synthesize.task"].to_pylist()) <= {"title", "reason"}


def test_every_task_has_weight_and_six_wordings_in_both_languages() -> None:
    assert set(WEIGHTS) == set(TASKS)
    for wordings in WORDINGS.values():
        assert {name.split()[0] for name in wordings} == set(TASKS)
        assert all(len(set(ways)) >= 6 for ways in wordings.values())
    assert all(any(f.endswith(e) for f in KOREAN["title"]) for e in ("주세요.", "쓰시오.", "줘."))
    assert set(ENGLISH) - set(KOREAN) == {"definition word"}


@pytest.mark.parametrize(
    ("word", "pair", "right"),
    [
        ("조석", "은/는", "조석은"), ("조차", "은/는", "조차는"), ("물", "으로/로", "물로"), ("밥", "으로/로", "밥으로"),
        ("7", "이/가", "7이"), ("2", "이/가", "2가"), ("1,000", "이/가", "1,000이"), ("PDF", "을/를", "PDF를"),
        ("URL", "을/를", "URL을"), ("‘조석’", "이란/란", "‘조석’이란"),
    ],
)  # fmt: skip
def test_particle_follows_the_sound(word: str, pair: str, right: str) -> None:
    assert with_particle(word, pair) == right


def test_sentences_end_where_they_end() -> None:
    assert split_sentences("높이는 7.6미터다. 길이는 3.5킬로미터이다.") == [
        "높이는 7.6미터다.",
        "길이는 3.5킬로미터이다.",
    ]
    assert split_sentences("Dr. Shin came at 8 p.m. on foot. He left.") == [
        "Dr. Shin came at 8 p.m. on foot.",
        "He left.",
    ]
    assert split_sentences('"가자." 그가 말했다. 모두 일어섰다.') == ['"가자."', "그가 말했다.", "모두 일어섰다."]


@given(st.lists(st.sampled_from(["비가 온다.", "It rains.", "끝?", "(하나)", "7.5", "A.", "“네.”"]), max_size=12))
def test_splitting_loses_nothing(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert " ".join(split_sentences(text)) == text


def test_page_has_title_headings_and_sections() -> None:
    page = read_page(MANUAL, "ko")
    assert page.title == "소화기 쓰는 법"
    assert [unit.kind for unit in page.units] == ["heading", "list", "list", "list", "list"]


def test_number_in_a_code_is_no_number() -> None:
    assert [m.group() for m in NUMBER.finditer("H-12, 010-1234-5678, v1.2.3, 21:00, 3/4, 1,500원 3.5cm")] == [
        "1,500",
        "3.5",
    ]
