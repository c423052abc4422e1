"""Every method of the trainer on the same rows: what it trains, what it takes, what the held-out rows say.

    python -m tests.bench.bench_methods [--base smollm2] [--steps 8] [--only lora ia3] [--threads 1] [--json]

Rows: what pipelines/quickstart.yaml packs from sample_data, 512 slots each. Each method runs in a process of its own,
at its own default learning rate (PiSSA and OLoRA: LoRA's), the same seed and the same rows in the same order. A figure
is void, and the bench fails, unless the training loss fell and all methods saw the same number of learned tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.bench_train import ROOT, make_task

METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "lora, rank 64 rslora": {"rank": 64, "rslora": True},
    "lora, dora": {"dora": True},
    "lora+ (ratio 4)": {"lora_plus": 4.0},
    "lora, pissa": {"init": "pissa"},
    "lora, olora": {"init": "olora"},
    "lora, eva": {"init": "eva"},
    "qlora nf4": {"method": "qlora"},
    "qlora fp4": {"method": "qlora", "four_bit": "fp4"},
    "qlora nf4, loftq": {"method": "qlora", "init": "loftq"},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix"},
    "prompt": {"method": "prompt"},
    "ptuning": {"method": "ptuning"},
    "head": {"method": "head"},
    "norms": {"method": "norms"},
    "full": {"method": "full"},
}


def alone(name: str, folder: Path, told: dict[str, Any]) -> None:
    """One method, in this process: its figures as JSON in the folder."""
    import pyarrow.parquet as pq
    from datakit_lora.batches import read_rows
    from datakit_lora.device import cpu_threads, peak_memory
    from datakit_lora.loop import Progress, evaluate, train
    from datakit_lora.prepare import make_plan, prepare
    from datakit_lora.trainer import LoraTrainer

    from datakit.cache import cache_folder
    from datakit.models import resolve_base

    config = LoraTrainer.Config.model_validate(
        {"base": told["base"], "batch_tokens": 512, "accumulation": 1, "max_steps": told["steps"], "epochs": 1000,
         "dtype": "float32", "device": "cpu", **METHODS[name]}
    )  # fmt: skip
    rows, held = (read_rows(pq.read_table(folder / f"{split}.parquet")) for split in ("train", "val"))
    rows, held = [row for row in rows if row.pieces], [row for row in held if row.pieces][:4]
    progress = Progress()
    with cpu_threads(told["threads"]):
        engine, _ = prepare(resolve_base(told["base"], cache_folder()), config, "cpu", "float32", rows)
        before, _ = evaluate(engine, held, 1)
        plan = make_plan(rows, config)
        train(engine, rows, plan, config, progress, start=0, after_step=lambda _: None, tell=print)
        after, tokens = evaluate(engine, held, 1)
    found = {
        "method": name,
        "trained": sum(weight.numel() for weight in engine.weights.values()),
        "rate": config.rate,
        "s_per_step": round(progress.seconds / len(progress.curve), 2),
        "peak_mb": round(peak_memory("cpu") / 2**20),
        "first_loss": round(progress.curve[0]["loss"], 4),
        "last_loss": round(progress.curve[-1]["loss"], 4),
        "learned": progress.supervised,
        "held_out_before": round(before, 4),
        "held_out_after": round(after, 4),
        "held_out_tokens": tokens,
    }
    (folder / "found.json").write_text(json.dumps(found))


def measure(name: str, folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    """A method's figures, from a process of its own."""
    print(f"  {name} ...", file=sys.stderr, flush=True)
    given = json.dumps({"base": told.base, "steps": told.steps, "threads": told.threads})
    command = [sys.executable, "-m", "tests.bench.bench_methods", "--alone", name, "--folder", str(folder)]
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(told.threads)}
    done = subprocess.run(
        [*command, "--told", given],
        cwd=ROOT,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads((folder / "found.json").read_text()))


def write_rows(folder: Path, told: argparse.Namespace) -> None:
    """The pipeline's packed rows of both splits as Parquet files."""
    import pyarrow.parquet as pq

    from datakit.store import Store

    make_task(folder, argparse.Namespace(slots=512, steps=told.steps, accumulation=1, threads=told.threads))
    store = Store(folder / "store")
    manifest = store.manifest("quickstart")
    for split in ("train", "val"):
        pq.write_table(store.read_split(manifest.shards, split), folder / f"{split}.parquet")


def show(found: list[dict[str, Any]]) -> None:
    """The table for people; GitHub draws it too."""
    print("| method | trained weights | learning rate | s a step | peak MB | held-out loss before | after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for one in found:
        figures = (f"{one['trained']:,}", f"{one['rate']:g}", one["s_per_step"], f"{one['peak_mb']:,}")
        losses = (f"{one['held_out_before']:.3f}", f"{one['held_out_after']:.3f}")
        print("| " + " | ".join(map(str, (one["method"], *figures, *losses))) + " |")


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--base", default="smollm2")
    given.add_argument("--steps", type=int, default=8)
    given.add_argument("--threads", type=int, default=1)
    given.add_argument("--only", nargs="+", choices=list(METHODS), metavar="METHOD", default=list(METHODS))
    given.add_argument("--json", action="store_true")
    given.add_argument("--alone", help=argparse.SUPPRESS)
    given.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given.add_argument("--told", type=json.loads, help=argparse.SUPPRESS)
    told = given.parse_args()
    if told.alone:
        alone(told.alone, told.folder, told.told)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(folder, told)
        found = [measure(name, folder, told) for name in told.only]
    if len({(one["learned"], one["held_out_tokens"]) for one in found}) > 1:
        sys.exit("the methods saw different numbers of learned tokens: no figure is shown")
    if flat := [one["method"] for one in found if not one["last_loss"] < one["first_loss"]]:
        print(f"void, the training loss did not fall: {', '.join(flat)}", file=sys.stderr)
    print(json.dumps(found)) if told.json else show(found)
    sys.exit(bool(flat))


if __name__ == "__main__":
    main()
