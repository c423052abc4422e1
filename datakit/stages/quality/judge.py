"""Rules over signals: which rows fail which rules, and how much room the others have left.

    room of a rule     most: 1 - value / limit      least: 1 - limit / value      between 0 and 1
    quality.score      the mean room over the rules of the row's profile; 1 where a profile has none

At its limit a rule has no room, far from it nearly 1; so a worse signal never raises the score. Of several signals (the
n-grams) the one with the least room counts. For the score a rule is asked of short texts too, which it does not drop: a
text of one word shows neither grammar nor sentences, and stands behind a text that does. Signals are float32, as they
are kept; limits are compared as float32 too, so that 0.3 is 0.3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datakit.outcome import Drop
from datakit.stages.quality.profiles import Rule

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float32]]


class Judge:
    """The rules of one profile, with the stage's own thresholds over it."""

    def __init__(self, rules: Sequence[Rule], thresholds: Mapping[str, float]) -> None:
        self.rules = [(rule, thresholds[rule.setting]) for rule in rules if rule.setting in thresholds]

    def failures(self, measured: Mapping[str, Floats], at: Any, counters: Counter[str]) -> dict[int, list[Drop]]:
        """The rules that each of the rows `at` fails, in order; `counters` gets how often each rule fails."""

        found: dict[int, list[Drop]] = {}
        for rule, threshold in self._asked(measured):
            places, values, limits = _failing(rule, threshold, measured, at)
            for row, value, limit in zip(at[places].tolist(), values.tolist(), limits, strict=True):
                found.setdefault(row, []).append(Drop(rule.name, value, limit))
            if len(places):
                counters[f"fails {rule.name}"] += len(places)
        return found

    def scores(self, measured: Mapping[str, Floats], at: Any) -> Floats:
        """The score of each of the rows `at`."""
        import numpy as np

        asked, total = self._asked(measured), np.zeros(len(at))
        for rule, threshold in asked:  # one by one: the order of a sum must not hang on the size of a batch
            total += _room(rule, threshold, measured, at)
        return (total / len(asked)).astype(np.float32) if asked else np.ones(len(at), np.float32)

    def _asked(self, measured: Mapping[str, Floats]) -> list[tuple[Rule, float]]:
        """The rules whose signals were measured: a list of words or a model may not have been given."""
        return [(rule, limit) for rule, limit in self.rules if rule.signals[0][0] in measured]


def drop_of(failed: list[Drop]) -> Drop:
    """One drop for all the rules that a row fails: it counts for the first."""
    first, *further = failed
    return Drop(first.rule, first.value, first.threshold, further=tuple(further))


def _failing(
    rule: Rule, threshold: float, measured: Mapping[str, Floats], at: Any
) -> tuple[Any, Floats, list[float | int]]:
    """(places in `at` of the rows that fail, value, limit); of several signals the first that fails is told."""
    import numpy as np

    first = np.full(len(at), -1)
    judged = measured[rule.unit][at] >= rule.least_units if rule.least_units else np.ones(len(at), np.bool_)
    values = np.zeros(len(at), np.float32)
    for number, (signal, share) in enumerate(rule.signals):
        found, limit = measured[signal][at], np.float32(threshold * share)
        new = judged & (first < 0) & (found < limit if rule.side == "least" else found > limit)
        values[new], first[new] = found[new], number
    places = np.flatnonzero(first >= 0)
    told = [_plain(threshold * share) for _, share in rule.signals]
    return places, values[places], [told[number] for number in first[places].tolist()]


def _plain(limit: float) -> float | int:
    """A limit as it is told: whole numbers without a point."""
    rounded = float(f"{limit:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


def _room(rule: Rule, threshold: float, measured: Mapping[str, Floats], at: Any) -> Any:
    import numpy as np

    room = np.ones(len(at))
    for signal, share in rule.signals:
        value, limit = measured[signal][at].astype(np.float64), threshold * share
        over, under = (limit, value) if rule.side == "least" else (value, limit)
        room = np.minimum(room, 1 - np.divide(over, under, out=np.where(over > under, 1.0, 0.0), where=under > 0))
    return np.clip(room, 0, 1)
