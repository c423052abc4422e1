"""What a stage did to a batch: rows kept, rows dropped or folded with the reason, rows made, and what it counted.

The conservation law, checked by the runner after every shard and by the tests over every stage:

    rows in  = kept + dropped + folded         folded: dropped with a named other row that stands for it (`matched`)
    rows out = kept + made

A drop is a row in a sidecar (id, source_id, rule, value, threshold, matched, further), never the text. It counts once,
for its first rule; the other rules that the row fails stand in `further`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a row goes: a rule that the stage declared, the value, the threshold it missed, the row it repeats."""

    rule: str
    value: float | int | str | None = None
    threshold: float | int | str | None = None
    matched: str | None = None
    further: tuple[Drop, ...] = ()
    """The other rules that the row fails, in the stage's order; they count nowhere."""


@cache
def drops_schema() -> pa.Schema:
    """The columns of a drop sidecar. `value` and `threshold` are text, spelled by `spell`; `further` is null unless the
    row fails several rules."""
    import pyarrow as pa

    names = ("id", "source_id", "stage", "rule", "value", "threshold", "matched")
    failed = pa.struct([(name, pa.large_string()) for name in ("rule", "value", "threshold")])
    return pa.schema([*((name, pa.large_string()) for name in names), ("further", pa.list_(failed))])


def spell(value: float | int | str | None) -> str | None:
    """A drop's value as text: floats with six significant digits, so that equal runs write equal bytes."""
    return f"{value:.6g}" if isinstance(value, float) else None if value is None else str(value)


def drops_table(rows: list[tuple[str, str, Drop]], stage: str = "") -> pa.Table:
    """The sidecar table of some (id, source_id, Drop). The runner fills in `stage` where it is left empty."""
    import pyarrow as pa

    drops = [drop for _, _, drop in rows]
    columns = {
        "id": [row_id for row_id, _, _ in rows],
        "source_id": [source_id for _, source_id, _ in rows],
        "stage": [stage] * len(rows),
        **_told(drops),
        "matched": [drop.matched for drop in drops],
    }
    arrays = [pa.array(values, pa.large_string()) for values in columns.values()]
    return pa.Table.from_arrays([*arrays, _further(drops)], schema=drops_schema())


def _told(drops: Sequence[Drop]) -> dict[str, list[str | None]]:
    return {
        "rule": [drop.rule for drop in drops],
        "value": [spell(drop.value) for drop in drops],
        "threshold": [spell(drop.threshold) for drop in drops],
    }


def _further(drops: Sequence[Drop]) -> pa.Array:
    """The column of further rules: lists of structs, null where there are none."""
    import pyarrow as pa

    kind = drops_schema().field("further").type
    told = _told([other for drop in drops for other in drop.further])
    structs = pa.StructArray.from_arrays(
        [pa.array(values, pa.large_string()) for values in told.values()], fields=list(kind.value_type)
    )
    starts = [0, *accumulate(len(drop.further) for drop in drops)]
    offsets = [start if drop.further else None for start, drop in zip(starts, drops, strict=False)]
    return pa.ListArray.from_arrays(pa.array([*offsets, starts[-1]], pa.int32()), structs, type=kind)


@dataclass(slots=True)
class Outcome:
    """What came of one batch of rows.

    `drops` is a table with `drops_schema()`; `counters` are free counts for the report ("EMAIL": 3), added up over
    batches and shards.
    """

    kept: pa.RecordBatch | pa.Table
    drops: pa.Table | None = None
    made: pa.RecordBatch | pa.Table | None = None
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class StageStats:
    """Addable figures of a stage over a shard, a step or a run."""

    rows_in: int = 0
    kept: int = 0
    dropped: int = 0
    folded: int = 0
    made: int = 0
    characters_in: int = 0
    characters_out: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: StageStats) -> StageStats:
        return StageStats(
            **{name: getattr(self, name) + getattr(other, name) for name in StageStats.__dataclass_fields__}
        )

    @property
    def conserved(self) -> bool:
        """Whether every row that came in is accounted for."""
        return self.rows_in == self.kept + self.dropped + self.folded

    def as_dict(self) -> dict[str, Any]:
        """Plain values with sorted counters: the spelling stored in records."""
        plain = {name: getattr(self, name) for name in StageStats.__dataclass_fields__}
        return {n: dict(sorted(v.items())) if isinstance(v, Counter) else v for n, v in plain.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StageStats:
        fields = {**values, "rules": Counter(values.get("rules")), "counters": Counter(values.get("counters"))}
        return cls(**fields)
