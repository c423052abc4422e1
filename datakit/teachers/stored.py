"""Replies on disk before they are used: nothing that was paid for is asked twice, not after kill -9 either.

One append-only JSON-lines file a model under `<cache>/replies`. A line is {key, text, finish_reason, tokens_in,
tokens_out}; the key is blake2b over the model and everything in the request that shapes the reply. Each line is written
in one piece and fsynced (about 1 ms on a disk, against 200 ms and more for a reply). A half line left by a crash is
passed over and closed by the next write. Prompts and keys of endpoints are never in the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datakit.canon import key_of
from datakit.errors import StoreError
from datakit.teachers import Arrived, Reply, Request, Teacher


class StoredReplies:
    """A teacher with a memory on disk in front of it."""

    paid = True

    def __init__(self, teacher: Teacher, folder: Path, identity: dict[str, Any]) -> None:
        self.teacher = teacher
        self.identity = identity
        slug = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(str(part) for part in identity.values())).strip("-")
        self.path = folder / f"{slug[:80]}-{key_of(identity)[:8]}.jsonl"
        self.known = _read(self.path)
        self.asked = 0
        """Requests that went to the teacher."""
        self.reused = 0
        """Requests answered from disk."""

    def complete(self, requests: Sequence[Request], arrived: Arrived = lambda place, reply: None) -> list[Reply]:
        """Replies in the order of the requests; only those not known yet are asked for, each key once."""
        keys = [key_of("reply", self.identity, request.shape()) for request in requests]
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in self.known}
        order = list(missing)
        if order:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.teacher.complete(list(missing.values()), lambda place, reply: self._keep(order[place], reply))
        self.asked += len(order)
        self.reused += len(requests) - len(order)
        replies = [self.known[key] for key in keys]
        for place, reply in enumerate(replies):
            arrived(place, reply)
        return replies

    def close(self) -> None:
        """Stop what the teacher started."""
        self.teacher.close()

    def _keep(self, key: str, reply: Reply) -> None:
        line = json.dumps({"key": key, **asdict(reply)}, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        try:
            with open(self.path, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            fix = "free some space or choose another cache folder; replies before this one are kept"
            raise StoreError(f"a reply could not be kept: {error.strerror}", where=str(self.path), fix=fix) from error
        self.known[key] = reply


def _read(path: Path) -> dict[str, Reply]:
    """All whole lines of a file of replies; a torn line, which only a crash leaves, counts as never written."""
    known: dict[str, Reply] = {}
    if not path.is_file():
        return known
    for line in path.read_bytes().split(b"\n"):
        try:
            row = json.loads(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            continue
        key = row.pop("key")
        known[key] = Reply(**row)
    return known
