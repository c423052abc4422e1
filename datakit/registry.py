"""Name -> class, through entry points: built-ins and strangers come in by the same door.

    datakit.stages     quality = "datakit.stages.quality:Quality"
    datakit.trainers   lora    = "datakit_lora.trainer:LoraTrainer"
    datakit.teachers   local   = "datakit.teachers.local:LocalServer"

Names are known without importing anything; a class is imported when it is asked for. A plugin that fails to import is
listed with its error and breaks nothing else. `file.py:Class` names a class in a file of the user's own.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from datakit.errors import ConfigError, Problem
from datakit.stage import Stage, class_from_file

GROUPS = {"stage": "datakit.stages", "trainer": "datakit.trainers", "teacher": "datakit.teachers"}


@cache
def names(group: str) -> dict[str, EntryPoint]:
    """All registered names of a group ("stage", "trainer", "teacher"), sorted."""
    return {found.name: found for found in sorted(entry_points(group=GROUPS[group]), key=lambda e: e.name)}


def find(group: str, name: str) -> Any:
    """The class called `name`; an unknown name is a ConfigError that names the nearest known one."""
    if ".py:" in name:
        return class_from_file(name)
    if name not in names(group):
        raise ConfigError((unknown(f"no {group} {name!r}", name, list(names(group))),))
    try:
        return names(group)[name].load()
    except ImportError as error:
        problem = Problem(name, f"the {group} {name!r} can't be imported: {error}", "install what it needs")
        raise ConfigError((problem,)) from error


def stage_class(name: str) -> type[Stage]:
    """The stage class called `name`, or the one in `file.py:Class`."""
    found = find("stage", name)
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise ConfigError((Problem(name, f"{name!r} is not a stage", "it must be a subclass of datakit.stage.Stage"),))
    return found


def unknown(message: str, name: str, known: list[str], path: str = "") -> Problem:
    """A problem about an unknown name, with the nearest known one as the remedy."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return Problem(path, message, f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")
