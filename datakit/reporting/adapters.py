"""What an adapter folder tells: settings and figures (artifact.json), answers beside the base's (evaluation.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.errors import TrainError
from datakit.evaluation import EVALUATION
from datakit.learned import ROW_LOSSES, Learned, outstanding, read_learned
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.training import read_artifact

GROUPS = ("language", "category")
CONTESTANTS = ("base", "few_shot", "adapter")


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained adapter as the page shows it."""

    artifact: AdapterArtifact
    same_data: bool
    """Whether it was trained on the very data that the page describes."""
    curve: list[dict[str, float]]
    held_out: list[tuple[float, float]]
    """(step, loss) on the held-out split: before the first step, after the last, and in between where asked for."""
    evaluation: dict[str, Any] | None
    learned: dict[str, list[Learned]]
    """Rows that a training found memorised, unlearnable, contradicted; {} where losses of rows were not kept."""

    @property
    def before(self) -> float | None:
        return self.held_out[0][1] if self.held_out else None

    @property
    def after(self) -> float | None:
        return self.held_out[-1][1] if len(self.held_out) > 1 else None

    @property
    def change(self) -> float | None:
        """Relative change of the held-out loss; -0.1 is ten per cent lower."""
        return (self.after - self.before) / self.before if self.before and self.after is not None else None

    @property
    def settings(self) -> list[tuple[str, Any]]:
        return _scalars(self.artifact.config)

    @property
    def measured(self) -> list[tuple[str, Any]]:
        shown = {name: value for name, value in self.artifact.metrics.items() if not name.startswith("eval_")}
        return _scalars(shown)

    @property
    def contestants(self) -> list[str]:
        """Who was compared: base and adapter, between them the base with examples in its prompt if it was asked."""
        found = self.evaluation or {}
        return [name for name in CONTESTANTS if f"{name}_loss" in found]

    @property
    def obedience(self) -> list[tuple[str, dict[str, Any]]]:
        """(language, shares of prompts and rules kept); the first line is all prompts together."""
        found = (self.evaluation or {}).get("rules")
        return [("", found), *found["by_language"].items()] if found else []

    @property
    def tables(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(grouping, group, figures) of the evaluation; the first line is all rows together."""
        if self.evaluation is None:
            return []
        lines = [("", "", self.evaluation)]
        return lines + [(g, name, row) for g in GROUPS for name, row in self.evaluation.get(f"by_{g}", {}).items()]


def read_trained(folder: str | Path | None, manifest: DatasetManifest) -> Trained | None:
    """The adapter in a folder, None if there is none."""
    artifact = read_artifact(folder) if folder is not None else None
    if folder is None or artifact is None:
        return None
    metrics = artifact.metrics
    curve = [point for point in metrics.get("curve") or [] if "loss" in point and "step" in point]
    held_out = [(float(found["step"]), float(found["nll"])) for found in metrics.get("evals") or []]
    same = artifact.dataset_digest == manifest.digest
    losses = Path(folder) / ROW_LOSSES
    learned = outstanding(read_learned(losses)) if ROW_LOSSES in artifact.files else {}
    return Trained(artifact, same, curve, held_out, _evaluation(Path(folder) / EVALUATION), learned)


def _evaluation(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise TrainError("evaluation.json is damaged", where=str(path), fix="delete it and evaluate again") from error
    return dict(found)


def _scalars(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Plain values by name; those one level down as `outer.inner`; lists stay out."""
    found: list[tuple[str, Any]] = []
    for name, value in sorted(values.items()):
        if isinstance(value, bool | int | float | str):
            found.append((f"{prefix}{name}", value))
        elif isinstance(value, dict) and not prefix:
            found += _scalars(value, f"{name}.")
    return found
