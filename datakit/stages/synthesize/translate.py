"""The recipe `translate`: example rows in the other language, every turn by itself.

Checked: the language that came out, its length against the usual (Korean takes about half the characters of English),
numbers in both directions, as many lines of code fences, and that a question was translated and not answered.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from datakit.stages.synthesize.each import FromExamples
from datakit.stages.synthesize.filters import speaks
from datakit.stages.synthesize.generate import Asking, Session, fault_of
from datakit.stages.synthesize.grounding import strange_number
from datakit.stages.synthesize.rows import Draft, Item

LENGTHS = {"ko": (0.25, 1.0), "en": (1.0, 4.5)}
"""Least and most characters of a translation into a language, as a share of the original's, from 20 characters on."""
SHORT = 20
LEVELS = {
    "ko": {"polite": "해요체", "formal": "하십시오체(-습니다)", "casual": "반말(해체)"},
    "en": {"polite": "polite and friendly", "formal": "formal", "casual": "casual"},
}


class Translate(FromExamples):
    """Example rows in the other language."""

    asked_with: ClassVar[tuple[str, ...]] = ("translate",)

    recipe: Literal["translate"]
    """The same row in the other language."""
    into: Literal["other", "ko", "en"] = "other"
    """Language of the new rows; other: the one that a row is not in. Rows in it already are passed over."""
    level: Literal["polite", "formal", "casual"] = "polite"
    """Speech level of the Korean (해요체, 하십시오체, 반말), tone of the English."""

    def about(self, session: Session, item: Item) -> Asking:
        """One request a turn."""
        into = {"ko": "en", "en": "ko"}[item.language] if self.into == "other" else self.into
        if into == item.language:
            return ["same_language"]
        level = LEVELS[into][self.level]
        requests = [
            session.request("translate", into, about=(item.id, place), greedy=True, level=level, text=content)
            for place, (_, content) in enumerate(item.turns)
        ]
        replies = yield requests
        texts = [reply.text.strip() for reply in replies]
        for reply, (_, content), text in zip(replies, item.turns, texts, strict=True):
            fault = fault_of(reply) or translation_fault(content, text, into)
            if fault is not None:
                return [fault]
        turns = tuple((role, text) for (role, _), text in zip(item.turns, texts, strict=True))
        return [Draft("translate", into, turns, tuple(requests), item=item)] if turns else ["no_answer"]


def translation_fault(original: str, text: str, into: str) -> str | None:
    """The rule by which a text is no translation of another."""
    if any(character.isalpha() for character in text) and not speaks(text, into):
        return "language"
    least, most = LENGTHS[into]
    if len(original) >= SHORT and not least <= len(text) / len(original) <= most:
        return "length"
    if strange_number(original, text) or strange_number(text, original):
        return "changed_number"
    return "changed_code" if original.count("```") != text.count("```") else None
