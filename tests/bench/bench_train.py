"""One LoRA, trained by our plugin and by what most people use, on the same packed rows in the same order.

    python -m tests.bench.bench_train [--steps 4] [--accumulation 2] [--slots 512] [--threads 2] [--all] [--json]

Rows: what pipelines/quickstart.yaml packs from sample_data (SmolLM2's chat template), `--slots` token slots each.
Peers, each step on the very same documents: TRL 1.16's SFTTrainer without padding, in an environment of its own; with
--all, transformers' Trainer with PEFT and DataCollatorWithFlattening on sdpa too. All start from the same base with
the same rank, layers, seed, AdamW, constant learning rate and clip, without gradient checkpointing, in a process of
their own. `--steps 50` is the long comparison of trajectories.

Nothing is timed as a win before the answers agree: equal numbers of trained weights and learned tokens, and in float32
an equal loss at the first step, where the adapter is still zero (1e-3), and at every later one (1e-2): those hang on
gradients, clipping and optimiser. The first step is left out of the times, it warms caches up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.schemas import IGNORED
from tests.bench.peers import PACKAGES, environment_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datakit_lora.batches import Plan
    from datakit_lora.config import LoraSettings

ROOT = Path(__file__).parents[2]
BASE = "smollm2"
TOLERANCE = {"float32": (1e-3, 1e-2), "bfloat16": (5e-2, 2e-1)}
"""How far the first loss, and any later one, may be from ours in float32, in nats a token."""


@dataclass(frozen=True, slots=True)
class Task:
    """What every contestant gets."""

    rows: str
    """Parquet file of packed rows, each with something to learn."""
    base: str
    """Hugging Face folder of the base model."""
    steps: int
    accumulation: int
    threads: int
    slots: int
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 2e-4
    clip: float = 1.0

    def settings(self, dtype: str) -> LoraSettings:
        """The task as our trainer's settings: one step more than is timed, a constant learning rate."""
        from datakit_lora.config import LoraSettings

        rates = {"learning_rate": self.learning_rate, "final_learning_rate": 1.0, "warmup": 0.0, "clip": self.clip}
        sizes = {
            "batch_tokens": self.slots,
            "accumulation": self.accumulation,
            "max_steps": self.steps + 1,
            "epochs": 1000,
        }
        adapter = {"base": self.base, "rank": self.rank, "alpha": self.alpha, "dtype": dtype, "device": "cpu"}
        return LoraSettings.model_validate({**adapter, **rates, **sizes, "threads": self.threads})

    def table(self) -> pa.Table:
        """The packed rows."""
        import pyarrow.parquet as pq

        return pq.read_table(self.rows)


@dataclass(frozen=True, slots=True)
class Course:
    """What a contestant did: the loss of every step, when each ended, how many weights it trained, in which type."""

    losses: list[float]
    ends: list[tuple[float, float]]
    """Wall and CPU seconds of the process."""
    weights: int
    dtype: str


def ours(task: Task, dtype: str) -> Course:
    """The plugin's own preparation and loop, as `datakit run` drives them."""
    from datakit_lora.batches import read_rows
    from datakit_lora.device import choose_dtype, cpu_threads
    from datakit_lora.loop import Progress, train
    from datakit_lora.prepare import make_plan, prepare

    from datakit.cache import cache_folder
    from datakit.models import resolve_base

    settings = task.settings(dtype)
    rows, progress, ends = read_rows(task.table()), Progress(), list[tuple[float, float]]()
    with cpu_threads(task.threads):
        kind = choose_dtype(settings)
        engine, _ = prepare(resolve_base(task.base, cache_folder()), settings, "cpu", kind)
        plan = make_plan(rows, settings)
        train(engine, rows, plan, settings, progress, start=0, after_step=lambda _: ends.append(_now()))
    weights = sum(weight.numel() for weight in engine.weights.values())
    return Course([entry["loss"] for entry in progress.curve], ends, weights, kind)


def flattening(task: Task, dtype: str) -> Course:
    """transformers' Trainer on a PEFT model; a packed row is flattened out of its documents."""
    from peft import get_peft_model
    from transformers import DataCollatorWithFlattening, Trainer, TrainingArguments

    kind, model, adapter = _base(task, dtype)
    lay_flat = DataCollatorWithFlattening()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=get_peft_model(model, adapter),
            args=TrainingArguments(**_arguments(task, folder), bf16=kind == "bfloat16"),
            train_dataset=[{"documents": row} for row in _in_order(task)],
            data_collator=lambda rows: lay_flat([document for row in rows for document in row["documents"]]),
        )
        return _course(trainer, kind)


def supervised(task: Task, dtype: str) -> Course:
    """TRL's SFTTrainer, padding-free, on rows that are tokenized and packed already."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    kind, model, adapter = _base(task, dtype)
    rows = [
        {
            "input_ids": [token for document in row for token in document["input_ids"]],
            "labels": [label for document in row for label in document["labels"]],
            "seq_lengths": [len(document["input_ids"]) for document in row],
        }
        for row in _in_order(task)
    ]
    ready = {"dataset_kwargs": {"skip_prepare_dataset": True}, "padding_free": True, "max_length": None}
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**_arguments(task, folder), **ready, bf16=kind == "bfloat16"),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(task.base),
            peft_config=adapter,
        )
        return _course(trainer, kind)


CONTESTANTS: dict[str, tuple[Callable[[Task, str], Course], str]] = {
    "datakit, float32": (ours, "float32"),
    "datakit, auto": (ours, "auto"),
    "transformers + peft, float32": (flattening, "float32"),
    "transformers + peft, auto": (flattening, "auto"),
    "trl, float32": (supervised, "float32"),
}
ALWAYS = ("datakit, float32", "trl, float32")
FIRST = "datakit, float32"
TRL = PACKAGES["trl"][0].partition("==")[2]
"""The one that all others are compared with."""


def _base(task: Task, dtype: str) -> tuple[str, Any, Any]:
    """(number type, base model on sdpa, PEFT's settings) of a peer, seeded as ours is."""
    import torch
    from datakit_lora.device import choose_dtype
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(task.threads)
    kind = choose_dtype(task.settings(dtype))
    model = AutoModelForCausalLM.from_pretrained(task.base, dtype=getattr(torch, kind), attn_implementation="sdpa")
    torch.manual_seed(0)
    adapter = LoraConfig(task_type="CAUSAL_LM", r=task.rank, lora_alpha=task.alpha, target_modules="all-linear")
    return kind, model, adapter


def _arguments(task: Task, folder: str) -> dict[str, Any]:
    """TrainingArguments of a peer."""
    step = {"per_device_train_batch_size": _plan(task).rows_a_batch, "gradient_accumulation_steps": task.accumulation}
    rates = {"learning_rate": task.learning_rate, "lr_scheduler_type": "constant", "max_grad_norm": task.clip}
    quiet = {"output_dir": folder, "report_to": "none", "save_strategy": "no", "disable_tqdm": True, "logging_steps": 1}
    rows = {"max_steps": task.steps + 1, "train_sampling_strategy": "sequential", "remove_unused_columns": False}
    return {**step, **rates, **quiet, **rows, "use_cpu": True, "gradient_checkpointing": False, "seed": 0}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _course(trainer: Any, kind: str) -> Course:
    """Run a transformers trainer, with a clock at the end of every step."""
    from transformers import TrainerCallback

    ends: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(_now())

    trainer.add_callback(Clock())
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    weights = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    return Course(losses, ends, weights, kind)


def _plan(task: Task) -> Plan:
    """Which rows each step sees: the same for all."""
    from datakit_lora.batches import read_rows
    from datakit_lora.prepare import make_plan

    return make_plan(read_rows(task.table()), task.settings("float32"))


def _in_order(task: Task) -> list[list[dict[str, list[int]]]]:
    """The packed rows in the order of the plan, each as its whole documents; the pad tail is none of them."""
    packed = task.table().to_pylist()
    return [
        [
            {name: row[name][span["start"] : span["start"] + span["length"]] for name in ("input_ids", "labels")}
            for span in row["spans"]
        ]
        for row in (packed[place] for window in _plan(task).windows() for micro in window for place in micro)
    ]


def make_task(folder: Path, told: argparse.Namespace) -> Task:
    """Run the quickstart pipeline up to its packed rows, and convert the base if that was never done."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from datakit_lora.batches import read_rows

    from datakit import api
    from datakit.cache import cache_folder
    from datakit.models import resolve_base
    from datakit.pipeline import Pipeline
    from datakit.store import Store

    whole = Pipeline.load(
        ROOT / "pipelines" / "quickstart.yaml", [f"export.path={folder / 'export'}", f"pack.seq_len={told.slots}"]
    )
    pipeline = whole.model_copy(update={"train": None, "evaluate": None})
    manifest = api.run(pipeline, store=str(folder / "store"), workers=told.threads).manifest
    table = Store(folder / "store").read_split(manifest.shards, "train")
    table = table.filter(pc.greater([row.supervised for row in read_rows(table)], 0))
    pq.write_table(table, folder / "rows.parquet")
    base = resolve_base(BASE, cache_folder()).folder
    return Task(str(folder / "rows.parquet"), str(base), told.steps, told.accumulation, told.threads, told.slots)


def measure(name: str, task: Task, folder: Path) -> dict[str, Any]:
    """A contestant's course and peak memory, in a process of its own."""
    print(f"  {name} ...", file=sys.stderr, flush=True)
    (folder / "task.json").write_text(json.dumps(asdict(task)))
    # TRL sees our packages but not this checkout.
    python = environment_of("trl") if name.startswith("trl") else sys.executable
    command = [python, "-m", "tests.bench.bench_train", "--alone", name, "--folder", str(folder)]
    quiet = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(task.threads),
    }
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **quiet}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads((folder / "found.json").read_text())


def alone(name: str, folder: Path) -> None:
    """The inside of that process."""
    from datakit_lora.device import peak_memory

    run, dtype = CONTESTANTS[name]
    course = run(Task(**json.loads((folder / "task.json").read_text())), dtype)
    found = {**asdict(course), "peak_mb": round(peak_memory("cpu") / 2**20)}
    (folder / "found.json").write_text(json.dumps(found))


def disagreements(found: dict[str, dict[str, Any]], task: Task) -> list[str]:
    """Where a contestant's answers are not those of ours in float32."""
    first, wrong = found[FIRST], list[str]()
    labels = [document["labels"][1:] for row in _in_order(task) for document in row]
    peers, mine = sum(label != IGNORED for each in labels for label in each), tokens(task, 0)[1]
    if peers != mine:
        wrong.append(f"the peers learn {peers:,} tokens, ours {mine:,}")
    for name, one in found.items():
        if {len(one["losses"]), len(one["ends"])} != {task.steps + 1}:
            wrong.append(f"{name}: {len(one['losses'])} losses and {len(one['ends'])} steps, not {task.steps + 1}")
        for step, (theirs, loss) in enumerate(zip(one["losses"], first["losses"], strict=False)):
            if not abs(theirs - loss) <= TOLERANCE[one["dtype"]][step > 0]:
                wrong.append(f"{name}: loss {theirs:.5f} at step {step + 1}, ours {loss:.5f}")
        if one["weights"] != first["weights"]:
            wrong.append(f"{name}: {one['weights']:,} trained weights, ours {first['weights']:,}")
    return wrong


def tokens(task: Task, start: int) -> tuple[int, int]:
    """(slots, learned tokens) of all steps from `start` on."""
    from datakit_lora.batches import read_rows

    rows = read_rows(task.table())
    seen = [rows[place] for window in _plan(task).windows(start) for micro in window for place in micro]
    return sum(row.slots for row in seen), sum(row.supervised for row in seen)


def figures(found: dict[str, dict[str, Any]], task: Task) -> list[dict[str, Any]]:
    """One line a contestant: seconds a step, tokens a second, memory, how far its losses are from ours."""
    first, (slots, learned) = found[FIRST], tokens(task, 1)
    lines, first_step = [], 0.0
    for name, one in found.items():
        wall, cpu = ([after - before for before, after in pairwise(clock)] for clock in zip(*one["ends"], strict=True))
        step = statistics.median(wall)
        first_step = first_step or step
        apart = [abs(a - b) for a, b in zip(one["losses"], first["losses"], strict=True)]
        lines.append(
            {
                "name": name,
                "dtype": one["dtype"],
                "s_per_step": round(step, 2),
                "cpu_s_per_step": round(statistics.median(cpu), 2),
                "slot_tokens_per_s": round(slots / task.steps / step, 1),
                "learned_tokens_per_s": round(learned / task.steps / step, 1),
                "peak_mb": one["peak_mb"],
                "times_ours": round(step / first_step, 2),
                "first_loss": round(one["losses"][0], 5),
                "first_apart": round(apart[0], 9),
                "most_apart": round(max(apart), 9),
                "last_loss": round(one["losses"][-1], 5),
            }
        )
    return lines


def circumstances(task: Task, weights: int, load: float) -> dict[str, Any]:
    """Model, settings, versions, machine."""
    import torch

    packages = ["torch", "transformers", "peft"]
    able = [name for name in ("avx2", "avx512_bf16", "amx_bf16") if torch.cpu.get_capabilities().get(name)]
    return {
        "model": f"{BASE} (SmolLM2-135M-Instruct), LoRA rank {task.rank} alpha {task.alpha} on all linear layers, "
        f"{weights:,} trained weights",
        "step": f"{task.accumulation} x 1 packed row of {task.slots} slots, AdamW, rate {task.learning_rate:g}, "
        f"clip {task.clip:g}; median of {task.steps} steps after one to warm up",
        "versions": {name: version(name) for name in packages} | {"trl": TRL, "python": platform.python_version()},
        "machine": f"{task.threads} threads, {' '.join(able)}; load before the run {load:.1f}",
    }


def show(about: dict[str, Any], lines: Sequence[dict[str, Any]]) -> None:
    """The table for people."""
    versions = "  ".join(f"{name} {number}" for name, number in about["versions"].items())
    print(f"model     {about['model']}\nstep      {about['step']}\nversions  {versions}\nmachine   {about['machine']}")
    print(f"agreed    first loss {lines[0]['first_loss']:.5f} nats a learned token in float32; at most apart:", end=" ")
    print(f"{max(line['first_apart'] for line in lines if line['dtype'] == 'float32'):.1e} in float32,", end=" ")
    print(f"{max(line['first_apart'] for line in lines):.1e} in all\n")
    print(f"{'':40}s/step  CPU s  slots/s  learned/s  peak MB  x ours  last loss  most apart")
    for line in lines:
        label = line["name"].replace("auto", f"auto ({line['dtype']})")
        print(
            f"{label:38}{line['s_per_step']:8.2f}{line['cpu_s_per_step']:7.2f}{line['slot_tokens_per_s']:9.1f}", end=""
        )
        print(f"{line['learned_tokens_per_s']:11.1f}{line['peak_mb']:9,}{line['times_ours']:8.2f}", end="")
        print(f"{line['last_loss']:11.4f}{line['most_apart']:12.1e}")


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--steps", type=int, default=4, help="timed steps, after one that is not")
    given.add_argument("--accumulation", type=int, default=2, help="packed rows a step, one forward pass each")
    given.add_argument("--slots", type=int, default=512, help="token slots of a packed row")
    given.add_argument("--threads", type=int, default=2)
    given.add_argument("--all", action="store_true", help="transformers' Trainer and bfloat16 as well")
    given.add_argument("--json", action="store_true")
    given.add_argument("--alone", help=argparse.SUPPRESS)
    given.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    told = given.parse_args()
    if told.alone:
        alone(told.alone, told.folder)
        return
    if min(told.steps, told.accumulation, told.threads) < 1:
        sys.exit("--steps, --accumulation and --threads begin at 1")
    load = os.getloadavg()[0]
    names = [name for name in CONTESTANTS if told.all or name in ALWAYS]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        task = make_task(folder, told)
        found = {name: measure(name, task, folder) for name in names}
        if wrong := disagreements(found, task):
            sys.exit("\n".join(["the answers differ, so no times are shown:", *wrong]))
        about, lines = circumstances(task, found[FIRST]["weights"], load), figures(found, task)
    if told.json:
        print(json.dumps({**about, "found": lines}))
    else:
        show(about, lines)


if __name__ == "__main__":
    main()
