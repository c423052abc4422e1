"""The recipe `grounded`: questions that a document answers, each with its answer and the evidence for it.

Nothing is taken on the teacher's word. The evidence must stand in the passage, the numbers and names of the answer too,
and most of its words (grounding.py); a question must make sense without the passage, and must not give its answer away.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instance_fault, instruction_fault, speaks
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounding import folded, is_quoted, ungrounded
from datakit.stages.synthesize.parse import Written, records, said
from datakit.stages.synthesize.rows import Draft, Item, answered
from datakit.teachers import Reply, Request

FIELDS = ("question", "answer", "evidence")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "pairs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in FIELDS},
                    "required": list(FIELDS),
                    "additionalProperties": False,
                },
            }
        },
        "required": ["pairs"],
        "additionalProperties": False,
    }
)
POINTS_AT_TEXT = re.compile(
    r"(?i)\b(?:in|according to|from|of|does|do) (?:the|this) (?:text|passage|article|document|author|excerpt|writer)\b"
    r"|\b(?:the|this) (?:passage|excerpt) (?:say|mention|describe|state)"
    r"|(?:이|윗|위|본|다음|아래|주어진|해당)\s?(?:글|본문|지문|문서|기사|단락)(?:에|의|은|을|이)"
    r"|(?:글쓴이|필자|저자)(?:는|가|의|은|이)"
)
"""A question that only makes sense beside its text."""


class Grounded(FromDocuments):
    """Questions, answers and evidence from documents, each answer checked against its document."""

    asked_with: ClassVar[tuple[str, ...]] = ("grounded",)
    salvages: ClassVar[bool] = True

    recipe: Literal["grounded"]
    """Questions and answers that stand in the document."""
    per_passage: Annotated[int, Field(ge=1, le=10)] = 3
    """Questions asked for a passage."""
    with_text: bool = True
    """Put the passage under the question (reading); false: the question alone (knowledge)."""
    support: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least share of the answer's content words that the passage has."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        return session.request(
            "grounded", item.language, about=(item.id, place), schema=SCHEMA, count=self.per_passage, text=passage
        )

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        found: Found = []
        asked: set[str] = set()
        for record in records(reply.text, FIELDS)[: self.per_passage]:
            question, answer, evidence = (said(record, name) for name in FIELDS)
            fault = self._fault(item, passage, question, answer, evidence)
            if fault is None and folded(question) in asked:
                fault = "repeat"
            asked.add(folded(question))
            found.append(fault or self._draft(item, passage, request, question, answer, evidence))
        return found or ["no_json"]

    def _fault(self, item: Item, passage: str, question: str, answer: str, evidence: str) -> str | None:
        """The first rule that a pair breaks."""
        fault = instruction_fault(question, item.language) or instance_fault(
            Written(question, "", answer), item.language
        )
        if fault is not None:
            return fault
        if not speaks(answer, item.language):
            return "answer_language"
        if POINTS_AT_TEXT.search(question) or POINTS_AT_TEXT.search(answer):
            return "needs_text"
        if len(folded(answer)) >= 4 and folded(answer) in folded(question):
            return "given_away"
        return (
            "no_evidence" if not is_quoted(evidence, passage) else ungrounded(answer, passage, question, self.support)
        )

    def _draft(self, item: Item, passage: str, request: Request, question: str, answer: str, evidence: str) -> Draft:
        extra = {"evidence": evidence, "source_text": None if self.with_text else passage}
        return answered(item, "question", request, question, passage if self.with_text else "", answer, **extra)
