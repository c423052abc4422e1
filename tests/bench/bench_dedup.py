"""Near-dedup beside rensa, datatrove and datasketch, on a corpus whose near copies are known; answers come first.

    python -m tests.bench.bench_dedup CORPUS.jsonl.gz TRUTH.pairs.tsv [--peers rensa datatrove datasketch]
                                      [--repeat 3] [--grow 10000 100000 1000000] [--json]

CORPUS: {"id", "text"} a line. TRUTH: id, id, Jaccard of lower-cased word 5-grams, for all pairs from 0.7 on.

Every contestant is a fresh process. Its work goes from the bytes of an unpacked JSONL file to the ids that it keeps,
parsing included; `process` is the CPU of the whole process, imports too. CPU seconds of all its processes, the best of
`--repeat` rounds (one for datatrove and datasketch), in which the contestants take turns: wall time means nothing on a
busy machine. Ours is measured warm: compiled code is on disk. `seconds` is wall time, right on an idle machine only;
`datakit, 2 threads` is ours with two threads for parsing and signing, and each peer's `times_ours_seconds` is its wall
time beside the best of that. `--grow` measures time and peak memory of the whole
stage, store included, on that many documents of 60 words, a tenth of them near copies.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from tests.bench.peers import HERE, ROOT, run_peer

THRESHOLD = 0.8
SHARD_ROWS = 2000
GROWN_SHARD_ROWS = 20_000
GROWN_WORDS = 60
PEERS = {
    "rensa": ("rensa_lsh.py", "0.7"),
    "datatrove": ("datatrove_minhash.py",),
    "datasketch": ("datasketch_lsh.py", "0.7"),
}
"""Script and arguments. Those that go by estimates go by 0.7: at 0.8 they would miss half of the pairs at 0.8."""
ONCE = ("datatrove", "datasketch")
OURS = {"datakit": 1, "datakit, 2 threads": 2}
"""Our contestants, and their threads."""


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
        "kept": len(kept),
        "pair_recall": round(sum(not kept.issuperset(pair) for pair in pairs) / len(pairs), 5),
        "drop_precision": round(sum(name in leads for name in dropped) / max(1, len(dropped)), 5),
        "clusters_lost": len({lead(name) for name in list(leads)} - alive),
    }


def ours(corpus: Path, kept: Path, threads: int = 1) -> dict[str, Any]:
    """From JSONL to kept ids in this process; CPU seconds by step."""
    from datakit.corpus import StoredCorpus
    from datakit.executors import Serial
    from datakit.kernels.shingles import Cut
    from datakit.stage import Env
    from datakit.stages.dedup import clusters, signatures
    from datakit.stages.dedup.compared import Compared
    from datakit.stages.dedup.verify import Verifier
    from datakit.store import Store

    settings = {"unit": "word", "ngram": 5, "syllables": 3, "permutations": 128, "near": True}
    settings["compared"] = Compared().settings()
    times, clock, started = {}, time.process_time(), time.perf_counter()
    shards = parsed(corpus, threads)
    times["parse"] = time.process_time() - clock
    with ThreadPoolExecutor(threads) as pool:
        signed = list(pool.map(partial(signatures.sign, settings=settings), [shard.table for shard in shards]))
    times["sign"] = time.process_time() - clock - times["parse"]
    index = signatures.load_index(signed, sum(shard.rows for shard in shards), 128, "first")
    held = StoredCorpus(Store(kept.parent), Serial(), "document", Env(), shards)
    folds = clusters.fold_exact(index)
    folds = clusters.fold_near(index, folds, Verifier(held, index, Cut("word")), THRESHOLD)
    stays = index.ids.take(index.row_of[folds.into == -1]).to_pylist()
    total, seconds = time.process_time() - clock, time.perf_counter() - started
    times["cluster and verify"] = total - times["parse"] - times["sign"]
    kept.write_text("\n".join(stays))
    return {"cpu_s": total, "seconds": seconds, "process_cpu_s": time.process_time(), "steps": times}


def parsed(corpus: Path, threads: int = 1) -> list[MemoryShard]:
    """The documents of a JSONL file in shards."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    pa.set_cpu_count(threads)
    options = arrow_json.ReadOptions(use_threads=threads > 1, block_size=1 << 22)
    schema = pa.schema([("id", pa.large_string()), ("text", pa.large_string())])
    columns = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    rows = arrow_json.read_json(corpus, read_options=options, parse_options=columns)
    return [shard_of(*rows.slice(at, SHARD_ROWS).select(["id", "text"]), at) for at in range(0, len(rows), SHARD_ROWS)]


class MemoryShard:
    """A shard that lies in memory."""

    def __init__(self, table: Any) -> None:
        self.table, self.key, self.rows, self.source = table, "", table.num_rows, ""
        self.columns = table.schema.names

    def read(self, columns: list[str] | None = None) -> Any:
        """The rows, or some of their columns."""
        return self.table.select(columns) if columns else self.table


def shard_of(ids: Any, texts: Any, at: int) -> MemoryShard:
    """A shard of what dedup looks at of documents; `at` is the position of the first."""
    import pyarrow as pa

    columns = {
        "id": ids.cast(pa.large_string()),
        "source_id": ids.cast(pa.large_string()),
        "text": texts.cast(pa.large_string()),
        "source": pa.array(["bench"] * len(ids), pa.large_string()),
        "position": pa.array(range(at, at + len(ids)), pa.int64()),
    }
    return MemoryShard(pa.table(columns))


def grown(corpus: Path, count: int) -> Iterator[dict[str, Any]]:
    """`count` documents of words of the corpus's, every tenth of them the one before with a word changed."""
    with gzip.open(corpus) if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        pool = [orjson.loads(line)["text"].split() for line in lines]
    pool = [words for words in pool if len(words) > 2 * GROWN_WORDS]
    draw = random.Random(0)
    words: list[str] = []
    for number in range(count):
        if number % 10 == 9:
            words = [*words[:-1], f"w{number}"]
        else:
            words = draw.choices(pool[number % len(pool)], k=GROWN_WORDS)
        yield {"id": f"d{number}", "text": " ".join(words)}


def growth(corpus: Path, count: int) -> dict[str, Any]:
    """Time and peak memory of a fresh process that dedups `count` documents from a store."""
    import pyarrow as pa

    from datakit.store import Store

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder).prepare()
        keys, rows = [], grown(corpus, count)
        while batch := list(islice(rows, GROWN_SHARD_ROWS)):
            ids, texts = (pa.array([row[name] for row in batch]) for name in ("id", "text"))
            shard = shard_of(ids, texts, sum(rows for _, rows in keys))
            keys.append((store.put_shard(shard.table, "document").key, shard.rows))
        (Path(folder) / "keys.json").write_text(json.dumps(keys))
        return alone("--child", folder)


def child(folder: Path) -> dict[str, Any]:
    """Dedup a store's shards; time and peak memory a document."""
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
    seconds, count = time.process_time() - clock, out.stats.rows_in
    return {
        "documents": count,
        "kept": out.stats.kept,
        "cpu_s": round(seconds, 2),
        "us_per_document": round(1e6 * seconds / count, 1),
        "rss_before_mb": before,
        "rss_peak_mb": peak_mb(),
        "bytes_per_document": (peak_mb() - before) * 2**20 // count,
        "index_bytes_per_row": out.notes["index_bytes_per_row"],
    }


def peak_mb() -> int:
    """Peak memory of this process in MB. Not `ru_maxrss`: a child begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def warm_up() -> None:
    """Compile, or load what was compiled: exact and near copies, so that each kernel is met before the clock runs."""
    word = "가나다 라마바 사아자 차카타 파하 one two"
    texts = [
        f"{' '.join(f'{word}{step}' for step in range(40))} {number // 4} end{number // 2}" for number in range(60)
    ]
    rows = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rows.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        ours(Path(folder) / "rows.jsonl", Path(folder) / "kept")


def alone(*arguments: str) -> dict[str, Any]:
    """Ours in a fresh process."""
    command = [sys.executable, "-m", "tests.bench.bench_dedup", *arguments]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return dict(json.loads(told.stdout.splitlines()[-1]))


def contest(name: str, corpus: Path, kept: Path) -> dict[str, Any]:
    """One contestant's run."""
    if name in OURS:
        return alone("--ours", str(corpus), str(kept), "--threads", str(OURS[name]))
    if name == "datasketch":  # installed with datakit
        command = [sys.executable, str(HERE / PEERS[name][0]), str(corpus), str(kept), *PEERS[name][1:]]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(told.stdout.splitlines()[-1]))
    return run_peer(name, PEERS[name][0], str(corpus), str(kept), *PEERS[name][1:])


def compare(corpus: Path, truth: Path, peers: list[str], repeat: int) -> dict[str, Any]:
    """All contestants on one corpus: answers and the least CPU seconds (wall time of all rounds apart), and each
    peer's ratios to ours."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, kept = Path(folder) / "corpus.jsonl", Path(folder) / "kept"
        plain.write_bytes(gzip.decompress(corpus.read_bytes()) if corpus.suffix == ".gz" else corpus.read_bytes())
        ids = [orjson.loads(line)["id"] for line in plain.read_bytes().splitlines()]
        for turn in range(repeat):
            for name in (*OURS, *peers):
                if turn and name in ONCE:
                    continue
                told = contest(name, plain, kept)
                answer = score(set(kept.read_text().split()), ids, truth)
                least = min(told["seconds"], found[name]["seconds"]) if name in found else told["seconds"]
                if name not in found or told["cpu_s"] < found[name]["cpu_s"]:
                    found[name] = {**answer, **told}
                found[name]["seconds"] = least
    one, two = OURS
    for name in peers:
        found[name]["times_ours"] = found[name]["cpu_s"] / found[one]["cpu_s"]
        found[name]["times_ours_seconds"] = found[name]["seconds"] / found[two]["seconds"]
    return found


def rounded(value: Any) -> Any:
    """Floats with three decimals, in dicts too."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--grow", type=int, nargs="*", default=[], help="measure memory for so many documents")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ours", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.child)))
        return
    if asked.ours:
        warm_up()
        print(json.dumps(ours(*asked.ours, asked.threads)))
        return
    if asked.corpus is None or asked.truth is None:
        parser.error("CORPUS and TRUTH are needed")
    told = rounded(compare(asked.corpus, asked.truth, asked.peers, asked.repeat))
    told |= {f"{count} documents": growth(asked.corpus, count) for count in asked.grow}
    print(json.dumps(told) if asked.json else "\n".join(f"{name}: {value}" for name, value in told.items()))


if __name__ == "__main__":
    main()
