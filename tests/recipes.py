"""Running a recipe on rows in memory with replies that a test writes down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datakit.runner import Applied, apply
from datakit.stage import Stage
from datakit.stages.synthesize import Synthesize
from datakit.stages.synthesize.judge import Judge

Line = Mapping[str, Any]


def recorded(folder: Path, *lines: Line) -> str:
    """A teacher that replays some lines; a `text` that is no string is written as JSON."""
    file = folder / f"replies-{len(list(folder.glob('replies-*')))}.jsonl"
    told = [
        {**line, "text": text if isinstance(text := line["text"], str) else json.dumps(text, ensure_ascii=False)}
        for line in lines
    ]
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in told), encoding="utf-8")
    return f"replay:{file}"


def recipe(name: str, teacher: str, **settings: Any) -> Synthesize:
    """A recipe as YAML would write it."""
    return Synthesize.model_validate({"recipe": name, "teacher": teacher, **settings})


def judge(teacher: str, **settings: Any) -> Judge:
    """The stage `judge`."""
    return Judge.model_validate({"teacher": teacher, **settings})


def document(text: str, id: str = "d1", lang: str = "ko", licence: str | None = "CC-BY-4.0") -> dict[str, Any]:
    """A document row."""
    return {
        "id": id,
        "source_id": f"{id}.txt",
        "text": text,
        "lang": lang,
        "licence": licence,
        "family": f"family-{id}",
    }


def example(question: str, answer: str, id: str = "e1", lang: str = "ko", **more: Any) -> dict[str, Any]:
    """An example row of one question and its answer."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": id, "source_id": id, "lang": lang, "messages": turns, "licence": "CC0-1.0", **more}


def on_documents(stage: Stage, *documents: dict[str, Any]) -> Applied:
    """What a stage makes of documents."""
    return apply(stage, list(documents))


def on_examples(stage: Stage, *examples: dict[str, Any]) -> Applied:
    """What a stage makes of examples."""
    return apply(stage, list(examples), kind="example")


def made(applied: Applied) -> list[dict[str, Any]]:
    """The rows that were made, without those that came in."""
    return [row for row in applied.rows.to_pylist() if (row["made_by"] or "").startswith("synthesize/")]


def refused(applied: Applied) -> dict[str, int]:
    """How often drafts were refused, by fault."""
    counts = applied.stats.counters
    return {name.removeprefix("rejected."): n for name, n in counts.items() if name.startswith("rejected.")}


def dropped(applied: Applied) -> list[tuple[str, str, str | None]]:
    """(id, rule, value) of every row that was dropped."""
    rows: Sequence[Mapping[str, Any]] = applied.drops.to_pylist()
    return [(row["id"], row["rule"], row["value"]) for row in rows]
