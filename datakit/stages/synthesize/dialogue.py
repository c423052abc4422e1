"""The recipe `dialogue`: a conversation of several turns about a document's matter, checked turn by turn against it."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instance_fault, speaks
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounded import POINTS_AT_TEXT
from datakit.stages.synthesize.grounding import folded, ungrounded
from datakit.stages.synthesize.parse import Written, records, said
from datakit.stages.synthesize.rows import Draft, Item, Turn
from datakit.teachers import Reply, Request

_TURN = {
    "type": "object",
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": "string"}},
    "required": ["role", "content"],
    "additionalProperties": False,
}
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"turns": {"type": "array", "items": _TURN}},
        "required": ["turns"],
        "additionalProperties": False,
    }
)


class Dialogue(FromDocuments):
    """Conversations of several turns about documents."""

    asked_with: ClassVar[tuple[str, ...]] = ("dialogue",)

    recipe: Literal["dialogue"]
    """A conversation about the document's matter."""
    turns: Annotated[int, Field(ge=2, le=10)] = 3
    """Questions of a conversation; one with fewer than two is refused."""
    with_text: bool = False
    """Put the passage under the first question."""
    support: Annotated[float, Field(ge=0, le=1)] = 0.4
    """Least share of each answer's content words that the passage has."""
    shortest: Annotated[int, Field(ge=1)] = 200
    """Passages with fewer characters hold too little to talk about."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        return session.request(
            "dialogue", item.language, about=(item.id, place), schema=SCHEMA, turns=self.turns, text=passage
        )

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        record = next(iter(records(reply.text, ("turns",))), None)
        if record is None:
            return ["no_json"]
        turns = _turns(record)
        fault = _shape_fault(turns) or self._fault(item, passage, turns)
        if fault is not None:
            return [fault]
        if self.with_text:
            turns = [("user", f"{turns[0][1]}\n\n{passage}"), *turns[1:]]
        extra = {"source_text": None if self.with_text else passage}
        return [Draft("dialogue", item.language, tuple(turns), (request,), item=item, extra=extra)]

    def _fault(self, item: Item, passage: str, turns: list[Turn]) -> str | None:
        said_so_far = ""
        for role, content in turns:
            if not speaks(content, item.language):
                return "language"
            if POINTS_AT_TEXT.search(content):
                return "needs_text"
            said_so_far += "\n" + content
            if role == "assistant":
                fault = instance_fault(Written("", "", content), item.language)
                fault = fault or ungrounded(content, passage, said_so_far.removesuffix(content), self.support)
                if fault is not None:
                    return fault
        return None


def _turns(record: dict[str, Any]) -> list[Turn]:
    listed = record["turns"] if isinstance(record["turns"], list) else []
    return [(said(turn, "role"), said(turn, "content")) for turn in listed if isinstance(turn, dict)]


def _shape_fault(turns: list[Turn]) -> str | None:
    """User and assistant in turn, the user first, the assistant last, two questions at least, none said twice."""
    roles = [role for role, _ in turns]
    if len(turns) < 4 or roles != ["user", "assistant"] * (len(turns) // 2) or not all(text for _, text in turns):
        return "turns"
    spoken = [folded(text) for _, text in turns]
    return "repeat" if len(set(spoken)) < len(spoken) else None
