"""mix: choose rows by weights, say two parts Korean and one part English, or 5,000 rows in the proportion 3 : 1.

    weights: {"books*": 2, "web.jsonl": 1}, by: source      a row's group is the pattern that its value matches best
    temperature: 3.3, by: lang                              a group of n rows weighs n^(1/3.3); every value is a group
    without `rows`     as many rows as can be had in exactly this proportion
    with `rows`        this many; a group that has too few gives all it has, and the others fill up by weight
    repeat: 4          a row may stand up to four times, so a small group can have more than its rows

Each group's number of rows is within one of its exact share. Which rows of a group are chosen, and which are repeated
first, depends on their ids and the pipeline's seed: where `rows` gives a group more, it keeps what it had (rounding
may move one row between groups). Rows keep their order; the second copies of all rows follow behind them, then the
third, like epochs. A copy has an id of its own, its row as parent and the row's family, so that `split` keeps them
together. Put `mix` behind `dedup`, which would fold the copies again.

Streaming: about 40 bytes a row in memory, no text and no ids. What a row drew is kept in the store under its shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import model_validator

from datakit.canon import lots
from datakit.errors import StageError
from datakit.outcome import Drop, Outcome, drops_table
from datakit.schemas import Kind, row_id
from datakit.stage import Corpus, CorpusStage, Field, Outbox, Shard, Stage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
MOST_NOTED = 100
"""Groups that the notes list, the largest first."""


class Mix(CorpusStage):
    """Chooses or repeats rows so that groups (sources, languages, ...) stand in the proportion of their weights."""

    use: ClassVar[str] = "mix"
    version: ClassVar[int] = 2
    rules: ClassVar[tuple[str, ...]] = ("sampled_out",)
    seeded: ClassVar[bool] = True

    weights: dict[str, Weight] = Field(default={})
    """Weight of each group: a value of `by`, or a pattern such as `web*`; the most exact one counts. {}: no groups."""
    temperature: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] | None = None
    """Instead of weights: a group of n rows weighs n^(1/temperature). 1: as it is; 3.3: mT5, XLM-R; 100: all alike."""
    by: str = "source"
    """The column that tells groups apart: source, lang, made_by, licence, or an extra column."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows in total; null: as many as the weights allow, and no group larger than its rows need be for that."""
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most times that one row may stand; up to 4 is nearly as good as new text (Muennighoff et al., 2305.16264)."""

    @model_validator(mode="after")
    def _one_way_to_weigh(self) -> Mix:
        if self.weights and self.temperature is not None:
            raise ValueError("give `weights:` or `temperature:`, one of the two")
        return self

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """Copies of one row by two stages would have equal ids."""
        if self.repeat > 1 and any(isinstance(stage, Mix) and stage.repeat > 1 for stage in before):
            return f"`{self.name}` repeats rows that an earlier `mix` repeats already; leave `repeat` to one of them"
        return super().chains(kind, before)

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Look at ids and groups, work out the quotas, then take and repeat rows shard by shard."""
        import numpy as np

        groups = self._grouped(corpus)
        have = np.bincount(groups.numbers, minlength=len(groups.names)).tolist()
        weights = self._weights(groups.names, have)
        quotas = share_out(weights, have, self.rows, self.repeat)
        places = _places(groups)
        times = _times(groups.numbers, places, have, quotas)
        out.map(_taken, _jobs(corpus.shards, times=times, places=places, quotas=np.array(quotas)[groups.numbers]))
        for number in range(2, int(times.max(initial=0)) + 1):
            out.map(_repeated, _jobs(corpus.shards, at_least=number, times=times))
        out.note(groups=_noted(groups.names, weights, have, quotas))
        empty = [name for name, weight, count in zip(groups.names, weights, have, strict=True) if weight and not count]
        if empty:
            corpus.env.tell(f"{self.name}: no row has the {self.by} {', '.join(empty)}")

    def _grouped(self, corpus: Corpus) -> Groups:
        """What every row drew, and the number of its group."""
        import numpy as np

        settings = {"by": self.by, "seed": corpus.env.seed, "version": 1}
        draws = [np.empty(0, np.uint64)]
        coded: list[Array] = [np.empty(0, np.int64)]
        values: dict[str, int] = {}
        for table in corpus.map(draw, settings, part="mix.draw"):
            draws.append(table.column("draw").to_numpy())
            column = table.column("value").combine_chunks()
            known = np.array([values.setdefault(value, len(values)) for value in column.dictionary.to_pylist()], int)
            coded.append(known[column.indices.to_numpy()] if len(known) else coded[0])
        names = self._names(values)
        number_of = {name: number for number, name in enumerate(names)}
        numbers = np.array([number_of[self._group(value, names)] for value in values], np.int32)
        rows = np.concatenate(coded)
        return Groups(names, numbers[rows] if len(numbers) else rows.astype(np.int32), np.concatenate(draws))

    def _names(self, values: Mapping[str, int]) -> list[str]:
        """The groups: the patterns that have weights, or all values, or everything as one."""
        if self.temperature is not None:
            return sorted(values)
        return _by_exactness(self.weights) if self.weights else ["*"]

    def _group(self, value: str, names: Sequence[str]) -> str:
        """The group of a value."""
        if self.temperature is not None:
            return value
        for pattern in names:
            if fnmatchcase(value, pattern):
                return pattern
        raise StageError(
            f"{self.name}: no weight for the {self.by} {value!r}",
            fix='add it to `weights:`, or `"*": 0` for all others',
        )

    def _weights(self, names: Sequence[str], have: Sequence[int]) -> list[Fraction]:
        """The groups' weights as the user wrote them: 0.1 is a tenth, so that no rounding costs a row."""
        if self.temperature is not None:
            return [Fraction(str(round(count ** (1 / self.temperature), 9))) for count in have]
        return [Fraction(str(self.weights.get(name, 1.0))) for name in names]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups' names, and for every row the number of its group and what it drew."""

    names: list[str]
    numbers: Array
    draws: Array


def draw(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """What every row of a shard drew, and its value of the column `by`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if settings["by"] not in table.schema.names:
        known = ", ".join(name for name in table.schema.names if name not in ("text", "messages"))
        raise StageError(f"mix: the rows have no column {settings['by']!r}", fix=f"set `by` to one of {known}")
    told = [None if value is None else str(value) for value in table.column(settings["by"]).to_pylist()]
    values = pc.fill_null(pa.array(told, pa.large_string()), "").dictionary_encode()
    draws = lots(table.column("id").to_pylist(), "mix", settings["seed"])
    return pa.table({"draw": pa.array(draws, pa.uint64()), "value": values})


def share_out(weights: Sequence[float | Fraction], have: Sequence[int], rows: int | None, repeat: int = 1) -> list[int]:
    """How many rows each group gives: in proportion to `weights`, never more than `repeat` times what it has.

    With `rows` None, the most that keep the proportion and need no repetition in all groups alike. Fractions are
    rounded by the largest remainder, ties to the earlier group; weights of groups that are empty don't count.
    """
    exact = [Fraction(weight) for weight in weights]
    active = [group for group, weight in enumerate(exact) if weight > 0 and have[group]]
    most = [count * repeat for count in have]
    quotas = [0] * len(exact)
    if not active:
        return quotas
    if rows is None:
        largest = max(Fraction(have[group]) / exact[group] for group in active)
        scale = min(largest, *(Fraction(most[group]) / exact[group] for group in active))
        rows = ceil(scale * sum((exact[group] for group in active), Fraction(0)))
    rest = rows
    while active and rest > 0:
        scale = rest / sum((exact[group] for group in active), Fraction(0))
        short = {group for group in active if most[group] <= scale * exact[group]}
        if not short:
            _round(quotas, active, [scale * exact[group] for group in active], rest)
            break
        for group in short:
            quotas[group] = most[group]
        rest -= sum(most[group] for group in short)
        active = [group for group in active if group not in short]
    return quotas


def _round(quotas: list[int], active: Sequence[int], exact: Sequence[Fraction], total: int) -> None:
    """Whole numbers with the given sum, nearest to `exact` by the largest remainder."""
    for group, value in zip(active, exact, strict=True):
        quotas[group] = int(value)
    left = total - sum(quotas[group] for group in active)
    by_remainder = sorted(range(len(active)), key=lambda place: (int(exact[place]) - exact[place], place))
    for place in by_remainder[:left]:
        quotas[active[place]] += 1


def _by_exactness(weights: Mapping[str, float]) -> list[str]:
    """Names before patterns, long patterns before short ones: the order of keys in a YAML file can't matter."""
    return sorted(weights, key=lambda name: (any(sign in name for sign in "*?["), -len(name), name))


def _places(groups: Groups) -> Array:
    """Each row's place in its group, from 1, by what it drew."""
    import numpy as np

    order = np.lexsort((groups.draws, groups.numbers))
    sorted_groups = groups.numbers[order]
    starts = np.searchsorted(sorted_groups, sorted_groups)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(1, len(order) + 1) - starts
    return places


def _times(numbers: Array, places: Array, have: Sequence[int], quotas: Sequence[int]) -> Array:
    """How often each row stands: as evenly as its group's quota allows, one more for those that drew low."""
    import numpy as np

    counts, wanted = np.maximum(np.array(have), 1), np.array(quotas)
    return ((wanted // counts)[numbers] + (places <= (wanted % counts)[numbers])).astype(np.int32)


def _jobs(shards: Sequence[Shard], at_least: int = 0, **columns: Array) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """For every shard its rows' part of the columns; with `at_least`, only shards with a row that stands so often."""
    at = 0
    for shard in shards:
        mine = {name: column[at : at + shard.rows] for name, column in columns.items()}
        at += shard.rows
        if not at_least or (mine["times"] >= at_least).any():
            yield shard, {**mine, "number": at_least}


def _taken(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """The chosen rows of a shard; the others as drops, with their place in their group and its quota."""
    import numpy as np
    import pyarrow as pa

    keep = settings["times"] > 0
    gone = table.filter(pa.array(~keep))
    told = (settings[name][np.flatnonzero(~keep)].tolist() for name in ("places", "quotas"))
    columns = (gone.column("id").to_pylist(), gone.column("source_id").to_pylist(), *told)
    drops = [
        (row, source, Drop("sampled_out", place, quota)) for row, source, place, quota in zip(*columns, strict=True)
    ]
    return Outcome(table.filter(pa.array(keep)), drops_table(drops))


def _repeated(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """Copies of the rows of a shard that stand so often: children of their rows, with ids of their own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table.filter(pa.array(settings["times"] >= settings["number"]))
    ids = rows.column("id").to_pylist()
    fresh = {
        "id": pa.array([row_id("mix", own, settings["number"]) for own in ids], pa.large_string()),
        "parents": pa.array([[own] for own in ids], rows.schema.field("parents").type),
        "family": pc.coalesce(rows.column("family"), rows.column("id")),
    }
    for name, column in fresh.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return Outcome(table.slice(0, 0), made=rows)


def _noted(
    names: Sequence[str], weights: Sequence[Fraction], have: Sequence[int], quotas: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """For the largest groups: rows, how many are chosen and repeated, and the shares that were wanted and are got."""
    total, chosen = sum(weights, Fraction(0)) or Fraction(1), max(1, sum(quotas))
    largest = sorted(range(len(names)), key=lambda group: (-quotas[group], -have[group], names[group]))[:MOST_NOTED]
    return {
        names[group]: {
            "rows": have[group],
            "chosen": quotas[group],
            "copies": max(0, quotas[group] - have[group]),
            "wanted": round(float(weights[group] / total), 4),
            "got": round(quotas[group] / chosen, 4),
        }
        for group in sorted(largest)
    }
