"""The trainer `lora` as datakit sees it: check, plan, fit, load, merge. `check` imports no torch; the others do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from datakit.errors import Problem
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.schemas import Message
from datakit.trainer import Model, TrainJob
from datakit_lora.checks import problems_of
from datakit_lora.config import LoraSettings


class LoraTrainer:
    """LoRA or QLoRA on packed rows, on one machine, with or without a GPU."""

    Config: ClassVar[type[LoraSettings]] = LoraSettings

    def check(self, dataset: DatasetManifest, config: LoraSettings) -> list[Problem]:
        """What can't work, found without loading anything: kind of rows, base, tokenizer, row length."""
        return problems_of(dataset, config)

    def fit(self, dataset: DatasetManifest, config: LoraSettings, job: TrainJob) -> AdapterArtifact:
        """Train an adapter into `job.out`; goes on from a checkpoint that lies there."""
        from datakit_lora.run import run

        return run(dataset, config, job)

    def plan(self, dataset: DatasetManifest, config: LoraSettings, job: TrainJob) -> dict[str, Any]:
        """How much memory `fit` would need, by what it is for."""
        from datakit_lora.run import plan

        return plan(dataset, config, job)

    def merge(
        self,
        artifact: AdapterArtifact,
        out: Path,
        cache: Path,
        *,
        dtype: str,
        gguf: str | None,
        rows: Sequence[Sequence[Message]],
    ) -> dict[str, Any]:
        """Write base and adapter as one model."""
        from datakit_lora.merge import merge

        return merge(artifact, out, cache, dtype=dtype, gguf=gguf, rows=rows)

    def load(self, artifact: AdapterArtifact, cache: Path) -> Model:
        """Open an adapter to generate and score."""
        from datakit_lora.adapted import open_adapter

        return open_adapter(artifact, cache)
