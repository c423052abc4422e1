"""One refresh at a time on a store: a lease file with a heartbeat, taken over when its holder is gone.

The holder touches the file every few seconds from a thread; a lease not touched for `STALE_AFTER` seconds belongs to a
process that died. Only local stores are guarded; on object stores the scheduler must not start two passes.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datakit.errors import StoreError
from datakit.store import Store

BEAT_SECONDS = 5.0
STALE_AFTER = 60.0


@contextmanager
def lease(store: Store, purpose: str) -> Iterator[None]:
    """Hold the store's lease while the block runs; StoreError says who holds it if somebody else does."""
    if not store.local:
        yield
        return
    path = Path(store.root) / "lease.json"
    owner = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "purpose": purpose})
    _take(path, owner)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        with suppress(FileNotFoundError):
            path.unlink()


def _take(path: Path, owner: str) -> None:
    for _ in range(2):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder, age = _holder(path)
            if holder is not None and age < STALE_AFTER and not _is_dead(holder):
                who = f"{holder['purpose']}, process {holder['pid']} on {holder['host']}"
                raise StoreError(
                    f"another process works on this store: {who}",
                    where=str(path.parent),
                    fix=f"wait for it; a lease that is silent for {STALE_AFTER:.0f} seconds is taken over",
                ) from None
            with suppress(FileNotFoundError):
                path.unlink()
        else:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(owner)
            return
    raise StoreError("the store's lease is being taken by somebody else", where=str(path), fix="run again")


def _holder(path: Path) -> tuple[dict[str, str] | None, float]:
    try:
        return json.loads(path.read_text(encoding="utf-8")), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return None, 0.0
    except ValueError:
        # Created, not yet written: its maker is alive unless the file is old.
        return {"purpose": "starting", "pid": "?", "host": "?"}, time.time() - path.stat().st_mtime


def _is_dead(holder: dict[str, str]) -> bool:
    """Whether the holder ran on this machine and is gone."""
    if holder["host"] != socket.gethostname() or not str(holder["pid"]).isdigit():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with suppress(FileNotFoundError):
            os.utime(path)
