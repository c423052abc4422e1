"""The command line: exit codes, one document on stdout, nothing but clear words on stderr, nothing heavy loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from datakit import api, errors
from datakit.cli import main
from datakit.errors import ConfigError, DatakitError, Problem
from datakit.lease import lease
from datakit.progress import ProgressBars
from datakit.refreshing import clock
from datakit.store import Store
from datakit.trainer import Event
from tests.command_line import call, pipeline_file
from tests.conftest import ROOT

HEAVY = {
    "bitsandbytes", "datasets", "numba", "numpy", "openai", "pandas", "peft", "presidio_analyzer", "pyarrow", "ray",
    "sentencepiece", "spacy", "torch", "transformers", "xllamacpp",
}  # fmt: skip
TICKETS = "{use: ingest, files: sample_data/corpus/tickets_en.jsonl}"
SECRET = "900101-1234568"


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


def loaded_by(*arguments: str, cwd: Path = ROOT) -> set[str]:
    """Top-level packages that a command leaves in sys.modules."""
    code = (
        "import sys\nfrom datakit.cli import main\ntry:\n    main(sys.argv[1:])\n"
        "finally:\n    print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = python("-c", code, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.fixture
def rows(here: Path) -> Path:
    """Three rows in rows.jsonl, a pipeline over them in p.yaml."""
    lines = [json.dumps({"text": f"{n}번째 글, text {n}"}, ensure_ascii=False) for n in range(3)]
    (here / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pipeline_file("{use: ingest, files: rows.jsonl}", "normalize", "pii", more="refresh: {gates: {min_rows: 2}}\n")
    return here


def test_help_loads_click_alone() -> None:
    assert not loaded_by("--help") & (HEAVY | {"pydantic", "yaml", "rich", "fsspec"})
    assert not loaded_by("run", "--help") & (HEAVY | {"pydantic", "yaml", "rich", "fsspec"})


@pytest.mark.parametrize("name", ["quickstart", "self_instruct", "korean_web"])
def test_check_loads_nothing_heavy(name: str) -> None:
    assert not loaded_by("check", f"pipelines/{name}.yaml") & HEAVY


def test_heavy_package_would_be_seen(rows: Path) -> None:
    assert "pyarrow" in loaded_by("run", "p.yaml", cwd=rows)


def test_version_and_module_are_the_command() -> None:
    assert call("--version").out.strip().endswith(version("datakit"))
    done = python("-m", "datakit", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.split("Commands:\n")[1].splitlines()] == list(main.commands)


def test_no_command_shows_the_help() -> None:
    told = call()
    assert (told.code, "Commands:" in told.err + told.out) == (2, True)


@pytest.mark.parametrize("cls", DatakitError.__subclasses__(), ids=lambda cls: cls.__name__)
def test_every_error_has_its_exit_code_and_is_said_once(
    cls: type[DatakitError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str | None = None) -> None:
        raise cls("무엇이 잘못됐는지", where="a.jsonl:3", fix="고치는 법")

    monkeypatch.setattr(api, "stages", fail)
    told = call("stages")
    assert told.out == ""
    assert told.err.splitlines() == ["error: 무엇이 잘못됐는지", "where: a.jsonl:3", "fix: 고치는 법"]
    assert told.code == cls.exit_code
    with_json = call("stages", "--json")
    assert (with_json.code, with_json.err) == (told.code, told.err)
    document = {"error": cls.__name__, "message": "무엇이 잘못됐는지", "where": "a.jsonl:3", "fix": "고치는 법"}
    assert with_json.json.items() >= document.items()


def test_several_problems_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str | None = None) -> None:
        raise ConfigError((Problem("a", "one", "mend it"), Problem("b", "two")), where="p.yaml")

    monkeypatch.setattr(api, "stages", fail)
    told = call("stages", "--json").is_an_error(2, "2 problems", "p.yaml", "- a: one (mend it)", "- b: two")
    assert [problem["path"] for problem in told.json["problems"]] == ["a", "b"]


def test_a_fault_of_our_own_is_one_line_that_never_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str | None = None) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(api, "stages", fail)
    told = call("stages", "--json").is_an_error(1, "KeyError", "--debug")
    assert SECRET not in told.out + told.err
    assert told.json["error"] == "DatakitError"
    with pytest.raises(KeyError):
        call("--debug", "stages")


def test_debug_shows_where_an_error_came_from(rows: Path) -> None:
    with pytest.raises(errors.StoreError):
        call("--debug", "show", "nothing")


def test_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(name: str | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "stages", stop)
    told = call("stages")
    assert (told.code, told.out, len(told.err.splitlines())) == (130, "", 1)
    assert call("stages", "--json").json["error"] == "Interrupted"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rnu", "p.yaml"), "rnu"),
        (("run",), "FILE"),
        (("run", "p.yaml", "--wrokers", "2"), "--wrokers"),
        (("run", "p.yaml", "--workers", "two"), "'two'"),
        (("run", "p.yaml", "--workers", "0"), "0 workers"),
        (("run", "p.yaml", "--executor", "rya"), "'rya'"),
        (("run", "p.yaml", "--set", "normalise.id=x"), "'normalize'"),
        (("run", "p.yaml", "--set", "normalize"), "stage.field=value"),
        (("export", "p", "out", "--format", "xml"), "xml"),
        (("show", "p", "--stage", "x"), "ingest, normalize"),
        (("show", "p", "--rows", "-1"), "--rows"),
        (("generate", "adapter", "--prompt", "x", "--max-new-tokens", "0"), "--max-new-tokens"),
        (("stages", "ingset"), "'ingest'"),
        (("generate", "adapter"), "--prompt"),
        (("refresh", "p.yaml", "--every", "5x"), "30m"),
        (("refresh", "p.yaml", "--cron", "every night"), "cron"),
        (("check", "q.yaml"), "p.yaml"),
    ],
)
def test_wrong_word_on_the_command_line_is_a_config_error(rows: Path, words: tuple[str, ...], told: str) -> None:
    assert call("run", "p.yaml").code == 0
    document = call(*words, "--json").is_an_error(2, told).json
    assert document["error"] == "ConfigError"
    assert call(*words).out == ""


def test_json_is_the_only_thing_on_stdout(rows: Path) -> None:
    done = python("-m", "datakit", "run", "p.yaml", "--workers", "2", "--json", cwd=rows)
    assert json.loads(done.stdout)["rows"] == 3
    assert "normalize+pii" in done.stderr
    assert "\x1b" not in done.stderr


def test_plan_knows_what_run_will_do(rows: Path) -> None:
    before = call("plan", "p.yaml", "--json").json
    assert [(step["stages"], step["reuse"], step["run"]) for step in before] == [
        (["ingest"], 0, 1), (["normalize", "pii"], None, None),
    ]  # fmt: skip
    assert not Path("store").exists()
    assert "?: known when" in call("plan", "p.yaml").out
    assert call("run", "p.yaml", "--json").json["ran"] == 2
    assert [(step["reuse"], step["run"]) for step in call("plan", "p.yaml", "--json").json] == [(1, 0), (1, 0)]
    changed = call("plan", "p.yaml", "--set", "pii.engine=presidio", "--json").json
    assert [(step["reuse"], step["run"]) for step in changed] == [(1, 0), (0, 1)]


def test_set_changes_a_setting_a_section_and_the_seed(rows: Path) -> None:
    told = call(
        "check",
        "p.yaml",
        "--set",
        "normalize.id=clean",
        "--set",
        "refresh.gates.min_rows=7",
        "--set",
        "seed=3",
        "--json",
    )
    assert told.json["stages"][1] == {"use": "normalize", "id": "clean"}
    assert told.json["refresh"]["gates"]["min_rows"] == 7
    assert told.json["seed"] == 3


def test_refresh_publishes_once_and_holds_its_gates(rows: Path) -> None:
    first = call("refresh", "p.yaml", "--json").json
    assert first["published"].startswith("p@")
    assert call("refresh", "p.yaml", "--json").json["published"] is None
    assert "nothing published" in call("refresh", "p.yaml").out
    Path("rows.jsonl").write_text('{"text": "하나"}\n')
    call("refresh", "p.yaml", "--json").is_an_error(5, "min_rows", "fix: ")
    assert call("show", "p", "--rows", 9, "--json").json[2]["text"].startswith("2번째")


def test_two_passes_do_not_collide(rows: Path) -> None:
    with lease(Store("store").prepare(), "refresh p"):
        call("refresh", "p.yaml").is_an_error(6, "refresh p, process", "wait for it")
    assert call("refresh", "p.yaml").code == 0


def test_clock_goes_on_after_a_failed_pass(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        Path("rows.jsonl").write_text('{"text": "하나"}\n' * len(slept))
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(clock.time, "sleep", sleep)
    told = call("refresh", "p.yaml", "--every", "1h", "--json")
    assert (told.code, all(0 < seconds <= 3600 for seconds in slept)) == (130, True)
    passes = [json.loads(line) for line in told.out.splitlines()]
    assert [one["published"] is not None for one in passes[:2]] == [True, True]
    assert "min_rows" in next(line for line in told.err.splitlines() if "error: " in line)


def test_log_says_one_line_a_pass_over_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBars() as bars:
        for done in (0, 1, 2, 2, 1, 2):
            bars.report(Event("dedup", done, 2))
    told = capsys.readouterr()
    assert [line.split()[:2] for line in told.err.splitlines()] == [
        ["dedup", "..."],
        ["dedup", "2/2"],
        ["dedup", "2/2"],
    ]
    assert told.out == ""


def test_closed_pipe_is_no_error(rows: Path) -> None:
    command = f"{sys.executable} -m datakit stages ingest --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_terminal_that_claims_to_be_ascii_still_gets_korean(rows: Path) -> None:
    assert call("run", "p.yaml").code == 0
    command = [sys.executable, "-m", "datakit", "show", "p"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    for words in (command, [*command, "--json"]):
        done = subprocess.run(words, capture_output=True, timeout=60, env=env)
        assert (done.returncode, "번째 글" in done.stdout.decode("utf-8")) == (0, True), done.stderr


def test_korean_paths_and_ids_travel_through_every_command(here: Path) -> None:
    Path("내 자료").mkdir()
    rows = [{"번호": f"문서-{n}", "내용": f"{n}번째 글입니다."} for n in range(2)]
    Path("내 자료/가나다.jsonl").write_text(
        "\n".join(json.dumps(r, ensure_ascii=False) for r in rows), encoding="utf-8"
    )
    stages = ("{use: ingest, files: 내 자료, text: 내용, id_field: 번호}", "pii")
    assert call("run", pipeline_file(*stages), "--store", "저장소").code == 0
    assert call("why", "문서-1", "--store", "저장소", "--json").json["source"] == "가나다.jsonl"
    assert "문서-1" in call("show", "p", "--store", "저장소").out
    assert call("export", "p", "내보내기", "--format", "jsonl", "--store", "저장소").code == 0
    assert "0번째" in "".join(path.read_text(encoding="utf-8") for path in Path("내보내기").rglob("*.jsonl"))


def test_the_whole_way_from_sample_files_to_an_evaluated_adapter(here: Path, tiny_llama: Path) -> None:
    assert call("init", ".", "--json").code == 0
    tail = (
        f"{{use: template, style: tokenizer, tokenizer: '{tiny_llama}'}}",
        f"{{use: tokenize, tokenizer: '{tiny_llama}', max_length: 512}}",
        "{use: pack, seq_len: 512}",
    )
    train = (
        f"train: {{use: lora, base: '{tiny_llama}', out: adapter, max_steps: 4, rank: 2, threads: 1, eval_rows: 2}}\n"
    )
    more = train + "evaluate: {rows: few.jsonl, samples: 1, max_new_tokens: 4}\n"
    heldout = Path("sample_data/heldout.jsonl").read_text(encoding="utf-8").splitlines()
    Path("few.jsonl").write_text("\n".join(heldout[:4]), encoding="utf-8")
    clean = ("normalize", "quality", "dedup", "pii", "{use: synthesize, passage_en: 250}", "{use: split, val: 0.3}")
    file = pipeline_file(TICKETS, *clean, *tail, name="tickets", more=more)
    done = call("run", file, "--json")
    assert done.code == 0, done.err
    assert Path("adapter/adapter_model.safetensors").is_file()
    assert done.json["adapter"]["dataset"] == done.json["dataset"]
    assert done.json["evaluation"]["count"] == 4
    again = call("run", file, "--json")
    assert (again.json["ran"], again.json["evaluation"]) == (0, done.json["evaluation"])
    assert again.json["adapter"] == done.json["adapter"]

    row = min(call("show", "tickets", "--rows", 99, "--json").json, key=lambda row: len(str(row["messages"])))
    story = call("why", row["id"], "--json").json
    assert story["story"][-1]["what"] == "packed"
    assert [adapter["path"] for adapter in story["adapters"]] == ["adapter"]
    assert "adapter adapter (lora" in call("why", row["parents"][0]).out

    assert call("report", "tickets", "--adapter", "adapter", "--json").json["loss_after"] is not None
    assert "<html" in Path("report.html").read_text(encoding="utf-8")
    assert call("evaluate", "adapter", "--rows", "few.jsonl", "--samples", 1, "--max-new-tokens", 4).code == 0
    answers = call("generate", "adapter", "--prompt", "안녕하세요?", "--max-new-tokens", 3, "--json").json
    assert list(answers[0]) == ["prompt", "answer"]
