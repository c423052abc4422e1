"""Tokenizing, templates and packing beside the peers, in CPU seconds; answers are checked before times are printed.

    python -m tests.bench.bench_tokens [--megabytes 38] [--chats 100000] [--rows 200000]

Text: ../shared/bench (Korean and English documentation) through datasets.map(num_proc=2) with the same tokenizer and
through `tokenize`, by Qwen 2.5's and SmolLM2's byte-level BPE and by a SentencePiece model of each type; the ids must
be equal. Chats: rows of gsm8k, through TRL's SFTTrainer up to its first step and through template, tokenize and pack;
the sequences must be equal. Lengths to pack: drawn like Alpaca's (log-normal, median 134 tokens); TRL packs 200k rows
in 4.5 s at 98.99 % (2,048) and 4.6 s at 96.07 % (8,192) by default, in 3.9 s and 5.0 s at 99.96 % in one batch.
CPU seconds are those of all processes: wall time says little on a machine that others use.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datakit.schemas import table_from_rows
from tests.bench.peers import run_peer

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


def cpu_seconds() -> float:
    """Of this process and its children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def tokenizers_in(room: Path, texts: list[str]) -> dict[str, Path]:
    """Name -> tokenizer.json or .model file: two of known models, two trained on a tenth of the texts."""
    from datakit.cache import cache_folder
    from datakit.models import tokenizer_folder
    from datakit.tokenizers import train_sentencepiece

    run_peer("qwen", "qwen_tokenizer.py", str(room / "qwen"))
    found = {"qwen2.5": room / "qwen" / "tokenizer.json", "smollm2": tokenizer_folder("smollm2", cache_folder())}
    for kind in ("bpe", "unigram"):
        found[f"sentencepiece {kind}"] = room / f"{kind}.model"
        lines = [text for row in texts[::10] for text in row.splitlines() if text.strip()]
        model = train_sentencepiece((line[:4000] for line in lines), vocab_size=16000, model_type=kind)
        found[f"sentencepiece {kind}"].write_bytes(model)
    return found


def bench_tokenize(texts: list[str], workers: int) -> None:
    """Each tokenizer beside datasets.map with two processes."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        with (room / "corpus.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        for name, path in tokenizers_in(room, texts).items():
            beside_datasets_map(name, path, room, texts, workers)


def beside_datasets_map(name: str, path: Path, room: Path, texts: list[str], workers: int) -> None:
    from datakit.executors import Processes, Serial
    from datakit.runner import apply
    from datakit.stages.tokenize import Tokenize

    size = sum(len(text.encode()) for text in texts) / 1e6
    own = path / "tokenizer.json" if path.is_dir() else path
    theirs = run_peer("trl", "datasets_tokenize.py", str(room / "corpus.jsonl"), str(own), str(room / "ids.npy"), "2")
    stage = Tokenize(tokenizer=str(path), add_eos=False, add_bos=False)
    step = 1 + len(texts) // 8
    shards = [[{"text": text} for text in texts[at : at + step]] for at in range(0, len(texts), step)]
    tables = [table_from_rows([{**row, "id": f"{n}.{m}", "source_id": "", "family": ""} for m, row in enumerate(shard)],
                              "document") for n, shard in enumerate(shards)]  # fmt: skip
    clock, started = cpu_seconds(), time.perf_counter()
    made = apply(stage, tables, executor=Processes(workers) if workers > 1 else Serial())
    used, seconds = cpu_seconds() - clock, time.perf_counter() - started
    column = made.rows.column("input_ids").combine_chunks()
    assert np.array_equal(column.flatten().to_numpy(), np.load(room / "ids.npy")), f"{name}: other ids"
    line(
        "tokenize beside datasets.map", tokenizer=name, mb=round(size, 1), tokens=made.notes["tokens"],
        cpu_s=round(used, 2), peer_cpu_s=round(theirs["cpu_s"], 2), times_cpu=round(theirs["cpu_s"] / used, 1),
        wall_s=round(seconds, 2), peer_wall_s=round(theirs["seconds"], 2),
        times_wall=round(theirs["seconds"] / seconds, 1),
        mb_per_cpu_s=round(size / used, 1), load=round(os.getloadavg()[0], 1),
    )  # fmt: skip


def chats(rows: int) -> list[dict[str, Any]]:
    lines = (SHARED / "data" / "gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines()
    made = []
    for number in range(rows):
        row = json.loads(lines[number % len(lines)])
        asked = f"{row['question']} ({number})"  # no two rows alike
        made.append({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": row["answer"]}]})
    return made


def bench_chat(rows: int, seq_len: int = 2048) -> None:
    """Template, tokens and packs of chat rows beside TRL's preparation of the same rows."""
    from datakit.cache import cache_folder
    from datakit.models import tokenizer_folder
    from datakit.runner import apply
    from datakit.stages.pack import Pack
    from datakit.stages.template import Template
    from datakit.stages.tokenize import Tokenize

    talks = chats(rows)
    folder = tokenizer_folder("smollm2", cache_folder())
    with tempfile.TemporaryDirectory() as scratch:
        path, out = Path(scratch) / "rows.jsonl", Path(scratch) / "made.npz"
        path.write_text("".join(json.dumps(row) + "\n" for row in talks), encoding="utf-8")
        theirs = run_peer("trl", "trl_prepare.py", str(path), str(folder), str(seq_len), str(out))
        found = np.load(out)
    named = [{**row, "id": f"{n:032x}", "source_id": str(n), "family": f"{n:032x}"} for n, row in enumerate(talks)]
    tables = [table_from_rows(named[at : at + 20_000], "example") for at in range(0, rows, 20_000)]
    stages = [
        Template(tokenizer="smollm2"),
        Tokenize(tokenizer="smollm2", max_length=seq_len, too_long="truncate_right"),
    ]
    clock = cpu_seconds()
    packed = apply([*stages, Pack(seq_len=seq_len)], tables)
    used = cpu_seconds() - clock
    spans = packed.rows.column("spans").to_pylist()
    ours = packed.rows.column("input_ids").to_pylist()
    mine = [ids[s["start"] : s["start"] + s["length"]] for ids, row in zip(ours, spans, strict=True) for s in row]
    others = np.split(found["ids"], np.cumsum(found["lengths"])[:-1])
    assert sorted(map(tuple, mine)) == sorted(map(tuple, others)), "other sequences"
    line(
        "template, tokenize, pack beside TRL", rows=rows, seq_len=seq_len, cpu_s=round(used, 2),
        peer_cpu_s=round(theirs["cpu_s"], 2), times_cpu=round(theirs["cpu_s"] / used, 1),
        microseconds_a_row=round(used / rows * 1e6, 1), packs=packed.rows.num_rows, peer_packs=theirs["packs"],
        load=round(os.getloadavg()[0], 1),
    )  # fmt: skip


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--megabytes", type=float, default=38.0)
    given.add_argument("--chats", type=int, default=100_000)
    given.add_argument("--rows", type=int, default=200_000)
    given.add_argument("--workers", type=int, default=1)
    chosen = given.parse_args()
    if chosen.megabytes:
        bench_tokenize(texts_of(chosen.megabytes), chosen.workers)
    if chosen.chats:
        bench_chat(chosen.chats)


if __name__ == "__main__":
    main()
