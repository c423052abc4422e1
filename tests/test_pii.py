"""The pii stage: operators, one mapping a record, idempotence, failing closed, no value anywhere but in the input."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import ConfigError, StageError
from datakit.outcome import StageStats
from datakit.runner import apply
from datakit.stages.pii import Pii, judge, scan
from datakit.stages.pii.operators import keyed_hash, partial, tag
from datakit.stages.pii.redact import moved, redact
from datakit.stages.pii.rules import ENTITIES, ENTITY_TYPES
from tests.test_pii_rules import MAKERS, NAMED_BY_LABEL, PARTICLES

FIND = scan.Scanner()
KOREAN = "담당자: 김민수, 연락처 010-1234-5678로 hong@naver.com으로 주세요. 주민번호 900101-1234567입니다."
ENGLISH = "Mr. Alan Poole, call 905-674-3793 or mail alan@poole.example.org, SSN 460-89-9847."


def document(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "a", "source_id": "s", "text": text, **more}


def text_of(stage: Pii, text: str, **more: Any) -> str:
    return apply(stage, [document(text, **more)]).rows.column("text")[0].as_py()


def test_pii_tags_speak_the_language_of_the_row() -> None:
    assert (
        text_of(Pii(), KOREAN)
        == "담당자: [이름], 연락처 [전화번호]로 [이메일]으로 주세요. 주민번호 [주민등록번호]입니다."
    )
    assert text_of(Pii(), ENGLISH) == "Mr. [PERSON], call [PHONE] or mail [EMAIL], SSN [US_SSN]."
    assert text_of(Pii(), "hong@naver.com", lang="ko") == "[이메일]"
    assert text_of(Pii(), "메일 hong@naver.com", lang="en") == "메일 [EMAIL]"


def kinds(stats: StageStats) -> dict[str, int]:
    return {name: count for name, count in stats.counters.items() if name.isupper()}


def test_pii_counts_each_type() -> None:
    stats: StageStats = apply(Pii(), [document(KOREAN), document(ENGLISH)]).stats
    assert kinds(stats) == {"PERSON": 2, "PHONE": 2, "EMAIL": 2, "RRN": 1, "US_SSN": 1}
    assert stats.counters["EMAIL: email by shape"] == 2
    assert stats.counters["RRN: rrn_separated by label"] == 1
    assert sum(n for name, n in stats.counters.items() if " by " in name) == sum(kinds(stats).values())
    assert stats.conserved


def test_pii_kinds_allow_and_deny_choose_what_goes() -> None:
    assert text_of(Pii(kinds=("EMAIL",)), KOREAN) == KOREAN.replace("hong@naver.com", "[이메일]")
    assert "010-1234-5678" in text_of(Pii(allow=("010-1234-5678",)), KOREAN)
    assert text_of(Pii(deny=("매화",)), "매화는 봄에 핀다") == "[삭제]는 봄에 핀다"


def test_pii_mask_and_partial_keep_what_they_promise() -> None:
    masked = text_of(Pii(operator="mask"), KOREAN)
    assert "***-****-****로 ****@*****.***으로" in masked
    assert "******-*******" in masked
    shown = text_of(Pii(operator="partial"), KOREAN)
    assert "김**, 연락처 ***-****-5678로 h***@naver.com으로" in shown
    assert "******-*******" in shown
    assert len(masked) == len(KOREAN)


@pytest.mark.parametrize(
    "entity", [name for name, kind in ENTITIES.items() if kind.risk == 3 and name != "BANK_ACCOUNT"]
)
def test_partial_shows_nothing_of_grave_types(entity: str) -> None:
    assert not any(char.isalnum() for char in partial(entity, "A12-345 비밀"))


def test_pii_hash_is_keyed_and_equal_for_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Pii(operator="hash")
    monkeypatch.delenv("DATAKIT_PII_KEY", raising=False)
    with pytest.raises(ConfigError, match="DATAKIT_PII_KEY"):
        text_of(stage, KOREAN)
    monkeypatch.setenv("DATAKIT_PII_KEY", "k" * 16)
    first, print_1 = text_of(stage, "010-1234-5678 그리고 010 1234 5678"), stage.identity()["key_print"]
    one, two = first.split(" 그리고 ")
    assert one == two == keyed_hash("PHONE", "010-1234-5678", "ko", b"k" * 16)
    monkeypatch.setenv("DATAKIT_PII_KEY", "l" * 16)
    assert text_of(stage, "010-1234-5678 그리고 010 1234 5678") != first
    assert stage.identity()["key_print"] != print_1
    assert "l" * 16 not in json.dumps(stage.identity())


def test_pii_drop_document_and_max_spans_drop_with_rule_and_count() -> None:
    rows = [document(KOREAN, source_id="1"), document("봄이 왔다", source_id="2"), document("a@b.co.kr", source_id="3")]
    dropped = apply(Pii(operator="drop_document"), rows)
    assert dropped.rows.column("text").to_pylist() == ["봄이 왔다"]
    assert dropped.drops.column("rule").to_pylist() == ["pii_found"] * 2
    dense = apply(Pii(max_spans=2), rows)
    assert dense.drops.select(["source_id", "rule", "value", "threshold"]).to_pylist() == [
        {"source_id": "1", "rule": "pii_dense", "value": "4", "threshold": "2"}
    ]
    by_type = apply(Pii(operators={"RRN": "drop_document"}), rows)
    assert by_type.drops.column("source_id").to_pylist() == ["1"]
    assert by_type.rows.column("text").to_pylist()[1] == "[EMAIL]"


def test_pii_text_with_too_many_candidates_is_dropped_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "MOST", 50)
    made = apply(Pii(), [document("010-1234-5678 " * 60), document("봄이 왔다")])
    assert made.drops.column("rule").to_pylist() == ["pii_limit"]
    assert made.rows.column("text").to_pylist() == ["봄이 왔다"]


def test_pii_examples_keep_one_mapping_over_all_messages_and_sources() -> None:
    row = {
        "id": "a", "source_id": "s", "source.writer": "김민수, kim@naver.com", "source.stars": 5,
        "tools": '{"to": "kim@naver.com"}',
        "messages": [
            {"role": "user", "content": "제 이름은 김민수입니다. 계좌번호는 110-234-567890이에요."},
            {"role": "assistant", "content": "김민수의 계좌 확인이 끝났습니다: 110234567890"},
        ],
        "chosen": [{"role": "assistant", "content": "hong@naver.com으로"}],
    }  # fmt: skip
    made = apply(Pii(), [row], kind="example").rows.to_pylist()[0]
    assert [turn["content"] for turn in made["messages"]] == [
        "제 이름은 [이름]입니다. 계좌번호는 [계좌번호]이에요.",
        "[이름]의 계좌 확인이 끝났습니다: [계좌번호]",
    ]
    assert made["chosen"][0]["content"] == "[이메일]으로"
    assert (made["source.writer"], made["source.stars"]) == ("[이름], [이메일]", 5)
    assert made["tools"] == '{"to": "[이메일]"}'


def test_pii_every_text_column_of_a_row_is_searched_but_not_its_identity() -> None:
    row = document("본문", **{"judge.note": "전화 010-1234-5678", "summary": "kim@naver.com", "judge.score": 0.5})
    made = apply(Pii(), [{**row, "made_by": "mine/kim@naver.com", "lang": "ko"}]).rows.to_pylist()[0]
    assert (made["judge.note"], made["summary"]) == ("전화 [전화번호]", "[이메일]")
    assert (made["made_by"], made["judge.score"], made["id"]) == ("mine/kim@naver.com", 0.5, "a")


def test_pii_source_id_that_holds_a_value_becomes_file_and_line() -> None:
    rows = [
        {**document("안녕하세요", source="회원.csv", position=7), "id": "1", "source_id": "hong@naver.com"},
        {**document("이름: 김민수입니다", source="회원.csv", position=8), "id": "2", "source_id": "김민수"},
        {**document("안녕", source="회원.csv", position=9), "id": "3", "source_id": "회원-12"},
        {**document("안녕"), "id": "4", "source_id": "010-1234-5678"},
    ]
    done = apply(Pii(), rows)
    assert done.rows.column("source_id").to_pylist() == ["회원.csv:7", "회원.csv:8", "회원-12", "rows-0:4"]
    assert kinds(done.stats) == {"EMAIL": 1, "PERSON": 2, "PHONE": 1}
    assert apply(Pii(), done.rows).rows.equals(done.rows)
    assert apply(Pii(), rows[:1], batch_rows=1).rows.equals(done.rows.slice(0, 1))


def test_pii_drops_name_no_personal_source_id_either() -> None:
    row = {**document("전화 010-1234-5678", source="회원.csv", position=7), "source_id": "hong@naver.com"}
    for stage in (Pii(operator="drop_document"), Pii(max_spans=0), Pii(operators={"EMAIL": "drop_document"})):
        done = apply(stage, [row])
        assert done.drops.column("source_id").to_pylist() == ["회원.csv:7"]
        assert (done.stats.kept, done.stats.dropped) == (0, 1)


def test_pii_after_template_moves_the_trained_spans() -> None:
    text = "질문: hong@naver.com 맞나요?\n답: 네, hong@naver.com입니다."
    start = text.index("네")
    row = {
        "id": "a", "source_id": "s", "messages": [{"role": "user", "content": "hong@naver.com"}], "text": text,
        "trained": [{"start": start, "end": len(text)}],
    }  # fmt: skip
    made = apply(Pii(), [row], kind="example").rows.to_pylist()[0]
    span = made["trained"][0]
    assert made["text"][span["start"] : span["end"]] == "네, [이메일]입니다."


def test_moved_places_inside_a_replaced_value_go_to_its_edges() -> None:
    edits = [[(2, 6, 3)]]
    assert [moved(place, edits, end=False) for place in (0, 2, 3, 6, 8)] == [0, 2, 2, 5, 7]
    assert [moved(place, edits, end=True) for place in (0, 2, 3, 6, 8)] == [0, 2, 5, 5, 7]


@pytest.mark.parametrize("operator", ["tag", "mask", "partial", "surrogate", "hash"])
@pytest.mark.parametrize("entity", ENTITY_TYPES)
def test_pii_second_pass_changes_nothing(operator: str, entity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAKIT_PII_KEY", "a rather long secret")
    rng, stage = random.Random(entity), Pii(operator=operator)
    lines = [f"{MAKERS[entity](rng)}{particle} 적었다. It is {MAKERS[entity](rng)} now." for particle in PARTICLES[:6]]
    rows = [document(line) for line in [*lines, "\n".join(lines)]]
    once = apply(stage, rows).rows
    assert apply(stage, once).rows.equals(once)
    assert once.column("text").to_pylist() != [row["text"] for row in rows]


@given(
    st.lists(
        st.sampled_from(
            [
                *[
                    "전화계좌",
                    "카드",
                    "주문번호",
                    "여권",
                    "010",
                    "1234",
                    "5678",
                    "110234",
                    "hong@naver.com",
                    "-",
                    ".",
                    ":",
                    "[",
                    "]",
                    "PHONE",
                    "씨",
                    "님",
                    "김민수",
                    "로",
                    "12",
                ]
            ]
        ),
        max_size=14,
    )
)
@settings(max_examples=120, deadline=None)
def test_pii_any_mixture_is_idempotent(words: list[str]) -> None:
    once = redact([" ".join(words), "".join(words)], FIND, _tagged).texts
    assert redact(once, FIND, _tagged).texts == once


def _tagged(entity: str, value: str, lang: str) -> str:
    return tag(entity, lang)


def test_pii_does_not_depend_on_batches_or_shards() -> None:
    rng = random.Random(3)
    rows = [
        document(f"{MAKERS[rng.choice(ENTITY_TYPES)](rng)}{rng.choice(PARTICLES)} 보냄", id=str(i)) for i in range(40)
    ]
    whole = apply(Pii(), rows).rows
    for size in (1, 7):
        assert apply(Pii(), rows, batch_rows=size).rows.equals(whole)


def test_text_outside_the_spans_is_untouched() -> None:
    strange = "\u3000전각　공백\u200b…\r\n\t“따옴표”\ufeff "
    assert text_of(Pii(), f"{strange}hong@naver.com{strange}", lang="ko") == f"{strange}[이메일]{strange}"
    assert text_of(Pii(), strange) == strange


@pytest.mark.parametrize("broken", [False, True])
def test_no_canary_survives_anywhere(
    broken: bool, caplog: pytest.LogCaptureFixture, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """420 values in Korean and English sentences: none in rows, drops, counters, notes, logs, terminal or errors."""
    caplog.set_level(logging.DEBUG)
    rng = random.Random(11)
    canaries, rows = [], []
    for number in range(420):
        entity = ENTITY_TYPES[number % len(ENTITY_TYPES)]
        whole = MAKERS[entity](rng)
        canaries.append(whole.rsplit(" ", 1)[-1] if entity in NAMED_BY_LABEL else whole)
        form = f"문의 {whole}{rng.choice(PARTICLES)} 남김" if number % 2 else f"Note: {whole}, as agreed."
        rows.append(document(form, id=str(number), source_id=str(number)))
    told: list[str] = []
    if broken:
        monkeypatch.setattr(scan, "resolve", _raise_quoting)
        with pytest.raises(StageError) as caught:
            apply(Pii(), rows)
        error: BaseException | None = caught.value
        while error is not None:
            told.append(f"{error} {error.args}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    else:
        made = apply(Pii(max_spans=1), rows)
        told += [str(made.rows.to_pylist()), str(made.drops.to_pylist()), str(made.stats.as_dict()), str(made.notes)]
    told += [caplog.text, *capfd.readouterr()]
    shown = " ".join(told)
    assert [canary for canary in canaries if canary in shown] == []


def _raise_quoting(spans: Any) -> None:
    raise ValueError(f"could not resolve {list(spans)}: 010-1234-5678")


def test_fast_engine_imports_neither_presidio_nor_spacy() -> None:
    code = (
        "import sys; from datakit.stages.pii import Pii; light = set(sys.modules);"
        "from datakit.stages.pii.scan import Scanner; Scanner()('hong@naver.com');"
        "print(sorted(m for m in ('presidio_analyzer', 'spacy', 'phonenumbers') if m in sys.modules),"
        "sorted(m for m in ('numpy', 'numba', 'pyarrow') if m in light))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[] []"


def test_pii_problems_name_the_remedy() -> None:
    assert [problem.path for problem in Pii(presidio=("CryptoRecognizer",)).problems()] == ["presidio"]
    with pytest.raises(ValueError, match="kinds"):
        Pii(kinds=("EMAILS",))


EMPLOYEE = {"entity": "EMPLOYEE_NO", "pattern": "E-[0-9]{6}", "labels": ["사번"], "veto": ["예시"], "tag_ko": "사번"}


@pytest.mark.parametrize("chosen", ["fast", pytest.param("both", marks=pytest.mark.slow)])
def test_own_rule_counts_with_a_label_and_not_behind_a_veto_word(chosen: str) -> None:
    stage = Pii.model_validate({"own_rules": [EMPLOYEE], "engine": chosen})
    assert text_of(stage, "사번은 Ｅ-123456으로 적는다", lang="ko") == "사번은 [사번]으로 적는다"
    assert text_of(stage, "employee 사번 E-123456", lang="en") == "employee 사번 [EMPLOYEE_NO]"
    for text in ("부품 E-123456을 쓴다", "사번 예시: E-123456"):
        assert text_of(stage, text, lang="ko") == text
    by_shape = Pii.model_validate({"own_rules": [EMPLOYEE | {"labels": []}], "operators": {"EMPLOYEE_NO": "mask"}})
    assert text_of(by_shape, "부품 E-123456을 쓴다") == "부품 *-******을 쓴다"


def test_own_rule_that_takes_too_long_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datakit.stages.pii.wishes.PATIENCE", 0.05)
    slow = Pii.model_validate({"own_rules": [{"entity": "SLOW", "pattern": r"(?:가|나|가나)+라(?=마)"}]})
    with pytest.raises(StageError, match="SLOW takes more than") as told:
        text_of(slow, "가나" * 30 + "다라")
    assert "가나가나" not in "".join(told.value.lines())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"own_rules": [{"entity": "X1", "pattern": "("}]}, "no regular expression"),
        ({"own_rules": [{"entity": "X1", "pattern": "a*"}]}, "so everywhere"),
        ({"operators": {"EMIAL": "mask"}}, "did you mean EMAIL"),
    ],
)
def test_wrong_wishes_are_told_before_the_run(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pii.model_validate(settings)


def test_languages_and_least_score_choose_rules() -> None:
    text = "SSN 460-89-9847, 010-1234-5678, 8.8.4.40"
    assert text_of(Pii(languages=("ko",)), text, lang="ko") == "SSN 460-89-9847, [전화번호], [IP주소]"
    assert (
        text_of(
            Pii(min_score=0.9),
            "전화 010-1234-5678. 그리고 다른 이야기를 서른 글자보다 길게 한참 더 하고 나서 010-1111-2222",
            lang="en",
        ).count("[PHONE]")
        == 1
    )
