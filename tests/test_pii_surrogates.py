"""Surrogates: same form, never valid, never found again, particles right, equal values equal, no value given away."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import ConfigError
from datakit.runner import apply
from datakit.stages.pii import Pii, checksums, judge, scan
from datakit.stages.pii.operators import tag
from datakit.stages.pii.surrogates import is_void, last_sound, surrogates
from tests.test_pii_rules import MAKERS, PARTICLES

TAGGED = {"RRN", "FRN", "CARD"}
MADE = sorted(set(MAKERS) - TAGGED)
FIND = scan.Scanner()


def text_of(stage: Pii, text: str, id: str = "a", lang: str | None = None) -> str:
    return apply(stage, [{"id": id, "source_id": id, "text": text, "lang": lang}]).rows.column("text")[0].as_py()


@pytest.mark.parametrize("entity", MADE)
def test_surrogate_of_most_values_is_made_and_never_found_again(entity: str) -> None:
    rng, made = random.Random(entity), []
    for number in range(120):
        line = f"{MAKERS[entity](rng)}{PARTICLES[number % len(PARTICLES)]} 적었다."
        done = text_of(Pii(operator="surrogate"), line, id=str(number), lang="ko")
        assert not FIND(done), "a surrogate was found again"
        assert (done != line) == bool(FIND(line))
        made.append(tag(entity, "ko") not in done)
    assert sum(made) >= 0.75 * len(made)


@pytest.mark.parametrize("entity", sorted(TAGGED & set(MAKERS)))
def test_grave_values_are_tagged_not_made_up(entity: str) -> None:
    rng = random.Random(entity)
    assert tag(entity, "ko") in text_of(Pii(operator="surrogate"), f"{MAKERS[entity](rng)}입니다.", lang="ko")


@pytest.mark.parametrize("entity", ["PHONE", "BRN", "CORP_NO", "BANK_ACCOUNT", "US_SSN", "VEHICLE"])
def test_surrogate_keeps_the_form_and_no_check_digit_holds(entity: str) -> None:
    values = {"PHONE": "010-1234-5678", "BRN": "123-45-67891", "CORP_NO": "110111-1234567", "US_SSN": "460-89-9847"}
    values |= {"BANK_ACCOUNT": "110-234-567890", "VEHICLE": "12가 3456"}
    value = values[entity]
    for number in range(300):
        made = surrogates()(str(number))(entity, value, "ko")
        assert made is not None
        assert re.sub("[0-9]", "9", made) == re.sub("[0-9]", "9", value)
        assert made != value
        assert not any(check(made) for check in (checksums.card_check, checksums.bare_rrn_check, checksums.frn_check))
        assert is_void(entity, made)


@given(st.sampled_from(MADE), st.integers(0, 10_000))
def test_particle_stays_right_behind_a_surrogate(entity: str, seed: int) -> None:
    value = MAKERS[entity](random.Random(seed)).rpartition(" ")[2]
    made = surrogates()(str(seed))(entity, value, "ko")
    assert made is None or last_sound(made) == last_sound(value)


def test_particles_read_right_in_korean_sentences() -> None:
    korean = "담당자: 김민수가 010-1234-5678로, 예금주: 박서준은 hong@naver.com으로 알려 주세요."
    done = text_of(Pii(operator="surrogate"), korean, lang="ko")
    for particle, sounds in (("가 010", {0}), ("로, 예금주", {0, 8}), ("은 ", {1, 8}), ("으로 알려", {1})):
        assert last_sound(done.partition(particle)[0]) in sounds
    assert not any(value in done for value in ("김민수", "5678", "박서준", "hong"))


def test_equal_values_are_equal_in_a_document_and_differ_between_documents() -> None:
    text = "010-1234-5678로 걸고, 다시 010 1234 5678로. 아니면 010-9876-5432로."
    done = {name: text_of(Pii(operator="surrogate"), text, id=name) for name in "abcdefgh"}
    for one in done.values():
        first, again, other = re.findall(r"010[- ]0000[- ](\d{4})", one)
        assert first == again != other
    assert len(set(done.values())) > 4


def test_equal_values_are_equal_everywhere_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, text = Pii(operator="surrogate", surrogates="dataset"), "전화 010-1234-5678, 메일 hong@naver.com"
    monkeypatch.delenv("DATAKIT_PII_KEY", raising=False)
    with pytest.raises(ConfigError, match="surrogates: dataset"):
        text_of(stage, text)
    monkeypatch.setenv("DATAKIT_PII_KEY", "k" * 16)
    first = text_of(stage, text, id="a")
    assert first == text_of(stage, text, id="b")
    monkeypatch.setenv("DATAKIT_PII_KEY", "l" * 16)
    assert text_of(stage, text, id="a") != first


def test_surrogate_without_a_key_does_not_depend_on_the_value() -> None:
    made = {surrogates()("record")("PHONE", f"010-{block:04}-5678", "ko") for block in range(1000, 1200)}
    assert len(made) == 1


def test_surrogate_outside_the_void_range_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted breach: were the ranges not void, the second look would find the surrogates."""
    done = text_of(Pii(operator="surrogate"), "연락처 010-1234-5678로 주세요.", lang="ko")
    monkeypatch.setattr(judge, "is_void", lambda entity, value: False)
    assert FIND(done)
