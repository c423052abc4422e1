"""Reader for .csv and .tsv: cells are text, as they stand in the file.

Cells may be quoted and hold line ends. A record is called by the line it begins in. A record with too many cells, with
damaged bytes, or left open by a quote that is never closed is dropped, line by line; nothing is moved to other columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from datakit.errors import SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.encoding import after_transcoding, lines_of
from datakit.stages.ingest.rows import Gather, Reading, Rows


def read_table(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """Delimited text with a header line; cells may be quoted and hold line ends."""
    # The csv module's own limit of 131,072 characters a cell is one number for the whole process; it is only raised.
    csv.field_size_limit(max(csv.field_size_limit(), how.limit))
    feed = _Feed(lines_of(stream, how.encoding, how.limit), after_transcoding(how.encoding), how)
    records = csv.reader(feed, delimiter=how.delimiter or ",")
    try:
        header = next(records, None)
    except csv.Error as error:
        raise SourceError("the header line can't be read", where=how.where, fix="set `encoding`") from error
    if header is None:
        yield Rows()
        return
    if feed.damaged:
        raise SourceError("the header line is not valid text", where=how.where, fix="set `encoding`")
    names, gather = _apart(header), Gather()
    feed.begin()
    while True:
        try:
            cells = next(records)
        except StopIteration:
            break
        except csv.Error:
            feed.damaged = feed.damaged or Drop("unreadable", "line end in a cell without quotes")
            cells = []
        if feed.open_quote:
            gather.bad += [(line, Drop("unreadable", "open quote")) for line in range(feed.first, feed.line + 1)]
        elif feed.damaged is not None:
            gather.drop(feed.first, feed.damaged)
        elif len(cells) > len(names):
            gather.drop(feed.first, Drop("unreadable", f"{len(cells)} cells", len(names)))
        elif cells:
            gather.take(feed.first, dict(zip(names, cells, strict=False)), None, False, feed.size)
        feed.begin()
        if gather.full:
            yield gather.rows(names)
    yield gather.rows(names)


class _Feed:
    """Hands decoded lines to the csv module and remembers what belongs to the record it is reading."""

    def __init__(self, lines: Iterator[bytes | int], encoding: str, how: Reading) -> None:
        self.lines, self.encoding, self.how = lines, encoding, how
        self.line = 0
        self.ended = False
        self.begin()

    def begin(self) -> None:
        """Start a new record."""
        self.first, self.size, self.quotes = self.line + 1, 0, 0
        self.damaged: Drop | None = None

    @property
    def open_quote(self) -> bool:
        """Whether the file ended inside a quoted cell, which swallowed all lines since."""
        return self.ended and self.line > self.first and self.quotes % 2 == 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self.lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.line += 1
        if isinstance(line, int):
            self.damaged = self.how.too_large(line)
            return "\n"
        self.size += len(line) + 1
        self.quotes += line.count(b'"')
        if self.size > self.how.limit:
            fix = "close the quote that begins there, or raise `max_row_mb`"
            where = f"{self.how.where}:{self.first}"
            raise SourceError(f"a record is longer than {self.how.max_row_mb:g} MiB", where=where, fix=fix)
        try:
            return line.decode(self.encoding) + "\n"
        except UnicodeDecodeError:
            self.damaged = Drop("unreadable", f"not {self.encoding}")
            return line.decode(self.encoding, "replace") + "\n"


def _apart(names: list[str]) -> list[str]:
    """Column names without white space around them; a repeated or empty one gets its number."""
    clean = [name.strip() for name in names]
    return [
        name if name and name not in clean[:place] else f"{name or 'column'}.{place + 1}"
        for place, name in enumerate(clean)
    ]
