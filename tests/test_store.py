"""The store: content keys, whole files or none, records last, errors with a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from datakit.errors import StoreError
from datakit.manifests import DatasetManifest
from datakit.schemas import table_from_rows
from datakit.store import Store, parquet_bytes

ROWS = table_from_rows([{"id": "1", "text": "한글 문서"}, {"id": "2", "text": "a document"}], "document")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").prepare()


def manifest(version: str, digest: str = "d") -> DatasetManifest:
    return DatasetManifest(
        name="n", version=version, kind="document", digest=digest, rows=0, shards=(), recipe={}, stages=()
    )


def test_put_shard_reads_back_the_same_rows(store: Store) -> None:
    record = store.put_shard(ROWS, "document")
    assert store.read(record.key).equals(ROWS)
    assert store.record(record.key) == record


def test_content_key_does_not_depend_on_chunks(store: Store) -> None:
    chunked = pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])
    assert store.put_shard(ROWS, "document").key == store.put_shard(chunked, "document").key


def test_rows_without_their_record_are_not_done(store: Store) -> None:
    record = store.put_shard(ROWS, "document")
    next(Path(store.root).rglob(f"{record.key}.json")).unlink()
    assert store.record(record.key) is None


def test_put_leaves_no_file_when_the_disk_is_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(Path(store.root).rglob("*"))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="disk is full") as caught:
        store.put_shard(ROWS, "document")
    assert "run again" in caught.value.fix
    assert [path for path in sorted(Path(store.root).rglob("*")) if path.is_file()] == [
        p for p in before if p.is_file()
    ]


def test_damaged_shard_is_named_with_a_remedy(store: Store) -> None:
    record = store.put_shard(ROWS, "document")
    path = next(Path(store.root).rglob(f"{record.key}.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StoreError, match="damaged") as caught:
        store.read(record.key)
    assert record.key in caught.value.where
    assert "doctor" in caught.value.fix


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="permission bits don't bind root")
def test_store_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        Store(tmp_path / "file" / "store").prepare()


@pytest.mark.parametrize(("found", "fix"), [(1, "--store"), (99, "update datakit")])
@pytest.mark.parametrize(
    "use", [Store.prepare, Store.datasets, lambda store: store.record("3f"), lambda store: store.manifest("n@1")]
)
def test_store_of_another_format_is_refused_whatever_is_asked_of_it(
    tmp_path: Path, use: Callable[[Store], object], found: int, fix: str
) -> None:
    store = Store(tmp_path).prepare()
    store.publish(manifest("1"))
    (tmp_path / "format.json").write_text(f'{{"format": {found}}}')
    with pytest.raises(StoreError, match=f"format {found}") as caught:
        use(Store(tmp_path))
    assert fix in caught.value.fix


def test_versions_are_sorted_by_day_and_count(store: Store) -> None:
    for version in ("2026.11.09.2", "2026.11.09.10", "2026.01.30.1", "2026.11.10.1"):
        store.publish(manifest(version))
    assert [ref.partition("@")[2] for ref in store.datasets()] == [
        "2026.01.30.1", "2026.11.09.2", "2026.11.09.10", "2026.11.10.1",
    ]  # fmt: skip
    latest = store.latest("n")
    assert latest is not None
    assert latest.version == "2026.11.10.1"


def test_a_version_is_never_published_twice(store: Store) -> None:
    store.publish(manifest("2026.11.09.1"))
    with pytest.raises(StoreError, match="already"):
        store.publish(manifest("2026.11.09.1", "other"))


def test_unknown_dataset_names_the_known_ones(store: Store) -> None:
    store.publish(manifest("2026.11.09.1"))
    with pytest.raises(StoreError) as caught:
        store.manifest("m")
    assert "n@2026.11.09.1" in caught.value.fix


def test_store_works_on_any_filesystem() -> None:
    store = Store("memory://store-test").prepare()
    record = store.put_shard(ROWS, "document", drops=None)
    assert Store("memory://store-test").read(record.key).equals(ROWS)
    store.publish(manifest("2026.11.09.1"))
    assert store.datasets() == ["n@2026.11.09.1"]


def test_parquet_bytes_are_the_same_for_the_same_rows() -> None:
    again = table_from_rows(ROWS.to_pylist(), "document")
    assert parquet_bytes(again) == parquet_bytes(ROWS)
