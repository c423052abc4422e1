"""What two recipes say differently, and the funnels that came of them side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from datakit.errors import DatakitError
from datakit.manifests import StageReport
from datakit.readable import shown_setting
from datakit.registry import stage_class
from datakit.stage import fields_of


def settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every setting that differs, defaults filled in. A stage that one of them lacks differs in `use`."""
    found = [
        {"stage": "", "field": name, "a": one.get(name), "b": other.get(name)}
        for name in ("seed",)
        if one.get(name) != other.get(name)
    ]
    a, b = _entries(one), _entries(other)
    for name in _in_order(list(a), list(b)):
        found += _stage_settings(name, a.get(name), b.get(name))
    common = [[name for name in mine if name in a and name in b] for mine in (a, b)]
    if common[0] != common[1]:
        found.append({"stage": "", "field": "order", "a": ", ".join(common[0]), "b": ", ".join(common[1])})
    for section in ("train", "evaluate", "refresh"):
        mine, theirs = one.get(section) or {}, other.get(section) or {}
        found += _differing(section, mine, theirs, _in_order(list(mine), list(theirs)))
    return found


def funnels(one: Sequence[StageReport], other: Sequence[StageReport]) -> list[dict[str, Any]]:
    """The stages of both in one order, with rows in, gone and out on either side; None where a side lacks a stage."""
    a, b = {report.id: report for report in one}, {report.id: report for report in other}
    return [
        {"stage": name, "a": _figures(a.get(name)), "b": _figures(b.get(name))} for name in _in_order(list(a), list(b))
    ]


def _figures(report: StageReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    stats = report.stats
    gone = stats["dropped"] + stats["folded"]
    return {
        "rows_in": stats["rows_in"],
        "gone": gone,
        "rows_out": stats["kept"] + stats["made"],
        "rules": stats["rules"],
    }


def _entries(recipe: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {entry_name(entry): entry for entry in recipe.get("stages", [])}


def entry_name(entry: Mapping[str, Any]) -> str:
    """What a stage of a recipe is called: its id, else its use, without the file of one's own."""
    return str(entry.get("id") or entry["use"].rpartition(":")[2])


def _stage_settings(name: str, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if a is None or b is None or a["use"] != b["use"]:
        return [{"stage": name, "field": "use", "a": a and a["use"], "b": b and b["use"]}]
    defaults = _defaults(a["use"])
    return _differing(
        name, {**defaults, **a}, {**defaults, **b}, [field for field in {**defaults, **a, **b} if field != "id"]
    )


def _differing(stage: str, a: Mapping[str, Any], b: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"stage": stage, "field": name, "a": shown_setting(name, a.get(name)), "b": shown_setting(name, b.get(name))}
        for name in names
        if a.get(name) != b.get(name)
    ]


def _defaults(use: str) -> dict[str, Any]:
    """The defaults of a stage as a recipe spells them; none for one that can't be loaded any more."""
    try:
        fields = fields_of(stage_class(use))
    except DatakitError:
        return {}
    given = {
        name: info.get_default(call_default_factory=True) for name, info in fields.items() if not info.is_required()
    }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _in_order(one: list[str], other: list[str]) -> list[str]:
    """All names of both, each once, in an order that keeps both as far as that can be."""
    return list(dict.fromkeys(_merged(one, other)))


def _merged(one: list[str], other: list[str]) -> Iterator[str]:
    for _, start, end, first, last in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        yield from one[start:end]
        yield from other[first:last]
