"""The laws of the whole chain, ingest to pack, with the real stages on five sample files.

One undisturbed run is shared by all. Every law is a function that lists its breaches, and every law has a planted
breach: something wrong that it must find.
"""

from __future__ import annotations

import csv
import gzip
import html
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datakit import api, work
from datakit.canon import digest_file
from datakit.manifests import DatasetManifest, ShardRecord, StageReport, StepRecord, unsealed
from datakit.outcome import StageStats
from datakit.pipeline import Pipeline
from datakit.registry import stage_class
from datakit.runner import plan, run
from datakit.schemas import IGNORED
from datakit.stage import Stage
from datakit.stages.ingest import Ingest
from datakit.stages.pii import Pii
from datakit.store import Store
from datakit.tokenizers import Tokenizer, load_tokenizer
from tests.stages_of_ones_own import Fickle, Hoarder, Lines, Numbering
from tests.test_pack import broken_law as broken_pack
from tests.tiny_llama import END, make_tiny_tokenizer

SAMPLE = Path(__file__).parents[1] / "sample_data"
FILES = ("tickets_ko.jsonl", "reviews_ko.csv", "forum_en.jsonl", "news_en.jsonl.gz", "wiki_ko/wiki-ko-030.txt")
NOT_P0 = {"PERSON", "ADDRESS", "BIRTH_DATE", "MESSENGER_ID"}
OWN = Path(__file__).with_name("stages_of_ones_own.py")
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KILLS = 7
CHAIN = f"""\
name: laws
stages:
- {{use: "{OWN}:OneByOne", id: ingest, files: corpus}}
- normalize
- {{use: language, keep: [ko, en]}}
- quality
- dedup
- pii
- {{use: decontaminate, against: decontamination.jsonl}}
- {{use: synthesize, recipe: mine}}
- {{use: mix, by: lang, weights: {{ko: 1, en: 1}}}}
- {{use: split, val: 0.2}}
- {{use: export, format: jsonl, path: exported}}
- {{use: template, style: tokenizer, tokenizer: tiny}}
- {{use: tokenize, tokenizer: tiny, max_length: 900}}
- {{use: pack, seq_len: 1024}}
"""


@dataclass(frozen=True)
class Place:
    """A folder in which the chain runs: corpus, tokenizer, pipeline file, store and export, all by relative paths."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "store"

    @cached_property
    def store(self) -> Store:
        return Store(self.root)

    @property
    def manifest(self) -> DatasetManifest:
        return self.store.manifest("laws")

    def start(self, *options: str, hash_seed: str = "0") -> subprocess.Popen[str]:
        """`datakit run` as a leader of its own process group."""
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "DATAKIT_CACHE": "cache", "TMPDIR": str(self.folder)}
        command = [sys.executable, "-m", "datakit", "run", "laws.yaml", *options]
        with (self.folder / "told").open("a") as told:
            return subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=told, stderr=told, text=True, start_new_session=True
            )

    def run(self, *options: str, hash_seed: str = "0") -> Place:
        process = self.start(*options, hash_seed=hash_seed)
        assert process.wait() == 0, (self.folder / "told").read_text()
        return self


Settle = Callable[[str], Place]


@pytest.fixture(scope="module")
def settle(tmp_path_factory: pytest.TempPathFactory) -> Settle:
    """Makes a new place for a run."""
    return settled(tmp_path_factory.mktemp("laws"))


def settled(shared: Path) -> Settle:
    """Makes places in a folder, all with the same corpus, tokenizer and pipeline."""
    make_tiny_tokenizer(shared / "tiny")
    (shared / "corpus").mkdir()
    for name in FILES:
        shutil.copy(SAMPLE / "corpus" / name, shared / "corpus")
    shutil.copy(SAMPLE / "decontamination.jsonl", shared)
    (shared / "laws.yaml").write_text(CHAIN, encoding="utf-8")

    def made(name: str) -> Place:
        folder = shared / "places" / name
        folder.mkdir(parents=True)
        for path in ("corpus", "tiny", "decontamination.jsonl", "laws.yaml"):
            (folder / path).symlink_to(shared / path)
        return Place(folder)

    return made


@pytest.fixture(scope="module")
def whole(settle: Settle) -> Place:
    """The undisturbed run: one process, hash seed 0."""
    return settle("whole").run(hash_seed="0")


@pytest.fixture
def inside(whole: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The undisturbed run's folder as the current one."""
    monkeypatch.chdir(whole.folder)
    monkeypatch.setenv("DATAKIT_CACHE", "cache")
    return whole


@pytest.fixture
def copied(settle: Settle, whole: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the undisturbed run that a test may change, as the current folder."""
    place = settle(request.node.name)
    for name in ("store", "exported"):
        shutil.copytree(whole.folder / name, place.folder / name)
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("DATAKIT_CACHE", "cache")
    return place


@pytest.fixture(scope="module")
def tiny(whole: Place) -> Tokenizer:
    return load_tokenizer(str(whole.folder / "tiny"), whole.folder / "cache")


def chain(*changed: str) -> Pipeline:
    return Pipeline.load("laws.yaml", changed)


def files_of(*roots: Path) -> dict[str, bytes]:
    """All bytes that must be equal between runs. Run records are dated, a version is named after its day."""
    found = {}
    for root in roots:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            if "runs" in path.parts or path.name.startswith(".tmp-"):
                continue
            name, data = str(path.relative_to(root.parent)), path.read_bytes()
            if "names" in path.parts:
                day = re.compile(rb"20\d\d\.\d\d\.\d\d")
                name, data = day.sub(b"DAY", name.encode()).decode(), day.sub(b"DAY", data)
            found[name] = data
    return found


def differences(one: Place, other: Place) -> list[str]:
    """Files of the store and of the export that two places don't share."""
    mine, theirs = (files_of(place.root, place.folder / "exported") for place in (one, other))
    assert len(mine) > 100
    return sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def rows_of(report: StageReport, store: Store) -> list[dict[str, Any]]:
    """The rows that came out of a stage; for fused stages, out of the last of them."""
    return [row for shard in store.shards_of(report) for row in store.read(shard.key).to_pylist()]


def drops_of(report: StageReport, store: Store) -> list[dict[str, Any]]:
    found = [row for key in report.steps if (table := store.read_drops(key)) for row in table.to_pylist()]
    return [row for row in found if row["stage"] == report.id]


def rows_after(use: str, place: Place) -> list[dict[str, Any]]:
    return rows_of(next(report for report in place.manifest.stages if report.use == use), place.store)


# Rows are conserved


def unexplained(manifest: DatasetManifest, store: Store) -> list[str]:
    """Where a row's way ends without a reason: each is kept, dropped by a rule, or stands in another row that is kept.

    Follows ids stage by stage. Fused stages share their shards, so the ids are compared behind the last of them.
    """
    found: list[str] = []
    alive: set[str] = set()
    for place, report in enumerate(manifest.stages):
        drops, after = drops_of(report, store), rows_of(report, store)
        gone, stats = {row["id"] for row in drops}, StageStats.from_dict(report.stats)
        alive = alive if place else {row["id"] for row in after} | gone
        if not stats.conserved or stats.rows_in != len(alive) or stats.rules != Counter(row["rule"] for row in drops):
            found.append(f"{report.id}: the statistics differ from the rows")
        if len(gone) < len(drops) or not gone <= alive:
            found.append(f"{report.id}: dropped a row twice, or one that it never had")
        alive -= gone
        found += [f"{report.id}: {reason}" for row in drops if (reason := without_reason(row, report.use, alive))]
        fused = place + 1 < len(manifest.stages) and manifest.stages[place + 1].steps == report.steps
        if report.steps and not fused:
            if stand_ins(report, after) != Counter(alive):
                found.append(f"{report.id}: a row went or came silently")
            alive = {row["id"] for row in after} if report.kind != "packed" else set()
    return found


def without_reason(drop: dict[str, Any], use: str, alive: set[str]) -> str:
    """What a drop fails to say."""
    if drop["rule"] not in stage_class(use).rules or drop["value"] is None:
        return "a drop without a rule and a value"
    if drop["threshold"] is None and drop["rule"] != "no_task":
        return "a drop without a threshold"
    return "folded into a row that was not kept" if drop["matched"] and drop["matched"] not in alive else ""


def stand_ins(report: StageReport, after: list[dict[str, Any]]) -> Counter[str]:
    """The rows in front of a stage that its output accounts for, and how often."""
    if report.kind == "packed":
        return Counter(span["id"] for row in after for span in row["spans"])
    if report.use == "synthesize":
        return Counter({parent for row in after for parent in row["parents"]})
    return Counter(row["id"] for row in after)


class Forgetful(Store):
    """Forgets the first drop of every sidecar: a planted breach."""

    def read_drops(self, key: str) -> pa.Table | None:
        table = super().read_drops(key)
        return table and table.slice(1)


class Misled(Store):
    """Says that every folded row was folded into itself: a planted breach."""

    def read_drops(self, key: str) -> pa.Table | None:
        table = super().read_drops(key)
        return table and table.set_column(table.schema.get_field_index("matched"), "matched", table.column("id"))


class Doubling(Store):
    """Reads the first row of every shard twice: a planted breach."""

    def read(self, key: str, columns: Any = None) -> pa.Table:
        table = super().read(key, columns)
        return pa.concat_tables([table, table.slice(0, 1)])


def count_lines() -> int:
    """Rows of the sample files, counted without any code of ours."""
    folder = SAMPLE / "corpus"
    texts = [(folder / name).read_text(encoding="utf-8") for name in FILES if name.endswith(".jsonl")]
    texts += [gzip.decompress((folder / name).read_bytes()).decode() for name in FILES if name.endswith(".gz")]
    with (folder / "reviews_ko.csv").open(encoding="cp949", newline="") as lines:
        return sum(text.count("\n") for text in texts) + sum(1 for _ in csv.DictReader(lines)) + 1


def test_every_source_row_is_kept_dropped_with_a_reason_or_stands_in_a_kept_row(whole: Place) -> None:
    stages = {report.id: StageStats.from_dict(report.stats) for report in whole.manifest.stages}
    assert stages["ingest"].rows_in == count_lines()
    assert [name for name in ("quality", "mix", "tokenize") if stages[name].dropped] == ["quality", "mix", "tokenize"]
    assert stages["dedup"].folded > 0
    assert unexplained(whole.manifest, whole.store) == []


@pytest.mark.parametrize(
    ("store", "stage", "breach"),
    [
        (Forgetful, "quality", "the statistics differ from the rows"),
        (Forgetful, "dedup", "a row went or came silently"),
        (Misled, "dedup", "folded into a row that was not kept"),
        (Doubling, "tokenize", "a row went or came silently"),
        (Doubling, "pack", "a row went or came silently"),
    ],
)
def test_rows_that_get_lost_are_found(whole: Place, store: type[Store], stage: str, breach: str) -> None:
    assert f"{stage}: {breach}" in unexplained(whole.manifest, store(whole.root))


# The same bytes, however it runs


def test_same_bytes_with_two_workers_and_another_hash_seed(whole: Place, settle: Settle) -> None:
    assert differences(whole, settle("workers").run("--workers", "2", hash_seed="4242")) == []


def test_a_stage_that_depends_on_the_hash_seed_is_found(settle: Settle) -> None:
    found = []
    for seed in ("0", "4242"):
        place = settle(f"superstitious-{seed}")
        (place.folder / "laws.yaml").unlink()
        stages = [{"use": "ingest", "files": "corpus"}, {"use": f"{OWN}:Superstitious"}]
        (place.folder / "laws.yaml").write_text(json.dumps({"name": "laws", "stages": stages}))
        found.append(files_of(place.run(hash_seed=seed).root))
    assert found[0].keys() == found[1].keys()
    assert found[0] != found[1]


def batched(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Let row stages work on batches of `rows`."""
    whole_batches = work.batches
    monkeypatch.setattr(work, "batches", lambda table, _: whole_batches(table, rows))


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_same_bytes_for_every_batch_size(
    rows: int, whole: Place, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = settle(f"batches-{rows}")
    monkeypatch.chdir(place.folder)
    batched(monkeypatch, rows)
    run(chain(), place.store, cache=Path("cache"))
    assert differences(whole, place) == []


def test_a_stage_that_depends_on_the_batch_size_is_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_text("하나\n둘\nthree\n")
    found = []
    for rows in (1, 7):
        with monkeypatch.context() as patched:
            batched(patched, rows)
            pipeline = Pipeline(name="laws", stages=(Lines(files=["a.txt"]), Numbering()))
            run(pipeline, Store(f"store-{rows}"), now=NOW)
        found.append(files_of(here / f"store-{rows}"))
    assert list(found[0].values()) != list(found[1].values())


def test_other_patterns_for_the_same_files_in_the_same_order_are_the_same_run(inside: Place) -> None:
    names = sorted(path.name for path in Path("corpus").iterdir())
    listed = [f"corpus/{name}" for name in names]
    whole_path = str(inside.folder / "corpus")
    for files in (["corpus/*"], listed, ["corpus", "corpus/*.jsonl"], [*listed, "corpus"], [whole_path]):
        steps = plan(chain(f"ingest.files={json.dumps(files)}"), inside.store)
        assert [step.run for step in steps] == [0] * len(steps)


def test_files_in_another_order_are_read_and_cleaned_once(inside: Place) -> None:
    """The order of the files is the order of the rows, so stages that see all of them run again; others don't."""
    listed = [f"corpus/{path.name}" for path in sorted(Path("corpus").iterdir(), reverse=True)]
    steps = plan(chain(f"ingest.files={json.dumps(listed)}"), inside.store)
    assert [(step.reuse, step.run) for step in steps[:3]] == [(5, 0), (5, 0), (0, 1)]


# Killed at any moment


def torn(root: Path) -> list[str]:
    """Records that speak of something that isn't there whole, and data that can't be read."""
    found = []
    for path in root.glob("objects/*/*.json"):
        record, data = unsealed(path.read_bytes(), ShardRecord), path.with_suffix(".parquet")
        if not data.is_file() or digest_file(data) != record.digest:
            found.append(data.name)
        sidecars = ["drops"] * bool(record.drops)
        measured = [one.signals for one in record.passes if one.signals]
        found += [key for key in measured if not (root / "signals" / key[:2] / f"{key}.parquet").is_file()]
        found += [f"{path.stem}.{name}" for name in sidecars if not path.with_suffix(f".{name}.parquet").is_file()]
    for path in root.glob("steps/*/*.json"):
        step = unsealed(path.read_bytes(), StepRecord)
        found += [key for key in step.shards if not (root / "objects" / key[:2] / f"{key}.json").is_file()]
        found += [f"{step.key}.drops"] * (bool(step.drops) and not path.with_suffix(".drops.parquet").is_file())
    for path in root.rglob("*.parquet"):
        if path.name.startswith(".tmp-"):
            continue  # a draft that was never given its name; nothing reads it
        try:
            pq.read_table(path, partitioning=None)
        except pa.ArrowInvalid:
            found.append(path.name)
    return found


def made_so_far(root: Path) -> int:
    return sum(not name.startswith(".tmp-") for _, _, names in os.walk(root) for name in names)


def kill_at(place: Place, files: int, pause: float) -> bool:
    """Run with two workers and kill the whole process group `pause` seconds after the store has `files` files; returns
    whether the run was still at work."""
    process = place.start("--workers", "2")
    try:
        while made_so_far(place.root) < files and process.poll() is None:
            time.sleep(0.02)
        time.sleep(pause)
        return process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(whole: Place, settle: Settle) -> None:
    place, dice = settle("killed"), random.Random(20261121)
    moments = sorted(dice.sample(range(1, made_so_far(whole.root)), KILLS))
    hits = 0
    for files in moments:
        hits += kill_at(place, files, dice.uniform(0, 0.05))
        assert torn(place.root) == []
    assert hits >= KILLS - 2
    place.run("--workers", "2")
    assert torn(place.root) == []
    assert differences(whole, place) == []
    assert len(place.store.datasets()) == 1


def test_run_killed_between_its_last_step_and_its_name_gives_the_same_bytes(whole: Place, copied: Place) -> None:
    """What was exported already is not written again, and the manifest must not tell the difference."""
    shutil.rmtree(copied.root / "names")
    again = run(chain(), copied.store)
    assert (again.ran, again.published) == (0, True)
    assert differences(whole, copied) == []


def test_torn_and_missing_files_are_found(copied: Place) -> None:
    assert torn(copied.root) == []
    half, gone = sorted(copied.root.glob("objects/*/*.parquet"))[:2]
    half.write_bytes(half.read_bytes()[:-7])
    gone.unlink()
    step = next(path for path in copied.root.glob("steps/*/*.json") if b'"shards":[]' not in path.read_bytes())
    shard = unsealed(step.read_bytes(), StepRecord).shards[0]
    (copied.root / "objects" / shard[:2] / f"{shard}.json").unlink()
    found = torn(copied.root)
    assert half.name in found
    assert shard in found
    assert any(name in gone.name for name in found)


# What is learned


def answers_of(place: Place) -> dict[str, str]:
    """What the model must learn of every row: its answers, each with its stop token."""
    rows = rows_after("split", place)
    said = {row["id"]: [m["content"] for m in row["messages"] if m["role"] == "assistant"] for row in rows}
    return {row: "".join(f"{answer}{END}" for answer in answers) for row, answers in said.items()}


def wrongly_learned(packs: Iterable[dict[str, Any]], answers: dict[str, str], tiny: Tokenizer) -> list[str]:
    """Rows whose learned tokens are not their answers, and packs that learn anything beside."""
    found = []
    for number, pack in enumerate(packs):
        inside = 0
        for span in pack["spans"]:
            places = slice(span["start"], span["start"] + span["length"])
            learned = [label for label in pack["labels"][places] if label != IGNORED]
            inside += len(learned)
            if tiny.decode(learned) != answers[span["id"]]:
                found.append(span["id"])
        pairs = zip(pack["input_ids"], pack["labels"], strict=True)
        beside = any(label not in (IGNORED, token) for token, label in pairs)
        if beside or inside != sum(label != IGNORED for label in pack["labels"]):
            found.append(f"pack {number}")
    return found


def test_exactly_the_answers_and_their_stops_are_learned(whole: Place, tiny: Tokenizer) -> None:
    packs, answers = rows_after("pack", whole), answers_of(whole)
    assert wrongly_learned(packs, answers, tiny) == []
    learned = {span["id"] for pack in packs for span in pack["spans"]}
    texts = [answers[row] for row in learned]
    assert any(re.search("[가-힣]", text) for text in texts)
    assert any(not re.search("[가-힣]", text) for text in texts)


def test_labels_in_the_wrong_place_are_found(whole: Place, tiny: Tokenizer) -> None:
    pack, answers = rows_after("pack", whole)[0], answers_of(whole)
    row, labels = pack["spans"][0]["id"], pack["labels"]
    first = next(place for place, label in enumerate(labels) if label != IGNORED)
    stop = max(place for place in range(pack["spans"][0]["length"]) if labels[place] != IGNORED)
    masked = [IGNORED if place == stop else label for place, label in enumerate(labels)]
    early = [pack["input_ids"][place] if place == first - 1 else label for place, label in enumerate(labels)]
    padded = [*labels[:-1], 0]
    for wrong, breach in ((masked, row), (early, row), (padded, "pack 0"), ([*labels[1:], IGNORED], "pack 0")):
        assert breach in wrongly_learned([{**pack, "labels": wrong}], answers, tiny)


def test_every_document_in_a_pack_is_its_row_of_tokens(whole: Place) -> None:
    """Planted breaches of this law: test_pack.py."""
    rows, packs = rows_after("tokenize", whole), rows_after("pack", whole)
    assert {pack["split"] for pack in packs} == {"train", "val"}
    assert max(len(pack["spans"]) for pack in packs) > 1
    assert broken_pack(rows, packs, 1024) is None


# No personal value behind pii


def planted() -> dict[str, str]:
    """The planted values that the corpus of these tests holds, with their kinds."""
    truth = sorted((SAMPLE / "truth").glob("*.jsonl"))
    marked = [json.loads(line) for path in truth for line in path.read_text("utf-8").split("\n") if line]
    found = [e for row in marked if row["file"].removeprefix("corpus/") in FILES for e in row["entities"]]
    return {entity["value"]: entity["type"] for entity in found if entity["type"] not in NOT_P0}


def leaks(roots: Iterable[Path], raw: set[str], tiny: Tokenizer | None = None) -> list[str]:
    """Files that hold a planted value. `raw`: keys of the shards from before `pii`, which may."""
    values = {spelled for value in planted() for spelled in (value, json.dumps(value)[1:-1], html.escape(value))}
    files = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    found = []
    for path in files:
        if path.is_file() and path.name.removesuffix(".parquet") not in raw:
            text = told_by(path, tiny)
            found += [path.name] if any(value in text for value in values) else []
    return found


def told_by(path: Path, tiny: Tokenizer | None) -> str:
    """All that a file says, tokens decoded."""
    if path.suffix != ".parquet":
        return path.read_text(encoding="utf-8")
    rows = pq.read_table(path, partitioning=None).to_pylist()
    tokens = [tiny.decode(row["input_ids"]) for row in rows if tiny and row.get("input_ids")]
    return json.dumps([rows, tokens], ensure_ascii=False, default=lambda value: value.decode("utf-8", "replace"))


def raw_shards(manifest: DatasetManifest, store: Store) -> set[str]:
    """Keys of the shards from before `pii`."""
    uses = [report.use for report in manifest.stages]
    before = manifest.stages[: uses.index("pii")]
    behind = {shard.key for report in manifest.stages[len(before) :] for shard in store.shards_of(report)}
    return {shard.key for report in before for shard in store.shards_of(report)} - behind


def test_no_planted_value_is_anywhere_behind_pii(inside: Place, tiny: Tokenizer) -> None:
    raw = raw_shards(inside.manifest, inside.store)
    kept = " ".join(told_by(next(inside.root.glob(f"objects/*/{key}.parquet")), None) for key in raw)
    assert len(planted()) > 20
    assert sum(value in kept for value in planted()) == len(planted())
    api.report("laws", store="store", out="page/report.html")
    roots = [inside.root, Path("exported"), Path("page"), Path("told")]
    assert leaks(roots, raw, tiny) == []
    assert all(any(root.rglob("*")) for root in roots if root.is_dir())


def test_a_stage_that_keeps_personal_data_is_found(inside: Place, here: Path) -> None:
    files = str(inside.folder / "corpus" / "tickets_ko.jsonl")
    stages: tuple[Stage, ...] = (Ingest(files=files), Hoarder(), Pii())
    store = Store(here / "store")
    manifest = run(Pipeline(name="hoard", stages=stages), store).manifest
    assert leaks([here / "store"], raw_shards(manifest, store)) != []
    honest = run(Pipeline(name="honest", stages=(stages[0], stages[2])), Store(here / "other")).manifest
    assert leaks([here / "other"], raw_shards(honest, Store(here / "other"))) == []


def test_a_value_in_tokens_a_record_or_a_page_is_found(tiny: Tokenizer, tmp_path: Path) -> None:
    value = next(value for value, kind in planted().items() if kind == "VEHICLE" or kind == "EMAIL")
    ids = tiny.encode_batch([f"제 것은 {value}입니다"]).ids.tolist()
    pq.write_table(pa.table({"input_ids": [ids]}), tmp_path / "tokens.parquet")
    (tmp_path / "record.json").write_text(json.dumps({"note": value}))
    (tmp_path / "page.html").write_text(f"<p>{html.escape(value)}</p>")
    assert leaks([tmp_path], set(), tiny) == ["page.html", "record.json", "tokens.parquet"]


# Nothing twice


def stamps(root: Path) -> dict[str, int]:
    """When each file was written, but for run records."""
    files = [path for path in root.rglob("*") if path.is_file() and "runs" not in path.parts]
    return {str(path): path.stat().st_mtime_ns for path in files}


def test_second_run_does_nothing_and_takes_the_same_dataset(inside: Place) -> None:
    before = stamps(inside.root) | stamps(inside.folder / "exported")
    steps = plan(chain(), inside.store)
    assert [step.run for step in steps] == [0] * len(steps)
    again = run(chain(), inside.store)
    assert (again.ran, again.reused) == (0, sum(step.reuse or 0 for step in steps))
    assert (again.published, again.manifest) == (False, inside.manifest)
    assert stamps(inside.root) | stamps(inside.folder / "exported") == before


def test_a_stage_whose_identity_changes_is_found(here: Path) -> None:
    Path("a.txt").write_text("하나\n둘\n")
    pipeline = Pipeline(name="laws", stages=(Lines(files=["a.txt"]), Fickle()))
    run(pipeline, Store("store"))
    assert plan(pipeline, Store("store"))[-1].run == 1
    assert run(pipeline, Store("store")).ran == 1


def test_changed_threshold_runs_what_stands_behind_it_only(copied: Place) -> None:
    before = copied.manifest
    steps = plan(chain("tokenize.max_length=600"), copied.store)
    assert [(step.stages, step.run) for step in steps[-2:]] == [(["tokenize"], 1), (["pack"], None)]
    assert [step.run for step in steps[:-2]] == [0] * 9
    changed = run(chain("tokenize.max_length=600"), copied.store)
    assert (changed.ran, changed.published, changed.manifest.parent) == (2, True, before.ref)
    assert changed.manifest.stages[:-2] == before.stages[:-2]
    assert changed.manifest.stages[-2].stats["dropped"] > before.stages[-2].stats["dropped"]


def test_changed_threshold_that_changes_no_row_runs_its_stage_alone(copied: Place) -> None:
    """What a corpus stage writes is keyed by its content, so the stages behind find their input unchanged."""
    result = run(chain("dedup.threshold=0.81"), copied.store)
    assert (result.ran, result.published, result.manifest.version) == (1, False, copied.manifest.version)
