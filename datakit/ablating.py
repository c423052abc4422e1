"""What is a stage worth? Small adapters trained with and without it, on the same budget, judged on the same rows.

    NAME-with-all        the pipeline as it is, without its sinks (an export of a trial would overwrite the real one)
    NAME-without-dedup   the same without every entry of that id or stage, one dataset for each that is asked about

Each dataset trains one adapter a seed. `max_steps` sets the budget: rows are seen again until it is spent, so a
dataset gets no more tokens for being larger and no fewer for being smaller. Worth is the held-out loss without the
stage minus the loss with it, seed by seed: above zero the stage helps. Two seeds show only effects that are larger than
their spread. Cost: one run, most of it reused from the store, and `seeds` trainings a stage; what was trained and
judged before is found again.

A proxy without `pii` has seen personal data, one without `decontaminate` the rows that it is judged on: neither is an
adapter to use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from datakit.errors import ConfigError, Problem
from datakit.manifests import DatasetManifest
from datakit.pipeline import Pipeline
from datakit.registry import unknown
from datakit.stage import SinkStage
from datakit.training import bind

ENDLESS = 1000
"""Epochs that no `max_steps` gets to the end of."""
Judged = Mapping[str, Any]
"""An evaluation."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A pipeline that makes the rows of one trial."""

    without: str | None
    """What it lacks; None: nothing."""
    pipeline: Pipeline


def ablate(
    pipeline: Pipeline,
    without: Sequence[str],
    seeds: int,
    run: Callable[[Pipeline], DatasetManifest],
    judge: Callable[[Pipeline, DatasetManifest], Judged],
) -> dict[str, Any]:
    """Run, train and judge every variant; nothing runs unless all of them can."""
    trials = variants(pipeline, without)
    drawn = [int((pipeline.train or {}).get("seed", pipeline.seed)) + step for step in range(seeds)]
    found = []
    for trial in trials:
        manifest = run(trial.pipeline)
        judged = [judge(_seeded(trial.pipeline, seed), manifest) for seed in drawn]
        found.append((trial, manifest, judged))
    whole = found[0][2]
    return {
        "pipeline": pipeline.name,
        "seeds": drawn,
        "base_loss": whole[0]["base_loss"],
        "trials": [_told(*one, whole) for one in found],
    }


def variants(pipeline: Pipeline, without: Sequence[str]) -> list[Variant]:
    """The pipeline with all its stages, then without each; a ConfigError with everything that stands in the way."""
    problems = _problems(pipeline, without)
    found: list[Variant] = []
    for name in [None, *dict.fromkeys(without)] if not problems else []:
        try:
            found.append(Variant(name, _lacking(pipeline, name)))
        except ConfigError as error:
            problems += [Problem(f"--without {name}", problem.line()) for problem in error.problems]
    if problems:
        raise ConfigError(problems, where=pipeline.name)
    return found


def _problems(pipeline: Pipeline, without: Sequence[str]) -> list[Problem]:
    found = []
    if not without:
        found.append(Problem("--without", "no stage is named", "--without dedup,quality"))
    if pipeline.evaluate is None:
        found.append(Problem("evaluate", "there are no rows to judge by", "add `evaluate: {rows: FILE}`"))
    if pipeline.train is None:
        found.append(Problem("train", "there is no `train:` section", "add one; --set train.FIELD changes it"))
    elif getattr(bind(str(pipeline.train["use"]), pipeline.train)[1], "max_steps", 1) is None:
        found.append(Problem("train.max_steps", "without it more rows train longer", "--set train.max_steps=100"))
    known = [name for stage in pipeline.stages for name in dict.fromkeys((stage.name, stage.use))]
    return found + [unknown(f"no stage {n!r}", n, known, "--without") for n in without if n not in known]


def _lacking(pipeline: Pipeline, name: str | None) -> Pipeline:
    """The pipeline of a trial, its name and what it needs to train; the rest of the file stays out."""
    data = pipeline.to_dict()
    kept = [
        entry
        for stage, entry in zip(pipeline.stages, data["stages"], strict=True)
        if not isinstance(stage, SinkStage) and name not in (stage.name, stage.use)
    ]
    own = f"{pipeline.name}-without-{name}" if name else f"{pipeline.name}-with-all"
    train = _by_steps(pipeline.train or {})
    return Pipeline.from_dict({**data, "name": own, "stages": kept, "train": train, "refresh": None})


def _by_steps(train: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training that ends by `max_steps` alone, where the trainer knows epochs too."""
    trainer, _ = bind(str(train["use"]), train)
    knows = trainer.Config.model_fields.keys() >= {"epochs", "max_steps"}
    return {**train, **({"epochs": ENDLESS} if knows else {})}


def _seeded(pipeline: Pipeline, seed: int) -> Pipeline:
    return pipeline.model_copy(update={"train": {**(pipeline.train or {}), "seed": seed}})


def _told(
    trial: Variant, manifest: DatasetManifest, judged: Sequence[Judged], whole: Sequence[Judged]
) -> dict[str, Any]:
    languages = sorted(whole[0].get("by_language", {}))
    losses = [float(one["adapter_loss"]) for one in judged]
    told = {
        "without": trial.without,
        "dataset": manifest.ref,
        "rows": manifest.rows,
        "losses": losses,
        **_spread(losses, ""),
    }
    if trial.without is None:
        return told
    gains = _gains(judged, whole)
    of = {name: _gains([_of(one, name) for one in judged], [_of(one, name) for one in whole]) for name in languages}
    worth = {**_spread(gains, "worth_"), "helped": sum(gain > 0 for gain in gains)}
    return {**told, **worth, "worth_by_language": {name: round(mean(found), 4) for name, found in of.items()}}


def _of(judged: Judged, language: str) -> Judged:
    found: Judged = judged["by_language"][language]
    return found


def _gains(judged: Sequence[Judged], whole: Sequence[Judged]) -> list[float]:
    """Loss without minus loss with, seed by seed."""
    return [one["adapter_loss"] - other["adapter_loss"] for one, other in zip(judged, whole, strict=True)]


def _spread(values: Sequence[float], prefix: str) -> dict[str, float | None]:
    """Mean and standard deviation; one value has none."""
    deviation = round(stdev(values), 4) if len(values) > 1 else None
    return {f"{prefix}mean": round(mean(values), 4), f"{prefix}spread": deviation}
