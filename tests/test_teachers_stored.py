"""Replies on disk: nothing that arrived is asked twice, whatever is killed, torn, raced for or run again."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import StoreError, TeacherError
from datakit.runner import apply
from datakit.stages.synthesize import Synthesize
from datakit.teachers import LATER, Reply, Request, TeacherSpec
from datakit.teachers.stored import ReplyFile, StoredReplies
from tests.asking import ask, endpoint, nothing, opened, replies_to
from tests.fakes.openai_server import Answer, openai_server

ROOT = Path(__file__).parents[1]


def stored(metered: Any) -> StoredReplies:
    found = metered.teacher
    assert isinstance(found, StoredReplies)
    return found


# Never twice


def test_second_asking_costs_nothing(tmp_path: Path) -> None:
    with openai_server(lambda number, body: Answer(text=f"답 {number}")) as server:
        first = replies_to(endpoint(server.url), tmp_path, [ask("가"), ask("나")])
        with opened(endpoint(server.url, concurrency=2), tmp_path) as again:
            assert again.complete([ask("나"), ask("가")], nothing) == [first[1], first[0]]
            assert (stored(again).asked, stored(again).reused) == (0, 2)
        assert len(server.bodies) == 2


def test_replies_before_a_failure_are_kept(tmp_path: Path) -> None:
    """The third request finds the key refused; the first two are not asked again after it is mended."""
    refuse = [True]

    def script(number: int, body: dict[str, Any]) -> Answer:
        return Answer(status=401) if refuse[0] and number == 2 else Answer(text="ok")

    requests = [ask(f"q{n}") for n in range(4)]
    with openai_server(script) as server:
        with pytest.raises(TeacherError, match="refuses the key"):
            replies_to(endpoint(server.url, concurrency=1), tmp_path, requests)
        refuse[0] = False
        with opened(endpoint(server.url, concurrency=1), tmp_path) as teacher:
            assert len(teacher.complete(requests, nothing)) == 4
            assert (stored(teacher).asked, stored(teacher).reused) == (2, 2)


def test_everything_that_shapes_a_reply_is_in_its_key(tmp_path: Path) -> None:
    base = Request((("user", "q"),), max_tokens=8)
    others = [
        Request((("system", "s"), ("user", "q")), max_tokens=8),
        Request((("user", "q"),), max_tokens=9),
        *(
            Request((("user", "q"),), max_tokens=8, **one)
            for one in (
                {"temperature": 0.1}, {"top_p": 0.5}, {"seed": 1}, {"stop": ("x",)}, {"schema": '{"type": "object"}'},
                {"frequency_penalty": 0.5}, {"presence_penalty": 0.5}, {"top_k": 5},
            )
        ),
    ]  # fmt: skip
    with openai_server(lambda number, body: Answer(text=str(number))) as server:
        with opened(endpoint(server.url, concurrency=1), tmp_path) as teacher:
            teacher.complete([base, base, *others], nothing)
            assert stored(teacher).asked == 1 + len(others)
        replies_to(endpoint(server.url, concurrency=1).model_copy(update={"model": "n"}), tmp_path, [base])
        assert len(server.bodies) == 2 + len(others)
        assert server.bodies[6]["stop"] == ["x"]


def test_fields_that_came_later_leave_old_keys_alone() -> None:
    assert LATER.keys() & ask("q").shape().keys() == set()
    assert ask("q", top_k=3).shape()["top_k"] == 3


# Kill -9

CHILD = """
import sys
from pathlib import Path
from tests.asking import ask, endpoint, nothing, opened
url, cache = sys.argv[1:]
with opened(endpoint(url, concurrency=2), Path(cache)) as teacher:
    for turn in range(3):
        teacher.complete([ask(f"round {turn}", number) for number in range(4)], nothing)
"""


def test_killed_process_has_paid_for_nothing_twice(tmp_path: Path) -> None:
    """A real process is killed while its 3rd, then while its 9th request is asked. What it was told is not asked again:
    only what was in flight, at most as many as `concurrency`, may be."""
    kill_at, child = [2, 9], list[Popen[bytes]]()
    told: Counter[tuple[str, int]] = Counter()
    asked: Counter[tuple[str, int]] = Counter()

    def script(number: int, body: dict[str, Any]) -> Answer:
        name = (body["messages"][0]["content"], body["seed"])
        asked[name] += 1
        if kill_at and number == kill_at[0]:
            kill_at.pop(0)
            os.kill(child[0].pid, signal.SIGKILL)
            child[0].wait(10)
            raise ConnectionError
        told[name] += 1
        return Answer(text=f"{name}")

    with openai_server(script) as server:
        program = [sys.executable, "-c", CHILD, server.url, str(tmp_path / "killed")]
        codes = []
        while not codes or codes[-1]:
            child[:] = [Popen(program, cwd=ROOT, stderr=DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})]
            codes.append(child[0].wait(60))
        assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
        assert len(asked) == 12
        twice = [name for name, times in asked.items() if times > 1]
        assert 2 <= len(twice) <= 2 * 2, "no more than was in flight at each kill"
        before = len(server.bodies)
        requests = [ask(f"round {turn}", number) for turn in range(3) for number in range(4)]
        resumed = replies_to(endpoint(server.url), tmp_path / "killed", requests)
        assert len(server.bodies) == before, "all were on disk"
        assert replies_to(endpoint(server.url), tmp_path / "never killed", requests) == resumed


# Half lines, and other processes


@given(cut=st.integers(1, 200), text=st.text(max_size=40))
def test_file_torn_anywhere_loses_the_torn_reply_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int, text: str
) -> None:
    path = tmp_path_factory.mktemp("torn") / "replies.jsonl"
    first = ReplyFile(path)
    replies = {f"{number:040x}": Reply(f"{text}{number}", "stop", number, 1) for number in range(3)}
    for key, reply in replies.items():
        first.keep(key, reply)
    first.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][: -min(cut, len(lines[2]))])
    again = ReplyFile(path)
    assert len(again) == 2
    again.keep(f"{9:040x}", Reply("new"))
    again.keep(f"{2:040x}", replies[f"{2:040x}"])
    again.close()
    whole = ReplyFile(path)
    assert whole.read(list(replies)) == list(replies.values())
    assert whole.read([f"{9:040x}"]) == [Reply("new")]


def test_lone_surrogate_and_line_breaks_come_back_as_they_were(tmp_path: Path) -> None:
    text = "가\ud800\u2028\n\r\x00끝"
    file = ReplyFile(tmp_path / "replies.jsonl")
    file.keep("ab" * 20, Reply(text))
    file.close()
    assert ReplyFile(tmp_path / "replies.jsonl").read(["ab" * 20]) == [Reply(text)]


APPENDS = """
import sys
from pathlib import Path
from datakit.teachers import Reply
from datakit.teachers.stored import ReplyFile
path, writer = sys.argv[1:]
file = ReplyFile(Path(path))
sys.stdin.readline()
for number in range(200):
    # Every second key is written by both; long lines would be torn by writes in several pieces.
    key = f"{number if number % 2 else (number + 1) * 1000 + int(writer):040x}"
    file.keep(key, Reply(writer * (20_000 if number % 50 == 0 else 30)))
file.close()
"""


def test_two_processes_append_to_one_file_and_the_first_reply_counts_for_both(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    programs = [[sys.executable, "-c", APPENDS, str(path), writer] for writer in "12"]
    children = [Popen(program, cwd=ROOT, stdin=PIPE) for program in programs]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.close()
    assert [child.wait(60) for child in children] == [0, 0]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert all(len(set(row["text"])) == 1 for row in rows), "no line holds pieces of two"
    assert len(rows) == len({row["key"] for row in rows}) == 100 + 2 * 100


def test_reply_that_another_run_paid_meanwhile_is_used(tmp_path: Path) -> None:
    """Both asked before either was answered: the reply that reached the disk first is the one that both use."""
    file, other = ReplyFile(tmp_path / "r.jsonl"), ReplyFile(tmp_path / "r.jsonl")
    other.keep("cd" * 20, Reply("first"))
    file.keep("cd" * 20, Reply("second"))
    assert file.read(["cd" * 20]) == other.read(["cd" * 20]) == [Reply("first")]
    for one in (file, other):
        one.close()


def test_index_holds_places_not_texts(tmp_path: Path) -> None:
    file = ReplyFile(tmp_path / "r.jsonl")
    for number in range(20):
        file.keep(f"{number:040x}", Reply("가" * 100_000))
    held = sum(sys.getsizeof(key) + sys.getsizeof(place) for key, place in file.places.items())
    assert held + sys.getsizeof(file.places) < 10_000
    file.close()


def test_file_that_was_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    file = ReplyFile(tmp_path / "r.jsonl")
    file.keep("ab" * 20, Reply("x"))
    file.path.write_bytes(b"\n" + file.path.read_bytes())
    with pytest.raises(StoreError, match="not where it was"):
        file.read(["ab" * 20])
    file.close()


class FullDisk:
    """A file on a disk that takes ten more bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.room = file, 10

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken, self.room = self.file.write(data[: self.room]), 0
        return taken


def test_full_disk_is_an_error_and_the_torn_line_is_closed_by_the_next(tmp_path: Path) -> None:
    file = ReplyFile(tmp_path / "r.jsonl")
    file.keep("ab" * 20, Reply("first"))
    whole = file.handle
    assert whole is not None
    file.handle = FullDisk(whole)  # type: ignore[assignment]
    with pytest.raises(StoreError, match="could not be kept: No space left") as caught:
        file.keep("cd" * 20, Reply("second"))
    assert "kept" in caught.value.fix
    file.handle = whole
    assert "cd" * 20 not in file
    file.keep("cd" * 20, Reply("second, paid again"))
    file.close()
    assert ReplyFile(file.path).read(["ab" * 20, "cd" * 20]) == [Reply("first"), Reply("second, paid again")]


def test_full_disk_stops_the_asking(tmp_path: Path) -> None:
    """A file stands where the folder of replies should be: the first reply can't be kept, and no more are asked for."""
    (tmp_path / "replies").write_text("")
    with openai_server(lambda number, body: Answer()) as server:
        with pytest.raises(StoreError, match="could not be kept"):
            replies_to(endpoint(server.url, concurrency=2), tmp_path, [ask("q", number) for number in range(50)])
        assert len(server.bodies) <= 4


# Replay


def test_replay_takes_every_reply_from_disk_without_key_or_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "k")
    with openai_server(lambda number, body: Answer(text=f"답 {body['seed']}")) as server:
        spec = endpoint(server.url, key_env="MY_KEY")
        first = replies_to(spec, tmp_path, [ask("q", number) for number in range(3)])
    monkeypatch.delenv("MY_KEY")
    replay = spec.model_copy(update={"replay": True})
    assert replies_to(replay, tmp_path, [ask("q", number) for number in range(3)]) == first
    with pytest.raises(
        TeacherError, match="no reply on disk to 2 requests, the first of them: instructions ko number 3"
    ):
        replies_to(replay, tmp_path, [ask("q", number) for number in range(5)])


def test_replayed_stage_gives_the_same_bytes(tmp_path: Path) -> None:
    from datakit.store import parquet_bytes
    from datakit.teachers.replay import Replay

    recorded = Replay(TeacherSpec(use="replay", model=str(ROOT / "sample_data/replies.jsonl")), tmp_path)
    numbers: Counter[str] = Counter()

    def script(number: int, body: dict[str, Any]) -> Answer:
        language = "ko" if "과제" in body["messages"][-1]["content"] else "en"
        numbers[language] += 1
        request = Request((("user", body["messages"][-1]["content"]),), "tasks", language, numbers[language] - 1)
        return Answer(text=recorded.complete([request])[0].text)

    settings = {"recipe": "alpaca", "seeds": str(ROOT / "sample_data/seeds.jsonl"), "rows": 8}

    def made(teacher: dict[str, Any]) -> bytes:
        stage = Synthesize.model_validate({**settings, "teacher": teacher})
        return parquet_bytes(apply(stage, [], kind="example", cache=tmp_path).rows)

    with openai_server(script) as server:
        teacher = {"base_url": server.url, "model": "m"}
        first = made(teacher)
    assert made({**teacher, "replay": True}) == first
