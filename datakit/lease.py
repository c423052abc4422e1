"""One worker at a time on a store: a lease file with a heartbeat, taken over when its holder is gone.

The file is created where none is (on a disk by a link, on object stores by `If-None-Match: *`), so that of two that
come at once one gets it. Its holder writes it anew every few seconds from a thread; a lease silent for `STALE_AFTER`
seconds belongs to a process that died and is taken over. On one machine the death of a process is seen at once.

Guaranteed while clocks (the machines', the object store's) agree to within 50 seconds: nobody works on the store beside
a holder that beats. A holder that slept longer than `STALE_AFTER` is told at its next beat, and its work ends with an
error; what both wrote meanwhile is the same under the same keys, and a published version is never written over.
Filesystems that are neither a disk nor an object store (HDFS, SFTP) have no such create: there two that come within the
same instant may both begin.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from datakit.errors import StoreError
from datakit.store import Store

BEAT_SECONDS = 5.0
STALE_AFTER = 60.0
FILE = "lease.json"


@contextmanager
def lease(store: Store, purpose: str) -> Iterator[None]:
    """Hold the store's lease while the block runs; StoreError says who holds it if somebody else does."""
    held = _Lease(store, purpose)
    held.take()
    beat = threading.Thread(target=held.beat, daemon=True)
    beat.start()
    try:
        yield
    finally:
        held.stop.set()
        beat.join()
        held.give_back()
    held.complain()


class _Lease:
    def __init__(self, store: Store, purpose: str) -> None:
        self.store, self.stop, self.lost = store, threading.Event(), False
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "purpose": purpose, "token": uuid4().hex}
        self.owner = json.dumps(owner).encode()

    def take(self) -> None:
        """Create the file; one that a dead or silent holder left goes first."""
        for _ in range(2):
            try:
                self.store.create(FILE, self.owner)
            except FileExistsError:
                self._refuse_if_held()
                self.store.remove(FILE)
            else:
                return
        raise StoreError("the store's lease is being taken by somebody else", where=self.store.url, fix="run again")

    def _refuse_if_held(self) -> None:
        holder, age = _holder(self.store)
        if holder is None or age >= STALE_AFTER or _is_dead(holder):
            return
        raise StoreError(
            f"another process works on this store: {holder['purpose']}, process {holder['pid']} on {holder['host']}",
            where=self.store.url,
            fix=f"wait for it; a lease that is silent for {STALE_AFTER:.0f} seconds is taken over",
        ) from None

    def beat(self) -> None:
        """Keep the file young until the work ends, or the lease turns out to be somebody else's."""
        while not self.stop.wait(BEAT_SECONDS):
            with suppress(StoreError, FileNotFoundError):  # a server away for a moment: the next beat comes
                self.lost = not self._is_ours()
                if self.lost:
                    return
                self.store.touch(FILE, self.owner)

    def give_back(self) -> None:
        """Remove the file, if it is still ours."""
        with suppress(StoreError):  # a store that can't be reached: the lease falls silent instead
            self.lost = self.lost or not self._is_ours()
            if not self.lost:
                self.store.remove(FILE)

    def complain(self) -> None:
        """StoreError if somebody took the lease over: work that ended well may have met other work."""
        if self.lost:
            message = "this process was silent for so long that another one took the store's lease over"
            raise StoreError(message, where=self.store.url, fix="run again: what is done is kept")

    def _is_ours(self) -> bool:
        try:
            return self.store.content(FILE) == self.owner
        except FileNotFoundError:
            return False


def _holder(store: Store) -> tuple[dict[str, str] | None, float]:
    """Who holds the lease, None if nobody does by now, and for how many seconds they have been silent."""
    try:
        age = store.age(FILE)
        return json.loads(store.content(FILE)), age
    except FileNotFoundError:
        return None, 0.0
    except ValueError:
        return {"purpose": "unreadable", "pid": "?", "host": "?"}, age


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
