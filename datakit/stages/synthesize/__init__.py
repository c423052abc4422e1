"""The stage `synthesize`: instruction rows from documents by rules (`mine`), or from seed tasks by a teacher.

    recipe          reads                      makes
    mine            documents                  questions, titles, summaries, replies … from each; no model
    self_instruct   seed tasks, example rows   new tasks in four steps, novelty-checked (Wang et al. 2022)
    alpaca          seed tasks, example rows   new tasks in one step, lists of 20 or 10 (Taori et al. 2023)

With `mine` a document that gave rows is folded into them (they name it in `parents`), one that gave none is dropped
by rule. With the others example rows that come in are kept, count for the novelty check, and new rows follow them;
they may also begin a pipeline. Text in memory: one shard at a time for `mine`, the accepted rows for the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from datakit.errors import Problem
from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind, examples, table_from_rows
from datakit.stage import Corpus, CorpusStage, FileRef, Outbox, Stage, require
from datakit.teachers import TeacherSpec, open_teacher
from datakit.teachers.budget import Budget

if TYPE_CHECKING:
    import pyarrow as pa

    from datakit.stages.synthesize.generate import GenerateSettings, Seed

Recipe = Literal["mine", "self_instruct", "alpaca"]
Task = Literal[
    "answer", "check", "cloze", "connective", "continue", "definition", "example", "extract", "heading", "order",
    "question", "reason", "restate", "result", "summary", "term", "title", "when", "write",
]  # fmt: skip


class Synthesize(CorpusStage):
    """Make instruction rows: from documents by rules, or from seed tasks by a teacher."""

    use: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({"document", "example"})
    rules: ClassVar[tuple[str, ...]] = ("no_task", "other_language", "not_chosen")
    seeded: ClassVar[bool] = True

    recipe: Recipe = "mine"
    """How rows are made: mine (documents, no model), self_instruct or alpaca (seed tasks and a teacher)."""
    rows: PositiveInt | None = None
    """How many rows to make; for mine null means all there are, for the others it means 100."""
    language: Literal["auto", "ko", "en"] = "auto"
    """Make rows in this language only; auto: each document's own, or the languages of the seed tasks in turn."""
    tasks: tuple[Task, ...] | None = None
    """mine: kinds of task to make; null: all."""
    per_document: Annotated[int, Field(ge=1, le=20)] = 3
    """mine: most rows a document, no two of one kind."""
    passage_ko: Annotated[int, Field(ge=100)] = 600
    """mine: longest Korean passage put into a row, in characters."""
    passage_en: Annotated[int, Field(ge=200)] = 1000
    """mine: longest English passage put into a row, in characters."""
    seeds: FileRef = ""
    """self_instruct, alpaca: JSONL file of seed tasks (id, language, instruction, instances, is_classification)."""
    teacher: TeacherSpec | None = None
    """self_instruct, alpaca: local, replay:FILE, openai:MODEL, or {base_url, model, key_env, concurrency}."""
    budget: Budget | None = None
    """self_instruct, alpaca: most to spend: {max_usd, max_tokens, max_requests, prices: {MODEL: {input, output}}}."""
    window: Annotated[int, Field(ge=1, le=1000)] = 4
    """self_instruct, alpaca: requests a round; each sees only what was accepted in the rounds before."""
    max_requests: PositiveInt = 500
    """self_instruct, alpaca: most requests sent to the teacher; those answered from disk count too."""
    max_tokens: PositiveInt = 1024
    """self_instruct, alpaca: longest reply, in tokens."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """self_instruct, alpaca: sampling temperature of new instructions."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """self_instruct, alpaca: nucleus of the sampling."""
    novelty: Annotated[float, Field(gt=0, le=1)] = 0.7
    """self_instruct, alpaca: refuse an instruction whose ROUGE-L with an earlier one is above this."""
    licence: str | None = None
    """self_instruct, alpaca: licence written on the new rows."""

    def gives(self, kind: Kind | None) -> Kind:
        """Always examples."""
        return "example"

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """`mine` reads documents; the others read examples, or nothing."""
        if self.recipe == "mine":
            if kind == "example":
                return "`synthesize` with recipe mine reads document rows but gets example rows; move it before them"
            return super().chains(kind, before)
        if kind in (None, "example"):
            return None
        fix = "use `recipe: mine`, or begin a pipeline with this stage"
        return f"`synthesize` with recipe {self.recipe} makes rows from seed tasks, not from {kind} rows; {fix}"

    def problems(self) -> list[Problem]:
        """What is missing for the recipe, beside missing files."""
        found = super().problems()
        if self.recipe != "mine" and not self.seeds:
            found.append(Problem("seeds", f"recipe {self.recipe} needs seed tasks", "seeds: sample_data/seeds.jsonl"))
        if self.recipe != "mine" and self.teacher is None:
            found.append(
                Problem("teacher", f"recipe {self.recipe} needs a teacher", "local, replay:FILE or {base_url, model}")
            )
        if self.teacher is None:
            return found
        return found + self.teacher.problems() + self.teacher.budget_problems(self.budget)

    def identity(self) -> dict[str, Any]:
        """The settings; of the teacher only what shapes its replies: kind and model, not address and key."""
        settings = super().identity()
        if self.teacher is not None:
            settings["teacher"] = self.teacher.identity()
            settings["budget"] = self.budget.identity(self.teacher.model) if self.budget else None
        return settings

    def forecast(self, corpus: Corpus) -> dict[str, Any] | None:
        """What the teacher would cost."""
        from datakit.stages.synthesize.forecast import forecast

        return forecast(self, self.teacher, self.budget, self.max_requests, corpus) if self.teacher else None

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Make the rows."""
        if self.recipe == "mine":
            self._mine(corpus, out)
        else:
            self._generate(corpus, out)

    def _mine(self, corpus: Corpus, out: Outbox) -> None:
        from datakit.stages.synthesize.mine import VERSION, mine_table

        names = ("language", "tasks", "per_document", "passage_ko", "passage_en")
        settings = {**self.model_dump(mode="json", include=set(names)), "seed": corpus.env.seed, "version": VERSION}
        columns = ["id", "source_id", "text", "source", "position", "lang", "family", "licence"]

        def parts() -> Iterator[pa.Table]:
            return corpus.map(mine_table, settings, part="synthesize.mine", columns=columns)

        last = self._last_id(parts()) if self.rows else None
        for part in parts():
            _write_mined(part, last, out)

    def _last_id(self, parts: Iterator[pa.Table]) -> str:
        """The id up to which rows are taken, so that `rows` are: ids are hashes, so the choice is even and stable."""
        import pyarrow.compute as pc

        found = [part.filter(pc.is_null(part["dropped"]))["id"].to_pylist() for part in parts]
        ids = sorted(one for some in found for one in some)
        assert self.rows is not None
        return ids[min(self.rows, len(ids)) - 1] if ids else ""

    def _generate(self, corpus: Corpus, out: Outbox) -> None:
        from datakit.stages.synthesize import alpaca, self_instruct
        from datakit.stages.synthesize.generate import Session, example_row, generate

        given = _pass_on(corpus, out)
        seeds = [seed for seed in self._seeds() if self.language in ("auto", seed.language)]
        require(bool(seeds), "seeds", f"no seed task in {self.language}", "choose another language or other seeds")
        assert self.teacher is not None  # problems() saw to it
        settings = self._settings(seeds, corpus.env.seed)
        teacher = open_teacher(self.teacher, corpus.env.cache, self.budget, corpus.env.tell)
        session = Session(settings, teacher, seeds, corpus.env.tell)
        for given_id, instruction in given:
            session.pool.add(instruction, given_id)
        try:
            made = generate(session, self_instruct.one_round if self.recipe == "self_instruct" else alpaca.one_round)
        finally:
            teacher.close()
        rows = [example_row(one, settings, place, self.licence) for place, one in enumerate(made)]
        if rows:
            out.write(table_from_rows(rows, "example"), counters=session.counters)
            # Rows in are examples too, so `write` took the new ones for kept.
            if corpus.kind == "example":
                out.account(kept=-len(rows), made=len(rows))
        refused = {name: count for name, count in sorted(session.counters.items()) if name.startswith("rejected.")}
        out.note(requests=session.requests, seeds=len(seeds), made=len(rows), wanted=settings.rows, rejected=refused)
        out.note(spent=teacher.spent.notes(len(rows)))

    def _seeds(self) -> list[Seed]:
        from datakit.stages.synthesize.generate import read_seeds

        return read_seeds(self.seeds)

    def _settings(self, seeds: Sequence[Seed], seed: int) -> GenerateSettings:
        from datakit.stages.synthesize.generate import GenerateSettings

        languages = tuple(language for language in ("ko", "en") if any(one.language == language for one in seeds))
        require(bool(languages), "seeds", "no seed task in Korean or English", "a seed's language is ko or en")
        same = ("window", "max_requests", "max_tokens", "temperature", "top_p", "novelty")
        return GenerateSettings(
            recipe=self.recipe,
            rows=self.rows or 100,
            languages=languages,
            seed=seed,
            **{name: getattr(self, name) for name in same},
        )


def _write_mined(part: pa.Table, last: str | None, out: Outbox) -> None:
    """One shard's mined rows and drops. Documents that gave rows are folded; by how many is accounted."""
    import pyarrow.compute as pc

    dropped = part.filter(pc.is_valid(part["dropped"])).select(["id", "source_id", "dropped", "value"]).to_pylist()
    rows = part.filter(pc.is_null(part["dropped"])).drop_columns(["dropped", "value"])
    drops = [(one["id"], one["source_id"], Drop(one["dropped"], one["value"])) for one in dropped]
    parents = dict(zip(_parents(rows), rows["source_id"].to_pylist(), strict=True))
    if last is not None:
        rows = rows.filter(pc.less_equal(rows["id"], last))
        kept = set(_parents(rows))
        drops += [(parent, name, Drop("not_chosen")) for parent, name in parents.items() if parent not in kept]
        parents = {parent: name for parent, name in parents.items() if parent in kept}
    counters = Counter(f"task.{name}" for name in rows["synthesize.task"].to_pylist())
    out.write(rows, drops=drops_table(drops) if drops else None, counters=counters)
    out.account(folded=len(parents))


def _parents(rows: pa.Table) -> list[str]:
    return [parents[0] for parents in rows["parents"].to_pylist()]


def _pass_on(corpus: Corpus, out: Outbox) -> list[tuple[str, str]]:
    """Write the example rows that come in; their ids and what their users say first, for the novelty check."""
    given: list[tuple[str, str]] = []
    for shard in corpus.shards:
        table = shard.read()
        out.write(table)
        for batch in table.to_batches():
            given += [(row.id, row.messages[0].content) for row in examples(batch) if row.messages]
    return given
