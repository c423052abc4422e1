"""What a file's rows mean: documents, or instruction rows in one of five forms.

    document    {text}                                                      the text
    alpaca      {instruction, input?, output, system?}                      user: instruction, a blank line, input
    sharegpt    {conversations: [{from, value}], system?, tools?}           human -> user, gpt -> assistant, ...
    messages    {messages: [{role, content, weight?, tool_calls? ...}], tools?}
    completion  {prompt, completion, tools?}                                texts, or lists of messages
    preference  {prompt?, chosen, rejected, tools?}                         the same; messages is the prompt

Nothing is lost: `export` with the same `form` writes the rows as they came. What has no column of its own (tool calls,
other spellings of a role, a content that was a list or null) travels in a turn's `more` (datakit/turns.py), every other
column as `source.<column>`; Alpaca's instruction and input do too, since a template needs them apart. A key whose value
is null counts as absent. A row that does not fit its form is a drop: `no_text` (nothing to learn from) or `bad_turns`.

`form: auto` reads instruction rows by the names of each file's columns, and says so; names that fit two forms, or none,
are an error that names the setting.
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
from datakit.stages.ingest.conversations import READERS, spelled, turn_of

Form = Literal["document", "alpaca", "sharegpt", "messages", "completion", "preference", "auto"]
PARTS: dict[str, tuple[str, ...]] = {
    "document": (),
    "alpaca": ("instruction", "input", "output", "system"),
    "sharegpt": ("conversations", "system", "tools"),
    "messages": ("messages", "tools"),
    "completion": ("prompt", "completion", "tools"),
    "preference": ("prompt", "chosen", "rejected", "tools"),
}
"""The columns of each form; `columns` may give them other names."""
NEEDED = {
    "alpaca": ("instruction", "output"),
    "sharegpt": ("conversations",),
    "messages": ("messages",),
    "completion": ("prompt", "completion"),
    "preference": ("chosen", "rejected"),
}
PLAIN_NAME = re.compile(r"^[\w .:/-]{1,40}$")


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
    parts = [columns.get(names.get(part, part), empty) for part in PARTS["alpaca"]]
    values: list[Any] = []
    told: dict[str, list[Any]] = {"instruction": [], "input": []}
    for asked, given, answer, system in zip(*parts, strict=True):
        instruction, context, output = spelled(asked), spelled(given), spelled(answer)
        told["instruction"].append(instruction)
        told["input"].append(context if given is not None else None)
        if not instruction.strip() or not output.strip():
            values.append(Drop("no_text", "output" if instruction.strip() else "instruction"))
            continue
        turns = [turn_of("system", spelled(system))] if spelled(system) else []
        question = f"{instruction}\n\n{context}" if context.strip() else instruction
        values.append({"messages": [*turns, turn_of("user", question), turn_of("assistant", output)]})
    return _body(values, {names.get(part, part) for part in PARTS["alpaca"]}, told)


def as_rows_of(form: str) -> Callable[[Mapping[str, list[Any]], Mapping[str, str]], Body]:
    """The reader of a form whose rows are read one by one."""
    one = READERS[form]

    def as_form(columns: Mapping[str, list[Any]], names: Mapping[str, str]) -> Body:
        own = {names.get(part, part): part for part in PARTS[form]}
        here = [name for name in columns if name in own]
        rows = zip(*(columns[name] for name in here), strict=True)
        values = [one({own[name]: value for name, value in zip(here, row, strict=True)}) for row in rows]
        return _body(values, set(own))

    return as_form


FORMS: dict[str, Callable[[Mapping[str, list[Any]], Mapping[str, str]], Body]] = {
    "document": as_documents,
    "alpaca": as_alpaca,
    **{form: as_rows_of(form) for form in READERS},
}


def form_of(names: Mapping[str, str], found: Sequence[str], where: str) -> str:
    """The form that a file's columns show; SourceError if they show none, or more than one."""
    fitting = [form for form, parts in NEEDED.items() if {names.get(part, part) for part in parts} <= set(found)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        told = " and ".join(fitting)
        raise SourceError(f"its columns fit the forms {told}", where=where, fix="say which with `form`")
    fix = "name its columns with `columns`, or say `form: document` if its rows are texts"
    raise SourceError(f"its columns ({_listed(found)}) fit no form of instruction rows", where=where, fix=fix)


def check_columns(form: str, names: Mapping[str, str], found: Sequence[str], where: str) -> None:
    """SourceError unless the columns of a file can hold the form; says which were found and what to set."""
    needed = [names["text"]] if form == "document" else [names.get(part, part) for part in NEEDED[form]]
    if set(needed) <= set(found):
        return
    missing = next(name for name in needed if name not in found)
    hint = next((other for other, marks in NEEDED.items() if set(marks) <= set(found) and other != form), None)
    near = difflib.get_close_matches(missing.lower(), [name.lower() for name in found], n=1, cutoff=0.5)
    setting = "`text`" if form == "document" else "`columns`"
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


def _body(values: list[Any], used: set[str], extra: dict[str, list[Any]] | None = None) -> Body:
    contents = [None if isinstance(value, Drop) else canonical(value) for value in values]
    return Body(values, contents, used, extra or {})
