"""Web archives (.warc, .warc.gz): one document for each HTML response, by FastWARC.

    position    number of the record in the file, all kinds counted
    source.url, source.date    what the record says of itself

Responses that are no page (pictures, errors, redirects) are drops `no_article` with status or type; requests and the
like are no rows. Plain text (`conversion` records, the WET files of Common Crawl) is taken as it stands. The charset of
the HTTP header is believed where the bytes fit it, else the bytes tell, as in a file. Memory: one record, at most
`max_row_mb`, and the shard. Cost: FastWARC reads some 100 MB/s, taking the main text out of pages 10 MB/s.
"""

from __future__ import annotations

from collections.abc import Iterator
from lzma import LZMAError
from typing import IO, Any

from datakit.errors import SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.encoding import SAMPLE_BYTES, detect, known_encoding
from datakit.stages.ingest.html import main_text
from datakit.stages.ingest.rows import Gather, Reading, Rows
from datakit.stages.ingest.whole import Refused, need, unreadable

PAGES = ("text/html", "application/xhtml+xml")
PLAIN = ("text/plain",)


def read_warc(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """The pages of a web archive."""
    need("warc", how.where)
    gather = Gather()
    for position, record in enumerate(_records(stream, how), start=1):
        try:
            text = _text(record, how)
        except Refused as refused:
            gather.drop(position, refused.drop)
        else:
            if text is not None:
                url, date = record.headers.get("WARC-Target-URI"), record.headers.get("WARC-Date")
                row = {how.text: text, "url": url, "date": date}
                gather.take(position, row, None, False, len(text.encode("utf-8", "replace")))
        if gather.full:
            yield gather.rows()
    yield gather.rows()


class _Steady:
    """A stream that never raises and always tells its place: an error inside FastWARC's callbacks ends the process."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._place = stream, 0
        self.error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(size) if self.error is None else b""
        except (OSError, EOFError, LZMAError) as error:
            self.error, data = error, b""
        self._place += len(data)
        return data

    def tell(self) -> int:
        return self._place


def _records(stream: IO[bytes], how: Reading) -> Iterator[Any]:
    """All records of a file; SourceError where it is damaged."""
    from fastwarc.warc import ArchiveIterator

    steady, number = _Steady(stream), 0
    told: Any = steady  # FastWARC asks for `seek` by type only
    try:
        for record in ArchiveIterator(told, parse_http=False, stream_detect=False):
            number += 1
            yield record
    except OSError as error:
        if steady.error is None:
            said = f"the archive is damaged behind record {number}" if number else "this is no web archive"
            raise SourceError(said, where=how.where, fix="get the file again") from error
    if steady.error is not None:
        raise steady.error


def _text(record: Any, how: Reading) -> str | None:
    """The text of a record, None if it is of a kind that holds none."""
    from fastwarc.warc import WarcRecordType

    if record.record_type not in (WarcRecordType.response, WarcRecordType.conversion):
        return None
    if record.content_length > how.limit:
        raise Refused(how.too_large(record.content_length))
    try:
        record.freeze()  # read to its end before it is looked into: a broken body must not take others along
        if record.record_type == WarcRecordType.response:
            return _page(record, how)
        return _decoded(record.reader.read(), None)
    except (ValueError, OSError) as error:
        raise unreadable("damaged or cut off") from error


def _page(record: Any, how: Reading) -> str:
    """The main text of a response."""
    record.parse_http(auto_decode="all")
    headers = record.http_headers
    if headers is None or not headers.status_code:
        raise unreadable("no HTTP response")
    kind = (record.http_content_type or "").lower()
    if headers.status_code != 200:
        raise Refused(Drop("no_article", f"status {headers.status_code}"))
    if kind not in PAGES and kind not in PLAIN:
        raise Refused(Drop("no_article", kind[:40] or "no content type"))
    body = record.reader.read(how.limit + 1)
    if len(body) > how.limit:
        raise Refused(how.too_large(len(body)))
    text = _decoded(body, record.http_charset)
    return main_text(text) if kind in PAGES else text


def _decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(known_encoding(charset)) if charset else body.decode(detect(body[:SAMPLE_BYTES]).encoding)
    except (LookupError, UnicodeDecodeError):
        return body.decode(detect(body[:SAMPLE_BYTES]).encoding, "replace")
