"""Recall and precision of a PII engine on labelled texts.

held        a value of which nothing is left over: every digit (letters too where they carry it, `must_go`) lies in
            some span, whatever the span is called
right       a span that touches a value; optional values count, so that a found name without a title is no error
structured  all types but PERSON and ADDRESS, which are found by words
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from datakit.stages.pii.spans import Find
from tests.pii_sentences import WORDS_ONLY, Labelled, must_go

ALL, STRUCTURED = "all", "structured"


@dataclass(slots=True)
class Score:
    """Counts by type: values and those held (by the type of the value), spans and those right (by that of the span)."""

    golds: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    spans: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    def recall(self, kind: str = STRUCTURED) -> float:
        return _share(self.held[kind], self.golds[kind])

    def precision(self, kind: str = STRUCTURED) -> float:
        return _share(self.right[kind], self.spans[kind])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _sums(kind: str) -> tuple[str, ...]:
    return (kind, ALL) if kind in WORDS_ONLY else (kind, ALL, STRUCTURED)


def score(samples: Iterable[Labelled], find: Find) -> Score:
    """What an engine finds of the values planted in some texts."""
    done = Score()
    for sample in samples:
        spans = find(sample.text)
        covered = {place for span in spans for place in range(span.start, span.end)}
        for gold in sample.golds:
            if not gold.optional:
                done.golds.update(_sums(gold.type))
                if covered.issuperset(must_go(sample.text, gold)):
                    done.held.update(_sums(gold.type))
        for span in spans:
            done.spans.update(_sums(span.entity))
            if any(gold.start < span.end and span.start < gold.end for gold in sample.golds):
                done.right.update(_sums(span.entity))
    return done


def flagged(texts: Iterable[tuple[str, str]], find: Find) -> dict[str, tuple[int, int]]:
    """Texts by kind, and how many of them hold a span: (flagged, texts)."""
    counts: dict[str, tuple[int, int]] = {}
    for kind, text in texts:
        hit, whole = counts.get(kind, (0, 0))
        counts[kind] = hit + bool(find(text)), whole + 1
    return counts
