"""Readers for JSON lines and whole JSON files.

A broken line is a drop `unreadable` with its place, the others go on. Lines end at b"\\n" only: U+2028 is text.
orjson parses (38 MB take 0.1 s); only what it refuses is tried with Python's own parser, which takes NaN and halves of
surrogate pairs.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import IO, Any

from datakit.errors import SourceError
from datakit.outcome import Drop
from datakit.stages.ingest.encoding import after_transcoding, blocks, lines_of
from datakit.stages.ingest.rows import MEGABYTE, Gather, Reading, Rows

JSON_BYTES = 512 * 1024 * 1024


def read_jsonl(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """One JSON object a line; lines end at b"\\n" only. NaN is read as null."""
    encoding = after_transcoding(how.encoding)
    gather = Gather()
    for position, line in enumerate(lines_of(stream, how.encoding, how.limit), start=1):
        if isinstance(line, int):
            gather.drop(position, how.too_large(line))
        elif line and not line.isspace():
            gather.take(position, *_parsed(line, encoding), len(line))
        if gather.full:
            yield gather.rows()
    yield gather.rows()


def read_json(stream: IO[bytes], how: Reading) -> Iterator[Rows]:
    """A JSON array, an object that holds one list of objects, or one object; a .json file of JSON lines, too."""
    import orjson

    data = b"".join(_at_most(blocks(stream, how.encoding), JSON_BYTES, how))
    encoding = after_transcoding(how.encoding)
    if not data.strip():
        yield Rows()
        return
    value, wrong, mended = _parsed(data, encoding, whole=True)
    if wrong is not None:
        first = data.lstrip().split(b"\n", 1)[0]
        if _parsed(first, encoding)[1] is None:
            yield from read_jsonl(io.BytesIO(data), replace(how, encoding=encoding))
            return
        fix = "mend the file, or save one JSON object a line as .jsonl: then a broken line costs only itself"
        raise SourceError(f"not valid JSON: {wrong.value}", where=how.where, fix=fix)
    gather = Gather()
    gather.mended += mended
    for position, record in enumerate(_elements(value, how), start=1):
        if isinstance(record, dict):
            gather.take(position, record, None, False, len(orjson.dumps(record)))
        else:
            gather.drop(position, Drop("unreadable", "not an object"))
        if gather.full:
            yield gather.rows()
    yield gather.rows()


def _parsed(line: bytes, encoding: str, whole: bool = False) -> tuple[Any, Drop | None, bool]:
    """(object, None, whether it was mended), or ({}, why not, False)."""
    import orjson

    try:
        text = line if encoding == "utf-8" else line.decode(encoding)
        value = orjson.loads(text)
        mended = False
    except UnicodeDecodeError:
        return {}, Drop("unreadable", f"not {encoding}"), False
    except orjson.JSONDecodeError as error:
        if encoding == "utf-8" and not _is_text(line):
            return {}, Drop("unreadable", "not utf-8"), False
        value, mended = _leniently(line.decode(encoding))
        if value is None:
            return (
                {},
                Drop("unreadable", f"line {error.lineno} column {error.colno}" if whole else f"column {error.colno}"),
                False,
            )
    if not whole and not isinstance(value, dict):
        return {}, Drop("unreadable", "not an object"), False
    return value, None, mended


def _leniently(text: str) -> tuple[Any, bool]:
    """JSON that only Python's own parser takes: NaN and Infinity (read as null), halves of surrogate pairs, or None.

    Cut-off emoji leave such halves in real dumps; they have no UTF-8 and become U+FFFD.
    """
    import orjson

    try:
        value = json.loads(text, parse_constant=lambda name: None)
        spelled = json.dumps(value, ensure_ascii=False)
        whole = spelled.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return orjson.loads(whole), whole != spelled
    except (ValueError, RecursionError):
        return None, False


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _elements(value: Any, how: Reading) -> list[Any]:
    """The rows of a whole JSON file."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        # A row in ShareGPT or messages form holds a list of objects itself: its turns.
        if len(lists) == 1 and not {"conversations", "messages", how.text} & set(value):
            return lists[0]
        return [value]
    raise SourceError("the file holds no rows", where=how.where, fix="a .json file holds a list of objects")


def _at_most(data: Iterable[bytes], limit: int, how: Reading) -> Iterator[bytes]:
    size = 0
    for block in data:
        size += len(block)
        if size > limit:
            fix = "save one object a line as .jsonl, which is streamed"
            raise SourceError(f"a .json file is read whole, up to {limit // MEGABYTE} MiB", where=how.where, fix=fix)
        yield block
