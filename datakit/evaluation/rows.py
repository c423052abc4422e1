"""Reads held-out rows: JSON lines, each with its line number in every error and never a word of its text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from datakit.errors import SourceError
from datakit.schemas import Message

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One held-out row: the conversation with its answer, and what it is filed under."""

    id: str
    messages: list[Message]
    groups: dict[str, str]

    @property
    def prompt(self) -> list[Message]:
        """The conversation without the answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """What the row says an answer looks like."""
        return self.messages[-1].content


def read_rows(path: str | Path) -> list[Row]:
    """Held-out rows from a JSONL file: {instruction, input, output} or {messages}, with optional language, category."""
    return read_lines(path, _row, "held-out rows", "--rows")


def read_lines(path: str | Path, made: Callable[[str, str], T], what: str, option: str) -> list[T]:
    """What `made` makes of each line and its place in a file; a SourceError if there is nothing in it."""
    fix = f"give {option} FILE.jsonl"
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise SourceError(f"no such file of {what}", where=str(path), fix=fix) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"the {what} are not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise SourceError(f"the {what} can't be read: {error.strerror}", where=str(path), fix=fix) from error
    found = [made(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise SourceError(f"no {what} in the file", where=str(path), fix=f"{fix} with some in it")
    return found


def _row(line: str, where: str) -> Row:
    try:
        data = json.loads(line)
        messages = _messages(data)
        whole = all(isinstance(turn.role, str) and isinstance(turn.content, str) for turn in messages)
        if not whole or len(messages) < 2 or messages[-1].role != "assistant":
            raise ValueError("no question and answer")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "each line needs instruction and output, or messages that end with the assistant's"
        raise SourceError("not a held-out row", where=where, fix=fix) from error
    groups = {name: str(data[name]) for name in ("language", "category") if data.get(name)}
    return Row(str(data.get("id", where)), messages, groups)


def _messages(data: Any) -> list[Message]:
    if "messages" in data:
        return [Message(turn["role"], turn["content"]) for turn in data["messages"]]
    given = data.get("input") or ""
    asked = f"{data['instruction']}\n\n{given}" if given else data["instruction"]
    return [Message("user", asked), Message("assistant", data["output"])]
