"""The trainer `lora` as datakit sees it: check, fit, load. Imports no torch; `fit` and `load` do."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from datakit.errors import Problem
from datakit.manifests import AdapterArtifact, DatasetManifest
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

    def load(self, artifact: AdapterArtifact, cache: Path) -> Model:
        """Open an adapter to generate and score."""
        from datakit_lora.adapted import open_adapter

        return open_adapter(artifact, cache)
