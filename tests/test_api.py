"""The library and the command line are one: the same names, the same defaults, the same results."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import datakit
from datakit import api
from datakit.cli import main
from datakit.errors import ConfigError
from datakit.manifests import DatasetManifest
from datakit.pipeline import Pipeline
from tests.command_line import call, pipeline_file
from tests.trainers_of_ones_own import OWN

FIRST = f"{datetime.now(UTC):%Y.%m.%d}.1"
"""The version that the project's pipelines publish first."""
PARROT = f"{OWN}:Parrot"
LETTERS = f"{Path(__file__).with_name('stages_of_ones_own.py')}:Letters"
HEARD = {"report", "tell", "ask"}
"""Parameters for a listener or a speaker: the command draws progress bars, and reads stdin, instead."""
SPELLED = {"overrides": "set", "as_json": None, "every": None, "cron": None}
"""Options whose name differs in Python, and those that only a command has."""


COMMANDS = {
    f"{name}_{inner}" if inner else name: command
    for name, outer in main.commands.items()
    for inner, command in (outer.commands.items() if isinstance(outer, click.Group) else [("", outer)])
}
"""Every command by the name of its function: `datakit pii scan` is `pii_scan`."""


def parameters(verb: str) -> dict[str, Any]:
    """Names and defaults of a function's parameters."""
    found = inspect.signature(getattr(api, verb)).parameters.values()
    return {p.name: None if p.default is p.empty else p.default for p in found if p.name not in HEARD}


def options(verb: str) -> dict[str, Any]:
    """Names and defaults of a command's arguments and options, as Python spells them."""
    spelled = {**SPELLED, "overrides": "settings"} if verb in ("train", "pii_scan", "pii_redact") else SPELLED
    named = {spelled.get(p.name, p.name): p for p in COMMANDS[verb].params if p.name}
    return {
        name: None if p.required or p.multiple else p.to_info_dict()["default"] for name, p in named.items() if name
    }


def test_every_verb_is_a_command_and_a_function() -> None:
    verbs = [name for name in api.__all__ if inspect.isfunction(getattr(api, name)) and name != "as_json"]
    assert sorted(verbs) == sorted(COMMANDS)
    for verb in COMMANDS:
        assert verb == "stages" or getattr(datakit, verb) is getattr(api, verb)


@pytest.mark.parametrize("verb", list(COMMANDS))
def test_options_and_parameters_have_the_same_names_and_defaults(verb: str) -> None:
    mine = {name: None if default == () else default for name, default in parameters(verb).items()}
    assert {name: str(default) for name, default in options(verb).items()} == {n: str(d) for n, d in mine.items()}


@pytest.fixture
def project(here: Path) -> Path:
    """A folder with a file of rows, held-out rows and two pipelines."""
    rows = [{"text": f"{n}번째 글입니다. 연락처는 010-1234-{5000 + n}입니다.", "score": math.nan} for n in range(4)]
    rows.append({"text": " ", "score": 0.0})
    (here / "자료.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    (here / "heldout.jsonl").write_text(
        '{"instruction": "수도는?", "output": "서울", "language": "ko"}\n', encoding="utf-8"
    )
    (here / "rules.jsonl").write_text('{"prompt": "두 문장으로.", "rules": {"sentences": 2}}\n', encoding="utf-8")
    (here / "names.txt").write_text("3번째\n", encoding="utf-8")
    stages = ("{use: ingest, files: 자료.jsonl}", "normalize", "pii")
    pipeline_file(*stages)
    pipeline_file(*stages, "{use: dedup, index: known}", name="r", more="refresh: {keep: 2}\n")
    pipeline_file(stages[0], "quality", name="q")
    trained = f"train: {{use: '{PARROT}'}}\nevaluate: {{rows: heldout.jsonl}}\n"
    pipeline_file(*stages, f"'{LETTERS}'", name="a", more=trained)
    pipeline_file("{use: ingest, files: heldout.jsonl, form: alpaca}", "pii", name="e")
    return here


@dataclass(frozen=True)
class Pair:
    """A call of the library and the command that says the same."""

    function: Callable[[], Any]
    words: list[str]


PAIRS = {
    "init": Pair(lambda: api.init("mine", force=True), ["init", "mine", "--force"]),
    "check": Pair(lambda: api.check("p.yaml", set=["normalize.id=n"]), ["check", "p.yaml", "--set", "normalize.id=n"]),
    "plan": Pair(lambda: api.plan("p.yaml", store="other"), ["plan", "p.yaml", "--store", "other"]),
    "run": Pair(lambda: api.run("p.yaml"), ["run", "p.yaml"]),
    "rethreshold": Pair(
        lambda: api.rethreshold("q.yaml", set=["quality.min_words=9"]),
        ["rethreshold", "q.yaml", "--set", "quality.min_words=9"],
    ),
    "stages": Pair(api.stages, ["stages"]),
    "stage": Pair(lambda: api.stages("pii"), ["stages", "pii"]),
    "prompts": Pair(lambda: api.prompts("cot", folder=""), ["prompts", "cot", "--folder", ""]),
    "plugins": Pair(api.plugins, ["plugins"]),
    "plugin": Pair(lambda: api.plugins("lora"), ["plugins", "lora"]),
    "train plan": Pair(lambda: api.train("p", PARROT, plan=True), ["train", "p", PARROT, "--plan"]),
    "show": Pair(
        lambda: api.show("p", stage="ingest", rows=2, raw=True),
        ["show", "p", "--stage", "ingest", "--rows", "2", "--raw"],
    ),
    "datasets": Pair(api.datasets, ["datasets"]),
    "drops": Pair(
        lambda: api.drops("p", stage="normalize", rule="empty", rows=1, raw=True),
        ["drops", "p", "--stage", "normalize", "--rule", "empty", "--rows", "1", "--raw"],
    ),
    "compare": Pair(lambda: api.compare("p", "r"), ["compare", "p", "r"]),
    "blame": Pair(lambda: api.blame("p", "r"), ["blame", "p", "r"]),
    "provenance": Pair(lambda: api.provenance("p", form="prov"), ["provenance", "p", "--form", "prov"]),
    "why": Pair(lambda: api.why("자료.jsonl:2", dataset="p"), ["why", "자료.jsonl:2", "--dataset", "p"]),
    "report": Pair(lambda: api.report("p", out="page.html"), ["report", "p", "--out", "page.html"]),
    "stats": Pair(lambda: api.stats("p"), ["stats", "p"]),
    "index": Pair(
        lambda: api.index("known", remove=["nobody"], compact=True),
        ["index", "known", "--remove", "nobody", "--compact"],
    ),
    "export": Pair(
        lambda: api.export("p", "out", format="jsonl", columns="trainer"),
        ["export", "p", "out", "--format", "jsonl", "--columns", "trainer"],
    ),
    "train": Pair(
        lambda: api.train("p", PARROT, {"gain": 0.25}, out="adapter"),
        ["train", "p", PARROT, "--set", "gain=0.25", "--out", "adapter"],
    ),
    "merge": Pair(lambda: api.merge("trained", "merged"), ["merge", "trained", "merged"]),
    "evaluate": Pair(
        lambda: api.evaluate("trained", rows="heldout.jsonl", samples=1, rules="rules.jsonl", few_shot=1),
        [
            "evaluate",
            "trained",
            "--rows",
            "heldout.jsonl",
            "--samples",
            "1",
            "--rules",
            "rules.jsonl",
            "--few-shot",
            "1",
        ],
    ),
    "ablate": Pair(
        lambda: api.ablate("a.yaml", without=["normalize", "pii"], seeds=1, out="trials"),
        ["ablate", "a.yaml", "--without", "normalize,pii", "--seeds", "1", "--out", "trials"],
    ),
    "generate": Pair(
        lambda: api.generate("trained", prompt=["안녕", "Hi"], max_new_tokens=1, base=True),
        ["generate", "trained", "--prompt", "안녕", "--prompt", "Hi", "--max-new-tokens", "1", "--base"],
    ),
    "chat": Pair(lambda: api.chat("trained", base=True), ["chat", "trained", "--base"]),
    "refresh": Pair(lambda: api.refresh("r.yaml"), ["refresh", "r.yaml"]),
    "schedule": Pair(lambda: api.schedule("r.yaml", form="cron"), ["schedule", "r.yaml", "--cron"]),
    "rollback": Pair(lambda: api.rollback("p", to=FIRST), ["rollback", "p", "--to", FIRST]),
    "trace": Pair(lambda: api.trace(["자료.jsonl:2"]), ["trace", "자료.jsonl:2"]),
    "forget": Pair(
        lambda: api.forget(["자료.jsonl:2"], match_file="names.txt", dry_run=True),
        ["forget", "자료.jsonl:2", "--match-file", "names.txt", "--dry-run"],
    ),
    "gc": Pair(lambda: api.gc(dry_run=True), ["gc", "--dry-run"]),
    "doctor": Pair(lambda: api.doctor(mend=True), ["doctor", "--mend"]),
    "review_export": Pair(
        lambda: api.review_export("e", "rows.csv", stage="pii", rows=1, raw=True),
        ["review", "export", "e", "rows.csv", "--stage", "pii", "--rows", "1", "--raw"],
    ),
    "review_import": Pair(lambda: api.review_import("reviewed.csv"), ["review", "import", "reviewed.csv"]),
    "pii_redact": Pair(
        lambda: api.pii_redact("자료.jsonl", "out.jsonl", {"operator": "mask"}, text="text"),
        ["pii", "redact", "자료.jsonl", "out.jsonl", "--set", "operator=mask", "--text", "text"],
    ),
}


def timeless(value: Any) -> Any:
    """A result without the seconds it took."""
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if "seconds" not in name}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def test_every_command_is_compared() -> None:
    assert {pair.words[0] for pair in PAIRS.values()} == set(main.commands)


@pytest.mark.parametrize("name", list(PAIRS))
def test_command_gives_what_the_function_gives(project: Path, name: str) -> None:
    api.run("p.yaml")
    api.run("q.yaml")
    api.run("e.yaml")
    api.review_export("e", "reviewed.csv")
    api.refresh("r.yaml")
    api.train("p", PARROT, {}, out="trained")
    pair = PAIRS[name]
    pair.function()  # what is done already is told differently from what is new
    told = call(*pair.words, "--json")
    assert told.code == 0, told.err
    assert timeless(told.json) == timeless(api.as_json(pair.function()))
    shown = call(*pair.words)
    assert (shown.code, bool(shown.out)) == (0, True)


def test_first_run_is_the_same_by_either_way(project: Path) -> None:
    by_command = call("run", "p.yaml", "--store", "a", "--json").json
    by_function = api.as_json(api.run("p.yaml", store="b"))
    assert timeless(by_command) == timeless(by_function)
    assert (by_command["published"], by_command["rows"], by_command["ran"]) == (True, 4, 2)


def test_pipeline_value_runs_like_its_file(project: Path) -> None:
    value = api.check("p.yaml")
    assert isinstance(value, Pipeline)
    assert api.run(value, store="a").manifest.digest == api.run("p.yaml", store="b").manifest.digest


def test_a_new_version_of_equal_data_is_not_published(project: Path) -> None:
    first, second = api.run("p.yaml"), api.run("p.yaml", workers=2)
    assert isinstance(first.manifest, DatasetManifest)
    assert (second.run.published, second.run.ran, second.manifest.ref) == (False, 0, first.manifest.ref)


def test_text_from_before_pii_is_shown_only_if_asked_for(project: Path) -> None:
    api.run("p.yaml")
    assert "010-1234" not in str(api.show("p"))
    with pytest.raises(ConfigError, match="before `pii`"):
        api.show("p", stage="ingest")
    assert "010-1234" in str(api.show("p", stage="ingest", raw=True))
    pipeline_file("{use: ingest, files: 자료.jsonl}", name="q")
    api.run("q.yaml")
    with pytest.raises(ConfigError, match="no `pii` stage"):
        api.show("q")


def test_show_gives_the_rows_of_the_stage_it_names(project: Path) -> None:
    own = f"{Path(__file__).with_name('stages_of_ones_own.py')}:Shout"
    rest = (
        "{use: export, format: jsonl, path: out}",
        f"'{own}'",
        "{use: pii, id: again}",
        "{use: export, path: o2, id: x}",
    )
    pipeline_file("{use: ingest, files: 자료.jsonl}", "normalize", "pii", *rest, name="q")
    api.run("q.yaml")
    assert api.show("q") == api.show("q", stage="x") == api.show("q", stage="again")
    assert api.show("q", stage="pii") == api.show("q", stage="export") != []
    for fused in ("normalize", "shout"):
        with pytest.raises(ConfigError, match=f"not stored between {fused}") as caught:
            api.show("q", stage=fused, raw=True)
        assert "ingest, pii, export, again, x" in caught.value.fix
    with pytest.raises(ConfigError, match="no stage 'y'"):
        api.show("q", stage="y")


def test_init_makes_a_project_whose_pipelines_are_right(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = api.init("mine")
    with pytest.raises(ConfigError, match="not empty"):
        api.init("mine")
    assert api.init("mine", force=True) == found
    monkeypatch.chdir("mine")
    ignored = Path(".gitignore").read_text(encoding="utf-8").split()
    assert {"/store/", "/adapters/", "/exports/"} <= set(ignored)
    Path(".gitignore").write_text("mine\n", encoding="utf-8")
    api.init(".", force=True)
    assert Path(".gitignore").read_text(encoding="utf-8") == "mine\n"
    for path in found:
        assert api.check(path).stages


def test_chat_keeps_the_turns_until_it_is_told_to_begin_anew(project: Path) -> None:
    api.run("p.yaml")
    api.train("p", PARROT, {}, out="trained")
    said = "안녕\n\nHi\n/new\n다시\n"
    told = CliRunner().invoke(main, ["chat", "trained"], input=said)
    assert told.stdout.splitlines() == ["안녕", "Hi", "다시"]
    as_json = CliRunner().invoke(main, ["chat", "trained", "--base", "--json"], input=said)
    turns = [{"role": "user", "content": "다시"}, {"role": "assistant", "content": "시다"}]
    assert json.loads(as_json.stdout) == turns
    seen: list[str] = []
    both = api.chat("trained", ask=["안녕", "Hi"], tell=seen.append)
    assert seen == ["안녕", "Hi"]
    assert [turn["role"] for turn in both] == ["user", "assistant"] * 2


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.just(Path("가")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(values)
def test_as_json_is_json_and_stays_as_it_is(value: Any) -> None:
    plain = api.as_json(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert api.as_json(plain) == plain


def test_as_json_spells_what_json_lacks() -> None:
    assert api.as_json({"a": math.nan, "b": (math.inf, 1.5), "c": date(2026, 11, 21), "d": Path("x/y")}) == {
        "a": None, "b": [None, 1.5], "c": "2026-11-21", "d": "x/y",
    }  # fmt: skip


def test_scan_prints_one_document_a_row(project: Path) -> None:
    found = api.pii_scan(["자료.jsonl"], {"kinds": ["PHONE"]})
    told = call("pii", "scan", "자료.jsonl", "--set", "kinds=[PHONE]", "--json")
    assert [json.loads(line) for line in told.out.splitlines()] == found.documents
    assert [len(document["spans"]) for document in found.documents] == [1, 1, 1, 1, 0]
    assert "4 values in 4 of 5 rows" in call("pii", "scan", "자료.jsonl", "--set", "kinds=[PHONE]").out
    assert call("pii", "scan", "자료.jsonl", "--set", "operatr=mask").code == 2
