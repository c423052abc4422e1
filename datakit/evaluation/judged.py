"""A teacher as judge of answers: a score from 1 to 5 for each, and which of base and adapter answered better.

Prompts, rubric and the way to read a verdict are those of the stage `judge`: reason before score, both orders of a
comparison, and a win counts only if both agree. Replies are kept on disk: judging the same answers again costs nothing.
An empty answer scores 1 and nobody is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from datakit.errors import ConfigError
from datakit.evaluation.rows import Row
from datakit.pipeline import flatten
from datakit.spelling import parse_yaml
from datakit.stage import Env
from datakit.stages.synthesize.generate import Session, abreast
from datakit.stages.synthesize.judge import Judge
from datakit.stages.synthesize.judging import LOWEST, Verdict, compare, read_score, score_request
from datakit.stages.synthesize.passages import language_of
from datakit.stages.synthesize.rows import Item
from datakit.teachers import Reply, Request, TeacherSpec

Spec = str | Mapping[str, Any] | TeacherSpec
Asked = Generator[Sequence[Request], Sequence[Reply], Any]
OUTCOMES: dict[Verdict, str] = {"first": "adapter", "second": "base", "tie": "tie"}
"""Whom a verdict is for; all others are `unclear`."""


def teacher_named(spec: Spec) -> TeacherSpec:
    """A teacher as the command line writes it: `openai:MODEL`, `local`, or `{base_url: ..., model: ...}`."""
    try:
        written = parse_yaml(spec) if isinstance(spec, str) and spec.lstrip().startswith("{") else spec
        teacher = TeacherSpec.model_validate(written)
    except ValidationError as error:
        raise ConfigError(flatten(error, TeacherSpec, "judge")) from error
    except yaml.YAMLError as error:
        raise ConfigError("the judge is not valid YAML", fix="{base_url: ADDRESS, model: NAME}") from error
    if problems := teacher.problems("judge"):
        raise ConfigError(problems)
    return teacher


def judged(
    teacher: TeacherSpec, rows: Sequence[Row], answers: Mapping[str, Sequence[str]], cache: Path
) -> dict[str, Any]:
    """Mean scores of every contestant's answers to rows, and the comparison of adapter and base."""
    session = Judge(teacher=teacher).session(Env(cache=cache), None)
    try:
        scores = {name: abreast(session.ask, [_scored(session, r, a) for r, a in zip(rows, found, strict=True)])
                  for name, found in answers.items()}  # fmt: skip
        pairs = zip(rows, answers["adapter"], answers["base"], strict=True)
        verdicts = Counter(abreast(session.ask, [_compared(session, *pair) for pair in pairs]))
    finally:
        session.teacher.close()
    return {
        "teacher": ":".join(str(part) for part in session.teacher_identity.values()),
        "answers": len(rows),
        "scores": {name: _mean(found) for name, found in scores.items()},
        "unjudged": {name: sum(score is None for score in found) for name, found in scores.items()},
        "better": {name: verdicts[name] for name in ("adapter", "base", "tie", "unclear")},
        "spent": session.teacher.spent.notes(len(rows)),
    }


def _scored(session: Session, row: Row, answer: str) -> Asked:
    if not answer.strip():
        return LOWEST
    [reply] = yield [score_request(session, _item(row, answer), "")]
    return read_score(reply).score


def _compared(session: Session, row: Row, adapter: str, base: str) -> Asked:
    if adapter.strip() == base.strip():
        return "tie"
    verdict, _, _ = yield from compare(session, _item(row, adapter), "", adapter, base)
    return OUTCOMES.get(verdict, "unclear")


def _item(row: Row, answer: str) -> Item:
    """A row as the judge's prompts take it; there are prompts in Korean and English."""
    asked = "\n".join(turn.content for turn in row.prompt)
    language = "ko" if language_of(asked, row.groups.get("language")) == "ko" else "en"
    turns = (*((turn.role, turn.content) for turn in row.prompt), ("assistant", answer))
    return Item(row.id, row.id, language, row.id, turns=turns)


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return round(sum(known) / len(known), 4) if known else None
