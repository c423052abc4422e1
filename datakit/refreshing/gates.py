"""Gates: what a new version must hold before it is published. Each refusal names the gate, the value and the limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datakit.errors import GateRefused
from datakit.manifests import DatasetManifest
from datakit.outcome import StageStats
from datakit.pipeline import Gates


def hold_gates(new: DatasetManifest, last: DatasetManifest | None, gates: Gates) -> None:
    """Raise GateRefused if the new version's data must not be published."""
    _min_rows(new, gates)
    _max_drop_shift(new, last, gates)
    _max_pii_rate(new, gates)
    _max_cost_usd(new, gates)


def hold_loss_gate(name: str, loss: float, before: float, gates: Gates) -> None:
    """Raise GateRefused if the new adapter's held-out loss is too much above the last one's."""
    limit = gates.val_loss_not_worse_by
    if limit is not None and loss > before * (1 + limit):
        message = f"val_loss_not_worse_by: the new adapter's loss is {loss:.4f}, the last one's {before:.4f}"
        raise _refused(
            name, f"{message}; the limit is {limit:g} of it", "look at the new rows", "val_loss_not_worse_by"
        )


def _min_rows(new: DatasetManifest, gates: Gates) -> None:
    if new.rows < gates.min_rows:
        message = f"min_rows: the new version has {new.rows} rows, the limit is {gates.min_rows}"
        raise _refused(new.name, message, "look at `datakit why` and the funnel", "min_rows", "lower")


def _max_drop_shift(new: DatasetManifest, last: DatasetManifest | None, gates: Gates) -> None:
    if last is None or gates.max_drop_shift is None:
        return
    before = {stage.id: _drop_share(stage.stats) for stage in last.stages}
    for stage in new.stages:
        share = _drop_share(stage.stats)
        shift = abs(share - before.get(stage.id, share))
        if shift > gates.max_drop_shift:
            message = f"max_drop_shift: {stage.id} drops {share:.3f} of its rows, off by {shift:.3f}"
            limit = f"the limit is {gates.max_drop_shift}"
            raise _refused(new.name, f"{message}; {limit}", "look at what came in", "max_drop_shift")


def _max_pii_rate(new: DatasetManifest, gates: Gates) -> None:
    if gates.max_pii_rate is None:
        return
    for stage in (one for one in new.stages if one.use == "pii"):
        figures = StageStats.from_dict(stage.stats)
        # Counters with a colon say which rule found a value: the same values, counted another way.
        values = sum(count for name, count in figures.counters.items() if ":" not in name)
        rate = values / figures.rows_in if figures.rows_in else 0.0
        if rate > gates.max_pii_rate:
            message = f"max_pii_rate: {stage.id} found {rate:.3f} values a row, the limit is {gates.max_pii_rate}"
            raise _refused(new.name, message, "look at which source they come from", "max_pii_rate")


def _max_cost_usd(new: DatasetManifest, gates: Gates) -> None:
    cost = sum(_costs(new))
    if gates.max_cost_usd is not None and cost > gates.max_cost_usd:
        message = f"max_cost_usd: teachers cost {cost:.2f} dollars, the limit is {gates.max_cost_usd}"
        raise _refused(new.name, message, "replies are kept: nothing is paid twice", "max_cost_usd")


def _costs(new: DatasetManifest) -> Iterator[float]:
    for stage in new.stages:
        spent: dict[str, Any] = stage.notes.get("spent") or {}
        yield float(spent.get("usd") or 0.0)


def _refused(name: str, message: str, look: str, gate: str, change: str = "raise") -> GateRefused:
    return GateRefused(message, where=name, fix=f"{look}; {change} refresh.gates.{gate} if this is right")


def _drop_share(stats: dict[str, Any]) -> float:
    figures = StageStats.from_dict(stats)
    return (figures.dropped + figures.folded) / figures.rows_in if figures.rows_in else 0.0
