"""Exact dedup as one would write it: orjson, xxh3 of the text as it stands, a set. One process.

python exact_loop.py CORPUS.jsonl KEPT
"""

import json
import sys
import time
from importlib.metadata import version

import orjson
from xxhash import xxh3_128_digest


def main(corpus: str, kept: str) -> None:
    clock, started = time.process_time(), time.perf_counter()
    seen: set[bytes] = set()
    stays = []
    with open(corpus, "rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            digest = xxh3_128_digest(row["text"].encode())
            if digest not in seen:
                seen.add(digest)
                stays.append(row["id"])
    cpu, seconds = time.process_time() - clock, time.perf_counter() - started
    with open(kept, "w") as out:
        out.write("\n".join(stays))
    told = {"cpu_s": cpu, "seconds": seconds, "process_cpu_s": time.process_time(), "version": version("orjson")}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:3])
