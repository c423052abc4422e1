"""A teacher that replays recorded replies: pipelines run without a network and without a model, to the byte.

The file is JSON lines, each with `text` and, to say what it answers:

    purpose    `instructions`, `classify`, `instance`, `tasks` …   must equal the request's
    language   `ko`, `en`; absent: any                              must equal the request's
    when       a piece of the prompt                                must be in the last message
    default    true                                                 answers whatever nothing else answers
    finish_reason                                                   default `stop`
    tokens_in, tokens_out                                           what it cost when it was asked; default 0

A request takes the first line with a fitting `when`; else, of the plain lines, the one at the request's own number;
else the first `default`. So what a request gets depends on nothing but the request and the file. Where nothing is
recorded, the reply is empty and its finish_reason is `none`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datakit.errors import TeacherError
from datakit.teachers import Arrived, Reply, Request, TeacherSpec


class Replay:
    """Hands out the recorded replies of a file."""

    paid = False

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.path = Path(spec.model)
        self.lines = [
            _line(text, self.path, number) for number, text in enumerate(_texts(self.path), 1) if text.strip()
        ]

    def complete(self, requests: Sequence[Request], arrived: Arrived = lambda place, reply: None) -> list[Reply]:
        """Replies in the order of the requests."""
        replies = [self._find(request) for request in requests]
        for place, reply in enumerate(replies):
            arrived(place, reply)
        return replies

    def close(self) -> None:
        """Nothing is open."""

    def _find(self, request: Request) -> Reply:
        fitting = [
            line
            for line in self.lines
            if line.get("purpose", request.purpose) == request.purpose
            and line.get("language", request.language) == request.language
        ]
        prompt = request.messages[-1][1]
        named = next((line for line in fitting if line.get("when") and line["when"] in prompt), None)
        queue = [line for line in fitting if not line.get("when") and not line.get("default")]
        rest = next((line for line in fitting if line.get("default")), None)
        found = named or (queue[request.number] if request.number < len(queue) else rest)
        if found is None:
            return Reply("", "none")
        tokens = int(found.get("tokens_in", 0)), int(found.get("tokens_out", 0))
        return Reply(found["text"], found.get("finish_reason", "stop"), *tokens)


def _texts(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TeacherError(
            "the recorded replies can't be read", where=str(path), fix="give a UTF-8 JSONL file"
        ) from error


def _line(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if not isinstance(line, dict) or not isinstance(line.get("text"), str):
        raise TeacherError("a recorded reply has no `text`", where=f"{path}:{number}", fix="one JSON object a line")
    return line
