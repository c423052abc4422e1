"""The held-out loss of base and adapter, and of the base with examples in its prompt: all rows, and group by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from datakit.evaluation.rows import Row
from datakit.evaluation.shots import with_shots
from datakit.trainer import Event, Model, Report, Score

Scores = Mapping[str, Sequence[Score]]
"""Of each contestant (`base`, `few_shot`, `adapter`) the scores of all rows."""


def losses(model: Model, rows: Sequence[Row], shots: int, report: Report) -> dict[str, Any]:
    """Loss a token of every contestant, weighted by tokens; `by_language` and `by_category` where rows tell them."""
    scores = _scores(model, rows, shots, report)
    by: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        for group, value in row.groups.items():
            by[group][value].append(place)
    return {
        **_compare(scores, range(len(rows))),
        **{f"by_{g}": {v: _compare(scores, at) for v, at in sorted(m.items())} for g, m in sorted(by.items())},
    }


def _scores(model: Model, rows: Sequence[Row], shots: int, report: Report) -> dict[str, list[Score]]:
    alone = [row.messages for row in rows]
    contestants = {"base": (alone, False), "adapter": (alone, True)}
    if shots:
        contestants["few_shot"] = (
            [[*with_shots(rows, at, shots), rows[at].messages[-1]] for at in range(len(rows))],
            False,
        )
    scores = {}
    for name, (conversations, adapter) in contestants.items():
        report(Event(f"evaluate {name}", 0, 1))
        scores[name] = model.score(conversations, adapter=adapter)
        report(Event(f"evaluate {name}", 1, 1))
    return scores


def _compare(scores: Scores, places: Sequence[int]) -> dict[str, Any]:
    """The losses of some rows; `change` is the adapter's against the base's, -0.1 ten per cent lower."""
    loss = {name: _mean([found[place] for place in places]) for name, found in scores.items()}
    change = (loss["adapter"] - loss["base"]) / loss["base"] if loss["base"] else 0.0
    figures = {**{f"{name}_loss": value for name, value in loss.items()}, "change": change}
    tokens = sum(scores["base"][place].tokens for place in places)
    return {"count": len(places), "tokens": tokens, **{name: round(value, 4) for name, value in figures.items()}}


def _mean(found: Sequence[Score]) -> float:
    return sum(score.nll for score in found) / max(1, sum(score.tokens for score in found))
