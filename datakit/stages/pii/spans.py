"""Spans: where a value stands, which do not overlap, and where else the same value stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from datakit.stages.pii.fold import Folded
from datakit.stages.pii.rules import ENTITIES, SCORES, Evidence


class TooDenseError(Exception):
    """A text with more candidates than can be weighed; it must be dropped, never passed through."""


class Span(NamedTuple):
    """One found value: its place in the original text, its entity type, the rule, and why it is believed.

    A tuple: a page of values makes three spans for each that stays, and a frozen dataclass costs four times as much.
    """

    start: int
    end: int
    entity: str
    rule: str
    evidence: Evidence = Evidence.SHAPE

    @property
    def score(self) -> float:
        return SCORES[self.evidence]


Find = Callable[[str], list[Span]]
"""An engine: the spans of one text."""


def in_original(folded: Folded, spans: Iterable[Span]) -> list[Span]:
    """Spans of a folded text in places of the original one; the same where no character was left out."""
    if not folded.gone:
        return list(spans)
    placed = ((span, folded.original(span.start, span.end)) for span in spans)
    return [Span(start, end, span.entity, span.rule, span.evidence) for span, (start, end) in placed]


def resolve(spans: Iterable[Span]) -> list[Span]:
    """Spans that do not overlap. Overlapping ones become one span over all of them (nothing found may be left over),
    named after the best: evidence first, then risk, then length, then type and rule name."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.entity, s.rule)):
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            best = max(last, span, key=_rank)
            merged[-1] = Span(last.start, max(last.end, span.end), best.entity, best.rule, best.evidence)
        else:
            merged.append(span)
    return merged


def _rank(span: Span) -> tuple[int, int, int, str, str]:
    risk = ENTITIES[span.entity].risk if span.entity in ENTITIES else 2
    return span.evidence, risk, span.end - span.start, span.entity, span.rule


def occurrences(text: str, value: str) -> Iterator[int]:
    """Where a value stands in a text by itself: no letter or digit of its alphabet goes on at either end."""
    at = text.find(value)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(value) : at + len(value) + 1]
        if not (_joins(before, value[0]) or _joins(value[-1], after)):
            yield at
        at = text.find(value, at + 1)


def _joins(left: str, right: str) -> bool:
    """Whether two characters belong to one ASCII word or number; a Hangul particle behind a value does not join it."""
    return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()
