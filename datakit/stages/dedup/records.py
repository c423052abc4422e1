"""The record of an index: what it was made with, which segments it has, and what each step did to it.

Everything here is small and read without any heavy package, so that `datakit check` can tell whether an index fits.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from datakit.canon import canonical
from datakit.errors import Problem, StoreError
from datakit.manifests import Record
from datakit.stages.dedup.segments import flush

RECORD = "index.json"
FORMAT = 1
Scheme = dict[str, Any]
"""What must be equal in all runs that share an index: settings of signatures, threshold, whether sets are kept."""


class Entry(Record):
    """What one step did to the index."""

    label: str
    """Key of the step; "" once its view can't be seen again."""
    seen: str
    """The state that the step looked at."""
    rows: int
    """Documents it added that are still in a segment."""
    digest: str
    """Digest of what it added, replaced and lost; "" for nothing."""


class SegmentRecord(Record):
    """A segment's folder and its number of rows."""

    name: str
    rows: int


class ArchiveRecord(Record):
    """The record of an index."""

    format: int = FORMAT
    scheme: dict[str, Any]
    """What must be equal in all runs that share the index."""
    bands: tuple[int, int]
    """Bands, and places of a signature in each."""
    parts: int = 0
    """Parts of a row that are compared each on its own (documents have one); 0: no run has been settled."""
    segments: tuple[SegmentRecord, ...] = ()
    gone: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


def check_folder(folder: str | Path, scheme: Scheme | None = None) -> Problem | None:
    """What is wrong with a folder as an index of this scheme; an empty or missing one is right. Reads the record."""
    path = Path(folder)
    if "://" in str(folder):
        return Problem("index", f"an index lies in a local folder, not at {folder!r}")
    if path.exists() and not path.is_dir():
        return Problem("index", f"a file stands at {str(path)!r}", "name a folder")
    found = read_record(path)
    if found is None:
        strange = path.is_dir() and any(p.name not in ("segments", "gone", "lease.json") for p in path.glob("[!.]*"))
        return Problem("index", f"the folder {str(path)!r} holds other files", "name an empty one") if strange else None
    if scheme is None or found.scheme == scheme:
        return None
    names = [name for name in sorted({*found.scheme, *scheme}) if found.scheme.get(name) != scheme.get(name)]
    told = ", ".join(f"{name} {found.scheme.get(name)} (now {scheme.get(name)})" for name in names)
    return Problem("index", f"the index {str(path)!r} was made with {told}", "set it back, or name a new folder")


def read_record(path: Path) -> ArchiveRecord | None:
    """The record in a folder, None if there is none."""
    try:
        data = (path / RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = ArchiveRecord.model_validate_json(data)
    except ValidationError as error:
        raise StoreError(
            "the record of the index is damaged", where=str(path / RECORD), fix="bring it back from a copy"
        ) from error
    if found.format != FORMAT:
        fix = "use the datakit version that wrote it, or name a new folder"
        raise StoreError(f"the index has format {found.format}, this datakit reads {FORMAT}", where=str(path), fix=fix)
    return found


def write_record(folder: Path, record: ArchiveRecord) -> None:
    """Write the record of an index: from here on the change is made."""
    put(folder / RECORD, canonical(record.model_dump(mode="json")))


def put(path: Path, data: bytes) -> None:
    """Write a file whole: beside its place, to the disk, then renamed."""
    draft = path.with_name(f".tmp-{path.name}")
    draft.write_bytes(data)
    flush(draft)
    os.replace(draft, path)
    flush(path.parent)
