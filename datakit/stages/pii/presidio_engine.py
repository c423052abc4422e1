"""presidio-analyzer as the second engine, and our rules as its recognizers.

`presidio_recognizers()` hands out every declared rule, so that anyone can register them in an AnalyzerEngine.
The engine here runs them without an NLP model (Presidio's no-op engine), offline (tldextract is kept from the network),
with Presidio's logger muted (it can log values), and fails closed: Presidio skips a recognizer that timed out, here the
run stops. Importing presidio-analyzer costs 1 to 17 s, running it about 50 times what the fast engine costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from datakit.errors import ConfigError, Problem, StageError
from datakit.stages.pii.fold import Folded, fold
from datakit.stages.pii.judge import Judge, live, matches
from datakit.stages.pii.rules import LANGUAGES, SCORES, Evidence, Rule, chosen_rules
from datakit.stages.pii.spans import Span, TooDenseError, in_original, resolve
from datakit.stages.pii.tables import Tables
from datakit.stages.pii.wishes import Wishes

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer, RecognizerResult

FOREIGN_TYPES = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "IP_ADDRESS": "IP", "MAC_ADDRESS": "MAC",
    "IBAN_CODE": "IBAN", "US_BANK_NUMBER": "BANK_ACCOUNT", "US_DRIVER_LICENSE": "DRIVER_LICENSE",
    "US_PASSPORT": "PASSPORT",
    "KR_RRN": "RRN", "KR_FRN": "FRN", "KR_BRN": "BRN", "KR_DRIVER_LICENSE": "DRIVER_LICENSE", "KR_PASSPORT": "PASSPORT",
}  # fmt: skip
"""Presidio's entity types -> ours; types that are not here keep their names."""
_LANGUAGE = "ko"
"""Presidio picks recognizers by language; ours read Korean and English alike, so one name for all texts is enough."""
_LEAST_SCORE = 0.4
"""Presidio's own floor, for its recognizers; ours never score less than 0.6."""
_RULE_NAME = "rule"
FOREIGN = "presidio"
"""The rule of what a recognizer of Presidio's own finds."""


def presidio_recognizers(
    entities: Sequence[str] | None = None, language: str = _LANGUAGE, languages: Sequence[str] = LANGUAGES
) -> list[EntityRecognizer]:
    """Every declared rule as a presidio-analyzer recognizer, named `datakit_<rule id>`, and one for tables.

    entities     entity types to hand out, default all
    language     the language under which Presidio shall call them
    languages    hand out only rules written for these languages (and for both)
    """
    one_rule, tables = _recognizer_classes()
    rules = chosen_rules(entities, languages)
    return [*(one_rule(rule, language) for rule in rules), tables(rules, language)]


@lru_cache(maxsize=1)
def _judge_of(text: str) -> tuple[Folded, Judge]:
    """The folded text and its judge, kept between the recognizers of one `analyze` call."""
    folded = fold(text)
    return folded, Judge(folded.text)


def _results(text: str, find: Callable[[Folded, Judge], Iterable[Span]], name: str) -> list[RecognizerResult]:
    """What a rule finds, in the form of Presidio and in places of the original text."""
    from presidio_analyzer import RecognizerResult

    folded, judge = _judge_of(text)
    return [
        RecognizerResult(
            span.entity,
            *folded.original(span.start, span.end),
            span.score,
            recognition_metadata={RecognizerResult.RECOGNIZER_NAME_KEY: name, _RULE_NAME: span.rule},
        )
        for span in find(folded, judge)
    ]


@cache
def _recognizer_classes() -> tuple[Callable[[Rule, str], Any], Callable[[Sequence[Rule], str], Any]]:
    from presidio_analyzer import LocalRecognizer

    class Recognizer(LocalRecognizer):
        """Labels are read from the text itself, no NLP artifacts are needed."""

        name: str

        def load(self) -> None:
            """Nothing to load: patterns are compiled on first use."""

    class DeclaredRule(Recognizer):
        """One rule of datakit as a recognizer."""

        def __init__(self, rule: Rule, language: str) -> None:
            self.rule = rule
            super().__init__([rule.entity], name=f"datakit_{rule.id}", supported_language=language, version="1")

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
            if self.rule.entity not in entities:
                return []
            rule = live(self.rule)
            return _results(text, lambda folded, judge: matches(rule, judge, 0, len(folded.text)), self.name)

    class DeclaredTables(Recognizer):
        """Values below the head of a column, as a recognizer."""

        def __init__(self, rules: Sequence[Rule], language: str) -> None:
            self.tables = Tables(rules)
            types: list[str] = sorted({rule.entity for rule in rules})
            super().__init__(types, name="datakit_tables", supported_language=language, version="1")

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
            found = _results(text, lambda folded, judge: self.tables(judge), self.name)
            return [result for result in found if result.entity_type in entities]

    return DeclaredRule, DeclaredTables


class _TimeoutWatch(logging.Handler):
    """Swallows Presidio's log and remembers whether it spoke of a time-out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.timed_out = False

    def emit(self, record: logging.LogRecord) -> None:
        # Only the fixed part of the message is looked at; its arguments can hold text of the document.
        template = str(record.msg).lower()
        self.timed_out = self.timed_out or "timed out" in template or "timeout" in template


def _foreign_recognizers(names: Sequence[str]) -> list[EntityRecognizer]:
    """Presidio's own recognizers of the given class names, made to read Korean and English texts."""
    from presidio_analyzer import predefined_recognizers

    unknown = [name for name in names if not hasattr(predefined_recognizers, name)]
    if unknown:
        known = [name for name in dir(predefined_recognizers) if name.endswith("Recognizer")]
        fix = f"it has {', '.join(known[:12])} ..."
        raise ConfigError(
            [Problem("presidio", f"presidio-analyzer has no recognizer {name!r}", fix) for name in unknown]
        )
    return [getattr(predefined_recognizers, name)(supported_language=_LANGUAGE) for name in names]


class PresidioFind:
    """The second engine: spans of one text by presidio-analyzer with our rules, and some of its own recognizers."""

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        *,
        languages: Sequence[str] = LANGUAGES,
        wishes: Wishes | None = None,
        own: Sequence[str] = (),
    ) -> None:
        self._watch = _TimeoutWatch()
        self._mute()
        import tldextract
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine

        # Its e-mail recognizer calls tldextract.extract, which would fetch the public suffix list on first use.
        tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]
        nlp = NoOpNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": "no_op"}])
        nlp.load()
        recognizers = [*presidio_recognizers(entities, languages=languages), *_foreign_recognizers(own)]
        registry = RecognizerRegistry(supported_languages=[_LANGUAGE], recognizers=recognizers)
        self._engine = AnalyzerEngine(
            registry=registry, nlp_engine=nlp, supported_languages=[_LANGUAGE], default_score_threshold=_LEAST_SCORE
        )
        self._wishes = wishes or Wishes()
        self._entities = None if entities is None else frozenset(entities)

    def __call__(self, text: str) -> list[Span]:
        """The personal data of one text, in order, without overlaps."""
        self._mute()
        self._watch.timed_out = False
        failed: StageError | None = None
        try:
            results = self._engine.analyze(text, language=_LANGUAGE)
        except (StageError, TooDenseError):
            raise
        except Exception as error:
            # Presidio's exceptions can quote a value ("Did not find word ..."): only the class name goes on.
            failed = StageError(f"presidio-analyzer failed ({type(error).__name__})", fix="use `engine: fast`")
        if failed is not None:
            raise failed
        if self._watch.timed_out:
            raise StageError(
                "a Presidio recognizer timed out on a document", fix="use `engine: fast`; no text was passed on"
            )
        found = [self._span(result) for result in results]
        # Recognizers that were named by hand are wanted, whatever types of ours are.
        wanted = self._entities
        kept = [span for span in found if wanted is None or span.entity in wanted or span.rule == FOREIGN]
        held = [span for span in kept if self._wishes.holds(span, fold(text[span.start : span.end]).text)]
        folded = fold(text)
        return resolve([*held, *in_original(folded, self._wishes.added(folded))])

    def _mute(self) -> None:
        log = logging.getLogger("presidio-analyzer")
        log.handlers, log.propagate = [self._watch], False
        log.setLevel(logging.WARNING)

    @staticmethod
    def _span(result: RecognizerResult) -> Span:
        rule = (result.recognition_metadata or {}).get(_RULE_NAME)
        evidence = next((e for e, score in SCORES.items() if rule and score == result.score), Evidence.SHAPE)
        if not rule and result.score >= SCORES[Evidence.CHECKSUM]:
            evidence = Evidence.CHECKSUM
        entity = FOREIGN_TYPES.get(result.entity_type, result.entity_type)
        return Span(result.start, result.end, entity, rule or FOREIGN, evidence)
