"""The text that a chat template writes around contents, found once for all rows of the same build.

A template that never looks into a content writes the same text around any content. So it is rendered with stand-ins
that can be written, joined and trimmed, and that raise at anything else (`in`, `==`, `split`, `|length` ...): if none
was looked into, control flow can't have depended on contents, and the text with the contents put in is what the
template would give. What could see a stand-in without asking it (string formatting, macros, a filter not known to be
harmless) is looked for in the template's syntax tree first. A row's build: its roles, its tools, and that no content is
blank.

Each skeleton is held to a full rendering of the first row it is used for. Filling one costs 3 microseconds a row, where
rendering Jinja twice costs 100 to 500.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datakit.stages.template.formats import Rendered, Span

_FILTERS = frozenset({"trim", "tojson", "default", "d", "length", "count", "string", "first", "last", "list"})
_FILTERS_ON_MESSAGES = frozenset({"selectattr", "rejectattr", "map"})
_CALLS = frozenset({"raise_exception", "namespace", "range"})
_OPEN, _CLOSE, _TRIM, _BEGIN, _END = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd4", "\ufdd5"
_STAND_IN = re.compile(f"{_OPEN}(\\d+)({_TRIM}?){_CLOSE}|({_BEGIN})|({_END})")


class Looked(Exception):  # noqa: N818 - a finding about a template, not an error
    """The template looked into a content."""


class StandIn(str):
    """A content in a rendering: may be written, joined to other text and trimmed, not read."""

    __slots__ = ("looks",)
    looks: list[bool]

    @classmethod
    def of(cls, text: str, looks: list[bool]) -> StandIn:
        found = cls(text)
        found.looks = looks
        return found

    def __add__(self, other: str) -> StandIn:
        return StandIn.of(str.__str__(self) + str.__str__(other), self.looks)

    def __radd__(self, other: str) -> StandIn:
        return StandIn.of(str.__str__(other) + str.__str__(self), self.looks)

    def __str__(self) -> str:
        return self

    def __bool__(self) -> bool:
        return True

    def strip(self, chars: Any = None) -> StandIn:
        raw = str.__str__(self)
        if chars is not None or not re.fullmatch(f"{_OPEN}\\d+{_TRIM}?{_CLOSE}", raw):
            self._looked()
        return self if _TRIM in [*raw] else StandIn.of(raw[:-1] + _TRIM + _CLOSE, self.looks)

    def _looked(self, *_: Any, **__: Any) -> Any:
        # Jinja's own tests swallow exceptions, so it is noted, too.
        self.looks.append(True)
        raise Looked


_HARMLESS = {"__add__", "__new__", "__init__", "__str__", "__class__", "__doc__", "__getattribute__", "__setattr__",
             "__init_subclass__", "__subclasshook__", "__reduce__", "__reduce_ex__", "__getstate__", "__delattr__",
             "__dir__", "__sizeof__", "__getnewargs__", "strip"}  # fmt: skip
for _name in set(dir(str)) - _HARMLESS:
    setattr(StandIn, _name, StandIn._looked)


def is_opaque(source: Any) -> bool:
    """Whether a parsed template (a Jinja syntax tree) can see contents only by asking the stand-ins."""
    from jinja2 import nodes

    hiding = (nodes.Macro, nodes.AssignBlock, nodes.FilterBlock, nodes.Mod)
    if any(True for _ in source.find_all(hiding)):
        # A remainder of numbers is fine; a string formatted by % is not.
        if any(True for _ in source.find_all(hiding[:3])):
            return False
        if any(not _counts(node.left) for node in source.find_all(nodes.Mod)):
            return False
    if any(one.name not in _FILTERS | _FILTERS_ON_MESSAGES for one in source.find_all(nodes.Filter)):
        return False
    if any(True for one in source.find_all(nodes.Assign) for _ in one.find_all(nodes.Concat)):
        return False
    for call in source.find_all(nodes.Call):
        plain = isinstance(call.node, nodes.Name) and call.node.name in _CALLS
        method = isinstance(call.node, nodes.Getattr) and all(isinstance(arg, nodes.Const) for arg in call.args)
        marking = isinstance(call.node, nodes.ExtensionAttribute)
        if not (plain or method or marking):
            return False
    return all(_membership_is_plain(one) for one in source.find_all(nodes.Compare))


def _counts(node: Any) -> bool:
    from jinja2 import nodes

    return isinstance(node, nodes.Getattr) and node.attr in ("index", "index0", "revindex", "revindex0")


def _membership_is_plain(compare: Any) -> bool:
    """`a in b` asks b, unless b is a list, which asks a: both are heard if a is a constant or b a list."""
    from jinja2 import nodes

    return all(
        one.op not in ("in", "notin")
        or isinstance(compare.expr, nodes.Const)
        or isinstance(one.expr, nodes.List | nodes.Tuple)
        for one in compare.ops
    )


@dataclass(slots=True)
class Skeleton:
    """Fixed text and the places of contents: the number of a turn, and whether it is trimmed."""

    parts: list[str | tuple[int, bool]]
    answers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Turn -> characters that belong to its answer before and behind its content."""

    def fill(self, contents: Sequence[str]) -> Rendered:
        """The text with contents."""
        pieces: list[str] = []
        places: dict[int, Span] = {}
        at = 0
        for part in self.parts:
            if type(part) is tuple:
                text = contents[part[0]].strip() if part[1] else contents[part[0]]
                places[part[0]] = (at, at + len(text))
            else:
                text = part  # type: ignore[assignment]  # a str: mypy doesn't narrow by `type() is`
            pieces.append(text)
            at += len(text)
        answers = {n: (places[n][0] - a, places[n][1] + b) for n, (a, b) in self.answers.items()}
        return Rendered("".join(pieces), answers, list(places.values()))


Write = Callable[[Sequence[str]], str]
"""Contents -> the rendered text, blocks of {% generation %} between marks."""


def skeleton_of(roles: Sequence[str], write: Write, blocks: bool, stop: re.Pattern[str] | None) -> Skeleton | None:
    """The skeleton of a build, or None if the template looks into contents, or writes one not once.

    `blocks`: the template has {% generation %}; then they say what an answer is, else the stop behind it.
    """
    looks: list[bool] = []
    try:
        raw = write([StandIn.of(f"{_OPEN}{number}{_CLOSE}", looks) for number in range(len(roles))])
    except Looked:
        return None
    if looks:
        return None
    parts, begun, ended = _parts(str.__str__(raw))
    numbers = [part[0] for part in parts if isinstance(part, tuple)]
    if sorted(numbers) != list(range(len(roles))):
        return None
    found = Skeleton(parts)
    for place, part in enumerate(parts):
        if isinstance(part, tuple) and roles[part[0]] == "assistant":
            reach = _block_around(parts, place, begun, ended, stop) if blocks else (0, _stop_behind(parts, place, stop))
            if reach is None:
                return None
            found.answers[part[0]] = reach
    return found


def _parts(raw: str) -> tuple[list[str | tuple[int, bool]], list[tuple[int, int]], list[tuple[int, int]]]:
    """The parts, a text between any two contents, and where blocks begin and end: (part, character in it)."""
    parts: list[str | tuple[int, bool]] = []
    begun: list[tuple[int, int]] = []
    ended: list[tuple[int, int]] = []
    text, at = "", 0
    for match in _STAND_IN.finditer(raw):
        text += raw[at : match.start()]
        at = match.end()
        if match[1]:
            parts += [text, (int(match[1]), bool(match[2]))]
            text = ""
        else:
            (begun if match[3] else ended).append((len(parts), len(text)))
    return [*parts, text + raw[at:]], begun, ended


def _stop_behind(parts: Sequence[Any], place: int, stop: re.Pattern[str] | None, start: int = 0) -> int:
    """Characters of the text behind a content up to its stop; none if no stop follows."""
    match = stop.match(parts[place + 1], start) if stop else None
    return match.end() if match else start


def _block_around(
    parts: Sequence[Any],
    place: int,
    begun: Sequence[tuple[int, int]],
    ended: Sequence[tuple[int, int]],
    stop: re.Pattern[str] | None,
) -> tuple[int, int] | None:
    """How far the block around a content reaches before and behind it; None if it holds more contents than that."""
    starts = [at for part, at in begun if part == place - 1]
    ends = [at for part, at in ended if part == place + 1]
    if len(starts) != 1 or not ends:
        return None
    before, behind = len(parts[place - 1]) - starts[0], ends[0]
    inside = any(match.end() == behind for match in stop.finditer(parts[place + 1], 0, behind)) if stop else True
    return before, behind if inside else _stop_behind(parts, place, stop, behind)
