"""Teachers on this machine: a reply depends on the model, the request and its seed alone; no network."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest

from datakit import api
from datakit.errors import TeacherError
from datakit.teachers import RAW, Request, TeacherSpec
from datakit.teachers.inprocess import InProcess
from datakit.teachers.structured import parse_json
from tests.asking import ask, endpoint, nothing, opened, replies_to

ROOT = Path(__file__).parents[1]
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"fruit": {"type": "string", "maxLength": 20}, "sweet": {"type": "boolean"}},
        "required": ["fruit", "sweet"],
    }
)


@pytest.fixture(scope="module")
def tiny(tiny_llama: Path) -> Iterator[InProcess]:
    teacher = InProcess(TeacherSpec(use="transformers", model=str(tiny_llama)), tiny_llama.parent / "cache")
    yield teacher
    teacher.close()


def answer(teacher: InProcess, *requests: Request) -> list[str]:
    return [reply.text for reply in teacher.complete(requests, nothing)]


def test_reply_depends_on_the_request_alone(tiny: InProcess) -> None:
    requests = [ask("비가 오면 왜 무지개가 뜨나요?", number) for number in range(3)]
    together = answer(tiny, *requests)
    assert [answer(tiny, request)[0] for request in reversed(requests)] == together[::-1]
    assert len(set(together)) == 3, "each seed draws anew"
    greedy = [ask("q", number, temperature=0.0) for number in range(2)]
    assert len(set(answer(tiny, *greedy))) == 1


def test_length_stop_and_raw_text(tiny: InProcess) -> None:
    (cut,) = tiny.complete([ask("질문", max_tokens=5, temperature=0.0)], nothing)
    assert (cut.finish_reason, cut.tokens_out) == ("length", 5)
    raw, chat = tiny.complete([Request(((RAW, "질문"),), max_tokens=4), ask("질문", max_tokens=4)], nothing)
    assert raw.tokens_in < chat.tokens_in
    whole = tiny.complete([ask("질문", 7, max_tokens=12)], nothing)[0].text
    stop = next(letter for letter in whole[2:] if letter.strip())
    (stopped,) = tiny.complete([ask("질문", 7, max_tokens=12, stop=(stop,))], nothing)
    assert (stopped.text, stopped.finish_reason) == (whole.partition(stop)[0], "stop")


def test_prompt_beyond_the_context_is_an_empty_reply_by_name(tiny: InProcess) -> None:
    (reply,) = tiny.complete([ask("무지개 " * 20_000)], nothing)
    assert (reply.text, reply.finish_reason) == ("", "too_long")


def test_penalties_lower_what_the_reply_holds_already_and_nothing_else() -> None:
    import torch

    from datakit.teachers.inprocess import Penalties

    scores = Penalties(2, frequency=0.5, presence=1.0)(torch.tensor([[4, 4, 1, 3, 1]]), torch.zeros(1, 6))
    assert scores.tolist() == [[0.0, -2.0, 0.0, -1.5, 0.0, 0.0]]


def test_replies_are_kept_and_a_different_model_is_a_different_teacher(tiny_llama: Path, tmp_path: Path) -> None:
    spec = TeacherSpec(use="transformers", model=str(tiny_llama))
    with opened(spec, tmp_path) as teacher:
        first = teacher.complete([ask("q")], nothing)
    with opened(spec, tmp_path) as teacher:
        assert teacher.complete([ask("q")], nothing) == first
        assert teacher.spent.from_disk == 1
        assert teacher.teacher.teacher.model is None, "no weights were read"  # type: ignore[attr-defined]
    assert spec.identity()["content"]


# Real models


@pytest.mark.slow
def test_local_server_answers_the_same_twice_and_obeys_a_schema(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    requests = [
        *(ask("Name two fruits.", number, max_tokens=24) for number in range(3)),
        ask("Describe a banana as JSON.", schema=SCHEMA, max_tokens=60, temperature=0.0),
        ask("Count: one, two,", stop=(",",), max_tokens=24, frequency_penalty=0.5, presence_penalty=0.5, top_k=20),
        Request(((RAW, "<|im_start|>user\n"),), max_tokens=24, seed=1),
    ]
    runs = [replies_to(TeacherSpec.model_validate("local"), tmp_path / run, requests) for run in "ab"]
    assert runs[0] == runs[1]
    assert all(reply.tokens_out for reply in runs[0])
    value, fault = parse_json(runs[0][3].text)
    assert fault == ""
    assert set(value) == {"fruit", "sweet"}
    assert "," not in runs[0][4].text


@pytest.mark.slow
def test_local_server_says_by_name_what_is_too_long(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (reply,) = replies_to(TeacherSpec.model_validate("local"), tmp_path, [ask("rainbow " * 6000)])
    assert (reply.text, reply.finish_reason) == ("", "too_long")


@pytest.mark.slow
def test_broken_model_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "half.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(TeacherError, match="can't be served") as caught:
        replies_to(TeacherSpec(use="local", model=str(tmp_path / "half.gguf")), tmp_path, [ask("q")])
    assert caught.value.where.endswith("half.gguf")


@pytest.mark.slow
def test_one_model_answers_the_same_in_this_process_and_through_transformers_serve(tmp_path: Path) -> None:
    """The GGUF as a folder, asked in this process and over HTTP from a server of somebody else's."""
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        pytest.skip("needs transformers[serving]")
    from datakit.cache import cache_folder
    from datakit.models import resolve_base

    folder = resolve_base("smollm2", cache_folder()).folder
    requests = [
        ask("Name two fruits.", max_tokens=8, temperature=0.0, seed=None),
        ask("What is rain?", 1, max_tokens=8, temperature=0.0),
    ]
    here = replies_to(TeacherSpec(use="transformers", model=str(folder)), tmp_path / "here", requests)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "hf" / "hub").mkdir(parents=True)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", str(folder)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with Popen([*program, *options], env=environment, stdout=DEVNULL, stderr=DEVNULL) as server:
        try:
            spec = endpoint(f"http://127.0.0.1:{port}/v1", retries=20, timeout=120).model_copy(
                update={"model": str(folder)}
            )
            wait_until_it_answers(port, server)
            served = replies_to(spec, tmp_path / "served", requests)
        finally:
            server.terminate()
    assert [reply.text.strip() for reply in served] == [reply.text.strip() for reply in here]
    assert all(reply.tokens_out for reply in served)


def wait_until_it_answers(port: int, server: Popen[bytes]) -> None:
    """The server imports for a while before it listens."""
    import time

    for _ in range(600):
        assert server.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the server never listened")


@pytest.mark.slow
def test_self_instruct_with_the_local_teacher_accepts_english_rows_without_network(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of the README; what it cost is told, and the second run asks nobody."""
    pytest.importorskip("xllamacpp")
    monkeypatch.chdir(ROOT)
    settings = {"teacher": "local", "language": "en", "rows": 2, "max_requests": 24, "max_tokens": 120}
    overrides = [f"synthesize.{name}={value}" for name, value in settings.items()]
    said: list[str] = []

    def run(store: str) -> api.Done:
        given = [*overrides, f"export.path={here / store}/out"]
        return api.run("pipelines/self_instruct.yaml", store=str(here / store), set=given, tell=said.append)

    done, again = run("first"), run("second")
    assert done.manifest.rows >= 1
    assert done.manifest.digest == again.manifest.digest
    spent = done.manifest.stages[0].notes["spent"]
    assert spent["tokens_out"] > 0
    assert any(f"({spent['requests']:,} answered from disk)" in line for line in said)
