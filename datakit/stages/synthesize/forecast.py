"""What a stage that asks a teacher would cost, told by `datakit plan` before a cent is spent.

The stage is played with a teacher that answers nothing: it shows the prompts that it would begin with. Each request
that `max_requests` allows is then counted with the worst of them, all bytes of its prompt as tokens and `max_tokens` of
reply; and, where replies of the model are on disk already, with what those took on average. What comes after the first
replies may have longer prompts than any seen here: a budget holds against those, too, a forecast can't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datakit.stage import Corpus, CorpusStage, Shard, TableWork
from datakit.teachers import TeacherSpec
from datakit.teachers.budget import Budget, Price, worst_case
from datakit.teachers.metered import listening
from datakit.teachers.stored import ReplyFile, path_of_replies

if TYPE_CHECKING:
    import pyarrow as pa


def forecast(
    stage: CorpusStage, teacher: TeacherSpec, budget: Budget | None, most: int, corpus: Corpus
) -> dict[str, Any] | None:
    """The figures; None where nobody is paid and nothing is waited for. `most`: requests that the stage allows."""
    if teacher.use == "replay" or teacher.replay:
        return None
    with listening() as heard:
        stage.run(Unkept(corpus), Deaf())
    if not heard:
        return None
    price = budget.price(teacher.model) if budget else None
    caps = budget.model_dump(exclude={"prices"}, exclude_none=True) if budget else {}
    requests = min(most, caps.get("max_requests", most))
    worst = [max(sizes) for sizes in zip(*map(worst_case, heard), strict=True)]
    found = {"model": teacher.identity()["model"], "worst": _cost(requests, worst, price), "budget": caps}
    known = ReplyFile(path_of_replies(corpus.env.cache / "replies", teacher.identity()))
    if known.told:
        means = [known.tokens_in / known.told, known.tokens_out / known.told]
        found["by_averages"] = {"replies": known.told, **_cost(requests, means, price)}
    return found


def _cost(requests: int, tokens: Sequence[float], price: Price | None) -> dict[str, Any]:
    tokens_in, tokens_out = (round(requests * each) for each in tokens)
    usd = {} if price is None else {"usd": round(price.usd(tokens_in, tokens_out), 4)}
    return {"requests": requests, "tokens_in": tokens_in, "tokens_out": tokens_out, **usd}


class Unkept:
    """A corpus whose parts are worked out and not kept: `plan` writes nothing."""

    def __init__(self, corpus: Corpus) -> None:
        self.shards: Sequence[Shard] = corpus.shards
        self.kind, self.env, self.key = corpus.kind, corpus.env, corpus.key

    def map(
        self, work: TableWork, settings: Mapping[str, Any], *, part: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """`work` on every shard."""
        for shard in self.shards:
            yield work(shard.read(columns), dict(settings))


class Deaf:
    """An outbox that keeps nothing."""

    def write(self, rows: pa.Table, **more: Any) -> None:
        """Rows of nobody's replies."""

    def map(self, work: Callable[..., Any], jobs: Any) -> None:
        """Shards of theirs."""

    def drop(self, drops: pa.Table) -> None:
        """Drops."""

    def note(self, **notes: Any) -> None:
        """Notes."""

    def account(self, **counts: int) -> None:
        """Counts."""
