"""Passages cut from a page so that each can be read alone: under the page's title, whole sentences, nothing but prose.

A passage begins where the document begins, or with a sentence that `stands_alone`; it ends with a paragraph or at least
with a sentence, and holds no heading, list, code, mark-up or tag. The title stands above it, since a text leans on its
title as on a sentence before. Cost: linear in the sentences around the one that is asked for.
"""

from __future__ import annotations

from datakit.stages.synthesize.alone import LEADS_IN, is_clean, is_whole, opens, stands_alone
from datakit.stages.synthesize.passages import Page

LONGEST_TITLE = {"ko": 40, "en": 80}
"""Longest title shown above a passage, in characters."""


def passage_with(page: Page, place: int, inner: int, limit: int) -> str:
    """The passage of at most `limit` characters that holds a sentence, "" if none can be cut."""
    head = title_line(page)
    first = place
    while first > 0 and page.units[first - 1].kind == "prose":
        first -= 1
    starts = [(one, 0) for one in range(first, place + 1)] + [(place, at) for at in range(1, inner + 1)]
    for start, at in starts:
        if not may_begin(page, start, at):
            continue
        text = _grown(page, (start, at), (place, inner), limit - len(head))
        if text:
            return head + text
    return ""


def title_line(page: Page) -> str:
    """The title and the blank line below it, "" where there is none that can be shown."""
    usable = page.title and len(page.title) <= LONGEST_TITLE[page.language] and is_clean(page.title)
    return f"{page.title}\n\n" if usable else ""


def may_begin(page: Page, place: int, inner: int = 0) -> bool:
    """Whether a passage may begin with a sentence: the document's first, or one that stands alone."""
    sentences = page.units[place].sentences
    if inner >= len(sentences):
        return False
    if place == inner == 0:
        return opens(sentences[0], page.language)
    return stands_alone(sentences[inner], page.language)


def _grown(page: Page, start: tuple[int, int], needed: tuple[int, int], room: int) -> str:
    """Text from `start` through the sentence `needed`, then to the paragraph's end and on by whole paragraphs."""
    parts: list[str] = []
    if not all(is_whole(page.units[place].text) for place in range(start[0], needed[0])):
        return ""
    for place in range(start[0], needed[0]):
        parts.append(" ".join(page.units[place].sentences[start[1] if place == start[0] else 0 :]))
    own = page.units[needed[0]].sentences
    begun = start[1] if start[0] == needed[0] else 0
    end = len(own)
    while end > needed[1] and not _fits(parts, own[begun:end], room):
        end -= 1
    if end <= needed[1]:
        return ""
    while end - 1 > needed[1] and LEADS_IN.search(own[end - 1][-40:]):
        end -= 1
    parts.append(" ".join(own[begun:end]))
    following = needed[0] + 1
    while end == len(own) and following < len(page.units) and page.units[following].kind == "prose":
        if not _fits(parts, page.units[following].sentences, room) or not is_whole(page.units[following].text):
            break
        parts.append(" ".join(page.units[following].sentences))
        following += 1
    text = "\n\n".join(parts)
    return text if is_whole(text) else ""


def _fits(parts: list[str], sentences: list[str], room: int) -> bool:
    return sum(len(part) + 2 for part in parts) + len(" ".join(sentences)) <= room
