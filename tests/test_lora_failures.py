"""What goes wrong outside the trainer becomes one error with a remedy; everything else passes through."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from datakit_lora.failures import explained

from datakit.errors import TrainError


@pytest.mark.parametrize(
    ("error", "words", "fix"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full", "last checkpoint"),
        (PermissionError(errno.EACCES, "Permission denied"), "can't be written", "another folder"),
        (MemoryError(), "memory ran out", "batch_tokens"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
            "memory ran out",
            "qlora",
        ),
    ],
)
def test_explained_gives_one_error_with_a_remedy(error: Exception, words: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=words) as caught, explained(tmp_path):
        raise error
    assert fix in caught.value.fix


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(errno.EIO, "I/O error"), KeyError("x")])
def test_explained_lets_other_errors_through(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, explained(tmp_path):
        raise error
    assert caught.value is error
