"""Near-dedup against datasketch on a corpus with known near copies; answers are checked before times are told.

    python tests/bench/bench_dedup.py CORPUS.jsonl.gz TRUTH.pairs.tsv [--peer] [--grow 5] [--json]

CORPUS: {"id", "text"} a line. TRUTH: id, id, Jaccard of lower-cased word 5-grams, for all pairs from 0.7 on. All times
are CPU seconds of one core from texts in memory (parsing is told apart), after one warm-up on 50 texts. `--peer` adds
datasketch: words by regex, hashing in Python, MinHash of 128, LSH at 0.7, first row kept. `--grow N` measures
peak memory of a fresh process for the corpus and for N times as many documents (the same with their words shuffled).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

THRESHOLD = 0.8
PEER_THRESHOLD = 0.7
"""At 0.8 datasketch's choice of bands finds 97 % of the pairs at 0.8; it doesn't verify, so a lower one is usual."""
SHARD_ROWS = 2000


def score(kept: set[str], ids: list[str], truth: Path) -> dict[str, float]:
    """Pair recall, drop precision and clusters lost whole at the threshold."""
    lines = (line.split("\t") for line in truth.read_text().splitlines())
    pairs = [(one, other) for one, other, value in lines if float(value) >= THRESHOLD]
    leads: dict[str, str] = {}

    def lead(name: str) -> str:
        while leads.setdefault(name, name) != name:
            name = leads[name]
        return name

    for one, other in pairs:
        leads[lead(one)] = lead(other)
    dropped = [name for name in ids if name not in kept]
    alive = {lead(name) for name in list(leads) if name in kept}
    return {
        "pair_recall": sum(not kept.issuperset(pair) for pair in pairs) / len(pairs),
        "drop_precision": sum(name in leads for name in dropped) / max(1, len(dropped)),
        "clusters_lost": len({lead(name) for name in list(leads)} - alive),
    }


def ours(rows: list[dict[str, Any]]) -> tuple[set[str], dict[str, float]]:
    """Kept ids, and CPU seconds by step."""
    from datakit.corpus import StoredCorpus
    from datakit.executors import Serial
    from datakit.stage import Env
    from datakit.stages.dedup import clusters, signatures
    from datakit.stages.dedup.verify import Verifier
    from datakit.store import Store

    settings = {"unit": "word", "ngram": 5, "permutations": 128, "text": "all", "near": True}
    shards = [MemoryShard(shard) for shard in tables(rows)]
    times, clock = {}, time.process_time()
    signed = [signatures.sign(shard.table, settings) for shard in shards]
    times["sign"] = time.process_time() - clock
    index = signatures.load_index(signed, len(rows), 128, "first")
    with tempfile.TemporaryDirectory() as folder:
        corpus = StoredCorpus(Store(folder), Serial(), "document", Env(), shards)
        folds = clusters.fold_exact(index)
        folds = clusters.fold_near(index, folds, Verifier(corpus, index, "word", 5, "all"), THRESHOLD)
    times["cluster and verify"] = time.process_time() - clock - times["sign"]
    times["total"] = time.process_time() - clock
    stays = index.row_of[folds.into == -1]
    return {rows[row]["id"] for row in stays.tolist()}, times


class MemoryShard:
    """A shard that lies in memory."""

    def __init__(self, table: Any) -> None:
        self.table, self.key, self.rows, self.source = table, "", table.num_rows, ""

    def read(self, columns: list[str] | None = None) -> Any:
        """The rows, or some of their columns."""
        return self.table.select(columns) if columns else self.table


def tables(rows: list[dict[str, Any]]) -> Iterator[Any]:
    """Shards of documents."""
    from datakit.schemas import table_from_rows

    for start in range(0, len(rows), SHARD_ROWS):
        shard = rows[start : start + SHARD_ROWS]
        told = [{**row, "source": "bench", "position": start + place} for place, row in enumerate(shard)]
        yield table_from_rows(told, "document")


def datasketchs(rows: list[dict[str, Any]]) -> tuple[set[str], dict[str, float]]:
    """The same by datasketch, as its documentation does it, with the fastest hash at hand."""
    from datasketch import MinHash, MinHashLSH
    from xxhash import xxh32_intdigest

    words = re.compile(r"\w+")
    clock = time.process_time()

    def shingles(text: str) -> set[bytes]:
        found = words.findall(text.lower())
        return {" ".join(found[i : i + 5]).encode() for i in range(max(1, len(found) - 4))}

    made = (shingles(row["text"]) for row in rows)
    signatures = MinHash.generator(made, num_perm=128, hashfunc=xxh32_intdigest)
    lsh, kept = MinHashLSH(threshold=PEER_THRESHOLD, num_perm=128), set()
    for row, signature in zip(rows, signatures, strict=True):
        if not lsh.query(signature):
            kept.add(row["id"])
            lsh.insert(row["id"], signature, check_duplication=False)
    return kept, {"total": time.process_time() - clock}


def grown(rows: list[dict[str, Any]], times: int) -> Iterator[dict[str, Any]]:
    """`times` as many documents: the corpus, and copies with shuffled words that resemble nothing."""
    for copy in range(times):
        stream = random.Random(copy)
        for row in rows:
            words = row["text"].split(" ")
            if copy:
                stream.shuffle(words)
            yield {"id": f"{row['id']}-{copy}", "text": " ".join(words)}


def peak(corpus: Path, times: int) -> dict[str, Any]:
    """Peak memory of a fresh process that dedups `times` the corpus from a store, and its index's bytes a row."""
    from datakit.store import Store

    with tempfile.TemporaryDirectory() as folder:
        store, keys, batch = Store(folder).prepare(), [], []
        for row in grown(list(parsed(corpus)), times):
            batch.append(row)
            if len(batch) == SHARD_ROWS:
                keys += [(store.put_shard(table, "document").key, table.num_rows) for table in tables(batch)]
                batch = []
        keys += [(store.put_shard(table, "document").key, table.num_rows) for table in tables(batch)]
        (Path(folder) / "keys.json").write_text(json.dumps(keys))
        told = subprocess.run([sys.executable, __file__, "--child", folder], check=True, capture_output=True, text=True)
    return json.loads(told.stdout.splitlines()[-1])


def child(folder: Path) -> dict[str, Any]:
    """Dedup a store's shards and tell the peak."""
    from datakit.corpus import StoredCorpus, StoredOutbox, StoredShard
    from datakit.executors import Serial
    from datakit.outcome import StageStats
    from datakit.stage import Env
    from datakit.stages.dedup import Dedup
    from datakit.store import Store

    warm_up()
    before = peak_mb()
    store, clock = Store(str(folder)), time.process_time()
    keys = json.loads((folder / "keys.json").read_text())
    corpus = StoredCorpus(store, Serial(), "document", Env(), [StoredShard(key, rows, "", store) for key, rows in keys])
    stage = Dedup(unit="word")
    out = StoredOutbox(store, Serial(), stage, False, StageStats(rows_in=sum(rows for _, rows in keys)))
    stage.run(corpus, out)
    return {
        "documents": out.stats.rows_in,
        "kept": out.stats.kept,
        "cpu_s": round(time.process_time() - clock, 2),
        "rss_before_mb": before,
        "rss_peak_mb": peak_mb(),
        "index_bytes_per_row": out.notes["index_bytes_per_row"],
    }


def peak_mb() -> int:
    """Peak memory of this process in MB. Not `ru_maxrss`: a child begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def parsed(corpus: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file."""
    with gzip.open(corpus) if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        yield from map(orjson.loads, lines)


def warm_up() -> None:
    """Compile, or load what was compiled."""
    ours([{"id": str(place), "text": f"가나다 라마바 사아자 차카타 파하 {place // 2} " * 9} for place in range(50)])


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--peer", action="store_true", help="measure datasketch too")
    parser.add_argument("--grow", type=int, default=0, help="measure memory for this many times the corpus")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.child)))
        return
    if asked.corpus is None or asked.truth is None:
        parser.error("CORPUS and TRUTH are needed")
    warm_up()
    clock = time.process_time()
    rows = list(parsed(asked.corpus))
    told: dict[str, Any] = {"documents": len(rows), "parse_cpu_s": round(time.process_time() - clock, 2)}
    for name, run in (("datakit", ours), *([("datasketch", datasketchs)] if asked.peer else [])):
        kept, times = run(rows)
        told[name] = {**score(kept, [row["id"] for row in rows], asked.truth)}
        told[name]["cpu_s"] = {step: round(seconds, 3) for step, seconds in times.items()}
    if asked.grow:
        told["memory"] = [peak(asked.corpus, times) for times in (1, asked.grow)]
    if asked.json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
