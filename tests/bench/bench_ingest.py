"""How fast ingest and export are: `python -m tests.bench.bench_ingest [FILE] [--files 20000] [--json]`.

CPU seconds, one process. `--files`: so many tiny .txt files, which share shards; beside the seconds, the files that the
store holds then.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared/bench/bench10k.jsonl.gz"


def measure(path: Path) -> dict[str, Any]:
    """Seconds of CPU and megabytes of text a second for each step."""
    import pyarrow.compute as pc

    from datakit.pipeline import Pipeline
    from datakit.runner import run
    from datakit.stage import Env
    from datakit.stages.export import Export
    from datakit.stages.ingest import Ingest
    from datakit.store import Store

    stage = Ingest(files=str(path))
    started = time.process_time()
    sources = stage.sources()
    found = time.process_time()
    parts = [outcome.kept for source in sources for outcome in stage.read(source, Env())]
    read = time.process_time()
    size = sum(pc.sum(pc.binary_length(part.column("text"))).as_py() or 0 for part in parts) / 1e6
    figures: dict[str, Any] = {"text_mb": round(size, 1), "rows": sum(part.num_rows for part in parts)}
    figures |= {"digest_s": round(found - started, 2), "ingest_s": round(read - found, 2)}
    with tempfile.TemporaryDirectory() as folder:
        for form in ("parquet", "jsonl"):
            stages = (stage, Export(path=f"{folder}/{form}", format=form))  # type: ignore[arg-type]
            store = Store(f"{folder}/store").prepare()
            run(Pipeline(name="bench", stages=stages[:1]), store, publish=False)
            started = time.process_time()
            run(Pipeline(name="bench", stages=stages), store, publish=False)
            figures[f"export_{form}_s"] = round(time.process_time() - started, 2)
            started = time.process_time()
            run(Pipeline(name="bench", stages=stages), store, publish=False)
            figures[f"export_{form}_again_s"] = round(time.process_time() - started, 2)
    return {**figures, "ingest_mb_s": round(size / figures["ingest_s"], 1)}


def measure_small(files: int) -> dict[str, Any]:
    """Seconds of CPU to find, digest, read and store tiny files, and once more when nothing is new."""
    from datakit.pipeline import Pipeline
    from datakit.runner import run
    from datakit.stages.ingest import Ingest
    from datakit.store import Store

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(files):
            place = folder / "in" / f"{number % 100:02}" / f"글-{number}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{number}번째 글입니다. The kettle leaks at the handle. " * 5, encoding="utf-8")
        stage = Ingest(files=str(folder / "in"))
        started = time.process_time()
        stage.sources()
        figures: dict[str, Any] = {"files": files, "files_digest_s": round(time.process_time() - started, 2)}
        for again in ("", "_again"):
            started = time.process_time()
            found = run(Pipeline(name="bench", stages=(stage,)), Store(folder / "store"), publish=False)
            figures[f"files_run{again}_s"] = round(time.process_time() - started, 2)
            assert found.manifest.rows == files
        stored = [path for path in (folder / "store").rglob("*") if path.is_file()]
        return {**figures, "files_shards": len(found.manifest.shards), "files_in_store": len(stored)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("file", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = measure(asked.file) | measure_small(asked.files)
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:24} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
