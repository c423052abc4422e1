"""The command line as tests call it: in this process, stdout and stderr apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from datakit.cli import main


@dataclass(frozen=True, slots=True)
class Called:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout; fails if there is none or more than one."""
        return json.loads(self.out)

    def is_an_error(self, code: int, *told: str) -> Called:
        """Hold that the command failed by `code` with one clear message that says all of `told`."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        assert sum(line.startswith("error: ") for line in self.err.splitlines()) == 1, self.err
        for part in told:
            assert part in self.err
        return self


def call(*args: object) -> Called:
    """Run `datakit ARGS`."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Called(result.exit_code, result.stdout, result.stderr)


def pipeline_file(*stages: str, name: str = "p", more: str = "") -> str:
    """Write NAME.yaml with stages in YAML's flow style into the current directory; returns its path."""
    path = f"{name}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"name: {name}\nstages:\n" + "".join(f"- {stage}\n" for stage in stages) + more)
    return path
