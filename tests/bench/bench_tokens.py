"""Tokenizing, timed in CPU seconds of one core; answers are checked before times are printed.

    python -m tests.bench.bench_tokens [--megabytes 8] [--rows 200000]

Text: ../shared/bench (Korean and English documentation).
Peers on the same kind of data: `tokenizers` encode_batch 1.5 MB/s a core, sentencepiece 3.5.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
SHARED = Path(__file__).parents[2].parent / "shared"


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, CPU seconds, wall seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def line(task: str, **figures: Any) -> None:
    print("BENCH", json.dumps({"task": task, **figures}, ensure_ascii=False))


def texts_of(megabytes: float) -> list[str]:
    texts, size = [], 0
    with gzip.open(SHARED / "bench" / "bench10k.jsonl.gz", "rt", encoding="utf-8") as stream:
        for raw in stream:
            texts.append(json.loads(raw)["text"])
            size += len(texts[-1].encode())
            if size >= megabytes * 1e6:
                break
    return texts


def encode_all(tokenizer: Any, texts: list[str], offsets: bool) -> list[Any]:
    return [tokenizer.encode_batch(texts[a : a + 256], offsets=offsets) for a in range(0, len(texts), 256)]


def bench_tokenize(texts: list[str]) -> None:
    from datakit.cache import cache_folder
    from datakit.runner import apply
    from datakit.stages.tokenize import Tokenize
    from datakit.tokenizers import load_tokenizer

    size = sum(len(text.encode()) for text in texts) / 1e6
    model = SHARED / "data" / "stories260k" / "tokenizer.model"
    for spec in ("smollm2", str(model)):
        tokenizer = load_tokenizer(spec, cache_folder())
        for start in range(min(len(texts), 50)):
            alone = tokenizer.encode_batch([texts[start]]).ids
            assert tokenizer.decode(alone.tolist()).strip() == texts[start].strip() or spec != "smollm2"
        name = Path(spec).name
        for offsets in (False, True):
            found, cpu, _ = timed(partial(encode_all, tokenizer, texts, offsets))
            tokens = sum(len(one.ids) for one in found)
            line("encode", tokenizer=name, offsets=offsets, mb_per_cpu_s=round(size / cpu, 2), tokens=tokens)
        stage = Tokenize(tokenizer=spec)
        found, cpu, _ = timed(partial(apply, stage, [{"text": text, "lang": "en"} for text in texts]))
        line("tokenize stage", tokenizer=name, mb_per_cpu_s=round(size / cpu, 2), tokens=found.notes["tokens"])


def bench_chat(rows: int) -> None:
    from datakit.runner import apply
    from datakit.stages.template import Template

    lines = (SHARED / "data" / "gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines()
    talks = []
    for number in range(rows):
        row = json.loads(lines[number % len(lines)])
        turns = (("user", row["question"]), ("assistant", row["answer"]))
        talks.append({"messages": [{"role": role, "content": text, "weight": None} for role, text in turns]})
    from datakit.stages.tokenize import Tokenize

    for stages, name in (
        ([Template(style="chatml")], "chatml"),
        ([Template(style="alpaca")], "alpaca"),
        ([Template(tokenizer="smollm2")], "tokenizer's own"),
        ([Template(tokenizer="smollm2"), Tokenize(tokenizer="smollm2")], "tokenizer's own, then tokenize"),
    ):
        _, cpu, _ = timed(partial(apply, stages, talks, kind="example"))
        line("template", style=name, rows=rows, microseconds_a_row=round(cpu / rows * 1e6, 1))


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--megabytes", type=float, default=8.0)
    given.add_argument("--rows", type=int, default=200_000)
    chosen = given.parse_args()
    bench_tokenize(texts_of(chosen.megabytes))
    bench_chat(max(100, chosen.rows // 100))


if __name__ == "__main__":
    main()
