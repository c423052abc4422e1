"""Trainers written as a plugin's author would write them, for tests: found as `tests/trainers_of_ones_own.py:Name`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from datakit.canon import digest_file
from datakit.errors import Problem
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.schemas import Message
from datakit.trainer import Event, Model, Score, TrainerConfig, TrainJob

OWN = str(Path(__file__))
WEIGHTS = "weights.txt"


class Config(TrainerConfig):
    """Settings of the trainers here."""

    gain: float = 0.5
    """Share of the base's loss that an answer keeps."""


class Parrot:
    """Learns to say the prompt again; the loss of a letter falls from 2 nats to 2 x gain."""

    Config: ClassVar[type[Config]] = Config
    fits: ClassVar[list[str]] = []
    """Datasets that were fitted, in order."""

    def check(self, dataset: DatasetManifest, config: Config) -> list[Problem]:
        """Refuses an empty dataset."""
        return [] if dataset.rows else [Problem("train", "there are no rows", "add some")]

    def fit(self, dataset: DatasetManifest, config: Config, job: TrainJob) -> AdapterArtifact:
        """Writes one file."""
        type(self).fits.append(dataset.ref)
        job.report(Event("train", 1, 1, {"loss": config.gain}))
        job.out.mkdir(parents=True, exist_ok=True)
        (job.out / WEIGHTS).write_text(f"{config.gain} {dataset.digest}")
        return AdapterArtifact(
            name="", trainer=f"{OWN}:{type(self).__name__}", base=config.base, dataset=dataset.ref,
            dataset_digest=dataset.digest, config=config.model_dump(), metrics={"gain": config.gain}, seed=config.seed,
            files={WEIGHTS: digest_file(job.out / WEIGHTS)},
        )  # fmt: skip

    def load(self, artifact: AdapterArtifact, cache: Path) -> Model:
        """Opens the file."""
        return Echo(float((Path(artifact.path) / WEIGHTS).read_text().split()[0]))

    def plan(self, dataset: DatasetManifest, config: Config, job: TrainJob) -> dict[str, Any]:
        """A parrot needs a byte a row."""
        return {"weights": dataset.rows, "total": dataset.rows, "device": "cpu", "dtype": "none"}

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
        """Copies the file."""
        out.mkdir(parents=True, exist_ok=True)
        (out / WEIGHTS).write_bytes((Path(artifact.path) / WEIGHTS).read_bytes())
        return {"folder": str(out), "dtype": dtype, "rows": len(rows)}


class Bookworm(Parrot):
    """Learns less the more rows there are: a hundredth of the base's loss a row, and a thousandth a seed."""

    def fit(self, dataset: DatasetManifest, config: Config, job: TrainJob) -> AdapterArtifact:
        """As `Parrot` does, with a gain of its own."""
        gain = dataset.rows / 100 + config.seed / 1000
        return super().fit(dataset, config.model_copy(update={"gain": gain}), job)


class Echo:
    """The model of `Parrot`."""

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def generate(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int = 128, adapter: bool = True
    ) -> list[str]:
        """The last turn, cut to a letter a token; in reverse from the base alone."""
        said = [turns[-1].content[:max_new_tokens] for turns in prompts]
        return said if adapter else [text[::-1] for text in said]

    def score(self, rows: Sequence[Sequence[Message]], *, adapter: bool = True) -> list[Score]:
        """Two nats for each letter of the answer, times `gain` with the adapter."""
        lengths = [len(turns[-1].content) for turns in rows]
        return [Score(2.0 * length * (self.gain if adapter else 1.0), length) for length in lengths]


class Mute:
    """Can't open what it makes."""

    Config: ClassVar[type[Config]] = Config

    def check(self, dataset: DatasetManifest, config: Config) -> list[Problem]:
        """Takes everything."""
        return []

    def fit(self, dataset: DatasetManifest, config: Config, job: TrainJob) -> AdapterArtifact:
        """As `Parrot` does, under its own name."""
        return Parrot().fit(dataset, config, job).model_copy(update={"trainer": f"{OWN}:Mute"})


class Clumsy(Parrot):
    """Fails in the middle."""

    def fit(self, dataset: DatasetManifest, config: Config, job: TrainJob) -> AdapterArtifact:
        """Raises."""
        raise RuntimeError("out of luck")
