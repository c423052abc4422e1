"""Any OpenAI-compatible endpoint, through the `openai` client.

A fixed number of workers pull requests from one queue, so memory holds no more than what is in flight. What may pass is
tried again with exponential backoff and jitter, honouring Retry-After: 408, 409, 425, 429, 5xx, time-outs, connections
that break, answers that are no answers. What can't pass stops everything at once and says what to do: a bad key, an
unknown model, a request the endpoint refuses, no quota left. Requests in flight are then still waited for: they are
paid. So they are after Ctrl-C; a second Ctrl-C leaves at once. Neither keys nor prompts nor replies get into an error.

Cost: 1.0 ms of CPU a request, its reply kept on disk, against 2.3 ms of the client as it comes (bench_teacher): the
client's aiohttp transport where it is installed, and `client.post` in place of `chat.completions.create`, whose checks
of every field cost as much as all of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from datakit.errors import TeacherError
from datakit.teachers import Arrived, Reply, Request, TeacherSpec
from datakit.teachers.budget import worst_case
from datakit.teachers.dialect import OVERLOADED, Dialect, path_of, reply_of, retry_after
from datakit.teachers.limits import Gate, Pace

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first second try, doubled each time, and the most."""
LONGEST_PAUSE = 300.0
"""Longest Retry-After that is waited for: who asks for more has closed for today."""
CONNECTION_TRIES = 2
"""An endpoint that refuses connections is down: more tries only make people wait."""
UNREACHED = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionTimeoutError"})
"""Errors of httpx and aiohttp that say that no connection came about."""


class Endpoint:
    """Asks an endpoint over HTTP."""

    paid = True

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.spec = spec
        self.dialect = Dialect(spec)
        self.first_wait = FIRST_WAIT
        self.tell: Callable[[str], None] | None = None
        self.gate = Gate(spec.concurrency, Pace(spec.rpm), Pace(spec.tpm), time.monotonic)
        self.client: AsyncOpenAI | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: Thread | None = None

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """All replies, in order; a TeacherError if one can't be had (those that arrived were handed over)."""
        asking = Asking(self, requests, arrived, key_of_endpoint(self.spec, self.dialect.url))
        loop = self._running()
        running = asyncio.run_coroutine_threadsafe(asking.all(), loop)
        try:
            return running.result()
        except KeyboardInterrupt:
            loop.call_soon_threadsafe(asking.stop.set)
            if self.tell:
                waiting = f"waiting for {asking.in_flight} requests in flight, their replies are kept"
                self.tell(f"interrupted: {waiting}; Ctrl-C again leaves at once")
            # What fails meanwhile matters less than that somebody wants to stop. A second Ctrl-C comes through.
            with suppress(Exception):
                running.result()
            raise

    def close(self) -> None:
        """Close the connections, and let go of what is in flight after a second Ctrl-C."""
        if self.loop is None or self.thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.loop = self.thread = self.client = None

    def _running(self) -> asyncio.AbstractEventLoop:
        """A loop in a thread of its own, since asyncio.run refuses where a loop runs already, as in a notebook. It
        stays, with its connections, until the teacher is closed."""
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
            self.thread = Thread(target=self.loop.run_forever, name="datakit-teacher", daemon=True)
            self.thread.start()
        return self.loop

    async def _shut(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self.client is not None:
            await self.client.close()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A try that brought no reply, and may be made again."""

    error: TeacherError
    """What to raise if it was the last."""
    pause: float = 0.0
    """Seconds that the endpoint asks to wait."""
    down: bool = False
    """Whether nobody answered at all."""


class Stopped(Exception):  # noqa: N818 - nothing failed
    """Waiting was broken off, since nothing more is to be asked."""


class Asking:
    """The requests of one round on their way; lives in the endpoint's loop."""

    def __init__(self, endpoint: Endpoint, requests: Sequence[Request], arrived: Arrived, key: str) -> None:
        self.endpoint, self.spec, self.dialect, self.gate = endpoint, endpoint.spec, endpoint.dialect, endpoint.gate
        self.requests, self.arrived, self.key = requests, arrived, key
        self.replies: dict[int, Reply] = {}
        self.failed: list[Exception] = []
        self.stop = asyncio.Event()
        self.in_flight = 0

    async def all(self) -> list[Reply]:
        """Every reply; or the first failure, once nothing is in flight any more."""
        if self.endpoint.client is None:
            self.endpoint.client = open_client(self.spec, self.dialect.url, self.key)
        queue = iter(enumerate(self.requests))
        await asyncio.gather(*(self._work(queue) for _ in range(min(self.spec.concurrency, len(self.requests)))))
        if self.failed:
            raise self.failed[0]
        if self.stop.is_set():
            raise Stopped
        return [self.replies[place] for place in range(len(self.requests))]

    async def _work(self, queue: Iterator[tuple[int, Request]]) -> None:
        for place, request in queue:
            if self.stop.is_set():
                return
            try:
                reply = await self._one(place, request)
                self.arrived(place, reply)
                self.replies[place] = reply
            except Stopped:
                return
            except Exception as error:
                self.failed.append(error)
                self.stop.set()

    async def _one(self, place: int, request: Request) -> Reply:
        unreached = 0
        for attempt in range(self.spec.retries + 1):
            outcome = await self._try(request)
            if isinstance(outcome, Reply):
                return outcome
            unreached += outcome.down
            if attempt == self.spec.retries or unreached == CONNECTION_TRIES or outcome.pause > LONGEST_PAUSE:
                raise outcome.error
            jitter = 0.5 + random.Random(place * 100 + attempt).random()
            backoff = min(LONGEST_WAIT, self.endpoint.first_wait * 2**attempt) * jitter
            await self._sleep(max(backoff, outcome.pause))
        raise AssertionError("the last attempt returns or raises")

    async def _try(self, request: Request) -> Reply | Trouble:
        import openai

        most = sum(worst_case(request)) if self.spec.tpm else 0
        began = await self.gate.enter(most, self._sleep)
        self.in_flight += 1
        try:
            async with asyncio.timeout(self.spec.timeout):
                reply = await self._post(request)
        except openai.APIStatusError as error:
            return self._refused(error, began, request.raw)
        except openai.APIConnectionError as error:
            return self._unanswered(error)
        except TimeoutError:
            return self._late()
        except (ValueError, TypeError, AttributeError, LookupError, openai.APIError):
            # Half a JSON, an HTML page with status 200, an answer without choices.
            return Trouble(self.dialect.error("the endpoint's answers can't be read", "is it OpenAI-compatible?"))
        finally:
            self.in_flight -= 1
            self.gate.leave()
        self.gate.answered(most - reply.tokens_in - reply.tokens_out if reply.tokens_out else 0)
        return reply

    async def _post(self, request: Request) -> Reply:
        """Ask once; or again, where the endpoint didn't like how it was asked."""
        import openai

        if self.stop.is_set():
            raise Stopped
        client = self.endpoint.client
        assert client is not None  # all() saw to it
        while True:
            body = self.dialect.body(request)
            try:
                return reply_of(await client.post(path_of(request), cast_to=object, body=body))
            except openai.APIStatusError as error:
                if refused := self.dialect.refusal(error.status_code, f"{error.code} {error.type} {error.message}"):
                    return refused
                if not self.dialect.learn(error.status_code, body, error.param):
                    raise

    def _refused(self, error: APIStatusError, began: float, raw: bool) -> Trouble:
        """A refusal that may pass; raises one that can't."""
        status, tries = error.status_code, self.spec.retries + 1
        if fatal := self.dialect.fatal(status, str(error.code or ""), raw):
            raise fatal from None
        pause = retry_after(error.response.headers, time.time())
        if status in OVERLOADED:
            self.gate.overloaded(began, min(pause, LONGEST_PAUSE))
        if pause > LONGEST_PAUSE:
            said = self.dialect.error(f"HTTP {status}: the endpoint asks to wait {pause:.0f} seconds", "run again then")
        else:
            fix = "wait, or lower teacher.concurrency or set teacher.rpm, then run again"
            said = self.dialect.error(f"HTTP {status} after {tries} tries", fix)
        return Trouble(said, pause)

    def _unanswered(self, error: APIConnectionError) -> Trouble:
        import openai

        if _unreached(error):
            said = self.dialect.error("nothing answers at this address", self.dialect.start())
            return Trouble(said, down=True)
        if isinstance(error, openai.APITimeoutError) and not _told_by(error, "aiohttp"):
            return self._late()
        return Trouble(self.dialect.error("the connection breaks before a reply is there", "look at the server's log"))

    def _late(self) -> Trouble:
        return Trouble(self.dialect.error(f"no reply within {self.spec.timeout:g} seconds", "raise teacher.timeout"))

    async def _sleep(self, seconds: float) -> None:
        """Wait, unless everything stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        if self.stop.is_set():
            raise Stopped


def key_of_endpoint(spec: TeacherSpec, url: str) -> str:
    """The key, from the environment; any word for an endpoint of one's own that wants none."""
    variable = spec.key_env or ("" if spec.base_url else "OPENAI_API_KEY")
    key = os.environ.get(variable, "") if variable else "none"
    if not key:
        raise TeacherError(f"no key in ${variable}", where=url, fix=f"export {variable}=... and run again")
    return key


def open_client(spec: TeacherSpec, url: str, key: str) -> AsyncOpenAI:
    """The client, over aiohttp where it is installed: half the CPU of httpx's own transport."""
    import openai

    without_bodies()
    options: dict[str, Any] = {"base_url": url, "api_key": key, "max_retries": 0, "timeout": spec.timeout}
    with suppress(AttributeError, RuntimeError):
        options["http_client"] = openai.DefaultAioHttpClient()
    return openai.AsyncOpenAI(**options)


def without_bodies() -> None:
    """At DEBUG the client logs whole requests, prompts and all: that line is left out."""
    logging.getLogger("openai._base_client").addFilter(_bodiless)


def _bodiless(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Request options")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _told_by(error: BaseException, package: str) -> list[BaseException]:
    return [cause for cause in _causes(error) if type(cause).__module__.partition(".")[0] == package]


def _unreached(error: BaseException) -> bool:
    """Whether no connection came about. Over aiohttp its own errors tell: the transport calls every broken connection
    a connect time-out."""
    told = _told_by(error, "aiohttp") or list(_causes(error))
    return any(parent.__name__ in UNREACHED for cause in told for parent in type(cause).__mro__)
