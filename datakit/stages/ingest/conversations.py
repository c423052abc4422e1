"""Conversations of files as turns: five ways to write them, and what of each way is kept to write it again.

A turn becomes {role, content, weight}, and `more` where it had more than that. Names with @ in there say how it stood:

    @role     another spelling of its role            @keys       `from` and `value` among `role` and `content`, or back
    @null     its content was null, or (false) absent @parts      its content was a list of texts of these lengths
    @column   a system message from its own column    @as         it was a text, or a turn outside a list
    @completion   the first turn of the completion    @prompt     both answers repeated the prompt (`both`: a prompt
    @tools    `tools` was a text                                  column had it, too)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from datakit.canon import canonical
from datakit.outcome import Drop
from datakit.turns import opened, packed

Turn = dict[str, Any]
ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "function_call": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
SHAREGPT_ROLES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
"""How ShareGPT calls our roles; another spelling is kept in a turn's `more`."""


def spelled(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def turn_of(role: str, content: str, weight: float | None = None, more: Mapping[str, Any] | None = None) -> Turn:
    turn = {"role": role, "content": content, "weight": weight}
    return {**turn, "more": packed(dict(more))} if more else turn


def _sharegpt_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    turns = _turns(row.get("conversations"), SHAREGPT_ROLES)
    if isinstance(turns, Drop):
        return turns
    if system := spelled(row.get("system")):
        turns = [turn_of("system", system, None, {"@column": "system"}), *turns]
    return _with_tools({"messages": turns}, row)


def _messages_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    turns = _turns(row.get("messages"))
    return turns if isinstance(turns, Drop) else _with_tools({"messages": turns}, row)


def _completion_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    asked, answer = _as_turns(row.get("prompt"), "user"), _as_turns(row.get("completion"), "assistant")
    if isinstance(asked, Drop):
        return asked
    if isinstance(answer, Drop):
        return answer
    if not answer:
        return Drop("no_text", "completion")
    return _with_tools({"messages": [*asked, _marked(answer[0], "@completion", True), *answer[1:]]}, row)


def _preference_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    parts = [_as_turns(row.get("prompt"), "user")]
    parts += [_as_turns(row.get(name), "assistant") for name in ("chosen", "rejected")]
    for part in parts:
        if isinstance(part, Drop):
            return part
    if not parts[1] or not parts[2]:
        return Drop("no_text", "rejected" if parts[1] else "chosen")
    return _with_tools(_preference(*parts), row)


def _preference(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    """Prompt and answers apart, as TRL has them: where both answers repeat the prompt, it is taken off."""
    same = 0
    while same < min(len(chosen), len(rejected)) - 1 and chosen[same] == rejected[same]:
        same += 1
    if same and (not prompt or (same >= len(prompt) and chosen[: len(prompt)] == prompt)):
        where = "both" if prompt else "answers"
        same = len(prompt) or same
        prompt, chosen, rejected = chosen[:same], chosen[same:], rejected[same:]
        chosen = [_marked(chosen[0], "@prompt", where), *chosen[1:]]
    return {"messages": prompt, "chosen": chosen, "rejected": rejected}


def _with_tools(value: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    tools = row.get("tools")
    if not tools:
        return value
    if isinstance(tools, str):
        name = "messages" if value["messages"] else "chosen"
        value[name] = [_marked(value[name][0], "@tools", "text"), *value[name][1:]]
    value["tools"] = tools if isinstance(tools, str) else canonical(tools).decode()
    return value


def _marked(turn: Turn, name: str, value: Any) -> Turn:
    """A turn with one more thing in its `more`."""
    return {**turn, "more": packed({**opened(turn.get("more")), name: value})}


def _as_turns(value: Any, role: str) -> list[Turn] | Drop:
    """Turns: of a list, of one turn by itself (LLaMA-Factory), or of a plain text; an empty prompt is fine."""
    if isinstance(value, str):
        return [turn_of(role, value, None, {"@as": "text"})] if value else []
    if isinstance(value, dict):
        turns = _turns([value])
        return turns if isinstance(turns, Drop) else [_marked(turns[0], "@as", "turn")]
    return _turns(value) if value else []


def _turns(value: Any, spelling: Mapping[str, str] | None = None) -> list[Turn] | Drop:
    """A list of turns in our roles, or why the row can't be one."""
    if not isinstance(value, list) or not value:
        return Drop("no_text", "null" if value is None else "empty" if value == [] else type(value).__name__)
    turns: list[Turn] = []
    for place, turn in enumerate(value, start=1):
        if not isinstance(turn, dict):
            return Drop("bad_turns", f"turn {place}: no object")
        one = _one_turn(turn, spelling)
        if isinstance(one, str):
            return Drop("bad_turns", f"turn {place}: {one}")
        turns.append(one)
    return turns


def _one_turn(turn: dict[str, Any], spelling: Mapping[str, str] | None) -> Turn | str:
    """One turn, or what is wrong with it. Files mix `role` and `from`, `content` and `value`; either is taken."""
    who = "role" if turn.get("role") is not None else "from"
    what = "content" if turn.get("content") is not None or "value" not in turn else "value"
    told, weight = str(turn.get(who)), turn.get("weight")
    role = ROLES.get(told.lower())
    if role is None:
        return "unknown role"
    weighed = isinstance(weight, int | float)
    known = {who, what, "weight"} if weighed else {who, what}
    more = {name: item for name, item in turn.items() if name not in known and item is not None}
    content = turn.get(what)
    text = _content(content)
    if text is None:
        if content is not None or not turn.get("tool_calls"):
            return "no text"
        text = ""
        more["@null"] = what in turn
    if isinstance(content, list):
        more["@parts"] = [len(part["text"]) for part in content]
    if told != (spelling or {}).get(role, role):
        more["@role"] = told
    if (who, what) != (("from", "value") if spelling else ("role", "content")):
        more["@keys"] = [who, what]
    return turn_of(role, text, float(weight) if isinstance(weight, int | float) else None, more)


def _content(content: Any) -> str | None:
    """The text of a turn: a string, or OpenAI's list of parts if all of them are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    whole = [text for text in texts if isinstance(text, str)]
    return "".join(whole) if len(whole) == len(texts) else None


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any] | Drop]] = {
    "sharegpt": _sharegpt_row,
    "messages": _messages_row,
    "completion": _completion_row,
    "preference": _preference_row,
}
"""Form -> what reads one row of it, given by its parts' names."""
