"""What goes wrong outside the trainer, said once and clearly: memory, disk, permission, a request to stop."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from datakit.errors import TrainError

LESS_MEMORY = "lower batch_tokens, set gradient_checkpointing, lower rank, or use method: qlora; checkpoints are kept"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU or of this machine."""
    told = str(error).lower()
    # torch has no class of its own for a CPU allocation that failed, and safetensors none for a full disk.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in told
        or "not enough memory" in told
    )


@contextmanager
def explained(out: Path) -> Iterator[None]:
    """Turn a full disk, a refused folder or a lack of memory into one TrainError with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fix = "free some space and run again: it goes on from the last checkpoint"
            raise TrainError("the disk is full", where=str(out), fix=fix) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise TrainError(
                "the adapter can't be written here", where=str(out), fix="choose another folder"
            ) from error
        raise
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise TrainError("memory ran out while training", fix=LESS_MEMORY) from error
        raise


@dataclass(slots=True)
class StopSign:
    """Whether somebody asked this process to end."""

    asked: bool = False

    def _ask(self, signal_number: int, frame: FrameType | None) -> None:
        self.asked = True


@contextmanager
def stoppable() -> Iterator[StopSign]:
    """SIGTERM (a scheduler, a container that shuts down) no longer kills at once: the sign says that it came.

    Python takes signals in the main thread alone; elsewhere the sign never shows and SIGTERM does what it did.
    """
    sign = StopSign()
    if threading.current_thread() is not threading.main_thread():
        yield sign
        return
    before = signal.signal(signal.SIGTERM, sign._ask)
    try:
        yield sign
    finally:
        signal.signal(signal.SIGTERM, before)
