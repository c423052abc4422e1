"""What synthesis may cost, and what it did cost: a cap that holds before it is passed, the same on every run.

    budget: {max_usd: 5, prices: {my-model: {input: 0.15, output: 0.6}}}        usd per million tokens
    budget: {max_tokens: 2000000}        budget: {max_requests: 500}        budget: {max_usd: 5, prices: prices.yaml}

Before a request is asked its worst case is reserved: all bytes of its prompt as tokens, and `max_tokens` of reply.
Those that fit are asked together; when they are there, what they cost in truth takes the place of the reserve, and the
next ones are let in. A request that doesn't fit even alone, and all after it, get the reply `OVER`. What is let in
depends on the requests, their order and the replies, never on what is on disk already or on which reply came first: a
resumed run decides like the one that was killed. A reply whose endpoint tells no usage counts with its worst case; a
try that broke off without a reply (a time-out) counts nothing, since nobody says what it cost.

No price is built in: they change, and a wrong one is worse than none. The Batch API's discount is a price of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from datakit.canon import digest_file
from datakit.errors import Problem

if TYPE_CHECKING:
    from datakit.teachers import Reply, Request

MESSAGE_TOKENS, REQUEST_TOKENS = 8, 128
"""What a chat template adds: marks round each message (4 in ChatML, 5 in Llama 3), and what it begins with (a default
system prompt: 21 tokens in Qwen 2.5, 26 in Llama 3.1, about 70 in gpt-oss)."""


class Price(BaseModel):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    """US dollars per million tokens of prompt."""
    output: float = Field(ge=0, allow_inf_nan=False)
    """US dollars per million tokens of reply."""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (self.input * tokens_in + self.output * tokens_out) / 1_000_000


class Budget(BaseModel):
    """The most that a stage may spend on its teacher; replies found on disk count like new ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Most US dollars; needs the model's price."""
    max_tokens: PositiveInt | None = None
    """Most tokens, of prompts and replies together."""
    max_requests: PositiveInt | None = None
    """Most requests."""
    prices: dict[str, Price] | str = Field(default_factory=dict)
    """Model -> {input, output} in US dollars per million tokens; or a YAML file with such a mapping."""

    def price(self, model: str) -> Price | None:
        """The price of a model, None where nobody stated it. Raises ValueError on a file that can't be read."""
        return self._table().get(model)

    def identity(self, model: str) -> dict[str, Any]:
        """What of it can change a decision or a figure: the caps, and the price of the model that is asked."""
        price = self.price(model)
        caps = self.model_dump(mode="json", exclude={"prices"}, exclude_none=True)
        return caps | ({"price": [price.input, price.output]} if price else {})

    def problems(self, model: str, free: bool = False, path: str = "budget") -> list[Problem]:
        """What can't be right; `free`: the model runs on this machine, so that it needs no price."""
        try:
            known = self._table()
        except ValueError as error:
            return [Problem(f"{path}.prices", str(error), "a YAML mapping: MODEL: {input: 0.15, output: 0.6}")]
        if self.max_usd is None or free or model in known:
            return []
        fix = f"{path}.prices: {{{model}: {{input: ..., output: ...}}}}, in US dollars per million tokens"
        return [Problem(f"{path}.max_usd", f"no price is known for the model {model!r}", fix)]

    def _table(self) -> Mapping[str, Price]:
        if not isinstance(self.prices, str):
            return self.prices
        if not Path(self.prices).is_file():
            raise ValueError(f"no file at {self.prices!r}")
        return _read_prices(self.prices, digest_file(self.prices))


_READ: dict[tuple[str, str], Mapping[str, Price]] = {}
"""Tables by path and digest: a stage asks for its price several times."""


def _read_prices(path: str, digest: str) -> Mapping[str, Price]:
    import yaml

    from datakit.spelling import parse_yaml

    if (path, digest) not in _READ:
        try:
            data = parse_yaml(Path(path).read_text(encoding="utf-8-sig"))
            table = data.get("prices", data)
            _READ[path, digest] = {str(name): Price.model_validate(price) for name, price in table.items()}
        except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, ValidationError) as error:
            raise ValueError(f"{path!r} is no table of prices") from error
    return _READ[path, digest]


@dataclass(slots=True)
class Spent:
    """What was asked and what it cost. The same for every run, except `from_disk`."""

    price: Price | None = None
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unreported: int = 0
    """Replies whose endpoint told no usage, counted with their worst case."""
    from_disk: int = 0
    """Requests of this run that replies on disk answered, so that nobody was paid."""

    @property
    def usd(self) -> float | None:
        """US dollars, None where the model has no price."""
        return None if self.price is None else self.price.usd(self.tokens_in, self.tokens_out)

    def add(self, request: Request, reply: Reply, paid: bool = True) -> None:
        """Count one request that was answered; `paid`: its tokens cost something even if nobody said how many."""
        told = bool(reply.tokens_in or reply.tokens_out) or not paid
        tokens_in, tokens_out = (reply.tokens_in, reply.tokens_out) if told else worst_case(request)
        self.requests += 1
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.unreported += not told

    def notes(self, rows: int) -> dict[str, Any]:
        """The figures for a stage's notes, in all and per accepted row."""
        figures: dict[str, float] = {name: getattr(self, name) for name in ("requests", "tokens_in", "tokens_out")}
        if self.usd is not None:
            figures["usd"] = round(self.usd, 6)
        per_row = {name: round(value / rows, 6) for name, value in figures.items()} if rows else {}
        return {**figures, **({"unreported": self.unreported} if self.unreported else {}), "per_row": per_row}

    def told(self) -> str:
        """One line for the person at the terminal."""
        usd = "" if self.usd is None else f", ${self.usd:,.4f}"
        tokens = f"{self.tokens_in:,} tokens in, {self.tokens_out:,} out{usd}"
        return f"spent {self.requests:,} requests ({self.from_disk:,} answered from disk): {tokens}"


def worst_case(request: Request) -> tuple[int, int]:
    """The most tokens that a request can cost: (of its prompt, of its reply).

    A token of a byte-level or byte-fallback vocabulary stands for at least one byte, so a prompt has no more tokens
    than UTF-8 bytes: in English about 4 times what it has in truth, in Korean (3 bytes a syllable) 3 to 6 times.
    Tokenizers that rewrite text first (NFKC) may make it longer, as ㈜ becomes (주), so the longer spelling counts.
    """
    contents = [content for _, content in request.messages] + [request.schema]
    size = sum(_bytes(content) for content in contents)
    return size + MESSAGE_TOKENS * len(request.messages) + REQUEST_TOKENS, request.max_tokens


def _bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    spellings = (text, normalize("NFKC", text))
    return max(len(spelling.encode("utf-8", "surrogatepass")) for spelling in spellings)


def affordable(requests: Sequence[Request], budget: Budget, spent: Spent) -> int:
    """How many of the requests, from the first on, fit into what is left even if each costs its worst case."""
    tokens_in, tokens_out = spent.tokens_in, spent.tokens_out
    for place, request in enumerate(requests):
        most_in, most_out = worst_case(request)
        tokens_in, tokens_out = tokens_in + most_in, tokens_out + most_out
        usd = spent.price.usd(tokens_in, tokens_out) if spent.price else 0.0
        if (
            (budget.max_requests is not None and spent.requests + place >= budget.max_requests)
            or (budget.max_tokens is not None and tokens_in + tokens_out > budget.max_tokens)
            or (budget.max_usd is not None and usd > budget.max_usd)
        ):
            return place
    return len(requests)
