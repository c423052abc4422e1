"""Is the adapter better than its base on rows it never saw? Token-weighted loss, by language and category, and samples.

Loss is the negative log-likelihood (nats) a token over the answer only, with the prompt as the trainer's chat template
spells it. Compare losses of one tokenizer only.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.canon import canonical, digest_file, key_of
from datakit.errors import SourceError
from datakit.runner import ignore
from datakit.schemas import Message
from datakit.trainer import Event, Model, Report, Score
from datakit.training import adapter_in, open_adapter

EVALUATION = "evaluation.json"


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


def evaluate(
    adapter: str | Path,
    rows: str | Path,
    *,
    samples: int = 4,
    max_new_tokens: int = 64,
    cache: Path | None = None,
    report: Report = ignore,
) -> dict[str, Any]:
    """Compare an adapter with its base on held-out rows; kept in <adapter>/evaluation.json and reused while equal."""
    held_out = read_rows(rows)
    place = Path(adapter) / EVALUATION
    identity = {
        "rows": digest_file(rows),
        "adapter": key_of(adapter_in(adapter).files),
        "samples": samples,
        "max_new_tokens": max_new_tokens,
    }
    if (found := _kept(place)) and found.get("identity") == identity:
        return {**found, "adapter": str(adapter), "file": str(rows)}
    artifact, model = open_adapter(adapter, cache=cache)
    result = {
        "identity": identity,
        "adapter": str(adapter),
        "base": artifact.base,
        "dataset": artifact.dataset,
        "file": str(rows),
        **_losses(model, held_out, report),
        "samples": _samples(model, held_out, samples, max_new_tokens, report),
    }
    draft = place.with_suffix(".tmp")
    draft.write_bytes(canonical(result))
    draft.replace(place)
    return result


def _kept(place: Path) -> dict[str, Any] | None:
    """An evaluation that was written before, None if there is none that can be read."""
    try:
        found = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def read_rows(path: str | Path) -> list[Row]:
    """Held-out rows from a JSONL file: {instruction, input, output} or {messages}, with optional language, category."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise SourceError("no such file of held-out rows", where=str(path), fix="give --rows FILE.jsonl") from error
    except UnicodeDecodeError as error:
        raise SourceError("the held-out rows are not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        message = f"the held-out rows can't be read: {error.strerror}"
        raise SourceError(message, where=str(path), fix="give --rows FILE.jsonl") from error
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise SourceError("no held-out rows in the file", where=str(path), fix="give --rows FILE.jsonl with some rows")
    return rows


def _row(line: str, where: str) -> Row:
    try:
        data = json.loads(line)
        if "messages" in data:
            messages = [Message(turn["role"], turn["content"]) for turn in data["messages"]]
        else:
            given = data.get("input") or ""
            asked = f"{data['instruction']}\n\n{given}" if given else data["instruction"]
            messages = [Message("user", asked), Message("assistant", data["output"])]
        whole = all(isinstance(turn.role, str) and isinstance(turn.content, str) for turn in messages)
        if not whole or len(messages) < 2 or messages[-1].role != "assistant":
            raise ValueError("no question and answer")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "each line needs instruction and output, or messages that end with the assistant's"
        raise SourceError("not a held-out row", where=where, fix=fix) from error
    groups = {name: str(data[name]) for name in ("language", "category") if data.get(name)}
    return Row(str(data.get("id", where)), messages, groups)


def _losses(model: Model, rows: Sequence[Row], report: Report) -> dict[str, Any]:
    conversations = [row.messages for row in rows]
    report(Event("evaluate base", 0, 1))
    base = model.score(conversations, adapter=False)
    report(Event("evaluate base", 1, 1))
    report(Event("evaluate adapter", 0, 1))
    tuned = model.score(conversations)
    report(Event("evaluate adapter", 1, 1))
    by: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        for group, value in row.groups.items():
            by[group][value].append(place)
    everything = list(range(len(rows)))
    return {
        **_compare(base, tuned, everything),
        **{f"by_{g}": {v: _compare(base, tuned, at) for v, at in sorted(m.items())} for g, m in sorted(by.items())},
    }


def _compare(base: Sequence[Score], tuned: Sequence[Score], places: Sequence[int]) -> dict[str, Any]:
    tokens = sum(base[i].tokens for i in places)
    before = sum(base[i].nll for i in places) / max(1, tokens)
    after = sum(tuned[i].nll for i in places) / max(1, tokens)
    change = (after - before) / before if before else 0.0
    figures = {"base_loss": before, "adapter_loss": after, "change": change}
    return {"count": len(places), "tokens": tokens, **{name: round(value, 4) for name, value in figures.items()}}


def _samples(model: Model, rows: Sequence[Row], count: int, longest: int, report: Report) -> list[dict[str, str]]:
    """Answers of base and adapter to evenly spaced rows, beside the reference."""
    if not count or not rows:
        return []
    picked = [rows[place * len(rows) // count] for place in range(min(count, len(rows)))]
    prompts = [row.prompt for row in picked]
    report(Event("generate samples", 0, 2))
    before = model.generate(prompts, max_new_tokens=longest, adapter=False)
    report(Event("generate samples", 1, 2))
    after = model.generate(prompts, max_new_tokens=longest)
    report(Event("generate samples", 2, 2))
    return [
        {"id": row.id, "prompt": row.prompt[-1].content, "reference": row.messages[-1].content, "base": b, "adapter": a}
        for row, b, a in zip(picked, before, after, strict=True)
    ]
