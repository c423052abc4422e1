"""The main text of an HTML page as Markdown-like plain text, by lxml.

Scripts, forms, navigation, page headers and footers, side bars and blocks that are mostly links go; headings,
paragraphs, lists, quotations, code and tables stay, in the spelling of Markdown, so that HTML and .md documents look
alike behind ingest. `<main>` or `<article>` is taken where a page has it, else what is left of the body. No language is
looked at.

A guard against greedy names ("has-sidebar" on the whole page): a block that holds more than half of the page's text is
never removed for its class, id or links; one called `footer` may hold nine tenths, as below short Korean notices.

Kept because the kept libraries do worse on Korean pages. On the pages of tests/web_pages.py and their like (58 texts to
keep, 34 pieces of furniture; one core):

                       kept     furniture left   ms a page
    main_text          58/58    0/34             0.6
    trafilatura 2.3    57/58    8/34             17.5
    resiliparse 2.0    50/58    3/34             0.7     (loses headings, short paragraphs and lists)
    jusText 3.0        0/58     0/34             6.6     (its stop words are no eojeol: all is boilerplate)

Cost: about 10 MB of markup a second on one core.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

WORD = re.compile(r"[A-Z]?[a-z]+[0-9]?")
GONE = WORD.findall(
    "script style noscript template nav footer aside form button select textarea input iframe object svg canvas dialog "
    "audio video map menu rt rp head"
)
ROLES = {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alert", "menu", "menubar"}
NAMES = frozenset(
    WORD.findall(
        "nav navbar navigation menu sidebar breadcrumb breadcrumbs footer cookie cookies consent share sharing social "
        "related comments advert advertisement ads promo newsletter popup modal pagination pager skip"
    )
)
HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
BLOCKS = frozenset(HEADINGS) | frozenset(
    WORD.findall(
        "address article blockquote body caption center dd details div dl dt fieldset figcaption figure header hr html "
        "li main ol p pre section summary table tbody td tfoot th thead tr ul"
    )
)
KEPT = ("body", "main", "article")
SPACE = re.compile(r"[ \t\n\r\f]+")
GUARDED_SHARE, FOOTER_SHARE = 0.5, 0.9
LINKED_SHARE = 0.6
"""A block whose text is links to more than this share is navigation."""


def main_text(markup: str) -> str:
    """The main text of a page; "" if it has none."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        # Bytes, since lxml refuses str with an XML encoding line; libxml2 ends a page at its first NUL.
        page = html.document_fromstring(markup.replace("\x00", "").encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return ""
    for element in list(page.iter(*GONE)):
        _remove(element)
    bare = _rendered([page])
    _remove_furniture(page)
    return _rendered(_roots(page)) or _rendered([page]) or bare


def _remove_furniture(page: Any) -> None:
    """Remove hidden parts, page headers, named side blocks and blocks of links."""
    whole = len(_plain(page))
    for element in list(page.iter()):
        if not isinstance(element.tag, str) or element.getparent() is None or element.tag in KEPT:
            continue
        said = element.get("role") in ROLES or element.get("hidden") is not None or element.get("aria-hidden") == "true"
        if said or _named(element) or _page_header(element) or _linked(element):
            share = FOOTER_SHARE if _footer(element) else GUARDED_SHARE
            if len(_plain(element)) <= share * whole:
                _remove(element)


def _named(element: Any) -> bool:
    words = WORD.findall(f"{element.get('class', '')} {element.get('id', '')}")
    return element.tag in BLOCKS and not NAMES.isdisjoint(word.lower() for word in words)


def _footer(element: Any) -> bool:
    return "footer" in (element.get("class") or "").lower().split() or (element.get("id") or "").lower() == "footer"


def _page_header(element: Any) -> bool:
    """A header of the page, not of its article, that does not hold the title."""
    if element.tag != "header" or element.find(".//h1") is not None:
        return False
    return not any(above.tag in ("article", "main") for above in element.iterancestors())


def _linked(element: Any) -> bool:
    if element.tag not in ("ul", "ol", "div", "section", "p", "table"):
        return False
    links = [_plain(link) for link in element.iter("a")]
    return len(links) >= 3 and sum(map(len, links)) > LINKED_SHARE * len(_plain(element))


def _roots(page: Any) -> list[Any]:
    """Where the text is: `<main>`, else all outermost `<article>`s if they hold a third of the page, else the page."""
    mains = page.xpath("//main | //*[@role='main']")
    if len(mains) == 1 and _plain(mains[0]):
        return mains
    articles = page.xpath("//article[not(ancestor::article)]")
    held = sum(len(_plain(article)) for article in articles)
    return articles if articles and held * 3 >= len(_plain(page)) else [page]


def _plain(element: Any) -> str:
    return SPACE.sub("", "".join(element.itertext()))


def _remove(element: Any) -> None:
    """Remove an element, but not the text behind it."""
    if element.getparent() is not None:
        element.drop_tree()


def _rendered(roots: list[Any]) -> str:
    blocks = [block for root in roots for block in _blocks(root)]
    return "\n\n".join(block for block in blocks if block.strip())


def _blocks(element: Any) -> Iterator[str]:
    """The blocks of an element, from top to bottom. Loose text between blocks is a block of its own."""
    if element.tag == "pre":
        yield "```\n" + "".join(element.itertext()).strip("\n") + "\n```"
    elif element.tag in ("ul", "ol"):
        yield "\n".join(_items(element))
    elif element.tag == "table" and not _is_layout(element):
        yield from _table(element)
    elif element.tag == "blockquote":
        inner = "\n\n".join(_children(element))
        yield "\n".join(f"> {line}".rstrip() for line in inner.splitlines())
    elif element.tag in HEADINGS:
        yield from (HEADINGS[element.tag] + block.replace("\n", " ") for block in _children(element))
    else:
        yield from _children(element)


def _children(element: Any) -> Iterator[str]:
    inline = [element.text or ""]
    for child in element:
        if child.tag in BLOCKS or _holds_blocks(child):
            yield from _paragraph(inline)
            inline = []
            yield from _blocks(child)
        else:
            inline.append(_inline(child))
        inline.append(child.tail or "")
    yield from _paragraph(inline)


def _paragraph(inline: list[str]) -> Iterator[str]:
    lines = [SPACE.sub(" ", line).strip(" ") for line in "".join(inline).split("\v")]
    if any(lines):
        yield "\n".join(lines).strip("\n")


def _inline(element: Any) -> str:
    """Text of an inline element; a vertical tab stands for `<br>` until white space has been folded."""
    if not isinstance(element.tag, str):
        return ""
    if element.tag == "br":
        return "\v"
    inner = (element.text or "") + "".join(_inline(child) + (child.tail or "") for child in element)
    return f"`{inner}`" if element.tag in ("code", "kbd", "samp") and inner.strip() else inner


def _holds_blocks(element: Any) -> bool:
    return isinstance(element.tag, str) and any(child.tag in BLOCKS for child in element.iterdescendants())


def _items(element: Any) -> Iterator[str]:
    for number, item in enumerate(element.iterchildren("li"), start=1):
        mark = f"{number}. " if element.tag == "ol" else "- "
        lines = "\n".join(_children(item)).splitlines()
        if lines:
            yield mark + ("\n" + " " * len(mark)).join(lines)


def _is_layout(table: Any) -> bool:
    """A table that only arranges a page: it holds another table, or whole paragraphs and lists."""
    inner = table.iterdescendants("table", "p", "div", "ul", "ol", "article", "section", *HEADINGS)
    return next(inner, None) is not None


def _table(table: Any) -> Iterator[str]:
    for caption in table.iterchildren("caption"):
        yield from _children(caption)
    rows = [[" ".join(_children(cell)) for cell in row.iterchildren("td", "th")] for row in table.iter("tr")]
    rows = [row for row in rows if any(row)]
    lines = ["| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |" for row in rows]
    if len(rows) > 1:
        lines.insert(1, "|" + " --- |" * len(rows[0]))
    if lines:
        yield "\n".join(lines)
