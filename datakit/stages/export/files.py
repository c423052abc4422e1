"""Writes the rows of a corpus into the files of an export: one pass over the shards, one file a split in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datakit.canon import digest_file
from datakit.stage import Corpus
from datakit.stages.export.columns import Survey, fitted, split_names
from datakit.stages.export.trainers import Read

if TYPE_CHECKING:
    import pyarrow as pa

FILE_BYTES = 64 * 1024 * 1024
"""Arrow bytes of a file's rows; about a third of it as Parquet."""
GROUP_ROWS, GROUP_TOKENS = 5_000, 1 << 20
"""Most rows of a row group, and most tokens: what a reader that streams holds at once."""


def write_files(corpus: Corpus, survey: Survey, form: str, room: Path, read: Read) -> dict[str, str]:
    """Write the files of all splits into `room`; file name -> digest, the training split first."""
    import pyarrow as pa

    schema = survey.schema()
    group = max(1, min(GROUP_ROWS, GROUP_TOKENS // max(1, survey.longest)))
    names = sorted(survey.splits, key=lambda name: (name != "train", name)) or ["train"]
    splits = {name: _Split(name, form, room, schema, group) for name in names}
    for shard in corpus.shards:
        table = read(shard)
        own = split_names(table)
        for name in dict.fromkeys(own):
            mask = pa.array([one == name for one in own], pa.bool_())
            splits[name].add(fitted(table.filter(mask), schema))
    return {name: digest for split in splits.values() for name, digest in split.close().items()}


def sizes_of(room: Path, files: Iterable[str]) -> dict[str, int]:
    """Bytes of the rows in every file, as they are without compression."""
    import pyarrow.parquet as pq

    found = {}
    for name in files:
        if name.endswith(".parquet"):
            known = pq.read_metadata(room / name)
            found[name] = sum(known.row_group(place).total_byte_size for place in range(known.num_row_groups))
        else:
            found[name] = (room / name).stat().st_size
    return found


@dataclass(slots=True)
class _Split:
    """The files of one split. Their number is in their names, so they get them at the end."""

    name: str
    form: str
    room: Path
    schema: pa.Schema
    group: int
    waiting: list[pa.Table] = field(default_factory=list)
    drafts: list[Path] = field(default_factory=list)

    def add(self, rows: pa.Table) -> None:
        """Take the rows of a shard, in order."""
        self.waiting.append(rows)
        if sum(part.nbytes for part in self.waiting) >= FILE_BYTES:
            self._flush()

    def close(self) -> dict[str, str]:
        """Write the rest; the final names and digests."""
        if self.waiting or not self.drafts:
            self._flush()
        files = {}
        for place, draft in enumerate(self.drafts):
            name = f"{self.name}-{place:05d}-of-{len(self.drafts):05d}.{self.form}"
            os.replace(draft, self.room / name)
            files[name] = digest_file(self.room / name)
        return files

    def _flush(self) -> None:
        import pyarrow as pa

        table = pa.concat_tables(self.waiting) if self.waiting else self.schema.empty_table()
        draft = self.room / f"{self.name}.{len(self.drafts)}"
        if self.form == "parquet":
            _write_parquet(table, draft, self.group)
        else:
            _write_jsonl(table, draft)
        self.drafts.append(draft)
        self.waiting = []


def _write_parquet(table: pa.Table, path: Path, group: int) -> None:
    import pyarrow.parquet as pq

    if table.num_rows:
        pq.write_table(table.combine_chunks(), path, compression="zstd", row_group_size=group)
    else:
        # `datasets` trips over an empty row group; without any it reads the columns.
        pq.ParquetWriter(path, table.schema, compression="zstd").close()


def _write_jsonl(table: pa.Table, path: Path) -> None:
    import orjson

    with path.open("wb") as out:
        for batch in table.to_batches(max_chunksize=1_000):
            out.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())
