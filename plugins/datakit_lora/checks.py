"""What a dataset and a base say against each other: before anything is loaded, and again with the rows at hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datakit.errors import ConfigError, Problem, TrainError
from datakit.manifests import DatasetManifest
from datakit.models import base_settings, find_base
from datakit_lora.batches import Row
from datakit_lora.config import LoraSettings
from datakit_lora.journal import missing_loggers

KINDS = {
    "sft": ("packed", "end the pipeline with `template`, `tokenize` and `pack`"),
    "dpo": ("example", "end the pipeline before `template`, with rows that have `chosen` and `rejected`"),
}
"""What an objective trains on, and how to get there."""
SAME_TOKENIZER = "set `tokenizer` of the stages `template` and `tokenize` to the base of `train`"


def problems_of(dataset: DatasetManifest, config: LoraSettings) -> list[Problem]:
    """Every problem that can be seen from the manifest, the settings and the base's config.json (milliseconds)."""
    problems = missing_loggers(config)
    wanted, fix = KINDS[config.objective]
    if dataset.kind != wanted:
        told = f"objective: {config.objective} trains on {wanted} rows, {dataset.ref} holds {dataset.kind} rows"
        problems.append(Problem("train", told, fix))
    elif dataset.rows == 0:
        problems.append(Problem("train", f"{dataset.ref} has no rows", "its report says which stage dropped them"))
    needs_bits = config.method == "qlora" or config.optimizer != "adamw"
    if needs_bits and importlib.util.find_spec("bitsandbytes") is None:
        told = "4-bit weights and 8-bit optimisers need the package bitsandbytes"
        problems.append(Problem("train.method", told, "pip install bitsandbytes"))
    try:
        found = find_base(config.base)
        known = base_settings(found.path) if found.kind == "folder" else {}
        if found.kind == "folder" and not any(found.path.glob("*.safetensors")):
            fix = "save it again with `save_pretrained`"
            problems.append(Problem("train.base", f"the base {config.base!r} has no .safetensors weights", fix))
    except ConfigError as error:
        return [*problems, *(Problem("train.base", problem.message, problem.fix) for problem in error.problems)]
    return problems + _size_problems(dataset, known)


def _size_problems(dataset: DatasetManifest, known: dict[str, Any]) -> list[Problem]:
    """Vocabulary and row length against the base's; silent where either side says nothing."""
    problems = []
    tokenized, slots = dataset.note("tokenize"), dataset.note("pack").get("seq_len", 0)
    vocabulary, longest = known.get("vocab_size"), known.get("max_position_embeddings")
    if vocabulary and tokenized.get("vocab_size", 0) > vocabulary:
        told = f"the rows use a vocabulary of {tokenized['vocab_size']}, the base has {vocabulary} tokens"
        problems.append(Problem("train.base", told, SAME_TOKENIZER))
    if longest and slots > longest:
        told = f"rows of {slots} tokens are longer than the base takes"
        problems.append(Problem("train.base", told, f"set pack.seq_len to {longest} or less"))
    return problems


def learnable(rows: Sequence[Row], split: str) -> list[Row]:
    """The rows with something to learn; a TrainError if there are none."""
    kept = [row for row in rows if row.pieces]
    if not kept:
        what = "has no token to learn: every label is -100" if rows else "has no rows"
        raise TrainError(f"the split `{split}` {what}", fix="look at the dataset's report, at `split` and `template`")
    return kept


def refuse_other_tokenizer(dataset: DatasetManifest, base: str, cache: Path) -> None:
    """Rows of another tokenizer than the base's: ids would be valid and mean other words."""
    from datakit.tokenizers import load_tokenizer

    made_with = dataset.note("tokenize").get("fingerprint")
    if made_with and load_tokenizer(base, cache).fingerprint != made_with:
        raise TrainError(
            f"the rows of {dataset.ref} were made with another tokenizer than the base's", fix=SAME_TOKENIZER
        )


def refuse_foreign_rows(rows: Sequence[Row], known: dict[str, Any]) -> None:
    """Token ids that the base doesn't have, or documents longer than it was made for."""
    pieces = [piece for row in rows for piece in row.pieces]
    highest = max(max(int(piece.input_ids.max()), int(piece.targets.max())) for piece in pieces)
    longest = max(len(piece.input_ids) for piece in pieces)
    vocabulary, limit = known.get("vocab_size", highest + 1), known.get("max_position_embeddings", longest)
    if highest >= vocabulary:
        raise TrainError(f"the rows hold token {highest}, the base has {vocabulary} tokens", fix=SAME_TOKENIZER)
    if longest > limit:
        fix = f"set pack.seq_len to {limit} or less"
        raise TrainError(f"a document has {longest} tokens, the base takes {limit}", fix=fix)
