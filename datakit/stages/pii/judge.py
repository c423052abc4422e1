"""The judge that weighs every match: label > checksum > shape, and veto words beat shape and checksum.

Both engines ask it, and the tables. It looks at 30 characters before a value and 16 behind it: a match costs the same
wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from datakit.errors import StageError
from datakit.stages.pii.rules import ENTITIES, VETO, Evidence, Rule, all_labels, trie
from datakit.stages.pii.spans import Span, TooDenseError
from datakit.stages.pii.surrogates import is_void

REACH = 30
"""How many characters before a value a label or veto word may begin."""
_TAG_ROOM = 48
_USED_UP = re.compile(r"[0-9]{3}[^\n]*\n")
_SENTENCE_END = re.compile(r"(?:[가-힣]|[a-z]{3})[.!?]\s|;\s")
_AFTER = re.compile(r"[ \t]?(\(?)[ \t]?")
MOST = 200_000
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
        if self.weighed > MOST:
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
