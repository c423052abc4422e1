"""HWPX, the open format of Hancom's word processor (OWPML, KS X 6101), which Korean public offices publish in.

A zip file with `Contents/section0.xml` and so on: paragraphs `p`, their runs, `t` with the text, tables `tbl`.
Elements are told by their names without namespace, since Hancom's namespaces carry years. Tables become Markdown;
a table of one column is a frame around text, which Korean documents are full of, and gives its paragraphs. Left out:
page headers and footers, memos, deleted text of tracked changes, and the parameters of fields. Foot- and endnotes
follow the paragraph that they hang on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unicodedata import normalize

from datakit.stages.ingest.rows import Reading
from datakit.stages.ingest.whole import unreadable
from datakit.stages.ingest.zipped import Zipped, local, table_text

SECTION = re.compile(r"Contents/section(\d+)\.xml", re.I)
SIGNS = {"lineBreak": "\n", "tab": "\t", "nbSpace": " ", "fwSpace": " ", "hyphen": "-"}
SKIPPED = frozenset(
    {"header", "footer", "hiddenComment", "memo", "fieldBegin", "parameters", "linesegarray", "secPr", "shapeComment"}
)


def hwpx_text(data: bytes, how: Reading) -> tuple[str, dict[str, Any]]:
    """The text of an HWPX document, section by section."""
    archive = Zipped(data, how)
    if b"encryption-data" in (archive.read("META-INF/manifest.xml") or b""):
        raise unreadable("locked by a password")
    sections = sorted((int(found[1]), name) for name in archive.names if (found := SECTION.fullmatch(name)))
    if not sections:
        raise unreadable("no HWPX document")
    blocks = [block for _, name in sections for block in _blocks(archive.xml(name))]
    return normalize("NFC", "\n\n".join(blocks)), {}


def _blocks(element: Any) -> Iterator[str]:
    """The paragraphs and tables of an element, from top to bottom."""
    for child in element:
        name = local(child)
        if name == "p":
            yield from _paragraph(child)
        elif name == "tbl":
            yield from _table(child)
        elif name not in SKIPPED:
            yield from _blocks(child)


def _paragraph(paragraph: Any) -> Iterator[str]:
    """A paragraph; tables, notes and drawings in it follow its text."""
    text: list[str] = []
    hanging: list[Any] = []
    _gather(paragraph, text, hanging)
    if whole := "".join(text).strip():
        yield whole
    for element in hanging:
        yield from _table(element) if local(element) == "tbl" else _blocks(element)


def _gather(element: Any, text: list[str], hanging: list[Any]) -> None:
    """The text of a paragraph's runs; whatever holds paragraphs of its own is put aside."""
    for child in element:
        name = local(child)
        if name == "t":
            text += _words(child)
        elif name == "tbl" or next(child.iter("{*}p"), None) is not None:
            if name in ("run", "ctrl"):
                _gather(child, text, hanging)
            elif name not in SKIPPED:
                hanging.append(child)
        elif name == "equation":
            text += [script.text or "" for script in child if local(script) == "script"]
        elif name in SIGNS:
            text.append(SIGNS[name])
        elif name not in SKIPPED:
            _gather(child, text, hanging)


def _words(element: Any) -> Iterator[str]:
    """The text of one `t`, with tabs and line breaks inside it; what a tracked change deleted is left out."""
    yield element.text or ""
    deleted = False
    for child in element:
        name = local(child)
        if name in ("deleteBegin", "deleteEnd"):
            deleted = name == "deleteBegin"
        elif not deleted:
            yield SIGNS.get(name, "")
        if not deleted:
            yield child.tail or ""


def _table(table: Any) -> Iterator[str]:
    cells = [[list(_blocks(cell)) for cell in row if local(cell) == "tc"] for row in table if local(row) == "tr"]
    if max(map(len, cells), default=0) <= 1 or _is_layout(table):
        yield from (block for row in cells for cell in row for block in cell)
    elif text := table_text([" ".join(cell) for cell in row] for row in cells):
        yield text
    yield from (block for part in table if local(part) == "caption" for block in _blocks(part))


def _is_layout(table: Any) -> bool:
    """A table that holds another one only arranges the page."""
    return next((inner for inner in table.iter("{*}tbl") if inner is not table), None) is not None
