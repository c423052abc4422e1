"""Word documents (.docx): headings, paragraphs, lists and tables in the spelling of Markdown.

Read from the XML itself rather than by python-docx, whose paragraphs leave out text in links, content controls and
text boxes, and know no list numbers. Left out: deleted text of tracked changes, comments, headers, footers, notes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from unicodedata import normalize

from datakit.stages.ingest.rows import Reading
from datakit.stages.ingest.whole import unreadable
from datakit.stages.ingest.zipped import Zipped, attribute, local, table_text

BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
SKIPPED = frozenset({"del", "moveFrom", "Fallback", "pPr", "rPr", "instrText", "delText", "rt"})
"""Elements that hold no text of the document; Fallback repeats the Choice beside it."""


def docx_text(data: bytes, how: Reading) -> tuple[str, dict[str, Any]]:
    """The text of a Word document."""
    archive = Zipped(data, how)
    document = archive.xml("word/document.xml")
    if document is None:
        raise unreadable("no Word document")
    styles = _headings(archive.xml("word/styles.xml"))
    writer = _Writer(styles, _Lists(archive.xml("word/numbering.xml")))
    blocks = [block for body in document if local(body) == "body" for block in writer.blocks(body)]
    return normalize("NFC", _joined(blocks)), {}


Block = tuple[str, bool]
"""Text, and whether it is an item of a list."""


def _joined(blocks: list[Block]) -> str:
    """Blocks with an empty line between, items of a list without."""
    parts: list[str] = []
    before = False
    for text, item in blocks:
        parts += ["\n" if item and before else "\n\n", text] if parts else [text]
        before = item
    return "".join(parts)


class _Writer:
    """Turns the body of a document into blocks of text."""

    def __init__(self, headings: dict[str, int], lists: _Lists) -> None:
        self.headings, self.lists = headings, lists

    def blocks(self, element: Any) -> Iterator[Block]:
        """The blocks of an element, from top to bottom."""
        for child in element:
            name = local(child)
            if name == "p":
                yield from self._paragraph(child)
            elif name == "tbl":
                yield from self._table(child)
            elif name not in SKIPPED:
                yield from self.blocks(child)

    def _paragraph(self, paragraph: Any) -> Iterator[Block]:
        boxes: list[Any] = []
        text = "".join(_texts(paragraph, boxes)).strip()
        if text:
            style, number = _properties(paragraph)
            mark = self.lists.mark(number) if number else ""
            level = self.headings.get(style, 0)
            yield ("#" * level + " " if level else mark) + text, bool(mark) and not level
        for box in boxes:
            yield from self.blocks(box)

    def _table(self, table: Any) -> Iterator[Block]:
        rows = [
            [[block for block, _ in self.blocks(cell)] for cell in row if local(cell) == "tc"]
            for row in table
            if local(row) == "tr"
        ]
        if max(map(len, rows), default=0) <= 1:  # a frame around text
            yield from ((block, False) for row in rows for cell in row for block in cell)
        elif text := table_text([" ".join(cell) for cell in row] for row in rows):
            yield text, False


def _texts(element: Any, boxes: list[Any]) -> Iterator[str]:
    """The text of a paragraph; text boxes that hang on it are put aside."""
    for child in element:
        name = local(child)
        if name == "t":
            yield child.text or ""
        elif name in BREAKS:
            yield BREAKS[name]
        elif name == "txbxContent":
            boxes.append(child)
        elif name not in SKIPPED:
            yield from _texts(child, boxes)


def _properties(paragraph: Any) -> tuple[str, tuple[str, int] | None]:
    """The style of a paragraph, and the list and level it is an item of."""
    style, number, level = "", "", 0
    for element in next((child for child in paragraph if local(child) == "pPr"), ()):
        if local(element) == "pStyle":
            style = attribute(element, "val") or ""
        elif local(element) == "numPr":
            for part in element:
                value = attribute(part, "val") or ""
                if local(part) == "numId":
                    number = value
                elif local(part) == "ilvl" and value.isdigit():
                    level = int(value)
    return style, (number, level) if number not in ("", "0") else None


def _headings(styles: Any) -> dict[str, int]:
    """The level of every style called "heading N" or "Title": Word keeps these names in all languages."""
    found = {}
    for style in styles if styles is not None else ():
        key = attribute(style, "styleId")
        names = [attribute(child, "val") or "" for child in style if local(child) == "name"]
        word, _, level = (names[0] if names else "").lower().partition(" ")
        if key and word == "heading" and level in ("1", "2", "3", "4", "5", "6"):
            found[key] = int(level)
        elif key and word == "title":
            found[key] = 1
    return found


class _Lists:
    """The marks of list items: a dash, or the running number."""

    def __init__(self, numbering: Any) -> None:
        self.numbered: dict[str, set[int]] = {}
        self.counts: dict[tuple[str, int], int] = defaultdict(int)
        kinds: dict[str, set[int]] = {}
        for element in numbering if numbering is not None else ():
            if local(element) == "abstractNum":
                kinds[attribute(element, "abstractNumId") or ""] = _numbered_levels(element)
            elif local(element) == "num":
                named = [attribute(child, "val") or "" for child in element if local(child) == "abstractNumId"]
                self.numbered[attribute(element, "numId") or ""] = kinds.get(named[0] if named else "", set())

    def mark(self, number: tuple[str, int]) -> str:
        """The mark of the next item of a list, with its indentation."""
        key, level = number
        indent = "  " * min(level, 8)
        if level not in self.numbered.get(key, ()):
            return f"{indent}- "
        self.counts[number] += 1
        for other in self.counts:
            if other[0] == key and other[1] > level:
                self.counts[other] = 0
        return f"{indent}{self.counts[number]}. "


def _numbered_levels(element: Any) -> set[int]:
    levels = set()
    for level in element:
        formats = [attribute(child, "val") for child in level if local(child) == "numFmt"]
        place = attribute(level, "ilvl") or ""
        if local(level) == "lvl" and place.isdigit() and formats and formats[0] not in ("bullet", "none"):
            levels.add(int(place))
    return levels
