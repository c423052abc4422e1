"""The trainer `transformers` as datakit sees it: check, fit, load."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import ClassVar

from datakit.errors import ConfigError, Problem
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.models import find_base
from datakit.trainer import Model, TrainJob
from datakit_transformers.config import TransformersSettings


class TransformersTrainer:
    """LoRA with transformers' own Trainer, on one device or, by torchrun or accelerate, on several."""

    Config: ClassVar[type[TransformersSettings]] = TransformersSettings

    def check(self, dataset: DatasetManifest, config: TransformersSettings) -> list[Problem]:
        """What can't work, found without loading anything."""
        problems = []
        if dataset.kind != "packed":
            fix = "end the pipeline with `template`, `tokenize` and `pack`"
            told = f"`transformers` trains on packed rows, {dataset.ref} holds {dataset.kind} rows"
            problems.append(Problem("train", told, fix))
        elif dataset.rows == 0:
            problems.append(Problem("train", f"{dataset.ref} has no rows", "its report says which stage dropped them"))
        if importlib.util.find_spec("accelerate") is None:
            problems.append(Problem("train", "transformers' Trainer needs accelerate", "pip install accelerate"))
        try:
            find_base(config.base)
        except ConfigError as error:
            problems += [Problem("train.base", problem.message, problem.fix) for problem in error.problems]
        return problems + _unknown_arguments(config)

    def fit(self, dataset: DatasetManifest, config: TransformersSettings, job: TrainJob) -> AdapterArtifact:
        """Train an adapter into `job.out`."""
        from datakit_transformers.run import run

        return run(dataset, config, job)

    def load(self, artifact: AdapterArtifact, cache: Path) -> Model:
        """Open an adapter to generate and score: it has the layout of `lora`'s, which knows how."""
        from datakit_lora.adapted import opened
        from datakit_lora.config import LoraSettings

        from datakit.models import resolve_base

        settings = TransformersSettings.model_validate(artifact.config)
        base = resolve_base(artifact.base, cache)
        return opened(artifact.path, base.folder, LoraSettings(base=artifact.base), settings.dtype, "cpu")


def _unknown_arguments(config: TransformersSettings) -> list[Problem]:
    """Names in `arguments` that TrainingArguments doesn't have; transformers is imported only where some are given."""
    if not config.arguments:
        return []
    import difflib

    from transformers import TrainingArguments

    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    problems = []
    for name in sorted(set(config.arguments) - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        fix = f"did you mean {near[0]!r}?" if near else "see transformers.TrainingArguments"
        problems.append(Problem(f"train.arguments.{name}", "TrainingArguments has no such field", fix))
    return problems
