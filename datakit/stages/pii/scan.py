"""The fast engine: finds personal data in one text with the standard library alone.

Most rules look at small windows only: around a literal such as `@` or `://`, around a label word, or around a run of
digits. Prose without such anchors costs a few `str.find` scans. Windows that meet are joined and all patterns are
bounded, so cost is linear in the length of the text, whatever it is made of.

The judge (`Judge`) that weighs a match is shared with the Presidio recognizers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from datakit.errors import StageError
from datakit.stages.pii.fold import fold
from datakit.stages.pii.rules import ENTITIES, LISTED, SCORES, VETO, Evidence, Rule, all_labels, all_rules

REACH = 30
"""How many characters before a value a label or veto word may begin."""
_TAG_ROOM = 48
_SEPARATORS = r"[ .\-()/~\n\t]{0,5}+"
_RUN = re.compile(rf"[0-9](?:{_SEPARATORS}[0-9]){{3,}}+")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_AFTER = re.compile(r"\s?\(?\s?")
_MOST = 200_000
"""Matches weighed in one text before it is refused; a page of nothing but phone numbers has 60 in a kilobyte."""


class TooDense(Exception):
    """A text with more candidates than can be weighed; it must be dropped, never passed through."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One found value: its place in the original text, its entity type, the rule, and why it is believed."""

    start: int
    end: int
    entity: str = field(compare=False)
    rule: str = field(compare=False)
    evidence: Evidence = field(compare=False, default=Evidence.SHAPE)

    @property
    def score(self) -> float:
        return SCORES[self.evidence]


@cache
def compiled(rule: Rule) -> re.Pattern[str]:
    """The compiled pattern of a rule."""
    return re.compile(rule.pattern)


def trie(words: Iterable[str]) -> str:
    """A regular expression for the longest of some literal words: an alternation that branches on each character."""
    root: dict[str, dict] = {}
    for word in sorted(set(words)):
        node = root
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return _branches(root)


def _branches(node: dict[str, dict]) -> str:
    parts = [re.escape(char) + _branches(below) for char, below in node.items() if char]
    if not parts:
        return ""
    joined = parts[0] if len(parts) == 1 and "" not in node else f"(?:{'|'.join(parts)})"
    return f"{joined}?" if "" in node else joined


@cache
def _label_words() -> tuple[re.Pattern[str], dict[str, frozenset[str]]]:
    """One pattern for all label and veto words, and the kinds of each word."""
    kinds: dict[str, set[str]] = {}
    for kind, listed in all_labels().items():
        for word in listed:
            kinds.setdefault(word, set()).add(kind)
    latin = trie(word for word in kinds if word.isascii())
    other = trie(word for word in kinds if not word.isascii())
    pattern = re.compile(rf"(?<![a-z])(?:{latin})(?![a-z])|{other}")
    return pattern, {word: frozenset(found) for word, found in kinds.items()}


@cache
def _tag_pattern() -> re.Pattern[str]:
    names = sorted({tag for entity in ENTITIES.values() for tag in (entity.ko, entity.en)}, key=lambda tag: (-len(tag), tag))
    return re.compile(rf"\[(?:{'|'.join(map(re.escape, names))})(?::[a-p]+)?\]")


class Judge:
    """Weighs the matches of one folded text: label > checksum > shape, and veto words beat shape and checksum."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.weighed = 0
        self._around: dict[int, frozenset[str]] = {}

    def weigh(self, rule: Rule, start: int, end: int) -> Evidence | None:
        """Why the match is personal data, or None. A rule that raises stops the run: never fail open."""
        self.weighed += 1
        if self.weighed > _MOST:
            raise TooDense
        try:
            return self._weigh(rule, start, end)
        except Exception:
            # The original exception may quote the value: it is replaced, not chained.
            failed = StageError(f"the PII rule `{rule.id}` failed on a match", fix="report it as a bug; no text was passed on")
        raise failed from None

    def _weigh(self, rule: Rule, start: int, end: int) -> Evidence | None:
        value = self.text[start:end]
        if rule.guard is not None and not rule.guard(value):
            return None
        if rule.labelled:
            return Evidence.LABEL
        kinds = self.kinds_around(start, end)
        if rule.entity in kinds:
            return Evidence.LABEL
        if VETO in kinds and not rule.firm:
            return None
        if rule.check is not None and rule.check(value):
            return Evidence.CHECKSUM
        return Evidence.SHAPE if rule.alone else None

    def kinds_around(self, start: int, end: int) -> frozenset[str]:
        """The kinds of the label word nearest before a value, else of one right behind it."""
        if start not in self._around:
            self._around[start] = self._kinds_before(start)
        return self._around[start] or self._kinds_after(end)

    def _kinds_before(self, start: int) -> frozenset[str]:
        pattern, kinds = _label_words()
        window = self.text[max(0, start - REACH - _TAG_ROOM) : start]
        if "]" in window:
            # A tag put in by an earlier pass is no label: the second pass must find what the first one found.
            window = _tag_pattern().sub(lambda tag: " " * len(tag[0]), window)
        window = window[-REACH:].lower()
        last = None
        for last in pattern.finditer(window):
            pass
        return kinds[last[0]] if last else frozenset()

    def _kinds_after(self, end: int) -> frozenset[str]:
        pattern, kinds = _label_words()
        opened = _AFTER.match(self.text, end)
        behind = self.text[opened.end() : opened.end() + 16].lower() if opened else ""
        found = pattern.match(behind)
        return kinds[found[0]] if found else frozenset()


def matches(rule: Rule, judge: Judge, low: int, high: int) -> Iterator[Span]:
    """The believed matches of one rule between two places of a folded text."""
    pattern = compiled(rule)
    grouped = bool(pattern.groupindex)
    for match in pattern.finditer(judge.text, low, high):
        start, end = match.span(match.lastgroup if grouped else 0)
        if (evidence := judge.weigh(rule, start, end)) is not None:
            yield Span(start, end, rule.entity, rule.id, evidence)


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


class Scanner:
    """The fast engine over a choice of rules."""

    def __init__(self, entities: Sequence[str] | None = None, *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        rules = [rule for rule in all_rules() if entities is None or rule.entity in entities]
        self._by_digits = sorted((rule for rule in rules if rule.digits), key=lambda rule: rule.digits)
        self._by_needles = _grouped([rule for rule in rules if rule.needles])
        self._by_near = [(re.compile(rule.near), rule) for rule in rules if rule.near]
        self._keep = Lists(allow, deny)

    def __call__(self, text: str) -> list[Span]:
        """The personal data of one text, in order, without overlaps; offsets are code points of `text`."""
        folded = fold(text)
        judge = Judge(folded.text)
        found = [*self._in_digit_runs(judge), *self._by_literals(judge), *self._by_patterns(judge)]
        return self._keep.settle(folded, found)

    def _in_digit_runs(self, judge: Judge) -> Iterator[Span]:
        if not self._by_digits:
            return
        least = self._by_digits[0].digits
        for run in _RUN.finditer(judge.text):
            digits = len(_NOT_DIGIT.sub("", run[0]))
            if digits < least:
                continue
            low, high = max(0, run.start() - 3), run.end() + 10
            for rule in self._by_digits:
                if rule.digits > digits:
                    break
                yield from matches(rule, judge, low, high)

    def _by_literals(self, judge: Judge) -> Iterator[Span]:
        text = judge.text
        for needles, rules in self._by_needles:
            places = sorted(place for needle in needles if needle in text for place in _places(text, needle))
            for rule in rules if places else ():
                for low, high in _windows(places, rule.back, rule.ahead):
                    yield from matches(rule, judge, low, high)

    def _by_patterns(self, judge: Judge) -> Iterator[Span]:
        for anchor, rule in self._by_near:
            places = [match.start() for match in anchor.finditer(judge.text)]
            for low, high in _windows(places, rule.back, rule.ahead + 64 if rule.near else rule.ahead):
                yield from matches(rule, judge, low, high)


class Lists:
    """The values that a person always keeps (allow) or always removes (deny)."""

    def __init__(self, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow = frozenset(fold(value).text for value in allow)
        self._deny = tuple(sorted({fold(value).text for value in deny if value}, key=lambda value: (-len(value), value)))

    def settle(self, folded, found: Iterable[Span]) -> list[Span]:
        """The found spans without the allowed ones, with the denied ones, resolved, in places of the original text."""
        text = folded.text
        spans = [span for span in found if text[span.start : span.end] not in self._allow]
        for value in self._deny:
            spans += [Span(at, at + len(value), LISTED, "deny_list", Evidence.LABEL) for at in occurrences(text, value)]
        places = ((span, folded.original(span.start, span.end)) for span in resolve(spans))
        return [Span(start, end, span.entity, span.rule, span.evidence) for span, (start, end) in places]


def occurrences(text: str, value: str) -> Iterator[int]:
    """Where a value stands in a text as a value of its own: no letter or digit of its alphabet goes on at either end."""
    at = text.find(value)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(value) : at + len(value) + 1]
        if not (_joins(before, value[0]) or _joins(value[-1], after)):
            yield at
        at = text.find(value, at + 1)


def _joins(left: str, right: str) -> bool:
    """Whether two characters belong to one ASCII word or number; a Hangul particle behind a value does not join it."""
    return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()


def _places(text: str, needle: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _windows(places: Sequence[int], back: int, ahead: int) -> Iterator[tuple[int, int]]:
    """The joined windows around some ascending places."""
    low = high = -1
    for place in places:
        start, end = max(0, place - back), place + ahead
        if start > high:
            if high >= 0:
                yield low, high
            low = start
        high = end
    if high >= 0:
        yield low, high


def _grouped(rules: Sequence[Rule]) -> list[tuple[tuple[str, ...], list[Rule]]]:
    """Rules with the same needles together, so that a text is searched for each set once."""
    groups: dict[tuple[str, ...], list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.needles, []).append(rule)
    return list(groups.items())


Find = Callable[[str], list[Span]]
"""An engine: the spans of one text."""
