"""Teachers: models that write synthetic text, behind one seam, whatever answers.

    teacher: local                       llama.cpp's server inside this process, SmolLM2 or any GGUF (local:FILE)
    teacher: transformers:FOLDER         a transformers model inside this process
    teacher: replay:FILE                 recorded replies, no model
    teacher: openai:gpt-…                OpenAI itself; the key from $OPENAI_API_KEY
    teacher: {base_url: …, model: …}     any OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, `transformers serve`)

A teacher takes all requests of a round at once and hands back replies in the order of the requests. Each reply is also
given to `arrived` the moment it is there, so that it can be on disk before anything else happens (stored.py). What was
asked and which model was asked make the identity; address, key and concurrency don't. A teacher of one's own is a class
`(TeacherSpec, cache folder)` under the entry-point group `datakit.teachers`; the built-in ones come by the same door.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datakit.canon import canonical, digest_bytes, digest_file, key_of
from datakit.errors import ConfigError, Problem

if TYPE_CHECKING:
    from datakit.teachers.budget import Budget
    from datakit.teachers.metered import Metered

BUILT_IN = {
    "local": "datakit.teachers.local:LocalServer",
    "openai": "datakit.teachers.endpoint:Endpoint",
    "replay": "datakit.teachers.replay:Replay",
    "transformers": "datakit.teachers.inprocess:InProcess",
}
"""Found without entry points too, so that a bare checkout works."""
RAW = "raw"
"""Role of a single message that is no chat: the teacher goes on writing where its text ends, template and all."""
BATCHES = "datakit.teachers.batches:Batches"
"""What `batch: true` puts in the place of `openai`."""
FREE = frozenset({"local", "replay", "transformers"})
"""Teachers that nobody sends a bill for."""
ON_DISK = frozenset({"local", "transformers"})
"""Teachers whose `model` is a file or a folder."""
TAKEN = frozenset(
    {
        "model",
        "messages",
        "prompt",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "stream",
        "temperature",
        "top_p",
        "seed",
    }
)
"""Fields of a body that `extra` may not touch."""
HEAD_BYTES = 1 << 20
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a teacher. `purpose`, `language` and `number` say what it is for (replay goes by them)."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) pairs; one of role RAW is a text to be completed."""
    purpose: str = ""
    language: str = ""
    number: int = 0
    """Place among the requests of the same purpose and language, from 0."""
    max_tokens: int = 1024
    temperature: float = 0.7
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: str = ""
    """A JSON schema, as JSON text, that the reply should obey; "" for none. Some endpoints ignore it: read replies with
    `structured.parse_json`."""
    frequency_penalty: float = 0.0
    """Lowers the odds of a token by how often it came already, -2 to 2."""
    presence_penalty: float = 0.0
    """Lowers the odds of every token that came already, -2 to 2."""
    top_k: int = 0
    """Sample from so many of the likeliest tokens; 0: from all. OpenAI itself doesn't know it; vLLM, llama.cpp do."""

    @property
    def raw(self) -> bool:
        """Whether it is a text to be completed, not a chat."""
        return len(self.messages) == 1 and self.messages[0][0] == RAW

    def shape(self) -> dict[str, Any]:
        """Everything that shapes the reply, as canonical values. A field that came later is left out where it isn't
        used, so that replies paid for before it came stay known."""
        shape = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in shape.items() if name not in LATER or value != LATER[name]}


LATER = {"frequency_penalty": 0.0, "presence_penalty": 0.0, "top_k": 0}
"""Fields of a Request that keys of stored replies hold only where they differ from this."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `finish_reason`: `stop`; `length` where the reply was cut at `max_tokens`; `budget` where the
    request was not asked (metered.OVER); `none` where a replay has nothing recorded."""

    text: str
    finish_reason: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0


Arrived = Callable[[int, Reply], None]


class Teacher(Protocol):
    """What answers requests. `arrived(place, reply)` is called as each reply comes in, in any order."""

    paid: bool
    """Whether replies cost time or money, and so are kept on disk."""

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]: ...

    def close(self) -> None: ...


class TeacherSpec(BaseModel):
    """Which teacher, as YAML writes it: a string `name:argument`, or a mapping with these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    use: str = "openai"
    """Name of the teacher: openai (any compatible endpoint), local, transformers, replay, or a plugin's."""
    model: str = ""
    """Model to ask for; for `local` a .gguf file and for `transformers` a folder, a .gguf file or a hub name (default:
    SmolLM2); for `replay` the file of replies."""
    base_url: str = ""
    """Address of an OpenAI-compatible endpoint, up to and including /v1; default: OpenAI's own."""
    key_env: str = ""
    """Name of the environment variable that holds the key (never the key itself)."""
    concurrency: int = Field(8, ge=1, le=1000)
    """Requests in flight at once, fewer while the endpoint is overloaded."""
    rpm: float | None = Field(None, gt=0)
    """Most requests a minute; null: no limit."""
    tpm: float | None = Field(None, gt=0)
    """Most tokens a minute, of prompts and replies; null: no limit."""
    timeout: float = Field(120, gt=0)
    """Seconds to wait for one reply."""
    retries: int = Field(5, ge=0, le=20)
    """How often a request is tried again after 429, 5xx, a broken connection or a time-out."""
    batch: bool = False
    """openai: send requests through the Batch API (files and batches), at half the price, within a day."""
    replay: bool = False
    """Take every reply from disk; one that is not there is an error. Nothing is asked, no key is needed."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """openai: further fields of the request's body, as {chat_template_kwargs: {enable_thinking: false}}."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        use, _, argument = value.partition(":")
        if use in ("http", "https"):
            raise ValueError("write an endpoint as {base_url: ..., model: ...}")
        return {"use": use, "model": argument}

    def identity(self) -> dict[str, Any]:
        """What makes two teachers the same: the kind and the model, or the content of a file of replies."""
        if self.use == "replay":
            return {"use": "replay", "replies": digest_file(self.model)}
        found = {"use": self.use, "model": Path(self.model).name if self.use in ON_DISK else self.model}
        if self.use in ON_DISK and self.model and Path(self.model).exists():
            found["content"] = mark_of(Path(self.model))
        if self.extra:
            found["extra"] = canonical(self.extra).decode()
        return found | {"model": found["model"] or "smollm2"}

    def problems(self, path: str = "teacher") -> list[Problem]:
        """What can be seen to be wrong without asking anybody."""
        found = []
        if self.use not in names():
            found.append(Problem(path, f"no teacher {self.use!r}", f"known: {', '.join(sorted(names()))}"))
        if self.use == "openai" and not self.model:
            found.append(Problem(path, "which model?", "openai:MODEL, or {base_url: ..., model: ...}"))
        if self.use == "replay" and not self.model:
            stored = "`--set synthesize.teacher.replay=true` takes those on disk"
            found.append(Problem(path, "which replies?", f"replay:FILE takes recorded ones; {stored}"))
        elif (self.use == "replay" or (self.use == "local" and self.model)) and not Path(self.model).is_file():
            found.append(Problem(path, f"no file at {self.model!r}", "paths are relative to the current directory"))
        if self.batch and self.use != "openai":
            found.append(Problem(f"{path}.batch", f"the teacher {self.use!r} knows no batches", "leave `batch` out"))
        if taken := sorted(self.extra.keys() & TAKEN):
            fix = "set it in the stage; a budget and the keys of replies go by it"
            found.append(Problem(f"{path}.extra", f"{taken[0]!r} is set by every request itself", fix))
        return found + self._open_secrets(path)

    def _open_secrets(self, path: str) -> list[Problem]:
        """Keys where everybody would read them: pipelines are stored, addresses stand in errors. None is quoted."""
        found, parts = [], urlsplit(self.base_url)
        if parts.username or parts.password or parts.query:
            fix = "name an environment variable in key_env"
            found.append(Problem(f"{path}.base_url", "the address holds a name, a password or a query", fix))
        if self.key_env and not VARIABLE.fullmatch(self.key_env):
            fix = "the variable's name, as key_env: MY_KEY; never the key itself"
            found.append(Problem(f"{path}.key_env", "this is no name of an environment variable", fix))
        return found

    def budget_problems(self, budget: Budget | None, path: str = "budget") -> list[Problem]:
        """What is wrong with a budget for this teacher; models on this machine need no price."""
        return budget.problems(self.model, free=self.use in FREE, path=path) if budget else []


def mark_of(path: Path) -> str:
    """Tells a model's files from others of the same name without reading gigabytes: sizes, and what they begin with."""
    files = [*sorted(path.glob("*.safetensors")), path / "config.json"] if path.is_dir() else [path]
    heads: list[list[Any]] = []
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                heads.append([file.name, file.stat().st_size, digest_bytes(stream.read(HEAD_BYTES))])
    return key_of(heads)


def names() -> dict[str, str]:
    """Every known teacher: name -> `module:Class`."""
    return BUILT_IN | {found.name: found.value for found in entry_points(group="datakit.teachers")}


def open_teacher(
    spec: TeacherSpec, cache: Path, budget: Budget | None = None, tell: Callable[[str], None] | None = None
) -> Metered:
    """The teacher that a spec names; nothing is started or asked yet. `cache`: where replies and models are kept.

    It keeps to the budget: a request that doesn't fit, and all after it, get `Reply("", "budget")`. `spent` tells what
    was asked and what it cost; so does `tell`, to the person at the terminal, when the teacher is closed. A teacher
    that has an attribute `tell` gets it, too.
    """
    from datakit.teachers.metered import HEARD, Listener, Metered

    if (heard := HEARD.get()) is not None:
        return Metered(Listener(heard))
    if problems := spec.problems() + spec.budget_problems(budget):
        raise ConfigError(problems)
    return Metered(_with_memory(spec, cache, tell), budget, budget.price(spec.model) if budget else None, tell)


def _with_memory(spec: TeacherSpec, cache: Path, tell: Callable[[str], None] | None) -> Teacher:
    from datakit.teachers.stored import Absent, StoredReplies, path_of_replies

    folder, identity = cache / "replies", spec.identity()
    if spec.replay:
        return StoredReplies(Absent(path_of_replies(folder, identity)), folder, identity)
    module, _, name = (BATCHES if spec.batch else names()[spec.use]).partition(":")
    teacher: Teacher = getattr(import_module(module), name)(spec, cache)
    if tell is not None and hasattr(teacher, "tell"):
        teacher.tell = tell
    return StoredReplies(teacher, folder, identity) if teacher.paid else teacher
