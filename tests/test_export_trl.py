"""The exported folder in TRL: SFTTrainer on its pre-tokenised path has the losses of our own trainer, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit.schemas import table_from_rows
from tests.lora_rows import FakeStore, Fitting, documents, settings, table
from tests.tiny_llama import make_tiny_llama

STEPS, ROWS_A_STEP, SEQ_LEN = 20, 2, 128


def exported(packs: Any, folder: Path) -> None:
    from datakit.stages.export import Export
    from tests.test_export import OneShard, Shards

    Export(path=str(folder), columns="trainer").write(Shards([OneShard("k", packs)], "packed"))  # type: ignore[arg-type]


def packs_of(base: Path) -> Any:
    """Korean and English conversations, packed by the stage."""
    from transformers import AutoTokenizer

    from datakit.runner import apply
    from datakit.stages.pack import Pack

    told = documents(AutoTokenizer.from_pretrained(base), 90)
    rows = [
        {"id": f"d{n}", "source_id": f"{n}", "input_ids": ids, "labels": labels, "split": "train"}
        for n, (ids, labels) in enumerate(told)
    ]
    return apply(Pack(seq_len=SEQ_LEN), table_from_rows(rows, "tokens")).rows


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exported_folder_has_the_same_fp32_losses_in_trl_and_in_our_trainer(tmp_path: Path) -> None:
    from datakit_lora.batches import read_rows
    from datakit_lora.run import make_plan

    from tests.bench.peers import ENVIRONMENTS, run_peer

    if not (ENVIRONMENTS / "trl").is_dir():
        pytest.skip("TRL isn't installed beside the project; `python -m tests.bench.bench_pack --peer` does it")
    base = make_tiny_llama(tmp_path / "base")
    packs = packs_of(base)
    chosen = settings(
        base, batch_tokens=ROWS_A_STEP * SEQ_LEN, max_steps=STEPS, epochs=STEPS, warmup=0.0, final_learning_rate=1.0,
        learning_rate=1e-2,
    )  # fmt: skip
    plan = make_plan(read_rows(packs), chosen)
    assert plan.steps == STEPS
    order = [row for step in plan.windows() for micro in step for row in micro]
    assert len(order) == STEPS * ROWS_A_STEP
    mine = Fitting(FakeStore(packs, table([], "val")), tmp_path / "out", tmp_path / "cache")
    mine.fit(chosen)
    ours = [event.values["loss"] for event in mine.events if event.what == "train" and event.values]
    exported(packs, tmp_path / "exported")
    told = {
        "order": order, "seed": chosen.seed, "rank": chosen.rank, "alpha": int(chosen.alpha), "steps": STEPS,
        "rows_a_step": ROWS_A_STEP, "learning_rate": chosen.learning_rate,
        "target_modules": ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
    }  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(told))
    theirs = run_peer("trl", "trl_losses.py", str(tmp_path / "exported"), str(base), str(tmp_path / "settings.json"))
    assert theirs["losses"] == pytest.approx(ours, abs=2e-4)
    assert ours[-1] < ours[0] * 0.8  # it learns, so equal losses say something
