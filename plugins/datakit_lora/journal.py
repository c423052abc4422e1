"""Where the figures of a run go: train.jsonl beside the adapter always; TensorBoard, W&B, trackio where asked for.

A line is one step or one evaluation. A run that goes on from a checkpoint drops the lines behind it first, so a step
stands there once. Seconds and speeds are in it, so it is no part of what equal runs have equal.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from datakit.errors import Problem
from datakit_lora.config import LoraSettings

NAME = "train.jsonl"
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}


class Logger(Protocol):
    """Takes the figures of one step."""

    def log(self, kind: str, step: int, figures: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class Lines:
    """train.jsonl."""

    def __init__(self, path: Path, start: int) -> None:
        kept = [line for line in _lines(path) if line.get("step", 0) <= start] if start else []
        self.stream = open(path, "w", encoding="utf-8")  # noqa: SIM115  # closed by `close`
        for line in kept:
            self._write(line)

    def log(self, kind: str, step: int, figures: dict[str, Any]) -> None:
        """One line."""
        self._write({"kind": kind, "step": step, **figures})

    def _write(self, line: dict[str, Any]) -> None:
        self.stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of an earlier run; one that a kill tore is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


class TensorBoard:
    """Event files in `tensorboard/` beside the adapter."""

    def __init__(self, out: Path, settings: LoraSettings) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(out / "tensorboard")

    def log(self, kind: str, step: int, figures: dict[str, float]) -> None:
        """One point a figure."""
        for name, value in figures.items():
            self.writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class Tracker:
    """W&B, or trackio, which has its functions."""

    def __init__(self, package: str, out: Path, settings: LoraSettings) -> None:
        module: Any = __import__(package)
        self.run = module.init(project="datakit", name=out.name, config=settings.model_dump(mode="json"))
        self.module = module

    def log(self, kind: str, step: int, figures: dict[str, float]) -> None:
        """One point a figure."""
        self.module.log({f"{kind}/{name}": value for name, value in figures.items()}, step=step)

    def close(self) -> None:
        """Send what is left."""
        self.module.finish()


class Journal:
    """All of them as one."""

    def __init__(self, loggers: list[Logger]) -> None:
        self.loggers = loggers

    def log(self, kind: str, step: int, figures: dict[str, Any]) -> None:
        """Plain numbers go everywhere, all else to train.jsonl alone."""
        numbers = {name: float(value) for name, value in figures.items() if isinstance(value, int | float)}
        for logger in self.loggers:
            logger.log(kind, step, figures if isinstance(logger, Lines) else numbers)


@contextmanager
def journal(out: Path, settings: LoraSettings, start: int) -> Iterator[Journal]:
    """Open for the steps after `start`."""
    loggers: list[Logger] = [Lines(out / NAME, start)]
    try:
        for name in settings.loggers:
            loggers.append(TensorBoard(out, settings) if name == "tensorboard" else Tracker(name, out, settings))
        yield Journal(loggers)
    finally:
        for logger in loggers:
            logger.close()


def missing_loggers(settings: LoraSettings) -> list[Problem]:
    """Loggers whose package is not installed."""
    return [
        Problem("train.loggers", f"{name} is not installed", f"pip install {PACKAGES[name]}")
        for name in settings.loggers
        if importlib.util.find_spec(PACKAGES[name]) is None
    ]
