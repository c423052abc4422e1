"""TRL's SFTTrainer up to the first step: chat template, tokens, packs, by its own defaults for packing.

    python trl_prepare.py ROWS.jsonl TOKENIZER_FOLDER SEQ_LEN OUT.npz [PROCESSES]

ROWS: {"messages": [...]}. The model is a tiny one: only the preparation of the rows is timed.
"""

import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import datasets
import numpy as np
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

datasets.disable_caching()
datasets.disable_progress_bars()


def cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main(rows: str, folder: str, seq_len: int, out: str, processes: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=1, **sizes))
    with open(rows, encoding="utf-8") as lines:
        given = datasets.Dataset.from_list([{"messages": json.loads(line)["messages"]} for line in lines])
    with tempfile.TemporaryDirectory() as scratch:
        config = SFTConfig(
            output_dir=scratch, packing=True, max_length=seq_len, report_to="none", use_cpu=True,
            dataset_num_proc=processes if processes > 1 else None,
        )  # fmt: skip
        clock, started = cpu(), time.perf_counter()
        trainer = SFTTrainer(model=model, args=config, train_dataset=given, processing_class=tokenizer)
        used, seconds = cpu() - clock, time.perf_counter() - started
    made = trainer.train_dataset
    table = made.data
    ids = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("input_ids").chunks])
    lengths = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("seq_lengths").chunks])
    np.savez(out, ids=ids, lengths=lengths)
    print(json.dumps({"cpu_s": used, "seconds": seconds, "packs": len(made), "version": version("trl")}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]) if len(sys.argv) > 5 else 1)
