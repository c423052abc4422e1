"""The miner: documents a second on one core, on the shared benchmark's documents and on sample_data.

    python -m tests.bench.bench_mine [CORPUS.jsonl.gz] [--repeat 3] [--json]

Before a time is told, every row whose answer is a passage of its text is looked up there, and two runs are compared.
The work is that of the stage: a table of documents in, a table of example rows out. CPU seconds, best of so many.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from datakit.stages.synthesize.passages import language_of
from tests.bench.__main__ import CORPUS

SAMPLE = Path(__file__).parents[2] / "sample_data" / "corpus"
SETTINGS = {
    "language": "auto", "tasks": None, "per_document": 3, "passage_ko": 600, "passage_en": 1000, "seed": 0,
    "version": 0,
}  # fmt: skip
QUOTED = ("example", "restate", "summary")
"""Tasks whose answer stands in the text word for word, but for the first letter."""


def corpus_table(path: Path) -> pa.Table:
    """The documents of the benchmark corpus."""
    with gzip.open(path, "rb") as lines:
        rows = [json.loads(line) for line in lines]
    return _table([(row["id"], row["text"]) for row in rows])


def sample_table() -> pa.Table:
    """The documents of sample_data, as ingest reads them."""
    from datakit.runner import apply
    from datakit.stages.ingest import Ingest

    rows = apply(Ingest(files=str(SAMPLE))).rows.to_pylist()
    return _table([(row["id"], row["text"]) for row in rows])


def _table(rows: list[tuple[str, str]]) -> pa.Table:
    """Documents as the stage gets them: their language is known."""
    columns = ("source_id", "source", "position", "family", "licence")
    return pa.Table.from_pylist(
        [{"id": name, "text": text, "lang": language_of(text, None), **dict.fromkeys(columns)} for name, text in rows]
    )


def wrong(made: pa.Table) -> int:
    """Rows whose answer should be quoted from the text and is not."""
    found = 0
    for row in made.to_pylist():
        if row["dropped"] is None and row["synthesize.task"] in QUOTED:
            found += row["messages"][1]["content"][1:] not in row["synthesize.input"]
    return found


def timed(table: pa.Table, repeat: int) -> dict[str, Any]:
    """Documents a second, and what came of them."""
    from datakit.stages.synthesize.mine import mine_table

    first = mine_table(table, SETTINGS)
    if wrong(first) or not first.equals(mine_table(table, SETTINGS)):
        raise SystemExit("wrong answer: a quoted answer isn't in its text, or two runs differ")
    best = float("inf")
    for _ in range(repeat):
        clock = time.process_time()
        mine_table(table, SETTINGS)
        best = min(best, time.process_time() - clock)
    characters = sum(map(len, table["text"].to_pylist()))
    return {
        "documents": table.num_rows, "characters_a_document": characters / table.num_rows,
        "rows": first["dropped"].null_count, "documents_s": table.num_rows / best,
    }  # fmt: skip


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {"sample_data": timed(sample_table(), asked.repeat)}
    if asked.corpus.is_file():
        found["corpus"] = timed(corpus_table(asked.corpus), asked.repeat)
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {told}" for name, told in found.items()))


if __name__ == "__main__":
    main()
