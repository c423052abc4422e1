"""Reading what teachers write: numbered lists, task blocks, instances. Tolerant of form, never of guesses.

Whatever can be read is salvaged, whatever can't is left out; nothing here raises. Labels are known in Korean and
English and by several names, with or without Markdown; numbers may skip or repeat (the published prompt counts
`1 2 3 2 3 …`); a block ends where the next instruction begins, not at `###`, which is a heading in many an answer. A
reply that was cut off loses its last piece, which may be half.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datakit.teachers.structured import parse_json

_LABELS = {
    "instruction": r"instruction|task|지시(?:문|사항)?|과제|명령",
    "input": r"input|입력(?:문|값)?",
    "output": r"output|answer|response|출력(?:문|값)?|답변?|응답",
    "label": r"class\s*label|label|정답|레이블|분류",
}
_NAMES = "|".join(f"(?P<{name}>{words})" for name, words in _LABELS.items())
LABEL = re.compile(
    rf"(?im)^[ \t#>*_-]*(?:(?:\d+|example[ \t]*\d*"
    rf"|예시?[ \t]*\d*)[ \t]*[.):][ \t]*)?[*_]*(?:{_NAMES})[ \t]*\d*[*_]*[ \t]*[:：][*_]*"
)
NUMBER = re.compile(r"(?m)^[ \t#>*-]*(\d{1,3})[ \t]*[.):][*_ \t]+")
NO_INPUT = re.compile(
    r"(?i)[\[\(<{]?\s*(?:no[ _-]?input|none|n/?a|not applicable|입력\s*없음|없음|해당\s*없음"
    r"|입력이?\s*필요\s*없[음다습니]*)\s*[\]\)>}]?\s*\.?"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A task as a teacher wrote it; what is missing is ""."""

    instruction: str = ""
    input: str = ""
    output: str = ""


def numbered(reply: str, cut: bool) -> list[str]:
    """The entries of a numbered list, white space collapsed; without the last one if the reply was `cut` off.

    Text before the first number is the continuation of the number that the prompt ended with.
    """
    starts = list(NUMBER.finditer(reply))
    edges = [mark.start() for mark in starts] + [len(reply)]
    pieces = [reply[: edges[0]]] if not _is_preamble(reply[: edges[0]], bool(starts)) else []
    pieces += [reply[mark.end() : end] for mark, end in zip(starts, edges[1:], strict=True)]
    entries = [" ".join(piece.split()).strip("*_ ") for piece in pieces]
    return [entry for entry in (entries[:-1] if cut else entries) if entry]


def blocks(reply: str, cut: bool) -> list[Written]:
    """The tasks of a list of `Instruction / Input / Output` blocks; the prompt may have written the first label."""
    written: list[dict[str, str]] = []
    for name, text in _labelled("Instruction: " + reply if not _begins_labelled(reply) else reply):
        if name == "instruction" or not written:
            written.append({})
        if name != "label" and name not in written[-1]:
            written[-1][name] = text
    found = [
        Written(
            " ".join(one.get("instruction", "").split()), without_marker(one.get("input", "")), one.get("output", "")
        )
        for one in written
    ]
    return found[:-1] if cut else found


def instance(reply: str, instruction: str, cut: bool) -> Written:
    """One instance of a known task: `Input: … Output: …` in either order, or the output alone."""
    parts: dict[str, str] = {}
    for name, text in _labelled(reply):
        parts.setdefault({"label": "output"}.get(name, name), text)
    if cut and parts:
        parts[list(parts)[-1]] = ""
    if "output" not in parts and "input" not in parts:
        parts = {"output": "" if cut else reply.strip()}
    return Written(instruction, without_marker(parts.get("input", "")), parts.get("output", ""))


def says_yes(reply: str) -> bool:
    """Whether a reply to a yes-or-no question says yes, in Korean or English, whatever stands around it."""
    return bool(re.match(r"\W*(?:yes|예|네|그렇|맞)", reply.strip(), re.IGNORECASE))


def without_marker(text: str) -> str:
    """An input, or "" where a teacher says in one of many spellings that there is none."""
    return "" if NO_INPUT.fullmatch(text.strip()) else text.strip()


def _labelled(reply: str) -> list[tuple[str, str]]:
    marks = list(LABEL.finditer(reply))
    edges = [*[mark.start() for mark in marks], len(reply)][1:]
    pairs = []
    for mark, end in zip(marks, edges, strict=True):
        name = next(name for name in _LABELS if mark[name] is not None)
        text = re.sub(r"\n[ \t]*(?:#{2,}|-{3,}|\*{3,})[ \t]*(?:\d+\.)?[ \t]*$", "", reply[mark.end() : end].rstrip())
        pairs.append((name, text.strip()))
    return pairs


def _begins_labelled(reply: str) -> bool:
    first = LABEL.search(reply)
    return first is not None and (first["instruction"] is not None or not reply[: first.start()].strip())


def _is_preamble(text: str, has_list: bool) -> bool:
    """Whether the text before a list is talk (`Here are …:`) or nothing."""
    bare = text.strip()
    return not bare or (has_list and bare.endswith((":", "："))) or bare.startswith("```")


def records(reply: str, required: Sequence[str]) -> list[dict[str, Any]]:
    """The JSON objects of a reply that have the `required` fields, in order, however deep they lie in one another; of a
    reply that breaks off, those that are there."""
    return list(_with_fields(parse_json(reply).value, required))


def said(record: dict[str, Any], name: str) -> str:
    """A field of a record as text, trimmed; numbers as they are written, "" for anything else."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _with_fields(value: Any, required: Sequence[str]) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if all(name in value for name in required):
            yield value
        else:
            for inner in value.values():
                yield from _with_fields(inner, required)
    elif isinstance(value, list):
        for inner in value:
            yield from _with_fields(inner, required)
