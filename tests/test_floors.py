"""The house stands on floors: a module imports only from floors above it. Read from the code, not from memory."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("errors", "canon", "cache", "shipped", "differences", "spelling", "terminal", "turns"),
    ("schemas", "outcome", "defects"),
    ("manifests", "remote"),
    ("kernels", "store", "tokenizers", "models", "embedder", "teachers", "executors", "lease", "webpage", "streaming"),
    ("stage", "trainer", "learned"),
    ("stages",),
    ("registry",),
    ("pipeline",),
    ("signals", "diversity"),
    ("work", "corpus", "readable"),
    ("walk",),
    ("runner", "training"),
    ("statistics",),
    (
        "ablating",
        "describing",
        "viewing",
        "previewing",
        "comparing",
        "lineage",
        "evaluation",
        "reporting",
        "refreshing",
        "thresholds",
        "redaction",
        "reaching",
        "origins",
        "forgetting",
        "collecting",
        "doctoring",
        "reviewing",
    ),
    ("api",),
    ("progress", "display", "findings", "upkeep"),
    ("commandline",),
    ("cli", "__main__"),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
HEAVY = {
    "bitsandbytes", "datasets", "datasketch", "kiwipiepy", "lxml", "numba", "numpy", "openai", "pandas", "peft",
    "presidio_analyzer", "pyarrow", "ray", "sentencepiece", "spacy", "tokenizers", "torch", "transformers", "xllamacpp",
}  # fmt: skip
MODULES = sorted(ROOT.glob("datakit/**/*.py"))
PLUGIN = sorted(ROOT.glob("plugins/*/*.py"))


def room(path: Path) -> str:
    """The room of the house that a file belongs to."""
    parts = path.relative_to(ROOT / "datakit").with_suffix("").parts
    return parts[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module imported anywhere in a file, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "datakit":
                yield from (f"datakit.{alias.name}" for alias in node.names)


def at_the_top(path: Path) -> set[str]:
    """Packages imported when the file is imported (not inside functions, not for type checking only)."""
    found: set[str] = set()
    stack: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.partition(".")[0] for name in imported(ast.Module([node], []))}
        stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)
                  and not isinstance(node, ast.FunctionDef | ast.ClassDef)]  # fmt: skip
    return found


def climbs(path: Path, home: str) -> list[str]:
    """Imports of `path` that go down the house instead of up."""
    own = FLOOR_OF[home]
    rooms = [name.split(".")[1] for name in imported(ast.parse(path.read_text())) if name.startswith("datakit.")]
    return [other for other in rooms if other != home and FLOOR_OF[other] > own]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_imports_upwards_only(path: Path) -> None:
    if room(path) == "__init__":
        return
    assert climbs(path, room(path)) == []


def test_every_room_has_a_floor_and_every_floor_is_inhabited() -> None:
    rooms = {room(path) for path in MODULES} - {"__init__"}
    assert rooms == set(FLOOR_OF)


def test_floor_breach_is_seen(tmp_path: Path) -> None:
    breach = tmp_path / "breach.py"
    breach.write_text("def f():\n    from datakit.runner import run\n")
    assert climbs(breach, "schemas") == ["runner"]


def test_stages_don_t_import_one_another() -> None:
    for path in (ROOT / "datakit/stages").rglob("*.py"):
        parts = path.relative_to(ROOT / "datakit/stages").with_suffix("").parts
        others = [name for name in imported(ast.parse(path.read_text())) if name.startswith("datakit.stages.")]
        assert [name for name in others if name.split(".")[2] != parts[0]] == [], path


@pytest.mark.parametrize("path", PLUGIN, ids=lambda p: p.name)
def test_plugin_imports_the_public_floors_only(path: Path) -> None:
    allowed = {name for names in FLOORS[:5] for name in names}
    rooms = {name.split(".")[1] for name in imported(ast.parse(path.read_text())) if name.startswith("datakit.")}
    assert rooms <= allowed


def test_nothing_imports_the_plugin() -> None:
    for path in MODULES:
        assert not [name for name in imported(ast.parse(path.read_text())) if name.startswith("datakit_lora")], path


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_packages_load_where_they_are_used(path: Path) -> None:
    if room(path) == "kernels":
        return
    assert at_the_top(path) & HEAVY == set()


def test_cli_imports_click_alone() -> None:
    allowed = {"__future__", "json", "sys", "collections", "typing", "click"}
    assert at_the_top(ROOT / "datakit/commandline.py") <= allowed
    assert at_the_top(ROOT / "datakit/cli.py") <= allowed | {"datakit"}
    top = [node for node in ast.parse((ROOT / "datakit/cli.py").read_text()).body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in top if "datakit" in str(node.module)] == ["datakit.commandline"]
