"""What a file's rows mean: documents, or instruction rows in Alpaca, ShareGPT or messages form.

    document   {text}                                                       the text
    alpaca     {instruction, input?, output, system?}                       user: instruction, a blank line, input
    sharegpt   {conversations: [{from, value}], system?, tools?}            human -> user, gpt -> assistant, ...
    messages   {messages: [{role, content, weight?}], tools?}               as it stands
               {prompt?, chosen: [...], rejected: [...]}                    preference rows: messages is the prompt

Every other column travels as `source.<column>`; Alpaca's instruction and input do too, since a template needs them
apart. A row that does not fit its form is a drop: `no_text` (nothing to learn from) or `bad_turns`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from datakit.canon import canonical
from datakit.errors import SourceError
from datakit.outcome import Drop

Form = Literal["document", "alpaca", "sharegpt", "messages"]
ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
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
ALPACA = ("instruction", "input", "output", "system")
HINTS = (("alpaca", {"instruction", "output"}), ("sharegpt", {"conversations"}), ("messages", {"messages"}))
PLAIN_NAME = re.compile(r"^[\w .:/-]{1,40}$")

Turn = dict[str, Any]


@dataclass(slots=True)
class Body:
    """The rows of a file in a form's own columns: `values[i]` is a dict of core columns, or a Drop."""

    values: list[Any]
    contents: Sequence[str | bytes | None]
    """What the id of a row is made of; None for drops."""
    used: set[str]
    """Columns of the file that are in `values` and need not travel as extra columns."""
    extra: dict[str, list[Any]] = field(default_factory=dict)


def as_documents(columns: Mapping[str, list[Any]], names: Mapping[str, str]) -> Body:
    """Rows with one text."""
    texts = columns[names["text"]]
    values = [text if type(text) is str and text else _text_or_drop(text) for text in texts]
    return Body(values, [None if isinstance(value, Drop) else value for value in values], {names["text"]})


def as_alpaca(columns: Mapping[str, list[Any]], names: Mapping[str, str]) -> Body:
    """Instruction, input, output."""
    rows = len(next(iter(columns.values()), []))
    empty: list[Any] = [None] * rows
    parts = [columns.get(names.get(part, part), empty) for part in ALPACA]
    values: list[Any] = []
    told: dict[str, list[Any]] = {"instruction": [], "input": []}
    for asked, given, answer, system in zip(*parts, strict=True):
        instruction, context, output = _spelled(asked), _spelled(given), _spelled(answer)
        told["instruction"].append(instruction)
        told["input"].append(context)
        if not instruction.strip() or not output.strip():
            values.append(Drop("no_text", "output" if instruction.strip() else "instruction"))
            continue
        turns = [_turn("system", _spelled(system))] if _spelled(system) else []
        question = f"{instruction}\n\n{context}" if context.strip() else instruction
        values.append({"messages": [*turns, _turn("user", question), _turn("assistant", output)]})
    return _body(values, {names.get(part, part) for part in ALPACA}, told)


def as_sharegpt(columns: Mapping[str, list[Any]], names: Mapping[str, str]) -> Body:
    """Conversations of {from, value}."""
    used = {"conversations", "system", "tools"}
    return _body([_sharegpt_row(row) for row in _by_row(columns, used)], used)


def as_messages(columns: Mapping[str, list[Any]], names: Mapping[str, str]) -> Body:
    """Messages of {role, content, weight}, or preference rows."""
    used = {"messages", "prompt", "chosen", "rejected", "tools"}
    return _body([_messages_row(row) for row in _by_row(columns, used)], used)


FORMS: dict[str, Callable[[Mapping[str, list[Any]], Mapping[str, str]], Body]] = {
    "document": as_documents,
    "alpaca": as_alpaca,
    "sharegpt": as_sharegpt,
    "messages": as_messages,
}


def wanted(form: Form, names: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The columns a form needs: one of the given sets must be there."""
    if form == "document":
        return ((names["text"],),)
    if form == "alpaca":
        return (tuple(names.get(part, part) for part in ("instruction", "output")),)
    return (("conversations",),) if form == "sharegpt" else (("messages",), ("chosen", "rejected"))


def check_columns(form: Form, names: Mapping[str, str], found: Sequence[str], where: str) -> None:
    """SourceError unless the columns of a file can hold the form; says which were found and what to set."""
    choices = wanted(form, names)
    if any(set(choice) <= set(found) for choice in choices):
        return
    missing = next(name for name in choices[0] if name not in found)
    hint = next((other for other, marks in HINTS if marks <= set(found) and other != form), None)
    near = difflib.get_close_matches(missing.lower(), [name.lower() for name in found], n=1, cutoff=0.5)
    setting = "`text`" if form == "document" else "`columns`" if form == "alpaca" else "`form`"
    if hint:
        fix = f"these are instruction rows: add `form: {hint}`"
    elif len(found) == 1 and re.search(r"[;\t|]", found[0]):
        fix = "the cells seem to be parted by another character: set `delimiter`"
    else:
        nearest = next((name for name in found if near and name.lower() == near[0]), None)
        fix = f"did you mean {nearest!r}? set {setting}" if nearest else f"name the right column with {setting}"
    raise SourceError(f"no column {missing!r}; the file has {_listed(found)}", where=where, fix=fix)


def _listed(found: Sequence[str]) -> str:
    """Column names for a message. A file without header line shows text there, which no message may repeat."""
    # Five digits in a row or an @ are no part of a name that a person gives to a column.
    plain = [name for name in found if PLAIN_NAME.match(name) and not re.search(r"\d{5}|\d{3}-\d{3}", name)]
    if len(plain) < len(found):
        return f"{len(found)} columns, some with names like text: does its first line name the columns?"
    return (", ".join(plain[:12]) + (", ..." if len(plain) > 12 else "")) or "no columns"


def _text_or_drop(value: Any) -> str | Drop:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        return Drop("no_text", "empty" if value == "" else "null")
    return Drop("no_text", type(value).__name__)


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _turn(role: str, content: str, weight: float | None = None) -> Turn:
    return {"role": role, "content": content, "weight": weight}


def _by_row(columns: Mapping[str, list[Any]], used: set[str]) -> list[dict[str, Any]]:
    here = [name for name in columns if name in used]
    return [dict(zip(here, row, strict=True)) for row in zip(*(columns[name] for name in here), strict=True)]


def _body(values: list[Any], used: set[str], extra: dict[str, list[Any]] | None = None) -> Body:
    contents = [None if isinstance(value, Drop) else canonical(value) for value in values]
    return Body(values, contents, used, extra or {})


def _sharegpt_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    turns = _turns(row.get("conversations"), "from", "value")
    if isinstance(turns, Drop):
        return turns
    if system := _spelled(row.get("system")):
        turns = [_turn("system", system), *turns]
    return _with_tools({"messages": turns}, row)


def _messages_row(row: dict[str, Any]) -> dict[str, Any] | Drop:
    value: dict[str, Any] = {}
    if row.get("chosen") is not None and row.get("rejected") is not None:
        prompt = row.get("messages") or row.get("prompt") or []
        answers = [_as_turns(row[name], "assistant") for name in ("chosen", "rejected")]
        parts = [_as_turns(prompt, "user"), *answers]
        for part in parts:
            if isinstance(part, Drop):
                return part
        value = _preference(*parts)
    else:
        turns = _turns(row.get("messages"), "role", "content")
        if isinstance(turns, Drop):
            return turns
        value = {"messages": turns}
    return _with_tools(value, row)


def _preference(prompt: Any, chosen: Any, rejected: Any) -> dict[str, Any]:
    """Prompt and answers apart, as TRL has them: where both answers repeat the prompt, it is taken off."""
    same = 0
    while same < min(len(chosen), len(rejected)) - 1 and chosen[same] == rejected[same]:
        same += 1
    if not prompt or chosen[:same] == prompt:
        prompt, chosen, rejected = chosen[:same], chosen[same:], rejected[same:]
    return {"messages": prompt, "chosen": chosen, "rejected": rejected}


def _with_tools(value: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    tools = row.get("tools")
    if tools:
        value["tools"] = tools if isinstance(tools, str) else canonical(tools).decode()
    return value


def _as_turns(value: Any, role: str) -> list[Turn] | Drop:
    """Turns, also from a plain string; an empty prompt is fine."""
    if isinstance(value, str):
        return [_turn(role, value)] if value else []
    return _turns(value, "role", "content") if value else []


def _turns(value: Any, who: str, what: str) -> list[Turn] | Drop:
    """A list of turns in our roles, or why the row can't be one."""
    if not isinstance(value, list) or not value:
        return Drop("no_text", "null" if value is None else "empty" if value == [] else type(value).__name__)
    turns = []
    for place, turn in enumerate(value, start=1):
        if not isinstance(turn, dict):
            return Drop("bad_turns", f"turn {place}: no object")
        # Files mix the two spellings; the keys are distinct, so either is taken.
        role, content = turn.get(who, turn.get("role", turn.get("from"))), turn.get(what)
        content = turn.get("content", turn.get("value")) if content is None else content
        text = _content(content)
        if str(role).lower() not in ROLES:
            return Drop("bad_turns", f"turn {place}: unknown role")
        if text is None:
            return Drop("bad_turns", f"turn {place}: no text")
        weight = turn.get("weight")
        turns.append(_turn(ROLES[str(role).lower()], text, float(weight) if isinstance(weight, int | float) else None))
    return turns


def _content(content: Any) -> str | None:
    """The text of a turn: a string, or OpenAI's list of parts if all of them are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [part.get("text") if isinstance(part, dict) else None for part in content]
    whole = [text for text in texts if isinstance(text, str)]
    return "".join(whole) if len(whole) == len(texts) else None
