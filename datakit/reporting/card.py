"""The dataset card: Markdown with the front matter that dataset hubs read. Figures only, no text of rows."""

from __future__ import annotations

import json
from typing import Any

import yaml

from datakit.manifests import DatasetManifest
from datakit.reporting.figures import Figures, collect
from datakit.reporting.labels import KINDS, PERSONAL, pair
from datakit.reporting.page import number, percent, recipe_lines
from datakit.stages.export.origins import origin_lines
from datakit.store import Store

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
EXPORT_FOLDER = "my-dataset"


def dataset_card(manifest: DatasetManifest, store: Store) -> str:
    """The card of a published dataset: what it is, how it was made, what became of the rows, how to load it."""
    figures = collect(manifest, store)
    parts = [
        f"---\n{yaml.safe_dump(_front(manifest, figures), allow_unicode=True, sort_keys=False)}---",
        f"# {manifest.ref}",
        _what(manifest, figures),
        "## How it was made",
        _recipe(manifest),
        "## What happened to the rows",
        _funnel(figures),
        *_origins(figures),
        "## Personal data",
        _personal(figures),
        "## Load it",
        _loading(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _front(manifest: DatasetManifest, figures: Figures) -> dict[str, Any]:
    named = [name for name in figures.licences if name]
    languages = figures.languages[-1][1] if figures.languages else []
    known = [lang for lang, _ in languages if len(lang) == 2]
    front: dict[str, Any] = {
        "pretty_name": manifest.name,
        "license": "unknown" if not named or "" in figures.licences else named[0] if len(named) == 1 else "other",
        "language": known,
        "size_categories": [next((name for most, name in SIZES if manifest.rows < most), "n>10M")],
        "task_categories": ["text-generation"],
        "tags": ["datakit", *(["instruction-tuning"] if _has_examples(manifest) else []), *_synthetic_tag(figures)],
        "configs": [{"config_name": "default", "data_files": _data_files(figures)}],
    }
    return {name: value for name, value in front.items() if value}


def _has_examples(manifest: DatasetManifest) -> bool:
    return any(stage.kind == "example" for stage in manifest.stages)


def _synthetic_tag(figures: Figures) -> list[str]:
    return ["synthetic"] if figures.tasks else []


def _data_files(figures: Figures) -> list[dict[str, str]]:
    """Where `datakit export` puts each split."""
    held_out = [told for name, told in (("val", "validation"), ("test", "test")) if figures.splits.get(name)]
    return [{"split": split, "path": f"{split}-*.parquet"} for split in ("train", *held_out)]


def _what(manifest: DatasetManifest, figures: Figures) -> str:
    kind = KINDS[manifest.kind][0]
    lines = [f"{number(manifest.rows)} {kind}, made by datakit {manifest.datakit_version} with seed {manifest.seed}."]
    for counted, rows in figures.languages:
        told = ", ".join(f"{pair('lang', lang)[0]} {number(count)}" for lang, count in rows)
        lines.append(f"Languages of its {KINDS[counted][0]}: {told}.")
    if len(figures.splits) > 1:
        told = ", ".join(f"{name} {number(count)}" for name, count in sorted(figures.splits.items()))
        lines.append(f"Splits: {told}; relatives of one document are always in the same split.")
    if figures.packing.get("fill") is not None:
        packed = f"{number(figures.packing['seq_len'])} slots each, {percent(figures.packing['fill'])} filled"
        lines.append(f"Packs: {packed}; documents in a pack must not see each other (`position_ids` restart).")
    if len([name for name in figures.licences if name]) > 1:
        lines.append(f"Licences of the sources: {', '.join(sorted(name for name in figures.licences if name))}.")
    if manifest.parent:
        lines.append(f"The version before it is {manifest.parent}.")
    lines.append(f"Digest: `{manifest.digest}`.")
    return "\n".join(f"- {line}" for line in lines)


def _recipe(manifest: DatasetManifest) -> str:
    lines = []
    for place, (name, _, settings) in enumerate(recipe_lines(manifest.recipe), start=1):
        told = ", ".join(f"{key}: {_english(value)}" for key, value in settings)
        lines.append(f"{place}. **{_escaped(name)}**" + (f" ({_escaped(told)})" if told else ""))
    return "\n".join(lines)


def _english(value: Any) -> str:
    """A setting as text; a counted list comes as markup in both languages."""
    return value if type(value) is str else value.striptags().split(" ")[0] + " entries"


def _funnel(figures: Figures) -> str:
    head = "| stage | rows are | in | kept | dropped | folded or used | made | why dropped |"
    lines = [head, "|---|---|--:|--:|--:|--:|--:|---|"]
    for step in figures.steps:
        cells = [number(value) for value in (step.rows_in, step.kept, step.dropped, step.folded, step.made)]
        why = ", ".join(f"{rule} {number(count)}" for rule, count in step.rules)
        lines.append(f"| {_escaped(step.id)} | {KINDS[step.gives][0]} | {' | '.join(cells)} | {_escaped(why)} |")
    return "\n".join(lines)


def _origins(figures: Figures) -> list[str]:
    """Who made the rows, with which teacher, under which licence; [] if all were read in."""
    lines = origin_lines(figures.origins)
    return ["## Who made the rows", "\n".join(lines)] if lines else []


def _personal(figures: Figures) -> str:
    if figures.pii is None:
        return "No `pii` stage ran over this dataset. Treat it as if it held personal data."
    only = f" Only these kinds were looked for: {', '.join(figures.pii_kinds)}." if figures.pii_kinds else ""
    head = (
        "The `pii` stage looked for personal data by rules and replaced what it found. This reduces personal data; "
        "rules miss some, so treat the dataset with the same care as its sources." + only
    )
    if not figures.pii:
        return head + " It found none."
    rows = [f"| {PERSONAL.get(name, (name, ''))[0]} | {number(count)} |" for name, count in figures.pii]
    return "\n".join([head, "", "| kind | replaced |", "|---|--:|", *rows])


def _loading(manifest: DatasetManifest) -> str:
    command = f"datakit export {manifest.ref} {EXPORT_FOLDER}"
    code = f'from datasets import load_dataset\n\nrows = load_dataset({json.dumps(EXPORT_FOLDER)}, split="train")'
    return f"```\n{command}\n```\n\n```python\n{code}\n```"


def _escaped(text: str) -> str:
    """Text that can't break out of a Markdown table or list."""
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
