"""Errors: lines for people, exit codes, and a safe journey across a process border."""

from __future__ import annotations

import pickle

import pytest

from datakit import errors
from datakit.errors import ConfigError, DatakitError, Problem, SourceError

TREE = {
    "ConfigError": 2, "SourceError": 3, "StageError": 4, "GateRefused": 5, "StoreError": 6, "TrainError": 7,
    "TeacherError": 8,
}  # fmt: skip


def test_exit_codes_are_the_documented_ones() -> None:
    found = {cls.__name__: cls.exit_code for cls in DatakitError.__subclasses__()}
    assert {name: found[name] for name in TREE} == TREE
    for name, code in TREE.items():
        line = next(line for line in (errors.__doc__ or "").splitlines() if name in line)
        assert f" {code} " in line


@pytest.mark.parametrize("cls", [SourceError, errors.StageError, errors.StoreError])
def test_error_survives_pickling(cls: type[DatakitError]) -> None:
    error = cls("무엇이 잘못됐는지", where="a.jsonl:3", fix="고치는 법")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.lines()) == (cls, error.lines())


def test_config_error_survives_pickling_with_all_problems() -> None:
    error = ConfigError((Problem("a", "one"), Problem("b", "two", "mend it")), where="p.yaml")
    copy = pickle.loads(pickle.dumps(error))
    assert copy.lines() == error.lines()
    assert copy.problems == error.problems


def test_lines_leave_out_what_is_empty() -> None:
    assert SourceError("no file").lines() == ["error: no file"]
    assert SourceError("no file", fix="name one").lines() == ["error: no file", "fix: name one"]


def test_config_error_with_many_problems_prints_each() -> None:
    lines = ConfigError((Problem("a", "one"), Problem("b", "two", "mend it")), where="p.yaml").lines()
    assert lines == ["error: 2 problems in the configuration in p.yaml", "  - a: one", "  - b: two (mend it)"]
