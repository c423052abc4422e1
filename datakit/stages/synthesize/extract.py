"""The recipe `extract`: facts picked out of a document as JSON; every value must stand in the document."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instruction_fault
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounding import folded
from datakit.stages.synthesize.parse import records, said
from datakit.stages.synthesize.rows import Item, answered
from datakit.teachers import Reply, Request

_FACT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
    "required": ["name", "value"],
    "additionalProperties": False,
}
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"instruction": {"type": "string"}, "facts": {"type": "array", "items": _FACT}},
        "required": ["instruction", "facts"],
        "additionalProperties": False,
    }
)


class Extract(FromDocuments):
    """Facts of documents, picked out as JSON."""

    asked_with: ClassVar[tuple[str, ...]] = ("extract",)

    recipe: Literal["extract"]
    """Facts picked out as JSON."""
    least_facts: Annotated[int, Field(ge=1, le=6)] = 2
    """Fewest facts of a row; a fact whose value is not in the passage refuses the whole row."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        return session.request("extract", item.language, about=(item.id, place), schema=SCHEMA, text=passage)

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        record = next(iter(records(reply.text, ("instruction", "facts"))), None)
        if record is None:
            return ["no_json"]
        instruction, facts = said(record, "instruction"), _facts(record)
        fault = instruction_fault(instruction, item.language) or self._fault(passage, instruction, facts)
        if fault is not None:
            return [fault]
        answer = json.dumps(facts, ensure_ascii=False, indent=2)
        return [answered(item, "extract", request, instruction, passage, answer)]

    def _fault(self, passage: str, instruction: str, facts: dict[str, str]) -> str | None:
        whole, asked = folded(passage), folded(instruction)
        if len(facts) < self.least_facts:
            return "few_facts"
        if any(not folded(value) or folded(value) not in whole for value in facts.values()):
            return "strange_value"
        return "not_asked_for" if any(folded(name) not in asked for name in facts) else None


def _facts(record: dict[str, Any]) -> dict[str, str]:
    """Names and values, the first of a name; {} where the list is no list of both."""
    listed = record["facts"] if isinstance(record["facts"], list) else []
    pairs = [(said(fact, "name"), said(fact, "value")) for fact in listed if isinstance(fact, dict)]
    found: dict[str, str] = {}
    for name, value in pairs:
        if name:
            found.setdefault(name, value)
    return found
