"""The cleaning part of a pipeline, ingest to pii, as a user runs it: megabytes of text a second, and peak memory.

    python -m tests.bench.bench_pipeline [CORPUS.jsonl.gz] [--workers 2] [--grow 5] [--json]

Wall time of `datakit run` in a fresh process, start-up included, on a fresh store; peak memory is the sum over the
process and its workers, sampled every 50 ms. `--grow N` runs N times the documents as well (the same with their words
shuffled, so that they are no copies): text in memory must follow the shard, not the corpus.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import psutil

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "bench" / "bench10k.jsonl.gz"
STAGES = """
name: bench
stages:
  - {{use: ingest, files: {corpus}}}
  - use: normalize
  - use: language
  - use: quality
  - {{use: dedup, unit: word}}
  - use: pii
"""


def measure(corpus: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Seconds, megabytes of text a second and peak memory of one run over a corpus."""
    recipe = folder / "bench.yaml"
    recipe.write_text(STAGES.format(corpus=corpus))
    store = tempfile.mkdtemp(dir=folder)
    command = [
        sys.executable,
        "-m",
        "datakit",
        "run",
        str(recipe),
        "--store",
        store,
        "--workers",
        str(workers),
        "--json",
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    peak = _watch(psutil.Process(process.pid), process)
    told = json.loads(process.stdout.read()) if process.stdout else {}
    seconds = time.perf_counter() - started
    megabytes = _megabytes(corpus)
    record = json.loads(next(Path(store, "runs").glob("*.json")).read_text())
    return {
        "rows_in": told["stages"][0]["rows_in"],
        "rows_out": told["rows"],
        "text_mb": round(megabytes, 1),
        "seconds": round(seconds, 2),
        "mb_per_s": round(megabytes / seconds, 2),
        "peak_mb": round(peak / 2**20),
        "stage_seconds": record["stage_seconds"],
        "workers": workers,
    }


def grown(corpus: Path, times: int, folder: Path) -> Path:
    """The corpus and `times - 1` copies of it with every document's words shuffled."""
    target = folder / f"times{times}.jsonl"
    draw = random.Random(0)
    with gzip.open(corpus, "rb") as source, target.open("wb") as out:
        for line in source:
            row = orjson.loads(line)
            for copy in range(times):
                words = row["text"].split(" ")
                if copy:
                    draw.shuffle(words)
                out.write(orjson.dumps({"id": f"{row['id']}-{copy}", "text": " ".join(words)}) + b"\n")
    return target


def _watch(top: psutil.Process, process: subprocess.Popen[bytes]) -> int:
    peak = 0
    while process.poll() is None:
        total = 0
        for one in [top, *_children(top)]:
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.05)
    return peak


def _children(top: psutil.Process) -> list[psutil.Process]:
    try:
        return top.children(recursive=True)
    except psutil.Error:
        return []


def _megabytes(corpus: Path) -> float:
    with gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        return sum(len(orjson.loads(line)["text"].encode()) for line in lines) / 1e6


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    given.add_argument("--workers", type=int, default=2)
    given.add_argument("--grow", type=int, default=0)
    given.add_argument("--json", action="store_true")
    told = given.parse_args()
    if not told.corpus.is_file():
        sys.exit(f"no corpus at {told.corpus}: name a .jsonl.gz file with id and text")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [measure(told.corpus.resolve(), folder, told.workers)]
        if told.grow > 1:
            found.append(measure(grown(told.corpus, told.grow, folder), folder, told.workers))
    for one in found:
        print(json.dumps(one) if told.json else "  ".join(f"{name} {value}" for name, value in one.items()))


if __name__ == "__main__":
    main()
