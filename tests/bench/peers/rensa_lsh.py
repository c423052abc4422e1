"""rensa: full-set R-MinHash, its LSH, and the check of every candidate that its README shows. Words by regex.

    python rensa_lsh.py CORPUS.jsonl KEPT [THRESHOLD]

Never its `rho` pipeline, which looks at 15 words of a long text. One core.
"""

import json
import re
import sys
import time
from importlib.metadata import version

import orjson
from rensa import RMinHash, RMinHashLSH

PERMUTATIONS, BANDS = 128, 16
WORDS = re.compile(r"\w+")


def shingles(text: str) -> list[str]:
    words = WORDS.findall(text.lower())
    return [" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))]


def main(corpus: str, kept: str, threshold: float) -> None:
    clock, started = time.process_time(), time.perf_counter()
    with open(corpus, "rb") as lines:
        rows = [orjson.loads(line) for line in lines]
    signatures = []
    for row in rows:
        signature = RMinHash(num_perm=PERMUTATIONS, seed=42)
        signature.update(shingles(row["text"]))
        signatures.append(signature)
    index = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=BANDS)
    for number, signature in enumerate(signatures):
        index.insert(number, signature)
    gone: set[int] = set()
    for number, signature in enumerate(signatures):
        if number in gone:
            continue
        for other in index.query(signature):
            if other > number and other not in gone and signature.jaccard(signatures[other]) >= threshold:
                gone.add(other)
    stays = [row["id"] for number, row in enumerate(rows) if number not in gone]
    cpu, seconds = time.process_time() - clock, time.perf_counter() - started
    with open(kept, "w") as out:
        out.write("\n".join(stays))
    print(
        json.dumps(
            {"cpu_s": cpu, "seconds": seconds, "process_cpu_s": time.process_time(), "version": version("rensa")}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0.7)
