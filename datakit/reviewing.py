"""`datakit review`: rows written out for people to judge and edit, and taken back as a stage of the dataset's pipeline.

    datakit review export my-set rows.csv     a table: verdict, edited_question, edited_answer, comment are to be filled
    datakit review import rows.csv            my-set's pipeline runs with {use: review, file: rows.csv} in it: published

The import adds an entry to the pipeline and runs it: what stands before is in the store already, so only what comes
behind is done anew. Keep the entry in the pipeline file, else the next run of the file goes without it.

CSV is written with a byte-order mark, so that Excel reads Hangul, and no cell is taken for a formula or a number: a
text that begins like one gets an apostrophe, which is taken off an id again and never read back from a text.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from datakit.canon import digest_file
from datakit.errors import ConfigError, Problem, SourceError, StoreError
from datakit.manifests import DatasetManifest
from datakit.pipeline import Pipeline
from datakit.stages.review import rows_of
from datakit.store import Store
from datakit.viewing import each_row_after

COLUMNS = (
    "id", "verdict", "edited_question", "edited_answer", "comment", "question", "answer", "rejected", "lang", "made_by",
    "score", "dataset",
)  # fmt: skip
LATER = frozenset({"select", "mix", "split", "template", "tokenize", "pack", "export"})
"""Stages that choose, render and write: a review belongs before them."""
FORMULA = re.compile(r"^[=+\-@\t\r]")
NUMBER = re.compile(r"^\d+(?:e\d+)?$", re.IGNORECASE)
"""A row id that Excel would take for a number."""


def export_review(
    manifest: DatasetManifest, store: Store, file: Path, *, stage: str | None, rows: int | None, raw: bool
) -> dict[str, Any]:
    """Write rows of a dataset for review; an equal file is left alone, a different one is refused: it may hold work."""
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise ConfigError((Problem("FILE", f"{file.name} is neither .csv nor .jsonl", "name it so"),))
    told = islice((_told(row, manifest.ref) for row in each_row_after(manifest, store, stage, raw)), rows)
    is_csv = file.suffix.lower() == ".csv"
    first = next(told, None)
    if first is None:
        raise ConfigError((Problem("DATASET", f"{manifest.ref} has no rows to review"),))
    draft = file.with_name(f"{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "w", encoding="utf-8-sig" if is_csv else "utf-8", newline="") as target:
            written = _write(target, chain([first], told), is_csv)
        _settle(draft, file)
    except OSError as error:
        raise StoreError(
            f"the file can't be written: {error.strerror}", where=str(file), fix="another place"
        ) from error
    return {"dataset": manifest.ref, "file": str(file), "rows": written}


def _settle(draft: Path, file: Path) -> None:
    """Put a draft in its place, unless something else is there."""
    if file.exists() and digest_file(file) != digest_file(draft):
        draft.unlink()
        raise ConfigError((Problem("FILE", f"{file} is there already", "it may hold reviews; choose another name"),))
    os.replace(draft, file)


def reviewed_pipeline(file: Path, store: Store) -> tuple[Pipeline, str, int]:
    """The pipeline of the dataset that a reviewed file is about, with the review in it; the entry, and its place."""
    refs = {str(row.get("dataset") or "") for _, row in rows_of(file)} - {""}
    if len(refs) != 1:
        fix = "keep the column `dataset` as it was exported; one file is about one dataset"
        raise SourceError("which dataset is it about?", where=str(file), fix=fix)
    recipe = dict(store.manifest(refs.pop()).recipe)
    stages, entry = list(recipe["stages"]), {"use": "review", "file": str(file)}
    place = _place(Pipeline.from_dict(recipe))
    pipeline = Pipeline.from_dict({**recipe, "stages": [*stages[:place], entry, *stages[place:]]})
    return pipeline, json.dumps(entry, ensure_ascii=False), place


def _place(pipeline: Pipeline) -> int:
    """Behind the last stage that makes or cleans examples, before those that choose, render and write them."""
    kinds = pipeline.kinds()
    working = [
        place
        for place, (stage, kind) in enumerate(zip(pipeline.stages, kinds, strict=True))
        if kind == "example" and stage.use not in LATER
    ]
    if not working:
        raise ConfigError((Problem("FILE", f"{pipeline.name} has no example rows", "review what `synthesize` makes"),))
    return working[-1] + 1


def _told(row: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """A row as a reviewer sees it."""
    if row.get("messages") is None:
        problem = Problem("--stage", "the rows there are no examples", "choose a stage behind `synthesize`")
        raise ConfigError((problem,))
    turns = row["messages"]
    answers = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
    last = answers[-1] if answers and not row.get("chosen") else len(turns)
    chosen = row.get("chosen") or turns[last : last + 1]
    return {
        "id": row["id"],
        "verdict": "",
        "edited_question": "",
        "edited_answer": "",
        "comment": "",
        "question": _question(turns[:last]),
        "answer": "\n\n".join(turn["content"] or "" for turn in chosen),
        "rejected": "\n\n".join(turn["content"] or "" for turn in row.get("rejected") or ()),
        "lang": row.get("lang") or "",
        "made_by": row.get("made_by") or "",
        "score": row.get("judge.score"),
        "dataset": dataset,
    }


def _question(turns: list[dict[str, Any]]) -> str:
    """What stands before the last answer; with the speakers' roles where there are several turns."""
    if len(turns) == 1:
        return turns[0]["content"] or ""
    return "\n\n".join(f"[{turn['role']}] {turn['content'] or ''}" for turn in turns)


def _write(target: TextIO, rows: Iterable[dict[str, Any]], is_csv: bool) -> int:
    """Write all rows; how many there were."""
    writer, count = csv.DictWriter(target, COLUMNS), 0
    if is_csv:
        writer.writeheader()
    for row in rows:
        count += 1
        if is_csv:
            writer.writerow({name: _cell(name, value) for name, value in row.items()})
        else:
            target.write(json.dumps(row, ensure_ascii=False) + "\n")
    return count


def _cell(name: str, value: Any) -> Any:
    """A value that Excel shows as it is."""
    if not isinstance(value, str):
        return value
    risky = NUMBER.match(value) if name == "id" else FORMULA.match(value)
    return f"'{value}" if risky else value
