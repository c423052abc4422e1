"""`datakit plan` tells what a teacher would cost, asks nobody and writes nothing; the report tells what it did cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datakit import api
from datakit.pipeline import Pipeline
from datakit.stages.synthesize import Synthesize
from datakit.stages.synthesize.forecast import forecast
from datakit.teachers import Reply
from datakit.teachers.budget import Budget
from datakit.teachers.stored import ReplyFile, path_of_replies
from tests.command_line import call
from tests.fakes.openai_server import Answer, openai_server

ROOT = Path(__file__).parents[1]
SEEDS = str(ROOT / "sample_data/seeds.jsonl")
BUDGET = {"max_usd": 1.0, "prices": {"m": {"input": 1, "output": 10}}}


def pipeline(url: str, **settings: Any) -> Pipeline:
    stage = {"use": "synthesize", "recipe": "alpaca", "seeds": SEEDS, "max_requests": 6, "max_tokens": 100}
    return Pipeline.from_dict(
        {"name": "x", "stages": [{**stage, "teacher": {"base_url": url, "model": "m"}, **settings}]}
    )


def test_plan_tells_the_worst_case_and_asks_nobody(here: Path) -> None:
    with openai_server(lambda number, body: Answer()) as server:
        (step,) = api.plan(pipeline(server.url, budget=BUDGET))
        assert server.bodies == []
    assert not (here / "store").exists()
    assert not (here / "cache").exists()
    assert step.cost is not None
    worst = step.cost["worst"]
    assert (worst["requests"], worst["tokens_out"]) == (6, 600)
    assert worst["tokens_in"] > 6 * 500, "the prompts hold three seeds each"
    assert worst["usd"] == round((worst["tokens_in"] + 10 * 600) / 1e6, 4)
    assert step.cost["budget"] == {"max_usd": 1.0}
    assert "by_averages" not in step.cost


def test_plan_tells_what_replies_on_disk_took_on_average(here: Path) -> None:
    planned = pipeline("http://127.0.0.1:9/v1", budget={**BUDGET, "max_requests": 4})
    stage = planned.stages[0]
    assert isinstance(stage, Synthesize)
    assert stage.teacher is not None
    file = ReplyFile(path_of_replies(here / "cache" / "replies", stage.teacher.identity()))
    file.keep("ab" * 20, Reply("x", "stop", 300, 50))
    file.keep("cd" * 20, Reply("y", "stop", 500, 70))
    file.keep("ef" * 20, Reply("the endpoint told no usage"))
    file.close()
    (step,) = api.plan(planned)
    assert step.cost is not None
    assert step.cost["by_averages"] == {
        "replies": 2, "requests": 4, "tokens_in": 1600, "tokens_out": 240, "usd": 0.004,
    }  # fmt: skip


def test_plan_is_silent_where_nobody_is_paid(here: Path) -> None:
    replies = f"replay:{ROOT / 'sample_data/replies.jsonl'}"
    mine = Pipeline.from_dict({"name": "x", "stages": [{"use": "ingest", "files": SEEDS}, {"use": "synthesize"}]})
    for planned in (pipeline("http://h/v1", teacher=replies), mine):
        assert all(step.cost is None for step in api.plan(planned))


def test_forecast_is_no_less_than_what_a_run_reserves(here: Path) -> None:
    """An endpoint that tells no usage is counted by worst cases: those of a run stay under those of the plan."""
    with openai_server(lambda number, body: Answer(usage=None)) as server:
        planned = pipeline(server.url, budget=BUDGET)
        (step,) = api.plan(planned)
        spent = api.run(planned).manifest.stages[0].notes["spent"]
    assert step.cost is not None
    assert spent["requests"] == spent["unreported"] > 0
    for name in ("requests", "tokens_in", "tokens_out", "usd"):
        assert spent[name] <= step.cost["worst"][name]


def test_command_line_prints_the_forecast(here: Path) -> None:
    (here / "p.yaml").write_text(pipeline("http://127.0.0.1:9/v1", budget=BUDGET).to_yaml())
    told = call("plan", "p.yaml").out
    assert "synthesize asks m" in told
    assert "worst case" in told
    assert "the budget ends it before max_usd 1 would be passed" in told
    assert call("plan", "p.yaml", "--json").json[0]["cost"]["worst"]["requests"] == 6


def test_report_shows_what_was_spent_per_accepted_row(here: Path) -> None:
    from datakit.teachers import TeacherSpec
    from datakit.teachers.replay import Replay

    recorded = Replay(TeacherSpec(use="replay", model=str(ROOT / "sample_data/replies.jsonl")), here)
    texts = [line["text"] for line in recorded.lines if line.get("purpose") == "tasks"]
    with openai_server(lambda number, body: Answer(text=texts[number % len(texts)], usage=(400, 100))) as server:
        done = api.run(pipeline(server.url, budget=BUDGET))
    (stage,) = done.manifest.stages
    spent = stage.notes["spent"]
    assert spent["usd"] == round(spent["requests"] * (400 + 1000) / 1e6, 6)
    assert spent["per_row"]["usd"] == round(spent["usd"] / done.manifest.rows, 6)
    page = Path(api.report("x")["page"]).read_text()
    section = page[page.index('id="synthetic"') :]
    assert "What the teacher cost" in section
    assert f"{spent['requests'] * 400:,}" in section
    assert "per accepted row" in section


def test_forecast_of_a_stage_never_reaches_the_corpus_store(here: Path) -> None:
    """Parts of a corpus stage's work are worked out and thrown away."""
    from datakit.stage import Env

    class Kept:
        shards, kind, env, key = (), "example", Env(cache=here / "cache"), ""

        def map(self, *given: Any, **named: Any) -> Any:
            raise AssertionError("a plan keeps nothing")

    stage = pipeline("http://h/v1").stages[0]
    assert isinstance(stage, Synthesize)
    assert stage.teacher is not None
    assert forecast(stage, stage.teacher, Budget(max_requests=2), 6, Kept())["worst"]["requests"] == 2  # type: ignore[index]
