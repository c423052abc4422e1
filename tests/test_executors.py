"""Executors: the same results in the same order, and a killed worker is an error with a remedy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from datakit.errors import ConfigError, SourceError, StageError
from datakit.executors import MOST_THREADS, Executor, Processes, Serial, Threads, make_executor, suited


def square(number: int) -> int:
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise SourceError("세 번째 파일이 없다", where="c.jsonl")
    return number


def folder_of(number: int) -> str:
    return os.getcwd()


def process_of(number: int) -> int:
    return os.getpid()


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Processes(2)], ids=["serial", "threads", "processes"])
def test_map_keeps_the_order_of_the_jobs(executor: Executor) -> None:
    assert list(executor.map(square, iter(range(20)))) == [n * n for n in range(20)]


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Processes(2)], ids=["serial", "threads", "processes"])
def test_map_brings_an_error_home_whole(executor: Executor) -> None:
    with pytest.raises(SourceError) as caught:
        list(executor.map(fail_at_three, range(6)))
    assert caught.value.lines() == ["error: 세 번째 파일이 없다", "where: c.jsonl"]


def test_threads_leave_no_job_at_work_behind_an_error() -> None:
    begun, failed = Event(), Event()
    at_work: list[int] = []

    def work(number: int) -> int:
        if number == 0:
            begun.wait(10)
            failed.set()
            raise SourceError("broken", where="a.jsonl")
        at_work.append(number)
        begun.set()
        failed.wait(10)
        sum(range(1_000_000))  # still at work when the error is home
        at_work.remove(number)
        return number

    with pytest.raises(SourceError):
        list(Threads(2).map(work, range(8)))
    assert at_work == []


def test_suited_takes_threads_only_where_none_was_named_and_the_gil_is_free() -> None:
    assert isinstance(suited(make_executor(None, 2), True), Threads)
    assert isinstance(suited(make_executor(None, 2), False), Processes)
    assert isinstance(suited(make_executor(None, MOST_THREADS + 1), True), Processes)
    assert isinstance(suited(make_executor("processes", 2), True), Processes)
    assert isinstance(suited(make_executor(None, 1), True), Serial)


def leave_a_mark(folder: Path) -> None:
    (folder / f"{os.getpid()}").touch()


def test_warm_workers_are_those_that_later_calls_use(tmp_path: Path) -> None:
    Processes(2).warm(leave_a_mark, tmp_path)
    workers = set(Processes(2).map(process_of, range(20)))
    warmed = {int(path.name) for path in tmp_path.iterdir()}
    assert warmed
    assert os.getpid() not in workers | warmed
    assert len(workers | warmed) <= 2


def test_what_fails_in_a_warm_up_does_not_stop_the_work() -> None:
    Processes(2).warm(fail_at_three, 3)
    assert list(Processes(2).map(square, range(4))) == [0, 1, 4, 9]


def test_workers_follow_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert {Path(path).name for path in Processes(2).map(folder_of, range(3))} == {name}


def test_killed_worker_is_an_error_with_a_remedy() -> None:
    with pytest.raises(StageError, match="killed") as caught:
        list(Processes(2).map(die, range(4)))
    assert "--workers" in caught.value.fix
    assert list(Processes(2).map(square, range(4))) == [0, 1, 4, 9]


def test_make_executor_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError):
        make_executor("fibres", 2)
    with pytest.raises(ConfigError):
        make_executor(None, 0)
    assert make_executor(None, 1).workers == 1
    assert make_executor(None, 3).workers == 3


def test_processes_work_from_a_script_without_a_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from datakit.executors import Processes\n"
        "def double(n): return 2 * n\n"
        "print(list(Processes(2).map(double, range(5))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 2, 4, 6, 8]\n"
