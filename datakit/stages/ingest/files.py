"""Finds input files and opens them: paths, folders, globs, any fsspec URL; .gz, .bz2, .zst and .xz are unpacked.

A file is called by its path below the fixed part of its pattern (`data/**/*.jsonl` finds `data/a/x.jsonl`, called
`a/x.jsonl`), so that moving a corpus does not rename its rows; two files of one name get their parent folders in front.
Names are NFC: macOS hands out decomposed Hangul, and the same file must give the same ids everywhere. Files come
sorted by name within a pattern; a list of patterns keeps its order; a file found twice is read once.

Cost: every file is read once for its digest, on each run: sizes and dates are no proof of content. About 1 GB/s a
core, and 4 s of one core for 100,000 small files.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any, cast
from unicodedata import normalize

from datakit.canon import digest_bytes, digest_stream
from datakit.errors import SourceError
from datakit.remote import know_object_stores
from datakit.stage import Source

FORMATS = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "json",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "txt": "txt",
    "md": "txt",
    "markdown": "txt",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "pdf": "pdf",
    "docx": "docx",
    "hwpx": "hwpx",
    "hwp": "hwp",
    "epub": "epub",
    "warc": "warc",
    "wet": "warc",
    "xml": "wiki",
}
PACKINGS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "xz": "xz"}
READABLE = (
    ".jsonl .json .csv .tsv .parquet .arrow .txt .md .html .pdf .docx .hwpx .hwp .epub .warc .xml (Wikipedia dumps), "
    "each also .gz .bz2 .zst .xz"
)
MAGIC = re.compile(r"[*?\[]")
LARGE = 1 << 20
"""Bytes from which on a file's digest is worth a thread."""
UNPACKED = 256 << 20
EXPANSION = 400
"""A packed file may give so many bytes, and beyond them so many times its own: gzip reaches 1,030 on zeros, text 20."""


@dataclass(slots=True)
class _Found:
    """A file on its way to a name: `parts` is its path, `taken` how many of its last parts make the name."""

    url: str
    parts: tuple[str, ...]
    taken: int

    @property
    def name(self) -> str:
        return normalize("NFC", "/".join(self.parts[-self.taken :]))


def format_of(path: str) -> tuple[str, str | None] | None:
    """The format and the packing that a file's ending tells, None for an ending that is not read."""
    name = path.split("?")[0].split("#")[0].rpartition("/")[2].lower()
    stem, _, last = name.rpartition(".")
    packing = PACKINGS.get(last)
    form = FORMATS.get(stem.rpartition(".")[2] if packing and "." in stem else "" if packing else last if stem else "")
    return (form, packing) if form else None


def find(patterns: Sequence[str]) -> dict[str, list[Source]]:
    """The files of each pattern, in order, with names and digests; a file counts for the first that finds it."""
    found: dict[str, list[_Found]] = {}
    seen: set[str] = set()
    for pattern in patterns:
        matched = sorted(_match(pattern), key=lambda file: (file.name, file.url))
        found[pattern] = [file for file in matched if file.url not in seen]
        seen |= {file.url for file in matched}
    _name_apart([file for files in found.values() for file in files])
    told = _digests([file.url for files in found.values() for file in files])
    return {p: [Source(file.url, file.name, *told[file.url]) for file in files] for p, files in found.items()}


@contextmanager
def opened(url: str) -> Iterator[IO[bytes]]:
    """The unpacked bytes of a file."""
    import pyarrow as pa

    packing = (format_of(url.split("::")[0]) or ("", None))[1]
    with explained(url), _raw(url) as raw:
        if packing is None:
            yield raw
        elif packing == "xz":
            import lzma

            with lzma.open(raw) as stream:
                yield cast(IO[bytes], Unpacking(stream, raw, url))
        else:
            with closing(pa.CompressedInputStream(pa.PythonFile(raw, "r"), packing)) as stream:
                yield cast(IO[bytes], Unpacking(stream, raw, url))


class Unpacking:
    """The bytes of a packed file as a stream, which ends in a SourceError if a small file unpacks without end."""

    def __init__(self, stream: Any, raw: Any, where: str) -> None:
        self._stream, self._raw, self._where, self._given = stream, raw, where, 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all that are left for -1."""
        if size >= 0:
            return self._counted(size)
        return b"".join(iter(partial(self._counted, LARGE), b""))

    def _counted(self, size: int) -> bytes:
        data = bytes(self._stream.read(size))
        self._given += len(data)
        if self._given > UNPACKED and self._given > EXPANSION * self._raw.tell():
            said = f"the file unpacks to more than {EXPANSION} times its size: it is made to fill memory and disks"
            raise SourceError(said, where=self._where, fix="leave it out; if it is right, unpack it yourself")
        return data

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return False


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the system says about a file into one sentence with a remedy."""
    from lzma import LZMAError

    remedies = {
        errno.EACCES: ("no permission to read this file", "give yourself read permission (chmod u+r) or leave it out"),
        errno.ENOENT: ("the file vanished while it was read", "run again"),
        errno.EISDIR: ("this is a folder, not a file", "name the folder itself in `files`"),
    }
    try:
        yield
    except SourceError:
        raise
    except (EOFError, LZMAError) as error:
        raise SourceError("the compressed file is damaged or cut off", where=where, fix="get it again") from error
    except OSError as error:
        # Arrow's decompressor says "damaged" by an OSError without a number, as gzip and bz2 do.
        packed = error.errno is None and (format_of(where) or ("", None))[1] is not None
        other = "the compressed file is damaged or cut off" if packed else f"the file can't be read: {error.strerror}"
        message, fix = remedies.get(error.errno or 0, (other, "get it again" if packed else ""))
        raise SourceError(message, where=where, fix=fix) from error


@contextmanager
def _raw(url: str) -> Iterator[Any]:
    if _is_local(url):
        with open(url, "rb") as stream:
            yield stream
        return
    import fsspec

    know_object_stores()
    with fsspec.open(url, "rb", compression=None) as stream:
        yield stream


def _is_local(url: str) -> bool:
    return "://" not in url and "::" not in url


def _digests(urls: Sequence[str]) -> dict[str, tuple[str, int]]:
    """The digest and the size of each file. Large ones on this machine are read side by side: hashing frees the GIL."""
    told, large = {}, []
    for url in urls:
        with explained(url), _raw(url) as stream:
            head = stream.read(LARGE) if _is_local(url) else b""
            if len(head) == LARGE:
                large.append(url)
            else:
                told[url] = (digest_bytes(head), len(head)) if _is_local(url) else _digest(stream)
    with ThreadPoolExecutor() as pool:
        told.update(zip(large, pool.map(_digest_of, large), strict=True))
    return told


def _digest_of(url: str) -> tuple[str, int]:
    with explained(url), _raw(url) as stream:
        return _digest(stream)


def _digest(stream: IO[bytes]) -> tuple[str, int]:
    return digest_stream(stream), stream.tell()


def _match(pattern: str) -> list[_Found]:
    """The files behind one pattern: a file, a folder with all below it, or a glob."""
    import fsspec

    know_object_stores()
    try:
        fs, path = fsspec.core.url_to_fs(os.path.expanduser(pattern))
    except (ImportError, ValueError) as error:
        raise SourceError("this kind of address can't be opened", where=pattern, fix=_needed(error)) from error
    behind = "::" + pattern.split("::", 1)[1] if "::" in pattern else ""
    with explained(pattern):
        if fs.isfile(path):
            return [_single(fs, path, behind)]
        if fs.isdir(path):
            root, below = path, fs.find(path)
        elif MAGIC.search(path):
            root, below = _fixed_part(path), [one for one in fs.glob(path) if fs.isfile(one)]
        else:
            raise SourceError("no such file or folder", where=pattern, fix=_nearest(fs, path))
    skip = len(_parts(root))
    visible = [one for one in below if not any(part.startswith(".") for part in _parts(one)[skip:])]
    files = [_Found(_url(fs, one, behind), _parts(one), len(_parts(one)) - skip) for one in visible if format_of(one)]
    if not files:
        endings = sorted({PurePosixPath(one).suffix for one in visible} - {""})
        seen = f"it holds {len(visible)} files ({' '.join(endings[:8])})" if visible else "nothing is there"
        raise SourceError(f"no file to read: {seen}", where=pattern, fix=f"datakit reads {READABLE}")
    return files


def _needed(error: Exception) -> str:
    """What to install for a file system; fsspec says so itself for all but http."""
    said = str(error).strip()
    return 'pip install "fsspec[http]"' if "aiohttp" in said else said


def _single(fs: Any, path: str, behind: str) -> _Found:
    if format_of(path) is None:
        ending = PurePosixPath(path).suffix or "none"
        raise SourceError(f"files with this ending are not read: {ending}", where=path, fix=f"datakit reads {READABLE}")
    return _Found(_url(fs, path, behind), _parts(path.split("?")[0]), 1)


def _url(fs: Any, path: str, behind: str) -> str:
    from fsspec.implementations.local import LocalFileSystem

    return path if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(path) + behind


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _fixed_part(path: str) -> str:
    """The folders of a glob before its first wild card."""
    fixed = []
    for part in path.split("/")[:-1]:
        if MAGIC.search(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def _nearest(fs: Any, path: str) -> str:
    folder, _, name = path.rpartition("/")
    try:
        names = [one.rstrip("/").rpartition("/")[2] for one in fs.ls(folder or "/", detail=False)]
    except OSError:
        return f"there is no folder {folder} either; relative paths start at the current directory"
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else "relative paths start at the current directory"


def _name_apart(files: list[_Found]) -> None:
    """Give files of one name their parent folders until the names differ."""
    while True:
        groups: dict[str, list[_Found]] = {}
        for file in files:
            groups.setdefault(file.name, []).append(file)
        longer = [f for group in groups.values() if len(group) > 1 for f in group if f.taken < len(f.parts)]
        if not longer:
            break
        for file in longer:
            file.taken += 1
    for group in groups.values():
        # Equal paths on two file systems: the address itself tells them apart.
        for file in group if len(group) > 1 else ():
            file.parts, file.taken = (file.url,), 1
