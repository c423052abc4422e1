"""Rules whose answer is prose: writing a text to its title, going on with a text that has begun.

Their answers are long, so a row teaches many tokens: a cloze teaches one word, a continuation a paragraph. The text is
the document's own, which is why only plain prose is taken and nothing that holds a stand-in for personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.candidates import Candidate
from datakit.stages.synthesize.mine_shapes import first_prose, is_question, shared_words, usable_title
from datakit.stages.synthesize.passages import Page

SHORTEST = {"ko": (30, 80), "en": (70, 180)}
"""Shortest opening and shortest answer, in characters."""


def write_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Write the beginning of a text to its title, where the title's words come up in it."""
    if not page.title or not usable_title(page.title, page.language) or is_question(page.title, page.language):
        return
    text, _ = page.lead(limit, first_prose(page))
    known = min(2, len(page.title.split()))
    if len(text) >= SHORTEST[page.language][1] and shared_words(page.title, text, page.language) >= known:
        yield Candidate("write", page.title, text, {})


def continue_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Go on with a paragraph whose first sentences are given, to its end or to `limit` characters."""
    shortest_opening, shortest_answer = SHORTEST[page.language]
    for unit in page.units:
        if unit.kind != "prose":
            continue
        sentences = unit.sentences
        if len(sentences) < 3 or not all(unit.plain(page.language)):
            continue
        begun = 1 if len(sentences[0]) >= shortest_opening else 2
        rest = sentences[begun:]
        while rest and len(" ".join(rest)) > limit:
            rest = rest[:-1]
        opening, answer = " ".join(sentences[:begun]), " ".join(rest)
        if shortest_opening <= len(opening) <= limit and len(answer) >= shortest_answer:
            yield Candidate("continue", opening, answer, {})


RULES = (write_task, continue_task)
