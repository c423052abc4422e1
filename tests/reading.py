"""One file through ingest: what came of it, in plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datakit.stage import Env
from datakit.stages.ingest import Ingest


@dataclass
class Read:
    """Rows, drops as (source_id, rule, value), counters, and what was told."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    drops: list[tuple[str, str, str | None]] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.rows]


def read(path: Path, data: bytes | None = None, **settings: Any) -> Read:
    """The file at `path` (written first, if `data` is given) as ingest reads it."""
    if data is not None:
        path.write_bytes(data)
    found = Read()
    stage = Ingest(files=str(path), **settings)
    for source in stage.sources():
        for outcome in stage.read(source, Env(tell=found.told.append)):
            found.rows += outcome.kept.to_pylist()
            found.counters += outcome.counters
            lost = outcome.drops.to_pylist() if outcome.drops is not None else []
            found.drops += [(row["source_id"], row["rule"], row["value"]) for row in lost]
    return found
