"""What the frame itself costs: to plan ten thousand tiny shards, to run again where nothing is new, to find one row of
a million.

    python -m tests.bench.bench_frame [--plan 10000] [--again 1000] [--rows 1000000] [--json]

CPU seconds of this process (user and system; wall time beside them), the best of three. Stores lie in memory where
/dev/shm is. Before a time is told, the answer is held: all jobs reused, none run, and the row's own story.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from datakit.lineage import why
from datakit.pipeline import Pipeline
from datakit.runner import plan, run
from datakit.schemas import table_from_rows
from datakit.stages.normalize import Normalize
from datakit.store import Store
from tests.stages_of_ones_own import Lines, MaxLength

LIMITS = {"plan": 2.0, "again": 2.0, "why kept": 1.0, "why dropped": 1.0}


class Many(Lines):
    """One document a line, in shards of a size of its own, made as columns: a million rows in some seconds."""

    def read(self, source, env):  # type: ignore[no-untyped-def]
        from datakit.outcome import Outcome

        lines = Path(source.url).read_text(encoding="utf-8").splitlines()
        for start in range(0, len(lines), self.shard_rows):
            rows = [
                {"id": f"{source.name}-{n:07}", "source_id": f"{source.name}:{n}", "family": f"{n}", "text": line}
                | {"source": source.name, "position": n, "parents": [], "made_with": []}
                for n, line in enumerate(lines[start : start + self.shard_rows], start=start + 1)
            ]
            yield Outcome(table_from_rows(rows, "document"))


def main() -> None:
    """Make three stores, ask, tell."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--plan", type=int, default=10_000, help="shards to plan")
    arguments.add_argument("--again", type=int, default=1_000, help="shards to run again")
    arguments.add_argument("--rows", type=int, default=1_000_000, help="rows to find one of")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        if given.plan:
            found["plan"] = planned(*of_tiny_shards(Path(folder) / "a", given.plan), given.plan)
        if given.again:
            found["again"] = run_again(*of_tiny_shards(Path(folder) / "b", given.again), given.again)
        if given.rows:
            found |= asked(Path(folder) / "c", given.rows)
    if given.json:
        print(json.dumps(found))
        return
    for name, (cpu, wall) in found.items():
        print(f"{name:<12} {cpu:6.2f} s CPU   {wall:6.2f} s   at most {LIMITS[name]:.0f} s")


def of_tiny_shards(folder: Path, shards: int) -> tuple[Pipeline, Store]:
    """A store of many shards of one row each, and the pipeline that made it."""
    folder.mkdir()
    (folder / "in.txt").write_text("".join(f"{n}번째 문서입니다.\n" for n in range(shards)), encoding="utf-8")
    stages = (Many(files=[str(folder / "in.txt")], shard_rows=1), Normalize(), MaxLength())
    pipeline, store = Pipeline(name="d", stages=stages), Store(folder / "store")
    run(pipeline, store)
    return pipeline, Store(folder / "store")


def planned(pipeline: Pipeline, store: Store, shards: int) -> tuple[float, float]:
    """To say what of many shards is done."""

    def ask() -> None:
        steps = plan(pipeline, store)
        assert [step.run for step in steps] == [0, 0]
        assert steps[1].reuse == shards

    return best(ask)


def run_again(pipeline: Pipeline, store: Store, shards: int) -> tuple[float, float]:
    """To run where nothing is new."""

    def again() -> None:
        done = run(pipeline, store)
        assert (done.ran, done.reused, done.published) == (0, shards + 1, False)

    return best(again)


def asked(folder: Path, rows: int) -> dict[str, tuple[float, float]]:
    """To find a row that was kept, and one that was dropped, by their ids."""
    folder.mkdir()
    line = "이 문서는 열 번째 줄에서 시작하며, the library opens at nine and closes at six on weekdays. " * 3
    text = "".join(f"{n} {line if n % 10 else line * 2}\n" for n in range(1, rows + 1))
    (folder / "in.txt").write_text(text, encoding="utf-8")
    stages = (Many(files=[str(folder / "in.txt")], shard_rows=20_000), MaxLength(limit=len(line) + 20))
    store = Store(folder / "store")
    run(Pipeline(name="d", stages=stages), store)
    kept, gone = rows - 1 - (rows - 1) % 10 + 1, rows - rows % 10

    def ask(row: int, ending: str) -> Callable[[], None]:
        def one() -> None:
            story = why(f"in.txt-{row:07}", Store(folder / "store"))["story"]
            assert story[-1]["what"] == ending

        return one

    return {"why kept": best(ask(kept, "kept")), "why dropped": best(ask(gone, "dropped"))}


def best(work: Callable[[], None]) -> tuple[float, float]:
    """CPU and wall seconds, each the least of three times."""
    times = []
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    pa.default_memory_pool().release_unused()
    return min(cpu for cpu, _ in times), min(wall for _, wall in times)


if __name__ == "__main__":
    main()
