"""EPUB books: the main text of every chapter in the order of the book's spine."""

from __future__ import annotations

import posixpath
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from datakit.stages.ingest.html import main_text
from datakit.stages.ingest.rows import Reading
from datakit.stages.ingest.whole import unreadable
from datakit.stages.ingest.zipped import Zipped, attribute, local


def epub_text(data: bytes, how: Reading) -> tuple[str, dict[str, Any]]:
    """The text of a book."""
    archive = Zipped(data, how)
    if "META-INF/rights.xml" in archive.names:
        raise unreadable("locked by its seller")
    chapters = []
    for name in _spine(archive):
        page = archive.read(name)
        if page is not None:
            chapters.append(main_text(page.decode("utf-8", "replace")))
    return normalize("NFC", "\n\n".join(chapter for chapter in chapters if chapter)), {"chapters": len(chapters)}


def _spine(archive: Zipped) -> list[str]:
    """The members that hold the chapters, in order."""
    container = archive.xml("META-INF/container.xml")
    roots = [attribute(one, "full-path") for one in container.iter("{*}rootfile")] if container is not None else []
    package = archive.xml(roots[0]) if roots and roots[0] else None
    if package is None:
        raise unreadable("no EPUB book")
    folder = posixpath.dirname(roots[0] or "")
    items = {item.get("id"): item for item in package.iter("{*}item") if "nav" not in (item.get("properties") or "")}
    order = [items.get(part.get("idref")) for part in package.iter("{*}itemref") if local(part) == "itemref"]
    hrefs = [item.get("href") for item in order if item is not None and "html" in (item.get("media-type") or "")]
    return [posixpath.normpath(posixpath.join(folder, unquote(href))) for href in hrefs if href]
