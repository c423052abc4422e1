"""What does it cost to choose rows by diversity, and does it matter by what rows are chosen?

    python -m tests.bench.bench_select [CORPUS.jsonl.gz]       cost: vectors, and k-center greedy beside the plain loop
    python -m tests.bench.bench_select --learn [--base smollm2] [--rows 100] [--steps 24] [--seeds 3]
                                                               a LoRA adapter for each method, held-out loss after

Cost: CPU seconds of this process, best of three, after the answers were found equal to the definition's.

Learn: the quickstart's mined rows (sample_data) are parted by family; of the larger part each method chooses `--rows`
rows, and each choice trains for the same number of steps of equal size: equal rows, equal compute. Loss in nats a token
of the answers, lower is better, on some of the mined rows set aside and on the rows written by hand
(sample_data/heldout.jsonl). `all` trains on everything for as many steps. `learned` is the share of tokens that are
answers: long answers have more of them, so part of what `longest` wins is that each step teaches more. `--seeds`
repeats each line with other lots and another order of training; the spread over the seeds of `random` says which
differences are no more than chance.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.__main__ import CORPUS, ROOT

METHODS: dict[str, list[str]] = {
    "random": ["random"],
    "longest": ["longest"],
    "diverse": ["diverse"],
    "longest > diverse": ["longest", "diverse"],
    "ifd": ["ifd"],
    "ifd > diverse": ["ifd", "diverse"],
}
ALL = "all"
TOOK = ("ingest", "normalize", "language", "quality", "dedup", "pii", "decontaminate", "synthesize")


def cost(corpus: Path | None, rows: int, count: int) -> dict[str, Any]:
    """Seconds for vectors and for the choice, ours and the plain loop's; the answers must be equal."""
    import numpy as np

    from datakit.kernels.centers import spread
    from datakit.kernels.vectors import ngram_sums, whole_numbers

    texts = _texts(corpus, rows)
    size = sum(len(text.as_buffer()) for text in texts) / 1e6
    ngram_sums(texts.slice(0, 10))  # compiles
    embed, vectors = _best(lambda: whole_numbers(ngram_sums(texts)).astype(np.float32))
    ours, (chosen, _) = _best(lambda: spread(vectors, count))
    plain, expected = _best(lambda: _plain(vectors, count), 1)
    if chosen.tolist() != expected:
        sys.exit("k-center greedy differs from its definition, so no times are shown")
    figures = {"rows": len(texts), "chosen": count, "MB": size, "vectors_s": embed, "MB_per_s": size / embed}
    return figures | {"choose_s": ours, "plain_s": plain, "ratio": plain / ours}


def _texts(corpus: Path | None, rows: int) -> Any:
    import gzip

    import pyarrow as pa

    if corpus is None:
        pages = [path.read_text() for path in sorted((ROOT / "sample_data" / "corpus").rglob("*.md"))]
        return pa.array([f"{pages[n % len(pages)][n % 97 :]} {n}" for n in range(rows)], pa.large_string())
    with gzip.open(corpus) as lines:
        return pa.array([json.loads(line)["text"] for line in lines][:rows], pa.large_string())


def _best(work: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """The least CPU seconds, and the result."""
    spent, result = [], None
    for _ in range(times):
        start = time.process_time()
        result = work()
        spent.append(time.process_time() - start)
    return min(spent), result


def _plain(vectors: Any, count: int) -> list[int]:
    """k-center greedy as it is defined: after each step, every row against the row just taken."""
    import numpy as np

    scales = (1 / np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))).astype(np.float32)
    near = np.full(len(vectors), -1, np.float32)
    row = int(np.argmax((vectors.astype(np.float64) @ vectors.sum(axis=0, dtype=np.float64)) * scales))
    taken = []
    for _ in range(count):
        taken.append(row)
        cosines = vectors @ vectors[row]
        cosines *= scales[row]
        cosines *= scales
        np.maximum(near, cosines, out=near)
        near[row] = 2
        row = int(np.argmin(near))
    return taken


def learn(told: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One line a method and seed: the losses after training; the first line is the base's own."""
    train, aside = _mined(folder)
    tests = {"mined": _spread(aside, told.aside), "by hand": ROOT / "sample_data" / "heldout.jsonl"}
    lines: list[dict[str, Any]] = []
    for name in told.methods.split(","):
        for seed in range(told.seeds):
            done = _taught(name, seed, train, folder, told)
            if not lines:
                lines.append(
                    {
                        "method": "base",
                        "seed": 0,
                        "rows": 0,
                        "learned": 0.0,
                        "losses": _scored(done.adapter.path, tests, False),
                    }
                )
            losses = _scored(done.adapter.path, tests, True)
            shape = {"rows": _chosen(done.manifest), "learned": _learned(done.manifest)}
            lines.append({"method": name, "seed": seed, **shape, "losses": losses})
            print(_told(lines[-1]), flush=True)
    return lines


def _mined(folder: Path) -> tuple[Path, Path]:
    """The quickstart's mined rows as two JSONL files: to choose from, and set aside (a fifth of the families)."""
    from datakit import api
    from datakit.pipeline import Pipeline
    from datakit.stages.split import Split
    from datakit.store import Store

    whole = Pipeline.load(ROOT / "pipelines" / "quickstart.yaml")
    stages = [stage for stage in whole.stages if stage.use in TOOK]
    pipeline = whole.model_copy(update={"stages": (*stages, Split(val=0.2)), "train": None, "evaluate": None})
    manifest = api.run(pipeline, store=str(folder / "mined")).manifest
    store = Store(folder / "mined")
    paths = {side: folder / f"{side}.jsonl" for side in ("train", "val")}
    for side, path in paths.items():
        rows = store.read_split(manifest.shards, side).to_pylist()
        kept = [{"id": r["id"], "messages": r["messages"], "language": r["lang"]} for r in rows]
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    return paths["train"], paths["val"]


def _taught(name: str, seed: int, rows: Path, folder: Path, told: argparse.Namespace) -> Any:
    """Choose, template, tokenize, pack and train."""
    from datakit import api
    from datakit.pipeline import Pipeline

    chosen = {"rows": told.rows, "by": METHODS.get(name, ["random"]), "base": told.base, "tokens": told.tokens}
    if name == ALL:
        chosen |= {"rows": None, "share": 1.0}
    recipe = folder / "recipe.yaml"
    stages = [
        {"use": "ingest", "files": str(rows), "form": "messages"},
        {"use": "select", **chosen, "within": "source.language"},
        {"use": "template", "style": "tokenizer", "tokenizer": told.base},
        {"use": "tokenize", "tokenizer": told.base, "max_length": 480, "too_long": "truncate_right"},
        {"use": "pack", "seq_len": 512},
    ]
    trained = {
        "use": "lora", "base": told.base, "out": str(folder / f"{name.replace(' > ', '-')}-{seed}"), "rank": 16,
        "alpha": 32, "learning_rate": told.learning_rate, "batch_tokens": 1024, "accumulation": 1, "epochs": 1000,
        "max_steps": told.steps, "threads": told.threads, "checkpoint_every": 0,
    }  # fmt: skip
    recipe.write_text(json.dumps({"name": "choice", "seed": seed, "stages": stages, "train": trained}))
    return api.run(Pipeline.load(recipe), store=str(folder / "chosen"))


def _chosen(manifest: Any) -> int:
    return int(next(stage.stats["kept"] for stage in manifest.stages if stage.use == "select"))


def _learned(manifest: Any) -> float:
    """The share of the tokens that are learned: with long answers, a step of equal size teaches more of them."""
    return manifest.note("tokenize")["trained_tokens"] / manifest.note("tokenize")["tokens"]


def _scored(adapter: str, tests: dict[str, Path], adapted: bool) -> dict[str, float]:
    """Nats a token of the answers, for each file of rows."""
    from datakit.evaluation import read_rows
    from datakit.training import open_adapter

    _, model = open_adapter(adapter)
    losses = {}
    for name, path in tests.items():
        scores = model.score([row.messages for row in read_rows(path)], adapter=adapted)
        losses[name] = sum(one.nll for one in scores) / sum(one.tokens for one in scores)
    return losses


def _spread(rows: Path, count: int) -> Path:
    """A file with so many of the rows, evenly spaced."""
    lines = rows.read_text().splitlines(keepends=True)
    few = rows.with_name("aside.jsonl")
    few.write_text("".join(lines[place * len(lines) // count] for place in range(min(count, len(lines)))))
    return few


def _told(line: dict[str, Any]) -> str:
    losses = "   ".join(f"{name} {loss:.4f}" for name, loss in line["losses"].items())
    return f"{line['method']:20} seed {line['seed']}  {line['rows']:5} rows   {losses}"


def summary(lines: list[dict[str, Any]]) -> None:
    """A line a method: the mean over the seeds, and how far the seeds lie apart."""
    print(f"\n{'':20}{'rows':>6}{'learned':>9}   {'mined rows':>18}   {'by hand':>18}")
    for name in dict.fromkeys(line["method"] for line in lines):
        mine = [line for line in lines if line["method"] == name]
        cells = []
        for where in ("mined", "by hand"):
            losses = [line["losses"][where] for line in mine]
            cells.append(f"{statistics.mean(losses):9.4f} ± {statistics.pstdev(losses):6.4f}")
        learned = statistics.mean(line["learned"] for line in mine)
        print(f"{name:20}{mine[0]['rows']:6}{learned:9.0%}   {cells[0]:>18}   {cells[1]:>18}")


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("corpus", nargs="?", type=Path, default=CORPUS if CORPUS.is_file() else None)
    given.add_argument("--learn", action="store_true", help="train an adapter for every method (minutes)")
    given.add_argument("--base", default="smollm2")
    everything = ",".join([ALL, *METHODS])
    given.add_argument("--methods", default=everything, help=f"some of {everything}, between commas")
    given.add_argument("--rows", type=int, default=100)
    given.add_argument("--steps", type=int, default=24)
    given.add_argument("--seeds", type=int, default=3)
    given.add_argument("--threads", type=int, default=2)
    given.add_argument("--aside", type=int, default=60, help="mined rows to measure on")
    given.add_argument("--tokens", type=int, default=256, help="tokens of a row that IFD looks at")
    given.add_argument("--learning-rate", type=float, default=1e-3)
    given.add_argument("--json", action="store_true")
    told = given.parse_args()
    load = os.getloadavg()[0]
    if told.learn:
        with tempfile.TemporaryDirectory() as folder:
            lines = learn(told, Path(folder))
        print(json.dumps(lines)) if told.json else summary(lines)
        return
    figures = cost(told.corpus, 10_000, 1_000)
    if told.json:
        print(json.dumps({**figures, "load": load}))
        return
    print(f"load before the run {load:.1f}; k-center greedy agrees with its definition")
    print(f"vectors   {figures['MB']:.1f} MB, {figures['rows']:,} texts: {figures['vectors_s']:.2f} s,", end=" ")
    print(f"{figures['MB_per_s']:.0f} MB/s")
    print(f"choose    {figures['chosen']:,} of {figures['rows']:,}: {figures['choose_s']:.3f} s;", end=" ")
    print(f"the plain loop {figures['plain_s']:.3f} s, {figures['ratio']:.1f} times as much")


if __name__ == "__main__":
    main()
