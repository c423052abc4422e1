"""The recipe `rewrite`: a document in another style, with all its numbers and names and nothing new.

The styles of each language are its own: Korean ones are speech levels and forms of everyday writing, and the level that
was asked for is checked by how the sentences end.
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.each import FromDocuments
from datakit.stages.synthesize.filters import instance_fault, speaks
from datakit.stages.synthesize.generate import Found, Session
from datakit.stages.synthesize.grounding import folded, strange_name, strange_number
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.passages import split_sentences
from datakit.stages.synthesize.rows import Item, answered
from datakit.teachers import Reply, Request

LEAST_LEVEL = 0.6
"""Share of sentences that must end as the speech level asks; headings and list items rarely do."""


@dataclass(frozen=True, slots=True)
class Style:
    """A way to rewrite: what the teacher is told, what the row's instruction says, how sentences must end ("": any)."""

    told: str
    asked: str
    ends: str = ""


STYLES = {
    "ko": (
        Style("부드러운 해요체로 바꾼다", "다음 글을 해요체로 바꿔 주세요.", r"(?:요|죠)$"),
        Style("격식 있는 하십시오체(-습니다)로 바꾼다", "아래 글을 격식 있는 ‘-습니다’ 말투로 고쳐 쓰시오.", r"(?:니다|니까|시오)$"),
        Style("친구에게 말하듯 반말로 바꾼다", "이 글을 친구한테 말하듯이 반말로 바꿔 줘.", r"(?<![요다])(?:어|아|야|해|지|네|래|자|게|걸|봐|돼|와|워|여|거든|는데|다니까)$"),
        Style("초등학생도 알아듣게 쉬운 말로 풀어 쓴다", "초등학생도 이해할 수 있게 아래 글을 쉬운 말로 풀어 써 주세요."),
        Style("군더더기를 빼고 간결하게 줄인다", "다음 글을 군더더기 없이 간결하게 다듬어 주세요."),
        Style("항목마다 글머리표를 붙여 개조식으로 정리한다", "아래 내용을 글머리표를 붙인 개조식으로 정리하시오."),
        Style("아파트나 가게 문에 붙일 안내문으로 바꾼다", "이 내용을 안내문으로 바꿔 써 주세요."),
    ),
    "en": (
        Style("plain English for a ten-year-old", "Rewrite the text so that a ten-year-old understands it."),
        Style("more formal, as in a letter to an office", "Make the following text more formal."),
        Style("friendly and informal, as to a colleague", "Turn this into a friendly, informal message."),
        Style("a bulleted list of the facts", "Rewrite the following as a bulleted list."),
        Style("tighter, without padding", "Tighten the text below without losing any fact."),
        Style("a notice for a board", "Turn the text below into a notice for a notice board."),
    ),
}  # fmt: skip


class Rewrite(FromDocuments):
    """Documents rewritten in another style."""

    asked_with: ClassVar[tuple[str, ...]] = ("rewrite",)

    recipe: Literal["rewrite"]
    """The document in another style."""
    passage_ko: Annotated[int, Field(ge=100)] = 600
    """Longest Korean passage that is rewritten, in characters."""
    passage_en: Annotated[int, Field(ge=200)] = 1200
    """Longest English passage that is rewritten, in characters."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        style = _style(session, item, place)
        return session.request("rewrite", item.language, about=(item.id, place), style=style.told, text=passage)

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        style = next(one for one in STYLES[item.language] if one.told in request.messages[-1][1])
        text = reply.text.strip()
        fault = instance_fault(Written(style.asked, "", text), item.language) or _fault(item, passage, text, style)
        if fault is not None:
            return [fault]
        return [answered(item, "rewrite", request, style.asked, passage, text)]


def _style(session: Session, item: Item, place: int) -> Style:
    return session.rng("style", item.id, place).choice(STYLES[item.language])


def _fault(item: Item, passage: str, text: str, style: Style) -> str | None:
    if not speaks(text, item.language):
        return "language"
    if folded(text) == folded(passage):
        return "copied"
    if not 0.2 <= len(text) / len(passage) <= 2.0:
        return "length"
    if strange_number(text, passage):
        return "strange_number"
    if strange_number(passage, text):
        return "lost_number"
    if strange_name(text, passage):
        return "strange_name"
    return "speech_level" if style.ends and level_share(text, style.ends) < LEAST_LEVEL else None


def level_share(text: str, ends: str) -> float:
    """The share of a text's sentences that end in a way."""
    sentences = [bare for one in split_sentences(" ".join(text.split())) if (bare := one.rstrip(" .!?…~\"'”’)"))]
    return sum(bool(re.search(ends, one)) for one in sentences) / max(1, len(sentences))
