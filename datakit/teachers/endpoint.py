"""Any OpenAI-compatible endpoint, through the `openai` client.

A fixed number of workers pull requests from one queue, so memory holds no more than what is in flight. What may pass is
tried again with exponential backoff and jitter, honouring Retry-After: 408, 409, 425, 429, 5xx, time-outs, connections
that break, answers that are no answers. What can't pass stops everything at once and says what to do: a bad key, an
unknown model, a request the endpoint refuses, no quota left. Requests in flight are then still waited for: they are
paid. Neither keys nor prompts nor replies get into an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from datakit.errors import TeacherError
from datakit.teachers import RAW, Arrived, Reply, Request, TeacherSpec

if TYPE_CHECKING:
    from openai import AsyncOpenAI

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first second try, doubled each time, and the most."""
PASSING = frozenset({408, 409, 425, 429})
CONNECTION_TRIES = 2
"""An endpoint that refuses connections is down: more tries only make people wait."""


class Endpoint:
    """Asks an endpoint over HTTP."""

    paid = True

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.spec = spec
        self.url = spec.base_url or "https://api.openai.com/v1"
        self.first_wait = FIRST_WAIT

    def close(self) -> None:
        """Nothing stays open between rounds."""

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """All replies, in order; a TeacherError if one can't be had (those that arrived were handed over)."""
        outcome: list[list[Reply] | BaseException] = []

        def work() -> None:
            try:
                outcome.append(asyncio.run(self._all(requests, arrived)))
            except BaseException as error:
                outcome.append(error)

        # A thread of its own: asyncio.run refuses where a loop runs already, as in a notebook.
        thread = Thread(target=work, name="datakit-teacher", daemon=True)
        thread.start()
        thread.join()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    async def _all(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        replies: dict[int, Reply] = {}
        failed: list[Exception] = []
        queue = iter(enumerate(requests))

        async def worker(client: AsyncOpenAI) -> None:
            for place, request in queue:
                if failed:
                    return
                try:
                    reply = await self._one(client, request, place)
                    arrived(place, reply)
                    replies[place] = reply
                except Exception as error:
                    failed.append(error)

        async with self._client() as client:
            await asyncio.gather(*(worker(client) for _ in range(min(self.spec.concurrency, len(requests)))))
        if failed:
            raise failed[0]
        return [replies[place] for place in range(len(requests))]

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        variable = self.spec.key_env or ("" if self.spec.base_url else "OPENAI_API_KEY")
        key = os.environ.get(variable, "") if variable else "none"
        if not key:
            raise TeacherError(f"no key in ${variable}", where=self.url, fix=f"export {variable}=... and run again")
        return AsyncOpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=self.spec.timeout)

    async def _one(self, client: AsyncOpenAI, request: Request, place: int) -> Reply:
        import openai

        jitter = random.Random(place)
        for attempt in range(self.spec.retries + 1):
            last = attempt == self.spec.retries
            wait = min(LONGEST_WAIT, self.first_wait * 2**attempt) * (0.5 + jitter.random())
            try:
                return await self._send(client, request)
            except openai.APITimeoutError as error:
                if last:
                    raise self._error(
                        f"no reply within {self.spec.timeout:g} seconds", "raise teacher.timeout"
                    ) from error
            except openai.APIConnectionError as error:
                if attempt + 1 >= CONNECTION_TRIES or last:
                    raise self._error("nothing answers at this address", self._start()) from error
            except openai.APIStatusError as error:
                wait = max(wait, _retry_after(error.response.headers.get("retry-after")))
                self._refuse(error, last, raw=_is_raw(request))
            except (ValueError, TypeError, AttributeError, LookupError, openai.APIError) as error:
                # Half a JSON, an HTML page with status 200, an answer without choices.
                if last:
                    raise self._error("the endpoint's answers can't be read", "is it OpenAI-compatible?") from error
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, client: AsyncOpenAI, request: Request) -> Reply:
        arguments = self._arguments(request)
        if _is_raw(request):
            del arguments["messages"]
            return _reply(await client.completions.create(prompt=request.messages[0][1], **arguments))
        return _reply(await client.chat.completions.create(**arguments))

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": self.spec.model or "default",
            "messages": [{"role": role, "content": content} for role, content in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        if request.seed is not None:
            arguments["seed"] = request.seed
        if request.stop:
            arguments["stop"] = list(request.stop)
        if request.schema:
            schema = {"name": "reply", "schema": json.loads(request.schema)}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        return arguments

    def _refuse(self, error: Any, last: bool, raw: bool) -> None:
        """Raise unless another try may help."""
        status, code = error.status_code, str(getattr(error, "code", None) or "")
        if status in (401, 403):
            variable = self.spec.key_env or "OPENAI_API_KEY"
            raise self._error(f"the endpoint refuses the key (HTTP {status})", f"check ${variable}") from None
        if raw and status in (400, 404, 405, 501):
            fix = "use one that has /completions (vLLM, llama.cpp, `teacher: local`), or another recipe"
            raise self._error(f"this endpoint completes no raw text (HTTP {status})", fix) from None
        if status == 404:
            raise self._error(f"no model {self.spec.model!r} here (HTTP 404)", "check model and base_url") from None
        if code == "insufficient_quota":
            raise self._error("the account's quota is used up (HTTP 429)", "top it up and run again") from None
        if status not in PASSING and status < 500:
            said = f" ({code})" if code.isidentifier() else ""
            raise self._error(
                f"the endpoint refuses the request with HTTP {status}{said}", "check model and settings"
            ) from None
        if last:
            tries = self.spec.retries + 1
            raise self._error(
                f"HTTP {status} after {tries} tries", "wait or lower teacher.concurrency, then run again"
            ) from None

    def _error(self, message: str, fix: str) -> TeacherError:
        kept = "replies that arrived are kept: a second run asks only for the rest"
        return TeacherError(message, where=self.url, fix=f"{fix}; {kept}")

    def _start(self) -> str:
        if self.spec.base_url:
            return (
                "start the server (`vllm serve MODEL`, `ollama serve`, `llama-server -m FILE`) or use `teacher: local`"
            )
        return "check the network, or use `teacher: local`"


def _is_raw(request: Request) -> bool:
    return len(request.messages) == 1 and request.messages[0][0] == RAW


def _reply(answer: Any) -> Reply:
    choice = answer.choices[0]
    text = (choice.message.content if hasattr(choice, "message") else choice.text) or ""
    if not isinstance(text, str):
        raise TypeError("the content of a reply is text")
    usage = answer.usage
    return Reply(
        text,
        choice.finish_reason or "stop",
        int(usage.prompt_tokens or 0) if usage else 0,
        int(usage.completion_tokens or 0) if usage else 0,
    )


def _retry_after(header: str | None) -> float:
    """Seconds that the endpoint asks to wait, at most LONGEST_WAIT; 0 without a plain number."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(header or 0)))
    except ValueError:
        return 0.0
