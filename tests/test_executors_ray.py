"""The Ray executor keeps the promises of the others: order, errors, remedies, bytes, a silent stdout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datakit.errors import ConfigError, SourceError, StageError
from datakit.executors import Ray, Serial, make_executor
from datakit.pipeline import Pipeline
from datakit.runner import apply, run
from datakit.stage import Stage, class_from_file
from datakit.store import Store
from tests.stages_of_ones_own import Lines, MaxLength, Shout, Unique, Whisperer
from tests.test_executors import die, fail_at_three, square
from tests.test_runner import DAY, TEXTS, digest_of, files_of, write

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def two() -> Iterator[Ray]:
    """Two workers, in a cluster that ends with these tests."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        yield Ray(2)
    ray.shutdown()


def folder_of(number: int) -> str:
    return os.getcwd()


def test_map_keeps_the_order_of_the_jobs(two: Ray) -> None:
    assert list(two.map(square, iter(range(20)))) == [n * n for n in range(20)]


def test_map_reads_at_most_two_jobs_a_worker_ahead(two: Ray) -> None:
    jobs = iter(range(100))
    assert next(two.map(square, jobs)) == 0
    assert next(jobs) == 4


def test_map_brings_an_error_home_whole(two: Ray) -> None:
    with pytest.raises(SourceError) as caught:
        list(two.map(fail_at_three, range(6)))
    assert type(caught.value) is SourceError
    assert caught.value.lines() == ["error: 세 번째 파일이 없다", "where: c.jsonl"]
    assert "fail_at_three" in str(caught.value.__cause__)


def test_killed_worker_is_an_error_with_a_remedy(two: Ray) -> None:
    with pytest.raises(StageError, match="killed") as caught:
        list(two.map(die, range(4)))
    assert "--workers" in caught.value.fix
    assert list(two.map(square, range(4))) == [0, 1, 4, 9]


def test_relative_paths_mean_the_folder_of_the_run(two: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(two.map(square, range(2)))
    monkeypatch.chdir(tmp_path)
    assert set(two.map(folder_of, range(4))) == {str(tmp_path)}


def test_an_error_in_a_stage_never_tells_the_text(two: Ray, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StageError) as caught:
        apply(Whisperer(), [[{"text": "900101-1234567"}]] * 4, executor=two)
    assert "900101" not in "".join(caught.value.lines())
    list(two.map(square, range(4)))
    told = capfd.readouterr()
    assert "900101" not in told.out + told.err


def test_same_bytes_as_serial(two: Ray) -> None:
    rows = [{"id": f"{n}", "text": t} for n, t in enumerate(TEXTS)]
    stages: tuple[Stage, ...] = (MaxLength(limit=40), Shout(), Unique())
    by_ray, serial = (digest_of(apply(stages, [rows[:5], rows[5:]], executor=e)) for e in (two, Serial()))
    assert by_ray == serial


def test_a_run_leaves_the_same_store_as_serial(two: Ray, here: Path) -> None:
    files = write(here, a=TEXTS, b=["x", "같은 글"])
    own = Path(__file__).with_name("stages_of_ones_own.py")
    shout, unique = (class_from_file(f"{own}:{name}") for name in ("Shout", "Unique"))
    stores = []
    for executor in ("serial", "ray"):
        value = Pipeline(name="lines", stages=(Lines(files=files), MaxLength(limit=40), shout(), unique()))
        run(value, Store(executor), executor=executor, workers=2, now=DAY)
        stores.append(files_of(here / executor))
    assert stores[0] == stores[1]
    assert len(stores[0]) > 20


def test_a_script_without_a_main_guard_prints_its_own_lines_only(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from datakit.errors import StageError\n"
        "from datakit.executors import Ray\n"
        "class Pair:\n"
        "    def __init__(self, n): self.twice = 2 * n\n"
        "def die(n): os.kill(os.getpid(), 9)\n"
        "def lazy(n): print('not for stdout'); return Pair(n)\n"
        "try: list(Ray(2).map(die, range(4)))\n"
        "except StageError as error: print(type(error.__cause__).__name__)\n"
        "print([pair.twice for pair in Ray(2).map(lazy, range(5))])\n"
        "unfinished = Ray(2).map(lazy, range(50))\n"
        "next(unfinished)\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=env)
    assert (done.stdout, done.stderr) == ("WorkerCrashedError\n[0, 2, 4, 6, 8]\n", "")


def test_ray_not_installed_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught:
        make_executor("ray", 2)
    assert caught.value.fix == "pip install 'datakit[ray]'"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_named_cluster_that_is_not_there_is_refused(two: Ray, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    import ray

    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match="can't connect") as caught:
        list(two.map(square, range(2)))
    assert caught.value.where == "RAY_ADDRESS"
