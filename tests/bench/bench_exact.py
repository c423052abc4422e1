"""Exact dedup with two workers beside a plain loop of orjson and xxh3 in one process; answers come first.

    python -m tests.bench.bench_exact CORPUS.jsonl.gz [--times 4] [--workers 2] [--repeat 3] [--json]

CORPUS: {"id", "text"} a line, taken `--times` times (other ids, a word added: no new copies). The work goes from the
bytes of an unpacked JSONL file to the ids that are kept. Ours folds the texts first (case, white space, NFC), so it
drops more: everything that the loop drops, and rows that are the same once folded. That is what is checked.

    parse     JSON to Arrow's arrays, by pyarrow
    beyond    folding, XXH3-128, and in the first process the sort of all digests; told as a share of parse
    seconds   wall time, workers started beforehand: right on an idle machine only
    slowest   CPU seconds of the busiest worker and of the first process: the wall time on a machine with free cores
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from tests.bench.peers import run_peer

CHUNK = 8 << 20
"""Bytes of JSONL a worker takes at a time: about a shard."""
SETTINGS = {"compared": {}, "near": False}


def chunks(corpus: Path) -> list[tuple[str, int, int]]:
    """Stretches of whole lines."""
    size, start, found = corpus.stat().st_size, 0, []
    with corpus.open("rb") as file:
        while start < size:
            file.seek(min(start + CHUNK, size))
            file.readline()
            found.append((str(corpus), start, file.tell()))
            start = file.tell()
    return found


def sign_chunk(job: tuple[str, int, int]) -> tuple[Any, dict[str, float]]:
    """The signature table of one stretch, and where the CPU seconds went."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    from datakit.stages.dedup.signatures import sign

    path, start, end = job
    clock = time.process_time()
    with open(path, "rb") as file:
        file.seek(start)
        lines = pa.py_buffer(file.read(end - start))
    options = arrow_json.ReadOptions(use_threads=False, block_size=CHUNK + (64 << 20))
    rows = arrow_json.read_json(pa.BufferReader(lines), read_options=options)
    table = pa.table(
        {
            "id": rows.column("id").cast(pa.large_string()),
            "text": rows.column("text").cast(pa.large_string()),
            "source": pa.nulls(len(rows), pa.large_string()),
            "position": pa.array(range(start, start + len(rows)), pa.int64()),
        }
    )
    parsed = time.process_time()
    signed = sign(table, SETTINGS)
    done = time.process_time()
    return signed, {"parse": parsed - clock, "beyond": done - parsed, "worker": os.getpid()}


def ours(corpus: Path, workers: int) -> tuple[list[str], dict[str, float]]:
    """Kept ids, and times."""
    from datakit.stages.dedup.clusters import fold_exact
    from datakit.stages.dedup.signatures import load_index

    with ProcessPoolExecutor(workers) as pool:
        warm = chunks(corpus)[:1] * (2 * workers)
        list(pool.map(sign_chunk, warm))
        started, clock = time.perf_counter(), time.process_time()
        done = list(pool.map(sign_chunk, chunks(corpus)))
        index = load_index([table for table, _ in done], sum(table.num_rows for table, _ in done), 0, "first")
        stays = index.row_of[fold_exact(index).into == -1]
        kept = index.ids.take(stays).to_pylist()
        here, seconds = time.process_time() - clock, time.perf_counter() - started
    spent: dict[float, float] = {}
    for _, told in done:
        spent[told["worker"]] = spent.get(told["worker"], 0.0) + told["parse"] + told["beyond"]
    parse, beyond = (sum(told[name] for _, told in done) for name in ("parse", "beyond"))
    return kept, {
        "seconds": seconds,
        "slowest": max(spent.values()) + here,
        "cpu_s": sum(spent.values()) + here,
        "parse": parse,
        "beyond": beyond + here,
        "beyond_share": (beyond + here) / parse,
    }


def grown(corpus: Path, times: int, target: Path) -> None:
    """The corpus so many times."""
    with gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        rows = [orjson.loads(line) for line in lines]
    with target.open("wb") as out:
        for copy in range(times):
            for row in rows:
                told = {"id": f"{row['id']}-{copy}", "text": f"{row['text']} {copy}" if copy else row["text"]}
                out.write(orjson.dumps(told) + b"\n")


def wrong(corpus: Path, kept: list[str], peers: set[str]) -> list[str]:
    """What is wrong with our answer by the plain rule: one row of each folded text, nothing that the loop drops."""
    from datakit.kernels.folding import fold_text

    texts = {}
    with corpus.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            texts[row["id"]] = fold_text(row["text"])
    said = [texts[name] for name in kept if texts[name]]
    told = [] if len(said) == len(set(said)) else ["two rows with the same folded text stay"]
    told += [] if set(said) == set(texts.values()) - {""} else ["a text is lost"]
    return told + ([] if {name for name in kept if texts[name]} <= peers else ["we keep what the loop drops"])


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, answer = Path(folder) / "corpus.jsonl", Path(folder) / "kept"
        grown(asked.corpus, asked.times, plain)
        best: dict[str, dict[str, float]] = {}
        for _ in range(asked.repeat):
            loop = run_peer("xxh3", "exact_loop.py", str(plain), str(answer))
            kept, mine = ours(plain, asked.workers)
            for name, told, by in (("loop", loop, "cpu_s"), ("datakit", mine, "slowest")):
                if name not in best or told[by] < best[name][by]:
                    best[name] = told
        told = wrong(plain, kept, set(answer.read_text().split()))
        if told:
            raise SystemExit(f"wrong answer: {'; '.join(told)}")
        best["datakit"]["times_faster"] = best["loop"]["cpu_s"] / best["datakit"]["slowest"]
        best["datakit"]["times_faster_wall"] = best["loop"]["seconds"] / best["datakit"]["seconds"]
        size = {"mb": plain.stat().st_size / 1e6, "kept": len(kept), "loop_kept": len(answer.read_text().split())}
    found: dict[str, Any] = {**size, **best}
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {_rounded(one)}" for name, one in found.items()))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
