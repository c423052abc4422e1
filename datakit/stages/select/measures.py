"""What is known of every row before any is chosen: who it is, its group, length, score, difficulty and vector.

Each measure is made shard by shard on the executor and kept in the store, and only those that a method asks for are
made. `by_id` orders the rows by their ids: ties are broken by it, so that shards and their order can't matter.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from datakit.canon import lots
from datakit.errors import StageError
from datakit.learned import read_learned
from datakit.stage import Corpus
from datakit.stages.select.facts import look

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stages.select import Select

    Array = np.ndarray[Any, Any]


LONG = 20.0
"""Seconds that a person waits for without being told why."""


class Measures:
    """The measures of a corpus' rows, in the order of its shards."""

    def __init__(self, corpus: Corpus, stage: Select) -> None:
        import numpy as np
        import pyarrow as pa

        self._corpus, self.stage = corpus, stage
        tables = list(corpus.map(look, {"within": stage.within, "version": 1}, part="select.facts"))
        whole = pa.concat_tables(tables).unify_dictionaries() if tables else look_at_nothing()
        ids = whole.column("id").to_pylist()
        self.by_id = np.empty(len(ids), np.int64)
        self.by_id[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
        self.drawn = np.array(lots(ids, "select", corpus.env.seed), np.uint64)
        self.groups, _ = _codes(whole.column("group"))
        self.langs, self.lang_names = _codes(whole.column("lang"))
        self.tasks, self.task_names = _codes(whole.column("task"))
        self.characters = whole.column("characters").to_numpy().astype(np.float64)
        self._quality = whole.column("quality").to_numpy().astype(np.float64)
        self.has_quality = len(ids) > 0 and not np.isnan(self._quality).all()
        falls = {row.id: row.before - row.after for row in read_learned(stage.losses)} if stage.losses else {}
        self.learned = np.array([falls.get(own, np.nan) for own in ids], np.float64)
        """How far the loss of every row fell in an earlier training, nats a token; NaN where it wasn't there."""

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def quality(self) -> Array:
        """The quality score of every row, NaN where it has none."""
        if len(self) and not self.has_quality:
            raise StageError(
                f"{self.stage.name}: the rows have no column 'quality.score'",
                fix="put `quality` before `select`, behind the stage that makes the rows, or choose `by: longest`",
            )
        return self._quality

    @cached_property
    def difficulty(self) -> Array:
        """IFD of examples, perplexity of documents; NaN where there is nothing to score."""
        from datakit.stages.select.difficulty import scored

        return scored(self._corpus, self.stage.base, self.stage.tokens, self.stage.name)

    @property
    def difficulty_known(self) -> bool:
        """Whether a method has asked for the difficulty."""
        return "difficulty" in self.__dict__

    @cached_property
    def _vectors(self) -> Array:
        from datakit.stages.select.vectors import embedded

        return embedded(self._corpus, self.by_id, self.stage.embed)

    def vectors(self, rows: Array) -> Array:
        """The vectors of some rows, given in the order of their ids: float32 of whole numbers. All rows: no copy."""
        return self._vectors if len(rows) == len(self) else self._vectors[self.by_id[rows]]

    @property
    def are_documents(self) -> bool:
        """Whether the rows are documents."""
        return self._corpus.kind == "document"

    def warn_of_long_work(self, rows: int, count: int) -> None:
        """Say how long k-center greedy will take, if that is long: about 20 ns a row and kept row on one core."""
        seconds = rows * count * 2e-8
        if seconds > LONG:
            told = f"choosing {count:,} of {rows:,} rows by diversity takes about {seconds / 60:.1f} minutes"
            self._corpus.env.tell(f"{self.stage.name}: {told}; a smaller `pool` before it takes less")


def look_at_nothing() -> pa.Table:
    """The facts of no rows."""
    from datakit.schemas import schema_of

    return look(schema_of("document").empty_table(), {"within": None})


def _codes(column: pa.ChunkedArray) -> tuple[Array, list[str]]:
    """Whole numbers for the values of a dictionary column, in the values' own order, and the values."""
    import numpy as np

    whole = column.combine_chunks()
    names = whole.dictionary.to_pylist()
    place = np.empty(len(names), np.int64)
    place[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    codes = place[whole.indices.to_numpy()] if len(names) else np.empty(0, np.int64)
    return codes, sorted(names)
