"""Does a model do what it is told? Base and adapter answer prompts whose answers rules can check.

A file of prompts is JSON lines: {id, language, prompt, rules: {RULE: ARGUMENT}}. Told is the share of prompts whose
answer keeps all rules, and the share of rules kept, as IFEval tells both. Answers are greedy; one that is cut at the
longest answer fails the rules that it had not got to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.errors import SourceError
from datakit.evaluation.rows import read_lines
from datakit.evaluation.rules import RULES, broken
from datakit.schemas import Message
from datakit.trainer import Event, Model, Report


@dataclass(frozen=True, slots=True)
class Told:
    """A prompt and the rules of its answer."""

    id: str
    language: str
    prompt: str
    rules: dict[str, Any]


def read_told(path: str | Path) -> list[Told]:
    """The prompts of a file; a SourceError by line for one that is none."""
    return read_lines(path, _told, "prompts with rules", "--rules")


def _told(line: str, where: str) -> Told:
    fix = "each line needs `prompt` and `rules`: {RULE: ARGUMENT}"
    try:
        data = json.loads(line)
        told = Told(str(data.get("id", where)), str(data.get("language") or ""), data["prompt"], data["rules"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError("not a prompt with rules", where=where, fix=fix) from error
    if not isinstance(told.prompt, str) or not isinstance(told.rules, dict) or not told.rules:
        raise SourceError("not a prompt with rules", where=where, fix=fix)
    for name, argument in told.rules.items():
        if name not in RULES:
            raise SourceError("no such rule", where=where, fix=f"known: {', '.join(RULES)}")
        if not RULES[name].fits(argument):
            raise SourceError(
                f"the rule {name!r} can't be checked so", where=where, fix=f"it takes {RULES[name].takes}"
            )
    return told


def obedience(model: Model, told: Sequence[Told], longest: int, report: Report) -> dict[str, Any]:
    """What base and adapter made of the prompts: shares, by language and by rule, and the rules broken by prompt."""
    failures = {}
    for name in ("base", "adapter"):
        report(Event(f"obey rules {name}", 0, 1))
        prompts = [[Message("user", one.prompt)] for one in told]
        answers = model.generate(prompts, max_new_tokens=longest, adapter=name == "adapter")
        failures[name] = [broken(answer, one.rules) for answer, one in zip(answers, told, strict=True)]
        report(Event(f"obey rules {name}", 1, 1))
    languages = sorted({one.language for one in told if one.language})
    of = {language: [at for at, one in enumerate(told) if one.language == language] for language in languages}
    return {
        **_shares(told, failures, range(len(told))),
        "by_language": {language: _shares(told, failures, places) for language, places in of.items()},
        "by_rule": {rule: _kept(rule, told, failures) for rule in RULES if any(rule in one.rules for one in told)},
        "broken": [{"id": one.id, **{name: failures[name][at] for name in failures}} for at, one in enumerate(told)],
    }


Failures = Mapping[str, Sequence[Sequence[str]]]


def _shares(told: Sequence[Told], failures: Failures, places: Sequence[int]) -> dict[str, Any]:
    """Of some prompts: their number, their rules, and what share each contestant kept."""
    rules = sum(len(told[place].rules) for place in places)
    figures: dict[str, Any] = {"prompts": len(places), "rules": rules}
    for name, found in failures.items():
        figures[f"{name}_prompts"] = round(sum(not found[place] for place in places) / len(places), 4)
        figures[f"{name}_rules"] = round(1 - sum(len(found[place]) for place in places) / rules, 4)
    return figures


def _kept(rule: str, told: Sequence[Told], failures: Failures) -> dict[str, int]:
    """How often a rule was asked for, and how often it was kept."""
    places = [place for place, one in enumerate(told) if rule in one.rules]
    kept = {name: sum(rule not in found[place] for place in places) for name, found in failures.items()}
    return {"count": len(places), **kept}
