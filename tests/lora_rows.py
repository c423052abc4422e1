"""Packed rows for the trainer's tests: short Korean and English conversations on the tiny Llama's tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from datakit_lora.config import LoraSettings
from datakit_lora.trainer import LoraTrainer

from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.schemas import schema_of
from datakit.trainer import Event, TrainJob

ASKED = (
    ("What is the capital of Korea?", "The capital of Korea is Seoul."),
    ("대한민국의 수도는 어디인가요?", "대한민국의 수도는 서울입니다."),
    ("What do I need for bread?", "Flour, water, salt, yeast."),
    ("빵을 만들려면 무엇이 필요한가요?", "밀가루와 물과 소금과 효모입니다."),
    ("The router is slow.", "Please restart the router, and wait for the green light."),
    ("공유기가 느려요.", "다시 켜고 기다려 주세요."),
)
SEQ_LEN = 128


def documents(tokenizer: Any, count: int = len(ASKED)) -> list[tuple[list[int], list[int]]]:
    """(input_ids, labels) of `count` conversations, each a little different; only answers are learned."""
    found = []
    for place in range(count):
        question, answer = ASKED[place % len(ASKED)]
        asked = f"<|im_start|>user\n{question} {place // len(ASKED)}<|im_end|>\n<|im_start|>assistant\n"
        before, told = tokenizer(asked)["input_ids"], tokenizer(answer + "<|im_end|>")["input_ids"]
        end = tokenizer("\n")["input_ids"]
        found.append((before + told + end, [-100] * len(before) + told + [-100] * len(end)))
    return found


def packed(docs: Sequence[tuple[list[int], list[int]]], seq_len: int = SEQ_LEN, pad: int = 0) -> list[dict[str, Any]]:
    """Packed rows: documents in order, the next row begins where one doesn't fit; pad tails are their own segment."""
    rows: list[dict[str, Any]] = []
    for place, (ids, labels) in enumerate(docs):
        if not rows or len(rows[-1]["input_ids"]) + len(ids) > seq_len:
            rows.append({"input_ids": [], "labels": [], "position_ids": [], "spans": []})
        row = rows[-1]
        row["spans"].append({"id": f"d{place}", "start": len(row["input_ids"]), "length": len(ids)})
        row["input_ids"] += ids
        row["labels"] += labels
        row["position_ids"] += range(len(ids))
    for row in rows:
        fill = seq_len - len(row["input_ids"])
        row["input_ids"] += [pad] * fill
        row["labels"] += [-100] * fill
        row["position_ids"] += range(fill)
    return rows


def table(rows: Sequence[dict[str, Any]], split: str = "train") -> pa.Table:
    """Packed rows as a table of the kind `packed`."""
    return pa.Table.from_pylist([{**row, "split": split} for row in rows], schema=schema_of("packed"))


@dataclass
class FakeStore:
    """Gives the rows of two splits."""

    train: pa.Table
    val: pa.Table

    def read_split(self, shards: object, split: str) -> pa.Table:
        return getattr(self, split)


@dataclass
class Fitting:
    """A dataset, a store and a place to train: `fit(settings)` gives the artifact, `events` what was reported."""

    store: FakeStore
    out: Path
    cache: Path
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    listener: Callable[[Event], None] | None = None
    told: list[str] = field(default_factory=list)
    kind: str = "packed"

    @property
    def manifest(self) -> DatasetManifest:
        stages = [
            {"id": use, "use": use, "kind": "packed", "stats": {}, "notes": notes} for use, notes in self.notes.items()
        ]
        told = {
            "name": "tiny",
            "version": "1",
            "kind": self.kind,
            "digest": "d1",
            "rows": 6,
            "shards": (),
            "recipe": {},
        }
        return DatasetManifest.model_validate({**told, "stages": stages})

    def fit(self, settings: LoraSettings) -> AdapterArtifact:
        def report(event: Event) -> None:
            self.events.append(event)
            if self.listener:
                self.listener(event)

        return LoraTrainer().fit(
            self.manifest, settings, TrainJob(self.store, self.out, self.cache, report, self.told.append)
        )


def fitting(base: Path, out: Path, *, rows: int = 24) -> Fitting:
    """A Fitting over `rows` conversations on the tiny Llama in `base`; every sixth conversation's kind is held out."""
    from transformers import AutoTokenizer

    docs = documents(AutoTokenizer.from_pretrained(base), rows)
    return Fitting(FakeStore(table(packed(docs)), table(packed(docs[:6]), "val")), out, out.parent / "cache")


def settings(base: Path, **changes: Any) -> LoraSettings:
    """Small settings in float32 on one thread."""
    chosen = {
        "base": str(base), "rank": 4, "alpha": 8, "learning_rate": 2e-2, "batch_tokens": 256, "accumulation": 1,
        "epochs": 6, "dtype": "float32", "threads": 1, "device": "cpu",
    }  # fmt: skip
    return LoraSettings(**{**chosen, **changes})
