"""Teachers over HTTP: what can't pass fails at once with the remedy, what may is tried again, Ctrl-C loses nothing."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import socket
import sys
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from threading import Barrier, Event
from typing import Any

import pytest

from datakit.errors import ConfigError, TeacherError
from datakit.pipeline import Pipeline
from datakit.teachers import RAW, Reply, Request, Teacher, TeacherSpec, open_teacher
from datakit.teachers.dialect import retry_after
from datakit.teachers.endpoint import Endpoint
from tests.asking import ask, endpoint, nothing, opened, replies_to
from tests.fakes.openai_server import Answer, openai_server

ROOT = Path(__file__).parents[1]


# What a spec says and refuses


def test_spec_from_text_names_teacher_and_model() -> None:
    assert TeacherSpec.model_validate("openai:gpt-x").model == "gpt-x"
    assert TeacherSpec.model_validate("local").identity() == {"use": "local", "model": "smollm2"}
    with pytest.raises(ValueError, match="base_url"):
        TeacherSpec.model_validate("http://127.0.0.1:1/v1")


def test_spec_identity_holds_no_address_no_key_no_speed() -> None:
    one = endpoint("http://a/v1", concurrency=1, key_env="A")
    other = endpoint("http://b/v1", concurrency=64, key_env="B", timeout=3, retries=0, rpm=9, tpm=9, batch=True)
    assert one.identity() == other.identity() == {"use": "openai", "model": "m"}
    assert endpoint("http://a/v1", extra={"min_p": 0.1}).identity() != one.identity()


def test_model_files_of_one_name_are_different_teachers(tmp_path: Path) -> None:
    marks = []
    for folder, content in (("a", b"GGUF one"), ("b", b"GGUF two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.gguf").write_bytes(content)
        marks.append(TeacherSpec(use="local", model=str(tmp_path / folder / "model.gguf")).identity())
    assert marks[0]["model"] == marks[1]["model"] == "model.gguf"
    assert marks[0] != marks[1]


def test_unknown_teacher_is_a_config_error_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no teacher 'parrot'") as caught:
        open_teacher(TeacherSpec(use="parrot"), tmp_path)
    assert "replay" in caught.value.fix


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"base_url": "https://me:CANARY@host/v1", "model": "m"}, "teacher.base_url"),
        ({"base_url": "https://host/v1?key=CANARY", "model": "m"}, "teacher.base_url"),
        ({"model": "m", "key_env": "sk-CANARY-0123"}, "teacher.key_env"),
        ({"use": "local", "batch": True}, "teacher.batch"),
        ({"use": "replay"}, "teacher"),
        ({"model": "m", "extra": {"n": 4}}, "teacher.extra"),
    ],
)
def test_spec_that_can_not_be_right_is_named_and_no_secret_is_quoted(settings: dict[str, Any], path: str) -> None:
    problems = TeacherSpec.model_validate(settings).problems()
    assert [problem.path for problem in problems] == [path]
    assert "CANARY" not in "".join(problem.line() for problem in problems)


# What is asked, and in which order


def test_endpoint_replies_come_in_the_order_of_the_requests(tmp_path: Path) -> None:
    """The first five are in flight together; the next is answered when the one before it in a random order is there."""
    barrier, order = Barrier(5), random.Random(1).sample(range(5), 5)
    turns = {number: Event() for number in order}
    turns[order[0]].set()
    after = dict(pairwise(order))
    arrivals: list[int] = []

    def echo(number: int, body: dict[str, Any]) -> Answer:
        if body["seed"] in turns:
            barrier.wait(10)
            turns[body["seed"]].wait(10)
        return Answer(text=body["messages"][0]["content"] + "!")

    def arrived(place: int, reply: Reply) -> None:
        arrivals.append(place)
        if place in after:
            turns[after[place]].set()

    requests = [ask(f"안녕 {n}", n) for n in range(20)]
    with openai_server(echo) as server:
        teacher = Endpoint(endpoint(server.url, concurrency=5), tmp_path)
        replies = teacher.complete(requests, arrived)
        teacher.close()
    assert [place for place in arrivals if place in turns] == order
    assert [reply.text for reply in replies] == [f"안녕 {n}!" for n in range(20)]
    assert sorted(arrivals) == list(range(20))


def test_sampling_settings_are_sent_only_where_they_are_set(tmp_path: Path) -> None:
    plain = ask("q", temperature=0.2, top_p=0.9)
    set_all = ask("q", 1, frequency_penalty=0.5, presence_penalty=-0.5, top_k=40, stop=("끝",))
    with openai_server(lambda number, body: Answer()) as server:
        replies_to(endpoint(server.url, concurrency=1, extra={"min_p": 0.05}), tmp_path, [plain, set_all])
        first, second = server.bodies
    assert first == {
        "model": "m", "messages": [{"role": "user", "content": "q"}], "max_tokens": 16, "temperature": 0.2,
        "top_p": 0.9, "seed": 0, "min_p": 0.05,
    }  # fmt: skip
    sent = {name: second[name] for name in ("frequency_penalty", "presence_penalty", "top_k", "stop", "seed")}
    assert sent == {"frequency_penalty": 0.5, "presence_penalty": -0.5, "top_k": 40, "stop": ["끝"], "seed": 1}


def test_raw_text_is_completed_where_the_endpoint_can(tmp_path: Path) -> None:
    """One message of role RAW goes to /completions as it is; an endpoint that knows none is named with the remedy."""
    request = Request(((RAW, "<|im_start|>user\n"),), "magpie", "ko", max_tokens=8)
    done = json.dumps({"choices": [{"text": "질문", "finish_reason": "stop"}], "usage": {"completion_tokens": 1}})
    with openai_server(lambda number, body: Answer(raw=done.encode())) as server:
        assert replies_to(endpoint(server.url), tmp_path, [request]) == [Reply("질문", "stop", 0, 1)]
        assert server.bodies[0]["prompt"] == "<|im_start|>user\n"
        assert "messages" not in server.bodies[0]
    with (
        openai_server(lambda number, body: Answer(status=404)) as server,
        pytest.raises(TeacherError, match="completes no raw text"),
    ):
        replies_to(endpoint(server.url), tmp_path / "other", [request])


def test_a_hundred_requests_are_in_flight_at_once(tmp_path: Path) -> None:
    barrier = Barrier(100)

    def together(number: int, body: dict[str, Any]) -> Answer:
        barrier.wait(30)
        return Answer()

    with openai_server(together) as server:
        requests = [ask("q", number) for number in range(100)]
        assert len(replies_to(endpoint(server.url, concurrency=100), tmp_path, requests)) == 100


# Structured output and what an endpoint doesn't know


def test_schema_is_sent_as_response_format(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(text="{}")) as server:
        replies_to(endpoint(server.url), tmp_path, [ask("q", schema=json.dumps({"type": "object"}))])
        assert server.bodies[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("status", [400, 422])
def test_endpoint_without_structured_output_is_asked_without_it_from_then_on(tmp_path: Path, status: int) -> None:
    def plain(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=status) if "response_format" in body else Answer(text='{"a": 1}')

    requests = [ask("q", number, schema='{"type": "object"}') for number in range(3)]
    with openai_server(plain) as server:
        first = replies_to(endpoint(server.url, concurrency=1), tmp_path, requests)
        assert ["response_format" in body for body in server.bodies] == [True, False, False, False]
        assert replies_to(endpoint(server.url, concurrency=1), tmp_path, requests) == first
        assert len(server.bodies) == 4, "the key of the reply is that of the question"


@pytest.mark.parametrize(
    ("field", "instead"), [("max_tokens", "max_completion_tokens"), ("seed", None), ("top_k", None)]
)
def test_field_that_the_endpoint_names_is_left_out(tmp_path: Path, field: str, instead: str | None) -> None:
    def picky(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=400, text=f"unsupported_parameter:{field}") if field in body else Answer()

    with openai_server(picky) as server:
        replies_to(endpoint(server.url, concurrency=1), tmp_path, [ask("q", n, top_k=3) for n in range(2)])
        assert [field in body for body in server.bodies] == [True, False, False]
        assert instead is None or server.bodies[-1][instead] == 16


@pytest.mark.parametrize(
    ("code", "reason"), [("context_length_exceeded", "too_long"), ("content_filter", "content_filter")]
)
def test_refusal_of_one_request_alone_is_an_empty_reply_by_name(tmp_path: Path, code: str, reason: str) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=400, text=code) if body["seed"] == 1 else Answer(text="ok")

    with openai_server(script) as server:
        replies = replies_to(endpoint(server.url), tmp_path, [ask("q", number) for number in range(3)])
    assert [reply.finish_reason for reply in replies] == ["stop", reason, "stop"]
    assert replies[1].text == ""


# What may pass


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=status) if number < 2 else Answer(text="ok")

    with openai_server(script) as server:
        assert replies_to(endpoint(server.url), tmp_path, [ask("q")])[0].text == "ok"
        assert len(server.bodies) == 3


def test_storm_of_429_with_retry_after_is_sat_out(tmp_path: Path) -> None:
    """A server that takes four at once and turns the others away: all 60 get their reply, in few tries."""
    busy: set[int] = set()

    def crowded(number: int, body: dict[str, Any]) -> Answer:
        if len(busy) >= 4:
            return Answer(status=429, headers={"Retry-After": "0.02"})
        busy.add(number)
        Event().wait(0.005)
        busy.discard(number)
        return Answer(text=str(body["seed"]))

    requests = [ask("q", number) for number in range(60)]
    with openai_server(crowded) as server:
        replies = replies_to(endpoint(server.url, concurrency=40, retries=20), tmp_path, requests)
        assert [reply.text for reply in replies] == [str(number) for number in range(60)]
        assert len(server.bodies) < 300


def test_retry_after_is_seconds_milliseconds_or_a_date_by_the_servers_clock() -> None:
    now = 1_700_000_000.0
    assert retry_after({"retry-after": "7"}, now) == 7
    assert retry_after({"retry-after": "7", "retry-after-ms": "250"}, now) == 0.25
    assert retry_after({"retry-after": formatdate(now + 90, usegmt=True)}, now) == 90
    skewed = {"retry-after": formatdate(now + 90, usegmt=True), "date": formatdate(now + 60, usegmt=True)}
    assert retry_after(skewed, now) == 30
    assert retry_after({"retry-after": formatdate(now - 90, usegmt=True)}, now) == 0
    assert retry_after({"retry-after": "soon"}, now) == retry_after({}, now) == 0


def test_endpoint_that_has_closed_for_today_is_an_error_at_once(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(status=429, headers={"Retry-After": "86400"})) as server:
        with pytest.raises(TeacherError, match="asks to wait 86400 seconds"):
            replies_to(endpoint(server.url), tmp_path, [ask("q")])
        assert len(server.bodies) == 1


@pytest.mark.parametrize("raw", [b'{"choices": [', b"<html>hello</html>", b"{}", b'{"choices": []}'])
def test_answers_that_are_none_are_tried_again_then_named(tmp_path: Path, raw: bytes) -> None:
    with openai_server(lambda number, body: Answer(raw=raw)) as server:
        with pytest.raises(TeacherError, match="can't be read"):
            replies_to(endpoint(server.url, retries=1), tmp_path, [ask("q")])
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    "reply", [Answer(text=""), Answer(text="가" * 350_000), Answer(text="한 ", finish_reason="length")]
)
def test_odd_replies_are_replies_and_come_back_the_same_from_disk(tmp_path: Path, reply: Answer) -> None:
    with openai_server(lambda number, body: reply) as server:
        first = replies_to(endpoint(server.url), tmp_path, [ask("q")])
        assert replies_to(endpoint(server.url), tmp_path, [ask("q")]) == first
        assert len(server.bodies) == 1
    assert first == [Reply(reply.text, reply.finish_reason, 3, 2)]


def test_connection_that_breaks_is_tried_again_then_named(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(cut=number < 2)) as server:
        assert replies_to(endpoint(server.url), tmp_path, [ask("q")])[0].text == "fine"
    with (
        openai_server(lambda number, body: Answer(cut=True)) as server,
        pytest.raises(TeacherError, match="connection breaks"),
    ):
        replies_to(endpoint(server.url, retries=1), tmp_path, [ask("p")])


def test_stalled_endpoint_is_named_with_the_setting(tmp_path: Path) -> None:
    over = Event()

    def stall(number: int, body: dict[str, Any]) -> Answer:
        over.wait(20)
        return Answer()

    with openai_server(stall) as server:
        with pytest.raises(TeacherError, match=r"no reply within 0\.1 seconds") as caught:
            replies_to(endpoint(server.url, timeout=0.1, retries=1), tmp_path, [ask("q")])
        over.set()
        assert len(server.bodies) == 2
    assert "teacher.timeout" in caught.value.fix


# What can't pass


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "", "refuses the key"),
        (404, "", "no model"),
        (400, "bad", "HTTP 400"),
        (429, "insufficient_quota", "quota"),
    ],
)
def test_what_can_not_pass_fails_at_once_with_the_remedy(tmp_path: Path, status: int, code: str, said: str) -> None:
    with openai_server(lambda number, body: Answer(status=status, text=code)) as server:
        with pytest.raises(TeacherError, match=said) as caught:
            replies_to(endpoint(server.url), tmp_path, [ask("q")])
        assert len(server.bodies) == 1
        assert (caught.value.exit_code, caught.value.where) == (8, server.url)
        assert "kept" in caught.value.fix


def test_endless_overload_ends_with_the_remedy(tmp_path: Path) -> None:
    with (
        openai_server(lambda number, body: Answer(status=429)) as server,
        pytest.raises(TeacherError, match="HTTP 429 after 3 tries"),
    ):
        replies_to(endpoint(server.url, retries=2), tmp_path, [ask("q")])


def test_failure_breaks_off_the_waiting_of_the_others(tmp_path: Path) -> None:
    """One waits a minute for its next try; the key that is refused meanwhile ends that wait."""
    waiting = Event()

    def script(number: int, body: dict[str, Any]) -> Answer:
        if body["seed"] == 0:
            waiting.set()
            return Answer(status=500, headers={"Retry-After": "60"})
        waiting.wait(10)
        return Answer(status=401)

    with openai_server(script) as server, pytest.raises(TeacherError, match="refuses the key"):
        replies_to(endpoint(server.url), tmp_path, [ask("q", number) for number in range(2)])


def test_endpoint_that_is_down_is_named_with_what_to_start(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(TeacherError, match="nothing answers") as caught:
        replies_to(endpoint(url), tmp_path, [ask("q")])
    assert caught.value.where == url
    assert "start the server" in caught.value.fix


# Keys and logs


def test_key_and_prompt_are_in_no_log_no_file_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-CANARY-KEY")
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpx", "httpcore", "aiohttp", "asyncio", "datakit"):
        caplog.set_level(logging.DEBUG, logger=name)

    def script(number: int, body: dict[str, Any]) -> Answer:
        statuses = (200, 500, 429, 200, 401)
        return Answer(status=statuses[number], text="CANARY-REPLY" if number == 0 else "ok")

    with openai_server(script) as server:
        spec = endpoint(server.url, key_env="MY_KEY")
        with opened(spec, tmp_path) as teacher:
            teacher.complete([ask("CANARY-PROMPT")], nothing)
            teacher.complete([ask("CANARY-PROMPT", 1)], nothing)
            with pytest.raises(TeacherError) as caught:
                teacher.complete([ask("CANARY-PROMPT", 2)], nothing)
        assert server.keys == ["Bearer sk-CANARY-KEY"] * 5
    assert caplog.records
    assert "CANARY" not in caplog.text + str(caught.value.as_dict()) + str(spec.identity()) + repr(spec)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"CANARY-REPLY" in files, "what was looked for would have been found"
    assert b"CANARY-KEY" not in files
    assert b"CANARY-PROMPT" not in files


def test_missing_key_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(TeacherError, match="OPENAI_API_KEY"):
        replies_to(TeacherSpec(model="gpt-x"), tmp_path, [ask("q")])


# Ctrl-C

INTERRUPTED = """
import sys
from pathlib import Path
from tests.asking import ask, endpoint, nothing, opened
url, cache = sys.argv[1:]
with opened(endpoint(url, concurrency=3), Path(cache), tell=lambda text: print(text, flush=True)) as teacher:
    print("ready", flush=True)
    teacher.complete([ask("q", number) for number in range(50)], nothing)
"""


@pytest.mark.parametrize("twice", [False, True])
def test_ctrl_c_waits_for_what_is_in_flight_and_a_second_one_does_not(tmp_path: Path, twice: bool) -> None:
    asked, answer = Barrier(4), Event()

    def script(number: int, body: dict[str, Any]) -> Answer:
        asked.wait(20)
        answer.wait(20)
        return Answer(text="paid")

    with openai_server(script) as server:
        program = [sys.executable, "-c", INTERRUPTED, server.url, str(tmp_path)]
        with Popen(program, cwd=ROOT, stdout=-1, stderr=-1, text=True, env={**os.environ, "PYTHONPATH": "."}) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            asked.wait(20)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline().startswith("interrupted: waiting for 3 requests")
            if twice:
                child.send_signal(signal.SIGINT)
            else:
                answer.set()
            assert child.wait(20) != 0
            assert child.stderr is not None
            assert "KeyboardInterrupt" in child.stderr.read()
        answer.set()
        assert len(server.bodies) == 3
    files = list((tmp_path / "replies").glob("*.jsonl"))
    kept = sum(path.read_bytes().count(b"\n") for path in files)
    assert kept == (0 if twice else 3)


# Recorded replies


def test_replay_goes_by_when_then_number_then_default(tmp_path: Path) -> None:
    lines = [
        {"purpose": "classify", "when": "고르시오", "text": "예"},
        {"purpose": "classify", "language": "ko", "text": "첫째"},
        {"purpose": "classify", "language": "en", "text": "first", "tokens_in": 9, "tokens_out": 1},
        {"purpose": "classify", "text": "나머지", "default": True},
    ]
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    teacher = open_teacher(TeacherSpec(use="replay", model=str(file)), tmp_path)

    def reply(text: str, language: str, number: int, purpose: str = "classify") -> Reply:
        return teacher.complete([Request((("user", text),), purpose, language, number)], nothing)[0]

    assert reply("하나를 고르시오.", "ko", 5).text == "예"
    assert reply("쓰시오.", "ko", 0).text == "첫째"
    assert reply("Write.", "en", 0) == Reply("first", "stop", 9, 1)
    assert reply("쓰시오.", "ko", 1).text == "나머지"
    assert reply("쓰시오.", "ko", 0, "tasks") == Reply("", "none")


def test_replay_of_a_broken_file_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('{"text": "fine"}\n{"txt": 1}\n')
    with pytest.raises(TeacherError) as caught:
        open_teacher(TeacherSpec(use="replay", model=str(file)), tmp_path)
    assert caught.value.where.endswith(":2")


def test_teachers_load_no_client_before_they_are_asked(tmp_path: Path) -> None:
    teacher: Teacher = open_teacher(TeacherSpec.model_validate("local"), tmp_path)
    teacher.close()
    assert not (tmp_path / "replies").exists()


def test_settings_of_teacher_and_budget_are_listed_by_the_names_that_set_takes() -> None:
    from datakit import api

    listed = {setting["name"]: setting for setting in api.stages("synthesize.self_instruct")[0]["settings"]}
    assert listed["teacher.rpm"]["help"].startswith("Most requests a minute")
    assert listed["teacher.concurrency"]["default"] == 8
    assert listed["budget.max_usd"]["help"]


def test_pipeline_takes_a_teacher_and_a_budget_from_the_command_line(tmp_path: Path) -> None:
    overrides = ["synthesize.teacher={base_url: 'http://h/v1', model: m}", "synthesize.budget.max_requests=5"]
    data = {"name": "x", "stages": [{"use": "synthesize", "recipe": "alpaca", "seeds": "sample_data/seeds.jsonl"}]}
    stage: Any = Pipeline.from_dict(data, [*overrides, "synthesize.teacher.replay=true"]).stages[0]
    assert (stage.teacher.replay, stage.teacher.model, stage.budget.max_requests) == (True, "m", 5)
