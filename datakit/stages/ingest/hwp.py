"""HWP 5, the binary format of Hancom's word processor: text and tables, by olefile and the published format.

    OLE file -> FileHeader (flags) -> BodyText/Section0, ... (raw deflate) -> records (tag, level, size)
             -> PARA_TEXT (UTF-16, control characters take 8 units)

The format is Hancom's "한글 문서 파일 형식 5.0". pyhwp, which reads more of it, is AGPL and was last released in 2020.
Left out: page headers and footers, memos. Locked files and files "for distribution", whose body is encrypted, are
`unreadable`, as are those of HWP 3 and older: save them as .hwpx.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from unicodedata import normalize

from datakit.stages.ingest.rows import Reading
from datakit.stages.ingest.whole import Refused, need, unreadable
from datakit.stages.ingest.zipped import table_text

SIGNATURE = b"HWP Document File"
COMPRESSED, LOCKED, DISTRIBUTED = 1, 2, 4
PARA_HEADER, PARA_TEXT, CTRL_HEADER, LIST_HEADER, TABLE = 66, 67, 71, 72, 77
ONE_UNIT = {0: "", 10: "\n", 13: "", 24: "-", 25: "", 26: "", 27: "", 28: "", 29: "", 30: " ", 31: " "}
"""Control characters of one UTF-16 unit, and what they stand for; all others below 32 take eight."""
SKIPPED = frozenset({b"head", b"foot", b"tcmt"})
CELL = struct.Struct("<HH")
CELL_AT = 8
"""Where the column and row of a cell stand in its LIST_HEADER."""


@dataclass(slots=True)
class Record:
    """A record of a section with the records below it."""

    tag: int
    level: int
    data: bytes
    below: list[Record] = field(default_factory=list)


def hwp_text(data: bytes, how: Reading) -> tuple[str, dict[str, Any]]:
    """The text of an HWP document."""
    need("hwp", how.where)
    import olefile

    if data.startswith(b"HWP Document File V3") or not olefile.isOleFile(BytesIO(data)):
        old = data.startswith(SIGNATURE)
        raise unreadable("HWP 3: save it as .hwpx" if old else "damaged or no HWP document")
    try:
        with olefile.OleFileIO(BytesIO(data)) as archive:
            blocks = [block for section in _sections(archive, how) for block in _blocks(_tree(section))]
    except Refused:
        raise
    except (OSError, ValueError, IndexError, KeyError, struct.error, zlib.error, RecursionError) as error:
        # What olefile and a cut-off stream raise; their words may quote the file.
        raise unreadable("damaged or cut off: save it as .hwpx") from error
    return normalize("NFC", "\n\n".join(blocks)), {}


def _sections(archive: Any, how: Reading) -> Iterator[bytes]:
    """The unpacked sections of the body, which may hold `max_row_mb` together."""
    if not archive.exists("FileHeader"):
        raise unreadable("no HWP document")
    header = archive.openstream("FileHeader").read(40)
    flags = int.from_bytes(header[36:40], "little")
    if not header.startswith(SIGNATURE) or flags & LOCKED:
        raise unreadable("locked by a password" if flags & LOCKED else "no HWP document")
    if flags & DISTRIBUTED:
        raise unreadable("for distribution only: its text is encrypted")
    names = [path for path in archive.listdir() if path[0] == "BodyText" and re.fullmatch(r"Section\d+", path[-1])]
    left = how.limit
    for path in sorted(names, key=lambda path: int(path[-1][7:])):
        packed = archive.openstream(path).read()
        section = zlib.decompressobj(-15).decompress(packed, left + 1) if flags & COMPRESSED else packed
        left -= len(section)
        if left < 0:
            raise Refused(how.too_large(how.limit + 1))
        yield section


def _tree(section: bytes) -> Record:
    """The records of a section by their levels, below one root."""
    root = Record(0, -1, b"")
    path, at = [root], 0
    while at + 4 <= len(section):
        head = int.from_bytes(section[at : at + 4], "little")
        tag, level, size = head & 0x3FF, head >> 10 & 0x3FF, head >> 20
        at += 4
        if size == 0xFFF:
            size = int.from_bytes(section[at : at + 4], "little")
            at += 4
        if at + size > len(section):
            raise unreadable("damaged or cut off: save it as .hwpx")
        while path[-1].level >= level:
            path.pop()
        record = Record(tag, level, section[at : at + size])
        path[-1].below.append(record)
        path.append(record)
        at += size
    return root


def _blocks(parent: Record) -> Iterator[str]:
    """Paragraphs and tables below a record, in reading order: what hangs on a paragraph follows its text."""
    for record in parent.below:
        if record.tag == PARA_TEXT:
            if text := _words(record.data).strip():
                yield text
        elif record.tag == CTRL_HEADER and record.data[3::-1] in SKIPPED:
            continue
        elif record.tag == CTRL_HEADER and any(child.tag == TABLE for child in record.below):
            yield from _table(record)
        else:
            yield from _blocks(record)


def _words(data: bytes) -> str:
    """The text of a PARA_TEXT record without its control characters."""
    units = struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2])
    kept: list[int] = []
    at = 0
    while at < len(units):
        unit = units[at]
        if unit >= 32:
            kept.append(unit)
        elif unit == 9:
            kept.append(9)
        else:
            kept += map(ord, ONE_UNIT.get(unit, ""))
        at += 1 if unit >= 32 or unit in ONE_UNIT else 8
    return struct.pack(f"<{len(kept)}H", *kept).decode("utf-16-le", "replace")


def _table(control: Record) -> Iterator[str]:
    """A table as Markdown; one of one column, or with a table in it, gives its paragraphs.

    The paragraphs of a cell follow its LIST_HEADER at the same level.
    """
    cells: list[tuple[tuple[int, int], list[str]]] = []
    loose, inside = Record(0, 0, b""), False
    for record in control.below:
        if record.tag == TABLE:
            inside = True
        elif record.tag == LIST_HEADER and inside and len(record.data) >= CELL_AT + CELL.size:
            column, row = CELL.unpack_from(record.data, CELL_AT)
            cells.append(((row, column), []))
            cells[-1][1].extend(_blocks(record))
        elif cells:
            cells[-1][1].extend(_blocks(Record(0, 0, b"", [record])))
        else:
            loose.below.append(record)
    yield from _blocks(loose)
    rows: dict[int, list[list[str]]] = {}
    for (row, _), blocks in sorted(cells, key=lambda cell: cell[0]):
        rows.setdefault(row, []).append(blocks)
    if max(map(len, rows.values()), default=0) <= 1 or _holds_table(control):
        yield from (block for cells_of in rows.values() for cell in cells_of for block in cell)
    elif text := table_text([" ".join(cell) for cell in cells_of] for cells_of in rows.values()):
        yield text


def _holds_table(control: Record) -> bool:
    """Whether a table holds another one: then it only arranges the page."""
    waiting = [below for record in control.below for below in record.below]
    while waiting:
        record = waiting.pop()
        if record.tag == TABLE:
            return True
        waiting += record.below
    return False
