"""Files that are one document each and no text: read whole, bounded, and never a traceback.

    pdf   docx   hwpx   hwp   epub        bytes -> text, and some facts that travel as `source.<name>`

A file that can't be read is one counted drop (`unreadable` or `no_text`, with the reason as its value), so that a
folder of ten thousand documents does not end at a damaged one. Memory: the file and its text, each at most
`max_row_mb`, which also bounds what a crafted zip may unpack to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import IO, Any

from datakit.errors import Problem, SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.rows import Reading, Rows

BLOCK = 1 << 20
PACKAGES = {
    "pdf": ("pypdfium2", "documents"),
    "hwp": ("olefile", "documents"),
    "warc": ("fastwarc", "web"),
    "wiki": ("mwparserfromhell", "web"),
}
"""Formats that need a package which datakit does not install by itself: its module, and the extra that brings it."""

Extract = Callable[[bytes, Reading], tuple[str, dict[str, Any]]]


class Refused(Exception):  # noqa: N818 - what is refused is a row, not an error of the program
    """A document that can't be read, and the drop that says why; never leaves the reader."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(drop.rule)
        self.drop = drop


def unreadable(why: str) -> Refused:
    """The refusal of a damaged or locked document."""
    return Refused(Drop("unreadable", why))


def missing_package(form: str, place: str) -> Problem | None:
    """What to install before files of this format can be read; None if nothing is missing."""
    module, extra = PACKAGES.get(form, ("", ""))
    if not module or find_spec(module) is not None:
        return None
    return Problem(place, f"reading .{form} files needs the package {module}", f"pip install 'datakit[{extra}]'")


def need(form: str, where: str) -> None:
    """SourceError if the package that reads this format is not installed."""
    if problem := missing_package(form, where):
        raise SourceError(problem.message, where=where, fix=problem.fix)


def one_document(stream: IO[bytes], how: Reading, extract: Extract) -> Iterator[Rows]:
    """The whole file as one document; what it can't be is a drop at position 1. An empty file gives no row."""
    data, size = _bounded(stream, how.limit)
    if not size:
        yield Rows()
        return
    try:
        if size > how.limit:
            raise Refused(how.too_large(size))
        text, facts = extract(data, how)
        if (spelled := len(text.encode("utf-8", "replace"))) > how.limit:
            raise Refused(how.too_large(spelled))
    except Refused as refused:
        yield Rows(bad=[(1, refused.drop)])
    else:
        yield Rows([1], {how.text: [text], **{name: [value] for name, value in facts.items()}})


def _bounded(stream: IO[bytes], limit: int) -> tuple[bytes, int]:
    """The bytes of a file and their number; nothing is held of a file beyond `limit`, its length is still counted."""
    held, size = bytearray(), 0
    while block := stream.read(BLOCK):
        size += len(block)
        if size <= limit:
            held += block
        else:
            held.clear()
    return bytes(held), size
