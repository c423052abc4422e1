"""Finds a trainer, checks the dataset against its settings, fits, and records the adapter.

An adapter folder whose artifact.json names the same trainer, settings and dataset digest, and whose files are whole,
is the result already: nothing is trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from datakit.cache import cache_folder
from datakit.canon import canonical, digest_file, key_of
from datakit.errors import ConfigError, DatakitError, Problem, TrainError
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.pipeline import TRAIN_KEYS, flatten
from datakit.registry import find
from datakit.runner import ignore
from datakit.schemas import Message
from datakit.spelling import parse_yaml
from datakit.store import Store
from datakit.trainer import Model, Report, TrainerConfig, TrainJob, keep_quiet

ARTIFACT = "artifact.json"


def train(
    dataset: DatasetManifest,
    trainer: str,
    settings: Mapping[str, Any],
    *,
    store: Store,
    out: str | Path,
    report: Report = ignore,
    tell: Callable[[str], None] = keep_quiet,
    cache: Path | None = None,
) -> AdapterArtifact:
    """Train an adapter on a dataset into the folder `out`; reuses one that is there and equal."""
    plugin, config = bind(trainer, settings)
    key = key_of(trainer, config.model_dump(mode="json"), dataset.digest)
    if (found := read_artifact(out)) and found.name == key and is_whole(found):
        store.put_adapter(key, found)
        return found
    if problems := plugin.check(dataset, config):
        raise TrainError(
            "; ".join(problem.line() for problem in problems), where=dataset.ref, fix="change `train:` or the pipeline"
        )
    job = TrainJob(store, Path(out), cache or cache_folder(), report, tell)
    try:
        artifact = plugin.fit(dataset, config, job)
    except (DatakitError, KeyboardInterrupt):
        raise
    except (RuntimeError, ValueError, OSError, ImportError) as error:
        raise TrainError(
            f"the trainer {trainer!r} failed: {error}", where=str(out), fix="run again: it goes on from its checkpoint"
        ) from error
    artifact = artifact.model_copy(update={"name": key, "path": str(out)})
    write_artifact(artifact)
    store.put_adapter(key, artifact)
    return artifact


def plan_training(
    dataset: DatasetManifest, trainer: str, settings: Mapping[str, Any], *, store: Store, out: str | Path
) -> dict[str, Any]:
    """How much memory a run would need, as the trainer tells it; nothing is trained or written."""
    plugin, config = bind(trainer, settings)
    if problems := plugin.check(dataset, config):
        raise ConfigError(problems, where=dataset.ref)
    if not hasattr(plugin, "plan"):
        raise TrainError(f"the trainer {trainer!r} plans no memory", where=dataset.ref)
    return dict(plugin.plan(dataset, config, TrainJob(store, Path(out), cache_folder(), ignore)))


def merge(
    adapter: str | Path, out: str | Path, *, dtype: str, gguf: str | None, rows: Sequence[Sequence[Message]]
) -> dict[str, Any]:
    """Base and adapter as one model in the folder `out`; what the trainer tells about it."""
    artifact = adapter_in(adapter)
    plugin = find("trainer", artifact.trainer)()
    if not hasattr(plugin, "merge"):
        raise TrainError(f"the trainer {artifact.trainer!r} merges no adapters", where=str(adapter))
    return dict(plugin.merge(artifact, Path(out), cache_folder(), dtype=dtype, gguf=gguf, rows=rows))


def bind(trainer: str, settings: Mapping[str, Any]) -> tuple[Any, TrainerConfig]:
    """The trainer and its checked settings; raises ConfigError with every problem."""
    cls = find("trainer", trainer)
    try:
        return cls(), cls.Config.model_validate({k: v for k, v in settings.items() if k not in TRAIN_KEYS})
    except ValidationError as error:
        raise ConfigError(flatten(error, cls.Config, "train"), where=trainer) from error


def settings_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Settings from "field=value", the value in YAML; raises ConfigError with everything that is not so spelled."""
    settings, problems = {}, []
    for override in overrides:
        name, equals, text = override.partition("=")
        try:
            settings[name.strip()] = parse_yaml(text)
        except yaml.YAMLError:
            settings[name.strip()] = text
        if not equals or not name.strip():
            problems.append(Problem(f"--set {override}", "write it as field=value"))
    if problems:
        raise ConfigError(problems)
    return settings


def read_artifact(folder: str | Path) -> AdapterArtifact | None:
    """The artifact of an adapter folder, None if there is none."""
    path = Path(folder) / ARTIFACT
    if not path.is_file():
        return None
    try:
        return AdapterArtifact.model_validate_json(path.read_bytes()).model_copy(update={"path": str(folder)})
    except ValidationError as error:
        raise TrainError("artifact.json is damaged", where=str(path), fix="train again into a new folder") from error


def write_artifact(artifact: AdapterArtifact) -> None:
    """Write artifact.json last: its existence means the adapter is whole. The path stays out, so folders can move."""
    path = Path(artifact.path) / ARTIFACT
    draft = path.with_suffix(".tmp")
    draft.write_bytes(canonical(artifact.model_copy(update={"path": ""}).model_dump(mode="json")))
    draft.replace(path)


def is_whole(artifact: AdapterArtifact) -> bool:
    """Whether all files of an adapter are there, unchanged."""
    files = [(Path(artifact.path) / name, digest) for name, digest in artifact.files.items()]
    return all(path.is_file() and digest_file(path) == digest for path, digest in files)


def adapter_in(folder: str | Path) -> AdapterArtifact:
    """The artifact of an adapter folder whose files are all there, unchanged; TrainError if it is none."""
    artifact = read_artifact(folder)
    if artifact is None or not is_whole(artifact):
        message = "no adapter here" if artifact is None else "files of the adapter are missing or changed"
        raise TrainError(message, where=str(folder), fix="train one: datakit run FILE with a `train:` section")
    return artifact


def open_adapter(folder: str | Path, *, cache: Path | None = None) -> tuple[AdapterArtifact, Model]:
    """An adapter folder as an artifact and a Model that generates and scores."""
    artifact = adapter_in(folder)
    trainer = find("trainer", artifact.trainer)()
    if not hasattr(trainer, "load"):
        raise TrainError(f"the trainer {artifact.trainer!r} can't open its adapters", where=str(folder))
    return artifact, trainer.load(artifact, cache or cache_folder())
