"""`make bench`: every benchmark in turn, ours beside the named peer on the same input, answers compared first.

The corpus is ../shared/bench/bench10k.jsonl.gz beside the checkout; benchmarks that need it are left out without it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "bench"
CORPUS, TRUTH = SHARED / "bench10k.jsonl.gz", SHARED / "truth_10k.pairs.tsv"
BENCHES = (
    ("pipeline", "bench_pipeline", ["--grow", "10000", "100000"], (CORPUS,)),
    ("ingest", "bench_ingest", [], (CORPUS,)),
    ("cleaning", "bench_cleaning", [str(CORPUS)], (CORPUS,)),
    ("language", "bench_language", [], ()),
    ("quality", "bench_quality", [str(CORPUS)], (CORPUS,)),
    ("dedup", "bench_dedup", [str(CORPUS), str(TRUTH)], (CORPUS, TRUTH)),
    ("exact", "bench_exact", [str(CORPUS)], (CORPUS,)),
    ("index", "bench_index", ["--peer"], ()),
    ("passages", "bench_passages", [], (CORPUS,)),
    ("semantic", "bench_semantic", [], ()),
    ("pii", "bench_pii", ["--presidio"], ()),
    ("pii accuracy", "bench_pii_accuracy", ["--presidio"], ()),
    ("names", "bench_pii_names", [], ()),
    ("mine", "bench_mine", [], ()),
    ("novelty", "bench_novelty", [], (SHARED.parent / "data" / "gsm8k_train.jsonl",)),
    ("select", "bench_select", [], ()),
    ("teacher", "bench_teacher", [], ()),
    ("tokens", "bench_tokens", [], ()),
    ("pack", "bench_pack", ["--peer"], ()),
    ("train", "bench_train", [], ()),
    ("crash", "bench_crash", [], ()),
    ("frame", "bench_frame", [], ()),
    ("methods", "bench_methods", [], ()),
)


def main() -> int:
    """Run all benchmarks; the number of those that failed."""
    failed = 0
    for name, module, options, needs in BENCHES:
        missing = [path for path in needs if not path.is_file()]
        print(f"\n## {name}" + (f": left out, no {missing[0]}" if missing else ""), flush=True)
        if not missing:
            done = subprocess.run([sys.executable, "-m", f"tests.bench.{module}", *options], cwd=ROOT, check=False)
            failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
