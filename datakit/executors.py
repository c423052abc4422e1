"""Run a function over jobs: in this process, in worker processes. None of them knows what a stage is.

Data moves through the store; only jobs and records cross a process border. Results come back in the order of the jobs.
`processes` uses loky: its workers are fresh interpreters (no fork under threads), start without a `__main__` guard
in the user's script, and a killed worker is an error, never a hang.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from datakit.errors import ConfigError, Problem, StageError

J = TypeVar("J")
R = TypeVar("R")
NAMES = ("serial", "processes")


class Executor(Protocol):
    """Runs `work` over jobs, results in order."""

    workers: int

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]: ...


class Serial:
    """One job after the other in this process: breakpoints work."""

    workers = 1

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """Apply `work` to each job."""
        return map(work, jobs)


class Processes:
    """Worker processes on this machine; at most two jobs a worker are in flight, so jobs can be a lazy stream."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """Apply `work` to each job in a pool that is reused by later calls."""
        from loky import get_reusable_executor
        from loky.process_executor import TerminatedWorkerError

        pool = get_reusable_executor(max_workers=self.workers, timeout=60)
        waiting: deque[Any] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(work, job))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except TerminatedWorkerError as error:
            raise StageError(
                "a worker process was killed, most often because memory ran out",
                fix="run again with fewer --workers: finished shards are kept",
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def make_executor(name: str | None, workers: int) -> Executor:
    """The executor called `name`; by default processes if more than one worker is asked for."""
    if workers < 1:
        raise ConfigError((Problem("--workers", f"{workers} workers can't work", "give 1 or more"),))
    name = name or ("processes" if workers > 1 else "serial")
    if name == "serial":
        return Serial()
    if name == "processes":
        return Processes(workers)
    raise ConfigError((Problem("--executor", f"no executor {name!r}", f"one of {', '.join(NAMES)}"),))
