"""A store away from the disk: on a real S3 server, in memory, on a filesystem without whole puts, copied elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from datakit.collecting import gc
from datakit.doctoring import doctor
from datakit.errors import StoreError
from datakit.lease import FILE, STALE_AFTER, _Lease, lease
from datakit.pipeline import Pipeline, Refresh
from datakit.refreshing import refresh
from datakit.refreshing.withdrawing import rollback
from datakit.remote import holds_secret, redacted
from datakit.runner import plan, run
from datakit.stages.dedup import Dedup
from datakit.stages.ingest import Ingest
from datakit.stages.quality import Quality
from datakit.store import Store
from tests.bench import peers
from tests.s3_server import BUCKET, SECRET, environment, s3_server

DAY = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TEXTS = (
    "서울에는 밤새 눈이 내려 길이 매우 미끄럽습니다. 출근길에는 대중교통을 이용해 주시기 바랍니다.",
    "The library opens at nine in the morning and closes at six in the evening on weekdays.",
    "The library opens at nine in the morning and closes at six in the evening on weekdays.",
    "짧다",
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not peers.installed("moto"):
        pytest.skip(
            "no S3 server: python -c \"from tests.bench import peers; peers.environment_of('moto')\" installs one"
        )
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(address).items():
            patch.setenv(name, value)
        yield address


@pytest.fixture(params=["s3", "memory", "plain"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of its own on each kind of filesystem."""
    if request.param == "s3":
        request.getfixturevalue("server")
        return Store(f"s3://{BUCKET}/{tmp_path.name}").prepare()
    if request.param == "memory":
        return Store(f"memory://{tmp_path.name}").prepare()
    return on_plain_files(tmp_path / "plain").prepare()


def on_plain_files(folder: Path) -> Store:
    """A store on a filesystem that knows how to write and move, and no more (as HDFS and SFTP do)."""
    folder.mkdir()
    store = Store(folder)
    store.fs, store.root, store.local = DirFileSystem(str(folder), LocalFileSystem()), "root", False
    assert not store.whole_puts
    return store


def corpus(folder: Path, texts: tuple[str, ...] = TEXTS, name: str = "a") -> None:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def pipeline(folder: Path) -> Pipeline:
    return Pipeline(
        name="d",
        stages=(Ingest(files=[str(folder / "*.jsonl")]), Quality(min_words=3), Dedup()),
        refresh=Refresh(keep=2),
    )


def jobs(pipeline: Pipeline, store: Store) -> tuple[int, int]:
    """How many jobs a run would reuse, and how many it would do."""
    steps = plan(pipeline, store)
    return sum(step.reuse or 0 for step in steps), sum(1 if step.run is None else step.run for step in steps)


def test_a_pipeline_lives_on_any_filesystem_from_its_first_run_to_its_rollback(store: Store, tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    first = run(pipeline(tmp_path / "in"), store, now=DAY)
    assert first.published
    assert first.manifest.rows == 2
    assert jobs(pipeline(tmp_path / "in"), store) == (3, 0)
    corpus(tmp_path / "in", ("새 문서가 하나 더 왔습니다. 내용은 앞의 것과 다릅니다.",), "b")
    second = refresh(pipeline(tmp_path / "in"), store, now=DAY + timedelta(days=1))
    assert second.published == "d@2026.11.22.1"
    corpus(tmp_path / "in", ("And one more document in English, which nobody has seen before today.",), "c")
    assert refresh(pipeline(tmp_path / "in"), store, now=DAY + timedelta(days=2)).published == "d@2026.11.23.1"
    assert store.datasets() == ["d@2026.11.22.1", "d@2026.11.23.1"], "keep: 2"
    back = rollback("d", store, now=DAY + timedelta(days=3))
    assert (back.ref, back.digest) == ("d@2026.11.24.1", second.run.manifest.digest)
    gone = gc(store)
    assert gone.removed > 0
    assert doctor(store).findings == ()
    assert store.latest("d") == back
    assert not any(".tmp-" in path for path in store.files())


def test_every_filesystem_holds_the_same_bytes_as_the_disk(store: Store, tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    run(pipeline(tmp_path / "in"), store, now=DAY)
    run(pipeline(tmp_path / "in"), there := Store(tmp_path / "disk"), now=DAY)
    here, disk = (
        {path: one.content(path) for path in one.files() if not path.startswith("runs/2")} for one in (store, there)
    )
    assert here == disk


def test_damage_is_found_mended_and_made_anew(store: Store, tmp_path: Path) -> None:
    corpus(tmp_path / "in")
    shard = run(pipeline(tmp_path / "in"), store, now=DAY).manifest.shards[0]
    path = f"objects/{shard.key[:2]}/{shard.key}.parquet"
    whole = store.content(path)
    store.fs.pipe_file(f"{store.root}/{path}", whole[:-9])
    assert [one.path for one in doctor(store, mend=True).findings if "--mend" not in one.remedy]
    run(pipeline(tmp_path / "in"), store, now=DAY)
    assert store.content(path) == whole


def test_a_put_that_breaks_off_leaves_what_was_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("x.json", b"before")

    def broken(path: str, data: bytes, **_: object) -> None:
        if not store.whole_puts:  # an object store drops what did not come whole; plain files keep half
            store.fs.fs.pipe_file(store.fs._join(path), data[:2])
        raise OSError(5, "cut off")

    monkeypatch.setattr(store.fs, "pipe_file", broken, raising=False)
    with pytest.raises(StoreError, match="cut off"):
        store.touch("x.json", b"after")
    monkeypatch.undo()
    assert store.content("x.json") == b"before"
    assert sorted(store.files()) == ["format.json", "x.json"]


def test_of_two_that_create_a_file_one_succeeds(store: Store) -> None:
    store.create("x.json", b"one")
    with pytest.raises(FileExistsError):
        store.create("x.json", b"two")
    assert store.content("x.json") == b"one"


def test_lease_is_held_once_and_given_back(store: Store) -> None:
    told = f"run a, process {os.getpid()}"
    with lease(store, "run a"), pytest.raises(StoreError, match=told), lease(store, "run b"):
        pass
    with lease(store, "run c"):
        assert FILE in store.files()
    assert FILE not in store.files()


def test_silent_lease_is_taken_over_and_its_holder_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = _Lease(store, "slept")
    slept.take()
    monkeypatch.setattr(Store, "age", lambda self, path: STALE_AFTER + 1)
    awake = _Lease(store, "awake")
    awake.take()
    slept.give_back()
    with pytest.raises(StoreError, match="silent for so long"):
        slept.complain()
    awake.give_back()
    awake.complain()
    assert FILE not in store.files(), "and the one that holds it gave it back"


def test_a_beat_makes_the_lease_young(store: Store) -> None:
    store.create(FILE, b"x")
    store.touch(FILE, b"x")
    assert store.age(FILE) < 30


def test_listing_of_more_than_a_page_is_whole(server: str) -> None:
    store = Store(f"s3://{BUCKET}/many").prepare()
    store.fs.pipe({f"{store.root}/parts/{number:04}.parquet": b"" for number in range(1005)})
    assert len(store.files()) == 1006
    assert len(store.fs.ls(f"{store.root}/parts", detail=False)) == 1005


def datakit(*words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "datakit", *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, env={**os.environ, **more}, check=False)


def written(folder: Path) -> None:
    corpus(folder / "in")
    corpus(folder / "in", ("둘째 파일에 있는 문서입니다. 다른 파일과 상관이 없습니다.",), "b")
    (folder / "d.yaml").write_text(
        "name: d\nstages:\n- use: ingest\n  files: [in/*.jsonl]\n- {use: quality, min_words: 3}\n- use: dedup\n"
    )


def test_a_second_machine_continues_what_two_workers_began_on_s3(server: str, tmp_path: Path) -> None:
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        written(tmp_path / machine)
    place = f"s3://{BUCKET}/shared"
    done = datakit(
        "run", "d.yaml", "--store", place, "--workers", "2", "--executor", "processes", folder=tmp_path / "one"
    )
    assert done.returncode == 0, done.stderr
    there = {"DATAKIT_CACHE": str(tmp_path / "cache of two")}
    again = datakit("run", "d.yaml", "--store", place, "--json", folder=tmp_path / "two", **there)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["ran"] == 0
    said = done.stdout + done.stderr + again.stdout + again.stderr
    held = b"".join(Store(place).content(path) for path in Store(place).files())
    assert SECRET not in said
    assert SECRET.encode() not in held


def test_a_copied_folder_is_the_same_store(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    written(tmp_path / "one")
    done = datakit("run", "d.yaml", "--store", "store", folder=tmp_path / "one")
    assert done.returncode == 0, done.stderr
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere" / "two")
    shutil.rmtree(tmp_path / "one")
    told = datakit("run", "d.yaml", "--store", "store", "--json", folder=tmp_path / "elsewhere" / "two")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["ran"] == 0


def test_refused_keys_and_missing_buckets_are_one_sentence_without_the_key(server: str) -> None:
    with pytest.raises(StoreError, match="no such bucket") as caught:
        Store("s3://elsewhere/st").prepare()
    said = "\n".join(caught.value.lines())
    assert SECRET not in said
    assert said.count("\n") < 3


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIA:{SECRET}@bucket/store",
        f"sftp://me:{SECRET}@host/store",
        f"https://host/a.jsonl?X-Amz-Signature={SECRET}&x=1",
        f"https://host/a.jsonl?x=1&token={SECRET}",
        f"az://c/a.jsonl?sv=1&sig={SECRET}",
        f"gzip::https://u:{SECRET}@host/a.gz",
    ],
)
def test_a_url_with_a_key_is_refused_and_the_key_is_not_told(url: str) -> None:
    assert holds_secret(url)
    assert SECRET not in redacted(url)
    with pytest.raises(StoreError, match="no password or key") as caught:
        Store(url)
    assert SECRET not in "\n".join(caught.value.lines())
    with pytest.raises(ValueError, match="environment") as refused:
        Ingest(files=[url])
    told = refused.value.errors(include_input=False)  # type: ignore[attr-defined]
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    "url", ["s3://bucket/store", "sftp://me@host/store", "https://host/a@b:c/d.jsonl?page=2", "a:b@c/d", "keys/key=1"]
)
def test_other_urls_are_let_through(url: str) -> None:
    assert not holds_secret(url)
    assert redacted(url) == url


def test_an_unknown_protocol_says_what_to_install() -> None:
    with pytest.raises(StoreError) as caught:
        Store("nosuch://x/y")
    assert "nosuch" in caught.value.where


def test_object_stores_are_opened_without_their_own_packages() -> None:
    assert Store(f"s3://{BUCKET}/x").whole_puts
    assert "gs" in fsspec.registry or Store("gs://b/x").whole_puts
