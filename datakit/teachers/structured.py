r"""JSON out of what a model wrote: from fences, out of prose, with its usual slips, and what there is of a cut reply.

    parse_json('다음과 같습니다.\n```json\n{"질문": "왜?",}\n```')     Parsed({"질문": "왜?"}, "")
    parse_json('[{"q": "a"}, {"q": "b"}, {"q": "c')                  Parsed([{"q": "a"}, {"q": "b"}], "cut")
    parse_json("I can't do that.")                                   Parsed(None, "no_json")

Endpoints with structured output give plain JSON, the others are asked in words and answer like people. Read are
trailing commas, line breaks inside strings, Python's quotes and its True, False, None, text around it, `<think>` before
it. Of several values the longest counts: a `[1]` in the prose is none. Time is linear in the length of the reply,
whatever it holds: 1 MB takes a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

Fault = Literal["", "empty", "no_json", "cut"]
THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
OPENS = re.compile(r"[{\[]")
SPACE = re.compile(r"\s*")
WORD = re.compile(r"[A-Za-z]+")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
HALF_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d*)?)?")
WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
PASSES, TRIES, DEEPEST = 4, 1000, 60
"""How many lengths of a reply are looked through, from how many brackets on; how deep values may lie in one another."""


class Parsed(NamedTuple):
    """What was found. `fault`: "" for whole JSON; `cut`: the end is missing, `value` is what came whole before it;
    `empty`: there is no text; `no_json`: there is text, but no JSON in it."""

    value: Any
    fault: Fault


def parse_json(text: str) -> Parsed:
    """The JSON value in a reply."""
    text = THINKING.sub("", text).strip()
    if not text:
        return Parsed(None, "empty")
    try:
        return Parsed(_strict(text), "")
    except (ValueError, RecursionError):
        found = max(_found(text), key=lambda one: one[0], default=None)
    if found is None:
        return Parsed(None, "no_json")
    _, value, whole = found
    return Parsed(value, "") if whole else Parsed(value or None, "cut")


def _strict(text: str) -> Any:
    return json.loads(text, strict=False, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _found(text: str) -> Iterator[tuple[int, Any, bool]]:
    """Every object and list in the text: its length, its value, and whether it is whole."""
    start = looked = 0
    for _ in range(TRIES):
        match = OPENS.search(text, start)
        if match is None or looked > PASSES * len(text):
            return
        reader = Reader(text)
        try:
            value, end = reader.value(match.start(), 0)
            yield end - match.start(), value, not reader.cut
        except Unreadable as error:
            end = error.place
            start = end if error.too_deep else match.start() + 1
        else:
            start = end
        looked += end - match.start()


class Unreadable(Exception):  # noqa: N818 - it is a verdict about text
    """There is no JSON up to this place."""

    def __init__(self, place: int, too_deep: bool = False) -> None:
        super().__init__(place)
        self.place = place
        self.too_deep = too_deep


class Cut(Exception):  # noqa: N818
    """The text ends in the middle of a string, number or word."""


class Reader:
    """Reads one value, forgiving what models get wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cut = False
        """Whether the text ended before the value did."""

    def value(self, place: int, depth: int) -> tuple[Any, int]:
        """A value and the place behind it. Raises Cut where the text ends in it, so that nothing of it counts."""
        first = self.text[place : place + 1]
        if first in ("{", "["):
            if depth == DEEPEST:
                raise Unreadable(place, too_deep=True)
            return self._object(place + 1, depth) if first == "{" else self._list(place + 1, depth)
        if first in ('"', "'", "“"):
            return self._string(place, {"“": "”"}.get(first, first))
        return self._scalar(place)

    def _object(self, place: int, depth: int) -> tuple[dict[str, Any], int]:
        pairs: dict[str, Any] = {}
        while (place := self._next(place)) < len(self.text):
            if self.text[place] == "}":
                return pairs, place + 1
            if self.text[place] not in ('"', "'", "“"):
                raise Unreadable(place)
            try:
                name, place = self.value(place, depth)
                place = self._skip(place)
                if self.text[place : place + 1] not in (":", "："):
                    if place < len(self.text):
                        raise Unreadable(place)
                    break
                value, place = self.value(self._skip(place + 1), depth + 1)
            except Cut:
                break
            if not (self.cut and value in ({}, [])):
                pairs[name] = value
        self.cut = True
        return pairs, len(self.text)

    def _list(self, place: int, depth: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        while (place := self._next(place)) < len(self.text):
            if self.text[place] == "]":
                return values, place + 1
            try:
                value, place = self.value(place, depth + 1)
            except Cut:
                break
            if not (self.cut and value in ({}, [])):
                values.append(value)
        self.cut = True
        return values, len(self.text)

    def _string(self, place: int, end: str) -> tuple[str, int]:
        plain = re.compile(rf"[^\\{end}]+")
        parts: list[str] = []
        place += 1
        while place < len(self.text):
            if match := plain.match(self.text, place):
                parts.append(match.group())
                place = match.end()
            elif self.text[place] == end:
                return "".join(parts), place + 1
            else:
                part, place = self._escape(place + 1)
                parts.append(part)
        raise Cut

    def _escape(self, place: int) -> tuple[str, int]:
        """What stands for a backslash and what follows it; pairs of \\u become one character."""
        letter = self.text[place : place + 1]
        if letter != "u":
            return ESCAPES.get(letter, letter), place + 1
        match = re.compile(r"(?:u[0-9a-fA-F]{4}(?:\\(?=u[dD][c-fC-F]))?)+").match(self.text, place)
        if match is None:
            return letter, place + 1
        try:
            return str(json.loads(f'"\\{match.group()}"')), match.end()
        except ValueError:
            return "", match.end()

    def _scalar(self, place: int) -> tuple[Any, int]:
        if HALF_NUMBER.fullmatch(self.text, place):
            raise Cut  # who knows what would have followed
        match = NUMBER.match(self.text, place) or WORD.match(self.text, place)
        if match is None:
            raise Unreadable(place)
        if match.end() == len(self.text):
            raise Cut
        word = match.group()
        if word in WORDS:
            return WORDS[word], match.end()
        try:
            return _strict(word), match.end()
        except ValueError as error:
            raise Unreadable(place) from error

    def _next(self, place: int) -> int:
        """The place of the next element: behind space and commas, one too many of them too."""
        place = self._skip(place)
        while self.text[place : place + 1] == ",":
            place = self._skip(place + 1)
        return place

    def _skip(self, place: int) -> int:
        match = SPACE.match(self.text, place)
        assert match is not None  # it matches nothing, too
        return match.end()
