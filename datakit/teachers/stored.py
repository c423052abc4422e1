"""Replies on disk before they are used: nothing that was paid for is asked twice, not after kill -9 either.

One append-only JSON-lines file a model under `<cache>/replies`. A line is {key, text, finish_reason, tokens_in,
tokens_out}; the key is blake2b over the model and everything in the request that shapes the reply. A reply is written
the moment it arrives, by one write(2), so that a killed process loses nothing that had arrived; the disk is waited for
once a second and before any reply is used, so that a power cut loses at most the last second. A half line left by a
crash is passed over and closed by the next write. Prompts and keys of endpoints are never in the file.

Several processes may write to one file: each appends under a lock and first reads what the others added, so the first
reply to a request counts for all of them. In memory is an index, 20 bytes of key and a place for each reply, about
190 bytes in all; the texts stay on disk. Nothing in datakit deletes these files: they cost money, not only time.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from datakit.canon import key_of
from datakit.errors import StoreError, TeacherError
from datakit.teachers import Arrived, Reply, Request, Teacher

SYNC_SECONDS = 1.0
"""How often the disk is waited for while replies come in: 1 ms a time, or 10, against 200 ms and more for a reply."""


class StoredReplies:
    """A teacher with a memory on disk in front of it."""

    paid = True

    def __init__(self, teacher: Teacher, folder: Path, identity: dict[str, Any]) -> None:
        self.teacher = teacher
        self.identity = identity
        self.file = ReplyFile(path_of_replies(folder, identity))
        self.asked = 0
        """Requests that went to the teacher."""
        self.reused = 0
        """Requests answered from disk."""

    def complete(self, requests: Sequence[Request], arrived: Arrived = lambda place, reply: None) -> list[Reply]:
        """Replies in the order of the requests; only those not known yet are asked for, each key once."""
        keys = [key_of("reply", self.identity, request.shape()) for request in requests]
        self.file.refresh()
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self.file}
        order = list(missing)
        if order:
            try:
                self.teacher.complete(list(missing.values()), lambda place, reply: self.file.keep(order[place], reply))
            finally:
                self.file.sync()
        self.asked += len(order)
        self.reused += len(requests) - len(order)
        replies = self.file.read(keys)
        for place, reply in enumerate(replies):
            arrived(place, reply)
        return replies

    def close(self) -> None:
        """Stop what the teacher started."""
        try:
            self.teacher.close()
        finally:
            self.file.close()


class ReplyFile:
    """One file of replies: key -> Reply, on disk, with an index in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[bytes, int] = {}
        self.end = 0
        """How far the file was read: behind the last line break that was there."""
        self.handle: IO[bytes] | None = None
        self.synced = 0.0
        self.tokens_in = self.tokens_out = 0
        """Tokens of all replies whose endpoint told them."""
        self.told = 0
        """How many those are."""
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self.places

    def __len__(self) -> int:
        return len(self.places)

    def read(self, keys: Sequence[str]) -> list[Reply]:
        """The replies to some keys that are there."""
        if not keys:
            return []
        with self._explained("can't be read"), open(self.path, "rb") as file:
            return [self._at(file, bytes.fromhex(key)) for key in keys]

    def _at(self, file: IO[bytes], key: bytes) -> Reply:
        file.seek(self.places[key])
        row = _row(file.readline())
        if row is None or row[0] != key:
            fix = "the file was changed while it was in use: run again"
            raise StoreError("a reply is not where it was", where=str(self.path), fix=fix)
        return row[1]

    def refresh(self) -> None:
        """Read what was added since the last time, by this process or another."""
        if not self.path.is_file():
            return
        with self._explained("can't be read"), open(self.path, "rb") as file:
            file.seek(self.end)
            for line in file:
                # A last line without its end is still being written, or was torn by a crash.
                if not line.endswith(b"\n"):
                    break
                if (row := _row(line)) is not None and row[0] not in self.places:
                    self._add(row[0], row[1], self.end)
                self.end += len(line)

    def keep(self, key: str, reply: Reply) -> None:
        """Append a reply, unless another process was first with the same key."""
        line = json.dumps({"key": key, **asdict(reply)}, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        with self._explained("could not be kept"), self._alone() as handle:
            size = os.fstat(handle.fileno()).st_size
            if size > self.end:
                self.refresh()
                # What is left behind the last line break is torn: nobody writes while we hold the lock.
                line = b"\n" + line if size > self.end else line
            if key in self:
                return
            start = size + line.startswith(b"\n")
            rest = memoryview(line)
            while rest:  # a full disk takes a part, and refuses the next
                rest = rest[handle.write(rest) :]
            self._add(bytes.fromhex(key), reply, start)
            self.end = size + len(line)
        if time.monotonic() - self.synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Wait until the disk has everything."""
        if self.handle is not None:
            with self._explained("could not be kept"):
                os.fsync(self.handle.fileno())
        self.synced = time.monotonic()

    def close(self) -> None:
        """Let go of the file."""
        if self.handle is not None:
            self.handle.close()
            self.handle = None

    def _add(self, key: bytes, reply: Reply, place: int) -> None:
        self.places[key] = place
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        self.told += bool(reply.tokens_in or reply.tokens_out)

    @contextmanager
    def _alone(self) -> Iterator[IO[bytes]]:
        """The file, opened for appending, while no other process writes to it."""
        if self.handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.handle = open(self.path, "ab", buffering=0)  # noqa: SIM115 - stays open between replies
        with locked(self.handle):
            yield self.handle

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fix = "free some space or choose another cache folder; replies before this one are kept"
            raise StoreError(f"a reply {what}: {error.strerror}", where=str(self.path), fix=fix) from error


class Absent:
    """The teacher of `replay: true`: it can't be asked, so what is not on disk is an error."""

    paid = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """Says which reply is missing."""
        first = requests[0]
        about = " ".join(part for part in (first.purpose, first.language, f"number {first.number}") if part)
        raise TeacherError(
            f"no reply on disk to {len(requests)} requests, the first of them: {about}",
            where=str(self.path),
            fix="run once without `replay: true`, with the settings and the seed of the run to be replayed",
        )

    def close(self) -> None:
        """Nothing is open."""


def path_of_replies(folder: Path, identity: dict[str, Any]) -> Path:
    """The file that holds the replies of one model."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(str(part) for part in identity.values())).strip("-")
    return folder / f"{slug[:80]}-{key_of(identity)[:8]}.jsonl"


def _row(line: bytes) -> tuple[bytes, Reply] | None:
    """A line's key and reply; None for a torn line, which only a crash leaves."""
    try:
        row = json.loads(line.decode("utf-8", "surrogatepass"))
        return bytes.fromhex(row.pop("key")), Reply(**row)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


@contextmanager
def locked(file: IO[bytes]) -> Iterator[None]:
    """No other process holds the lock of this file meanwhile. Windows has no flock: there, one process at a time."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    fcntl.flock(file.fileno(), fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
