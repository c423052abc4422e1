"""The page that the author of a trainer plugin reads.

A trainer is a class with a `Config` and the methods `check` and `fit`, registered under the entry-point group
`datakit.trainers`. The built-in one (plugins/datakit_lora) uses the same door. `check` compares the dataset with the
config and imports no torch: it answers in milliseconds, before anything is loaded. `fit` writes an adapter folder in
PEFT's layout (adapter_config.json, adapter_model.safetensors, tokenizer files, README.md) into `job.out`, and
returns the AdapterArtifact; datakit writes artifact.json beside it. Optional: `load(artifact, cache)` opens an adapter
as a Model; `plan(dataset, config, job)` tells bytes by what they are for (`datakit train --plan`); `merge(artifact,
out, cache, dtype=, gguf=, rows=)` writes base and adapter as one model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from datakit.errors import Problem
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.schemas import Message
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


class TrainerConfig(BaseModel):
    """Base of a trainer's settings: frozen, no unknown fields; one line of help below each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    use: ClassVar[str] = ""

    base: str = "smollm2"
    """Base model: `smollm2`, a Hugging Face folder, a hub name, or a .gguf file."""
    seed: int = 0
    """Seed of the adapter's start and of the order of rows."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """A setting's help is one line, however its author broke it."""
        for field in cls.model_fields.values():
            field.description = " ".join((field.description or "").split())


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell the person who waits: a step done, a loss, a note. `total` 0: unknown."""

    what: str
    done: int = 0
    total: int = 0
    values: dict[str, Any] | None = None


Report = Callable[[Event], None]


def keep_quiet(text: str) -> None:
    """The default of `TrainJob.tell`."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Where a trainer reads and writes: nothing here may change what it learns."""

    store: Store
    out: Path
    """Folder of the adapter; checkpoints go to `out/checkpoints` and are removed by a finished run."""
    cache: Path
    """Folder for things derived from the base model (a converted GGUF); may be shared and may be deleted."""
    report: Report
    tell: Callable[[str], None] = keep_quiet
    """Says one line to the person who waits: something to know before it takes long. Never text of a row."""

    def rows(self, dataset: DatasetManifest, split: str) -> pa.Table:
        """All rows of one split of the dataset (`train` or `val`), in the dataset's order.

        `split` is null before a `split` stage, which counts as `train`.
        """
        return self.store.read_split(dataset.shards, split)


@dataclass(frozen=True, slots=True)
class Score:
    """Sum of negative log-likelihoods (nats) over the trained tokens of a row, and their number."""

    nll: float
    tokens: int


class Model(Protocol):
    """A base model with an adapter on it, ready to generate and score; `adapter=False` uses the base alone."""

    def generate(
        self, prompts: Sequence[Sequence[Message]], *, max_new_tokens: int = 128, adapter: bool = True
    ) -> list[str]: ...

    def score(self, rows: Sequence[Sequence[Message]], *, adapter: bool = True) -> list[Score]: ...


@runtime_checkable
class Trainer(Protocol):
    """What a trainer plugin offers."""

    Config: ClassVar[type[TrainerConfig]]

    def check(self, dataset: DatasetManifest, config: Any) -> list[Problem]: ...

    def fit(self, dataset: DatasetManifest, config: Any, job: TrainJob) -> AdapterArtifact: ...
