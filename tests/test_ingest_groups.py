"""Small files share shards: which do, what a change costs, and that a row can't tell."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import SourceError, StageError, StoreError
from datakit.executors import Processes, Threads
from datakit.lineage import why
from datakit.outcome import Outcome
from datakit.pipeline import Pipeline
from datakit.runner import plan, run
from datakit.schemas import row_id
from datakit.stage import Env, Source
from datakit.stages.ingest import Ingest
from datakit.stages.ingest.groups import ALONE, ROW_WEIGHT, grouped
from datakit.stages.ingest.rows import SHARD_BYTES, SHARD_ROWS
from datakit.stages.normalize import Normalize
from datakit.store import Store
from tests.stages_of_ones_own import Whisperer

Groups = list[tuple[Source, ...]]
Grouping = Callable[[list[Source]], Groups]


def listed(count: int, seed: int = 0, least: int = 0, most: int = 40_000) -> list[Source]:
    """Files in the order of their names, Korean and English ones."""
    draw = random.Random(seed)
    names = [f"{draw.choice(('글', 'doc', '기사/정치'))}-{number:06}.txt" for number in range(count)]
    return [Source(f"/data/{name}", name, f"{draw.random()}", draw.randint(least, most)) for name in sorted(names)]


def weight(group: tuple[Source, ...]) -> int:
    return sum(ROW_WEIGHT + (source.size or 0) for source in group)


# Which files share


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 3 * ALONE)), max_size=60), st.integers(0, 1000))
def test_groups_are_the_files_in_their_order(sizes: list[int | None], seed: int) -> None:
    files = [Source(f"{n}.txt", f"{seed}-{n}.txt", "", size) for n, size in enumerate(sizes)]
    assert [file for group in grouped(files) for file in group] == files
    assert all(groups for groups in grouped(files))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(0, 1000))
def test_no_group_weighs_more_than_a_shard_and_the_file_that_opens_it(count: int, seed: int) -> None:
    for group in grouped(listed(count, seed, most=ALONE - 1)):
        assert weight(group[1:]) <= SHARD_BYTES
        assert len(group) <= SHARD_ROWS + 1


def test_groups_are_about_half_a_shard_large_on_average() -> None:
    groups = grouped(listed(20_000))
    assert SHARD_BYTES / 3 < mean(weight(group) for group in groups) < SHARD_BYTES
    tiny = grouped(listed(100_000, most=100))
    assert len(tiny) < 30


def test_large_files_and_those_of_unknown_size_stand_alone() -> None:
    small, large, unknown = (Source(f"{n}.txt", f"{n}.txt", "", size) for n, size in enumerate((9, ALONE, None)))
    assert grouped([small, large, small, small, unknown]) == [(small,), (large,), (small, small), (unknown,)]


def test_packed_files_are_weighed_by_what_is_in_them() -> None:
    plain = listed(2_000, least=2_000, most=2_000)
    packed = [replace(file, url=f"{file.url}.gz") for file in plain]
    assert len(grouped(packed)) > 2 * len(grouped(plain))


# What a change costs


def new_groups(before: Groups, after: Groups) -> int:
    """How many groups must be read that were not there before."""
    known = {tuple((file.name, file.digest) for file in group) for group in before}
    return sum(tuple((file.name, file.digest) for file in group) not in known for group in after)


def costs(grouping: Grouping, tries: int = 60) -> list[int]:
    """New groups after one file of 10,000 was added, taken away, or grew."""
    files, draw = listed(10_000), random.Random(7)
    before, found = grouping(files), []
    for number in range(tries):
        place = draw.randrange(len(files))
        file = files[place]
        added = Source(f"{file.url}x", f"{file.name}x", "new", draw.randint(0, 40_000))
        changed = {
            0: [*files[: place + 1], added, *files[place + 1 :]],
            1: [*files[:place], *files[place + 1 :]],
            2: [*files[:place], replace(file, digest="other", size=draw.randint(0, 40_000)), *files[place + 1 :]],
        }[number % 3]
        found.append(new_groups(before, grouping(changed)))
    return found


def by_size(files: list[Source]) -> Groups:
    """Full shards one after the other: the planted breach, where a change moves all that follows."""
    groups: Groups = [()]
    for file in files:
        if weight((*groups[-1], file)) > SHARD_BYTES:
            groups.append(())
        groups[-1] = (*groups[-1], file)
    return groups


def test_one_changed_file_of_ten_thousand_makes_one_group_new_or_a_few() -> None:
    found = costs(grouped)
    assert sum(cost > 2 for cost in found) <= 1
    assert max(found) <= 6
    assert mean(found) < 1.5


def test_grouping_that_moves_all_that_follows_is_found() -> None:
    assert max(costs(by_size, tries=6)) > 5


# What a row sees


def corpus(folder: Path) -> Path:
    """Files of many kinds, some of them bad."""
    rows = {
        "a.jsonl": [{"text": "같은 글", "n": 1}, {"text": "같은 글", "n": 2}, {"text": ""}],
        "b.jsonl": [{"text": "같은 글", "n": "x"}, {"text": "other", "tag": "나"}],
        "하나.jsonl": [{"text": "셋째", "tag": "다"}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in rows.items():
        lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        (folder / name).write_text(lines + "\n{broken", encoding="utf-8")
    (folder / "c.csv").write_bytes(
        "text,n\n영화가 좋았어요 그리고 재미있었습니다,3\n둘째 영화는 별로였어요,4\n".encode("cp949")
    )
    (folder / "d.txt").write_text("한 문서 전체", encoding="utf-16")
    (folder / "e.txt").write_bytes(b"")
    pq.write_table(
        pa.table({"text": ["표에서 온 글", "second"], "n": pa.array([7, 8], pa.int8())}), folder / "f.parquet"
    )
    return folder


def told(outcomes: list[Outcome]) -> tuple[list[dict[str, object]], list[dict[str, object]], Counter[str]]:
    """All rows without nulls (a shard has the columns of all of its files), all drops, all counts."""
    kept = [row for outcome in outcomes for row in outcome.kept.to_pylist()]
    spelled = [{k: str(v) for k, v in row.items() if v is not None} for row in kept]
    drops = [row for outcome in outcomes if outcome.drops is not None for row in outcome.drops.to_pylist()]
    return spelled, drops, sum((outcome.counters for outcome in outcomes), Counter())


def test_a_row_is_the_same_in_a_shard_of_its_own_and_in_a_shared_one(tmp_path: Path) -> None:
    stage = Ingest(files=str(corpus(tmp_path / "in")))
    groups = stage.groups()
    assert [len(group) for group in groups] == [7]
    shared = list(stage.read_group(groups[0], Env()))
    alone = [outcome for source in groups[0] for outcome in stage.read(source, Env())]
    assert len(shared) == 1
    assert told(shared) == told(alone)
    counters = told(shared)[2]
    assert (counters["encoding.cp949"], counters["encoding.utf-16"], counters["empty_files"]) == (1, 1, 1)
    ids = shared[0].kept.column("id").to_pylist()
    assert ids[:3] == [row_id("a.jsonl", "같은 글"), row_id("a.jsonl", "같은 글", 1), row_id("b.jsonl", "같은 글")]


def test_shared_shards_are_full_at_the_same_size_as_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datakit.stages.ingest.rows.SHARD_ROWS", 3)
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text(f"문서 {number}")
    stage = Ingest(files=str(tmp_path))
    [group] = stage.groups()
    assert [outcome.kept.num_rows for outcome in stage.read_group(group, Env())] == [3, 3, 1]


def test_a_broken_file_among_many_names_itself(tmp_path: Path) -> None:
    corpus(tmp_path)
    bad = tmp_path / "d2.jsonl"
    for data, said in ((b'{"other": 1}\n', "no column 'text'"), (b"{broken\n" * 30, "30 of 30 rows can't be read")):
        bad.write_bytes(data)
        stage = Ingest(files=str(tmp_path))
        [group] = stage.groups()
        with pytest.raises(SourceError) as caught:
            list(stage.read_group(group, Env()))
        assert said in caught.value.message
        assert caught.value.where == "d2.jsonl"


def test_a_fault_of_ours_in_one_file_of_many_names_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stream: object, how: object) -> None:
        raise RuntimeError("900101-1234567")

    corpus(tmp_path)
    monkeypatch.setitem(__import__("datakit.stages.ingest.readers", fromlist=["READERS"]).READERS, "csv", fail)
    with pytest.raises(StageError) as caught:
        run(Pipeline(name="p", stages=(Ingest(files=str(tmp_path)),)), Store(tmp_path / "store"))
    assert (caught.value.message, caught.value.where) == ("ingest failed: RuntimeError", "c.csv")


# In a run


@pytest.fixture
def many(here: Path) -> Pipeline:
    """Files enough for several groups of small ones, and a large one."""
    (here / "in").mkdir()
    for number in range(40):
        text = f"{number}번째 글입니다. The kettle leaks at the handle. " * 9_000
        (here / "in" / f"{number:03}.txt").write_text(text[: 600_000 - number * 9_000])
    (here / "in" / "large.jsonl").write_text('{"text": "큰 파일의 글"}\n' * 60_000)
    return Pipeline(name="many", stages=(Ingest(files="in"), Normalize()))


def test_runs_plan_and_do_groups_and_a_new_file_costs_its_neighbours_only(many: Pipeline, here: Path) -> None:
    store = Store("store")
    groups = len(many.stages[0].groups())  # type: ignore[attr-defined]
    assert 3 <= groups < 10
    first = run(many, store)
    ingest = first.manifest.stages[0]
    assert (ingest.notes, len(ingest.steps), ingest.stats["rows_in"]) == ({"files": 41}, groups, 60_040)
    assert [(step.run, step.reuse) for step in plan(many, store)] == [(0, groups), (0, len(first.manifest.shards))]
    (here / "in" / "0205.txt").write_text("새 글")
    steps = plan(many, store)
    assert steps[0].run in (1, 2)
    assert run(many, store).manifest.rows == first.manifest.rows + 1


def bytes_of(store: Store) -> dict[str, bytes]:
    files = sorted(Path(store.root).glob("*/*/*.*"))
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


def test_same_store_for_every_executor_and_worker_count(many: Pipeline, here: Path) -> None:
    found = []
    for workers in (1, 2):
        store = Store(f"store-{workers}")
        run(many, store, workers=workers)
        found.append(bytes_of(store))
    assert found[0] == found[1]
    assert len(found[0]) > 20


def test_reading_that_ended_in_the_middle_goes_on_to_the_same_bytes(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file whose shards were cleaned already, but that was not read to its end."""
    (here / "a.jsonl").write_text("".join(f'{{"text": "글 {number}"}}\n' for number in range(90_000)))
    pipeline = Pipeline(name="p", stages=(Ingest(files="a.jsonl"), Normalize()))
    run(pipeline, Store("whole"))

    def full(self: Store, step: object, drops: object = None) -> None:
        raise StoreError("the disk is full", where="a.jsonl")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "put_step", full)
        with pytest.raises(StoreError):
            run(pipeline, Store("torn"), workers=2)
    cleaned = bytes_of(Store("torn"))
    again = run(pipeline, Store("torn"), workers=2)
    assert again.reused >= 1
    assert cleaned.items() < bytes_of(Store("torn")).items()
    assert bytes_of(Store("torn")) == bytes_of(Store("whole"))


@pytest.mark.parametrize("executor", [Threads, Processes])
def test_large_file_is_cleaned_while_it_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, executor: type[Threads | Processes]
) -> None:
    """With more workers than files this process reads, and the first shard is in work before the last is read."""
    (here / "a.jsonl").write_text('{"text": "글"}\n' * 90_000)
    seen: list[str] = []
    whole = executor.map

    def spied(self: object, work: object, jobs: object) -> object:
        for result in whole(self, work, jobs):  # type: ignore[arg-type]
            seen.append("cleaned")
            yield result

    monkeypatch.setattr(executor, "map", spied)
    monkeypatch.setattr("datakit.store.Store.put_step", _noting(Store.put_step, seen, "read"))
    pipeline = Pipeline(name="p", stages=(Ingest(files="a.jsonl"), Normalize()))
    run(pipeline, Store("store"), workers=2, executor=executor.__name__.lower())
    assert seen.count("cleaned") == 5
    assert 0 < seen.index("read") < 5


def _noting(function: Callable[..., object], seen: list[str], what: str) -> Callable[..., object]:
    def noted(*args: object, **named: object) -> object:
        seen.append(what)
        return function(*args, **named)

    return noted


def test_why_finds_a_line_of_a_file_in_a_shared_shard(here: Path) -> None:
    corpus(here / "in")
    store = Store("store")
    run(Pipeline(name="p", stages=(Ingest(files="in"), Normalize())), store)
    row = why("b.jsonl:2", store)
    assert (row["source"], row["position"], row["source_id"]) == ("b.jsonl", 2, "b.jsonl:2")
    assert [(line["stage"], line["what"]) for line in row["story"]] == [("ingest", "read"), ("normalize", "kept")]
    gone = why("하나.jsonl:2", store)["story"][-1]
    assert (gone["what"], gone["rule"]) == ("dropped", "unreadable")
    [shard] = store.manifest("p").shards
    assert shard.source == "a.jsonl ... 하나.jsonl (7 files)"
    with pytest.raises(StageError) as caught:
        run(Pipeline(name="q", stages=(Ingest(files="in"), Whisperer())), store)
    assert caught.value.where == shard.source
