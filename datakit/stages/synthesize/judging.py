"""Asking a teacher to judge: a score with its reason by a rubric, or which of two answers is better, in both orders.

Which answer stands first sways a judge, systematically and more the closer the answers are (arXiv:2306.05685,
arXiv:2406.07791). So a comparison is asked twice, A before B and B before A, and counts only if both say the same.
The text that an answer is grounded in stands in the prompt wherever it is known.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from datakit.stages.synthesize.generate import NOT_ASKED, Session, fault_of
from datakit.stages.synthesize.parse import records, said
from datakit.stages.synthesize.rows import Item
from datakit.teachers import Reply, Request

MOST_TOKENS = 300
LOWEST, HIGHEST = 1.0, 5.0
Verdict = Literal["first", "second", "tie", "position_bias", "no_verdict", "not_asked"]


def _schema(verdict: dict[str, object], name: str) -> str:
    properties = {"reason": {"type": "string"}, name: verdict}
    whole = {"type": "object", "properties": properties, "required": ["reason", name], "additionalProperties": False}
    return json.dumps(whole)


SCORE_SCHEMA = _schema({"type": "number", "minimum": LOWEST, "maximum": HIGHEST}, "score")
BETTER_SCHEMA = _schema({"enum": ["A", "B", "tie"]}, "better")


@dataclass(frozen=True, slots=True)
class Scored:
    """What a judge said of an answer; `score` None where nothing could be read, `fault` why."""

    score: float | None
    reason: str = ""
    fault: str = ""


def rubric_of(session: Session, rubric: str, language: str) -> str:
    """The rubric of the settings, else the shipped one of a language."""
    return rubric or session.prompts.text("rubric", language)


def score_request(session: Session, item: Item, rubric: str) -> Request:
    """Asks for the score of an example's answer."""
    return session.request(
        "judge",
        item.language,
        about=(item.id, 0),
        greedy=True,
        max_tokens=MOST_TOKENS,
        schema=SCORE_SCHEMA,
        rubric=rubric_of(session, rubric, item.language),
        source=item.source_text,
        task=item.asked,
        answer=item.answer,
    )


def read_score(reply: Reply) -> Scored:
    """The score and reason in a reply."""
    fault = fault_of(reply)
    if fault in (NOT_ASKED, "no_reply"):
        return Scored(None, fault=str(fault))
    for record in records(reply.text, ("score",)):
        try:
            score = float(said(record, "score"))
        except ValueError:
            continue
        if LOWEST <= score <= HIGHEST:
            return Scored(score, said(record, "reason"))
    return Scored(None, fault="no_verdict")


def compare(
    session: Session, item: Item, rubric: str, first: str, second: str
) -> Generator[Sequence[Request], Sequence[Reply], tuple[Verdict, str, tuple[Request, ...]]]:
    """Which of two answers is better, asked in both orders: verdict, reason, and the two requests."""
    requests = tuple(
        session.request(
            "compare",
            item.language,
            about=(item.id, place),
            greedy=True,
            max_tokens=MOST_TOKENS,
            schema=BETTER_SCHEMA,
            rubric=rubric_of(session, rubric, item.language),
            source=item.source_text,
            task=item.asked,
            first=one,
            second=other,
        )
        for place, (one, other) in enumerate(((first, second), (second, first)))
    )
    replies = yield requests
    if any(fault_of(reply) == NOT_ASKED for reply in replies):
        return "not_asked", "", requests
    (one, reason), (other, _) = (_better(reply) for reply in replies)
    return _agreed(one, other), reason, requests


def _agreed(one: str, other: str) -> Verdict:
    """What two verdicts in both orders come to: the second is about the swapped answers."""
    if not one or not other:
        return "no_verdict"
    if (one, other) == ("A", "B"):
        return "first"
    if (one, other) == ("B", "A"):
        return "second"
    return "tie" if "tie" in (one, other) else "position_bias"


def _better(reply: Reply) -> tuple[str, str]:
    for record in records(reply.text, ("better",)):
        word = said(record, "better").strip(" .\"'").upper()
        if word in ("A", "B"):
            return word, said(record, "reason")
        if word == "TIE":
            return "tie", said(record, "reason")
    return "", ""
