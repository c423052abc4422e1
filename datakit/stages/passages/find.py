"""What to cut of which document: rounds over the documents that share marks, until nothing more is repeated.

A round reads those documents three times, some megabytes at once:

    1  `Firsts`   every window with a shared mark: hash, and the place where it comes first
    2  `Library`  the letters of the windows that come first and come again
    3  `cover`    windows of later documents, equal letter by letter to one in the library, give the spans to cut

Cutting joins texts that stood apart and so can make a new repeat; then there is one more round. When it ends, no
run of whole segments of half a passage's length or more is repeated from an earlier document, so that cutting again
cuts nothing. The answer depends on the order of places alone.

Memory beside the marks: 24 bytes for each distinct window with a shared mark, and the repeated text once, with 40
bytes a unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from datakit.kernels.segments import SNAPS, Snap
from datakit.stages.passages.marks import Marks

if TYPE_CHECKING:
    import numpy as np

    from datakit.stage import Corpus

CHUNK_BYTES = 8 << 20
"""Text that a kernel gets at once."""
MERGE_WINDOWS = 1 << 21
"""Windows gathered before they are merged into distinct ones."""


class Kept(NamedTuple):
    """A stretch of an earlier document that stands for what was cut elsewhere."""

    place: int
    start: int
    """First byte of the text."""
    end: int


@dataclass(slots=True)
class Cuts:
    """What is cut, by row; spans are in bytes of the text as it came."""

    spans: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Sorted (first byte, byte behind it) that don't touch."""
    sources: dict[int, list[Kept]] = field(default_factory=dict)
    left: dict[int, float] = field(default_factory=dict)
    """What stays of the row, in passages: 0.5 is half as many words or syllables as a passage has."""
    rounds: int = 0

    def add(self, row: int, spans: np.ndarray[Any, Any]) -> None:
        """Cut more of a row."""
        import numpy as np

        found = np.concatenate([self.spans.get(row, np.empty((0, 2), np.int64)), spans])
        found = found[np.argsort(found[:, 0], kind="stable")]
        merged = [found[0].tolist()]
        for start, end in found[1:].tolist():
            if start <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        self.spans[row] = np.array(merged, np.int64)


class Firsts:
    """For every window's hash the code of the first window, and whether another document has it."""

    def __init__(self) -> None:
        import numpy as np

        self._parts: list[tuple[Any, Any, Any]] = [
            (np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64))
        ]
        self._waiting = 0

    def add(self, hashes: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> None:
        """Windows of some documents."""
        self._parts.append((hashes, codes, codes >> 32))
        self._waiting += len(hashes)
        if self._waiting > max(MERGE_WINDOWS, len(self._parts[0][0])):
            self._merge()

    def _merge(self) -> None:
        import numpy as np

        hashes, firsts, lasts = (np.concatenate(columns) for columns in zip(*self._parts, strict=True))
        order = np.lexsort((firsts, hashes))
        hashes, firsts, lasts = hashes[order], firsts[order], lasts[order]
        opens = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])) if len(hashes) else order
        latest = np.maximum.reduceat(lasts, opens) if len(hashes) else lasts
        self._parts, self._waiting = [(hashes[opens], firsts[opens], latest)], 0

    def repeated(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The hashes, sorted, that more than one document has, and the codes of their first windows."""
        self._merge()
        hashes, firsts, lasts = self._parts[0]
        again = firsts >> 32 != lasts
        return hashes[again], firsts[again]


@dataclass(frozen=True, slots=True)
class Library:
    """The letters of passages that come first and come again; see `kernels.repeats.keep_regions`."""

    regions: np.ndarray[Any, Any]
    units: np.ndarray[Any, Any]
    letters: np.ndarray[Any, Any]
    place_of_unit: np.ndarray[Any, Any]

    def arrays(self) -> tuple[Any, Any, Any]:
        """As the kernels take it."""
        return self.regions, self.units, self.letters

    def stretches(self, first: int, count: int) -> Iterator[Kept]:
        """Where some units that follow each other in the library stand in their documents."""
        stop = first + count
        while first < stop:
            place = int(self.place_of_unit[first])
            end = first
            while end + 1 < stop and self.place_of_unit[end + 1] == place:
                end += 1
            yield Kept(place, int(self.units[first, 1]), int(self.units[end, 2]))
            first = end + 1


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what to cut from a corpus of documents."""

    corpus: Corpus
    marks: Marks
    words: int
    syllables: int
    snap: Snap
    cuts: Cuts = field(default_factory=Cuts)

    def find(self) -> Cuts:
        """All cuts."""
        while changed := self._round():
            if not self._joined(changed):
                break
        return self.cuts

    def _round(self) -> list[int]:
        """Cut what the documents that share marks repeat; returns the rows that lost text, ascending."""
        import numpy as np

        from datakit.kernels.passages import sieve_of
        from datakit.kernels.repeats import cover, list_windows

        self.cuts.rounds += 1
        shared, rows = self.marks.shared()
        windows, sieve = Firsts(), sieve_of(shared)
        for chunk in self._texts(rows):
            windows.add(*list_windows(*chunk.arrays, *self._tables(), self.marks.place_of[chunk.rows], shared, sieve))
        repeated, firsts = windows.repeated()
        if not len(repeated):
            return []
        known = (repeated, sieve_of(repeated), firsts)
        library = self._library(np.unique(self.marks.row_of[firsts >> 32]), known)
        changed = []
        for chunk in self._texts(rows):
            places = self.marks.place_of[chunk.rows]
            found = cover(*chunk.arrays, *self._tables(), places, *known, library.arrays(), SNAPS.index(self.snap))
            changed += self._take(chunk.rows, library, *found)
        return changed

    def _take(self, rows: Any, library: Library, spans: Any, sources: Any, left: Any) -> list[int]:
        """Add a chunk's findings to the cuts."""
        import numpy as np

        changed = []
        bounds = np.searchsorted(spans[:, 0], np.arange(len(rows) + 1))
        for number in np.flatnonzero(left >= 0).tolist():
            row = int(rows[number])
            self.cuts.add(row, spans[bounds[number] : bounds[number + 1], 1:])
            self.cuts.left[row] = int(left[number]) / (self.words * self.syllables)
            changed.append(row)
        for number, first, count in sources.tolist():
            self.cuts.sources.setdefault(int(rows[number]), []).extend(library.stretches(first, count))
        return changed

    def _library(self, rows: np.ndarray[Any, Any], known: tuple[Any, Any, Any]) -> Library:
        """The passages that other documents repeat, from the documents where they come first."""
        import numpy as np

        from datakit.kernels.repeats import keep_regions

        regions, units, letters = [np.empty((0, 3), np.int64)], [np.empty((0, 3), np.int64)], [np.empty(0, np.uint8)]
        held, size = 0, 0
        for chunk in self._texts(rows):
            places = self.marks.place_of[chunk.rows]
            some, inside, spelled = keep_regions(*chunk.arrays, *self._tables(), places, *known)
            regions.append(some + np.array([0, 0, held]))
            units.append(inside + np.array([size, 0, 0]))
            letters.append(spelled.copy())
            held, size = held + len(inside), size + len(spelled)
        all_regions = np.concatenate(regions)
        place_of_unit = np.repeat(all_regions[:, 0] >> 32, all_regions[:, 1])
        ordered = all_regions[np.argsort(all_regions[:, 0], kind="stable")]
        return Library(ordered, np.concatenate(units), np.concatenate(letters), place_of_unit)

    def _joined(self, changed: list[int]) -> bool:
        """Give the rows that lost text their new marks; whether a window over a cut may be repeated."""
        import numpy as np

        from datakit.kernels.repeats import mark

        rows = np.array(changed, np.int64)
        flats, counts, joints = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for chunk in self._texts(rows):
            flat, offsets = mark(*chunk.arrays, *self._tables(), False)
            flats.append(flat)
            counts.append(np.diff(offsets))
            joints.append(mark(*chunk.arrays, *self._tables(), True)[0])
        self.marks.replace(rows, np.concatenate(flats), np.concatenate(counts))
        return bool(np.isin(np.concatenate(joints), self.marks.shared()[0]).any())

    def _tables(self) -> tuple[Any, Any, int, int]:
        """The settings that every kernel takes."""
        from datakit.kernels.folding import fold_table
        from datakit.kernels.shingles import unit_table

        return unit_table("script"), fold_table(), self.words, self.syllables

    def _texts(self, rows: np.ndarray[Any, Any]) -> Iterator[Chunk]:
        """The texts of some rows (ascending), a few megabytes at once, with what was cut of them so far."""
        import numpy as np
        import pyarrow.compute as pc

        starts = self.marks.shard_starts
        bounds = np.searchsorted(rows, starts)
        for number, shard in enumerate(self.corpus.shards):
            wanted = rows[bounds[number] : bounds[number + 1]]
            if not len(wanted):
                continue
            texts = pc.fill_null(shard.read(["text"]).column("text"), "").take(wanted - starts[number])
            texts = texts.combine_chunks()
            sizes = np.cumsum(pc.binary_length(texts).to_numpy())
            begin = 0
            while begin < len(wanted):
                before = sizes[begin - 1] if begin else 0
                stop = max(begin + 1, int(np.searchsorted(sizes, before + CHUNK_BYTES, side="right")))
                yield self._chunk(wanted[begin:stop], texts.slice(begin, stop - begin))
                begin = stop

    def _chunk(self, rows: Any, texts: Any) -> Chunk:
        import numpy as np

        from datakit.kernels.characters import buffers

        offsets, data = buffers(texts)
        none = np.empty((0, 2), np.int64)
        spans = [self.cuts.spans.get(row, none) for row in rows.tolist()]
        gaps = np.cumsum([0, *(len(one) for one in spans)]).astype(np.int64)
        dead = np.concatenate([none, *(one + start for one, start in zip(spans, offsets[:-1].tolist(), strict=True))])
        return Chunk(rows, (offsets, data, gaps, dead))


class Chunk(NamedTuple):
    """Some texts as the kernels take them: offsets, bytes, and the spans cut before."""

    rows: np.ndarray[Any, Any]
    arrays: tuple[Any, Any, Any, Any]
