"""Wikipedia dumps (`pages-articles.xml`, mostly .bz2): one document an article, streamed.

    position                      number of the page in the dump
    source.title, source.page     the article's title and its number in the wiki

Redirects and pages outside namespace 0 (talk, templates, files) are drops `no_article`, which say which. Wikitext
becomes text in wikitext.py. Memory: one page and the shard, whatever the size of the dump. Cost: 0.7 MB of wikitext a
second on one core; a dump in several files (`pages-articles1.xml`, ...) is read by several workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from datakit.errors import SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.rows import Gather, Reading, Rows
from datakit.stages.ingest.whole import Refused, need, unreadable
from datakit.stages.ingest.wikitext import is_redirect, plain_text


def read_wiki(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """The articles of a MediaWiki dump."""
    need("wiki", how.where)
    gather = Gather()
    for position, page in enumerate(_pages(stream, how), start=1):
        try:
            text = _article(page, how)
        except Refused as refused:
            gather.drop(position, refused.drop)
        else:
            row = {how.text: text, "title": page.get("title"), "page": page.get("id")}
            gather.take(position, row, None, False, len(text.encode("utf-8", "replace")))
        if gather.full:
            yield gather.rows()
    yield gather.rows()


def _article(page: dict[str, str], how: Reading) -> str:
    source = page.get("text", "")
    if page.get("ns", "0") != "0":
        raise Refused(Drop("no_article", f"namespace {page['ns'][:8]}"))
    if "redirect" in page or is_redirect(source):
        raise Refused(Drop("no_article", "redirect"))
    if len(source) > how.limit:
        raise Refused(how.too_large(len(source.encode("utf-8", "replace"))))
    try:
        return plain_text(source)
    except RecursionError as error:
        raise unreadable("nested too deeply") from error


def _pages(stream: IO[bytes], how: Reading) -> Iterator[dict[str, str]]:
    """The parts of every page that are read, one page in memory at a time."""
    from lxml import etree

    number, root = 0, None
    try:
        events = etree.iterparse(stream, ("start", "end"), no_network=True, resolve_entities=False, load_dtd=False)
        _, root = next(events)
        if not root.tag.endswith("mediawiki"):
            fix = "datakit reads the .xml dumps of MediaWiki; turn other XML into .jsonl or .txt"
            raise SourceError("this is no Wikipedia dump", where=how.where, fix=fix)
        for event, element in events:
            if event == "end" and element.tag.endswith("}page"):
                number += 1
                yield _parts(element)
                root.clear()
    except etree.XMLSyntaxError as error:
        if root is None and not stream.read(1) and error.position == (0, 0):
            return
        said = (
            f"the dump is damaged or cut off behind page {number}" if root is not None else "this is no Wikipedia dump"
        )
        raise SourceError(said, where=how.where, fix="get the file again") from error


def _parts(page: Any) -> dict[str, str]:
    parts: dict[str, str] = {}
    for element in page.iter("{*}ns", "{*}title", "{*}id", "{*}redirect", "{*}text"):
        # The first id is the page's own; revisions and their authors have ids too.
        parts.setdefault(element.tag.rpartition("}")[2], element.text or "")
    return parts
