"""Name engines: the seam and its laws with a made-up engine, then kiwipiepy and the ONNX model themselves."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import ConfigError, StageError
from datakit.runner import apply
from datakit.stages.pii import Pii, names
from datakit.stages.pii.kiwi_process import LONGEST, KiwiProcess, harmless
from datakit.stages.pii.names import joined, pieces, unmarked
from datakit.stages.pii.names_kiwi import KoreanNames
from datakit.stages.pii.names_onnx import BESIDE, SEED, EnglishNames, names_in
from datakit.stages.pii.operators import writers
from datakit.stages.pii.records import Redactor
from datakit.stages.pii.redact import redact
from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Find, Span
from datakit.stages.pii.surrogates import ENGLISH_NAMES, KOREAN_NAMES
from datakit.stages.pii.wishes import Wishes
from tests.bench.bench_pii_names import ENGLISH, accuracy, forms, rows_of
from tests.test_pii_rules import PARTICLES

OPERATORS = ("tag", "mask", "partial", "surrogate", "hash")
needs_kiwi = pytest.mark.skipif(importlib.util.find_spec("kiwipiepy") is None, reason="extra `korean`")
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in names.PACKAGES["onnx"]), reason="extra `ner`"
)
_SHAPED = re.compile(r"김나비|박구름|Zed Quill")
PUZZLE = "김나비와 박구름이 만났다. Zed Quill이 Alex Placeholder와 전우치를 보았다."


def shaped(text: str) -> Iterator[tuple[int, int]]:
    """An engine that knows three names, and takes what redaction writes for names wherever it can see it."""
    for match in re.finditer(rf"{_SHAPED.pattern}|{'|'.join((*KOREAN_NAMES, *ENGLISH_NAMES))}|이름|PERSON", text):
        yield match.span()


def finding(engine: names.NameEngine = shaped, **wishes: Any) -> Find:
    return joined(Scanner(), {"name_kiwi": engine}, Wishes(**wishes))


def values(find: Find, text: str) -> list[str]:
    return [text[span.start : span.end] for span in find(text)]


def written(find: Find, texts: list[str], operator: Any = "tag") -> list[str]:
    return redact(texts, find, writers(operator, {}, b"k" * 16)("record")).texts


@pytest.mark.parametrize("operator", OPERATORS)
def test_names_of_an_engine_go_and_nothing_put_in_is_found_again(operator: str) -> None:
    once = written(finding(), [PUZZLE], operator)
    assert not _SHAPED.search(once[0])
    assert "Alex Placeholder와 전우치를" in once[0]
    assert written(finding(), once, operator) == once


def test_an_engine_that_sees_its_own_tags_would_never_come_to_an_end() -> None:
    """The breach that the law above is about: the same engine without the blanks."""

    def blind(text: str) -> list[Span]:
        return [Span(start, end, "PERSON", "name_kiwi") for start, end in shaped(text)]

    with pytest.raises(StageError, match="several passes"):
        written(blind, [PUZZLE])


def test_names_stand_where_they_stood_in_the_original_text() -> None:
    text = "😀 김나\u200b비가 Ｚｅｄ Quill을 보았다"
    assert values(finding(), text) == ["김나\u200b비", "Ｚｅｄ Quill"]


def test_a_name_found_in_one_text_of_a_record_goes_in_all() -> None:
    def once(text: str) -> Iterator[tuple[int, int]]:
        yield from ((m.start(), m.end() - 1) for m in re.finditer("김나비가", text))

    assert written(finding(once), ["김나비가 왔다", "답: 김나비는 갔다"]) == ["[이름]가 왔다", "답: [이름]는 갔다"]


def test_names_obey_allow_and_least_score_and_give_way_to_labels() -> None:
    assert values(finding(allow=("김나비",)), PUZZLE) == ["박구름", "Zed Quill"]
    assert values(finding(min_score=0.7), PUZZLE) == []
    (span,) = finding()("성명: 김나비")
    assert (span.rule, span.score) == ("name_field", 0.95)
    assert {span.score for span in finding()(PUZZLE)} == {0.6}


def test_a_failing_engine_stops_the_run_without_telling_the_text(caplog: pytest.LogCaptureFixture) -> None:
    def failing(text: str) -> Iterator[tuple[int, int]]:
        raise ValueError(text)
        yield

    caplog.set_level(logging.DEBUG)
    with pytest.raises(StageError) as error:
        Redactor(finding(failing), writers("tag", {}, b""))(["김카나리"], "ko", "a")
    told = [*error.value.lines(), str(error.value.__cause__), str(error.value.__context__), caplog.text]
    assert "김카나리" not in "\n".join(told)
    assert "ValueError" in error.value.message


def test_a_missing_package_is_one_problem_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "find_spec", lambda module: None)
    with pytest.raises(ConfigError) as error:
        Pii(names="kiwi").redactor()
    assert (error.value.where, error.value.fix) == ("pii: names", "pip install 'datakit[korean]'")
    assert "kiwipiepy" in error.value.message
    assert [problem.fix for problem in Pii(names="kiwi+onnx").problems()] == [
        "pip install 'datakit[korean]'",
        "pip install 'datakit[ner]'",
    ]
    assert Pii().problems() == []


def test_versions_of_the_engines_are_part_of_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Pii(names="kiwi").identity()
    monkeypatch.setattr(names, "version", lambda package: "9")
    assert Pii(names="kiwi").identity() != own
    assert "name_engines" not in Pii().identity()


def test_no_engine_opens_where_persons_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(engine: str, cued: bool) -> names.NameEngine:
        raise AssertionError(engine)

    monkeypatch.setattr(names, "_opened", opened)
    assert Pii(names="kiwi", kinds=("EMAIL",)).engine_at_work()("김나비 a@b.kr")[0].entity == "EMAIL"
    with pytest.raises(AssertionError):
        Pii(names="kiwi").engine_at_work()


TEXTS = st.text(st.sampled_from("김민수 a.\n\t0😀ㅋ[이름]\u200b가é"), max_size=120)


@given(TEXTS, st.integers(1, 30))
def test_pieces_make_the_text_and_none_is_too_long(text: str, most: int) -> None:
    found = list(pieces(text, re.compile(r"\n+"), most))
    assert "".join(text[start:end] for start, end in found) == text
    assert all(0 < end - start <= most for start, end in found)


@given(TEXTS)
def test_blanks_move_nothing(text: str) -> None:
    blank = unmarked(text)
    assert len(blank) == len(text)
    assert all(new in (old, " ") for new, old in zip(blank, text, strict=True))
    assert "[이름]" not in blank


@given(TEXTS | st.text(max_size=200))
def test_the_analyser_gets_only_what_never_killed_it(text: str) -> None:
    given_text = harmless(text)
    assert len(given_text) == len(text)
    assert re.fullmatch(r"[가-힣 -~]*", given_text)
    assert not re.search(r"[0-9]{16}", given_text)
    assert not re.search(r"([^ ]{1,8}?)\1{5}", given_text)


def test_a_dead_analyser_is_an_error_and_the_next_call_starts_anew() -> None:
    died = KiwiProcess([sys.executable, "-c", "import os; input(); os.abort()"])
    for _ in range(2):
        with pytest.raises(StageError, match="died") as error:
            died(["김카나리"])
        assert "김카나리" not in "\n".join(error.value.lines())
        assert "names: rules" in error.value.fix


def test_a_silent_analyser_is_given_up() -> None:
    silent = KiwiProcess([sys.executable, "-c", "import sys; sys.stdin.read()"])
    with pytest.raises(StageError, match="did not answer"):
        silent(["가"], patience=0.05)


@needs_kiwi
def test_korean_names_are_found_without_the_particle_behind_them() -> None:
    find = Pii(names="kiwi").engine_at_work()
    for particle in PARTICLES:
        for name in ("김지훈", "이서연", "박민수"):
            text = f"😀 연락 담당은 {name}{particle} 010-1234-5678"
            found = [text[s.start : s.end] for s in find(text) if s.entity == "PERSON"]
            assert found in ([name], []), (name, particle)
    hit = sum(
        any(s.entity == "PERSON" for s in find(f"연락 담당은 김지훈{particle} 010-1234-5678")) for particle in PARTICLES
    )
    assert hit >= 0.8 * len(PARTICLES)


@needs_kiwi
@pytest.mark.parametrize(
    "text",
    [
        "이사건은 전화로 접수했습니다.",
        "서초구에 사는 고객님께 연락했습니다.",
        "문의 전화는 강남구 지점입니다.",
        "한국은행 계좌로 입금했다.",
        "연락처를 확인하지만 안전을 위해서 남성이 방문해 주세요.",
        "전화로 이정도 이야기를 나누고 우리의 방송을 보았다.",
        "제주도와 경기도, 민주당과 서울대 연락망",
    ],
)
def test_korean_words_in_the_shape_of_names_are_left(text: str) -> None:
    assert list(KoreanNames(cued=False)(text)) == []


@needs_kiwi
def test_korean_sentences_without_a_sign_of_persons_are_read_only_on_demand() -> None:
    text = "이서연은 산에 올랐다."
    assert list(KoreanNames()(text)) == []
    assert list(KoreanNames(cued=False)(text)) == [(0, 3)]
    assert list(KoreanNames()(f"{text}\n010-1234-5678")) == [(0, 3)]


@needs_kiwi
def test_what_killed_the_analyser_before_leaves_it_alive() -> None:
    text = (
        "보통" * 40_000 + "9" * 5_000 + "ㅋ" * 3_000 + "\ud800\x00 담당 이서연은 010-1234-5678\n" + "가나다라" * 2_000
    )
    found = [text[start:end] for start, end in KoreanNames()(text)]
    assert found == ["이서연"]
    assert max(end - start for start, end in pieces(text, re.compile("\n"), LONGEST)) <= LONGEST


@needs_kiwi
def test_korean_forms_reach_their_goal() -> None:
    rows = list(forms(150, seed=7))
    before, after = (accuracy(Pii(names=engine).engine_at_work(), rows) for engine in ("rules", "kiwi"))
    assert after["F2"] >= 0.72 > before["F2"]
    assert after["P"] >= 0.8


@needs_kiwi
def test_made_up_korean_names_are_seen_by_the_analyser_and_yet_never_found() -> None:
    text = "".join(f"연락처 010-0000-4721, {name}에게 전화했다.\n" for name in KOREAN_NAMES)
    assert list(KoreanNames()(text))
    assert [s for s in Pii(names="kiwi").engine_at_work()(text) if s.entity == "PERSON"] == []


def scored(text: str, scores: str) -> list[str]:
    """The names that words with scores of so many tenths make; `a` is 0.05, `z` less."""
    given_scores = {**{str(n): n / 10 for n in range(10)}, "a": BESIDE, "z": BESIDE - 0.01}
    words = [(m.start(), m.end(), given_scores[s]) for m, s in zip(re.finditer(r"\w+", text), scores, strict=True)]
    return [text[start:end] for start, end in names_in(text, words)]


def test_english_names_grow_from_sure_words_over_those_beside_them() -> None:
    assert SEED == 0.4
    assert scored("we met Ella H. Snider twice", "0090a0"[:5] + "0") == ["Ella"]
    assert scored("we met Ella H. Snider twice", "009aa0") == ["Ella H. Snider"]
    assert scored("we met Ella H. Snider twice", "009zz0") == ["Ella"]
    assert scored("we met Ella\nSnider", "0093") == ["Ella"]
    assert scored("a helicopter of Evans Ltd", "07080") == []
    assert scored("J 김 K", "909") == []


@needs_onnx
def test_english_names_are_found_in_running_text() -> None:
    find = Pii(names="onnx").engine_at_work()
    text = "Yesterday Margaret Stouffer drove to Boston with john smith and J. R. Ortega."
    assert values(find, text) == ["Margaret Stouffer", "john smith", "J. R. Ortega"]
    assert values(find, "담당은 Margaret Stouffer입니다. Ella와Anna도 왔다.")[:1] == ["Margaret Stouffer"]
    assert values(find, "The library opens at nine and closes at five.") == []


@needs_onnx
def test_an_english_name_is_found_at_any_border_of_windows() -> None:
    engine = EnglishNames()
    for shift in range(340, 500, 16):
        text = ("the river runs slow here and " * 20)[:shift] + " Margaret Stouffer called us. " + "it was late " * 30
        assert "Margaret Stouffer" in [text[start:end] for start, end in engine(text)], shift


@needs_onnx
def test_made_up_english_names_and_tags_are_never_found() -> None:
    find = Pii(names="onnx").engine_at_work()
    text = " ".join(f"My name is {name}, not [PERSON] or [PHONE:abcd]." for name in ENGLISH_NAMES)
    assert list(EnglishNames()(text))
    assert [s for s in find(text) if s.entity == "PERSON"] == []


@needs_kiwi
@needs_onnx
@pytest.mark.parametrize("operator", ["tag", "surrogate"])
def test_redaction_with_both_engines_is_the_same_for_any_batch_and_twice(operator: Any) -> None:
    stage = Pii(names="kiwi+onnx", operator=operator)
    texts = [row["text"] for row in forms(24, seed=3)]
    texts += ["I met Margaret Stouffer.\n\nCall J. R. Ortega at 905-674-3793.", "아무도 없다", ""]
    rows = [{"id": f"{n}", "source_id": "s", "text": text} for n, text in enumerate(texts)]
    together = apply(stage, rows).rows.column("text").to_pylist()
    alone = [apply(stage, [row]).rows.column("text")[0].as_py() for row in rows]
    assert together == alone
    again = [{**row, "text": text} for row, text in zip(rows, together, strict=True)]
    assert apply(stage, again).rows.column("text").to_pylist() == together
    assert together[-3].count("Stouffer") == together[-3].count("Ortega") == 0


@pytest.mark.slow
@needs_onnx
def test_english_development_set_reaches_its_goals() -> None:
    rows = rows_of(ENGLISH)
    if not rows:
        pytest.skip("the folder of real data (../shared) is not here")
    found = accuracy(Pii(names="onnx").engine_at_work(), rows)
    assert found["R"] >= 0.85
    assert found["P any"] >= 0.95
