"""How varied a dataset's instructions are, as first made or read and at the end, and what was refused on the way.

Measured by `datakit.diversity` on the rows of the first and of the last stage that hold examples (on 64 MB of each at
most); where these are the same, once. Words of the texts (verbs, objects) are for the page to hide where no text may be
shown; the figures hold none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from datakit.diversity import OWN_COLUMNS, Diversity, Row, diversity, rows_of
from datakit.manifests import DatasetManifest, StageReport
from datakit.reporting.figures import has_text, spread
from datakit.store import Store

REFUSED = "rejected."
"""Begins the counters of rows that a stage thought of and refused."""
MOST_BYTES = 64 << 20
"""Bytes of a stage's shards whose rows are read; evenly spread."""
LANGUAGES = 4
"""Languages that are shown, those with most rows at the end."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: a language, first or last."""

    lang: str
    state: str


@dataclass(frozen=True, slots=True)
class Tenths:
    """Shares of rows by the ROUGE-L with their nearest one, most alike first."""

    lang: str
    state: str
    shares: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Variety:
    """The figures of the section."""

    before: list[Diversity] | None
    after: list[Diversity]
    accepted: int
    refused: list[tuple[str, int]]
    seen: int
    shards: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "before": None if self.before is None else [one.as_dict() for one in self.before],
            "after": [one.as_dict() for one in self.after],
            "accepted": self.accepted,
            "refused": dict(self.refused),
        }

    @property
    def _shown(self) -> list[tuple[str, Diversity]]:
        langs = [one.lang for one in self.after][:LANGUAGES]
        states = [("first_rows", self.before or []), ("last_rows", self.after)]
        return [(state, one) for lang in langs for state, found in states for one in found if one.lang == lang]

    @property
    def columns(self) -> list[Column]:
        return [Column(one.lang, state) for state, one in self._shown]

    @property
    def lines(self) -> list[tuple[str, list[Any]]]:
        """The lines of the table: a label, and a value a column."""
        told = [_told(one) for _, one in self._shown]
        return [(name, [values[name] for values in told]) for name in (told[0] if told else {})]

    @property
    def tenths(self) -> list[Tenths]:
        return [
            Tenths(
                one.lang,
                state,
                [(f"{n / 10:.1f} – {(n + 1) / 10:.1f}", one.nearest.tenths[n]) for n in range(9, -1, -1)],
            )
            for state, one in self._shown
            if one.nearest
        ]


def variety(manifest: DatasetManifest, store: Store) -> Variety | None:
    """The figures of a dataset version, None if none of its stages holds examples with an instruction."""
    stages = [report for report in has_text(manifest.stages) if report.kind == "example"]
    if not stages:
        return None
    first, last = stages[0], stages[-1]
    after = diversity(_rows(last, store))
    if not after:
        return None
    refused: Counter[str] = Counter()
    accepted = 0
    for report in manifest.stages:
        counters = report.stats.get("counters", {})
        found = {name.removeprefix(REFUSED): n for name, n in counters.items() if name.startswith(REFUSED)}
        refused.update(found)
        accepted += int(report.stats["made"]) if found else 0
    before = diversity(_rows(first, store)) if first is not last else None
    shards = store.shards_of(last)
    told = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    return Variety(before, after, accepted, told, len(spread(shards, MOST_BYTES)), len(shards))


def _rows(report: StageReport, store: Store) -> list[Row]:
    found: list[Row] = []
    for shard in spread(store.shards_of(report), MOST_BYTES):
        table = store.read(shard.key)
        wanted = [name for name in ("id", "lang", "messages", *OWN_COLUMNS) if name in table.column_names]
        found += rows_of(table.select(wanted))
    return found


def _told(one: Diversity) -> dict[str, Any]:
    """The values of a column by their labels."""
    return {
        "variety_rows": one.rows,
        "variety_with_verb": one.with_verb,
        "variety_pairs": one.pairs,
        "variety_as_many_as": one.as_many_as,
        "variety_topics": one.topics_as_many_as,
        "variety_instruction": one.instruction_tokens.median,
        "variety_instruction_high": one.instruction_tokens.high,
        "variety_answer": one.answer_tokens.median,
        "variety_answer_high": one.answer_tokens.high,
        "variety_different_2": one.different["instruction.2"],
        "variety_different_3": one.different["answer.3"],
        "variety_nearest": one.nearest.spread.median if one.nearest else None,
        "variety_nearest_high": one.nearest.spread.high if one.nearest else None,
    }
