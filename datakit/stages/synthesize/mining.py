"""The recipe `mine`: rows from documents by rules, no model (mine.py has the rules)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind
from datakit.stage import Corpus, Outbox, Stage
from datakit.stages.synthesize import Synthesize

if TYPE_CHECKING:
    import pyarrow as pa

Task = Literal[
    "answer", "check", "cloze", "connective", "continue", "definition", "example", "extract", "heading", "order",
    "question", "reason", "restate", "result", "summary", "term", "title", "when", "write",
]  # fmt: skip
COLUMNS = ["id", "source_id", "text", "source", "position", "lang", "family", "licence"]


class Mine(Synthesize):
    """Reading tasks mined from documents by rules, without a model."""

    version: ClassVar[int] = 5
    takes: ClassVar[frozenset[Kind]] = frozenset({"document"})
    rules: ClassVar[tuple[str, ...]] = ("no_task", "other_language", "not_chosen")

    recipe: Literal["mine"] = "mine"
    """By rules, without a model."""
    tasks: tuple[Task, ...] | None = None
    """Kinds of task to make; null: all but `cloze` and `order`, which more often than others have two right answers."""
    per_document: Annotated[int, Field(ge=1, le=20)] = 6
    """Most rows a document: up to four continuations, two texts to write, reasons, definitions, years and connectives,
    one of any other kind."""
    passage_ko: Annotated[int, Field(ge=100)] = 600
    """Longest Korean passage put into a row, in characters."""
    passage_en: Annotated[int, Field(ge=200)] = 1000
    """Longest English passage put into a row, in characters."""

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """Documents only."""
        if kind == "example":
            return "`synthesize` with recipe mine reads document rows but gets example rows; move it before them"
        return super().chains(kind, before)

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Make the rows, a shard at a time."""
        from datakit.stages.synthesize.mine import VERSION, mine_table

        names = ("language", "tasks", "per_document", "passage_ko", "passage_en")
        settings = {**self.model_dump(mode="json", include=set(names)), "seed": corpus.env.seed, "version": VERSION}

        def parts() -> Iterator[pa.Table]:
            return corpus.map(mine_table, settings, part="synthesize.mine", columns=COLUMNS)

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
