"""A transformers model inside this process: `transformers:FOLDER`, a GGUF file, a hub name or `smollm2`.

One request at a time: what a model computes for a prompt depends in the last digits on the prompts beside it in a
batch, and a run that was killed and resumed has others beside it. So a reply depends on the model, the request and its
seed alone (and on the number of threads, which is fixed). It is meant for machines without a server; vLLM or llama.cpp
answer many times as fast.

A schema is not enforced here: the prompt must ask for JSON, and `structured.parse_json` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import TeacherError
from datakit.teachers import Arrived, Reply, Request, TeacherSpec

if TYPE_CHECKING:
    import torch

THREADS = 1


class InProcess:
    """Answers with a model of transformers."""

    paid = True

    def __init__(self, spec: TeacherSpec, cache: Path) -> None:
        self.spec = spec
        self.cache = cache
        self.model: Any = None
        self.tokenizer: Any = None

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        """All replies, one after the other."""
        from datakit.models import SMOLLM2, load_base, resolve_base

        if self.model is None:
            self.model, self.tokenizer = load_base(resolve_base(self.spec.model or SMOLLM2, self.cache).folder)
        replies = []
        for place, request in enumerate(requests):
            reply = self._answer(request)
            arrived(place, reply)
            replies.append(reply)
        return replies

    def close(self) -> None:
        """Let the model go."""
        self.model = self.tokenizer = None

    def _answer(self, request: Request) -> Reply:
        import torch

        prompt = self._prompt(request)
        size = prompt["input_ids"].shape[1]
        room = self.model.config.max_position_embeddings - size
        if room < 1:
            return Reply("", "too_long", size)
        with torch.inference_mode(), _seeded(request.seed):
            made = self.model.generate(**prompt, **self._options(request, size, room))[0, size:].tolist()
        ended = bool(made) and made[-1] in _ends(self.model)
        text = self.tokenizer.decode(made, skip_special_tokens=True)
        for stop in request.stop:
            before, found, _ = text.partition(stop)
            text, ended = (before, True) if found else (text, ended)
        return Reply(text, "stop" if ended else "length", size, len(made))

    def _prompt(self, request: Request) -> Any:
        from jinja2 import TemplateError

        if request.raw:
            return self.tokenizer(request.messages[0][1], return_tensors="pt", add_special_tokens=False)
        turns = [{"role": role, "content": content} for role, content in request.messages]
        options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
        try:
            return self.tokenizer.apply_chat_template(turns, **options)
        except (TemplateError, ValueError) as error:
            fix = "choose an instruction-tuned model, or a recipe without a system prompt"
            raise TeacherError(
                "the model has no chat template for these roles", where=self.spec.model, fix=fix
            ) from error

    def _options(self, request: Request, size: int, room: int) -> dict[str, Any]:
        from transformers import LogitsProcessorList

        options: dict[str, Any] = {"max_new_tokens": min(request.max_tokens, room), "use_cache": True}
        options["do_sample"] = request.temperature > 0
        if request.temperature > 0:
            options |= {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        if request.stop:
            options |= {"stop_strings": list(request.stop), "tokenizer": self.tokenizer}
        if request.frequency_penalty or request.presence_penalty:
            penalties = Penalties(size, request.frequency_penalty, request.presence_penalty)
            options["logits_processor"] = LogitsProcessorList([penalties])
        return options


class Penalties:
    """Lowers the scores of tokens that the reply holds already, as OpenAI's API defines it."""

    def __init__(self, size: int, frequency: float, presence: float) -> None:
        self.size, self.frequency, self.presence = size, frequency, presence

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores of the next token; `input_ids` are prompt and reply."""
        import torch

        made = input_ids[:, self.size :]
        counts = torch.zeros_like(scores).scatter_add_(1, made, torch.ones_like(made, dtype=scores.dtype))
        return scores - self.frequency * counts - self.presence * (counts > 0)


def _ends(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """torch's random numbers from the request's seed, on a fixed number of threads; both as they were afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed or 0)
            yield
    finally:
        torch.set_num_threads(threads)
