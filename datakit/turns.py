"""What a turn has besides role and content: tool calls, names, and how its file spelled it; one JSON object as text.

    {"tool_calls": [...]}                         what an assistant asks of a tool, as OpenAI writes it
    {"tool_call_id": "...", "name": "..."}        whom a tool answers
    {"@role": "developer", "@null": true}         names with @: the spelling of the file, kept so that the row can be
                                                  written as it came; templates never see them

The texts inside (arguments of calls) are texts of people like any content: stages that rewrite texts get them too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def packed(extra: dict[str, Any]) -> str | None:
    """The object as text with one stable spelling; None for an empty one."""
    return json.dumps(extra, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if extra else None


def opened(more: str | None) -> dict[str, Any]:
    """The object of a turn."""
    return dict(json.loads(more)) if more else {}


def visible(more: str | None) -> dict[str, Any]:
    """What a chat template may see of it: arguments of calls as objects, as templates expect them."""
    found = {name: value for name, value in opened(more).items() if not name.startswith("@")}
    if "tool_calls" in found:
        found["tool_calls"] = [_with_object(call) for call in found["tool_calls"] or ()]
    return found


def calls(more: str | None) -> bool:
    """Whether the turn calls a tool."""
    return bool(more) and bool(opened(more).get("tool_calls"))


def texts_within(more: str | None) -> list[str]:
    """The texts of the object, in order."""
    return list(_texts(opened(more)))


def with_texts(more: str | None, texts: Iterator[str]) -> str | None:
    """The object with other texts in their places."""
    return packed(_replaced(opened(more), texts))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name in sorted(value):
            if not name.startswith("@"):
                yield from _texts(value[name])


def _replaced(value: Any, texts: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, list):
        return [_replaced(one, texts) for one in value]
    if isinstance(value, dict):
        return {name: value[name] if name.startswith("@") else _replaced(value[name], texts) for name in sorted(value)}
    return value


def _with_object(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}}
