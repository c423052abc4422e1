"""`blame`: which stage made the number of rows move from one version to another, and what was set differently there.

    rows = rows read x share that passes the first stage x ... x share that passes the last

From A to B one factor after the other is exchanged, in the order of the stages; what each exchange changes is that
stage's part, and the parts add up to the whole difference. A stage that one side lacks lets everything pass there. A
stage whose settings are the same but whose share moved met other rows: its part says how much that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datakit.comparing.recipes import entry_name, funnels, settings
from datakit.manifests import DatasetManifest


def blame(one: DatasetManifest, other: DatasetManifest) -> dict[str, Any]:
    """The parts of the difference in rows, the largest first, each with the settings that differ there."""
    stages = funnels(one.stages, other.stages)
    changed = settings(one.recipe, other.recipe)
    called = {
        entry_name(entry): report.id
        for manifest in (one, other)
        for entry, report in zip(manifest.recipe["stages"], manifest.stages, strict=True)
    }
    shares = [(_share(stage["a"]), _share(stage["b"])) for stage in stages]
    read = (_read(stages, "a"), _read(stages, "b"))
    values = _exchanged(read, shares)
    parts: list[dict[str, Any]] = [
        {"stage": "sources", "rows": values[1] - values[0], "a": read[0], "b": read[1], "settings": []}
    ]
    for place, stage in enumerate(stages):
        a, b = shares[place]
        found = [one for one in changed if called.get(one["stage"]) == stage["stage"]]
        rows = values[place + 2] - values[place + 1]
        parts.append({"stage": stage["stage"], "rows": rows, "a": a, "b": b, "settings": found})
    moved = [part for part in parts if round(part["rows"], 6) or part["settings"]]
    rest = [one for one in changed if not one["stage"]]
    return {
        "a": {"dataset": one.ref, "rows": round(values[0])},
        "b": {"dataset": other.ref, "rows": round(values[-1])},
        "difference": round(values[-1] - values[0]),
        "parts": [{**part, "rows": round(part["rows"], 2)} for part in sorted(moved, key=_weight)],
        "settings": rest,
    }


def _weight(part: dict[str, Any]) -> float:
    return -abs(part["rows"])


def _exchanged(read: tuple[float, float], shares: Sequence[tuple[float, float]]) -> list[float]:
    """Rows at the end: of A, with B's sources, then with B's share of one stage after the other."""
    found = []
    for many in range(-1, len(shares) + 1):
        rows = float(read[0] if many < 0 else read[1])
        for place, (a, b) in enumerate(shares):
            rows *= b if place < many else a
        found.append(rows)
    return found


def _read(stages: Sequence[dict[str, Any]], side: str) -> int:
    """Rows that the first stage got."""
    first = next((stage[side] for stage in stages if stage[side] is not None), None)
    return int(first["rows_in"] or first["rows_out"]) if first else 0


def _share(figures: dict[str, Any] | None) -> float:
    """Rows out for each row in: below 1 where rows go, above where they are made."""
    return figures["rows_out"] / figures["rows_in"] if figures and figures["rows_in"] else 1.0
