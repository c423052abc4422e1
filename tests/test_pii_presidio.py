"""presidio-analyzer as the second engine: the same findings with our rules, offline, and failing closed."""

from __future__ import annotations

import logging
import random
import socket
from typing import Any

import pytest

from datakit.errors import ConfigError, StageError
from datakit.runner import apply
from datakit.stages.pii import Pii, presidio_recognizers
from datakit.stages.pii.rules import ENTITY_TYPES, all_rules
from datakit.stages.pii.scan import Scanner
from tests.test_pii_rules import MAKERS, NEGATIVES, PARTICLES

# Importing presidio-analyzer takes 1 to 17 seconds.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def second() -> Any:
    from datakit.stages.pii.presidio_engine import PresidioFind

    return PresidioFind()


def corpus() -> list[str]:
    rng = random.Random(5)
    texts = []
    for entity in ENTITY_TYPES:
        for particle in PARTICLES[:6]:
            texts.append(f"어제 {MAKERS[entity](rng)}{particle} 적었다. Please keep {MAKERS[entity](rng)}, thanks.")
    return texts + [make(rng) for make in NEGATIVES.values()] + ["", "봄이 왔다", "０１０－１２３４－５６７８로"]


def test_presidio_with_our_rules_finds_what_the_fast_engine_finds(second: Any) -> None:
    fast = Scanner()
    for text in corpus():
        assert [(s.start, s.end, s.entity) for s in second(text)] == [(s.start, s.end, s.entity) for s in fast(text)]


def test_recognizers_work_in_an_engine_of_ones_own() -> None:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    recognizers = presidio_recognizers(language="en")
    assert len(recognizers) == len(all_rules())
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "no_op"}])
    nlp.load()
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(supported_languages=["en"], recognizers=recognizers),
        nlp_engine=nlp,
        supported_languages=["en"],
    )
    found = engine.analyze("hong@naver.com으로 보내 주세요", language="en")
    assert [(result.entity_type, result.start, result.end) for result in found] == [("EMAIL", 0, 14)]


def test_presidio_engine_opens_no_socket(second: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    both = Pii(engine="both", presidio=("EmailRecognizer",))
    made = apply(both, [{"id": "a", "source_id": "a", "text": "메일은 hong@naver.com으로"}])
    assert made.rows.column("text")[0].as_py() == "메일은 [이메일]으로"


def test_recognizers_of_presidio_can_be_added() -> None:
    text = "지갑 주소는 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ 이다"
    stage = Pii(engine="presidio", presidio=("CryptoRecognizer",))
    assert (
        apply(stage, [{"id": "a", "source_id": "a", "text": text}]).rows.column("text")[0].as_py()
        == "지갑 주소는 [CRYPTO] 이다"
    )
    with pytest.raises(ConfigError, match="NoSuchRecognizer"):
        Pii(engine="presidio", presidio=("NoSuchRecognizer",)).open(None)  # type: ignore[arg-type]


def test_presidio_time_out_fails_closed(second: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> list[Any]:
        logging.getLogger("presidio-analyzer").warning(
            "Regex pattern '%s' timed out after %s seconds, skipping.", "e-mail", 60
        )
        return []

    monkeypatch.setattr(second._engine, "analyze", slow)
    with pytest.raises(StageError, match="timed out"):
        second("hong@naver.com")


def test_presidio_exception_is_not_quoted(second: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise ValueError("Did not find word 'hong@naver.com' in the list of tokens")

    monkeypatch.setattr(second._engine, "analyze", failing)
    with pytest.raises(StageError) as caught:
        second("hong@naver.com")
    assert "hong" not in str(caught.value)
    assert caught.value.__context__ is None
