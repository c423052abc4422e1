"""mix: choose rows by weights, say two parts Korean and one part English, or 5,000 rows in the proportion 3 : 1.

    weights: {"books*": 2, "web.jsonl": 1}, by: source      a row's group is the pattern that its source matches best
    without `rows`     as many rows as can be had in exactly this proportion
    with `rows`        this many; a group that has too few gives all it has, and the others fill up by weight

Which rows of a group are chosen depends on their ids and the pipeline's seed: raising `rows` adds rows and takes none
away. Rows keep their order and are never repeated. Memory: 10 bytes a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from datakit.canon import canonical
from datakit.errors import StageError
from datakit.outcome import Drop, Outcome, drops_table
from datakit.stage import Corpus, CorpusStage, Field, Outbox, Shard

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Mix(CorpusStage):
    """Chooses rows so that groups (sources, languages, ...) stand in the proportion of their weights."""

    use: ClassVar[str] = "mix"
    rules: ClassVar[tuple[str, ...]] = ("sampled_out",)
    seeded: ClassVar[bool] = True

    weights: dict[str, Weight] = Field(default={})
    """Weight of each group: a value of `by`, or a pattern such as `web*`; the most exact one counts. {}: no groups."""
    by: str = "source"
    """The column that tells groups apart: source, lang, made_by, licence, or an extra column."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows in total; null: as many as the weights allow without repeating any."""

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Look at ids and groups, work out the quotas, then filter shard by shard."""
        import numpy as np

        patterns = _by_exactness(self.weights) if self.weights else ["*"]
        ranks, groups = self._measured(corpus, patterns)
        have = np.bincount(groups, minlength=len(patterns))
        weights = [self.weights.get(pattern, 1.0) for pattern in patterns]
        quotas = share_out(weights, have.tolist(), self.rows)
        keep = np.zeros(len(groups), bool)
        for group, quota in enumerate(quotas):
            mine = np.flatnonzero(groups == group)
            keep[mine[np.argsort(ranks[mine], kind="stable")[:quota]]] = True
        out.map(_filtered, self._jobs(corpus.shards, keep, groups, patterns, quotas))
        out.note(
            groups={
                pattern: {"rows": int(had), "chosen": int(quota)}
                for pattern, had, quota in zip(patterns, have, quotas, strict=True)
            }
        )

    def _measured(self, corpus: Corpus, patterns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """A random but fixed number and the group's number of every row."""
        import numpy as np

        salt = canonical(["mix", corpus.env.seed])[:64]
        ranks: list[int] = []
        groups: list[int] = []
        known: dict[str | None, int] = {}
        for shard in corpus.shards:
            values = self._column(shard)
            ids = shard.read(["id"]).column("id").to_pylist()
            for value in dict.fromkeys(values):
                if value not in known:
                    known[value] = self._group(value, patterns)
            groups += [known[value] for value in values]
            ranks += [int.from_bytes(blake2b(row.encode(), digest_size=8, key=salt).digest(), "big") for row in ids]
        return np.array(ranks, np.uint64), np.array(groups, np.int16)

    def _column(self, shard: Shard) -> list[str | None]:
        """The groups' names of a shard's rows."""
        table = shard.read()
        if self.by not in table.schema.names:
            known = ", ".join(name for name in table.schema.names if name not in ("text", "messages"))
            raise StageError(
                f"{self.name}: the rows have no column {self.by!r}", where=shard.source, fix=f"one of {known}"
            )
        return [None if value is None else str(value) for value in table.column(self.by).to_pylist()]

    def _group(self, value: str | None, patterns: Sequence[str]) -> int:
        for number, pattern in enumerate(patterns):
            if fnmatchcase(value or "", pattern):
                return number
        raise StageError(
            f"{self.name}: no weight for the {self.by} {value!r}",
            fix='add it to `weights:`, or `"*": 0` for all others',
        )

    def _jobs(
        self,
        shards: Sequence[Shard],
        keep: np.ndarray,
        groups: np.ndarray,
        patterns: Sequence[str],
        quotas: Sequence[int],
    ) -> list[tuple[Shard, dict[str, Any]]]:
        jobs, at = [], 0
        for shard in shards:
            here = slice(at, at + shard.rows)
            at += shard.rows
            jobs.append(
                (
                    shard,
                    {"keep": keep[here], "groups": groups[here], "patterns": list(patterns), "quotas": list(quotas)},
                )
            )
        return jobs


def share_out(weights: Sequence[float], have: Sequence[int], rows: int | None) -> list[int]:
    """How many rows each group gives: in proportion to `weights`, never more than it has.

    With `rows` None, the most that keep the proportion. Fractions are rounded by the largest remainder, ties to the
    earlier group; weights of groups that are empty don't count.
    """
    active = [group for group, (weight, count) in enumerate(zip(weights, have, strict=True)) if weight > 0 and count]
    quotas = [0] * len(weights)
    if rows is None:
        if not active:
            return quotas
        scale = min(have[group] / weights[group] for group in active)
        for group in active:
            quotas[group] = min(have[group], int(scale * weights[group] + 1e-9))
        return quotas
    rest = rows
    while active and rest > 0:
        total = sum(weights[group] for group in active)
        short = [group for group in active if have[group] <= rest * weights[group] / total]
        if not short:
            _round(quotas, active, [rest * weights[group] / total for group in active], rest)
            break
        for group in short:
            quotas[group] = have[group]
        rest -= sum(have[group] for group in short)
        active = [group for group in active if group not in short]
    return quotas


def _round(quotas: list[int], active: Sequence[int], exact: Sequence[float], total: int) -> None:
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


def _filtered(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """The chosen rows of a shard, and the others as drops with their group and its quota."""
    import numpy as np
    import pyarrow as pa

    keep = settings["keep"]
    gone = table.filter(pa.array(~keep))
    numbers = settings["groups"][np.flatnonzero(~keep)].tolist()
    drops = [
        (row, source, Drop("sampled_out", settings["patterns"][number], settings["quotas"][number]))
        for row, source, number in zip(
            gone.column("id").to_pylist(), gone.column("source_id").to_pylist(), numbers, strict=True
        )
    ]
    return Outcome(table.filter(pa.array(keep)), drops_table(drops))
