"""Rewrites the texts of one record: finds, echoes, replaces, and looks again until nothing is left.

A record is redacted as one: a name or account that a label gave away in one message is replaced in all the others too,
so that question and answer agree. Looking again makes the work idempotent and is the check that nothing was left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from datakit.errors import StageError
from datakit.outcome import Drop
from datakit.stages.pii.operators import Write, language_of
from datakit.stages.pii.rules import Evidence
from datakit.stages.pii.spans import Find, Span, occurrences, resolve

_ROUNDS = 12
"""A name engine may find another name beside a replaced one: up to three rounds were seen, each finds less."""
_ECHOED = frozenset(
    {"PERSON", "BANK_ACCOUNT", "PASSPORT", "DRIVER_LICENSE", "MESSENGER_ID", "SECRET", "PHONE", "CARD", "RRN", "FRN"}
)

Edit = tuple[int, int, int]
"""A replaced span of the old text and the length of what took its place."""


@dataclass(slots=True)
class Redacted:
    """The texts of one record after redaction, the number of values by entity type, and the edits, round by round."""

    texts: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    """Why each was believed, as `PHONE: mobile by shape`; never a value."""
    edits: list[list[list[Edit]]] = field(default_factory=list)
    """One list a text, of one list a round."""
    drop: Drop | None = None
    """Why the record goes; by `pii_limit` its texts could not be searched and are as they were."""

    @property
    def searched(self) -> bool:
        """Whether the texts hold no personal data that a rule would find."""
        return self.drop is None or self.drop.rule != "pii_limit"


def redact(texts: Sequence[str], find: Find, write: Write, lang: str | None = None) -> Redacted:
    """Replace all personal data in the texts of one record; `write(entity, value, lang)` gives the replacement."""
    done = Redacted(list(texts), edits=[[] for _ in texts])
    tongue = ""
    for _ in range(_ROUNDS):
        found = spans_of(done.texts, find)
        if not any(found):
            return done
        tongue = tongue or language_of(list(map(_without, done.texts, found)), lang)
        for place, spans in enumerate(found):
            if spans:
                done.texts[place], edits = _replace(done.texts[place], spans, write, tongue)
                done.edits[place].append(edits)
                done.counts.update(span.entity for span in spans)
                done.why.update(f"{span.entity}: {span.rule} by {span.evidence.name.lower()}" for span in spans)
    raise StageError(
        "a document still held personal data after several passes",
        fix="use operator `tag` for all types, or `drop_document`; the document was not passed on",
    )


def spans_of(texts: Sequence[str], find: Find) -> list[list[Span]]:
    """The spans of every text of a record, with the echoes of names, and of values that a label gave away, in any."""
    found = [find(text) if text else [] for text in texts]
    echoes = {
        spelling: span
        for text, spans in zip(texts, found, strict=True)
        for span in spans
        if span.evidence is Evidence.LABEL or span.entity == "PERSON"
        for spelling in _spellings(text[span.start : span.end])
        if _worth_an_echo(span.entity, spelling)
    }
    if not echoes:
        return found
    return [resolve([*spans, *_echoed(text, echoes)]) for text, spans in zip(texts, found, strict=True)]


def _without(text: str, spans: Sequence[Span]) -> str:
    """What stands around the values: an address in Latin letters makes no English of a Korean line."""
    places = [0, *(place for span in spans for place in (span.start, span.end)), len(text)]
    return " ".join(text[start:end] for start, end in zip(places[::2], places[1::2], strict=True))


def _echoed(text: str, echoes: dict[str, Span]) -> list[Span]:
    return [
        Span(at, at + len(value), source.entity, source.rule, source.evidence)
        for value, source in sorted(echoes.items())
        for at in occurrences(text, value)
    ]


def _spellings(value: str) -> tuple[str, ...]:
    """A value, and for a number the same without its separators."""
    bare = "".join(char for char in value if char.isalnum())
    return (value, bare) if bare.isdigit() and bare != value else (value,)


def _worth_an_echo(entity: str, value: str) -> bool:
    """Whether a value is long enough to mean itself elsewhere: three syllables, two Latin words, or six characters."""
    if entity not in _ECHOED:
        return False
    if entity == "PERSON":
        return " " in value.strip() if value.isascii() else len(value) >= 3
    return len(value) >= 6


def _replace(text: str, spans: list[Span], write: Write, lang: str) -> tuple[str, list[Edit]]:
    parts, edits, at = [], [], 0
    for span in spans:
        new = write(span.entity, text[span.start : span.end], lang)
        parts += [text[at : span.start], new]
        edits.append((span.start, span.end, len(new)))
        at = span.end
    return "".join([*parts, text[at:]]), edits


def moved(place: int, rounds: list[list[Edit]], *, end: bool) -> int:
    """Where a place of the old text lies in the new one; inside a replaced value: its start, or its end if `end`."""
    for edits in rounds:
        shift = 0
        for start, stop, length in edits:
            if place >= stop:
                shift += length - (stop - start)
            elif place > start:
                shift += length + start - place if end else start - place
            else:
                break
        place += shift
    return place
