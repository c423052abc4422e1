"""The recipe `summarize`: a summary of a document, shorter than it, in its language, with its numbers and names."""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instance_fault, speaks
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounding import folded, ungrounded
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.rows import Item, answered
from datakit.teachers import Reply, Request

WORDINGS = {
    "ko": (
        "다음 글을 {count}문장으로 요약해 주세요.", "아래 글의 핵심을 {count}문장으로 간추리시오.",
        "이 글 {count}문장으로 줄여 줘.", "글의 중심 내용을 {count}문장 안팎으로 정리해 주시겠어요?",
    ),
    "en": (
        "Summarize the following text in {count} sentence(s).", "Give the gist of the text below in {count} sentence(s).",
        "Boil this text down to {count} sentence(s).", "What is the main content of this text? Use {count} sentence(s).",
    ),
}  # fmt: skip
"""How a person asks for it."""


class Summarize(FromDocuments):
    """Summaries of documents."""

    asked_with: ClassVar[tuple[str, ...]] = ("summarize",)

    recipe: Literal["summarize"]
    """A summary of the document."""
    sentences: Annotated[int, Field(ge=1, le=10)] = 2
    """Sentences of a summary."""
    longest: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Longest summary, as a share of the passage's characters."""
    support: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least share of the summary's content words that the passage has."""
    shortest: Annotated[int, Field(ge=1)] = 200
    """Passages with fewer characters are not summarized."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        return session.request(
            "summarize", item.language, about=(item.id, place), sentences=self.sentences, text=passage
        )

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        summary = reply.text.strip()
        fault = self._fault(item, passage, summary)
        if fault is not None:
            return [fault]
        instruction = _wording(WORDINGS[item.language], request).format(count=self.sentences)
        if item.language == "en":
            instruction = instruction.replace("sentence(s)", "sentence" if self.sentences == 1 else "sentences")
        return [answered(item, "summary", request, instruction, passage, summary)]

    def _fault(self, item: Item, passage: str, summary: str) -> str | None:
        if fault := instance_fault(Written("", "", summary), item.language):
            return fault
        if not speaks(summary, item.language):
            return "language"
        if len(summary) > self.longest * len(passage):
            return "too_long"
        if folded(summary) in folded(passage):
            return "copied"
        return ungrounded(summary, passage, "", self.support)


def _wording(ways: tuple[str, ...], request: Request) -> str:
    """One of some wordings, by the request's own chance."""
    return ways[(request.seed or 0) % len(ways)]
