"""Renders a conversation with a Jinja chat template, and finds out which characters each message took.

Three ways, the first that can be verified wins:

    skeleton   the text around contents is the same for all rows of a build (skeletons.py), 3 microseconds a row; 2 for
               plain rows, which are written batch by batch (batches.py)
    marks      the row is rendered twice, once as it is and once with each content between two marks (Unicode
               noncharacters). The marks taken out must give the first text again; where they stood, contents begin and
               end. White space around a content stands outside its marks, so that a template that trims still does.
    prefixes   for templates that look into contents (Qwen3 cuts <think> ... </think> out of earlier turns): the text of
               the messages before an answer, with the generation prompt, and of those up to it must both be prefixes
               of the whole.

Where the template has {% generation %} blocks, they say what is an answer. Else an answer is its content and the stop
token after it, white space between the two included. An answer that calls tools is found by prefixes, or by its block.
Marks and prefixes cost two renderings a row and more, 50 to 250 microseconds each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from datakit.errors import ConfigError, Problem
from datakit.schemas import Message
from datakit.stages.template.formats import Rendered, Span
from datakit.stages.template.skeletons import Skeleton, is_opaque, skeleton_of
from datakit.turns import calls, visible

if TYPE_CHECKING:
    from jinja2 import Template as JinjaTemplate

_OPEN, _CLOSE = ("\ufdd0", "\ufdd1"), ("\ufdd2", "\ufdd3")
_BEGIN, _END = "\ufdd4", "\ufdd5"
_RESERVED = frozenset((*_OPEN, *_CLOSE, _BEGIN, _END))
MOST_SKELETONS = 4096
"""Builds that are remembered; a corpus in which every row has tools of its own is rendered row by row."""
_MARK = re.compile(f"{_OPEN[0]}(\\d+){_OPEN[1]}|{_CLOSE[0]}(\\d+){_CLOSE[1]}|({_BEGIN})|({_END})")


class Refused(Exception):  # noqa: N818 - a verdict about one row, not an error
    """The template refused a row, by `raise_exception` or because it lacks something the template reads."""


class Unverified(Exception):  # noqa: N818
    """Nobody can say which characters of the text are an answer."""


class Lost(Exception):  # noqa: N818
    """The template left a message out."""


class ToolControl(Exception):  # noqa: N818
    """A tool call spells a control token, which a template would write among its own."""


class ChatTemplate:
    """A compiled chat template, the tokenizer's named tokens (`bos_token` ...) and the texts that may stop a turn."""

    def __init__(self, source: str, named: dict[str, str], stops: Sequence[str]):
        self._template, tree = _compiled(source)
        self._named = named
        self.has_generation = bool(re.search(r"\{%-?\s*generation\s*-?%\}", source))
        longest_first = sorted((stop for stop in stops if stop), key=lambda stop: (-len(stop), stop))
        names = "|".join(map(re.escape, longest_first))
        self._stop = re.compile(rf"\s*(?:{names})") if names else None
        self._control = re.compile(names) if names else None
        self._opaque = is_opaque(tree)
        self._skeletons: dict[Any, Skeleton | None] = {}

    def render(self, turns: Sequence[Message], tools: str | None = None) -> Rendered:
        """The row's text with verified spans. Raises Refused, Unverified, Lost or ToolControl."""
        plain = self._opaque and all(turn.more is None and turn.content.strip() for turn in turns)
        if not plain:
            return self._fully(turns, tools)
        build = (tuple(turn.role for turn in turns), tools)
        if build not in self._skeletons:
            full = self._fully(turns, tools)
            if len(self._skeletons) < MOST_SKELETONS:
                self._skeletons[build] = self._skeleton(turns, tools, full)
            return full
        skeleton = self._skeletons[build]
        return skeleton.fill([turn.content for turn in turns]) if skeleton else self._fully(turns, tools)

    def skeleton(self, turns: Sequence[Message]) -> Skeleton | None:
        """The skeleton of a row's build, held to this row if it is the first; None if there is none that holds."""
        with suppress(Refused, Unverified, Lost, ToolControl):
            self.render(turns)
        return self._skeletons.get((tuple(turn.role for turn in turns), None))

    def _skeleton(self, turns: Sequence[Message], tools: str | None, full: Rendered) -> Skeleton | None:
        """The skeleton of a row's build, if it gives what the full rendering of this row gave."""

        def write(contents: Sequence[str]) -> str:
            return self._text(turns, contents, tools, _marking=self.has_generation)

        try:
            found = skeleton_of([turn.role for turn in turns], write, self.has_generation, self._stop)
        except Refused:
            return None
        return found if found is not None and found.fill([turn.content for turn in turns]) == full else None

    def _fully(self, turns: Sequence[Message], tools: str | None) -> Rendered:
        """The row's text by the template itself."""
        told = [turn.content for turn in turns]
        spoken = "".join(turn.more or "" for turn in turns) + (tools or "")
        if spoken and self._control and self._control.search(spoken):
            raise ToolControl
        text = self._text(turns, told, tools)
        found = None
        if not _RESERVED & set("".join(told)):
            # A template may look into contents and stumble over the marks alone.
            with suppress(Refused):
                found = self._by_marks(turns, text, tools)
        found = found or self._by_prefixes(turns, text, tools)
        if found is None:
            raise Unverified
        return found

    def _text(self, turns: Sequence[Message], told: Sequence[str], tools: str | None, **more: Any) -> str:
        from jinja2 import TemplateError

        messages = [
            {"role": turn.role, "content": text, **(visible(turn.more) if turn.more else {})}
            for turn, text in zip(turns, told, strict=True)
        ]
        try:
            values = {"tools": json.loads(tools) if tools else None, "documents": None, "add_generation_prompt": False}
            return self._template.render(messages=messages, **{**self._named, **values, **more})
        except (TemplateError, TypeError, IndexError, KeyError, ValueError, AttributeError) as error:
            raise Refused from error

    def _by_marks(self, turns: Sequence[Message], text: str, tools: str | None) -> Rendered | None:
        told = [turn.content for turn in turns]
        raw = self._text(turns, [_marked(n, t) for n, t in enumerate(told)], tools, _marking=True)
        expected = [number for number, content in enumerate(told) if content.strip()]
        if any(f"{_OPEN[0]}{n}{_OPEN[1]}" not in raw and f"{_CLOSE[0]}{n}{_CLOSE[1]}" not in raw for n in expected):
            raise Lost
        marked = _Marked.read(raw)
        if marked is None or marked.text != text or sorted(marked.contents) != expected:
            return None
        if any(content != content.strip() for content in told):
            bare = [content.strip() for content in told]
            trimmed = _Marked.read(self._text(turns, [_marked(n, t) for n, t in enumerate(bare)], tools, _marking=True))
            if trimmed is None or not marked.widen(trimmed, told):
                return None
        if any(turn.role == "assistant" and calls(turn.more) for turn in turns):
            return None  # an answer is more than its content
        answers = self._answers(turns, marked)
        return Rendered(text, answers, sorted(marked.contents.values())) if answers is not None else None

    def _answers(self, turns: Sequence[Message], marked: _Marked) -> dict[int, Span] | None:
        spans = {n: span for n, span in marked.contents.items() if turns[n].role == "assistant"}
        if not self.has_generation:
            borders = sorted(start for start, _ in marked.contents.values())
            return {n: (a, self._stopped(marked.text, b, _after(borders, b))) for n, (a, b) in spans.items()}
        answers = {}
        for number, (a, b) in spans.items():
            around = [(g, h) for g, h in marked.blocks if g <= a and b <= h]
            if len(around) == 1:
                answers[number] = (around[0][0], self._closed(marked.text, *around[0]))
        return answers if len(answers) == len(spans) else None

    def _stopped(self, text: str, end: int, limit: int | None) -> int:
        """The end of an answer with the stop token that follows it."""
        match = self._stop.match(text, end, len(text) if limit is None else limit) if self._stop else None
        return match.end() if match else end

    def _closed(self, text: str, start: int, end: int) -> int:
        """The end of a generation block, with the stop token if the block's author left it outside."""
        inside = any(match.end() == end for match in self._stop.finditer(text, start, end)) if self._stop else True
        return end if inside else self._stopped(text, end, None)

    def _by_prefixes(self, turns: Sequence[Message], text: str, tools: str | None) -> Rendered | None:
        answers = {}
        for number, turn in enumerate(turns):
            if turn.role != "assistant" or not (turn.content.strip() or calls(turn.more)):
                continue
            told = [one.content for one in turns[: number + 1]]
            try:
                before = self._text(turns[:number], told[:-1], tools, add_generation_prompt=True)
                upto = self._text(turns[: number + 1], told, tools)
            except Refused:
                return None
            if not (text.startswith(before) and text.startswith(upto) and len(before) < len(upto)):
                return None
            answers[number] = (len(before), self._last_stop(text, len(before), len(upto)))
        return Rendered(text, answers, _found_contents(text, turns)) if answers else None

    def _last_stop(self, text: str, start: int, end: int) -> int:
        """Where an answer ends in text that may go on after its stop token (with a line end, mostly)."""
        stops = [match.end() for match in self._stop.finditer(text, start, end)] if self._stop else []
        return stops[-1] if stops else start + len(text[start:end].rstrip())


class _Marked:
    """A text rendered with marks: the text without them, and where they stood."""

    def __init__(self) -> None:
        self.text = ""
        self.contents: dict[int, Span] = {}
        self.blocks: list[Span] = []

    @classmethod
    def read(cls, raw: str) -> _Marked | None:
        """Take the marks out; None if they don't come in pairs (the template copied or cut a content)."""
        found, pieces, at, size = cls(), [], 0, 0
        opened: dict[int, int] = {}
        begun: list[int] = []
        for match in _MARK.finditer(raw):
            pieces.append(raw[at : match.start()])
            size += match.start() - at
            at = match.end()
            if match[1]:
                if int(match[1]) in opened:
                    return None
                opened[int(match[1])] = size
            elif match[2]:
                if int(match[2]) not in opened or int(match[2]) in found.contents:
                    return None
                found.contents[int(match[2])] = (opened[int(match[2])], size)
            elif match[3]:
                begun.append(size)
            elif begun:
                found.blocks.append((begun.pop(), size))
        found.text = "".join([*pieces, raw[at:]])
        return found if len(opened) == len(found.contents) and not _RESERVED & set(found.text) else None

    def widen(self, trimmed: _Marked, told: Sequence[str]) -> bool:
        """Take the white space around contents in where the template kept it; False if that can't be told.

        `trimmed` is the same row rendered from contents without outer white space: what stands between two contents
        there is the template's own, what stands here besides is the contents'.
        """
        order = sorted(self.contents, key=lambda number: self.contents[number])
        if order != sorted(trimmed.contents, key=lambda number: trimmed.contents[number]):
            return False
        wide = {number: list(span) for number, span in self.contents.items()}
        for left, right in zip([None, *order], [*order, None], strict=True):
            mine, own = self._between(left, right), trimmed._between(left, right)
            tail = told[left][len(told[left].rstrip()) :] if left is not None else ""
            lead = told[right][: len(told[right]) - len(told[right].lstrip())] if right is not None else ""
            kept = [(t, h) for t in (tail, "") for h in (lead, "") if mine == t + own + h]
            if not kept:
                return False
            if left is not None:
                wide[left][1] += len(kept[0][0])
            if right is not None:
                wide[right][0] -= len(kept[0][1])
        self.contents = {number: (start, end) for number, (start, end) in wide.items()}
        return True

    def _between(self, left: int | None, right: int | None) -> str:
        start = 0 if left is None else self.contents[left][1]
        end = len(self.text) if right is None else self.contents[right][0]
        return self.text[start:end]


def _marked(number: int, content: str) -> str:
    """A content between its marks; white space stays outside, a blank content stays as it is."""
    core = content.strip()
    if not core:
        return content
    at = content.index(core)
    opening, closing = f"{_OPEN[0]}{number}{_OPEN[1]}", f"{_CLOSE[0]}{number}{_CLOSE[1]}"
    return f"{content[:at]}{opening}{core}{closing}{content[at + len(core) :]}"


def _unread(value: Any) -> None:
    """Look into every text of a value, so that a stand-in among them is heard."""
    if isinstance(value, str):
        len(value)
    elif isinstance(value, dict):
        for one in value.values():
            _unread(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _unread(one)


def _after(borders: Sequence[int], place: int) -> int | None:
    return next((border for border in borders if border >= place), None)


def _found_contents(text: str, turns: Sequence[Message]) -> list[Span]:
    """Contents as they are found in the text, one after the other; one that was rewritten isn't there."""
    spans, at = [], 0
    for turn in turns:
        core = turn.content.strip()
        place = text.find(core, at) if core else -1
        if place >= 0:
            at = place + len(core)
            spans.append((place, at))
    return spans


def _compiled(source: str) -> tuple[JinjaTemplate, Any]:
    """The template, and its syntax tree.

    Compiled as transformers does: sandboxed, block lines trimmed, with `raise_exception` and `tojson`.
    `strftime_now` is left out: a text must not depend on the day; templates that know it have a fixed date instead.
    """
    from jinja2 import TemplateError, TemplateSyntaxError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} ... {% endgeneration %}: between two marks while `_marking` is set."""

        tags = {"generation"}  # noqa: RUF012 - jinja's own way to declare it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            call = self.call_method("mark", [nodes.Name("_marking", "load")])
            return nodes.CallBlock(call, [], [], body).set_lineno(line)

        def mark(self, marking: Any, caller: Any) -> str:
            return f"{_BEGIN}{caller()}{_END}" if marking else str(caller())

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None, **_: Any) -> str:
        _unread(value)
        return json.dumps(value, ensure_ascii=False, indent=indent)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    try:
        return env.from_string(source), env.parse(source)
    except TemplateSyntaxError as error:
        raise ConfigError(
            (Problem("template", f"the chat template has a mistake in line {error.lineno}", str(error.message)),)
        ) from error
