"""How far the rows of two versions lie apart, figure by figure: a distance from 0 (alike) to 1, and a word for it.

    numbers   (length, signals, scores)   Kolmogorov-Smirnov: the largest gap between the two cumulative shares
    words     (language, task, source)    total variation: the share of rows that would have to change their word

`little` is below 0.05, or no more than chance gives two samples of these sizes; `clear` from there on, `strong` from
0.2.
The distances of a figure are of its distribution: two versions without one common row may lie 0 apart.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from datakit.comparing.rows import Side

if TYPE_CHECKING:
    import numpy as np

CLEAR, STRONG = 0.05, 0.2
"""Distances from which on a shift is called so. A choice of this project: one row in twenty, one in five."""
CHANCE = 1.95
"""Of the Kolmogorov-Smirnov distance: exceeded by one pair of samples in a thousand, at sqrt((n + m) / (n m))."""
MOST_VALUES = 200_000
"""Values of a number that are compared, evenly spread; the distance is then right to 0.005."""
MOST_NAMES = 12
"""Names listed of a figure made of words: those whose share changed most."""


def shifts_of(a: Side, b: Side) -> list[dict[str, Any]]:
    """Every figure that both versions have, in the order: length, language, task, source, scores, signals."""
    found = [_numbers("length", _column(a, "length"), _column(b, "length"))]
    for name, column in (("language", "lang"), ("task", "made_by"), ("source", "source")):
        counts = [Counter(side.rows.column(column).fill_null("").to_pylist()) for side in (a, b)]
        if any(set(count) - {""} for count in counts):
            found.append(_words(name, *counts))
    scores = [n for n in a.rows.column_names if "." in n and n in b.rows.column_names]
    found += [_numbers(name, _column(a, name), _column(b, name)) for name in scores]
    mine, other = _signals(a), _signals(b)
    found += [_numbers(name, mine[name], other[name]) for name in mine if name in other and name not in scores]
    return found


def ks(one: np.ndarray, other: np.ndarray) -> float:
    """The largest gap between the cumulative shares of two samples."""
    import numpy as np

    one, other = np.sort(one), np.sort(other)
    every = np.concatenate([one, other])
    gaps = np.searchsorted(one, every, "right") / len(one) - np.searchsorted(other, every, "right") / len(other)
    return float(np.abs(gaps).max())


def total_variation(one: Counter[str], other: Counter[str]) -> float:
    """Half the sum of the differences of all shares."""
    n, m = one.total(), other.total()
    return sum(abs(one[name] / n - other[name] / m) for name in one | other) / 2


def called(distance: float, chance: float) -> str:
    """The word for a distance, given what chance alone reaches."""
    return "little" if distance < max(CLEAR, chance) else "clear" if distance < STRONG else "strong"


def _numbers(name: str, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    import numpy as np

    told: dict[str, Any] = {"figure": name, "measure": "ks", "distance": None, "shift": "nothing to compare"}
    told |= {"a": float(np.median(one)) if len(one) else None, "b": float(np.median(other)) if len(other) else None}
    if len(one) and len(other):
        few = _spread(one), _spread(other)
        distance = ks(*few)
        chance = CHANCE * math.sqrt((len(few[0]) + len(few[1])) / (len(few[0]) * len(few[1])))
        told |= {"distance": round(distance, 4), "shift": called(distance, chance)}
    return told


def _words(name: str, one: Counter[str], other: Counter[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"figure": name, "measure": "total variation", "distance": None}
    n, m = one.total(), other.total()
    share = {word: (one[word] / n if n else 0.0, other[word] / m if m else 0.0) for word in one | other}
    most = sorted(share, key=lambda word: (-abs(share[word][0] - share[word][1]), word))[:MOST_NAMES]
    told |= {"shift": "nothing to compare", "names": [{"name": w, "a": one[w], "b": other[w]} for w in most]}
    if n and m:
        distance = total_variation(one, other)
        # Twice the mean distance of two samples from one distribution (normal approximation, word by word).
        spreads = [math.sqrt(p * (1 - p)) for p in ((one[w] + other[w]) / (n + m) for w in share)]
        chance = sum(spreads) * math.sqrt(2 / math.pi * (1 / n + 1 / m))
        told |= {"distance": round(distance, 4), "shift": called(distance, chance)}
    return told


def _column(side: Side, name: str) -> np.ndarray:
    import numpy as np

    values = side.rows.column(name).drop_null().to_numpy().astype(np.float64)
    return values[np.isfinite(values)]


def _spread(values: np.ndarray) -> np.ndarray:
    """All values, or MOST_VALUES of them, evenly spread."""
    import numpy as np

    if len(values) <= MOST_VALUES:
        return values
    return values[np.arange(MOST_VALUES) * len(values) // MOST_VALUES]


def _signals(side: Side) -> dict[str, np.ndarray]:
    """Measured signals of all rows that reached their stage, dropped ones too."""
    import numpy as np
    import pyarrow as pa

    parts: dict[str, list[np.ndarray]] = {}
    shards = (shard for report in side.manifest.stages for shard in side.store.shards_of(report))
    for key in dict.fromkeys(one.signals for shard in shards for one in shard.passes if one.signals):
        table = side.store.signals(key)
        for field in table.schema if table is not None else ():
            if table is not None and pa.types.is_floating(field.type):
                parts.setdefault(field.name, []).append(table.column(field.name).drop_null().to_numpy())
    joined = {name: np.concatenate(found) for name, found in parts.items()}
    return {name: values[np.isfinite(values)] for name, values in joined.items()}
