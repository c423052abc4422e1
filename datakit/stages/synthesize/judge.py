"""The stage `judge`: a teacher reads each example by a rubric; weak ones are dropped by rule, the others keep score and
reason.

    rows               asked                                           dropped by
    instruction rows   a score from 1 to 5, reason first               low_score    below `least`
    preference rows    chosen against rejected, in both orders         not_preferred, position_bias

The task, its answer and the text that the answer is grounded in are in view. A row without a verdict (no reply, nothing
readable, budget used up) is `unjudged` and dropped, unless `unjudged: keep`. New columns: `judge.score`,
`judge.reason`, `judge.teacher`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind, replace_column
from datakit.stage import Corpus, CorpusStage, Outbox
from datakit.stages.synthesize.generate import Session, abreast
from datakit.stages.synthesize.judging import Scored, compare, read_score, score_request
from datakit.stages.synthesize.rows import Item, example_items
from datakit.stages.synthesize.taught import Asks
from datakit.teachers import Reply, Request

if TYPE_CHECKING:
    import pyarrow as pa


class Judge(Asks, CorpusStage):
    """Let a teacher score each example by a rubric, and drop those below a threshold."""

    use: ClassVar[str] = "judge"
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})
    rules: ClassVar[tuple[str, ...]] = ("low_score", "not_preferred", "position_bias", "unjudged")
    seeded: ClassVar[bool] = True
    asked_with: ClassVar[tuple[str, ...]] = ("judge", "compare", "rubric")

    least: Annotated[float, Field(ge=1, le=5)] = 4.0
    """Least score of a row that is kept, 1 to 5."""
    rubric: str = ""
    """What the judge goes by; "": the shipped rubric of the row's language (`datakit prompts rubric`)."""
    unjudged: Literal["drop", "keep"] = "drop"
    """What becomes of a row without a verdict."""
    max_requests: PositiveInt = 100_000
    """Most requests sent to the teacher; those answered from disk count too. Rows beyond are `unjudged`."""
    window: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Rows that are judged at once; changes nothing but the speed."""

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Judge the rows of each shard, a window at a time."""
        session, kept = self.session(corpus.env, None), 0
        try:
            for shard in corpus.shards:
                kept += self._shard(session, shard.read(), out)
                corpus.env.tell(f"{self.name}: {session.requests} requests")
        finally:
            session.teacher.close()
        self.note(session, out, kept)

    def _shard(self, session: Session, table: pa.Table, out: Outbox) -> int:
        """Judge the rows of a shard; how many are kept."""
        import pyarrow as pa

        items = list(example_items(table))
        verdicts = [verdict for window in _parts(items, self.window) for verdict in self._judged(session, window)]
        drops = [self._drop(item, verdict) for item, verdict in zip(items, verdicts, strict=True)]
        gone = [(i.id, i.source_id, drop) for i, drop in zip(items, drops, strict=True) if drop is not None]
        kept = _with_verdicts(table, verdicts, session).filter(pa.array([drop is None for drop in drops], pa.bool_()))
        counters = Counter(f"score.{verdict.score:g}" for verdict in verdicts if verdict.score is not None)
        out.write(kept, drops=drops_table(gone) if gone else None, counters=counters)
        return int(kept.num_rows)

    def _judged(self, session: Session, items: Sequence[Item]) -> list[Scored]:
        found = abreast(session.ask, [self._asking(session, item) for item in items])
        return [one for verdicts in found for one in verdicts]

    def _asking(self, session: Session, item: Item) -> Generator[Sequence[Request], Sequence[Reply], list[Scored]]:
        if item.language not in ("ko", "en"):
            return [Scored(None, fault="other_language")]
        if item.chosen and item.rejected:
            answers = (turns[-1][1] for turns in (item.chosen, item.rejected))
            verdict, reason, _ = yield from compare(session, item, self.rubric, *answers)
            return [Scored(5.0 if verdict == "first" else None, reason, "" if verdict == "first" else verdict)]
        if not item.answer:
            return [Scored(None, fault="no_answer")]
        [reply] = yield [score_request(session, item, self.rubric)]
        return [read_score(reply)]

    def _drop(self, item: Item, verdict: Scored) -> Drop | None:
        if verdict.score is not None:
            return Drop("low_score", verdict.score, self.least) if verdict.score < self.least else None
        if verdict.fault in ("second", "tie"):
            return Drop("not_preferred", verdict.fault)
        if verdict.fault == "position_bias":
            return Drop("position_bias")
        return None if self.unjudged == "keep" else Drop("unjudged", verdict.fault)


def _with_verdicts(table: pa.Table, verdicts: Sequence[Scored], session: Session) -> pa.Table:
    import pyarrow as pa

    text = pa.large_string()
    teacher = ":".join(str(part) for part in session.teacher_identity.values())
    columns: dict[str, Any] = {
        "judge.score": pa.array([verdict.score for verdict in verdicts], pa.float64()),
        "judge.reason": pa.array([verdict.reason or None for verdict in verdicts], text),
        "judge.teacher": pa.array([teacher] * len(verdicts), text),
    }
    for name, column in columns.items():
        table = replace_column(table, name, column)
    return table


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
