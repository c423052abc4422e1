"""Says which encoding a text file is in, from its bytes alone, and turns files into lines and text.

    byte order mark                                  utf-8, utf-16, utf-32
    NUL bytes on one side of the pairs               utf-16 without a mark
    valid UTF-8, or mostly valid lines of it         utf-8 (the damaged lines are dropped one by one)
    pairs that read as everyday Korean               cp949 (what Korean spreadsheets write; holds EUC-KR)
    anything else                                    the page's own `charset=`, then charset-normalizer's guess

The head of the file is read until 256 KiB with non-ASCII bytes are seen (64 MiB at most), so that a CP949 file that
begins with pages of English is still recognized. Lines end at b"\\n" and nowhere else: U+0085 and U+2028 are text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

SAMPLE_BYTES = 256 * 1024
SCAN_BYTES = 64 * 1024 * 1024
BLOCK = 1 << 20
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE = ("utf-16", "utf-32")
CHARSET = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
# The commonest syllables of Korean prose: 35 to 45 % of it. Chinese or Japanese bytes read as CP949 give 2 to 4 %.
EVERYDAY = frozenset("이다는에의가을고하지도기사어로나를한은들리자아서시그있인라대해수과보정")
EVERYDAY_SHARE = 0.12
GUESSES = {"cp1252", "latin_1", "cp932", "shift_jis", "euc_jp", "gb18030", "gbk", "gb2312", "big5", "cp1251", "johab"}


def known_encoding(name: str) -> str:
    """The spelling of an encoding that is used here; LookupError if Python does not know it."""
    found = codecs.lookup(name).name
    same = {"euc_kr": "cp949", "uhc": "cp949", "utf-8-sig": "utf-8", "ascii": "utf-8", "iso8859-1": "cp1252"}
    return same.get(found, found)


def sample_of(stream: IO[bytes]) -> bytes:
    """The head of a file, and what follows up to the first 256 KiB that are not plain ASCII."""
    head = stream.read(SAMPLE_BYTES)
    block, scanned = head, len(head)
    while block and block.isascii() and b"\x00" not in block and scanned < SCAN_BYTES:
        block = stream.read(SAMPLE_BYTES)
        scanned += len(block)
    return head if block is head else head + block


def detect(sample: bytes, guess_from: int = 1) -> str:
    """The encoding of a file, from the bytes of `sample_of`.

    A legacy encoding other than CP949 is believed only with `guess_from` lines that are no UTF-8 (0: never): in a file
    of rows one damaged line must not turn all others into mojibake.
    """
    for mark, name in MARKS:
        if sample.startswith(mark):
            return name
    if wide := _wide_without_mark(sample):
        return wide
    lines = [line for line in sample.split(b"\n")[:-1] or [sample] if not line.isascii()]
    if _is_utf8(sample) or sum(map(_is_utf8, lines)) * 2 >= len(lines) > 0:
        return "utf-8"
    if _is_korean(lines):
        return "cp949"
    if not guess_from or len(lines) < guess_from:
        return "utf-8"
    return _declared(sample) or _guess(b"\n".join(lines)) or "utf-8"


def blocks(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes of a file without byte order mark; UTF-16 and UTF-32 come out as UTF-8."""
    if not encoding.startswith(WIDE):
        first = stream.read(BLOCK)
        yield first.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else first
        while block := stream.read(BLOCK):
            yield block
        return
    # Half of a pair stays a half: it makes its line invalid UTF-8, which drops that line alone.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    yield decoder.decode(stream.read(BLOCK)).removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    while block := stream.read(BLOCK):
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    try:
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        yield b"\xff"


def lines_of(stream: IO[bytes], encoding: str, limit: int) -> Iterator[bytes | int]:
    """Every line without its end; a line longer than `limit` bytes is given as its length and never held."""
    rest, skipped = b"", 0
    for block in blocks(stream, encoding):
        first, *others = block.split(b"\n")
        if not others:
            skipped, rest = _grow(rest, first, skipped, limit)
            continue
        skipped, rest = _grow(rest, first, skipped, limit)
        yield skipped or rest
        for line in others[:-1]:
            yield line if len(line) <= limit else len(line)
        skipped, rest = _grow(b"", others[-1], 0, limit)
    if rest or skipped:
        yield skipped or rest


def after_transcoding(encoding: str) -> str:
    """The encoding of what `blocks` gives."""
    return "utf-8" if encoding.startswith(WIDE) else encoding


def _grow(rest: bytes, more: bytes, skipped: int, limit: int) -> tuple[int, bytes]:
    if skipped or len(rest) + len(more) > limit:
        return skipped + len(rest) + len(more), b""
    return 0, rest + more


def _wide_without_mark(sample: bytes) -> str | None:
    """UTF-16 shows NULs on one side of its pairs only: with Latin text nearly everywhere, with Korean at spaces."""
    pairs = len(sample) // 2
    if pairs < 2 or b"\x00" not in sample:
        return None
    even, odd = sample[: 2 * pairs : 2].count(0), sample[1 : 2 * pairs : 2].count(0)
    if min(even, odd) > 0:
        return None
    share = max(even, odd) / pairs
    # A stray NUL in UTF-8 text is no reason to read it as UTF-16.
    if share < 0.3 and (share < 0.02 or _is_utf8(sample)):
        return None
    return "utf-16-le" if odd else "utf-16-be"


def _is_utf8(data: bytes) -> bool:
    return _decoded(data, "utf-8") is not None


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text of some bytes that may end inside a character, None if they are no text in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


def _is_korean(lines: list[bytes]) -> bool:
    """Whether lines that are no UTF-8 read as CP949 and look like Korean then."""
    decoded = [text for line in lines if (text := _decoded(line, "cp949")) is not None]
    if len(decoded) * 10 < len(lines) * 9 and len(lines) - len(decoded) > 1:
        return False
    beyond = [c for text in decoded for c in text if c > "\x7f"]
    hangul = [c for c in beyond if "가" <= c <= "힣"]
    if len(hangul) * 2 < len(beyond) or not hangul:
        return False
    return len(hangul) < 30 or sum(c in EVERYDAY for c in hangul) >= EVERYDAY_SHARE * len(hangul)


def _declared(sample: bytes) -> str | None:
    """The charset that an HTML page claims, if it fits the page."""
    found = CHARSET.search(sample[:4096])
    if not found:
        return None
    try:
        name = known_encoding(found[1].decode("ascii"))
    except LookupError:
        return None
    return name if _decoded(sample, name) is not None else None


def _guess(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=sorted(GUESSES)).best()
    return known_encoding(best.encoding) if best else None
