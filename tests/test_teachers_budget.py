"""A budget holds before it is passed, decides alike on every run, and what was spent is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datakit.errors import ConfigError
from datakit.runner import apply
from datakit.stages.synthesize import Synthesize
from datakit.teachers import Arrived, Reply, Request, TeacherSpec, open_teacher
from datakit.teachers.budget import Budget, Price, worst_case
from datakit.teachers.metered import OVER, Metered
from tests.asking import ask, endpoint, nothing, opened
from tests.fakes.openai_server import Answer, openai_server

ROOT = Path(__file__).parents[1]
PRICE = Price(input=1, output=10)


class Costs:
    """A teacher whose replies cost a share of their worst case; it remembers who was asked."""

    paid = True

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = shares
        self.asked: list[int] = []
        self.waves: list[int] = []

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        self.waves.append(len(requests))
        replies = []
        for request in requests:
            self.asked.append(request.number)
            share = self.shares[request.number % len(self.shares)]
            replies.append(Reply("ok", "stop", *(int(most * share) for most in worst_case(request))))
        for place in reversed(range(len(replies))):
            arrived(place, replies[place])
        return replies

    def close(self) -> None:
        """Nothing is open."""


SHARES = st.lists(st.floats(0.05, 1), min_size=1, max_size=5)
CAPS = st.fixed_dictionaries(
    {},
    optional={
        "max_usd": st.floats(0.0001, 0.05), "max_tokens": st.integers(1, 20_000), "max_requests": st.integers(1, 30),
    },
)  # fmt: skip


@given(SHARES, CAPS, st.integers(1, 40), st.integers(1, 7))
def test_budget_is_never_passed_and_only_the_end_is_refused(
    shares: list[float], caps: dict[str, Any], count: int, rounds: int
) -> None:
    budget, teacher = Budget(**caps), Costs(shares)
    metered = Metered(teacher, budget, PRICE)
    replies = []
    for start in range(rounds):
        replies += metered.complete([ask("물어보기 " * 9, start * count + n) for n in range(count)], nothing)
    spent = metered.spent
    assert budget.max_usd is None or (spent.usd or 0) <= budget.max_usd
    assert budget.max_tokens is None or spent.tokens_in + spent.tokens_out <= budget.max_tokens
    assert budget.max_requests is None or spent.requests <= budget.max_requests
    refused = [reply is OVER for reply in replies]
    assert refused == sorted(refused), "who is refused is behind all who were asked"
    assert teacher.asked == list(range(refused.count(False)))
    assert caps or not any(refused)


def test_reserve_is_let_go_when_the_true_cost_is_known() -> None:
    """Ten worst cases fit; each reply costs a tenth of its own: about a hundred are asked, in a few waves."""
    teacher = Costs([0.1])
    most = sum(worst_case(ask("q")))
    replies = Metered(teacher, Budget(max_tokens=10 * most), None).complete([ask("q", n) for n in range(200)], nothing)
    asked = sum(reply is not OVER for reply in replies)
    assert 90 <= asked <= 100
    assert teacher.waves[0] == 10
    assert len(teacher.waves) < 40


@given(st.text(max_size=50))
def test_prompt_has_no_more_tokens_than_the_worst_case_says(text: str) -> None:
    """The most a tokenizer can make of a text: a token a byte, after the rewriting that makes it longest."""
    from unicodedata import normalize

    most, _ = worst_case(ask(text))
    assert most >= max(len(normalize(form, text).encode()) for form in ("NFC", "NFKC"))


def test_korean_and_expanding_letters_are_counted_in_bytes() -> None:
    base = worst_case(ask(""))[0]
    assert worst_case(ask("한글"))[0] - base == 6
    assert worst_case(ask("㈜"))[0] - base == len("(주)".encode())
    assert worst_case(ask("q", schema='{"type": "object"}'))[0] - base == 1 + 18


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts", [["한국어 문장을 토큰으로 나누면 음절보다 적다.", "안녕하세요 여러분"], ["An English one."]]
)
def test_worst_case_holds_for_a_real_tokenizer_with_its_chat_template(tiny_llama: Path, texts: list[str]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    for text in texts:
        turns = [{"role": "system", "content": text}, {"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert len(ids) <= worst_case(Request((("system", text), ("user", text))))[0]


# Over HTTP, with replies on disk


@pytest.mark.parametrize("cap", [{"max_tokens": 900}, {"max_usd": 0.0009}, {"max_requests": 7}])
def test_resumed_run_decides_like_the_one_that_was_not_killed(tmp_path: Path, cap: dict[str, Any]) -> None:
    """Stopped by a refused key in the middle and run again, at another speed: the same replies and the same figures."""
    refuse = [True]

    def script(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=401) if refuse[0] and number == 3 else Answer(usage=(40 + body["seed"], 5))

    budget = Budget(**cap, prices={"m": PRICE})
    requests = [ask("질문", number) for number in range(40)]

    def whole(folder: str, concurrency: int) -> tuple[list[Reply], dict[str, Any], int]:
        with opened(endpoint(server.url, concurrency=concurrency), tmp_path / folder, budget) as teacher:
            replies = teacher.complete(requests, nothing)
            return replies, teacher.spent.notes(1), teacher.spent.from_disk

    with openai_server(script) as server:
        from datakit.errors import TeacherError

        with pytest.raises(TeacherError):
            whole("killed", 1)
        refuse[0] = False
        resumed = whole("killed", 4)
        afresh = whole("afresh", 1)
        assert resumed[:2] == afresh[:2]
        assert (resumed[2], afresh[2]) == (3, 0)
        asked = len(server.bodies)
        assert whole("killed", 8)[:2] == afresh[:2]
        assert len(server.bodies) == asked, "from disk alone"
    assert 0 < sum(reply is OVER for reply in afresh[0]) < len(requests)
    assert {reply.finish_reason for reply in afresh[0]} == {"stop", "budget"}


def test_endpoint_that_tells_no_usage_is_counted_with_its_worst_case(tmp_path: Path) -> None:
    with (
        openai_server(lambda number, body: Answer(usage=None)) as server,
        opened(endpoint(server.url), tmp_path, Budget(max_requests=9)) as teacher,
    ):
        teacher.complete([ask("가", number) for number in range(2)], nothing)
        notes = teacher.spent.notes(1)
    assert notes["unreported"] == 2
    assert (notes["tokens_in"], notes["tokens_out"]) == tuple(2 * most for most in worst_case(ask("가")))


# In a stage


def test_stage_stops_cleanly_and_notes_what_was_spent_per_row(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (ROOT / "sample_data/replies.jsonl").read_text().splitlines()]
    recorded = tmp_path / "replies.jsonl"
    recorded.write_text("\n".join(json.dumps({**line, "tokens_in": 300, "tokens_out": 100}) for line in lines))
    settings = {"recipe": "alpaca", "seeds": str(ROOT / "sample_data/seeds.jsonl"), "teacher": f"replay:{recorded}"}
    budget = {"max_requests": 2, "prices": {str(recorded): {"input": 1, "output": 10}}}
    free = apply(Synthesize.model_validate(settings), [], kind="example")
    capped = apply(Synthesize.model_validate({**settings, "budget": budget}), [], kind="example")
    assert 0 < capped.rows.num_rows < free.rows.num_rows
    assert capped.rows["id"].to_pylist() == free.rows["id"].to_pylist()[: capped.rows.num_rows]
    spent = capped.notes["spent"]
    assert {name: spent[name] for name in ("requests", "tokens_in", "tokens_out", "usd")} == {
        "requests": 2, "tokens_in": 600, "tokens_out": 200, "usd": 0.0026,
    }  # fmt: skip
    assert spent["per_row"]["usd"] == pytest.approx(0.0026 / capped.rows.num_rows, abs=1e-6)


# Prices


def test_dollars_without_a_price_are_a_problem_by_name(tmp_path: Path) -> None:
    spec = endpoint("http://127.0.0.1:1/v1")
    with pytest.raises(ConfigError, match="no price is known for the model 'm'") as caught:
        open_teacher(spec, tmp_path, Budget(max_usd=1, prices={"other": PRICE}))
    assert "budget.prices: {m:" in caught.value.fix
    stage = Synthesize(
        recipe="alpaca", seeds=str(ROOT / "sample_data/seeds.jsonl"), teacher=spec, budget=Budget(max_usd=1)
    )
    assert [problem.path for problem in stage.problems()] == ["budget.max_usd"]
    assert spec.budget_problems(Budget(max_usd=1, prices={"m": PRICE})) == []
    assert spec.budget_problems(Budget(max_tokens=1)) == []
    assert TeacherSpec(use="local").budget_problems(Budget(max_usd=1)) == [], "nobody sends a bill"


@pytest.mark.parametrize("text", ["m: {input: 0.5, output: 2}", "prices:\n  m: {input: 0.5, output: 2}\n"])
def test_prices_come_from_a_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    budget = Budget(max_usd=1, prices=str(file))
    assert budget.price("m") == Price(input=0.5, output=2)
    assert budget.problems("m") == []
    inline = Budget(max_usd=1, prices={"m": Price(input=0.5, output=2), "n": PRICE})
    assert budget.identity("m") == inline.identity("m") != inline.identity("n")


@pytest.mark.parametrize(
    "text", ["- a\n- b", "m: {input: cheap, output: 2}", "m: {input: 1}", "{", "m: {input: -1, output: 2}"]
)
def test_broken_table_of_prices_is_a_problem(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    assert "no table of prices" in Budget(max_usd=1, prices=str(file)).problems("m")[0].message
    assert "no file at" in Budget(prices=str(tmp_path / "gone.yaml")).problems("m")[0].message


@pytest.mark.parametrize("caps", [{"max_usd": 0}, {"max_tokens": 0}, {"max_requests": -1}, {"max_usd": float("nan")}])
def test_budget_of_nothing_is_refused(caps: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Budget(**caps)
