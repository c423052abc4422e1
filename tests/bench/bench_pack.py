"""Packing, beside TRL's `pack_dataset` on the same rows: CPU seconds of one core; answers are checked first.

    python -m tests.bench.bench_pack [--peer] [--rows 200000] [--million 10]

`in memory`: from an Arrow table of ids and labels to Arrow tables of packs, which is what TRL does (its tables have no
position ids). `stage`: from Parquet to Parquet through a store. Lengths: Alpaca-like (log-normal, median 134 tokens),
and long documents (a quarter of the tokens behind 2,048).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from datakit.kernels.packing import best_fit
from datakit.runner import apply
from datakit.stage import Env
from datakit.stages.pack import Pack
from tests.bench.peers import run_peer


@dataclass
class Memory:
    """A corpus of one shard, and an outbox that lets tables go."""

    table: pa.Table
    env: Env = field(default_factory=Env)
    notes: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    key = source = "memory"

    @property
    def shards(self) -> list[Memory]:
        return [self]

    def read(self, columns: Any = None) -> pa.Table:
        return self.table.select(columns)

    def write(self, rows: pa.Table, **_: Any) -> None:
        self.counts["packs"] += rows.num_rows

    def drop(self, drops: pa.Table) -> None:
        self.counts["dropped"] += drops.num_rows

    def account(self, **counts: int) -> None:
        self.counts.update(counts)

    def note(self, **notes: Any) -> None:
        self.notes.update(notes)


def alpaca_like(count: int) -> np.ndarray:
    """Token counts as instruction rows have them."""
    return np.clip(np.random.default_rng(0).lognormal(4.9, 0.75, count), 8, 2048).astype(np.int64)


def long_documents(count: int) -> np.ndarray:
    """Token counts as documentation has them: cutting at 2,048 loses about a quarter of the tokens."""
    return np.clip(np.random.default_rng(1).lognormal(6.2, 1.1, count), 4, 60_000).astype(np.int64)


def rows_of(lengths: np.ndarray) -> pa.Table:
    """Rows of such lengths."""
    borders = np.concatenate(([0], np.cumsum(lengths)))
    values = pa.LargeListArray.from_arrays(borders, np.arange(borders[-1], dtype=np.int32) % 32000)
    names = pa.array([f"{n:032x}" for n in range(len(lengths))], pa.large_string())
    columns = {"id": names, "source_id": names, "input_ids": values, "labels": values, "family": names}
    return pa.table({**columns, "split": pa.nulls(len(lengths), pa.large_string())})


def timed(work: Callable[[], Any], times: int = 3) -> tuple[Any, float, float]:
    """(result, CPU seconds, wall seconds), the best of some."""
    best = (None, np.inf, np.inf)
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        found = work()
        spent = time.process_time() - cpu, time.perf_counter() - wall
        if spent[0] < best[1]:
            best = (found, *spent)
    return best


def line(task: str, **figures: Any) -> None:
    print("BENCH", json.dumps({"task": task, **figures}, ensure_ascii=False), flush=True)


def in_memory(stage: Pack, table: pa.Table) -> Memory:
    memory = Memory(table)
    stage.run(memory, memory)  # type: ignore[arg-type]
    return memory


def through_store(stage: Pack, table: pa.Table) -> tuple[Any, float]:
    """The stage alone, Parquet to Parquet, without what `apply` spends on its own input and output."""
    spent = []

    class Timed(Pack):
        def run(self, corpus: Any, out: Any) -> None:
            clock = time.process_time()
            super().run(corpus, out)
            spent.append(time.process_time() - clock)

    found = apply(Timed(**stage.model_dump()), table)
    return found, spent[0]


def bench(name: str, lengths: np.ndarray, seq_len: int, split: bool, peer: bool) -> None:
    """One corpus at one length: ours, then TRL's default, then TRL with all rows in one batch."""
    table, total = rows_of(lengths), int(lengths.sum())
    stage = Pack(seq_len=seq_len, split=split)
    memory, cpu, wall = timed(partial(in_memory, stage, table))
    assert memory.notes["tokens"] == total
    assert memory.notes["rows"] == len(lengths)
    _, assign, _ = timed(partial(best_fit, np.minimum(lengths, seq_len).astype(np.int32), seq_len))
    found, stored = through_store(stage, table)
    assert found.notes == memory.notes
    line(
        f"pack {name} at {seq_len}", rows=len(lengths), tokens=total, assign_s=round(assign, 3),
        in_memory_s=round(cpu, 3), wall_s=round(wall, 3), stage_s=round(stored, 2), fill=memory.notes["fill"],
        tokens_lost=0,
    )  # fmt: skip
    for batch in (1000, 0) if peer else ():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lengths.npy"
            np.save(path, lengths)
            theirs = run_peer("trl", "trl_pack.py", str(path), str(seq_len), "bfd", str(batch))
        line(
            f"TRL {theirs['version']} bfd, {'one batch' if not batch else 'its default'}",
            cpu_s=round(theirs["cpu_s"], 2), assign_s=round(theirs["assign_s"], 2), fill=round(theirs["fill"], 5),
            tokens_lost=round(theirs["tokens_lost"], 4), ours_faster=round(theirs["cpu_s"] / cpu, 1),
            assignment_faster=round(theirs["assign_s"] / assign, 1), stage_faster=round(theirs["cpu_s"] / stored, 1),
        )  # fmt: skip


def bench_millions(millions: int) -> None:
    """Very many rows, each number of them in a process of its own, so that its memory can be told."""
    for count in sorted({1, max(1, millions // 2), millions}):
        subprocess.run([sys.executable, "-m", "tests.bench.bench_pack", "--only-million", str(count)], check=True)


def bench_million(count: int) -> None:
    """Assignment and layout of `count` million rows; the tokens are those of 200,000 rows, used again and again."""
    from datakit.stages.pack.rows import Rows
    from datakit.stages.pack.strategies import planned
    from datakit.stages.pack.tables import tables

    some = alpaca_like(200_000).astype(np.int32)
    pool = np.arange(int(some.sum()), dtype=np.int32) % 32000
    starts = np.cumsum(some, dtype=np.int64) - some
    ids = pa.chunked_array([pa.array([f"{n:032x}" for n in range(200_000)], pa.large_string())] * (count * 5))

    def work(times: int) -> tuple[int, int]:
        many = np.tile(some, times)
        rows = Rows(pool, np.tile(starts, times), many, np.zeros(len(many), np.int16), {"train": 0}, ids)
        plan = planned("best_fit", rows, rows.of_split("train"), 2048).shuffled(0, "train")
        return sum(table.num_rows for table, _, _ in tables(rows, plan, "train", 0)), len(many)

    work(1)  # compiles, and touches the memory that doesn't grow with the rows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (packs, rows), cpu, wall = timed(partial(work, count * 5), times=1)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    fill = float(some.sum(dtype=np.int64)) * count * 5 / (packs * 2048)
    assert fill > 0.9995
    line(
        f"pack {count} million rows at 2048", cpu_s=round(cpu, 2), wall_s=round(wall, 2), fill=round(fill, 6),
        microseconds_a_row=round(cpu / rows * 1e6, 2), bytes_a_row=round(grown / rows),
    )  # fmt: skip


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--peer", action="store_true", help="beside TRL (installed the first time)")
    given.add_argument("--rows", type=int, default=200_000)
    given.add_argument("--million", type=int, default=10)
    given.add_argument("--only-million", type=int, default=0, help="only so many million rows, in this process")
    chosen = given.parse_args()
    if chosen.only_million:
        return bench_million(chosen.only_million)
    in_memory(Pack(seq_len=64), rows_of(np.array([5, 80, 7])))  # compiles
    for seq_len in (2048, 8192):
        bench("Alpaca-like rows", alpaca_like(chosen.rows), seq_len, False, chosen.peer)
    bench("long documents", long_documents(51_000), 2048, True, chosen.peer)
    bench_millions(chosen.million)
    return None


if __name__ == "__main__":
    main()
