"""Content-addressed shards, records and names, on any fsspec filesystem.

    <root>/format.json                       the layout's version
    <root>/objects/3f/3f9a….parquet          the rows of a shard
                      3f9a….drops.parquet    what was dropped while it was made, and why (never the text)
                      3f9a….json             the ShardRecord, written last: its existence means "done"
    <root>/steps/…                           the same for stages that see the whole corpus
    <root>/signals/3f/3f9a….parquet          what a stage measured of all rows of a shard, keyed without thresholds
    <root>/parts/3f/3f9a….parquet            per-shard work that a corpus stage keeps (signatures, tokens, replies)
    <root>/names/<dataset>@<version>.json    a DatasetManifest
    <root>/adapters/<key>.json               an AdapterArtifact: which adapter was trained on which dataset
    <root>/runs/<stamp>.json                 what ran when, how long: the only dated files
    <root>/forgotten.json                    rows that must not be read again (`forget`)

Every file appears whole or not at all: it is written beside its place and renamed; on object stores, which know no
renaming, a put is atomic. Killing a process at any moment leaves at most a stray `.tmp-…` file, which nothing reads.
No file holds a path or an address of the store: copied to another place, it is the same store.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from datakit.canon import canonical, digest_bytes
from datakit.errors import StoreError
from datakit.manifests import (
    STORE_FORMAT,
    AdapterArtifact,
    DatasetManifest,
    Record,
    ShardRecord,
    StageReport,
    StepRecord,
    sealed,
    unsealed,
)
from datakit.remote import open_filesystem, puts_whole
from datakit.schemas import Kind, concat

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", bound=Record)
UNIQUE = frozenset({"id", "source_id", "family", "text"})
"""Columns whose values hardly ever repeat: a dictionary of them costs time and saves nothing."""
DOCTOR = "`datakit doctor --mend` takes away what is damaged; run again then, and it is made anew"
REQUESTS = 16
"""Requests at a time to an object store."""
VERSION = re.compile(r"^(?P<day>\d{4}\.\d{2}\.\d{2})\.(?P<count>\d+)$")


class Store:
    """A store at a folder or fsspec URL. Making the object touches nothing; `prepare` creates and checks it."""

    def __init__(self, root: str | Path) -> None:
        from fsspec.implementations.local import LocalFileSystem

        self.url = str(root)
        self.fs, self.root = open_filesystem(self.url)
        self.local = isinstance(self.fs, LocalFileSystem)
        self.whole_puts = puts_whole(self.fs)
        self._known = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.url,)

    def prepare(self) -> Store:
        """Create the store if it is not there; refuse one of another format."""
        if not self._has_our_format():
            self._put(f"{self.root}/format.json", canonical({"format": STORE_FORMAT}))
        return self

    # Shards

    def record(self, key: str) -> ShardRecord | None:
        """The record of a shard, None if it isn't done."""
        return self._read_record(self._at("objects", key, ".json"), ShardRecord)

    def records(self, keys: Sequence[str]) -> list[ShardRecord | None]:
        """The records of some shards; away from the disk, where each is a request, several at a time."""
        if self.local or len(keys) < 2:
            return [self.record(key) for key in keys]
        with ThreadPoolExecutor(REQUESTS) as pool:
            return list(pool.map(self.record, keys))

    def put_shard(
        self,
        rows: pa.Table,
        kind: Kind,
        *,
        key: str | None = None,
        drops: pa.Table | None = None,
        **fields: Any,
    ) -> ShardRecord:
        """Write a shard and then its record; without `key` the shard is keyed by its content."""
        data = parquet_bytes(rows)
        digest = digest_bytes(data)
        key = key or digest
        self._put(self._at("objects", key, ".parquet"), data)
        gone, gone_digest = self._put_drops("objects", key, drops)
        record = ShardRecord(
            key=key,
            kind=kind,
            rows=rows.num_rows,
            digest=digest,
            bytes=len(data),
            drops=gone,
            drops_digest=gone_digest,
            **fields,
        )
        self._put(self._at("objects", key, ".json"), sealed(record))
        return record

    def read(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a shard."""
        return self._read_parquet(self._at("objects", key, ".parquet"), columns)

    def columns(self, key: str) -> list[str]:
        """The names of a shard's columns; reads the end of its file only."""
        return list(self._read_parquet(self._at("objects", key, ".parquet"), rows=False).schema.names)

    def read_drops(self, key: str) -> pa.Table | None:
        """The drop sidecar of a shard or of a step, None if nothing was dropped."""
        for room in ("objects", "steps"):
            path = self._at(room, key, ".drops.parquet")
            if self.fs.exists(path):
                return self._read_parquet(path)
        return None

    def signals(self, key: str) -> pa.Table | None:
        """What a stage measured of every row of a shard, None if it wasn't measured yet."""
        path = self._at("signals", key, ".parquet")
        return self._read_parquet(path) if self.fs.exists(path) else None

    def put_signals(self, key: str, table: pa.Table) -> None:
        """Keep what a stage measured."""
        self._put(self._at("signals", key, ".parquet"), parquet_bytes(table))

    def read_split(self, shards: Sequence[ShardRecord], split: str) -> pa.Table:
        """The rows of one split over some shards, in order; a null split counts as `train`."""
        import pyarrow.compute as pc

        tables = []
        for shard in shards:
            table = self.read(shard.key)
            named = pc.fill_null(table.column("split"), "train") if "split" in table.schema.names else None
            if named is not None:
                table = table.filter(pc.equal(named, split))
            elif split != "train":
                table = table.slice(0, 0)
            tables.append(table)
        return concat(tables)

    # Steps and parts

    def step_record(self, key: str) -> StepRecord | None:
        """The record of a step, None if it isn't done."""
        return self._read_record(self._at("steps", key, ".json"), StepRecord)

    def step(self, key: str) -> StepRecord | None:
        """The record of a step, None if it isn't done or one of its shards is gone."""
        found = self.step_with_shards(key)
        return found[0] if found else None

    def step_with_shards(self, key: str) -> tuple[StepRecord, list[ShardRecord]] | None:
        """The same with the records of its shards, which had to be read."""
        step = self.step_record(key)
        if step is None:
            return None
        shards = [record for record in self.records(step.shards) if record]
        return (step, shards) if len(shards) == len(step.shards) else None

    def put_step(self, step: StepRecord, drops: pa.Table | None = None) -> StepRecord:
        """Write a step's drops and then its record."""
        gone, digest = self._put_drops("steps", step.key, drops)
        step = step.model_copy(update={"drops": gone, "drops_digest": digest})
        self._put(self._at("steps", step.key, ".json"), sealed(step))
        return step

    def _put_drops(self, room: str, key: str, drops: pa.Table | None) -> tuple[int, str]:
        """Write a drop sidecar, if there is something in it; its rows and its digest."""
        if drops is None or not drops.num_rows:
            return 0, ""
        data = parquet_bytes(drops)
        self._put(self._at(room, key, ".drops.parquet"), data)
        return drops.num_rows, digest_bytes(data)

    def shards_of(self, report: StageReport) -> list[ShardRecord]:
        """The shards that came out of a stage (out of the last of its fused neighbours, for a row stage)."""
        found: list[ShardRecord] = []
        for key in report.steps:
            step = self.step_record(key)
            keys = step.shards if step else (key,)
            found += [record for record in self.records(keys) if record]
        return found

    def part(self, key: str) -> pa.Table | None:
        """A kept part of a corpus stage's work, None if it isn't done."""
        path = self._at("parts", key, ".parquet")
        return self._read_parquet(path) if self.fs.exists(path) else None

    def put_part(self, key: str, table: pa.Table) -> None:
        """Keep a part of a corpus stage's work."""
        self._put(self._at("parts", key, ".parquet"), parquet_bytes(table))

    # Names

    def datasets(self) -> list[str]:
        """All published versions as name@version, oldest first within a name."""
        folder = f"{self.root}/names"
        if not self._has_our_format() or not self.fs.exists(folder):
            return []
        found = [Path(path).name[: -len(".json")] for path in self.fs.ls(folder, detail=False)]
        return sorted((ref for ref in found if "@" in ref and not ref.startswith(".")), key=_version_order)

    def latest(self, name: str) -> DatasetManifest | None:
        """The newest version of a dataset, None if it was never published."""
        versions = [ref for ref in self.datasets() if ref.rpartition("@")[0] == name]
        return self.manifest(versions[-1]) if versions else None

    def manifest(self, ref: str) -> DatasetManifest:
        """The manifest of `name@version`, or of the newest version of `name`."""
        if "@" not in ref:
            if found := self.latest(ref):
                return found
        elif found := self._read_record(f"{self.root}/names/{ref}.json", DatasetManifest):
            return found
        known = ", ".join(self.datasets()[-5:]) or "none yet"
        raise StoreError(f"no dataset {ref!r}", where=self.url, fix=f"published here: {known}")

    def publish(self, manifest: DatasetManifest) -> None:
        """Write a manifest under its name; a version is never overwritten."""
        path = f"{self.root}/names/{manifest.ref}.json"
        try:
            self._put(path, sealed(manifest), new=True)
        except FileExistsError:
            fix = "publish a new version"
            raise StoreError(f"{manifest.ref} is published already", where=self.url, fix=fix) from None

    def put_last(self, manifest: DatasetManifest) -> None:
        """Remember what the newest run of a pipeline did, published or not: rows that it dropped can be asked for."""
        self._put(f"{self.root}/runs/last/{manifest.name}.json", sealed(manifest))

    def last_runs(self) -> list[DatasetManifest]:
        """What the newest run of each pipeline did, by name."""
        folder = f"{self.root}/runs/last"
        paths = sorted(self.fs.ls(folder, detail=False)) if self.fs.exists(folder) else []
        found = [self._read_record(path, DatasetManifest) for path in paths if path.endswith(".json")]
        return [manifest for manifest in found if manifest]

    def withdraw(self, name: str, digests: Sequence[str]) -> None:
        """Remember versions of a dataset, by their digests, that a refresh must not publish again."""
        known = sorted({*self.withdrawn(name), *digests})
        self._put(f"{self.root}/runs/withdrawn/{name}.json", canonical(known))

    def withdrawn(self, name: str) -> frozenset[str]:
        """Digests of versions of a dataset that were rolled back."""
        try:
            return frozenset(json.loads(self.fs.cat_file(f"{self.root}/runs/withdrawn/{name}.json")))
        except FileNotFoundError:
            return frozenset()

    def unpublish(self, ref: str) -> None:
        """Remove a version's name; its shards stay."""
        self.fs.rm_file(f"{self.root}/names/{ref}.json")

    def put_adapter(self, key: str, artifact: AdapterArtifact) -> None:
        """Remember an adapter that was trained on a dataset of this store."""
        self._put(f"{self.root}/adapters/{key}.json", sealed(artifact))

    def adapters(self) -> list[AdapterArtifact]:
        """All adapters trained on datasets of this store, by name."""
        folder = f"{self.root}/adapters"
        paths = sorted(self.fs.ls(folder, detail=False)) if self.fs.exists(folder) else []
        found = [self._read_record(path, AdapterArtifact) for path in paths if path.endswith(".json")]
        return [artifact for artifact in found if artifact]

    def put_run(self, stamp: str, run: dict[str, Any]) -> None:
        """Write what a run did: seconds, versions, arguments."""
        self._put(f"{self.root}/runs/{stamp}.json", json.dumps(run, ensure_ascii=False, indent=1).encode())

    def runs(self) -> list[dict[str, Any]]:
        """All run records, oldest first."""
        return [run for _, run in self.dated_runs()]

    def dated_runs(self) -> list[tuple[str, dict[str, Any]]]:
        """All run records, each with the stamp of its beginning (UTC, 20261121T030000.123456Z), oldest first."""
        folder = f"{self.root}/runs"
        paths = sorted(self.fs.ls(folder, detail=False)) if self.fs.exists(folder) else []
        files = [path for path in paths if path.endswith(".json")]
        return [(Path(path).stem, json.loads(self.fs.cat_file(path))) for path in files]

    def forgotten(self) -> dict[str, str]:
        """id -> source file of every row that must not be read again."""
        try:
            return dict(json.loads(self.fs.cat_file(f"{self.root}/forgotten.json")))
        except FileNotFoundError:
            return {}

    def bury(self, rows: Mapping[str, str]) -> None:
        """Remember rows, by id and source file, that must not be read again."""
        self._put(f"{self.root}/forgotten.json", canonical({**self.forgotten(), **rows}))

    def put_proof(self, stamp: str, proof: dict[str, Any]) -> str:
        """Keep the record of what was forgotten; its path below the root."""
        path = f"runs/forgotten/{stamp}.json"
        self._put(f"{self.root}/{path}", canonical({**proof, "proof": path}))
        return path

    # Files

    def files(self) -> dict[str, int]:
        """Every file of the store, as a path below its root, with its size in bytes."""
        if not self._has_our_format():
            return {}
        with self._explained(self.root):
            found = self.fs.find(self.root, detail=True)
        return {path.removeprefix(self.root).lstrip("/"): int(info["size"]) for path, info in found.items()}

    def create(self, path: str, data: bytes) -> None:
        """Write a file that must not be there yet; FileExistsError if it is. Of two that try, one succeeds."""
        self._put(f"{self.root}/{path}", data, new=True)

    def touch(self, path: str, data: bytes) -> None:
        """Make a file young: by its date on a disk, elsewhere by writing it anew."""
        if self.local:
            os.utime(f"{self.root}/{path}")
        else:
            self._put(f"{self.root}/{path}", data)

    def age(self, path: str) -> float:
        """Seconds since a file was written, by the store's clock and ours."""
        with self._explained(path):
            written = self.fs.modified(f"{self.root}/{path}")
        return time.time() - (written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp()

    def remove(self, path: str) -> None:
        """Remove a file of the store, named as in `files`; one that is gone already is fine."""
        with self._explained(path), suppress(FileNotFoundError):
            self.fs.rm_file(f"{self.root}/{path}")

    def set_aside(self, path: str) -> None:
        """Move a file of the store, named as in `files`, to the folder `aside`, where nothing reads it."""
        self._put(f"{self.root}/aside/{path}", self.content(path))
        self.remove(path)

    def table(self, path: str) -> pa.Table:
        """A Parquet file of the store, named as in `files`; StoreError if it is damaged."""
        return self._read_parquet(f"{self.root}/{path}")

    def content(self, path: str) -> bytes:
        """The bytes of a file of the store, named as in `files`."""
        with self._explained(path):
            return bytes(self.fs.cat_file(f"{self.root}/{path}"))

    def _has_our_format(self) -> bool:
        """False where there is no store yet; StoreError for one of another format. Looked up once an object, before
        the first record is read: the records of another format are not damaged, and must not be called so."""
        path = f"{self.root}/format.json"
        with self._explained(path):
            try:
                found = STORE_FORMAT if self._known else json.loads(self.fs.cat_file(path)).get("format")
            except FileNotFoundError:
                return False
        if found != STORE_FORMAT:
            newer = isinstance(found, int) and found > STORE_FORMAT
            again = "update datakit" if newer else "run the pipeline again with a new folder: --store FOLDER"
            raise StoreError(
                f"the store has format {found}, this datakit reads format {STORE_FORMAT}",
                where=self.url,
                fix=f"{again}; the datakit version that wrote it reads it, too",
            )
        self._known = True
        return True

    def _at(self, room: str, key: str, ending: str) -> str:
        return f"{self.root}/{file_of(room, key, ending)}"

    def _put(self, path: str, data: bytes, new: bool = False) -> None:
        """Write a file whole; with `new` FileExistsError if it is there already."""
        with self._explained(path):
            if self.whole_puts:
                self.fs.pipe_file(path, data, mode="create" if new else "overwrite")
                return
            folder, _, name = path.rpartition("/")
            self.fs.makedirs(folder, exist_ok=True)
            draft = f"{folder}/.tmp-{os.getpid()}-{get_ident()}-{name}"
            try:
                self._write(draft, data)
                self._place(draft, path, new)
            except BaseException:
                with suppress(OSError):
                    self.fs.rm_file(draft)
                raise

    def _write(self, draft: str, data: bytes) -> None:
        if self.local:
            Path(draft).write_bytes(data)
        else:
            self.fs.pipe_file(draft, data)

    def _place(self, draft: str, path: str, new: bool) -> None:
        """Give a draft its name."""
        if self.local and not new:
            os.replace(draft, path)
        elif self.local:
            _link(draft, path)
        else:
            if self.fs.exists(path):
                if new:
                    raise FileExistsError(path)
                self.fs.rm_file(path)
            self.fs.mv(draft, path)

    def _read_record(self, path: str, record: type[R]) -> R | None:
        self._has_our_format()
        with self._explained(path):
            try:
                data = self.fs.cat_file(path)
            except FileNotFoundError:
                return None
        try:
            return unsealed(data, record)
        except ValueError as error:
            raise StoreError("a record in the store is damaged", where=path, fix=DOCTOR) from error

    def _read_parquet(self, path: str, columns: Sequence[str] | None = None, rows: bool = True) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = None if columns is None else list(columns)

        with self._explained(path):
            try:
                if not rows:
                    with self.fs.open(path, "rb") as file:
                        return pq.read_schema(file).empty_table()
                source = path if self.local else pa.BufferReader(self.fs.cat_file(path))
                # Checksums of all pages are looked at: a flipped bit must not pass for data. 7 % of a read.
                return pq.read_table(source, columns=columns, partitioning=None, page_checksum_verification=True)
            except FileNotFoundError as error:
                raise StoreError("a file of the store is missing", where=path, fix=DOCTOR) from error
            except (pa.ArrowInvalid, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                raise StoreError("a file of the store is damaged", where=path, fix=DOCTOR) from error

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn an OSError about the store into one sentence with a remedy."""
        remedies = {
            errno.ENOSPC: ("the disk is full", "free some space and run again: finished shards are kept"),
            errno.EDQUOT: ("the disk quota is used up", "free some space and run again: finished shards are kept"),
            errno.EACCES: ("no permission to write", "choose another folder with --store"),
            errno.EROFS: ("the file system is read-only", "choose another folder with --store"),
            errno.ENOTDIR: ("a file stands where a folder should be", "choose another folder with --store"),
        }
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError as error:
            message, fix = remedies.get(error.errno or 0, (f"the store can't be used: {error.strerror}", ""))
            raise StoreError(message, where=path, fix=fix) from error


def _link(draft: str, path: str) -> None:
    """Give a draft its name unless a file has it already: a link, unlike a renaming, fails then."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # no links on this filesystem
        if os.path.exists(path):
            raise FileExistsError(path) from None
        os.replace(draft, path)
    else:
        os.unlink(draft)


def file_of(room: str, key: str, ending: str) -> str:
    """Where a file stands below the store's root."""
    return f"{room}/{key[:2]}/{key}{ending}"


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as Parquet bytes; equal tables give equal bytes (for one pyarrow version)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    whole = table.combine_chunks().replace_schema_metadata(None)
    # LZ4 writes 1.5 times and reads twice as fast as zstd at level 1, for a third more bytes: shards are written once
    # and read several times. Token columns as split bytes, not as a dictionary: read 2.5 times as fast, 8 % smaller.
    tokens = [f"{f.name}.list.element" for f in whole.schema if f.type == pa.large_list(pa.int32())]
    words = [f.name for f in whole.schema if not pa.types.is_nested(f.type) and f.name not in UNIQUE]
    pq.write_table(
        whole,
        sink,
        compression="lz4",
        write_statistics=False,
        write_page_checksum=True,
        row_group_size=max(1, whole.num_rows),
        use_dictionary=True if "messages" in whole.schema.names else words,
        use_byte_stream_split=tokens or False,
    )
    return sink.getvalue().to_pybytes()


def _version_order(ref: str) -> tuple[str, str, int, str]:
    name, _, version = ref.rpartition("@")
    match = VERSION.match(version)
    return (name, match["day"], int(match["count"]), "") if match else (name, "", 0, version)
