"""Novelty beside rouge_score: the same decisions, then what 52,000 instructions and a pool of 200,000 cost.

    python -m tests.bench.bench_novelty [--pairs 1000000] [--rows 52000] [--most 200000] [--json]

The instructions are real English ones (../shared/data: seed tasks, user-oriented, ifeval, GSM8K questions) and variants
of them, words replaced by words of others, so that every likeness occurs. Decisions of the published rule are
compared with rouge_score's own on `--pairs` pairs drawn at random, on all pairs of a pool of 4,000 whose F is within
0.02 of 0.7, and on pairs of all tie lengths up to 150 tokens. One process, one core, CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from datakit.stages.synthesize.novelty import Pool, published_tokens_of
from tests.bench.__main__ import SHARED
from tests.bench.peers import run_peer

DATA = SHARED.parent / "data"
SOURCES = (
    ("seed_tasks_en.jsonl", "instruction"), ("user_oriented_instructions_en.jsonl", "instruction"),
    ("ifeval_en.jsonl", "prompt"), ("gsm8k_train.jsonl", "question"),
)  # fmt: skip
NEAR, CENTRE = 0.02, 0.7
POOL = 4000


def instructions(rows: int, seed: int = 0) -> list[str]:
    """So many instructions: a third real ones at most, then variants with 0 to 60 % of the words replaced."""
    real, rng = [], Random(seed)
    for name, field in SOURCES:
        with (DATA / name).open(encoding="utf-8") as lines:
            real += [" ".join(str(json.loads(line)[field]).split()) for line in lines]
    real = [text for text in real if len(text.split()) <= 150][: rows // 3]
    found = list(real)
    words = [word for text in real for word in text.split()]
    while len(found) < rows:
        variant = rng.choice(real).split()
        for place in rng.sample(range(len(variant)), int(len(variant) * rng.random() * 0.6)):
            variant[place] = rng.choice(words)
        found.append(" ".join(variant))
    rng.shuffle(found)
    return found[:rows]


def near_pairs(texts: Sequence[str]) -> list[tuple[int, int]]:
    """All pairs whose F is within 0.02 of the threshold, by a full scan."""
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cdist

    codes: dict[str, str] = {}
    told = [
        "".join(codes.setdefault(token, chr(0xE000 + len(codes))) for token in published_tokens_of(text))
        for text in texts
    ]
    sizes = np.array([len(one) for one in told])
    pairs = []
    for i in range(1, len(told)):
        common = cdist([told[i]], told[:i], scorer=LCSseq.similarity, dtype=np.int32)[0]
        score = 2 * common / np.maximum(1, sizes[i] + sizes[:i])
        pairs += [(i, int(j)) for j in np.flatnonzero(abs(score - CENTRE) <= NEAR + 1e-9)]
    return pairs


def tie_texts() -> list[str]:
    """Two texts for each pair of lengths up to 150 at which F is exactly 0.7."""
    texts = []
    for m in range(1, 151):
        for n in range(m, 151):
            common = 7 * (m + n) // 20
            if 7 * (m + n) % 20 == 0 and common <= m:
                texts.append(" ".join([f"s{k}" for k in range(common)] + [f"a{k}" for k in range(m - common)]))
                texts.append(" ".join([f"s{k}" for k in range(common)] + [f"b{k}" for k in range(n - common)]))
    return texts


def decisions(texts: Sequence[str], pairs: Sequence[tuple[int, int]]) -> bytes:
    """Ours, pair by pair: a pool of one, asked."""
    told: dict[tuple[int, int], int] = {}
    by_first: dict[int, list[int]] = {}
    for i, j in pairs:
        by_first.setdefault(i, []).append(j)
    for i, others in by_first.items():
        pool = Pool(CENTRE, published=True)
        pool.add(texts[i], str(i))
        told |= {(i, j): int(pool.nearest(texts[j]) is not None) for j in others}
    return bytes(told[pair] for pair in pairs)


def compared(pairs: int) -> dict[str, Any]:
    """Our decisions beside rouge_score's."""
    texts = instructions(POOL)
    rng = Random(1)
    sampled = [(rng.randrange(POOL), rng.randrange(POOL)) for _ in range(pairs)]
    near = near_pairs(texts)
    ties = [(POOL + place, POOL + place + 1) for place in range(0, len(tie_texts()), 2)]
    texts = [*texts, *tie_texts()]
    every = [*sampled, *near, *ties]
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "pairs.jsonl", Path(folder) / "answer"
        asked.write_text("\n".join([json.dumps({"texts": texts}), *map(json.dumps, every)]) + "\n")
        told = run_peer("rouge", "rouge_decisions.py", str(asked), str(answer))
        theirs = answer.read_bytes()
    ours = decisions(texts, every)
    wrong = sum(a != b for a, b in zip(ours, theirs, strict=True))
    if wrong:
        raise SystemExit(f"wrong answer: {wrong} of {len(every)} decisions differ from rouge_score's")
    if any(_repeats(texts[i], texts[j]) for i, j in ties):
        raise SystemExit("wrong answer: a tie is called a repeat by integers")
    return {
        "sampled": len(sampled), "within_0.02": len(near), "ties": len(ties), "different": wrong,
        "ties_above_by_floats": sum(theirs[-len(ties) :]),
        "rouge_us_a_pair": 1e6 * told["cpu_s"] / len(every),
    }  # fmt: skip


def _repeats(one: str, other: str) -> bool:
    """By our own rule, a tie being new."""
    pool = Pool(CENTRE)
    pool.add(one, "")
    return pool.nearest(other) is not None


def timed(rows: int, most: int) -> dict[str, Any]:
    """CPU seconds for `rows` instructions, each against all before; milliseconds a candidate as the pool grows."""
    texts = instructions(max(rows, most))
    Pool(CENTRE).nearest("warm up")
    clock, pool, new = time.process_time(), Pool(CENTRE), 0
    for place, text in enumerate(texts[:rows]):
        if pool.nearest(text) is None:
            pool.add(text, str(place))
            new += 1
    found: dict[str, Any] = {"rows": rows, "new": new, "cpu_s": time.process_time() - clock}
    pool = Pool(CENTRE)
    for size in (10_000, 50_000, 100_000, most):
        for place in range(len(pool.ids), size):
            pool.add(texts[place], str(place))
        found[f"ms_a_candidate_at_{size}"] = _asked(pool, texts)
    return found


def _asked(pool: Pool, texts: Sequence[str]) -> float:
    clock = time.process_time()
    for text in texts[:500]:
        pool.nearest(text + " and more")
    return 1e3 * (time.process_time() - clock) / 500


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=52_000)
    parser.add_argument("--most", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = {**compared(asked.pairs), **timed(asked.rows, asked.most)}
    found["rouge_hours_for_the_rows"] = found["rouge_us_a_pair"] * asked.rows**2 / 2 / 3.6e9
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
