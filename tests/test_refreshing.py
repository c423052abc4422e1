"""Refresh: idempotent passes, gates that hold, old names that go."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from datakit.errors import ConfigError, GateRefused, StoreError
from datakit.lineage import why
from datakit.manifests import AdapterArtifact, DatasetManifest, StageReport
from datakit.outcome import StageStats
from datakit.pipeline import Gates, Hooks, Pipeline, Refresh
from datakit.refreshing import refresh
from datakit.refreshing.clock import parse_interval, schedule
from datakit.refreshing.gates import hold_gates
from datakit.refreshing.withdrawing import rollback
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

    def train(manifest: DatasetManifest, out: Path) -> AdapterArtifact:
        trained.append(manifest.ref)
        out.mkdir(parents=True, exist_ok=True)
        return AdapterArtifact(
            name="a", trainer="t", base="b", dataset=manifest.ref, dataset_digest=manifest.digest, config={},
            metrics={}, seed=0, files={}, path=str(out),
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


def test_a_pass_says_which_files_came_changed_and_went(here: Path) -> None:
    store = Store(here / "store")
    for name in ("a", "b", "c"):
        (here / f"{name}.txt").write_text(f"글 {name}")
    assert refresh(pipeline(here), store, now=DAY).sources.new == ("a.txt", "b.txt", "c.txt")
    (here / "a.txt").write_text("다른 글")
    (here / "b.txt").unlink()
    (here / "d.txt").write_text("새 글")
    found = refresh(pipeline(here), store, now=DAY + timedelta(days=1)).sources
    assert (found.new, found.changed, found.removed) == (("d.txt",), ("a.txt",), ("b.txt",))


def test_a_rolled_back_version_does_not_come_again_but_new_rows_do(here: Path) -> None:
    store = Store(here / "store")
    (here / "a.txt").write_text("글")
    refresh(pipeline(here), store, now=DAY)
    (here / "b.txt").write_text("나쁜 글")
    refresh(pipeline(here), store, now=DAY + timedelta(days=1))
    back = rollback("d", store, now=DAY + timedelta(days=1))
    assert (back.ref, back.parent, back.rows) == ("d@2026.11.22.2", "d@2026.11.22.1", 1)
    night = refresh(pipeline(here), store, now=DAY + timedelta(days=2))
    assert (night.published, night.because) == (None, "rolled back")
    assert store.latest("d") == back
    (here / "b.txt").unlink()
    (here / "c.txt").write_text("좋은 글")
    assert refresh(pipeline(here), store, now=DAY + timedelta(days=3)).published == "d@2026.11.24.1"


def test_going_back_twice_goes_back_further(here: Path) -> None:
    store = Store(here / "store")
    for day in range(3):
        (here / f"{day}.txt").write_text(f"글 {day}")
        refresh(pipeline(here), store, now=DAY + timedelta(days=day))
    # A clock that was set back gives no version that would sort before one that is there.
    assert [rollback("d", store, now=DAY).ref for _ in range(2)] == ["d@2026.11.23.2", "d@2026.11.23.3"]
    assert store.manifest("d").rows == 1
    with pytest.raises(StoreError, match="no older version"):
        rollback("d", store, now=DAY)
    assert rollback("d", store, to="2026.11.23.1").rows == 3


def test_gates_of_cost_and_personal_data_name_value_and_limit() -> None:
    spent = {"spent": {"usd": 2.5}}
    stats = StageStats(rows_in=10, kept=10)
    stats.counters.update({"EMAIL": 30, "EMAIL: address by shape": 30})
    reports = (
        StageReport(id="synthesize", use="synthesize", kind="example", stats=stats.as_dict(), notes=spent),
        StageReport(id="pii", use="pii", kind="example", stats=stats.as_dict()),
    )
    version = DatasetManifest(
        name="d", version="1", kind="example", digest="", rows=10, shards=(), recipe={}, stages=reports
    )
    hold_gates(version, None, Gates(max_pii_rate=3, max_cost_usd=2.5))
    with pytest.raises(GateRefused, match=r"pii found 3\.000 values a row, the limit is 2.9"):
        hold_gates(version, None, Gates(max_pii_rate=2.9))
    with pytest.raises(GateRefused, match=r"2\.50 dollars, the limit is 2.4"):
        hold_gates(version, None, Gates(max_cost_usd=2.4))


def test_hooks_hear_of_published_and_refused_versions(here: Path) -> None:
    store, heard = Store(here / "store"), here / "heard.jsonl"
    (here / "tell.sh").write_text(f"#!/bin/sh\ncat >> {heard}\n")
    hooks = Hooks(published=f"sh '{here}/tell.sh'", refused=f"sh '{here}/tell.sh'")
    (here / "a.txt").write_text("글 $(ls)")
    assert refresh(pipeline(here, hooks=hooks), store, now=DAY).unheard is None
    with pytest.raises(GateRefused):
        refresh(pipeline(here, hooks=hooks, gates=Gates(min_rows=9)), store, now=DAY)
    told = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [one["event"] for one in told] == ["published", "refused"]
    assert (told[0]["dataset"], told[0]["files"]["new"]) == ("d@2026.11.21.1", 1)
    assert "min_rows" in told[1]["message"]
    assert "글" not in heard.read_text()


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ("$NO_SUCH_HOOK", r"not set: $NO_SUCH_HOOK"),
        ("false", "exit code 1"),
        ("/no/such/command", "can't be started"),
        ("http://127.0.0.1:9/", "can't be reached"),
    ],
)
def test_a_hook_that_fails_is_told_and_fails_nothing(here: Path, hook: str, why: str) -> None:
    (here / "a.txt").write_text("글")
    done = refresh(pipeline(here, hooks=Hooks(published=hook)), Store(here / "store"), now=DAY)
    assert done.published == "d@2026.11.21.1"
    assert why in str(done.unheard)


def test_a_url_hook_gets_the_news_as_a_post(here: Path) -> None:
    bodies: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    (here / "a.txt").write_text("글")
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        listening = Thread(target=server.handle_request)
        listening.start()
        hook = f"http://127.0.0.1:{server.server_port}/news"
        done = refresh(pipeline(here, hooks=Hooks(published=hook)), Store(here / "store"), now=DAY)
        listening.join()
    assert done.unheard is None
    assert json.loads(bodies[0])["dataset"] == "d@2026.11.21.1"


def test_schedules_for_cron_and_systemd_hold_what_refresh_needs(here: Path) -> None:
    line = schedule(Path("my 100%.yaml"), "d", "store", "cron", "4:05")
    assert line.startswith(f"5 4 * * * cd {here} && {sys.executable} -m datakit refresh 'my 100\\%.yaml' --store store")
    units = schedule(Path("my 100%.yaml"), "d", "store", "systemd", "04:05")
    assert "OnCalendar=*-*-* 04:05:00" in units
    assert "refresh 'my 100%%.yaml' --store store" in units
    assert f"WorkingDirectory={here}" in units
    for wrong in ("4", "25:00", "4:5", "noon"):
        with pytest.raises(ConfigError, match="time of day"):
            schedule(Path("p.yaml"), "d", "store", "cron", wrong)
