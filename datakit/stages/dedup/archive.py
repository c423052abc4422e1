"""A persistent index of documents: what earlier runs kept, on disk, for later runs to be compared with.

    index.json         the record: scheme, segments, history; written last, by rename
    segments/NAME/     the documents, in the order in which they came (see `segments`); never changed
    gone/NAME.i64      pairs (row, entry that hides it; -1: forgotten)

The history is a list of entries: one for each step that was settled, with the step's key as `label`, the state that
the step looked at as `seen`, and how many documents it added. Entry i extends the state

    state(0) = hash(scheme)        state(i + 1) = hash(state(i), digest of what entry i added, replaced and lost)

so that a state names what a step looked at, wherever the folder lies and however its segments are joined. A step that
is in the history looks at the documents before its own entry, now and later: so it gives the same rows, and the key
that it is stored under stays the same. An entry counts only while its `seen` is the state in front of it; once a
document there is forgotten, steps behind it look at the newest state, like any new one.

Killed at any moment, the record names complete segments; what it does not name is swept away by the next write.
One process writes at a time (a lease); one that looked at a record that is no longer the newest is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import KEY_BYTES, digest_bytes, key_of
from datakit.errors import ConfigError, Problem, StoreError
from datakit.stages.dedup.records import (
    ArchiveRecord,
    Entry,
    Scheme,
    SegmentRecord,
    check_folder,
    put,
    read_record,
    write_record,
)
from datakit.stages.dedup.segments import Additions, Segment, Shape, damaged, write_segment

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stages.dedup.views import View

    Array = np.ndarray[Any, Any]

FORGOTTEN = -1
"""Stands for the entry that hides a row, where no entry but `remove` did: the row is in no view."""


class Archive:
    """An index in a folder, as its record was when it was opened. Nothing is created before the first `extend`."""

    def __init__(self, path: str | Path, scheme: Scheme | None = None) -> None:
        self.path = Path(path)
        if problem := check_folder(path, scheme):
            raise ConfigError((problem,))
        found = read_record(self.path)
        if found is None and scheme is None:
            raise StoreError(
                "there is no index", where=str(path), fix="a `dedup` stage with `index: FOLDER` makes one when it runs"
            )
        self.record = found or ArchiveRecord(scheme=scheme or {}, bands=_bands(scheme or {}))

    @cached_property
    def shape(self) -> Shape:
        """What the segments hold."""
        scheme = self.record.scheme
        near = bool(scheme["near"])
        return Shape(
            scheme["permutations"] if near else 0, *self.record.bands, near and bool(scheme["sets"]), self.record.parts
        )

    @cached_property
    def segments(self) -> list[Segment]:
        """The segments, in order."""
        return [Segment(self.path / "segments" / one.name, self.shape, one.rows) for one in self.record.segments]

    @cached_property
    def starts(self) -> list[int]:
        """Number of the first row of each segment, and of all rows."""
        return _running(one.rows for one in self.record.segments)

    @cached_property
    def states(self) -> list[str]:
        """The state in front of every entry, and the newest."""
        found = [key_of("index", self.record.scheme)]
        for entry in self.record.entries:
            found.append(key_of(found[-1], entry.digest) if entry.digest else found[-1])
        return found

    @cached_property
    def gone(self) -> Array:
        """Pairs (row, entry that hides it), sorted."""
        import numpy as np

        paths = [self.path / "gone" / f"{name}.i64" for name in self.record.gone]
        for path in paths:
            if not path.is_file() or path.stat().st_size % 16:
                raise damaged(path)
        held = [np.fromfile(path, "<i8").reshape(-1, 2) for path in paths]
        pairs = np.concatenate([np.empty((0, 2), np.int64), *held])
        return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]

    def fit(self, parts: int) -> None:
        """Refuse rows of another number of parts than those of the index, and parts that can't be told apart."""
        scheme = self.record.scheme
        if parts > 1 and scheme["near"] and not scheme["sets"]:
            told = "without sets the parts of a row (question and answer, fields) can't be compared each on its own"
            raise ConfigError((Problem("index_sets", told, "say `index_sets: true`, or `parts: together`"),))
        held = self.record.parts or parts
        if held != parts:
            told = f"the index {str(self.path)!r} holds rows of {held} compared part(s), these have {parts}"
            raise ConfigError((Problem("index", told, "name another folder: documents and examples don't mix"),))
        self._now(self.record.model_copy(update={"parts": parts}))

    def position(self, label: str) -> int:
        """Which entry belongs to a step; the number of entries if none does."""
        entries = self.record.entries
        known = [i for i, entry in enumerate(entries) if entry.label == label and entry.seen == self.states[i]]
        return known[-1] if label and known else len(entries)

    def holds(self, label: str) -> bool:
        """Whether a step has been settled."""
        return self.position(label) < len(self.record.entries)

    def seen_by(self, label: str) -> str:
        """The state that a step looks at: part of its key."""
        return self.states[self.position(label)]

    def view(self, label: str = "") -> View:
        """What a step looks at; without a label all documents."""
        import numpy as np

        from datakit.stages.dedup.views import View

        position = self.position(label)
        rows = sum(entry.rows for entry in self.record.entries[:position])
        hidden = np.unique(self.gone[self.gone[:, 1] < position, 0])
        return View(self, self.states[position], rows, hidden[hidden < rows])

    def extend(self, label: str, view: View, parts: Iterator[Additions], replaced: Array) -> None:
        """Add what a step kept, hide the rows that it `replaced` by another wording. Nothing if that has been done."""
        before = self.record
        with self._writing():
            if self.holds(label):
                return
            if self.record != before:
                raise StoreError(
                    "somebody else has changed the index meanwhile",
                    where=str(self.path),
                    fix="run again: rows are then compared with what came in, too",
                )
            told = blake2b(digest_size=KEY_BYTES)
            for name in view.strings(replaced).column("id").to_pylist():
                told.update(f"replaced\x00{name}\x00".encode())
            name = key_of("segment", label, view.state)
            rows = write_segment(self.path / "segments" / name, self.shape, _digested(parts, told))
            digest = told.hexdigest() if rows or len(replaced) else ""
            entry = Entry(label=label, seen=view.state, rows=rows, digest=digest)
            fresh = (SegmentRecord(name=name, rows=rows),) if rows else ()
            self._write(
                segments=(*self.record.segments, *fresh),
                entries=(*self.record.entries, entry),
                gone=self._with_gone(replaced, len(self.record.entries)),
            )

    def remove(self, ids: Sequence[str]) -> int:
        """Forget documents, in all their wordings; returns how many. `compact` takes them off the disk."""
        import numpy as np

        with self._writing():
            rows = self._rows_of(ids)
            if not len(rows):
                return 0
            bounds = _running(entry.rows for entry in self.record.entries)
            owners = np.searchsorted(bounds, rows, side="right") - 1
            names = self.view().strings(rows).column("id").to_pylist()
            entries = list(self.record.entries)
            for owner in np.unique(owners).tolist():
                lost = sorted(name for name, mine in zip(names, owners.tolist(), strict=True) if mine == owner)
                digest = key_of(entries[owner].digest, lost)
                entries[owner] = entries[owner].model_copy(update={"digest": digest})
            self._write(entries=tuple(entries), gone=self._with_gone(rows, FORGOTTEN))
            return len(set(names))

    def compact(self) -> None:
        """Join all segments into one, without forgotten and replaced documents; no state changes by it.

        Steps that looked at a document before it was replaced can't see it again: their entries lose the label.
        """
        import numpy as np

        with self._writing():
            if len(self.segments) <= 1 and not len(self.gone):
                return
            gone = np.unique(self.gone[:, 0])
            name = key_of("joined", [one.name for one in self.record.segments], digest_bytes(gone.tobytes()))
            parts = (
                part
                for start, segment in zip(self.starts, self.segments, strict=False)
                for part in segment.parts(gone[(gone >= start) & (gone < start + segment.rows)] - start)
            )
            rows = write_segment(self.path / "segments" / name, self.shape, parts)
            fresh = (SegmentRecord(name=name, rows=rows),) if rows else ()
            self._write(segments=fresh, entries=self._thinned(gone), gone=())

    def tables(self) -> Iterator[pa.Table]:
        """The documents as signature tables (id, shingles, signature): what `to_datasketch` reads."""
        import numpy as np
        import pyarrow as pa

        hidden = self.view().hidden
        for start, segment in zip(self.starts, self.segments, strict=False):
            for part in segment.parts(hidden[(hidden >= start) & (hidden < start + segment.rows)] - start):
                width = 4 * self.shape.permutations
                held = pa.py_buffer(np.ascontiguousarray(part.signatures, "<u4"))
                signed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(part.ids), [None, held])
                yield pa.table({"id": part.ids, "shingles": np.ones(len(part.ids), np.int64), "signature": signed})

    def describe(self) -> dict[str, Any]:
        """Figures for people: documents, segments, bytes, what the index was made with."""
        import numpy as np

        hidden, size = len(np.unique(self.gone[:, 0])), sum(segment.bytes for segment in self.segments)
        rows = self.starts[-1] - hidden
        return {
            "path": str(self.path),
            "rows": rows,
            "hidden": hidden,
            "segments": len(self.segments),
            "runs": len(self.record.entries),
            "bytes": size,
            "bytes_per_row": size // max(1, self.starts[-1]),
            "state": self.states[-1],
            **self.record.scheme,
        }

    def _rows_of(self, ids: Sequence[str]) -> Array:
        """Rows with one of these ids that are not forgotten yet, replaced ones too."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(set(ids)), pa.large_string())
        batches = (batch.column("id") for segment in self.segments for batch in segment.strings)
        hits = [pc.is_in(names, wanted).to_numpy(zero_copy_only=False) for names in batches]
        rows = np.flatnonzero(np.concatenate([np.empty(0, np.bool_), *hits]))
        return np.setdiff1d(rows, self.gone[self.gone[:, 1] == FORGOTTEN, 0])

    def _thinned(self, gone: Array) -> tuple[Entry, ...]:
        """The entries when the rows in `gone` have left the segments."""
        import numpy as np

        bounds = np.array(_running(entry.rows for entry in self.record.entries))
        lost = np.diff(np.searchsorted(gone, bounds))
        entries = [
            e.model_copy(update={"rows": e.rows - int(n)}) for e, n in zip(self.record.entries, lost, strict=True)
        ]
        replaced = self.gone[self.gone[:, 1] != FORGOTTEN]
        behind = np.searchsorted(bounds, replaced[:, 0], side="right")
        for first, by in np.unique(np.stack([behind, replaced[:, 1]], axis=1), axis=0).tolist():
            for between in range(first, by):
                entries[between] = entries[between].model_copy(update={"label": ""})
        return tuple(entries)

    def _with_gone(self, rows: Array, by: int) -> tuple[str, ...]:
        """The names of all files of gone rows, with one for these rows if there are any."""
        import numpy as np

        if not len(rows):
            return self.record.gone
        data = np.stack([np.sort(rows), np.full(len(rows), by)], axis=1).astype("<i8").tobytes()
        name = key_of(len(self.record.gone), digest_bytes(data))
        (self.path / "gone").mkdir(exist_ok=True)
        put(self.path / "gone" / f"{name}.i64", data)
        return (*self.record.gone, name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone, on the newest record; afterwards nothing is left that the record does not name."""
        from datakit.lease import lease
        from datakit.store import Store

        self.path.mkdir(parents=True, exist_ok=True)
        with lease(Store(self.path), "index"):
            self._now(read_record(self.path) or self.record)
            yield
            self._sweep()

    def _write(self, **changes: Any) -> None:
        """Write the record: from here on the change is made."""
        record = self.record.model_copy(update=changes)
        write_record(self.path, record)
        self._now(record)

    def _now(self, record: ArchiveRecord) -> None:
        """Take another record; what was derived from the old one is derived anew."""
        self.record = record
        for name in ("shape", "segments", "starts", "states", "gone"):
            self.__dict__.pop(name, None)

    def _sweep(self) -> None:
        """Delete segments and files of gone rows that the record does not name."""
        named = {one.name for one in self.record.segments}
        for folder in (self.path / "segments").glob("*"):
            if folder.name not in named:
                shutil.rmtree(folder)
        for path in (self.path / "gone").glob("*"):
            if path.stem not in self.record.gone:
                path.unlink()


def _bands(scheme: Scheme) -> tuple[int, int]:
    """Bands of a new index."""
    from datakit.kernels.minhash import choose_bands

    return choose_bands(scheme["threshold"], scheme["permutations"]) if scheme["near"] else (0, 0)


def _digested(parts: Iterator[Additions], told: Any) -> Iterator[Additions]:
    """The same parts, once `told` has heard what is in them."""
    for part in parts:
        for name, source in zip(part.ids.to_pylist(), part.source_ids.to_pylist(), strict=True):
            told.update(f"{name}\x00{source}\x00".encode())
        told.update(part.digests.tobytes())
        yield part


def _running(counts: Iterator[int]) -> list[int]:
    """Sums of the first 0, 1, 2 ... counts."""
    sums = [0]
    for count in counts:
        sums.append(sums[-1] + count)
    return sums
