"""gc never takes what a version needs; doctor finds every damage, and what it takes away the next run makes anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.collecting import gc
from datakit.doctoring import MENDED, doctor
from datakit.errors import StoreError
from datakit.lease import lease
from datakit.manifests import DatasetManifest
from datakit.pipeline import Pipeline
from datakit.runner import RunResult, run
from datakit.stages.dedup import Dedup
from datakit.stages.quality import Quality
from datakit.store import Store
from tests.stages_of_ones_own import Lines, MaxLength

DAY = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TEXTS = {
    "a.txt": "서울에는 눈이 옵니다. 길이 미끄럽습니다.\n서울에는 눈이 옵니다. 길이 미끄럽습니다.\n짧다",
    "b.txt": "The library opens at nine and closes at six on weekdays.\nThe library opens at nine and closes at six.",
    "c.txt": "세 번째 파일에 있는 문서입니다. 앞의 두 파일과는 아무 상관이 없습니다.",
}


def made(folder: Path, names: list[str], limit: int = 200, name: str = "d") -> RunResult:
    for one in names:
        (folder / one).write_text(TEXTS[one], encoding="utf-8")
    stages = (Lines(files=[str(folder / one) for one in names]), MaxLength(limit=limit), Quality(min_words=1), Dedup())
    return run(Pipeline(name=name, stages=stages), Store(folder / "store"), now=DAY)


def told(store: Store) -> dict[str, object]:
    """Everything that versions and newest runs of a store say: rows, drops, figures."""
    return {manifest.ref: contents(manifest, store) for manifest in _manifests(store)}


def _manifests(store: Store) -> list[DatasetManifest]:
    return [*map(store.manifest, store.datasets()), *store.last_runs()]


def contents(manifest: DatasetManifest, store: Store) -> object:
    drops = [store.read_drops(key) for report in manifest.stages for key in report.steps]
    shards = [shard for report in manifest.stages for shard in store.shards_of(report)]
    signals = [store.signals(one.signals) for shard in shards for one in shard.passes if one.signals]
    tables = [store.read(shard.key) for shard in (*manifest.shards, *shards)]
    return [None if table is None else table.to_pylist() for table in (*tables, *drops, *signals)]


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, unique=True).map(sorted),
            st.sampled_from([20, 200]),
            st.sampled_from(["d", "e"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_gc_keeps_all_that_any_version_or_newest_run_needs(history: list[tuple[list[str], int, str]], dice) -> None:  # type: ignore[no-untyped-def]
    with TemporaryDirectory() as folder:
        for names, limit, name in history:
            made(Path(folder), names, limit, name)
        store = Store(Path(folder) / "store")
        for ref in store.datasets():
            if dice.random() < 0.4:
                store.unpublish(ref)
        before = told(store)
        done = gc(store)
        assert told(store) == before
        assert gc(store).removed == 0
        assert made(Path(folder), *history[-1]).ran == 0, "the newest run is whole, its parts too"
        assert done.removed_bytes >= 0


def test_gc_frees_the_room_of_versions_whose_names_are_gone(tmp_path: Path) -> None:
    made(tmp_path, ["a.txt", "b.txt"])
    made(tmp_path, ["c.txt"])
    store = Store(tmp_path / "store")
    store.unpublish("d@2026.11.21.1")
    files = store.files()
    planned = gc(store, dry_run=True)
    assert store.files() == files
    done = gc(store)
    assert (done.removed, done.removed_bytes) == (planned.removed, planned.removed_bytes)
    assert done.removed == len(files) - len(store.files()) > 0
    assert made(tmp_path, ["a.txt", "b.txt"]).manifest.rows == 4


def test_gc_waits_for_whoever_works_on_the_store(tmp_path: Path) -> None:
    made(tmp_path, ["a.txt"])
    store = Store(tmp_path / "store")
    with lease(store, "run d"), pytest.raises(StoreError, match="run d"):
        gc(store)


def damaged_paths(store: Store) -> list[str]:
    """Files that carry data or records which can be made again."""
    rooms = ("objects/", "steps/", "signals/", "parts/")
    return sorted(path for path in store.files() if path.startswith(rooms))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # Behind the magic bytes: the first column's pages; in a record: its first value.
    data[len(data) // 4] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def unharmed(store: Store, path: str, data: bytes) -> bool:
    """Whether a harmed Parquet file still holds what it held: the bit that was flipped meant nothing."""
    return bool(store.table(path).equals(pq.read_table(pa.BufferReader(data))))


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_doctor_names_every_harmed_file_and_the_next_run_makes_the_same_bytes(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    made(tmp_path, ["a.txt", "b.txt"])
    store = Store(tmp_path / "store")
    whole = {path: store.content(path) for path in damaged_paths(store)}
    version = store.content("names/d@2026.11.21.1.json")
    assert doctor(store).findings == ()
    for path in whole:
        harm(tmp_path / "store" / path)
        seen = doctor(store)
        beside = path.startswith(("signals/", "parts/"))
        gone = harm is Path.unlink and (beside or path.endswith(".json"))
        assert seen.findings or gone or (beside and unharmed(store, path, whole[path])), path
        assert doctor(store, mend=True).mended >= sum("--mend" in one.remedy for one in seen.findings)
        made(tmp_path, ["a.txt", "b.txt"])
        if not beside:
            assert store.content(path) == whole[path], path
        else:  # work that is done needs neither: both are made when something asks for them
            (tmp_path / "store" / path).write_bytes(whole[path])
        assert doctor(store).findings == (), path
    assert store.datasets() == ["d@2026.11.21.1"]
    assert store.content("names/d@2026.11.21.1.json") == version


def test_a_run_over_a_flipped_bit_stops_and_names_the_file(tmp_path: Path) -> None:
    made(tmp_path, ["a.txt"])
    store = Store(tmp_path / "store")
    shard = store.manifest("d").shards[0]
    [path] = (tmp_path / "store").rglob(f"{shard.key}.parquet")
    flip(path)
    with pytest.raises(StoreError, match="damaged") as caught:
        store.read(shard.key)
    assert caught.value.where == str(path)


def test_doctor_says_which_version_is_not_whole_and_sets_broken_names_aside(tmp_path: Path) -> None:
    made(tmp_path, ["a.txt"])
    store = Store(tmp_path / "store")
    shard = store.manifest("d").shards[0]
    for path in (tmp_path / "store").rglob(f"{shard.key}.json"):
        path.unlink()
    (tmp_path / "store" / "names" / "e@2026.11.21.1.json").write_text("{half")
    (tmp_path / "store" / "objects" / ".tmp-1-2-x.parquet").write_text("half")
    seen = doctor(store, mend=True)
    remedies = {one.path: one.remedy for one in seen.findings}
    assert remedies["d@2026.11.21.1"] == "run its pipeline again"
    assert remedies["objects/.tmp-1-2-x.parquet"] == remedies["names/e@2026.11.21.1.json"] == MENDED
    assert store.datasets() == ["d@2026.11.21.1"]
    assert store.content("aside/names/e@2026.11.21.1.json") == b"{half"
    assert made(tmp_path, ["a.txt"]).manifest.ref == "d@2026.11.21.1"
    assert doctor(store).findings == ()
