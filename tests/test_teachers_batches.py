"""The Batch API: sent once, whatever is killed and when; what a batch left over goes into the next."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from datakit.errors import TeacherError
from datakit.teachers import TeacherSpec, batches
from tests.asking import ask, endpoint, nothing, opened, replies_to
from tests.fakes.batch_server import Result, batch_server

ROOT = Path(__file__).parents[1]
REQUESTS = [ask(f"질문 {number}", number) for number in range(6)]


def batched(url: str, **settings: Any) -> TeacherSpec:
    return endpoint(url, batch=True, **settings)


def echo(body: dict[str, Any]) -> Result:
    return Result(body["messages"][0]["content"] + "!")


def test_batch_brings_replies_in_the_order_of_the_requests_once(tmp_path: Path) -> None:
    said: list[str] = []
    with batch_server() as server:
        server.answer, server.looks = echo, 3
        with opened(batched(server.url), tmp_path, tell=said.append) as teacher:
            replies = teacher.complete(REQUESTS, nothing)
        assert replies_to(batched(server.url), tmp_path, REQUESTS) == replies
        assert len(server.paid) == len(REQUESTS) == len(set(server.paid))
    assert [reply.text for reply in replies] == [f"질문 {number}!" for number in range(6)]
    assert (replies[0].tokens_in, replies[0].tokens_out) == (3, 2)
    assert said[0].startswith("batch batch-0: 6 requests sent")
    assert "6 of 6 replies" in said[1]
    assert said[-1] == "spent 6 requests (0 answered from disk): 18 tokens in, 12 out"


def test_replies_of_a_batch_are_those_of_single_requests(tmp_path: Path) -> None:
    """One file of replies for both ways: what came by one is not asked by the other."""
    with batch_server() as server:
        server.answer = echo
        first = replies_to(batched(server.url), tmp_path, REQUESTS)
    assert replies_to(endpoint("http://127.0.0.1:9/v1"), tmp_path, REQUESTS) == first


CHILD = """
import sys
from pathlib import Path
from tests.asking import ask, endpoint, replies_to
url, cache = sys.argv[1:]
replies_to(endpoint(url, batch=True), Path(cache), [ask(f"질문 {number}", number) for number in range(6)])
"""


@pytest.mark.parametrize(
    ("method", "path", "when"),
    [
        ("POST", "/files", "after"),
        ("POST", "/batches", "before"),
        ("POST", "/batches", "after"),
        ("GET", "/batches/batch-0", "after"),
        ("GET", "/files/file-1/content", "after"),
    ],
)
def test_killed_process_sends_no_request_twice(tmp_path: Path, method: str, path: str, when: str) -> None:
    """Killed (kill -9) at every step: also when the batch was created and its id never reached the process."""
    child: list[Popen[bytes]] = []

    def kill(*called: str) -> int:
        if called == (method, path) and child[0].poll() is None:
            os.kill(child[0].pid, signal.SIGKILL)
            child[0].wait(10)
            return 500 if when == "before" else 200
        return 200

    with batch_server() as server:
        server.answer = echo
        setattr(server, when, kill)
        program = [sys.executable, "-c", CHILD, server.url, str(tmp_path)]
        child.append(Popen(program, cwd=ROOT, stderr=DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}))
        assert child[0].wait(60) == -signal.SIGKILL
        server.before, server.after = (lambda method, path: 200), (lambda method, path: None)
        replies = replies_to(batched(server.url), tmp_path, REQUESTS)
        assert [reply.text for reply in replies] == [f"질문 {number}!" for number in range(6)]
        assert len(server.paid) == len(set(server.paid)) == len(REQUESTS)


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_a_batch_left_over_goes_into_the_next(tmp_path: Path, end: str) -> None:
    """The first one ends early: two replies, one 500, one 429, two never begun."""
    bad = {1: Result(status=500), 2: Result(status=429), 3: Result(missing=True), 4: Result(missing=True)}

    def answer(body: dict[str, Any]) -> Result:
        return bad.get(body["seed"], echo(body)) if not server.batches else echo(body)

    with batch_server() as server:
        server.answer, server.ends = answer, lambda number: "completed" if number else end
        replies = replies_to(batched(server.url), tmp_path, REQUESTS)
        assert [reply.text for reply in replies] == [f"질문 {number}!" for number in range(6)]
        assert len(server.batches) == 2
        assert len(server.paid) == 6 + 4


def test_endpoint_without_structured_output_gets_a_second_batch_without_it(tmp_path: Path) -> None:
    def plain(body: dict[str, Any]) -> Result:
        return Result(status=400) if "response_format" in body else Result("{}")

    with batch_server() as server:
        server.answer = plain
        requests = [ask("q", number, schema='{"type": "object"}') for number in range(3)]
        assert [reply.text for reply in replies_to(batched(server.url), tmp_path, requests)] == ["{}"] * 3
        assert len(server.batches) == 2


def test_refusal_in_a_batch_keeps_the_other_replies(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Result:
        return Result(status=400, code="bad_thing") if body["seed"] == 2 else echo(body)

    with batch_server() as server:
        server.answer = answer
        with pytest.raises(TeacherError, match=r"HTTP 400 \(bad_thing\)"):
            replies_to(batched(server.url), tmp_path, REQUESTS)
        server.answer = echo
        replies_to(batched(server.url), tmp_path, REQUESTS)
        assert len(server.paid) == 6 + 1


def test_too_long_request_in_a_batch_is_an_empty_reply(tmp_path: Path) -> None:
    with batch_server() as server:
        server.answer = lambda body: Result(status=400, code="context_length_exceeded") if body["seed"] else echo(body)
        replies = replies_to(batched(server.url), tmp_path, REQUESTS[:2])
    assert [reply.finish_reason for reply in replies] == ["stop", "too_long"]


def test_batch_that_never_answers_ends_with_a_name(tmp_path: Path) -> None:
    with batch_server() as server:
        server.answer = lambda body: Result(missing=True)
        with pytest.raises(TeacherError, match="6 requests had no reply in any batch"):
            replies_to(batched(server.url, retries=1), tmp_path, REQUESTS)
        assert len(server.batches) == 2


def test_refused_batch_is_an_error_and_sent_anew_by_the_next_run(tmp_path: Path) -> None:
    with batch_server() as server:
        server.answer, server.ends = echo, lambda number: "completed" if number else "failed"
        with pytest.raises(TeacherError, match=r"refuses the batch \(bad_file\)"):
            replies_to(batched(server.url), tmp_path, REQUESTS)
        assert len(replies_to(batched(server.url), tmp_path, REQUESTS)) == 6


@pytest.mark.parametrize(("status", "said"), [(401, "refuses the key"), (404, "no such batch"), (400, "HTTP 400")])
def test_endpoint_that_refuses_files_is_named(tmp_path: Path, status: int, said: str) -> None:
    with batch_server() as server:
        server.before = lambda method, path: status
        with pytest.raises(TeacherError, match=said):
            replies_to(batched(server.url), tmp_path, REQUESTS)


def test_many_requests_go_in_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_REQUESTS", 4)
    with batch_server() as server:
        server.answer = echo
        assert len(replies_to(batched(server.url), tmp_path, REQUESTS)) == 6
        assert len(server.batches) == 2
    monkeypatch.setattr(batches, "MOST_BYTES", 10)
    with batch_server() as server:
        server.answer = echo
        replies_to(batched(server.url), tmp_path / "b", REQUESTS)
        assert len(server.batches) == 6


def test_torn_line_of_the_ledger_is_passed_over(tmp_path: Path) -> None:
    ledger = batches.Ledger(tmp_path / "l.jsonl")
    ledger.add(file="a", ids=["1", "2"])
    ledger.add(file="a", batch="b")
    ledger.path.write_bytes(ledger.path.read_bytes() + b'\n{"file": "a", "do')
    ledger.add(file="c", ids=["3"])
    jobs = ledger.jobs()
    assert [(job.file, job.batch, job.done, sorted(job.ids)) for job in jobs] == [
        ("a", "b", False, ["1", "2"]), ("c", "", False, ["3"])
    ]  # fmt: skip
