"""TRL: SFTTrainer on an exported folder, its rows in a given order; the loss of every step.

    python trl_losses.py EXPORTED BASE SETTINGS.json

The rows have tokens already (TRL's pre-tokenised path); `padding_free` keeps the documents of a pack apart by their
`seq_lengths`. The adapter is drawn from the same seed with the same PEFT as datakit's trainer draws it.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ["HF_DATASETS_OFFLINE"] = "1"

import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main(folder: str, base: str, settings: dict) -> None:  # type: ignore[type-arg]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as room:
        rows = load_dataset(folder, split="train", cache_dir=room).select(settings["order"])
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="sdpa")
        for weight in model.parameters():
            weight.requires_grad_(False)
        torch.manual_seed(settings["seed"])
        lora = LoraConfig(
            task_type="CAUSAL_LM",
            r=settings["rank"],
            lora_alpha=settings["alpha"],
            lora_dropout=0.0,
            target_modules=settings["target_modules"],
        )
        trainer = SFTTrainer(
            model=get_peft_model(model, lora),
            args=SFTConfig(
                output_dir=room,
                max_length=None,
                padding_free=True,
                per_device_train_batch_size=settings["rows_a_step"],
                max_steps=settings["steps"],
                learning_rate=settings["learning_rate"],
                lr_scheduler_type="constant",
                warmup_steps=0,
                weight_decay=0.0,
                max_grad_norm=1.0,
                train_sampling_strategy="sequential",
                gradient_checkpointing=False,
                logging_steps=1,
                use_cpu=True,
                bf16=False,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=rows,
            processing_class=AutoTokenizer.from_pretrained(base),
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(json.dumps({"losses": losses, "columns": rows.column_names, "version": version("trl")}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text()))
