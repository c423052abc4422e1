"""Says which encoding a text file is in, from its bytes alone, and turns files into lines and text.

    byte order mark                                  utf-8, utf-16, utf-32
    NUL bytes on one side of the pairs               utf-16 without a mark
    valid UTF-8, or mostly valid lines of it         utf-8 (the damaged lines are dropped one by one)
    anything else                                    the legacy encoding that explains the bytes best (legacy.py):
                                                     CP949, which holds EUC-KR, first; unsure: the page's `charset=`

Each finding has a confidence; it is told with every file that is no UTF-8, and an unsure one says how to correct it.

The head of the file is read until 256 KiB with non-ASCII bytes are seen (64 MiB at most), so that a CP949 file that
begins with pages of English is still recognized. Lines end at b"\\n" and nowhere else: U+0085 and U+2028 are text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from datakit.stages.ingest.legacy import likeliest

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
# Latin, Greek, Cyrillic, punctuation, kana, CJK, Hangul, full-width forms.
WIDE_TEXT = re.compile(
    "[\t\n\r\x20-\u024f\u0370-\u052f\u1100-\u11ff\u2000-\u206f\u3000-\u318f\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
CHARSET = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
UNSURE = 0.8
"""Below this confidence a guess is called a guess where it is told."""

CLAIM_HOLDS_BELOW = 0.99
"""What a page claims of itself is believed unless its bytes say otherwise with this confidence."""


class Detected(NamedTuple):
    """An encoding, and how sure it is (1: a byte order mark, plain ASCII, or UTF-8 beyond chance)."""

    encoding: str
    confidence: float

    @property
    def unsure(self) -> bool:
        return self.confidence < UNSURE

    def told(self) -> str:
        """The finding as it is said of a file."""
        hint = "; set `encoding` if that is wrong" if self.unsure else ""
        return f"read as {self.encoding} (confidence {self.confidence:.2f}{hint})"


def known_encoding(name: str) -> str:
    """The spelling of an encoding that is used here; LookupError if Python does not know it."""
    found = codecs.lookup(name).name
    same = {"euc_kr": "cp949", "uhc": "cp949", "utf-8-sig": "utf-8", "ascii": "utf-8", "iso8859-1": "cp1252"}
    return same.get(found, found)


def sample_of(stream: IO[bytes]) -> tuple[bytes, bool]:
    """The head of a file, and what follows up to the first 256 KiB that are not plain ASCII; whether that is all."""
    head = stream.read(SAMPLE_BYTES)
    while len(head) < SAMPLE_BYTES and (more := stream.read(SAMPLE_BYTES - len(head))):
        head += more
    if len(head) < SAMPLE_BYTES:
        return head, True
    block, scanned = head, len(head)
    while block and block.isascii() and b"\x00" not in block and scanned < SCAN_BYTES:
        block = stream.read(SAMPLE_BYTES)
        scanned += len(block)
    return (head if block is head else head + block), False


def detect(sample: bytes, guess_from: int = 1) -> Detected:
    """The encoding of a file, from the bytes of `sample_of`.

    A legacy encoding other than CP949 is believed only with `guess_from` lines that are no UTF-8 (0: never): in a file
    of rows one damaged line must not turn all others into mojibake.
    """
    for mark, name in MARKS:
        if sample.startswith(mark):
            return Detected(name, 1.0)
    if wide := _wide_without_mark(sample):
        return wide
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    if _is_utf8(sample):
        return Detected("utf-8", _beyond_chance(lines))
    valid = sum(map(_is_utf8, lines))
    if valid * 2 >= len(lines):
        return Detected("utf-8", valid / len(lines))
    return _legacy(sample, lines, guess_from) or Detected("utf-8", valid / len(lines))


def blocks(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes of a file without byte order mark; UTF-16 and UTF-32 come out as UTF-8."""
    if not encoding.startswith(WIDE):
        first = stream.read(BLOCK)
        yield first.removeprefix(codecs.BOM_UTF8) if encoding == "utf-8" else first
        while block := stream.read(BLOCK):
            yield block
        return
    # Half of a pair stays a half, and what is no character becomes one: its line is invalid UTF-8, and alone dropped.
    decoder = codecs.getincrementaldecoder(encoding)(HALVES)
    yield decoder.decode(stream.read(BLOCK)).removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    while block := stream.read(BLOCK):
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _half(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for bytes that are no character of UTF-16 or UTF-32: the half that they are, or any other."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeDecodeError as wrong:
        return "\udcff", wrong.end


HALVES = "datakit.halves"
codecs.register_error(HALVES, _half)


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


def _legacy(sample: bytes, lines: list[bytes], guess_from: int) -> Detected | None:
    """What lines that are no UTF-8 are written in: what they say, else what the page claims."""
    name, confidence = likeliest(b"\n".join(lines))
    if name == "cp949" and (guess_from or confidence >= UNSURE):
        return Detected(name, confidence)
    if not guess_from or len(lines) < guess_from:
        return None
    claimed = _declared(sample)
    if claimed and (claimed == name or confidence < CLAIM_HOLDS_BELOW):
        return Detected(claimed, max(confidence if claimed == name else 0.0, UNSURE))
    return Detected(name, confidence) if name else None


def _beyond_chance(lines: list[bytes]) -> float:
    """How sure valid UTF-8 is: one accented letter may be two of Latin-1, Hangul of three bytes hardly ever."""
    head = b"\n".join(lines[:3])[:300]
    longer, pairs = sum(byte >= 0xE0 for byte in head), sum(0xC2 <= byte < 0xE0 for byte in head)
    return 1.0 - (0.1**pairs * 0.01**longer if pairs + longer else 0.0)


def _wide_without_mark(sample: bytes) -> Detected | None:
    """UTF-16 without a mark: spaces and line ends are pairs with a NUL, also in Korean, and tell its side."""
    pairs = len(sample) // 2
    nuls = sample.count(0)
    # A stray NUL in UTF-8 text is no reason to read it as UTF-16; Latin text in UTF-16 is valid UTF-8 full of NULs.
    if not nuls or nuls < 0.02 * pairs or (nuls < 0.3 * pairs and _is_utf8(sample)):
        return None
    sides, shares = {}, {}
    for name in ("utf-16-le", "utf-16-be"):
        text = _decoded(sample, name)
        if text is not None and len(WIDE_TEXT.findall(text)) >= 0.9 * len(text):
            sides[name] = sum(text.count(mark) for mark in " \n,.")
            shares[name] = len(WIDE_TEXT.findall(text)) / len(text)
    if not any(sides.values()):
        return None
    best = max(sides, key=lambda name: sides[name])
    return Detected(best, shares[best] * sides[best] / sum(sides.values()))


def _is_utf8(data: bytes) -> bool:
    return _decoded(data, "utf-8") is not None


def _decoded(data: bytes, encoding: str) -> str | None:
    """The text of some bytes that may end inside a character, None if they are no text in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None


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
