"""Refresh: idempotent passes, gates that hold, old names that go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datakit.errors import ConfigError, GateRefused
from datakit.lineage import why
from datakit.manifests import AdapterArtifact, DatasetManifest
from datakit.pipeline import Gates, Pipeline, Refresh
from datakit.refreshing import parse_interval, refresh
from datakit.store import Store
from tests.stages_of_ones_own import Lines, MaxLength

DAY = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def pipeline(folder: Path, **settings: object) -> Pipeline:
    files = sorted(str(path) for path in folder.glob("*.txt"))
    return Pipeline(name="d", stages=(Lines(files=files), MaxLength(limit=8)), refresh=Refresh(**settings))


def test_a_pass_without_news_publishes_nothing(here: Path) -> None:
    store = Store(here / "store")
    (here / "a.txt").write_text("첫 글\nsecond")
    assert refresh(pipeline(here), store, now=DAY).published == "d@2026.11.21.1"
    again = refresh(pipeline(here), store, now=DAY + timedelta(days=1))
    assert (again.published, again.run.ran) == (None, 0)


def test_a_week_of_news_keeps_the_newest_versions(here: Path) -> None:
    store = Store(here / "store")
    for day in range(7):
        (here / f"{day}.txt").write_text(f"글 {day}")
        result = refresh(pipeline(here, keep=3), store, now=DAY + timedelta(days=day))
        assert result.run.ran == 2
        assert result.run.manifest.rows == day + 1
    assert store.datasets() == ["d@2026.11.25.1", "d@2026.11.26.1", "d@2026.11.27.1"]


def test_too_few_rows_are_refused_with_value_and_limit(here: Path) -> None:
    store = Store(here / "store")
    (here / "a.txt").write_text("글")
    with pytest.raises(GateRefused, match="has 1 rows, the limit is 5"):
        refresh(pipeline(here, gates=Gates(min_rows=5)), store)
    assert store.datasets() == []


def test_a_jump_of_drops_is_refused_and_the_last_version_stands(here: Path) -> None:
    store = Store(here / "store")
    gates = Gates(max_drop_shift=0.3)
    (here / "a.txt").write_text("글\n또 글")
    refresh(pipeline(here, gates=gates), store, now=DAY)
    (here / "b.txt").write_text("\n".join(["아주 아주 아주 긴 글입니다"] * 8))
    with pytest.raises(GateRefused, match="max_length"):
        refresh(pipeline(here, gates=gates), store, now=DAY + timedelta(days=1))
    assert store.datasets() == ["d@2026.11.21.1"]


def test_training_happens_for_new_versions_only(here: Path) -> None:
    store, trained = Store(here / "store"), []

    def train(manifest: DatasetManifest) -> AdapterArtifact:
        trained.append(manifest.ref)
        return AdapterArtifact(
            name="a", trainer="t", base="b", dataset=manifest.ref, dataset_digest=manifest.digest, config={},
            metrics={}, seed=0, files={},
        )  # fmt: skip

    (here / "a.txt").write_text("글")
    for _ in range(2):
        refresh(pipeline(here, train=True), store, train=train, now=DAY)
    refresh(pipeline(here), store, train=train, now=DAY)
    assert trained == ["d@2026.11.21.1"]


def test_a_row_of_a_pass_that_published_nothing_still_has_its_story(here: Path) -> None:
    store = Store(here / "store")
    (here / "a.txt").write_text("글")
    refresh(pipeline(here), store, now=DAY)
    (here / "b.txt").write_text("아주 아주 긴 글입니다")
    assert refresh(pipeline(here), store, now=DAY).published is None
    assert [line["what"] for line in why("b.txt:1", store)["story"]][-1] == "dropped"


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("30m", 1800), ("6h", 21600), ("1d", 86400)])
def test_interval_is_read(text: str, seconds: float) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "0h", "6 h", "-1h", "1w"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_interval(text)
