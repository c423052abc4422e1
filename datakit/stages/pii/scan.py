"""The fast engine: finds personal data in one text.

Rules look at small windows only: around runs of digits, and around anchors such as `@`, `://` or `이름:`, which one
pass of an automaton finds (kernels/anchors). Windows that meet are joined and all patterns are bounded, so cost is
linear in the length of the text, whatever it is made of. Neither presidio nor spaCy is imported.

The judge (`Judge`) that weighs a match is shared with the Presidio recognizers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import compress

from datakit.errors import StageError
from datakit.stages.pii.fold import fold
from datakit.stages.pii.rules import (
    DOTS,
    ENTITIES,
    LANGUAGES,
    LEFT,
    VETO,
    Evidence,
    Rule,
    all_labels,
    chosen_rules,
    trie,
)
from datakit.stages.pii.spans import Span, TooDenseError, in_original, resolve
from datakit.stages.pii.surrogates import is_void
from datakit.stages.pii.wishes import Wishes

REACH = 30
"""How many characters before a value a label or veto word may begin."""
_TAG_ROOM = 48
_SEPARATORS = rf"[ .\-()/~\n\t{DOTS}]{{0,5}}+"
_RUN = re.compile(rf"[0-9](?:{_SEPARATORS}[0-9]){{3,}}+")
_BEGUN = re.compile(rf"(?=[0-9(+]){LEFT}")
"""Where a number may begin. Asked by itself: a search with the joint pattern takes 9 us, this and a match there 4."""
_BLANK = re.compile("[ \n]")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_USED_UP = re.compile(r"[0-9]{3}[^\n]*\n")
_SENTENCE_END = re.compile(r"(?:[가-힣]|[a-z]{3})[.!?]\s|;\s")
_AFTER = re.compile(r"[ \t]?(\(?)[ \t]?")
_MOST = 200_000
"""Matches weighed in one text before it is refused; a page of nothing but phone numbers has 60 in a kilobyte."""


@dataclass(frozen=True, slots=True)
class Live:
    """A rule with its compiled pattern and the names of its value groups."""

    rule: Rule
    pattern: re.Pattern[str]
    groups: tuple[str, ...]

    def place(self, match: re.Match[str]) -> tuple[int, int]:
        """Start and end of the value in a match."""
        for group in self.groups:
            if match.start(group) >= 0:
                return match.span(group)
        return match.span()


@cache
def live(rule: Rule) -> Live:
    """The rule ready for work, compiled once a process."""
    pattern = re.compile(rule.pattern)
    return Live(rule, pattern, tuple(name for name in ("v", "w") if name in pattern.groupindex))


@cache
def _label_words() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, frozenset[str]]]:
    """One pattern for all label and veto words, one for the same words read backwards, and the kinds of each word."""
    kinds: dict[str, set[str]] = {}
    for kind, listed in all_labels().items():
        for word in listed:
            kinds.setdefault(word, set()).add(kind)
    # One alternation without assertions: only then does `re` skip to the next first letter (3 us a window, not 8).
    backwards = re.compile(trie(word[::-1] for word in kinds))
    return re.compile(trie(kinds)), backwards, {word: frozenset(found) for word, found in kinds.items()}


_LABELLED = frozenset(kind for kind, listed in all_labels().items() if listed)
"""The entity types that have label words."""


@cache
def tag_pattern() -> re.Pattern[str]:
    """Matches the tags that take a value's place, hashed ones too."""
    names = sorted(
        {tag for entity in ENTITIES.values() for tag in (entity.ko, entity.en)}, key=lambda tag: (-len(tag), tag)
    )
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
            raise TooDenseError
        try:
            return self._weigh(rule, start, end)
        except Exception:
            # The original exception may quote the value: it is replaced, not chained.
            failed = StageError(
                f"the PII rule `{rule.id}` failed on a match", fix="report it as a bug; no text was passed on"
            )
        raise failed

    def _weigh(self, rule: Rule, start: int, end: int) -> Evidence | None:
        named = rule.labelled
        if not named and not (rule.firm and rule.entity not in _LABELLED):
            kinds = self.kinds_around(start, end)
            named = rule.entity in kinds
            if not named and ((VETO in kinds and not rule.firm) or not (rule.check or rule.alone)):
                return None
        value = self.text[start:end]
        if (rule.guard is not None and not rule.guard(value)) or is_void(rule.entity, value):
            return None
        if named:
            return Evidence.LABEL
        if rule.check is not None and rule.check(value):
            return Evidence.CHECKSUM
        return Evidence.SHAPE if rule.alone else None

    def kinds_around(self, start: int, end: int) -> frozenset[str]:
        """The kinds of the label word nearest before a value, else of one right behind it."""
        if start not in self._around:
            self._around[start] = self._kinds_before(start)
        return self._around[start] or self._kinds_after(end)

    def _kinds_before(self, start: int) -> frozenset[str]:
        _, backwards, kinds = _label_words()
        window = self.text[max(0, start - REACH - _TAG_ROOM) : start]
        if "]" in window:
            # A tag put in by an earlier pass is no label: the second pass must find what the first one found.
            window = tag_pattern().sub(lambda tag: " " * len(tag[0]), window)
        # Backwards: the nearest word is the first one met, mostly right before the value.
        window = window[-REACH:].lower().replace("_", " ")[::-1]
        for match in backwards.finditer(window):
            if not _in_word(window, match):
                named = kinds[match[0][::-1]]
                between = window[: match.start()][::-1]
                return frozenset() if _spoken_of_another(between, veto=VETO in named) else named
        return frozenset()

    def _kinds_after(self, end: int) -> frozenset[str]:
        pattern, _, kinds = _label_words()
        opened = _AFTER.match(self.text, end)
        behind = self.text[opened.end() : opened.end() + 16].lower().replace("_", " ") if opened else ""
        found = pattern.match(behind)
        if opened is None or found is None or _in_word(behind, found):
            return frozenset()
        named = kinds[found[0]]
        # `203.0.113.7 port 22`: an English veto word is about what follows it, but for a remark in brackets.
        return frozenset() if VETO in named and found[0].isascii() and not opened[1] else named


def _spoken_of_another(between: str, *, veto: bool) -> bool:
    """Whether a word is about another number than the one behind `between`: its own stands on an earlier line, or, for
    a veto word, a sentence has ended since. A label may announce its value (계좌번호를 알려 드립니다. 110-...)."""
    return bool(("\n" in between and _USED_UP.search(between)) or (veto and _SENTENCE_END.search(between)))


def _in_word(text: str, match: re.Match[str]) -> bool:
    """Whether an ASCII label is only part of a longer word (`tel` in `hotel`); Hangul labels take particles."""
    if not match[0].isascii():
        return False
    around = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return any("a" <= char <= "z" for char in around)


def matches(rule: Live, judge: Judge, low: int, high: int) -> Iterator[Span]:
    """The believed matches of one rule between two places of a folded text."""
    for match in rule.pattern.finditer(judge.text, low, high):
        start, end = rule.place(match)
        if (evidence := judge.weigh(rule.rule, start, end)) is not None:
            yield Span(start, end, rule.rule.entity, rule.rule.id, evidence)


class Scanner:
    """The fast engine over a choice of rules: by entity type, and by the language they were written for."""

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        *,
        languages: Sequence[str] = LANGUAGES,
        wishes: Wishes | None = None,
    ) -> None:
        rules = chosen_rules(entities, languages)
        self._digits = DigitRules([rule for rule in rules if rule.digits])
        self._groups = _grouped([rule for rule in rules if rule.needles])
        self._longest = [max(map(len, needles)) for needles, _ in self._groups]
        # numba and numpy are loaded here, not with the stage's value.
        from datakit.kernels.anchors import anchors_in, compile_anchors

        table, column, bits = compile_anchors([needles for needles, _ in self._groups])
        self._anchors_in = partial(anchors_in, table=table, column=column, bits=bits)
        self._wishes = wishes or Wishes()

    def __call__(self, text: str) -> list[Span]:
        """The personal data of one text, in order, without overlaps; offsets are code points of `text`."""
        folded = fold(text)
        judge = Judge(folded.text)
        found = [*self._digits(judge), *self._around_needles(judge)]
        held = [span for span in found if self._wishes.holds(span, folded.text[span.start : span.end])]
        return in_original(folded, resolve([*held, *self._wishes.added(folded)]))

    def _around_needles(self, judge: Judge) -> Iterator[Span]:
        places: dict[int, list[int]] = {}
        for bits, end in self._anchors_in(judge.text):
            while bits:
                lowest = bits & -bits
                places.setdefault(lowest.bit_length() - 1, []).append(end)
                bits ^= lowest
        for group, found in places.items():
            for rule in self._groups[group][1]:
                back, declared = rule.rule.back + self._longest[group], rule.rule
                for low, high in _windows(judge.text, found, back, declared.ahead, solid=declared.solid):
                    yield from matches(rule, judge, low, high)


class DigitRules:
    """The rules for numbers, tried all at once: one pattern looks ahead for each of them wherever digits begin.

    Trying them one by one costs 0.6 us each for every number, 25 times; together they cost a third of that.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = sorted(rules, key=lambda rule: rule.digits)
        most = max((rule.digits for rule in rules), default=0)
        self._counts = [sum(rule.digits <= digits for rule in rules) for digits in range(most + 1)]
        self._tiers: dict[int, tuple[re.Pattern[str], list[Rule | None]]] = {}

    def __call__(self, judge: Judge) -> Iterator[Span]:
        for run in _RUN.finditer(judge.text) if self._rules else ():
            digits = len(_NOT_DIGIT.sub("", run[0]))
            if digits >= self._rules[0].digits:
                yield from self._in_run(judge, max(0, run.start() - 3), run.end() + 10, digits)

    def _in_run(self, judge: Judge, low: int, high: int, digits: int) -> Iterator[Span]:
        pattern, tried = self._tier(self._counts[min(digits, len(self._counts) - 1)])
        done: dict[str, int] = {}
        for begun in _BEGUN.finditer(judge.text, low, high):
            at = begun.start()
            match = pattern.match(judge.text, at, high)
            if match is None or match.lastindex is None:
                continue
            # compress: of 40 groups two or three hold a match, and a loop over all of them was a third of the cost.
            for rule in compress(tried, match.groups()):
                if rule is None or at < done.get(rule.id, low):
                    continue
                start, end = match.span(rule.id)
                done[rule.id] = end
                if (evidence := judge.weigh(rule, start, end)) is not None:
                    yield Span(start, end, rule.entity, rule.id, evidence)

    def _tier(self, count: int) -> tuple[re.Pattern[str], list[Rule | None]]:
        """The joint pattern of the first `count` rules, and the rule of each of its groups (None: a group inside a
        rule); compiled when first needed."""
        if count not in self._tiers:
            rules = self._rules[:count]
            tried = "".join(f"(?:(?=(?P<{rule.id}>{rule.pattern.removeprefix(LEFT)}))|)" for rule in rules)
            pattern = re.compile(tried)
            places = {pattern.groupindex[rule.id]: rule for rule in rules}
            self._tiers[count] = pattern, [places.get(group) for group in range(1, pattern.groups + 1)]
        return self._tiers[count]


def _windows(text: str, places: Sequence[int], back: int, ahead: int, *, solid: bool) -> Iterator[tuple[int, int]]:
    """The windows around some ascending places, those that meet as one; solid ones end at the first blank."""
    first = last = -1
    for place in places:
        if first < 0 or place - back > last + ahead:
            if first >= 0:
                yield _window(text, first, last, back, ahead, solid=solid)
            first = place
        last = place
    if first >= 0:
        yield _window(text, first, last, back, ahead, solid=solid)


def _window(text: str, first: int, last: int, back: int, ahead: int, *, solid: bool) -> tuple[int, int]:
    low, high = max(0, first - back), last + ahead
    if not solid:
        return low, high
    behind = _BLANK.search(text, last, high)
    return max(
        low, text.rfind(" ", low, first) + 1, text.rfind("\n", low, first) + 1
    ), behind.start() if behind else high


def _grouped(rules: Sequence[Rule]) -> list[tuple[tuple[str, ...], list[Live]]]:
    """Rules with the same needles together, so that a text is searched for each set once."""
    groups: dict[tuple[str, ...], list[Live]] = {}
    for rule in rules:
        groups.setdefault(rule.needles, []).append(live(rule))
    return list(groups.items())
