"""Writes the generated parts of README.md and README.ko.md: `make readme`. tests/test_docs.py checks them.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from datakit import api
from datakit.cli import main
from datakit.pipeline import Pipeline
from datakit.registry import find, stage_class
from datakit.stage import fields_of

ROOT = Path(__file__).parents[1]
READMES = (ROOT / "README.md", ROOT / "README.ko.md")
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
TOP = {
    "datakit": "the product: stages, store, runner, command line",
    "plugins": "datakit_lora, the built-in trainer, and datakit_transformers, both found by entry point like anybody else's",
    "pipelines": "pipelines to start from, shipped with the package",
    "sample_data": "Korean and English documents with planted defects, seeds, held-out rows",
    "tests": "laws, contracts, benchmarks",
}


def commands() -> str:
    """`datakit --help`, and one line a command."""
    told = CliRunner().invoke(main, ["--help"], prog_name="datakit").output
    return f"```\n{told.strip()}\n```\n"


def stages() -> str:
    """All stages in the order of the work."""
    order = [
        "ingest", "normalize", "language", "quality", "dedup", "passages", "semantic", "decontaminate", "pii",
        "synthesize", "judge", "review", "select", "mix", "split", "template", "tokenize", "pack", "export",
    ]  # fmt: skip
    listed = {one["name"]: one for one in api.stages()}
    rows = [listed[name] for name in order] + [one for name, one in listed.items() if name not in order]
    lines = [f"| `{s['name']}` | {s['help']} | {', '.join(s['rules']) or '-'} |" for s in rows]
    return "\n".join(["| stage | what it does | drops by |", "|---|---|---|", *lines, ""])


def trainer() -> str:
    """The settings of the built-in trainer."""
    config = find("trainer", "lora").Config
    lines = [
        f"| `{name}` | {'required' if info.is_required() else f'`{info.get_default(call_default_factory=True)}`'} "
        f"| {info.description} |"
        for name, info in fields_of(config).items()
    ]
    return "\n".join(["| setting | default | |", "|---|---|---|", *lines, ""])


def tree() -> str:
    """Top-level folders, and the rooms of datakit with the first sentence of each module."""
    lines = [f"{name + '/':<24}{what}" for name, what in TOP.items()]
    lines.append("")
    for path in sorted((ROOT / "datakit").iterdir()):
        module = path / "__init__.py" if path.is_dir() else path
        if module.suffix == ".py" and module.is_file() and path.name not in ("__init__.py", "__main__.py"):
            name = path.name + ("/" if path.is_dir() else "")
            lines.append(f"datakit/{name:<16}{_first_sentence(module)}")
    for path in sorted((ROOT / "plugins").glob("*/[a-z]*.py")):
        lines.append(f"{path.parent.name}/{path.name:<16} {_first_sentence(path)}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def pipeline() -> str:
    """pipelines/quickstart.yaml as it stands."""
    return "```yaml\n" + (ROOT / "pipelines/quickstart.yaml").read_text().strip() + "\n```\n"


def library() -> str:
    """The same pipeline as a library call, written from the value itself."""
    value = Pipeline.load(ROOT / "pipelines/quickstart.yaml")
    lines = [
        "```python",
        "import datakit as dk",
        "",
        "pipeline = dk.Pipeline(",
        f"    name={value.name!r},",
        "    stages=[",
    ]
    for stage in value.stages:
        settings = stage.model_dump(exclude_defaults=True)
        told = ", ".join(f"{name}={setting!r}" for name, setting in settings.items())
        lines.append(f"        dk.{stage_class(stage.use).__name__}({told}),")
    lines += ["    ],", f"    train={value.train!r},"]
    if value.evaluate is not None:
        lines.append(f"    evaluate={value.evaluate.model_dump(exclude_defaults=True)!r},")
    lines += [
        ")",
        'done = dk.run(pipeline, store="store", workers=2)',
        "print(done.manifest.ref, done.adapter.path)",
        "```",
    ]
    return "\n".join(lines) + "\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "stages": stages,
    "trainer": trainer,
    "tree": tree,
    "pipeline": pipeline,
    "library": library,
}


def filled(text: str) -> str:
    """A README with every generated part made anew."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}{match[4]}", text)


def _first_sentence(module: Path) -> str:
    told = (ast.get_docstring(ast.parse(module.read_text())) or "").split("\n")[0]
    return told.partition(". ")[0].rstrip(".")


if __name__ == "__main__":
    for readme in READMES:
        readme.write_text(filled(readme.read_text(encoding="utf-8")), encoding="utf-8")
