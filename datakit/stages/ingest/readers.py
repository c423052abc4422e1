"""One small reader a format. Each turns a file into `Rows`: 20,000 rows or 8 MiB at a time, which make one shard.

    json_rows    .jsonl, .json
    delimited    .csv, .tsv
    here         .parquet, .arrow, tables of the hub: typed columns; .txt, .md, .html: one document a file
    pdf docx hwpx hwp epub      one document a file (whole.py says what is common to them)
    warc wiki                   many documents a file

Files are streamed: memory is bounded by the shard, not by the file (a .json array excepted: 512 MiB at most).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from datakit.errors import SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.delimited import read_table
from datakit.stages.ingest.docx import docx_text
from datakit.stages.ingest.encoding import after_transcoding, blocks
from datakit.stages.ingest.epub import epub_text
from datakit.stages.ingest.html import main_text
from datakit.stages.ingest.hwp import hwp_text
from datakit.stages.ingest.hwpx import hwpx_text
from datakit.stages.ingest.json_rows import read_json, read_jsonl
from datakit.stages.ingest.pdf import pdf_text
from datakit.stages.ingest.rows import SHARD_BYTES, SHARD_ROWS, Reading, Rows
from datakit.stages.ingest.warc import read_warc
from datakit.stages.ingest.whole import Extract, one_document
from datakit.stages.ingest.wiki import read_wiki

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1_000
Reader = Callable[[IO[bytes], Reading], Iterator[Rows]]


def read_text(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """The whole file as one document."""
    yield from _one_document(stream, how, lambda text: text)


def read_page(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """The main text of an HTML page as one document."""
    yield from _one_document(stream, how, main_text)


def read_parquet(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """A Parquet file, batch by batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = stream if stream.seekable() else pa.BufferReader(stream.read())
    with _undamaged(how):
        yield from _tabular(pq.ParquetFile(source).iter_batches(batch_size=BATCH_ROWS), how)


def read_arrow(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """An Arrow file or stream (Feather, and what `datasets` caches)."""
    import pyarrow as pa

    source = stream if stream.seekable() else pa.BufferReader(stream.read())
    with _undamaged(how):
        try:
            file = pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            yield from _tabular(pa.ipc.open_stream(source), how)
        else:
            yield from _tabular((file.get_batch(place) for place in range(file.num_record_batches)), how)


def read_hub(tables: Iterable[pa.Table], how: Reading) -> Iterator[Rows]:
    """Tables that `datasets` streams."""
    yield from _tabular((batch for table in tables for batch in table.combine_chunks().to_batches()), how)


def whole(extract: Extract) -> Reader:
    """The reader of a format whose files are one document each."""

    def read(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
        yield from one_document(stream, how, extract)

    return read


READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_table,
    "tsv": read_table,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "txt": read_text,
    "html": read_page,
    "pdf": whole(pdf_text),
    "docx": whole(docx_text),
    "hwpx": whole(hwpx_text),
    "hwp": whole(hwp_text),
    "epub": whole(epub_text),
    "warc": read_warc,
    "wiki": read_wiki,
}
DOCUMENTS = frozenset({"txt", "html", "pdf", "docx", "hwpx", "hwp", "epub", "warc", "wiki"})
"""Formats that hold documents, never instruction rows."""
TYPED = frozenset({"parquet", "arrow", "hub"}) | DOCUMENTS - {"txt", "html"}
"""Formats that are no text: they have no encoding, or say it themselves."""


def _one_document(stream: IO[bytes], how: Reading, extract: Callable[[str], str]) -> Iterator[Rows]:
    data = bytearray()
    size = 0
    for block in blocks(stream, how.encoding):
        size += len(block)
        if size <= how.limit:
            data += block
    if size > how.limit:
        yield Rows(bad=[(1, how.too_large(size))])
        return
    try:
        text = data.decode(after_transcoding(how.encoding)) if size else None
    except UnicodeDecodeError:
        yield Rows(bad=[(1, Drop("unreadable", f"not {how.encoding}"))])
        return
    yield Rows([1], {how.text: [extract(text)]}) if text is not None else Rows()


def _tabular(batches: Iterable[pa.RecordBatch], how: Reading) -> Iterator[Rows]:
    """Typed batches as Rows of shard size."""
    waiting: list[pa.RecordBatch] = []
    done = 0
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            waiting.append(batch.slice(start, BATCH_ROWS))
            rows = sum(part.num_rows for part in waiting)
            if rows >= SHARD_ROWS or sum(part.nbytes for part in waiting) >= SHARD_BYTES:
                yield _typed_rows(waiting, done)
                done, waiting = done + rows, []
        waiting = waiting or [batch.slice(0, 0)]
    if waiting:
        yield _typed_rows(waiting, done)


def _typed_rows(batches: list[pa.RecordBatch], done: int) -> Rows:
    import pyarrow as pa

    table = pa.Table.from_batches(batches).combine_chunks()
    table.validate(full=True)
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    return Rows(list(range(done + 1, done + table.num_rows + 1)), columns)


@contextmanager
def _undamaged(how: Reading) -> Iterator[None]:
    """Turn Arrow's complaints into a SourceError. Their own words are left out: they may quote a cell."""
    import pyarrow as pa

    try:
        yield
    except OSError:
        raise
    except pa.ArrowException as error:
        fix = "write the file again, or name it after what it is"
        raise SourceError("the file is damaged or not what its ending says", where=how.where, fix=fix) from error
