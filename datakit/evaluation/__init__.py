"""Is the adapter better than its base on what it never saw? Loss by language and category, and answers side by side;
if asked for, the base with examples in its prompt, prompts whose answers rules check, and a teacher as judge.

Loss is the negative log-likelihood (nats) a token over the answer only, with the prompt as the trainer's chat template
spells it. Compare losses of one tokenizer only. What was found is kept in <adapter>/evaluation.json, and found again
while rows, adapter, options and judge are the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datakit.cache import cache_folder
from datakit.canon import canonical, digest_file, key_of
from datakit.evaluation.judged import Spec, judged, teacher_named
from datakit.evaluation.losses import losses
from datakit.evaluation.obedience import obedience, read_told
from datakit.evaluation.rows import Row, read_rows
from datakit.evaluation.shots import with_shots
from datakit.runner import ignore
from datakit.teachers import TeacherSpec
from datakit.trainer import Event, Model, Report
from datakit.training import adapter_in, open_adapter

EVALUATION = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Options:
    """What is looked at, beside the losses."""

    samples: int = 4
    """Rows that are answered by base and adapter."""
    max_new_tokens: int = 64
    """Longest answer."""
    few_shot: int = 0
    """Examples before each row for the base; 0: it isn't asked so."""
    rules: Path | None = None
    """Prompts whose answers rules check."""
    judge: TeacherSpec | None = None
    """Who scores the samples."""

    def identity(self) -> dict[str, Any]:
        """All that shapes the result."""
        return {
            "samples": self.samples,
            "max_new_tokens": self.max_new_tokens,
            "few_shot": self.few_shot,
            "rules": digest_file(self.rules) if self.rules else None,
            "judge": self.judge.identity() if self.judge else None,
        }


def evaluate(
    adapter: str | Path,
    rows: str | Path,
    *,
    samples: int = 4,
    max_new_tokens: int = 64,
    rules: str | Path | None = None,
    few_shot: int = 0,
    judge: Spec | None = None,
    cache: Path | None = None,
    report: Report = ignore,
) -> dict[str, Any]:
    """Compare an adapter with its base on held-out rows; kept in <adapter>/evaluation.json and reused while equal."""
    held_out, told = read_rows(rows), read_told(rules) if rules is not None else []
    teacher = teacher_named(judge) if judge is not None else None
    options = Options(samples, max_new_tokens, few_shot, Path(rules) if rules is not None else None, teacher)
    place = Path(adapter) / EVALUATION
    identity = {"rows": digest_file(rows), "adapter": key_of(adapter_in(adapter).files), **options.identity()}
    if (found := _kept(place)) and found.get("identity") == identity:
        return {**found, "adapter": str(adapter), "file": str(rows)}
    artifact, model = open_adapter(adapter, cache=cache)
    result = {
        "identity": identity,
        "adapter": str(adapter),
        "base": artifact.base,
        "dataset": artifact.dataset,
        "file": str(rows),
        **losses(model, held_out, few_shot, report),
        **_answered(model, held_out, options, cache or cache_folder(), report),
        **({"rules": obedience(model, told, max_new_tokens, report)} if told else {}),
    }
    draft = place.with_suffix(".tmp")
    draft.write_bytes(canonical(result))
    draft.replace(place)
    return result


def _kept(place: Path) -> dict[str, Any] | None:
    """An evaluation that was written before, None if there is none that can be read."""
    try:
        found = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _answered(model: Model, rows: Sequence[Row], options: Options, cache: Path, report: Report) -> dict[str, Any]:
    """Answers of every contestant to evenly spaced rows, beside the reference; and what the judge said of them."""
    count = min(options.samples, len(rows))
    places = [place * len(rows) // count for place in range(count)]
    picked = [rows[place] for place in places]
    answers = _answers(model, rows, places, options, report) if picked else {}
    samples = [
        {
            "id": row.id,
            "prompt": row.prompt[-1].content,
            "reference": row.answer,
            **{name: found[at] for name, found in answers.items()},
        }
        for at, row in enumerate(picked)
    ]
    if options.judge is None or not picked:
        return {"samples": samples}
    report(Event("judge", 0, 1))
    verdict = judged(options.judge, picked, answers, cache)
    report(Event("judge", 1, 1))
    return {"samples": samples, "judge": verdict}


def _answers(
    model: Model, rows: Sequence[Row], places: Sequence[int], options: Options, report: Report
) -> dict[str, list[str]]:
    alone = [rows[place].prompt for place in places]
    contestants = {"base": (alone, False), "adapter": (alone, True)}
    if options.few_shot:
        contestants["few_shot"] = ([with_shots(rows, place, options.few_shot) for place in places], False)
    found = {}
    for done, (name, (prompts, adapter)) in enumerate(contestants.items()):
        report(Event("generate samples", done, len(contestants)))
        found[name] = model.generate(prompts, max_new_tokens=options.max_new_tokens, adapter=adapter)
    report(Event("generate samples", len(contestants), len(contestants)))
    return found


__all__ = ["EVALUATION", "Row", "evaluate", "read_rows"]
