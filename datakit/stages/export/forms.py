"""Rows as the files of others write them: the inverse of ingest's forms, so that a file read in a form and written in
it comes out equal (key for key; a key whose value was null is left out).

    text        {text}: a document, or the text of a rendered example
    alpaca      {instruction, input?, output, system?}
    sharegpt    {conversations: [{from, value}], system?, tools?}
    messages    {messages: [{role, content, ...}], tools?}
    completion  {prompt, completion, tools?}
    preference  {prompt?, chosen, rejected, tools?}

Columns that came with the file follow under their own names. A row that the form can't hold is an error that names it:
an Alpaca row has one question and one answer, a preference row two answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.errors import StageError
from datakit.stage import Corpus, Shard
from datakit.turns import opened

if TYPE_CHECKING:
    import pyarrow as pa

SHAREGPT_ROLES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
_SOURCE = "source."
Turn = Mapping[str, Any]


def formed(table: pa.Table, form: str) -> pa.Table:
    """The rows of a table in a form; columns whose values can't share a type are JSON texts."""
    import pyarrow as pa

    rows = [as_form(row, form) for row in table.to_pylist()]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    if "split" in table.column_names:
        columns["split"] = table.column("split")
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class _FormedShard:
    """A shard whose rows are read in a form."""

    shard: Shard
    form: str

    def read(self) -> pa.Table:
        return formed(self.shard.read(), self.form)


class Formed:
    """A corpus whose rows are read in a form; what `export` looks at."""

    def __init__(self, corpus: Corpus, form: str) -> None:
        self.kind = corpus.kind
        self.shards = [_FormedShard(shard, form) for shard in corpus.shards]


def _column(values: Sequence[Any]) -> pa.Array:
    import orjson
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        told = [value if value is None or isinstance(value, str) else orjson.dumps(value).decode() for value in values]
        return pa.array(told, pa.large_string())


def as_form(row: Mapping[str, Any], form: str) -> dict[str, Any]:
    """One row in a form. StageError if the form can't hold it."""
    own = FORMS[form](row)
    known = {*own, "instruction", "input"} if form == "alpaca" else own
    others = {name.removeprefix(_SOURCE): value for name, value in row.items() if name.startswith(_SOURCE)}
    return own | {name: value for name, value in others.items() if value is not None and name not in known}


def _text(row: Mapping[str, Any]) -> dict[str, Any]:
    if row.get("text") is None:
        raise _unfit(row, "text", "it has no text", "put `template` before, or choose `form: messages`")
    return {"text": row["text"]}


def _alpaca(row: Mapping[str, Any]) -> dict[str, Any]:
    turns = row["messages"]
    roles = [turn["role"] for turn in turns]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise _unfit(row, "alpaca", f"it has {len(turns)} turns", "choose `form: messages`")
    found = {**_asked(row, turns[-2]["content"]), "output": turns[-1]["content"]}
    return {**found, "system": turns[0]["content"]} if roles[0] == "system" else found


def _asked(row: Mapping[str, Any], question: str) -> dict[str, Any]:
    """Instruction and input: cut where the row's source or the stage that made it cuts."""
    for stage in ("synthesize", "source"):
        instruction, given = row.get(f"{stage}.instruction"), row.get(f"{stage}.input")
        if instruction is None:
            continue
        if not (given or "").strip() and question == instruction:
            return {"instruction": instruction} if given is None else {"instruction": instruction, "input": given}
        if question == f"{instruction}\n\n{given}":
            return {"instruction": instruction, "input": given}
        # The message was rewritten since: its own words, cut where one of the two still stands.
        if given and question.startswith(f"{instruction}\n\n"):
            return {"instruction": instruction, "input": question[len(instruction) + 2 :]}
        if given and question.endswith(f"\n\n{given}"):
            return {"instruction": question[: -len(given) - 2], "input": given}
    return {"instruction": question}


def _sharegpt(row: Mapping[str, Any]) -> dict[str, Any]:
    turns, found = list(row["messages"]), {}
    if turns and opened(turns[0]["more"]).get("@column") == "system":
        found["system"] = turns.pop(0)["content"]
    told = [_spelled(turn, SHAREGPT_ROLES, ("from", "value")) for turn in turns]
    return {"conversations": told, **found, **_tools(row, row["messages"])}


def _messages(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [_spelled(turn) for turn in row["messages"]], **_tools(row, row["messages"])}


def _completion(row: Mapping[str, Any]) -> dict[str, Any]:
    turns = row["messages"]
    marks = [n for n, turn in enumerate(turns) if opened(turn["more"]).get("@completion")]
    ends = marks or [n for n, turn in enumerate(turns) if turn["role"] == "assistant"][-1:]
    if not ends:
        raise _unfit(row, "completion", "it has no answer", "choose `form: messages`")
    return {
        "prompt": _side(turns[: ends[0]]),
        "completion": _side(turns[ends[0] :]),
        **_tools(row, turns),
    }


def _preference(row: Mapping[str, Any]) -> dict[str, Any]:
    prompt, chosen, rejected = (list(row.get(name) or ()) for name in ("messages", "chosen", "rejected"))
    if not chosen or not rejected:
        raise _unfit(row, "preference", "it has no chosen and rejected answer", "choose `form: messages`")
    where = opened(chosen[0]["more"]).get("@prompt")
    both = [_side([*prompt, *answer] if where else answer) for answer in (chosen, rejected)]
    found = {"chosen": both[0], "rejected": both[1], **_tools(row, prompt or chosen)}
    return {"prompt": _side(prompt), **found} if prompt and where != "answers" else found


def _side(turns: Sequence[Turn]) -> Any:
    """A prompt or an answer as it stood: a text, one turn, or a list of turns."""
    how = opened(turns[0]["more"]).get("@as") if len(turns) == 1 else None
    if how == "text":
        return turns[0]["content"]
    told = [_spelled(turn) for turn in turns]
    return told[0] if how == "turn" else told


def _spelled(
    turn: Turn, roles: Mapping[str, str] | None = None, keys: tuple[str, str] = ("role", "content")
) -> dict[str, Any]:
    """A turn as its file spelled it."""
    more = opened(turn["more"])
    who, what = more.get("@keys", keys)
    found = {who: more.get("@role", (roles or {}).get(turn["role"], turn["role"]))}
    if sizes := more.get("@parts"):
        found[what] = _parts(turn["content"], sizes)
    elif turn["content"] or "@null" not in more:
        found[what] = turn["content"]
    elif more["@null"]:
        found[what] = None
    if turn.get("weight") is not None:
        found["weight"] = turn["weight"]
    return found | {name: value for name, value in more.items() if not name.startswith("@")}


def _parts(content: str, sizes: Sequence[int]) -> list[dict[str, str]]:
    """A content as a list of texts; one text if it was rewritten and the lengths no longer hold."""
    if sum(sizes) != len(content):
        sizes = [len(content)]
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [{"type": "text", "text": content[end - size : end]} for size, end in zip(sizes, ends, strict=True)]


def _tools(row: Mapping[str, Any], turns: Sequence[Turn]) -> dict[str, Any]:
    import orjson

    if not row.get("tools"):
        return {}
    as_text = bool(turns) and opened(turns[0]["more"]).get("@tools") == "text"
    return {"tools": row["tools"] if as_text else orjson.loads(row["tools"])}


def _unfit(row: Mapping[str, Any], form: str, why: str, fix: str) -> StageError:
    return StageError(f"a row can't be written in the form {form}: {why}", where=f"row {row.get('id')}", fix=fix)


FORMS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "text": _text,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "messages": _messages,
    "completion": _completion,
    "preference": _preference,
}
"""Form -> what writes one row in it."""
