"""Seed tasks: what people wrote, in the JSON lines of Self-Instruct, Korean and English.

A broken line is an error with its number: seeds are few and written by hand. A repeated task or id is told and passed
over, since it would only be shown twice as often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.errors import SourceError
from datakit.stages.synthesize.parse import Written

FORM = "a line is {instruction, instances: [{input, output}]}, and better also id, language, is_classification"


@dataclass(frozen=True, slots=True)
class Seed:
    """A task that somebody wrote."""

    id: str
    language: str
    task: Written
    is_classification: bool = False


def read_seeds(path: str, tell: Callable[[str], None] = lambda text: None) -> list[Seed]:
    """Seed tasks of a file, in order; `tell` hears how many repeats were passed over."""
    seeds: dict[str, Seed] = {}
    instructions: set[tuple[str, str]] = set()
    repeats = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            seed = _seed(json.loads(line), number)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise SourceError("a seed task can't be read", where=f"{path}:{number}", fix=FORM) from error
        said = (seed.task.instruction.casefold(), seed.task.input)
        if seed.id in seeds or said in instructions:
            repeats += 1
            continue
        seeds[seed.id] = seed
        instructions.add(said)
    if repeats:
        tell(f"warning: {path}: {repeats} seed tasks repeat an id or a task and are passed over")
    return list(seeds.values())


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("the seed tasks can't be read", where=path, fix="give a UTF-8 JSONL file") from error


def _seed(row: dict[str, Any], number: int) -> Seed:
    first = row["instances"][0]
    text = str(row["instruction"])
    if not text.strip() or not str(first["output"]).strip():
        raise ValueError("an empty task")
    language = row.get("language") or ("ko" if any("가" <= character <= "힣" for character in text) else "en")
    task = Written(" ".join(text.split()), str(first.get("input") or ""), str(first["output"]))
    return Seed(str(row.get("id") or f"seed-{number}"), language, task, bool(row.get("is_classification")))
