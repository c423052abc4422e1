"""The cleaning part of a pipeline as a user runs it: megabytes of text a second, work time and whole process, memory.

    python -m tests.bench.bench_pipeline [CORPUS.jsonl.gz] [--workers 2] [--grow 10000 100000] [--json]

    with pii             ingest to pii: wall time of `datakit run` in a fresh process, start-up included
    cleaning without pii ingest, normalize, language, quality, dedup. First the answers: no row is lost, and two workers
                         keep the very rows that a serial run keeps. Then the times: the whole process as above, and the
                         work time: workers are there, kernels are loaded, the store is new; best of `--repeat`
    growth               the same stages over N short documents (windows of the corpus, their words shuffled, so that
                         they are no copies): CPU and memory a document must stay what they are

Every store is new. Peak memory is the sum over the process and its workers, sampled every 50 ms. CPU seconds are those
of all processes: on a busy machine they say more than the clock.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "bench" / "bench10k.jsonl.gz"
CLEANING: list[Any] = ["normalize", "language", "quality", {"use": "dedup", "unit": "word"}]
WINDOW = 300
"""Characters of a short document."""


def recipe(corpus: Path, folder: Path, *more: str) -> Path:
    """A pipeline file: ingest, the cleaning stages, and more."""
    stages = [{"use": "ingest", "files": str(corpus)}, *CLEANING, *more]
    path = folder / f"{'-'.join(('bench', *more))}.yaml"
    path.write_text(json.dumps({"name": "bench", "stages": stages}))
    return path


def whole_process(corpus: Path, folder: Path, workers: int, *more: str) -> dict[str, Any]:
    """Seconds, megabytes of text a second and peak memory of `datakit run`; its store is `store`."""
    store = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "datakit", "run", str(recipe(corpus, folder, *more)), "--store", store]
    before, started = _cpu_of_children(), time.perf_counter()
    process = subprocess.Popen(
        [*command, "--workers", str(workers), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    peak = _watch(psutil.Process(process.pid), process)
    told = json.loads(process.stdout.read()) if process.stdout else {}
    seconds, cpu = time.perf_counter() - started, _cpu_of_children() - before
    record = json.loads(next(Path(store, "runs").glob("*.json")).read_text())
    return {
        "rows_in": told["stages"][0]["rows_in"],
        "rows_out": told["rows"],
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "peak_mb": round(peak / 2**20),
        "stage_seconds": record["stage_seconds"],
        "workers": workers,
        "store": store,
    }


def lost_rows(store: str) -> list[str]:
    """Stages between which a row went or came without a word."""
    from datakit.store import Store

    found, before = [], None
    for stage in Store(store).manifest("bench").stages:
        stats = stage.stats
        if stats["rows_in"] != stats["kept"] + stats["dropped"] + stats["folded"] or before not in (
            None,
            stats["rows_in"],
        ):
            found.append(stage.id)
        before = stats["kept"]
    return found


def kept_ids(store: str) -> list[str]:
    """The ids that came out, in order."""
    from datakit.store import Store

    opened = Store(store)
    shards = opened.manifest("bench").shards
    return [row for shard in shards for row in opened.read(shard.key, ["id"]).column("id").to_pylist()]


def cleaning(corpus: Path, folder: Path, workers: int, repeat: int) -> dict[str, Any]:
    """The section `cleaning without pii`: answers, then times."""
    whole, serial = (whole_process(corpus, folder, count) for count in (workers, 1))
    assert lost_rows(whole["store"]) == [], "rows were lost"
    assert kept_ids(whole["store"]) == kept_ids(serial["store"]), "the workers keep other rows than a serial run"
    megabytes, path = _megabytes(corpus), recipe(corpus, folder)
    walls, cpus = zip(*(_again(path, folder, workers) for _ in range(repeat + 1)), strict=True)
    per_stage, serial_cpu = stage_seconds(path, folder)
    return {
        "text_mb": round(megabytes, 1),
        "rows_in": whole["rows_in"],
        "rows_out": whole["rows_out"],
        "work_s": round(min(walls[1:]), 2),
        "work_mb_per_s": round(megabytes / min(walls[1:]), 1),
        "work_cpu_s": round(min(cpus[1:]), 2),
        "work_mb_per_cpu_s": round(megabytes / min(cpus[1:]), 1),
        "whole_s": whole["seconds"],
        "whole_mb_per_s": round(megabytes / whole["seconds"], 1),
        "whole_cpu_s": whole["cpu_s"],
        "peak_mb": whole["peak_mb"],
        "stage_cpu_s": per_stage,
        "serial_cpu_s": serial_cpu,
        "workers": workers,
    }


def _again(path: Path, folder: Path, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of a run in this process, over a new store; from the second time on all is warm."""
    from datakit.pipeline import Pipeline
    from datakit.runner import run
    from datakit.store import Store

    pipeline, store = Pipeline.load(str(path)), Store(tempfile.mkdtemp(dir=folder))
    before, started = _cpu_of_all(), time.perf_counter()
    run(pipeline, store, workers=workers)
    return time.perf_counter() - started, _cpu_of_all() - before


def stage_seconds(path: Path, folder: Path) -> tuple[dict[str, float], float]:
    """CPU seconds in each stage of a warm serial run, beside them what lies between the stages; and their sum."""
    from datakit.stages.ingest import Ingest

    found: list[tuple[dict[str, float], float]] = []
    for _ in range(3):
        spent: Counter[str] = Counter()
        with _timed_work(spent), _timed_method(Ingest, "read_group", spent, "ingest"):
            _, cpu = _again(path, folder, 1)
        told = {name: round(seconds, 3) for name, seconds in spent.items()}
        found.append(({**told, "dedup and between": round(cpu - sum(spent.values()), 3)}, round(cpu, 2)))
    return min(found, key=lambda one: one[1])


@contextmanager
def _timed_work(spent: Counter[str]) -> Iterator[None]:
    from datakit import work
    from datakit.signals import Signals

    whole, signals = work.opened, Signals.__call__

    def timed(name: str, function: Callable[[], Any]) -> Any:
        started = time.process_time()
        outcome = function()
        spent[name] += time.process_time() - started  # type: ignore[assignment]
        return outcome

    def opened(stage: Any, recipe: str, env: Any) -> Callable[[Any], Any]:
        function = whole(stage, recipe, env)
        return lambda batch: timed(stage.name, lambda: function(batch))

    def measured(self: Signals, batch: Any) -> Any:
        return timed(self.stage.name, lambda: signals(self, batch))

    work.opened, Signals.__call__ = opened, measured  # type: ignore[method-assign]
    try:
        yield
    finally:
        work.opened, Signals.__call__ = whole, signals  # type: ignore[method-assign]


@contextmanager
def _timed_method(cls: Any, name: str, spent: Counter[str], what: str) -> Iterator[None]:
    whole = getattr(cls, name)

    def timed(*args: Any) -> Iterator[Any]:
        results = whole(*args)
        while True:
            started = time.process_time()
            result = next(results, None)
            spent[what] += time.process_time() - started  # type: ignore[assignment]
            if result is None:
                return
            yield result

    setattr(cls, name, timed)
    try:
        yield
    finally:
        setattr(cls, name, whole)


def growth(corpus: Path, folder: Path, documents: int, workers: int) -> dict[str, Any]:
    """CPU, time and memory over that many short documents."""
    from datakit.store import Store

    grown = grow(corpus, documents, folder)
    found = whole_process(grown, folder, workers)
    assert found["rows_in"] == documents
    assert lost_rows(found["store"]) == []
    store = Store(found.pop("store"))
    size = sum(path.stat().st_size for path in Path(store.root).rglob("*") if path.is_file())
    grown.unlink()
    return {
        "documents": documents,
        **found,
        "cpu_ms_per_document": round(1000 * found["cpu_s"] / documents, 4),
        "index_bytes_per_row": store.manifest("bench").note("dedup")["index_bytes_per_row"],
        "store_mb": round(size / 1e6),
    }


def grow(corpus: Path, documents: int, folder: Path) -> Path:
    """So many short documents: windows of the corpus, their words shuffled."""
    with gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        texts = [orjson.loads(line)["text"] for line in lines]
    target, draw = folder / f"{documents}.jsonl.gz", random.Random(documents)
    with gzip.open(target, "wb", compresslevel=1) as out:
        for number in range(documents):
            text = texts[number % len(texts)]
            start = draw.randrange(max(1, len(text) - WINDOW))
            words = text[start : start + WINDOW].split(" ")
            draw.shuffle(words)
            out.write(orjson.dumps({"id": number, "text": " ".join(words)}) + b"\n")
    return target


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of_all() -> float:
    """CPU seconds of this process and its living children."""
    total = time.process_time()
    for child in _children(psutil.Process()):
        try:
            used = child.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system
    return total


def _watch(top: psutil.Process, process: subprocess.Popen[bytes]) -> int:
    peak = 0
    while process.poll() is None:
        total = 0
        for one in [top, *_children(top)]:
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, total)
        time.sleep(0.05)
    return peak


def _children(top: psutil.Process) -> list[psutil.Process]:
    try:
        return top.children(recursive=True)
    except psutil.Error:
        return []


def _megabytes(corpus: Path) -> float:
    with gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as lines:
        return sum(len(orjson.loads(line)["text"].encode()) for line in lines) / 1e6


def tell(title: str, figures: dict[str, Any], as_json: bool) -> None:
    """Print one section."""
    figures.pop("store", None)
    if as_json:
        print(json.dumps({"section": title, **figures}), flush=True)
        return
    print(f"\n{title}", *(f"  {name:20} {value}" for name, value in figures.items()), sep="\n", flush=True)


def main() -> None:
    """Run the bench."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    given.add_argument("--workers", type=int, default=2)
    given.add_argument("--repeat", type=int, default=5)
    given.add_argument("--grow", type=int, nargs="*", default=[])
    given.add_argument("--only-grow", action="store_true", help="leave out the two other sections")
    given.add_argument("--json", action="store_true")
    told = given.parse_args()
    if not told.corpus.is_file():
        sys.exit(f"no corpus at {told.corpus}: name a .jsonl.gz file with id and text")
    corpus = told.corpus.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not told.only_grow:
            found = whole_process(corpus, folder, told.workers, "pii")
            megabytes = _megabytes(corpus)
            found |= {"text_mb": round(megabytes, 1), "mb_per_s": round(megabytes / found["seconds"], 2)}
            tell("with pii, start-up included", found, told.json)
            tell("cleaning without pii", cleaning(corpus, folder, told.workers, told.repeat), told.json)
        for documents in told.grow:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                tell("growth", growth(corpus, Path(own), documents, told.workers), told.json)


if __name__ == "__main__":
    main()
