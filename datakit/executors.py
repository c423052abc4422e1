"""Run a function over jobs: in this process, its threads, worker processes, a Ray cluster. None knows what a stage is.

Data moves through the store; only jobs and records cross a process border. Results come back in the order of the jobs.
`processes` uses loky: its workers are fresh interpreters (no fork under threads), start without a `__main__` guard
in the user's script, and a killed worker is an error, never a hang. `ray` keeps the same promises on many machines.
`threads` are there at once, where a worker process takes 1.7 s of CPU for imports and kernels; they win where the work
is done in kernels that hold no GIL. So by default work that says so runs in threads, all other in processes.
"""

from __future__ import annotations

import os
import signal
import socket
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, Protocol, TypeVar

from datakit.errors import ConfigError, Problem, StageError

J = TypeVar("J")
R = TypeVar("R")
NAMES = ("serial", "threads", "processes", "ray")
MOST_THREADS = 4
"""Workers up to which threads are as fast as processes: the cleaning stages hold the GIL for about a fifth of their
time."""

# Ray's switches, most of them read when it is imported; a value of the user's wins.
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # else it logs the errors of jobs nobody waits for: they may quote a document
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else it prints its own messages to stdout, between the lines of --json
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else, under `uv run`, it copies the current folder to every worker
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a worker sees the GPUs that a serial run sees
}


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


class Threads:
    """Threads of this process, for work that may be called from several at once; jobs can be a lazy stream."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """Apply `work` to each job; when this ends, by an error too, no job is at work any more."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="datakit")
        waiting: deque[Future[R]] = deque()
        try:
            yield from _in_order(pool.submit, work, jobs, waiting, 2 * self.workers)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class Processes:
    """Worker processes on this machine; at most two jobs a worker are in flight, so jobs can be a lazy stream."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """Apply `work` to each job in a pool that is reused by later calls."""
        from loky.process_executor import TerminatedWorkerError

        pool = self._pool()
        waiting: deque[Any] = deque()
        # loky renews a worker that has grown, which is fine, and warns of a leak, which is not what it is.
        warnings.filterwarnings("ignore", message="A worker (stopped|was restarted) while some jobs")
        try:
            yield from _in_order(pool.submit, work, jobs, waiting, 2 * self.workers)
        except TerminatedWorkerError as error:
            raise StageError(
                "a worker process was killed, most often because memory ran out",
                fix="run again with fewer --workers: finished shards are kept",
            ) from error
        except KeyboardInterrupt:
            pool.shutdown(kill_workers=True)
            raise
        finally:
            for future in waiting:
                future.cancel()

    def warm(self, work: Callable[[J], object], job: J) -> None:
        """Start the workers, each with a `work(job)` that imports and opens what later calls need; waits for none.

        What goes wrong there goes wrong again, and is told, when a worker is needed.
        """
        pool = self._pool()
        for _ in range(self.workers):
            pool.submit(work, job)

    def _pool(self) -> Any:
        from loky import get_reusable_executor

        # The folder is part of the pool's identity: jobs may hold relative paths, and a pool outlives a chdir.
        settled = {"initializer": _settle, "initargs": (os.getcwd(),)}
        return get_reusable_executor(max_workers=self.workers, timeout=60, **settled)


class Mixed(Processes):
    """The default for several workers: processes, but threads for work that `suited` is told frees the GIL."""


def suited(executor: Executor, frees_gil: bool) -> Executor:
    """The executor to use for some work: the one that was asked for, or the better one where none was."""
    if frees_gil and isinstance(executor, Mixed) and executor.workers <= MOST_THREADS:
        return Threads(executor.workers)
    return executor


def _in_order(submit: Any, work: Callable[[J], R], jobs: Iterable[J], waiting: deque[Any], most: int) -> Iterator[R]:
    """Results in the order of the jobs, at most `most` of them in flight; `waiting` holds those that are."""
    for job in jobs:
        waiting.append(submit(work, job))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _settle(folder: str) -> None:
    """A worker works where its parent does, and leaves Ctrl-C to it: one that dies of it can hang the others."""
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Ray:
    """Workers of a Ray cluster: of the one that RAY_ADDRESS names, else of one on this machine that ends with us.

    Our own takes seconds to start and runs `workers` jobs at once. A named one runs as many as it has room for, of the
    two a worker in flight; its machines need this datakit and must see store and files under the same paths.
    """

    _own: ClassVar[tuple[str, int]] = ("", 0)  # node and workers of the cluster we started

    def __init__(self, workers: int) -> None:
        self.workers = workers
        for name, value in RAY_SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            missing = Problem("--executor", "ray is not installed", "pip install 'datakit[ray]'")
            raise ConfigError((missing,)) from error
        self._ray = ray

    def map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        """Apply `work` to each job on a cluster that later calls use again."""
        import cloudpickle
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

        self._connect()
        # A job that kills its worker would kill the next one too.
        call = self._ray.remote(max_retries=0)(_call)
        waiting: deque[Any] = deque()
        try:
            for job in jobs:
                waiting.append(call.remote(cloudpickle.dumps((work, job)), os.getcwd()))
                if len(waiting) >= 2 * self.workers:
                    yield cloudpickle.loads(self._ray.get(waiting.popleft()))
            while waiting:
                yield cloudpickle.loads(self._ray.get(waiting.popleft()))
        except RayTaskError as error:
            raise error.cause from error
        except (WorkerCrashedError, OutOfMemoryError, NodeDiedError) as error:
            raise StageError(
                "a Ray worker was killed, most often because memory ran out",
                fix="run again with fewer --workers: finished shards are kept",
            ) from error
        finally:
            # At the interpreter's end Ray is gone before a generator nobody finished is closed.
            if self._ray.is_initialized():
                for job_left in waiting:
                    self._ray.cancel(job_left)

    def _connect(self) -> None:
        """Use the cluster this process has, else the one RAY_ADDRESS names, else start one."""
        if self._ray.is_initialized():
            node, workers = Ray._own
            if workers == self.workers or not node or node != self._ray.get_runtime_context().get_node_id():
                return
            self._ray.shutdown()
        address = os.environ.get("RAY_ADDRESS") or "local"
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address != "local":
            self._join(address, quiet)
            return
        # 100 MB of shared memory are plenty: only jobs and records go through it.
        quiet |= {"include_dashboard": False, "object_store_memory": 100_000_000}
        self._ray.init("local", num_cpus=self.workers, **quiet)
        Ray._own = (self._ray.get_runtime_context().get_node_id(), self.workers)

    def _join(self, address: str, quiet: dict[str, Any]) -> None:
        """Connect to a running cluster."""
        host, _, port = address.removeprefix("ray://").rpartition(":")
        try:
            if port.isdecimal():
                # Ray itself tries for minutes.
                socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            self._ray.init(address, **quiet)
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            fix = "start the cluster, set RAY_AUTH_MODE=token if it asks for a token, or unset RAY_ADDRESS"
            raise ConfigError((Problem("RAY_ADDRESS", f"Ray can't connect: {error}", fix),)) from error


def _call(packed: bytes, folder: str) -> bytes:
    """Run one job in a Ray worker. Packed by our own cloudpickle: Ray's copy doesn't know what must travel by value."""
    import cloudpickle

    # Relative paths mean the folder the run was started in, where this machine has it.
    if os.path.isdir(folder):
        os.chdir(folder)
    work, job = cloudpickle.loads(packed)
    return cloudpickle.dumps(work(job))


def make_executor(name: str | None, workers: int) -> Executor:
    """The executor called `name`; by default threads or processes, by the work, if there is more than one worker."""
    if workers < 1:
        raise ConfigError((Problem("--workers", f"{workers} workers can't work", "give 1 or more"),))
    if name is None:
        return Mixed(workers) if workers > 1 else Serial()
    if name == "serial":
        return Serial()
    if name == "threads":
        return Threads(workers)
    if name == "processes":
        return Processes(workers)
    if name == "ray":
        return Ray(workers)
    raise ConfigError((Problem("--executor", f"no executor {name!r}", f"one of {', '.join(NAMES)}"),))
