"""The zip files that word processors write, opened with bounds, and their XML without entities or network."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from io import BytesIO
from lzma import LZMAError
from typing import Any

from datakit.stages.ingest.rows import Reading
from datakit.stages.ingest.whole import Refused, unreadable

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, LZMAError, EOFError, OSError, ValueError, NotImplementedError)
"""What `zipfile` raises over damaged files, found by changing bytes at random."""

MEMBER = b"PK\x01\x02"
"""How a zip file begins the entry of a member in its list."""
MOST_MEMBERS = 20_000
"""A list of a million names takes zipfile 700 MB; the largest books hold some thousand files."""


class Zipped:
    """Members of a zip file; all that are read unpack to `max_row_mb` together at most."""

    def __init__(self, data: bytes, how: Reading) -> None:
        self._how, self._left = how, how.limit
        if data.count(MEMBER) > MOST_MEMBERS:
            raise unreadable(f"more than {MOST_MEMBERS:,} files inside")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except DAMAGE as error:
            # Office writes a locked document as an OLE file in place of the zip.
            locked = data.startswith(b"\xd0\xcf\x11\xe0")
            raise unreadable("locked by a password" if locked else "damaged or no zip file") from error
        self.names = self._zip.namelist()

    def read(self, name: str) -> bytes | None:
        """The bytes of a member, None if there is none of that name."""
        if name not in self.names:
            return None
        try:
            with self._zip.open(name) as member:
                data = member.read(self._left + 1)
        except DAMAGE as error:
            raise unreadable("damaged or cut off") from error
        except RuntimeError as error:  # zipfile's word for a password
            raise unreadable("locked by a password") from error
        if len(data) > self._left:
            raise Refused(self._how.too_large(self._zip.getinfo(name).file_size))
        self._left -= len(data)
        return data

    def xml(self, name: str) -> Any:
        """The root element of an XML member, None if there is none of that name."""
        data = self.read(name)
        return None if data is None else xml_root(data)


def xml_root(data: bytes) -> Any:
    """The root of an XML document; entities are not expanded and nothing is fetched."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise unreadable("damaged XML inside") from error


def local(element: Any) -> str:
    """The name of an element without its namespace: Hancom and Microsoft change theirs with the version."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """An attribute by its name without namespace."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)


def table_text(rows: Iterable[list[str]]) -> str:
    """Rows of cells as a Markdown table; "" if no cell holds text."""
    lines = []
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        if any(cells):
            lines.append("| " + " | ".join(cells) + " |")
            if len(lines) == 1:
                lines.append("|" + " --- |" * len(cells))
    return "\n".join(lines if len(lines) > 2 else lines[:1])
