"""What a cosine threshold does: precision and recall over pairs that people judged, and rows a second.

    python -m tests.bench.bench_semantic [PAIRS.csv] [--pairs 2000] [--rows 10000]

PAIRS: question1, question2, is_duplicate, as songys/Question_pair has them: there 0 means the same and 1 another
question. Times are CPU seconds of one core. `--rows`: how long it takes to compare so many rows, on random vectors.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from pathlib import Path

import numpy as np

PAIRS = Path(__file__).parents[2].parent / "shared" / "data" / "question_pair_ko.csv"
THRESHOLDS = (0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98)
ENGLISH = (
    ("How do I reset my password?", "I forgot my password, how can I reset it?", True),
    ("What is the capital of France?", "Which city is the capital of France?", True),
    ("Give three tips for staying healthy.", "List three ways to keep healthy.", True),
    ("Explain photosynthesis to a child.", "Describe photosynthesis in words a kid understands.", True),
    ("Translate the sentence into Korean.", "Put this sentence into Korean.", True),
    ("Sort these numbers in ascending order.", "Arrange these numbers from smallest to largest.", True),
    ("What is the capital of France?", "What is the capital of Spain?", False),
    ("Give three tips for staying healthy.", "Give three tips for saving money.", False),
    ("How do I reset my password?", "How do I delete my account?", False),
    ("Explain photosynthesis to a child.", "Explain gravity to a child.", False),
    ("Translate the sentence into Korean.", "Translate the sentence into French.", False),
    ("Sort these numbers in ascending order.", "Sort these numbers in descending order.", False),
)


def cosines(pairs: list[tuple[str, str, bool]]) -> tuple[np.ndarray, np.ndarray, float]:
    """The cosine of each pair as the stage computes it, whether people call it the same, CPU seconds a text."""
    from datakit.embedder import load_embedder
    from datakit.kernels.likeness import lengths, rounded

    embed = load_embedder()
    texts = sorted({text for one, other, _ in pairs for text in (one, other)})
    embed("warm up")
    clock = time.process_time()
    vectors = rounded(np.stack([embed(text) for text in texts]))
    spent = (time.process_time() - clock) / len(texts)
    place, size = {text: n for n, text in enumerate(texts)}, lengths(vectors)
    found = []
    for one, other, _ in pairs:
        i, j = place[one], place[other]
        found.append(vectors[i].astype(np.int64) @ vectors[j].astype(np.int64) / (size[i] * size[j]))
    return np.array(found), np.array([same for _, _, same in pairs]), spent


def told(name: str, found: np.ndarray, same: np.ndarray) -> None:
    """Precision and recall of each threshold."""
    print(f"{name}: {same.sum()} pairs that mean the same, {(~same).sum()} that don't")
    for threshold in THRESHOLDS:
        hit = found >= threshold
        precision = (hit & same).sum() / max(1, hit.sum())
        print(f"  {threshold:.2f}  precision {precision:.3f}  recall {(hit & same).sum() / same.sum():.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs_csv", type=Path, nargs="?", default=PAIRS)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=10_000)
    asked = parser.parse_args()
    if asked.pairs_csv.is_file():
        with asked.pairs_csv.open(encoding="utf-8-sig", newline="") as lines:
            rows = [(row["question1"], row["question2"], row["is_duplicate"] == "0") for row in csv.DictReader(lines)]
        random.Random(0).shuffle(rows)
        found, same, spent = cosines(rows[: asked.pairs])
        told("Korean", found, same)
        print(f"  {1 / spent:.0f} questions a CPU second")
    found, same, _ = cosines(list(ENGLISH))
    told("English, written for this", found, same)
    from datakit.kernels.likeness import fold_alike, rounded

    vectors = rounded(np.random.default_rng(0).standard_normal((asked.rows, 384)))
    clock = time.process_time()
    into, _ = fold_alike(vectors, 0.96)
    assert (into < 0).all()
    print(f"comparing {asked.rows} rows: {time.process_time() - clock:.1f} CPU s")


if __name__ == "__main__":
    main()
