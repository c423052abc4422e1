"""The signals of one shard in front of a stage that measures: read from the store if they are there, else measured.

Signals are keyed by what is measured and by the rows (the key of the shard before the stage), never by a threshold. A
row keeps its place: signals are handed out in the order of the rows, batch by batch, whatever the batch size was.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from datakit.canon import key_of
from datakit.errors import StoreError
from datakit.outcome import Outcome
from datakit.schemas import concat
from datakit.stage import Env, MeasuredStage, MeasureWork
from datakit.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

_OPENED: dict[str, MeasureWork] = {}
_OPENING = Lock()


def signals_key(stage: MeasuredStage, before: str) -> str:
    """The key of a stage's signals of the rows whose shard has the key `before`."""
    return key_of("signals", stage.measures(), before)


class Signals:
    """A stage's work on one shard, with the signals that are kept of it; `keep` after the last batch."""

    def __init__(self, store: Store, stage: MeasuredStage, key: str, env: Env) -> None:
        self.store, self.stage, self.key, self.env = store, stage, key, env
        self.kept = store.signals(key)
        self.fresh: list[pa.RecordBatch] = []
        self.place = 0

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        return self.stage.settle(batch, self._known(batch) if self.kept is not None else self._measured(batch))

    def keep(self) -> str:
        """Put what was measured into the store; the key of it."""
        import pyarrow as pa

        if self.kept is None:
            self.store.put_signals(self.key, concat([pa.Table.from_batches([batch]) for batch in self.fresh]))
        return self.key

    def _known(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow as pa

        assert self.kept is not None
        rows = self.kept.slice(self.place, batch.num_rows).combine_chunks()
        self.place += batch.num_rows
        if not rows.column("id").combine_chunks().equals(batch.column("id")):
            where = f"{self.store.url}/signals/{self.key[:2]}/{self.key}.parquet"
            raise StoreError("the kept signals are of other rows", where=where, fix="delete this file and run again")
        found = rows.to_batches()
        return found[0] if found else pa.RecordBatch.from_pylist([], rows.schema)

    def _measured(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.fresh.append(_opened(self.stage, self.env)(batch))
        return self.fresh[-1]


def _opened(stage: MeasuredStage, env: Env) -> MeasureWork:
    """The stage's measuring function, made once a process for what it measures."""
    key = key_of(stage.measures(), env.seed, str(env.cache))
    with _OPENING:  # threads that begin together open it once
        if key not in _OPENED:
            if len(_OPENED) > 16:
                _OPENED.clear()
            _OPENED[key] = stage.measure(env)
        return _OPENED[key]
