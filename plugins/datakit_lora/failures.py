"""What goes wrong outside the trainer, said once and clearly: memory, disk, permission."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datakit.errors import TrainError

LESS_MEMORY = "lower batch_tokens, set gradient_checkpointing, lower rank, or use method: qlora; checkpoints are kept"


@contextmanager
def explained(out: Path) -> Iterator[None]:
    """Turn a full disk, a refused folder or a lack of memory into one TrainError with a remedy."""
    try:
        yield
    except MemoryError as error:
        raise TrainError("memory ran out while training", fix=LESS_MEMORY) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fix = "free some space and run again: it goes on from the last checkpoint"
            raise TrainError("the disk is full", where=str(out), fix=fix) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise TrainError(
                "the adapter can't be written here", where=str(out), fix="choose another folder"
            ) from error
        raise
    except RuntimeError as error:
        told = str(error).lower()
        # torch has no class of its own for a CPU allocation that failed, and safetensors none for a full disk.
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in told or "not enough memory" in told:
            raise TrainError("memory ran out while training", fix=LESS_MEMORY) from error
        raise
