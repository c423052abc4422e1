"""OpenAI's Batch API: requests go up as a file, replies come down within a day, at half the price.

    upload a JSONL file -> [file id on disk] -> create a batch -> [batch id on disk] -> poll -> download -> [done]

The ledger beside the file of replies (`….batches.jsonl`) says how far each batch has come, so whoever is killed, or
leaves with Ctrl-C, runs again and goes on where it stopped; a batch that was created but whose id never reached the
disk is found by its file among the batches of the account. What a batch left unanswered (expired, 429, 5xx) goes into
the next one. A request in a batch is known by the digest of its shape, so the order of the requests and their number
may change between two runs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from datakit.canon import key_of
from datakit.errors import TeacherError
from datakit.teachers import Arrived, Reply, Request, TeacherSpec
from datakit.teachers.dialect import BAD_REQUEST, Dialect, reply_of
from datakit.teachers.endpoint import key_of_endpoint, without_bodies
from datakit.teachers.stored import locked, path_of_replies

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Batch

PATH: Final = "/v1/chat/completions"
MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
"""A batch takes 50,000 requests in a file of 200 MB (OpenAI's limits)."""
FIRST_POLL, LONGEST_POLL = 5.0, 60.0
"""Seconds between two looks at a batch: at first, doubled each time, at most."""
LOOKED_THROUGH = 1000
"""Newest batches of the account among which a lost one is looked for."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(slots=True)
class Job:
    """A file of requests on its way."""

    file: str
    ids: frozenset[str]
    batch: str = ""
    done: bool = False


class Batches:
    """Asks an endpoint in batches."""

    paid = True

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.spec = spec
        self.dialect = Dialect(spec)
        self.ledger = Ledger(path_of_replies(cache / "replies", spec.identity()).with_suffix(".batches.jsonl"))
        self.first_poll = FIRST_POLL
        self.tell: Callable[[str], None] | None = None

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """Replies in the order of the requests, from batches under way and from new ones."""
        ids = [key_of(request.shape()) for request in requests]
        replies: dict[str, Reply] = {}

        def take(name: str, reply: Reply) -> None:
            if name not in replies:
                replies[name] = reply
                for place in places[name]:
                    arrived(place, reply)

        places: dict[str, list[int]] = {}
        for place, name in enumerate(ids):
            places.setdefault(name, []).append(place)
        with self._client() as client:
            for _ in range(self.spec.retries + 1):
                left = {name: requests[found[0]] for name, found in places.items() if name not in replies}
                if not left:
                    return [replies[name] for name in ids]
                for job in self._jobs(client, left):
                    self._collect(client, job, left, take)
        raise self.dialect.error(f"{len(left)} requests had no reply in any batch", "run again later")

    def close(self) -> None:
        """Nothing stays open between rounds."""

    def _jobs(self, client: OpenAI, left: dict[str, Request]) -> list[Job]:
        """The batches that hold what is left; those that nobody has sent yet are sent."""
        with self.ledger.alone():
            jobs = [job for job in self.ledger.jobs() if not job.done and job.ids & left.keys()]
            covered = frozenset[str]().union(*(job.ids for job in jobs))
            lines = ((name, self._line(name, request)) for name, request in left.items() if name not in covered)
            for names, data in _files(lines):
                with self._explained():
                    file = client.files.create(file=("datakit.jsonl", data), purpose="batch")
                jobs.append(Job(file.id, frozenset(names)))
                self.ledger.add(file=file.id, ids=names)
            for job in jobs:
                if not job.batch:
                    job.batch = self._create(client, job)
                    self.ledger.add(file=job.file, batch=job.batch)
                    self._say(
                        f"batch {job.batch}: {len(job.ids):,} requests sent; stop and run again whenever you like"
                    )
        return jobs

    def _line(self, name: str, request: Request) -> bytes:
        if request.raw:
            raise self.dialect.error("batches complete no raw text", "leave `batch` out, or choose another recipe")
        line = {"custom_id": name, "method": "POST", "url": PATH, "body": self.dialect.body(request)}
        return json.dumps(line, ensure_ascii=True).encode() + b"\n"

    def _create(self, client: OpenAI, job: Job) -> str:
        """The batch of a file: the one that a killed run created, else a new one."""
        with self._explained():
            for place, batch in enumerate(client.batches.list(limit=100)):
                if batch.input_file_id == job.file:
                    return batch.id
                if place == LOOKED_THROUGH:
                    break
            # Tried once: who tries again without looking may pay twice.
            once = client.with_options(max_retries=0)
            return once.batches.create(input_file_id=job.file, endpoint=PATH, completion_window="24h").id

    def _collect(self, client: OpenAI, job: Job, left: dict[str, Request], take: Callable[[str, Reply], None]) -> None:
        """Wait for a batch and hand over its replies."""
        batch = self._ended(client, job)
        spoke = frozenset(self.dialect.without)
        fatal: TeacherError | None = None
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            with self._explained():
                content = client.files.content(file).content
            for name, reply in self._replies(content, left, spoke):
                if isinstance(reply, Reply):
                    take(name, reply)
                else:
                    fatal = fatal or reply
        self.ledger.add(file=job.file, done=True)
        if batch.status == "failed":
            found = (batch.errors.data if batch.errors else None) or []
            code = next((str(error.code) for error in found if error.code), "no reason given")
            fatal = self.dialect.error(f"the endpoint refuses the batch ({code})", "check model and settings")
        if fatal is not None:
            raise fatal

    def _ended(self, client: OpenAI, job: Job) -> Batch:
        wait, seen = self.first_poll, -1
        while True:
            with self._explained():
                batch = client.batches.retrieve(job.batch)
            counts = batch.request_counts
            if counts and counts.completed != seen:
                seen = counts.completed
                self._say(f"batch {job.batch}: {batch.status}, {seen:,} of {counts.total:,} replies")
            if batch.status in ENDED:
                return batch
            time.sleep(wait)
            wait = min(LONGEST_POLL, wait * 2)

    def _replies(
        self, content: bytes, left: dict[str, Request], spoke: frozenset[str]
    ) -> Iterator[tuple[str, Reply | TeacherError]]:
        """What a file of results says about requests of ours; nothing about those to be asked again."""
        for line in content.splitlines():
            try:
                row = json.loads(line)
                name, response = str(row["custom_id"]), row.get("response") or {}
                if name in left:
                    outcome = self._outcome(response, left[name], spoke)
                    if outcome is not None:
                        yield name, outcome
            except (ValueError, TypeError, LookupError, AttributeError):
                continue  # no answer can be read: asked again

    def _outcome(
        self, response: dict[str, Any], request: Request, spoke: frozenset[str]
    ) -> Reply | TeacherError | None:
        """`spoke`: what the endpoint was known to refuse when the batch went up."""
        status, body = int(response.get("status_code") or 0), response.get("body") or {}
        if status == 200:
            return reply_of(body)
        told = body.get("error") or {}
        code, words = str(told.get("code") or ""), json.dumps(told)
        if refused := self.dialect.refusal(status, words):
            return refused
        learnt = self.dialect.learn(status, self.dialect.body(request), told.get("param"))
        if not status or learnt or (status in BAD_REQUEST and self.dialect.without - spoke):
            return None
        return self.dialect.fatal(status, code)

    @contextmanager
    def _client(self) -> Iterator[OpenAI]:
        import openai

        key = key_of_endpoint(self.spec, self.dialect.url)
        without_bodies()
        spec, url = self.spec, self.dialect.url
        with openai.OpenAI(base_url=url, api_key=key, max_retries=spec.retries, timeout=spec.timeout) as client:
            yield client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The client's errors as ours. It has tried again by itself what may pass."""
        import openai

        again = "run again: the batch goes on, and is not paid twice"
        try:
            yield
        except openai.APIStatusError as error:
            status = error.status_code
            if status == 404:
                said = "the endpoint has no such batch or file, or no Batch API (HTTP 404)"
                raise self.dialect.error(said, f"the same account? else delete {self.ledger.path}") from None
            fatal = self.dialect.fatal(status, str(error.code or ""))
            raise fatal or self.dialect.error(f"HTTP {status} after some tries", again) from None
        except openai.APIError as error:
            raise self.dialect.error("nothing answers at this address", again) from error

    def _say(self, text: str) -> None:
        if self.tell:
            self.tell(text)


class Ledger:
    """What is known about batches, line by line; each line begins with a line break, so that a torn one ends there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, **entry: Any) -> None:
        """Write an entry and wait until the disk has it."""
        with open(self.path, "ab") as file:
            file.write(b"\n" + json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def jobs(self) -> list[Job]:
        """All batches, oldest first."""
        jobs: dict[str, Job] = {}
        for line in self.path.read_bytes().split(b"\n") if self.path.is_file() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            job = jobs.setdefault(entry["file"], Job(entry["file"], frozenset(entry.get("ids", ()))))
            job.batch = entry.get("batch", job.batch)
            job.done = entry.get("done", job.done)
        return list(jobs.values())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from sending the same requests meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as file, locked(file):
            yield


def _files(lines: Iterable[tuple[str, bytes]]) -> Iterator[tuple[list[str], bytes]]:
    """Lines in files that are not too long and not too large."""
    names: list[str] = []
    parts: list[bytes] = []
    size = 0
    for name, line in lines:
        if names and (len(names) == MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield names, b"".join(parts)
            names, parts, size = [], [], 0
        names.append(name)
        parts.append(line)
        size += len(line)
    if names:
        yield names, b"".join(parts)
