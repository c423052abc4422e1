"""export: the rows as a folder that anybody's tools open: Parquet or JSONL shards and a dataset card.

    DIR/README.md                          the card; its YAML names the splits, columns, languages and licence
    DIR/train-00000-of-00002.parquet       a file for each 64 MiB of rows; `validation-...` where rows have a split
    DIR/dataset_info.json                  the files as LLaMA-Factory wants them described (conversations, documents)
    DIR/.datakit-export.json               the files that datakit wrote here, with digests

`datasets.load_dataset(DIR)` opens it, and so do pandas and TRL (`messages` of role and content); one without any rows
opens with streaming=True, since `datasets` refuses such a split otherwise. Rows keep their order; a column that is null
in all rows is left out. Files of other people in DIR are never touched: an equal export is left alone, a missing or
changed file is written again, a file of an older export goes. New files appear by rename.

Memory: one output file a split. Rows are read twice: first for the columns, then to be written. A second export of the
same rows only compares digests.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, field_validator

from datakit.canon import canonical, digest_bytes, digest_file, key_of
from datakit.errors import StoreError
from datakit.schemas import KINDS, Kind
from datakit.stage import Corpus, Execution, SinkStage
from datakit.stages.export.card import card
from datakit.stages.export.columns import Survey
from datakit.stages.export.files import sizes_of, write_files
from datakit.stages.export.forms import Formed
from datakit.stages.export.trainers import INFO_NAME, dataset_info, reader

LIST_NAME = ".datakit-export.json"
CARD_NAME = "README.md"
ROOM_NAME = ".datakit-writing"


class Export(SinkStage):
    """Write the rows as a folder of Parquet or JSONL files with a dataset card."""

    use: ClassVar[str] = "export"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset(KINDS)

    path: Annotated[str, Execution] = Field(min_length=1)
    """Folder to write to; files of others in it are left alone."""
    format: Literal["jsonl", "parquet"] = "parquet"
    """Parquet (small, typed) or jsonl (readable by everything)."""
    form: Literal["rows", "text", "alpaca", "sharegpt", "messages", "completion", "preference"] = "rows"
    """What a row is written as: rows, all columns of datakit's; else one of the forms that `ingest` reads."""
    columns: Literal["all", "trainer"] = "all"
    """All columns, or only those that trainers read (Axolotl takes exactly input_ids, attention_mask, labels)."""

    @field_validator("path")
    @classmethod
    def _on_this_machine(cls, path: str) -> str:
        if "://" in path:
            raise ValueError("export writes to a folder on this machine; copy it from there")
        return path

    def write(self, corpus: Corpus) -> dict[str, Any]:
        """Write what is missing or different; returns what the folder holds."""
        import pyarrow as pa

        folder = Path(self.path).expanduser()
        settings = (self.use, self.version, self.format, self.form, self.columns)
        key = key_of([shard.key for shard in corpus.shards], *settings, pa.__version__)
        if self.form != "rows":
            corpus = cast(Corpus, Formed(corpus, self.form))
        with _explained(folder):
            listed = _Listed.load(folder)
            if listed.key == key and listed.intact(folder):
                return {**listed.notes, "path": self.path, "written": 0}
            folder.mkdir(parents=True, exist_ok=True)
            read, kind = reader(self.columns), corpus.kind or "document"
            survey = Survey.of(corpus, read, frozenset({"split"} if self.columns == "trainer" else ()))
            with _empty_room(folder) as room:
                files = write_files(corpus, survey, self.format, room, read)
                texts = {CARD_NAME: card(kind, survey, sizes_of(room, files))}
                if info := dataset_info(kind, list(files), survey.filled):
                    texts[INFO_NAME] = json.dumps(info, indent=2).encode()
                for name, text in texts.items():
                    if listed.owns(name) or not (folder / name).exists():
                        (room / name).write_bytes(text)
                        files[name] = digest_bytes(text)
                notes = {"format": self.format, "rows": survey.rows, "splits": dict(sorted(survey.splits.items()))}
                written = listed.replace(folder, room, files, key, notes)
        return {**notes, "path": self.path, "written": written}


def push_to_hub(path: str | Path, repo: str, message: str, *, private: bool = True) -> str:
    """Put an export on the Hugging Face hub; the address of the commit."""
    from datakit.stages.export.hub import push

    folder = Path(path).expanduser()
    return push(folder, {*_Listed.load(folder).files, CARD_NAME}, repo, message, private=private)


@dataclass(slots=True)
class _Listed:
    """The files of the last export, as `.datakit-export.json` lists them."""

    key: str = ""
    files: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> _Listed:
        import orjson

        try:
            data = orjson.loads((folder / LIST_NAME).read_bytes())
            return cls(data["key"], dict(data["files"]), dict(data["notes"]))
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                "the list of exported files is damaged",
                where=str(folder / LIST_NAME),
                fix="delete it and the exported files",
            ) from error

    def owns(self, name: str) -> bool:
        return name in self.files

    def intact(self, folder: Path) -> bool:
        """Whether every listed file is there as it was written."""
        return all((folder / name).is_file() and digest_file(folder / name) == d for name, d in self.files.items())

    def replace(self, folder: Path, room: Path, files: dict[str, str], key: str, notes: dict[str, Any]) -> int:
        """Move new and changed files into place and remove those of the last export that are gone."""
        for name in files:
            if not self.owns(name) and (folder / name).exists() and digest_file(folder / name) != files[name]:
                raise StoreError(
                    "a file that datakit did not write is in the way",
                    where=str(folder / name),
                    fix="move it away, or export to another folder",
                )
        # Both generations are listed before anything moves: a run that is killed here leaves no file without an owner.
        _save(folder, "", {**self.files, **files}, notes)
        changed = [n for n, d in files.items() if not (folder / n).is_file() or digest_file(folder / n) != d]
        for name in changed:
            os.replace(room / name, folder / name)
        for name in set(self.files) - set(files):
            (folder / name).unlink(missing_ok=True)
        _save(folder, key, files, notes)
        return len(changed)


@contextmanager
def _empty_room(folder: Path) -> Iterator[Path]:
    """A folder for drafts inside the export, since a rename must not cross file systems; a killed run's is cleared."""
    room = folder / ROOM_NAME
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _save(folder: Path, key: str, files: Mapping[str, str], notes: Mapping[str, Any]) -> None:
    draft = folder / f"{LIST_NAME}.tmp"
    draft.write_bytes(canonical({"key": key, "files": dict(files), "notes": dict(notes)}))
    os.replace(draft, folder / LIST_NAME)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an OSError about the folder into one sentence with a remedy."""
    remedies = {
        errno.ENOSPC: ("the disk is full", "free some space and run again: the store keeps all that is done"),
        errno.EDQUOT: ("the disk quota is used up", "free some space and run again: the store keeps all that is done"),
        errno.EACCES: ("no permission to write the export", "set `path` to a folder of yours"),
        errno.EPERM: ("no permission to write the export", "set `path` to a folder of yours"),
        errno.EROFS: ("the file system is read-only", "set `path` to a folder of yours"),
        errno.ENOTDIR: ("a file stands where the folder should be", "move it away, or set another `path`"),
        errno.EEXIST: ("a file stands where the folder should be", "move it away, or set another `path`"),
    }
    try:
        yield
    except OSError as error:
        other = (f"the export can't be written: {error.strerror}", "give another path")
        message, fix = remedies.get(error.errno or 0, other)
        raise StoreError(message, where=str(folder), fix=fix) from error
