"""Every way datakit can refuse, in one tree.

    DatakitError            exit 1   never raised itself
    ├── ConfigError              2   a pipeline, setting or command line that can't be right (holds all problems)
    ├── SourceError              3   input files: missing, unreadable, without the named column
    ├── StageError               4   a stage failed on a shard
    ├── GateRefused              5   a refresh refused to publish
    ├── StoreError               6   the store: no permission, no space, a damaged object
    ├── TrainError               7   the trainer refused or failed
    └── TeacherError             8   an endpoint for synthetic text is down or refuses the key

A message says what is wrong, `where` says in which file, field or row, `fix` says what to do about it.
None of the three may hold text of a document: errors are logged, and text may be personal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class DatakitError(Exception):
    """Base of all errors meant for people: what, where, and how to mend it."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments don't survive the default pickling, and errors cross process borders.
        return _rebuild, (type(self), self.message, self.where, self.fix)

    def lines(self) -> list[str]:
        """The error as one to three lines for a terminal."""
        named = (("error", self.message), ("where", self.where), ("fix", self.fix))
        return [f"{name}: {text}" for name, text in named if text]

    def as_dict(self) -> dict[str, Any]:
        """The error as `--json` prints it."""
        return {"error": type(self).__name__, "message": self.message, "where": self.where, "fix": self.fix}


def _rebuild(cls: type[DatakitError], message: str, where: str, fix: str) -> DatakitError:
    return cls(message, where=where, fix=fix)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: the path of the setting, what is wrong, what to do."""

    path: str
    message: str
    fix: str = ""

    def line(self) -> str:
        return f"{self.path}: {self.message}" + (f" ({self.fix})" if self.fix else "")


class ConfigError(DatakitError):
    """A configuration that can't be right; carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str, *, where: str = "", fix: str = "") -> None:
        if isinstance(problems, str):
            problems = (Problem("", problems, fix),)
        self.problems = tuple(problems)
        one = len(self.problems) == 1
        message = self.problems[0].message if one else f"{len(self.problems)} problems in the configuration"
        super().__init__(message, where=where, fix=self.problems[0].fix if one else fix)
        if one and self.problems[0].path:
            self.where = f"{where}: {self.problems[0].path}" if where else self.problems[0].path
        self._place = where
        self._fix = fix

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_config, (self.problems, self._place, self._fix)

    def lines(self) -> list[str]:
        if len(self.problems) == 1:
            return super().lines()
        head = f"error: {self.message}" + (f" in {self.where}" if self.where else "")
        return [head, *(f"  - {problem.line()}" for problem in self.problems)]

    def as_dict(self) -> dict[str, Any]:
        listed = [{"path": p.path, "message": p.message, "fix": p.fix} for p in self.problems]
        return {**super().as_dict(), "problems": listed}


def _rebuild_config(problems: tuple[Problem, ...], where: str, fix: str) -> ConfigError:
    return ConfigError(problems, where=where, fix=fix)


class SourceError(DatakitError):
    """Input files: missing, unreadable, or without the named column."""

    exit_code = 3


class StageError(DatakitError):
    """A stage failed on a shard."""

    exit_code = 4


class GateRefused(DatakitError):  # noqa: N818 - a gate that holds is no fault
    """A refresh refused to publish; the last published version stands."""

    exit_code = 5


class StoreError(DatakitError):
    """The store: no permission, no space left, a damaged object."""

    exit_code = 6


class TrainError(DatakitError):
    """The trainer refused the dataset or failed in the middle."""

    exit_code = 7


class TeacherError(DatakitError):
    """An endpoint for synthetic text is down, refuses the key, or answers nonsense."""

    exit_code = 8


@contextmanager
def failing_at(stage: str, place: str) -> Iterator[None]:
    """Say which stage failed where. The cause's own message is left out: it may quote a document."""
    try:
        yield
    except (DatakitError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise StageError(f"{stage} ran out of memory", where=place, fix="use fewer --workers") from error
    except Exception as error:
        raise StageError(
            f"{stage} failed: {type(error).__name__}", where=place, fix="--debug shows where in the code"
        ) from error
