"""What moved thresholds would do, told from kept signals alone: no text is read, nothing is measured.

A stage that measures decides from its signals (stage.MeasuredStage), and the store keeps them without thresholds. So
the verdicts of the file's own thresholds and of the moved ones are both worked out here, row by row, and compared.
Cost: one small read a shard. Rows behind the stage are not followed: `datakit run` with the same `--set` does that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from datakit.errors import ConfigError, Problem, StoreError
from datakit.outcome import Drop
from datakit.pipeline import Pipeline
from datakit.runner import measured
from datakit.schemas import Kind
from datakit.stage import MeasuredStage
from datakit.store import Store

RETURNING, LEAVING = "returning", "leaving"
Verdict = tuple[str, Drop | None, Drop | None]
"""Language, verdict before, verdict after."""


def rethreshold(before: Pipeline, after: Pipeline, store: Store) -> list[dict[str, Any]]:
    """For every stage whose thresholds moved (all that measure, if none did): rows kept and dropped before and after,
    by rule and by language. Each stage is told of the rows that the file's own settings let through to it."""
    pairs = list(_pairs(before, after))
    moved = [(old, new) for old, new in pairs if old != new]
    found = measured(before, store)
    return [_compared(old, new, found.get(old.name), store) for old, new in moved or pairs]


def _pairs(before: Pipeline, after: Pipeline) -> Iterator[tuple[MeasuredStage, MeasuredStage]]:
    """The stages that measure, before and after; everything else must be the same."""
    problems = []
    for old, new in zip(before.stages, after.stages, strict=True):
        if isinstance(old, MeasuredStage) and isinstance(new, MeasuredStage):
            same = old.measures() == new.measures()
            yield old, new
        else:
            same = old.keyed_as(before.seed) == new.keyed_as(after.seed)
        if not same:
            told = f"`{old.name}` would do more than move a threshold, so its rows must be made anew"
            problems.append(Problem(old.name, told, "use `datakit run` with the same --set"))
    if problems:
        raise ConfigError(tuple(problems))
    if not any(isinstance(stage, MeasuredStage) for stage in before.stages):
        raise ConfigError(
            (Problem("stages", "no stage of this pipeline has thresholds over signals", "add `quality`"),)
        )


def _compared(
    old: MeasuredStage, new: MeasuredStage, where: tuple[Kind, list[str]] | None, store: Store
) -> dict[str, Any]:
    """The counts of one stage."""
    rules: dict[str, Counter[str]] = {rule: Counter() for rule in old.rules}
    languages: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    for lang, was, now in _verdicts(old, new, where, store):
        counts = Counter(rows=1, before=was is None, after=now is None, returning=0, leaving=0)
        counts[RETURNING], counts[LEAVING] = was is not None and now is None, was is None and now is not None
        total.update(counts)
        languages.setdefault(lang, Counter()).update(counts)
        if was is not None:
            rules[was.rule].update(before=1, returning=counts[RETURNING])
        if now is not None:
            rules[now.rule].update(after=1, leaving=counts[LEAVING])
    return {
        "stage": old.name,
        **_plain(total, "rows", "before", "after"),
        "rules": [{"rule": name, **_plain(counts, "before", "after")} for name, counts in rules.items() if counts],
        "languages": [
            {"lang": name, **_plain(counts, "rows", "before", "after")} for name, counts in sorted(languages.items())
        ],
    }


def _plain(counts: Counter[str], *names: str) -> dict[str, int]:
    return {name: int(counts[name]) for name in (*names, RETURNING, LEAVING)}


def _verdicts(
    old: MeasuredStage, new: MeasuredStage, where: tuple[Kind, list[str]] | None, store: Store
) -> Iterator[Verdict]:
    """Every row in front of a stage: its language, what the old and what the new thresholds say."""
    kind, keys = where or ("document", [])
    for key in keys or [""]:
        table = store.signals(key) if key else None
        if table is None:
            raise StoreError(
                f"rows in front of `{old.name}` were not measured yet",
                where=store.url,
                fix="run `datakit run` with this file first",
            )
        batch = table.combine_chunks()
        langs = batch.column("lang").to_pylist() if "lang" in batch.schema.names else [None] * batch.num_rows
        for part in batch.to_batches():
            was, now = old.judge(part, kind).verdicts, new.judge(part, kind).verdicts
            for lang, one, other in zip(langs, was, now, strict=True):
                yield lang or "", one, other
