"""Rules whose answer is prose: a text's first paragraph to its title, a section to its heading, a text that goes on.

Their answers are long, so a row teaches many tokens: a question teaches one sentence, a continuation a paragraph. The
text is the document's own, which is why only whole, clean paragraphs are taken. What is given always tells what the
text is about: the title stands above it, and it begins where a reader can (`cutting.may_begin`). Of talk (tickets,
forums, reviews) only the beginning is used, because what comes later leans on somebody's case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.alone import LEADS_IN, is_clean, is_talk, is_whole, stands_alone, subject_of
from datakit.stages.synthesize.candidates import Candidate, Rule
from datakit.stages.synthesize.cutting import may_begin, title_line
from datakit.stages.synthesize.mine_shapes import (
    clean_heading,
    covered,
    is_how_to,
    is_question,
    says_something,
    shared_words,
    usable_title,
)
from datakit.stages.synthesize.passages import CLOSERS, SPEAKER, Page, Unit

SHORTEST = {"ko": (18, 50), "en": (40, 110)}
"""Shortest opening and shortest answer, in characters."""
ROOM = 1.6
"""Longest text of a continuation, given and written together, in passages."""
DEFINITE = re.compile(r"\b[Tt]he\b")
"""`Mowing was the obvious answer`: which answer, to what?"""
KNOWN = {
    "ko": re.compile(r"^[\"'‘“]?((?:[^\s,]+ ){0,2}?[가-힣A-Za-z0-9]+?)(?:에서는|에서도|에는|에도|은|는|도)(?=[ ,])"),
    "en": re.compile(r"\b[Tt]he ([a-z][\w'’-]*(?: [a-z][\w'’-]*)?)"),
}
"""What a sentence speaks of as known: a Korean topic, an English common noun with its article."""
COUNTED_EN = re.compile(r"\b[Tt]he (?:two|three|four|five|six|seven|eight|nine|ten) ")
COVERED = 0.75
"""Least share of a title's content words that the text written to it must hold."""


def write_task(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Write the first paragraph of a text to its title, or a section of it to its heading; no promise of a how-to."""
    title, language = page.title, page.language
    if not title_line(page) or not usable_title(title, language) or not page.units or is_talk(page):
        return
    first = page.units[0]
    plain = not is_question(title, language) and not is_how_to(title)
    if (
        plain
        and _fit(first, limit, language)
        and may_begin(page, 0)
        and covered(title, first.text, language) >= COVERED
    ):
        yield Candidate("write", title, first.text, {})
    for place, unit in enumerate(page.units):
        heading = clean_heading(unit.text) if unit.kind == "heading" and unit.level else ""
        if not heading or not says_something(heading, language) or not may_begin_after(page, place):
            continue
        text, whole = page.lead(limit, place + 1)
        told = covered(heading, text, language) >= COVERED and not is_how_to(heading)
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
        if place and (spoken or not _on_topic(page, unit)):
            continue
        if page.title and not title_line(page) and not stands_alone(unit.sentences[0], page.language):
            continue
        yield from _rest_of(page, place, limit, (".", "?", "!") if spoken else (".",))
        if not spoken:
            yield from _next_of(page, place, limit)


def _rest_of(page: Page, place: int, limit: int, ends: tuple[str, ...]) -> Iterator[Candidate]:
    """The sentences of a paragraph after its first or its first two."""
    shortest, least = SHORTEST[page.language]
    sentences = page.units[place].sentences
    begun = 1 if len(sentences[0]) >= shortest else 2
    opening = " ".join(sentences[:begun])
    rest = sentences[begun:]
    while rest and (
        len(opening) + len(" ".join(rest)) > ROOM * limit
        or LEADS_IN.search(rest[-1][-40:])
        or not rest[-1].rstrip(CLOSERS).endswith(ends)
    ):
        rest = rest[:-1]
    given, answer = title_line(page) + opening, " ".join(rest)
    long_enough = len(answer) >= (least if len(rest) > 1 else 1.5 * least)
    if _points_back(page, place, [*sentences[:begun], *rest]):
        return
    if long_enough and len(given) <= limit and is_clean(answer) and answer.rstrip(CLOSERS).endswith(ends):
        whole = begun + len(rest) == len(sentences)
        form = "" if not whole else "sentence" if begun == 1 else "paragraph"
        yield Candidate("continue", given, answer, {}, form)


def _next_of(page: Page, place: int, limit: int) -> Iterator[Candidate]:
    """The paragraphs after `place`, each with all from `place` up to it given, as far as that fits."""
    for end in range(place + 1, len(page.units)):
        given = title_line(page) + page.joined(place, end)
        after = page.units[end]
        if len(given) > limit or after.kind != "prose" or not is_whole(page.units[end - 1].text):
            return
        written = [sentence for unit in page.units[place : end + 1] for sentence in unit.sentences]
        if _points_back(page, place, written):
            return
        labelled = SPEAKER.match(after.text)
        if not labelled and _fit(after, int(ROOM * limit) - len(given), page.language):
            yield Candidate("continue", given, after.text, {})


def _on_topic(page: Page, unit: Unit) -> bool:
    """Whether a later paragraph begins with what the title names: `The compromise …` came before."""
    first = unit.sentences[0]
    if not title_line(page):
        return False
    if shared_words(page.title, first, page.language):
        return True
    if page.language == "en":
        return not DEFINITE.search(first)
    noun = subject_of(first)
    return bool(noun) and not any(noun in earlier.text for earlier in page.units if earlier is not unit)


def _points_back(page: Page, place: int, sentences: list[str]) -> bool:
    """Whether sentences that begin at a later paragraph name something as known that only the text before it told."""
    earlier = " ".join(unit.text for unit in page.units[:place]).lower()
    told = page.title.lower()
    for sentence in sentences if earlier else ():
        if COUNTED_EN.search(sentence):
            return True
        for named in KNOWN[page.language].finditer(sentence):
            before = f"{told} {sentence[: named.start()].lower()}"
            if any(len(word) > 1 and word in earlier and word not in before for word in _stems(named[1], page)):
                return True
        told += f" {sentence.lower()}"
    return False


def _stems(phrase: str, page: Page) -> list[str]:
    """The words of a phrase as they are looked for elsewhere: in English without a plural, long ones only."""
    found = phrase.lower().split()
    return found if page.language == "ko" else [word.rstrip("s") for word in found if len(word) > 3]


def _fit(unit: Unit, limit: int, language: str) -> bool:
    """Whether a unit is a whole paragraph of two sentences or more that is no longer than `limit`."""
    long_enough = SHORTEST[language][1] <= len(unit.text) <= limit
    return unit.kind == "prose" and long_enough and len(unit.sentences) >= 2 and is_whole(unit.text)


RULES: dict[str, Rule] = {"write": write_task, "continue": continue_task}
