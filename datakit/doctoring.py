"""`doctor`: is a store whole? Every file is read and held against its record; what is damaged is named.

    what                                found by                    mended by
    rows of a shard, dropped rows       digest in its record        taking both away: the next run makes them anew
    signals, parts                      checksums of their pages    taking them away: made anew when asked for
    a record, unreadable                reading it                  taking it away
    a step whose shards are gone        its record                  taking the step away
    a version whose shards are gone     its manifest                nothing: its pipeline makes them again
    a version's name, unreadable        reading it                  setting it aside: the pipeline publishes another
    a stray half-written file           its name                    taking it away

Nothing that can't be made again is taken away: a name goes to the folder `aside`, which `gc` empties. Cost: one read of
the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from datakit.canon import digest_bytes
from datakit.errors import StoreError
from datakit.lease import lease
from datakit.manifests import DatasetManifest, Record, ShardRecord, StepRecord, unsealed
from datakit.store import Store, file_of

R = TypeVar("R")
AGAIN = "run its pipeline again"
TAKEN = "`--mend` takes it away, the next run makes it anew"
MENDED = "taken away; the next run makes it anew"
RECORDS: dict[str, type[Record]] = {"objects": ShardRecord, "steps": StepRecord, "names": DatasetManifest}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    path: str
    """File below the store's root, or name@version."""
    what: str
    """What is wrong with it."""
    remedy: str
    """What was done, or what to do."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` saw."""

    files: int
    bytes: int
    findings: tuple[Finding, ...]
    mended: int
    """How many findings were mended."""


def doctor(store: Store, *, mend: bool = False, tick: Callable[[int, int], None] | None = None) -> Diagnosis:
    """Read every file of the store and say what is damaged; with `mend`, take away what the next run makes anew.

    `tick(done, total)` is told after each file.
    """
    with lease(store, "doctor"):
        files = {path: size for path, size in store.files().items() if path != "lease.json"}
        found: list[Finding] = []
        for done, path in enumerate(sorted(files), start=1):
            found += _mended(store, _file(store, path, files), mend)
            if tick:
                tick(done, len(files))
        found += _mended(store, _steps(store), mend)
        found += _versions(store)
        mended = sum(one.remedy == MENDED for one in found)
        return Diagnosis(len(files), sum(files.values()), tuple(found), mended)


@dataclass(frozen=True, slots=True)
class _Damage:
    what: str
    path: str
    goes: tuple[str, ...]
    """Files to take away, the record first; none where nothing makes it again."""


def _mended(store: Store, damages: Iterator[_Damage], mend: bool) -> Iterator[Finding]:
    for damage in damages:
        for path in damage.goes if mend else ():
            if path.startswith("names/"):
                store.set_aside(path)
            else:
                store.remove(path)
        remedy = (MENDED if mend else TAKEN) if damage.goes else AGAIN
        yield Finding(damage.path, damage.what, remedy)


def _file(store: Store, path: str, files: dict[str, int]) -> Iterator[_Damage]:
    """What is wrong with one file, looked at alone."""
    name, room = PurePosixPath(path).name, path.partition("/")[0]
    if name.startswith(".tmp-"):
        yield _Damage("half written by a process that was killed", path, (path,))
    elif name.endswith(".json") and room in RECORDS:
        yield from _record(store, path, room, files)
    elif room in ("signals", "parts") and not _readable(store, path):
        yield _Damage("its checksums don't fit", path, (path,))


def _record(store: Store, path: str, room: str, files: dict[str, int]) -> Iterator[_Damage]:
    try:
        record = unsealed(store.content(path), RECORDS[room])
    except ValueError:
        yield _Damage("this record can't be read", path, (path,))
        return
    if isinstance(record, ShardRecord):
        data = file_of("objects", record.key, ".parquet")
        if data not in files:
            yield _Damage("its rows are missing", path, (path,))
        elif files[data] != record.bytes or digest_bytes(store.content(data)) != record.digest:
            yield _Damage("its content is not what its record says", data, (path, data))
    if isinstance(record, ShardRecord | StepRecord) and record.drops:
        drops = file_of(room, record.key, ".drops.parquet")
        if drops not in files:
            yield _Damage("its dropped rows are missing", path, (path,))
        elif record.drops_digest and digest_bytes(store.content(drops)) != record.drops_digest:
            yield _Damage("its content is not what its record says", drops, (path, drops))


def _readable(store: Store, path: str) -> bool:
    """Whether a Parquet file can be read, and the checksums of its pages fit."""
    try:
        store.table(path)
    except StoreError:
        return False
    return True


def _steps(store: Store) -> Iterator[_Damage]:
    """Steps whose shards are gone: not damaged, but not done either."""
    for path in store.files():
        if path.startswith("steps/") and path.endswith(".json"):
            step = _readable_record(store.step_record, PurePosixPath(path).stem)
            if step and not all(_readable_record(store.record, shard) for shard in step.shards):
                yield _Damage("shards of this step are missing", path, (path,))


def _versions(store: Store) -> Iterator[Finding]:
    for ref in store.datasets():
        if manifest := _readable_record(store.manifest, ref):
            gone = sum(_readable_record(store.record, shard.key) is None for shard in manifest.shards)
            if gone:
                yield Finding(ref, f"{gone} of its {len(manifest.shards)} shards are missing", AGAIN)


def _readable_record(read: Callable[[str], R | None], key: str) -> R | None:
    """A record, None if it is missing or can't be read (which is told where each file is looked at)."""
    try:
        return read(key)
    except StoreError:
        return None
