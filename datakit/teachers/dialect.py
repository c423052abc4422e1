"""What an endpoint understands of a request, and what its answers and refusals mean.

`body` writes a request as the API wants it: chat completions, or completions for a raw text. Endpoints differ: some
refuse `response_format`, the newer OpenAI models refuse `max_tokens` and want `max_completion_tokens`, some know no
`seed` or `top_k`. Who refuses with HTTP 400 or 422 is asked again without, and remembered as one that speaks so. The
key of a stored reply doesn't know of it: the question was the same.

Refusals that concern one request alone become replies without text, so that one long document doesn't end a run:
`too_long` (more than the model's context), `content_filter`. Nothing that an endpoint says in words gets into an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from datakit.errors import TeacherError
from datakit.teachers import Reply, Request, TeacherSpec

PASSING = frozenset({408, 409, 425, 429})
"""Statuses that may pass, beside all from 500 on."""
OVERLOADED = frozenset({429, 503, 529})
BAD_REQUEST = frozenset({400, 422})
NO_COMPLETIONS = frozenset({400, 404, 405, 501})
DROPPABLE = ("response_format", "seed", "top_k")
TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "maximum context length", "context size")
FILTERED = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
KEPT = "replies that arrived are kept: a second run asks only for the rest"


class Dialect:
    """How one endpoint is spoken to; learns from its refusals."""

    def __init__(self, spec: TeacherSpec) -> None:
        self.spec = spec
        self.url = spec.base_url or "https://api.openai.com/v1"
        self.without: set[str] = set()
        """Fields that the endpoint refused."""

    def body(self, request: Request) -> dict[str, Any]:
        """What is sent to `path_of(request)`."""
        turns = [{"role": role, "content": content} for role, content in request.messages]
        body: dict[str, Any] = {
            "model": self.spec.model or "default",
            **({"prompt": request.messages[0][1]} if request.raw else {"messages": turns}),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        optional = {
            "frequency_penalty": request.frequency_penalty,
            "presence_penalty": request.presence_penalty,
            "top_k": request.top_k,
            "stop": list(request.stop),
        }
        body |= {name: value for name, value in optional.items() if value}
        if request.seed is not None:
            body["seed"] = request.seed
        if request.schema:
            schema = {"name": "reply", "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if "max_tokens" in self.without:
            body["max_completion_tokens"] = body["max_tokens"]
        return {name: value for name, value in (body | self.spec.extra).items() if name not in self.without}

    def learn(self, status: int, body: Mapping[str, Any], param: str | None) -> bool:
        """Whether a refused body is worth sending again in another way. `param`: the field that the endpoint names."""
        if status not in BAD_REQUEST:
            return False
        refused = param if param in (*DROPPABLE, "max_tokens") else "response_format"
        if refused not in body:
            return False
        self.without.add(refused)
        return True

    def refusal(self, status: int, words: str) -> Reply | None:
        """The reply that stands for a refusal of this one request; None if the refusal means more. `words`: code, type
        and message of the refusal, looked at and thrown away."""
        if status in (*BAD_REQUEST, 413) and any(sign in words for sign in TOO_LONG):
            return Reply("", "too_long")
        if status in BAD_REQUEST and any(sign in words for sign in FILTERED):
            return Reply("", "content_filter")
        return None

    def fatal(self, status: int, code: str, raw: bool = False) -> TeacherError | None:
        """The error if asking again can't help, None if it may. `raw`: a text was to be completed."""
        if status in (401, 403):
            variable = self.spec.key_env or "OPENAI_API_KEY"
            return self.error(f"the endpoint refuses the key (HTTP {status})", f"check ${variable}")
        if raw and status in NO_COMPLETIONS:
            fix = "use one that has /completions (vLLM, llama.cpp, `teacher: local`), or another recipe"
            return self.error(f"this endpoint completes no raw text (HTTP {status})", fix)
        if status == 404:
            return self.error(f"no model {self.spec.model!r} here (HTTP 404)", "check model and base_url")
        if code == "insufficient_quota":
            return self.error("the account's quota is used up (HTTP 429)", "top it up and run again")
        if status in PASSING or status >= 500:
            return None
        said = f" ({code})" if code.isidentifier() else ""
        return self.error(f"the endpoint refuses the request with HTTP {status}{said}", "check model and settings")

    def error(self, message: str, fix: str) -> TeacherError:
        """An error about this endpoint."""
        return TeacherError(message, where=self.url, fix=f"{fix}; {KEPT}")

    def start(self) -> str:
        """What to do about an endpoint where nobody answers."""
        if self.spec.base_url:
            servers = "`vllm serve MODEL`, `ollama serve`, `llama-server -m FILE`"
            return f"start the server ({servers}) or use `teacher: local`"
        return "check the network, or use `teacher: local`"


def path_of(request: Request) -> str:
    """Where a request is sent."""
    return "/completions" if request.raw else "/chat/completions"


def reply_of(answer: Any) -> Reply:
    """A completion as a Reply. Raises ValueError, TypeError or LookupError for what is none."""
    choice = answer["choices"][0]
    text = (choice["message"].get("content") if "message" in choice else choice["text"]) or ""
    if not isinstance(text, str):
        raise TypeError("the content of a reply is text")
    usage = answer.get("usage") or {}
    tokens = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
    return Reply(text, str(choice.get("finish_reason") or "stop"), *tokens)


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Seconds that an endpoint asks to wait: plain seconds or a date, by the endpoint's own clock if it shows it."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) * scale)
        except ValueError:
            continue
    until, since = _seconds(headers.get("retry-after", "")), _seconds(headers.get("date", ""))
    return 0.0 if until is None else max(0.0, until - (now if since is None else since))


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
