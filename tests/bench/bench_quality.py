"""Quality beside datatrove: verdict by rule and document first, then CPU seconds in the same run.

    python -m tests.bench.bench_quality CORPUS.jsonl.gz [--repeat 3] [--json]

The profile `datatrove` does what datatrove's four filters do (Gopher repetition and quality, C4 without the rule on
terminal punctuation, FineWeb), so both get the same documents in memory and nothing else is timed. datatrove's words
come from a trivial regex: its own tokenizers take several times as long. `general` is what datakit does by default:
more signals, Korean ones among them; the goal for the ratio is held to it. The parity profile tells every rule that
fails of every document (nearly all Korean ones), where datatrove stops at the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench.bench_cleaning import batches_of, timed
from tests.bench.peers import run_peer

LEAST_AGREEMENT, LEAST_RATIO = 0.999, 25


def verdicts_of(outcomes: list[Any], batches: list[Any]) -> list[set[str]]:
    """The rules that each document fails, by datatrove's names."""
    from datakit.stages.quality.datatrove import PREFIX

    failed = {}
    for outcome in outcomes:
        for drop in outcome.drops.to_pylist() if outcome.drops is not None else ():
            rules = [drop["rule"], *(other["rule"] for other in drop["further"] or ())]
            failed[drop["id"]] = {rule.removeprefix(PREFIX) for rule in rules}
    ids = [own for batch in batches for own in batch.column("id").to_pylist()]
    return [failed.get(own, set()) for own in ids]


def agreement(mine: list[set[str]], theirs: list[set[str]]) -> dict[str, float]:
    """The share of documents on which both say the same, by rule, and on whether any rule fails."""
    from datakit.stages.quality.datatrove import PREFIX, RULES

    apart = Counter(rule for one, other in zip(mine, theirs, strict=True) for rule in one ^ other)
    shares = {rule.name.removeprefix(PREFIX): 1.0 for rule in RULES}
    shares |= {rule: 1 - count / len(mine) for rule, count in apart.items()}
    either = sum(bool(one) == bool(other) for one, other in zip(mine, theirs, strict=True))
    return {**shares, "kept or dropped": either / len(mine)}


def measure(path: Path, repeat: int) -> dict[str, Any]:
    """Agreement and CPU seconds of both."""
    from datakit.stage import Env
    from datakit.stages.quality import Quality

    batches, size = batches_of(path)
    outcomes, own = timed(Quality(profile="datatrove").open(Env()), batches, repeat)
    _, general = timed(Quality().open(Env()), batches, repeat)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "verdicts.json")
        peer = run_peer("datatrove", "datatrove_quality.py", str(path), str(file), "--repeat", str(min(repeat, 2)))
        theirs = [set(rules) for rules in json.loads(file.read_text())]
    return {
        "documents": peer["documents"],
        "mb": round(size, 1),
        "agreement": agreement(verdicts_of(outcomes, batches), theirs),
        "fails": dict(sorted(Counter(rule for rules in theirs for rule in rules).items())),
        "datatrove_cpu_s": peer["cpu_s"],
        "datakit_cpu_s": round(own, 3),
        "ratio": round(peer["cpu_s"] / own, 1),
        "general_cpu_s": round(general, 3),
        "general_ratio": round(peer["cpu_s"] / general, 1),
        "general_ms_per_mb": round(general / size * 1000, 1),
    }


def main() -> int:
    """Print what was found; 1 if the answers or the ratio miss the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.corpus, args.repeat)
    if args.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['documents']} documents, {found['mb']} MB; least agreement {min(found['agreement'].values()):.4%}"
        )
        for rule, share in found["agreement"].items():
            print(f"  {rule:32} {share:8.3%}  fails {found['fails'].get(rule, '')}")
        told = f"{found['datakit_cpu_s']}: {found['ratio']} times"
        print(f"datatrove {found['datatrove_cpu_s']} CPU s, datakit's profile `datatrove` {told}")
        told = f"{found['general_cpu_s']} CPU s, {found['general_ms_per_mb']} ms a MB: {found['general_ratio']} times"
        print(f"datakit, all signals and its default rules: {told}")
    return int(min(found["agreement"].values()) < LEAST_AGREEMENT or found["general_ratio"] < LEAST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
