"""A new adapter stands beside the last one until it has won; killed at any point, the next pass ends what was begun."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datakit.canon import digest_bytes, key_of
from datakit.errors import ConfigError, GateRefused
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.pipeline import Gates, Pipeline, Refresh
from datakit.refreshing import adapters, refresh
from datakit.store import Store
from datakit.training import adapter_in, write_artifact
from tests.stages_of_ones_own import Lines

DAY = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
OUT = Path("adapters/d")


@dataclass
class School:
    """Trains adapters whose held-out loss is foretold, one a version."""

    losses: list[float]
    trained: list[str] = field(default_factory=list)

    def train(self, manifest: DatasetManifest, out: Path) -> AdapterArtifact:
        key = key_of("adapter", manifest.digest)
        if not (out / "artifact.json").is_file() or adapter_in(out).name != key:
            self.trained.append(manifest.ref)
            out.mkdir(parents=True, exist_ok=True)
            data = str(self.losses[manifest.rows - 1]).encode()
            (out / "weights").write_bytes(data)
            artifact = AdapterArtifact(
                name=key, trainer="t", base="b", dataset=manifest.ref, dataset_digest=manifest.digest, config={},
                metrics={}, seed=0, files={"weights": digest_bytes(data)}, path=str(out),
            )  # fmt: skip
            write_artifact(artifact)
        return adapter_in(out)

    def judge(self, out: Path) -> float:
        return float((out / "weights").read_bytes())


@pytest.fixture
def day(here: Path) -> Callable[..., Any]:
    """One pass of a night on which a file came."""

    def one_pass(number: int, school: School, **gates: float) -> Any:
        (here / f"{number}.txt").write_text(f"글 {number}", encoding="utf-8")
        files = sorted(str(path) for path in here.glob("*.txt"))
        settings = Refresh(train=True, gates=Gates(**gates))
        pipeline = Pipeline(
            name="d", stages=(Lines(files=files),), refresh=settings, train={"use": "lora", "out": str(OUT)}
        )
        now = DAY + timedelta(days=number)
        return refresh(pipeline, Store(here / "store"), train=school.train, judge=school.judge, now=now)

    return one_pass


def in_use() -> str:
    return adapter_in(OUT).dataset


def test_the_better_adapter_is_in_use_after_each_night(day: Callable[..., Any]) -> None:
    school = School([2.0, 1.5, 1.9, 1.4])
    contests = [day(number, school).contest for number in range(4)]
    assert [contest.kept for contest in contests] == ["new", "new", "last", "new"]
    assert [contest.last_loss for contest in contests] == [None, 2.0, 1.5, 1.5]
    assert in_use() == "d@2026.11.24.1"
    assert (OUT.with_name("d.last") / "weights").read_bytes() == b"1.5"


def test_an_adapter_that_lost_stays_beside_the_one_in_use(day: Callable[..., Any], here: Path) -> None:
    school = School([1.0, 1.2])
    day(0, school)
    assert day(1, school).contest.adapter.dataset == in_use() == "d@2026.11.21.1"
    assert adapter_in(OUT.with_name("d.new")).dataset == "d@2026.11.22.1"


def test_a_worse_adapter_holds_the_version_back_and_is_not_trained_twice(day: Callable[..., Any], here: Path) -> None:
    school = School([1.0, 1.5])
    day(0, school, val_loss_not_worse_by=0.1)
    for _ in range(2):
        with pytest.raises(GateRefused, match=r"val_loss_not_worse_by: .* is 1.5000, the last one's 1.0000"):
            day(1, school, val_loss_not_worse_by=0.1)
    assert school.trained == ["d@2026.11.21.1", "d@2026.11.22.1"]
    assert Store(here / "store").datasets() == ["d@2026.11.21.1"]
    assert in_use() == "d@2026.11.21.1"
    assert day(1, school, val_loss_not_worse_by=0.6).published == "d@2026.11.22.1"


@pytest.mark.parametrize("step", range(6))
def test_killed_between_any_two_steps_the_next_pass_ends_the_same(
    day: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    school = School([2.0, 1.5])
    day(0, school)
    steps: list[str] = []

    def stumble(name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        def step_or_die(*args: Any, **options: Any) -> Any:
            if len(steps) == step:
                raise KeyboardInterrupt
            steps.append(name)
            return does(*args, **options)

        return step_or_die

    with monkeypatch.context() as patch:
        patch.setattr(Store, "publish", stumble("publish", Store.publish))
        patch.setattr(Store, "put_adapter", stumble("put_adapter", Store.put_adapter))
        patch.setattr(Path, "rename", stumble("rename", Path.rename))
        patch.setattr(Path, "replace", stumble("replace", Path.replace))
        try:
            day(1, school)
        except KeyboardInterrupt:
            assert len(steps) == step
    day(1, school)
    assert in_use() == "d@2026.11.22.1"
    assert (OUT.with_name("d.last") / "weights").read_bytes() == b"2.0"
    assert not OUT.with_name("d.new").exists()
    assert Store(here / "store").datasets() == ["d@2026.11.21.1", "d@2026.11.22.1"]
    # Killed while the adapter's record was written, it is trained again; else never.
    assert school.trained == ["d@2026.11.21.1", *["d@2026.11.22.1"] * (2 if step == 0 else 1)]


def test_a_verdict_on_rows_that_were_never_published_is_not_carried_out(day: Callable[..., Any], here: Path) -> None:
    school = School([2.0, 1.0])
    day(0, school)
    fresh = OUT.with_name("d.new")
    shutil.copytree(OUT, fresh)
    (fresh / adapters.VERDICT).write_text(json.dumps({"dataset_digest": "elsewhere", "kept": "new"}))
    store = Store(here / "store")
    adapters.settle(OUT, store, store.latest("d"))
    assert fresh.exists()


def test_a_loss_gate_without_rows_to_compare_on_is_a_problem() -> None:
    gated = {"gates": {"val_loss_not_worse_by": 0.1}, "train": True}
    with pytest.raises(ConfigError) as caught:
        Pipeline.from_dict({"name": "x", "stages": ["normalize"], "refresh": gated})
    assert "val_loss_not_worse_by" in str([problem.path for problem in caught.value.problems])
