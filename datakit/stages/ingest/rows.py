"""What readers are told and what they give: `Reading`, `Rows`. `Gather` collects records, `Waiting` small files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from datakit.outcome import Drop

SHARD_BYTES = 8 * 1024 * 1024
SHARD_ROWS = 20_000
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read."""

    where: str
    encoding: str
    text: str
    max_row_mb: float
    delimiter: str | None

    @property
    def limit(self) -> int:
        """Longest line, record or document, in bytes."""
        return int(self.max_row_mb * MEGABYTE)

    def too_large(self, size: int) -> Drop:
        """The drop of a row of `size` bytes."""
        return Drop("too_large", round(size / MEGABYTE, 1), self.max_row_mb)


@dataclass(slots=True)
class Rows:
    """Some rows of a file by columns (lists, or Arrow arrays where the file is typed), and what could not be read."""

    positions: list[int] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    bad: list[tuple[int, Drop]] = field(default_factory=list)
    mended: int = 0
    """Rows with half a surrogate pair, which became U+FFFD."""
    size: int = 0
    """Bytes that the rows took in the file."""
    name: str = ""
    """The file, filled in by `Ingest`."""
    counters: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.positions) + len(self.bad)

    @property
    def typed(self) -> bool:
        """Whether a column has a type already."""
        return not all(isinstance(column, list) for column in self.columns.values())


class Gather:
    """Collects records until a shard is full."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.positions: list[int] = []
        self.records: list[dict[str, Any]] = []
        self.bad: list[tuple[int, Drop]] = []
        self.size = self.mended = 0

    @property
    def full(self) -> bool:
        return self.size >= SHARD_BYTES or len(self.records) + len(self.bad) >= SHARD_ROWS

    def take(self, position: int, record: dict[str, Any], wrong: Drop | None, mended: bool, size: int) -> None:
        if wrong is not None:
            self.bad.append((position, wrong))
            return
        self.positions.append(position)
        self.records.append(record)
        self.size += size
        self.mended += mended

    def drop(self, position: int, drop: Drop) -> None:
        self.bad.append((position, drop))

    def rows(self, names: Iterable[str] = ()) -> Rows:
        """What was collected, by columns; starts afresh."""
        known = dict.fromkeys(names) or dict.fromkeys(name for record in self.records for name in record)
        columns = {name: [record.get(name) for record in self.records] for name in known}
        rows = Rows(self.positions, columns, self.bad, self.mended, self.size)
        self._start()
        return rows


class Waiting:
    """Rows of small files that wait until they make a shard."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self.parts: list[Rows] = []
        self.size = self.rows = 0

    def has_room(self, part: Rows) -> bool:
        """Whether more rows fit into the shard; a file's own full shard stays one."""
        return not self.parts or (self.size + part.size <= SHARD_BYTES and self.rows + len(part) <= SHARD_ROWS)

    def add(self, part: Rows) -> None:
        self.parts.append(part)
        self.size += part.size
        self.rows += len(part)

    def taken(self) -> list[Rows]:
        """What waited; starts afresh."""
        parts = self.parts
        self._start()
        return parts
