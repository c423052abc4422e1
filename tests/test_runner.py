"""The runner's laws: rows conserved, same bytes however it ran, nothing done twice, killed runs go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.executors import Processes
from datakit.outcome import StageStats
from datakit.pipeline import Pipeline
from datakit.runner import Applied, apply, plan, run
from datakit.stage import Stage
from datakit.store import Store
from tests.stages_of_ones_own import Lines, MaxLength, Shout, Thief, Unique, Whisperer

DAY = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TEXTS = [f"{n}번째 문서, document {n % 4}" for n in range(11)] + ["같은 글", "같은 글", "x" * 60]
STAGES: tuple[Stage, ...] = (MaxLength(limit=40), Shout(), Unique())


def write(folder: Path, **files: list[str]) -> list[str]:
    for name, lines in files.items():
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return [str(folder / f"{name}.txt") for name in files]


def pipeline(files: list[str], **fields: object) -> Pipeline:
    return Pipeline(name="lines", stages=(Lines(files=files), *STAGES), **fields)


def digest_of(result: Applied) -> str:
    from datakit.canon import digest_bytes
    from datakit.store import parquet_bytes

    return digest_bytes(parquet_bytes(result.rows) + parquet_bytes(result.drops))


def files_of(store: Path) -> dict[str, bytes]:
    """All bytes of a store that must be equal between runs (run records are dated)."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and "runs" not in path.parts and not path.name.startswith(".tmp-")
    }


@given(st.lists(st.text(alphabet="가나다 abc", max_size=12), min_size=1, max_size=20), st.sampled_from([1, 7, 1000]))
@settings(max_examples=15)
def test_rows_are_conserved(texts: list[str], batch_rows: int) -> None:
    result = apply((MaxLength(limit=6), Unique()), [{"text": t} for t in texts], batch_rows=batch_rows)
    kept = [t for t in texts if len(t) <= 6]
    assert result.rows.num_rows == len(set(kept))
    assert result.rows.num_rows + result.drops.num_rows == len(texts)
    for report in result.reports:
        assert StageStats.from_dict(report.stats).conserved


def test_a_stage_that_loses_rows_is_caught() -> None:
    with pytest.raises(StageError, match="lost 1 of 3 rows"):
        apply(Thief(), [{"text": t} for t in "abc"])


def test_a_folded_row_names_the_row_that_stands_for_it() -> None:
    result = apply(Unique(), [{"text": "같은 글"}, {"text": "다른 글"}, {"text": "같은 글"}])
    drop = result.drops.to_pylist()[0]
    assert (drop["rule"], drop["stage"]) == ("repeated", "unique")
    assert drop["matched"] == result.rows.column("id").to_pylist()[0]
    assert (result.stats.kept, result.stats.dropped, result.stats.folded) == (2, 0, 1)


def test_drops_of_fused_stages_come_back_once() -> None:
    result = apply(
        (MaxLength(limit=4), Shout(), MaxLength(id="again", limit=2)), [{"text": "가나다라마"}, {"text": "abc"}]
    )
    assert result.drops.column("stage").to_pylist() == ["again", "max_length"]


def test_an_error_in_a_stage_never_tells_the_text() -> None:
    with pytest.raises(StageError) as caught:
        apply(Whisperer(), [{"text": "900101-1234567"}])
    assert "900101" not in "".join(caught.value.lines())
    assert "ValueError" in caught.value.message


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_same_bytes_for_every_batch_size(batch_rows: int) -> None:
    rows = [{"text": t} for t in TEXTS]
    assert digest_of(apply(STAGES, rows, batch_rows=batch_rows)) == digest_of(apply(STAGES, rows))


def test_same_bytes_on_every_executor_and_for_split_shards() -> None:
    rows = [{"id": f"{n}", "text": t} for n, t in enumerate(TEXTS)]
    whole = digest_of(apply(STAGES, [rows[:5], rows[5:]]))
    assert digest_of(apply(STAGES, [rows[:5], rows[5:]], executor=Processes(2))) == whole
    ids = apply(STAGES, [rows]).rows.column("id").to_pylist()
    assert apply(STAGES, [rows[:5], rows[5:]]).rows.column("id").to_pylist() == ids


def test_run_publishes_once_and_reuses_everything(here: Path) -> None:
    store = Store(here / "store")
    value = pipeline(write(here, a=TEXTS, b=["another one"]))
    first = run(value, store, now=DAY)
    again = run(value, store, now=DAY)
    assert (first.published, first.manifest.version) == (True, "2026.11.21.1")
    assert (again.published, again.ran, again.manifest.digest) == (False, 0, first.manifest.digest)
    assert store.datasets() == ["lines@2026.11.21.1"]


def test_a_new_file_runs_its_own_shards_only(here: Path) -> None:
    store = Store(here / "store")
    run(pipeline(write(here, a=TEXTS)), store)
    files = write(here, a=TEXTS, b=["새 글", "one more"])
    steps = {"+".join(step.stages): (step.reuse, step.run) for step in plan(pipeline(files), store)}
    assert steps == {"lines": (1, 1), "max_length+shout": (None, None), "unique": (None, None)}
    second = run(pipeline(files), store)
    assert (second.reused, second.ran) == (1 + 5, 1 + 1 + 1)


def test_a_changed_setting_runs_from_its_stage_on(here: Path) -> None:
    store, files = Store(here / "store"), write(here, a=TEXTS)
    run(pipeline(files), store)
    changed = Pipeline(name="lines", stages=(Lines(files=files), MaxLength(limit=9), Shout(), Unique()))
    result = run(changed, store)
    assert (result.reused, result.ran) == (1, 5 + 1)


def test_worker_count_and_paths_leave_the_store_the_same(here: Path) -> None:
    stores = []
    for name, workers in (("one", 1), ("two", 2)):
        (here / name).mkdir()
        files = write(here / name, a=TEXTS, b=["x", "같은 글"])
        run(pipeline(files), Store(here / name / "store"), workers=workers, now=DAY)
        found = files_of(here / name / "store")
        stores.append({path: data for path, data in found.items() if not path.startswith("names")})
    assert stores[0] == stores[1]


def test_hash_seed_leaves_the_store_the_same(here: Path) -> None:
    files = write(here, a=TEXTS, b=["x", "같은 글"])
    found = []
    for seed in ("0", "4242"):
        store = here / f"store-{seed}"
        _run_script(here, files, store, {"PYTHONHASHSEED": seed}).wait()
        found.append(files_of(store))
    assert found[0] == found[1]
    assert any(path.startswith("names") for path in found[0])


def test_killed_run_goes_on_to_the_same_bytes(here: Path) -> None:
    files = write(here, **{f"f{n}": [f"{n} {line}" for line in TEXTS] for n in range(6)})
    _run_script(here, files, here / "whole", {}).wait()
    for pause in (0.3, 0.6, 0.9):
        process = _run_script(here, files, here / "torn", {})
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _run_script(here, files, here / "torn", {}).wait() == 0
    assert files_of(here / "torn") == files_of(here / "whole")


def test_changed_bytes_of_a_shard_are_seen_by_the_digest(here: Path) -> None:
    store = Store(here / "store")
    manifest = run(pipeline(write(here, a=TEXTS)), store).manifest
    other = run(pipeline(write(here, a=[*TEXTS, "one more line"])), store).manifest
    assert manifest.digest != other.digest
    assert other.parent == manifest.ref


def _run_script(here: Path, files: list[str], store: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from datetime import UTC, datetime; from datakit.store import Store\n"
        "from tests.test_runner import DAY, pipeline, run\n"
        f"run(pipeline({files!r}), Store({str(store)!r}), now=DAY)\n"
    )
    root = Path(__file__).parents[1]
    return subprocess.Popen([sys.executable, "-c", code], cwd=root, env={**os.environ, **env})
