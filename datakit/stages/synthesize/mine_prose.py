"""Rules whose answer is prose: a text's first paragraph to its title, a section to its heading, a text that goes on.

Their answers are long, so a row teaches many tokens: a question teaches one sentence, a continuation a paragraph. The text
is the document's own, which is why only whole, clean paragraphs are taken. What is given always tells what the text is
about: the title stands above it, and it begins where a reader can begin (`cutting.may_begin`). Of talk (tickets, forums,
reviews) only the first paragraph is used, because what comes later leans on somebody's case.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.alone import LEADS_IN, is_clean, is_talk, is_whole
from datakit.stages.synthesize.candidates import Candidate
from datakit.stages.synthesize.cutting import may_begin, title_line
from datakit.stages.synthesize.mine_shapes import (
    clean_heading,
    covered,
    is_how_to,
    is_question,
    says_something,
    usable_title,
)
from datakit.stages.synthesize.passages import Page, Unit

SHORTEST = {"ko": (20, 60), "en": (45, 130)}
"""Shortest opening and shortest answer, in characters."""
COVERED = 0.75
"""Least share of a title's content words that the text written to it must hold."""


def write_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Write the first paragraph of a text to its title, or a section of it to its heading; no promise of a how-to."""
    title, language = page.title, page.language
    if not title_line(page) or not usable_title(title, language) or not page.units or is_talk(page):
        return
    first = page.units[0]
    plain = not is_question(title, language) and not is_how_to(title, language)
    if plain and _fit(first, limit, language) and may_begin(page, 0) and covered(title, first.text, language) >= COVERED:
        yield Candidate("write", title, first.text, {})
    for place, unit in enumerate(page.units):
        heading = clean_heading(unit.text) if unit.kind == "heading" and unit.level else ""
        if not heading or not says_something(heading, language) or not may_begin_after(page, place):
            continue
        text, whole = page.lead(limit, place + 1)
        told = covered(heading, text, language) >= COVERED and not is_how_to(heading, language)
        prose = whole and all(one.kind == "prose" for one in page.section(place + 1))
        if told and prose and is_whole(text) and len(text) >= SHORTEST[language][1]:
            yield Candidate("write", title, text, {"heading": heading})


def may_begin_after(page: Page, place: int) -> bool:
    """Whether the unit after a heading can begin a text of its own."""
    return place + 1 < len(page.units) and page.units[place + 1].kind == "prose" and may_begin(page, place + 1)


def continue_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Go on with a text whose beginning is given: the rest of a paragraph, or the paragraph after the first ones."""
    spoken = is_talk(page)
    for place, unit in enumerate(page.units):
        if unit.kind != "prose" or not is_clean(unit.text) or not may_begin(page, place):
            continue
        if spoken and place:
            return
        yield from _rest_of(page, unit, limit)
        if not spoken:
            yield from _next_of(page, place, limit)


def _rest_of(page: Page, unit: Unit, limit: int) -> Iterator[Candidate]:
    """The sentences of a paragraph after its first or its first two."""
    shortest, least = SHORTEST[page.language]
    sentences = unit.sentences
    begun = 1 if len(sentences[0]) >= shortest else 2
    opening = " ".join(sentences[:begun])
    rest = sentences[begun:]
    while rest and (len(" ".join(rest)) > limit or LEADS_IN.search(rest[-1][-40:])):
        rest = rest[:-1]
    _given = title_line(page) + opening
    answer = " ".join(rest)
    if len(rest) >= 2 and len(_given) <= limit and len(answer) >= least and is_whole(answer):
        yield Candidate("continue", _given, answer, {})


def _next_of(page: Page, place: int, limit: int) -> Iterator[Candidate]:
    """The paragraph after one that is given whole."""
    after = page.units[place + 1] if place + 1 < len(page.units) else None
    given = title_line(page) + page.units[place].text
    if after is None or not _fit(after, limit, page.language) or len(given) > limit:
        return
    if is_whole(page.units[place].text):
        yield Candidate("continue", given, after.text, {})


def _fit(unit: Unit, limit: int, language: str) -> bool:
    """Whether a unit is a whole paragraph of two sentences or more that is no longer than `limit`."""
    long_enough = SHORTEST[language][1] <= len(unit.text) <= limit
    return unit.kind == "prose" and long_enough and len(unit.sentences) >= 2 and is_whole(unit.text)


RULES = (write_task, continue_task)
