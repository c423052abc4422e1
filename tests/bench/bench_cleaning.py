"""How fast normalize, language and quality are, stage by stage, on one core, and what they drop.

    python tests/bench/bench_cleaning.py CORPUS.jsonl.gz [--repeat 3] [--json]

CORPUS: {"id", "text"} a line. Times are CPU seconds of this process over batches of 1,000 rows in memory (parsing and
writing are not in them), the best of `--repeat` after one warm-up batch that compiles; MB are bytes of UTF-8 text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROWS = 1000


def batches_of(path: Path) -> tuple[list[Any], float]:
    """The corpus as record batches, and its size in MB."""
    import orjson

    from datakit.schemas import table_from_rows

    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        rows = [orjson.loads(line) for line in file]
    size = sum(len(row["text"].encode()) for row in rows) / 1e6
    named = [{"id": str(n), "source_id": str(row["id"]), "text": row["text"]} for n, row in enumerate(rows)]
    return table_from_rows(named, "document").to_batches(ROWS), size


def timed(work: Any, batches: list[Any], repeat: int) -> tuple[list[Any], float]:
    """The outcomes of all batches, and the least CPU seconds of `repeat` passes."""
    work(batches[0].slice(0, 10))
    best, outcomes = float("inf"), []
    for _ in range(repeat):
        start = time.process_time()
        outcomes = [work(batch) for batch in batches]
        best = min(best, time.process_time() - start)
    return outcomes, best


def measure(path: Path, repeat: int) -> list[dict[str, Any]]:
    """One record a stage, and one for the three together."""
    from datakit.stage import Env
    from datakit.stages.language import Language
    from datakit.stages.normalize import Normalize
    from datakit.stages.quality import Quality

    batches, size = batches_of(path)
    records, total = [], 0.0
    for stage in (Normalize(), Language(), Quality()):
        outcomes, seconds = timed(stage.open(Env()), batches, repeat)
        rules: Counter[str] = Counter()
        for outcome in outcomes:
            rules.update(outcome.drops.column("rule").to_pylist() if outcome.drops is not None else ())
        counters: Counter[str] = sum((outcome.counters for outcome in outcomes), Counter())
        rows = sum(batch.num_rows for batch in batches)
        records.append(record(stage.use, size, seconds, rows, rules, counters))
        batches = [outcome.kept for outcome in outcomes]
        total += seconds
    return [*records, record("all three", size, total, records[0]["rows"], Counter(), Counter())]


def record(
    name: str, size: float, seconds: float, rows: int, rules: Counter[str], counters: Counter[str]
) -> dict[str, Any]:
    return {
        "stage": name,
        "mb_per_s": round(size / seconds, 1),
        "cpu_s": round(seconds, 3),
        "rows": rows,
        "dropped": sum(rules.values()),
        "rules": dict(sorted(rules.items())),
        "counters": dict(sorted(counters.items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    records = measure(args.corpus, args.repeat)
    if args.json:
        print(json.dumps(records, ensure_ascii=False))
        return
    for found in records:
        print(
            f"{found['stage']:>10} {found['mb_per_s']:6.1f} MB/s {found['cpu_s']:6.3f} s {found['dropped']:5} dropped"
        )
        for name, counts in (("rules", found["rules"]), ("counters", found["counters"])):
            if counts:
                print(f"{'':12}{name}: " + ", ".join(f"{key} {count}" for key, count in counts.items()))


if __name__ == "__main__":
    main()
