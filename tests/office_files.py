"""Small documents as word processors write them, made from scratch: HWPX, HWP 5 (in an OLE file), DOCX, EPUB."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

HWPML = 'xmlns:hs="http://www.hancom.co.kr/hwpml/2011/section" xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph"'
WORD = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


# HWPX


def hwpx(*sections: str, **more: str) -> bytes:
    """An HWPX file of sections in OWPML."""
    members = {"mimetype": "application/hwp+zip", "META-INF/manifest.xml": "<manifest/>", **more}
    for number, body in enumerate(sections):
        members[f"Contents/section{number}.xml"] = (
            f"<?xml version='1.0' encoding='UTF-8'?><hs:sec {HWPML}>{body}</hs:sec>"
        )
    return zipped(members)


def owpml_p(text: str, inside: str = "") -> str:
    """A paragraph: its text, and what hangs in its run."""
    return f'<hp:p id="0"><hp:run charPrIDRef="0"><hp:t>{text}</hp:t>{inside}</hp:run><hp:linesegarray/></hp:p>'


def owpml_table(rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that hold paragraphs (as XML, or as plain text)."""
    told = ""
    for row in rows:
        cells = (cell if cell.startswith("<") else owpml_p(cell) for cell in row)
        told += "<hp:tr>" + "".join(f"<hp:tc><hp:subList>{cell}</hp:subList></hp:tc>" for cell in cells) + "</hp:tr>"
    return f"<hp:tbl rowCnt='{len(rows)}'>{told}</hp:tbl>"


# HWP 5


def record(tag: int, level: int, data: bytes) -> bytes:
    """A record of an HWP section."""
    head = tag | level << 10 | min(len(data), 0xFFF) << 20
    return struct.pack("<I", head) + (struct.pack("<I", len(data)) if len(data) >= 0xFFF else b"") + data


def hwp_p(text: str, level: int = 0, extended: int = 0) -> bytes:
    """A paragraph; `extended` control characters of eight units (11: a table hangs here) follow its text."""
    control = struct.pack("<H12sH", 11, b"\0" * 12, 11) * extended
    tab = struct.pack("<H12sH", 9, b"\0" * 12, 9)
    units = tab.join(part.encode("utf-16-le") for part in text.split("\t")) + control + b"\r\0"
    count = len(units) // 2
    return record(66, level, struct.pack("<II14x", count, 0)) + record(67, level + 1, units)


def hwp_table(rows: Sequence[Sequence[bytes | str]], level: int = 1) -> bytes:
    """A table control: the records of each cell follow its list header at one level."""
    out = record(71, level, b" lbt" + bytes(42)) + record(
        77, level + 1, struct.pack("<IHH", 0, len(rows), len(rows[0]))
    )
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            where = struct.pack("<HHIHHHH", 1, 0, 0, x, y, 1, 1) + bytes(24)
            inner = cell if isinstance(cell, bytes) else hwp_p(cell, level + 1)
            out += record(72, level + 1, where) + inner
    return out


def hwp(*sections: bytes, flags: int = 1) -> bytes:
    """An HWP 5 file; bit 0 of `flags` packs the sections, bit 1 says locked, bit 2 for distribution."""
    header = b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000300, flags)
    streams = {"FileHeader": header.ljust(256, b"\0")}
    for number, body in enumerate(sections):
        packer = zlib.compressobj(wbits=-15)
        streams[f"BodyText/Section{number}"] = packer.compress(body) + packer.flush() if flags & 1 else body
    return ole(streams)


def ole(streams: Mapping[str, bytes]) -> bytes:
    """An OLE 2 file (one level of folders). Streams are padded to 4,096 bytes, so that no mini stream is needed."""
    end, free, fat_mark, size = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 512
    folders = sorted({name.split("/")[0] for name in streams if "/" in name})
    entries: list[list[object]] = [["Root Entry", 5, free, end, 0]]
    fat: list[int] = []
    body = b""
    children: dict[str, list[int]] = {"": []}
    for folder in folders:
        children[""].append(len(entries))
        children[folder] = []
        entries.append([folder, 1, free, 0, 0])
    for name, data in streams.items():
        folder, _, leaf = name.rpartition("/")
        data = data.ljust(4096, b"\0")
        sectors = -(-len(data) // size)
        children[folder].append(len(entries))
        entries.append([leaf, 2, free, len(fat), len(data)])
        fat += [*range(len(fat) + 1, len(fat) + sectors), end]
        body += data.ljust(sectors * size, b"\0")
    links = {}
    for folder, members in children.items():
        owner = 0 if not folder else 1 + folders.index(folder)
        entries[owner][2] = members[0] if members else free
        links |= dict(zip(members, [*members[1:], free], strict=True))
    directory = b"".join(_entry(entry, links.get(place, free)) for place, entry in enumerate(entries))
    directory = directory.ljust(-(-len(directory) // size) * size, b"\0")
    start = len(fat)
    fat += [*range(start + 1, start + len(directory) // size), end]
    tables = -(-(len(fat) + 1) // 127)
    first_table = len(fat)
    fat += [fat_mark] * tables
    packed = struct.pack(f"<{len(fat)}I", *fat).ljust(tables * size, b"\xff")
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, tables, start, 0, 4096, end, 0, end, 0,
    )  # fmt: skip
    places = [*range(first_table, first_table + tables)]
    return header + struct.pack("<109I", *places, *[free] * (109 - tables)) + body + directory + packed


def _entry(entry: list[object], right: int) -> bytes:
    name, kind, child, start, length = entry
    told = str(name).encode("utf-16-le")
    free = 0xFFFFFFFF
    head = struct.pack("<64sHBBIII", told, len(told) + 2, kind, 1, free, right, child)
    return head + bytes(36) + struct.pack("<IQ", start, length)


# DOCX


def docx(body: str, **more: str) -> bytes:
    """A Word document with this body; `styles` and `numbering` are the inner XML of those parts."""
    parts = {"word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>"}
    for name, xml in more.items():
        parts[f"word/{name}.xml"] = f"<w:{name} {WORD}>{xml}</w:{name}>"
    return zipped({"[Content_Types].xml": "<Types/>", **parts})


def word_p(text: str, properties: str = "") -> str:
    """A paragraph of one run."""
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def word_table(rows: Sequence[Sequence[str]]) -> str:
    """A table of plain cells."""
    told = "".join("<w:tr>" + "".join(f"<w:tc>{word_p(cell)}</w:tc>" for cell in row) + "</w:tr>" for row in rows)
    return f"<w:tbl><w:tblPr/>{told}</w:tbl>"


# EPUB


def epub(*chapters: str) -> bytes:
    """A book of HTML chapters, whose spine turns round the order of their names."""
    count = len(chapters)
    items = "".join(
        f'<item id="c{n}" href="ch%20{count - n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(count)
    )
    order = "".join(f'<itemref idref="c{n}"/>' for n in range(count))
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{order}</spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    pages = {f"OEBPS/ch {count - n}.xhtml": f"<html><body>{page}</body></html>" for n, page in enumerate(chapters)}
    return zipped({"META-INF/container.xml": container, "OEBPS/book.opf": package, **pages})
