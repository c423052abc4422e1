"""The index of dedup on disk from 10 thousand to 10 million synthetic documents; answers are checked before times.

    python -m tests.bench.bench_index [--sizes 10000 100000] [--queries 10000] [--peer] [--folder DIR] [--json]

A document is a set of 64 random 32-bit shingle hashes with its true MinHash signature, digest and an id of 32 hex
digits: no texts, so that 10 million are cheap to make (9 GB in DIR, deleted afterwards). Half of the queries are
documents of the index with 4 of 64 shingles exchanged (similarity 0.88): each must be folded into its original, no
other into anything. Every figure is taken in a fresh process: CPU seconds (user and system), peak memory, and its
part that is not a mapped file. `--peer`: datasketch's MinHashLSH, filled from the same index, up to 100,000 documents.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel
from datakit.kernels.minhash import permutations
from datakit.stages.dedup.archive import Archive
from datakit.stages.dedup.history import Past, Standing, judge_some
from datakit.stages.dedup.segments import Additions
from datakit.stages.dedup.signatures import to_datasketch
from datakit.stages.dedup.views import CHUNK, View

SHINGLES = 64
CHANGED = 4
PART = 50_000
PEER_MOST = 100_000
SCHEME = {"unit": "word", "ngram": 5, "permutations": 128, "near": True, "threshold": 0.8, "sets": True}
Array = np.ndarray[Any, Any]


@kernel
def sign_sets(sets: Any, a: Any, b: Any) -> Any:
    """The signature of each row of shingle hashes."""
    signatures = np.full((len(sets), len(a)), np.uint32(0xFFFFFFFF), np.uint32)
    for row in range(len(sets)):
        for i in range(sets.shape[1]):
            h = sets[row, i]
            h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            h = np.uint32(h ^ (h >> np.uint32(16)))
            for k in range(len(a)):
                signatures[row, k] = min(signatures[row, k], np.uint32(np.uint32(a[k] * h) + b[k]))
    return signatures


def sets_of_part(part: int, rows: int) -> Array:
    """The shingle sets of one part of the documents; a set with a hash twice (1 in two million) is made whole."""
    made = np.sort(np.random.default_rng(part).integers(0, 2**32, (rows, SHINGLES), dtype=np.uint32), axis=1)
    while len(twice := np.flatnonzero((np.diff(made, axis=1) == 0).any(axis=1))):
        made[twice] = np.sort(made[twice] + np.arange(SHINGLES, dtype=np.uint32), axis=1)
    return made


def described(sets: Array, names: list[str]) -> Additions:
    """Documents with these sets."""
    import pyarrow as pa

    digests = np.ascontiguousarray(sets[:, :4]).view(np.uint64)
    told = [pa.array(names, pa.large_string()), pa.array([f"bench.jsonl:{n[-8:]}" for n in names], pa.large_string())]
    sizes = np.full((len(sets), 1), sets.shape[1])
    return Additions(*told, digests, sign_sets(sets, *permutations(128)), sets.reshape(-1), sizes)


class Timed:
    """Parts of an index, and the CPU seconds that making them took."""

    def __init__(self, documents: int) -> None:
        self.documents, self.seconds = documents, 0.0

    def __iter__(self) -> Iterator[Additions]:
        for part, start in enumerate(range(0, self.documents, PART)):
            clock = time.process_time()
            rows = min(PART, self.documents - start)
            made = described(sets_of_part(part, rows), [f"{row:032x}" for row in range(start, start + rows)])
            self.seconds += time.process_time() - clock
            yield made


def build(folder: Path, documents: int) -> dict[str, Any]:
    """Fill an index."""
    described(sets_of_part(0, 10), ["x"] * 10)
    archive, parts, clock = Archive(folder, SCHEME), Timed(documents), time.process_time()
    archive.fit(1)
    archive.extend("bench", archive.view("bench"), iter(parts), np.empty(0, np.int64))
    seconds = time.process_time() - clock - parts.seconds
    size = archive.describe()["bytes"]
    return {"bytes_per_doc": round(size / documents), "build_s": round(seconds, 2), "build_peak_mb": memory("VmHWM")}


def queries(documents: int, count: int) -> tuple[Array, Array]:
    """Sets to look up, and the row that each must be folded into (-1: none). The changed ones lie in all parts."""
    originals = np.linspace(0, documents - 1, count // 2).astype(np.int64)
    held = []
    for part in np.unique(originals // PART).tolist():
        rows = min(PART, documents - part * PART)
        held.append(sets_of_part(part, rows)[originals[originals // PART == part] - part * PART])
    near, fresh = np.concatenate(held), sets_of_part(10**6, count - len(originals))
    near[:, :: SHINGLES // CHANGED] += np.uint32(1)
    return np.sort(np.concatenate([near, fresh]), axis=1), np.concatenate([originals, np.full(len(fresh), -1)])


def look_up(folder: Path, documents: int, count: int) -> dict[str, Any]:
    """Judge queries by the index as `dedup` does, without the reading of texts: ids, digests, bands, exact sets."""
    asked, wanted = queries(documents, count)
    new = described(asked, [f"q{row}" for row in range(count)])
    archive = Archive(folder)
    judged(archive.view(), new, 10, asked)  # compiles, or loads what was compiled
    before, clock = memory("VmHWM"), time.process_time()
    past = judged(archive.view(), new, count, asked)
    seconds = time.process_time() - clock
    wrong = int((past.into != wanted).sum())
    found = {"lookup_us_per_doc": round(1e6 * seconds / count, 1), "wrong": wrong, "verified": past.pairs}
    return {**found, "rss_before_mb": before, "rss_peak_mb": memory("VmHWM"), "rss_own_mb": memory("RssAnon")}


def judged(view: View, new: Additions, count: int, asked: Array) -> Past:
    """What the index says about the first `count` queries."""
    import pyarrow as pa

    def sets(rows: Array) -> list[tuple[Array, Array]]:
        return [(asked[rows].reshape(-1), np.full(len(rows), SHINGLES))]

    sets_of: Any = SimpleNamespace(of=sets)
    index: Any = SimpleNamespace(
        ids=pa.chunked_array([new.ids[:count]]), digests=new.digests[:count], signatures=new.signatures
    )
    standing = Standing.of(index, view)
    past = Past(standing.settled, view.find_digests(index.digests), np.zeros(count, np.bool_), np.zeros(count), view)
    past.threshold = SCHEME["threshold"]
    for start in range(0, count, CHUNK):
        judge_some(past, index, np.arange(start, min(count, start + CHUNK)), sets_of)
    return past


def ask_datasketch(folder: Path, documents: int, count: int) -> dict[str, Any]:
    """The same queries to datasketch's index in memory, which gives candidates and verifies nothing."""
    from datasketch import LeanMinHash

    asked, wanted = queries(documents, count)
    signatures = sign_sets(asked, *permutations(128))
    before, clock = memory("VmHWM"), time.process_time()
    index = to_datasketch(Archive(folder).tables())
    built, clock = time.process_time() - clock, time.process_time()
    found = [index.query(LeanMinHash(seed=1, hashvalues=row, scheme="affine32")) for row in signatures]
    seconds = time.process_time() - clock
    missed = sum(row >= 0 and f"{row:032x}" not in names for row, names in zip(wanted.tolist(), found, strict=True))
    figures = {"lookup_us_per_doc": round(1e6 * seconds / count, 1), "missed": missed, "build_s": round(built, 2)}
    return {**figures, "memory_bytes_per_doc": round((memory("VmHWM") - before) * 2**20 / documents)}


def memory(name: str) -> int:
    """A line of this process's status, in MB: VmHWM (peak) or RssAnon (not mapped files)."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) // 1024


STEPS = {
    "build": lambda folder, documents, count: build(folder, documents),
    "look_up": look_up,
    "datasketch": ask_datasketch,
}


def in_a_process(step: str, folder: Path, documents: int, count: int) -> dict[str, Any]:
    """What a step tells, done in a fresh process."""
    words = [sys.executable, "-m", "tests.bench.bench_index", "--step", step, "--folder", str(folder)]
    words += ["--sizes", str(documents), "--queries", str(count)]
    told = subprocess.run(words, check=True, capture_output=True, text=True)
    return dict(json.loads(told.stdout.splitlines()[-1]))


def main() -> int:
    """Measure; the number of sizes with a wrong answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="documents in the index")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where to put the index (default: a temporary folder)")
    parser.add_argument("--peer", action="store_true", help="measure datasketch too")
    parser.add_argument("--json", action="store_true", help="print one JSON document a size")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(STEPS[asked.step](asked.folder, asked.sizes[0], asked.queries)))
        return 0
    wrong = 0
    for documents in asked.sizes:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            told = {"documents": documents, **in_a_process("build", Path(folder) / "i", documents, asked.queries)}
            told |= in_a_process("look_up", Path(folder) / "i", documents, asked.queries)
            if asked.peer and documents <= PEER_MOST:
                told["datasketch"] = in_a_process("datasketch", Path(folder) / "i", documents, asked.queries)
        wrong += told["wrong"] > 0
        print(json.dumps(told) if asked.json else ", ".join(f"{name} {value}" for name, value in told.items()))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
