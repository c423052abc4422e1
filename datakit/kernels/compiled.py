"""How a kernel is compiled: numba, kept on disk, and usable where nothing can be kept.

`kernel` is `numba.njit` with the settings that all kernels share. Compiled code is cached beside the source, or in the
user's cache folder if that is read-only; where neither can be written, each process compiles again (seconds) and all
works as before. No global random state, no fast-math: the same bytes in give the same bytes out on every machine.

A trap for whoever edits a kernel: numba notices a change in the file of a cached kernel, but not in the files of the
kernels that it calls. After editing a file that others call (characters.py), delete the caches: `make clean`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

_SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_TOLD: set[str] = set()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` on first use; keep the machine code on disk where that is possible."""
    return _compiled(function, **_SETTINGS)


def inlined(function: Callable[..., Any]) -> Any:
    """The same for the inside of a hot loop: it becomes part of whoever calls it. A call costs some 5 ns, since each
    array is handed over as seven numbers."""
    return _compiled(function, forceinline=True, **_SETTINGS)


def _compiled(function: Callable[..., Any], **settings: Any) -> Any:
    try:
        return njit(cache=True, **settings)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available", nowhere to write
        return njit(**settings)(function)


def announce(tell: Callable[[str], None], what: str, *kernels: Any) -> None:
    """Say once a process that `what` is about to be compiled, if it is: nothing in memory, nothing on disk."""
    if what not in _TOLD and not all(k.signatures or _on_disk(k) for k in kernels):
        _TOLD.add(what)
        tell(f"compiling the {what} for this machine; this happens once and takes some seconds")


def _on_disk(dispatcher: Any) -> bool:
    """Whether numba keeps compiled code of this kernel: an index file `<module>.<function>-<line>.<abi>.nbi`."""
    folder = dispatcher.stats.cache_path
    if folder is None:
        return False
    function = dispatcher.py_func
    module = Path(function.__code__.co_filename).stem
    return any(Path(folder).glob(f"{module}.{function.__qualname__}-{function.__code__.co_firstlineno}.*.nbi"))
