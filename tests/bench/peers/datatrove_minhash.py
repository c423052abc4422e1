"""datatrove: its four MinHash steps with its own settings (word 5-grams, 14 buckets of 8), words by a trivial regex.

    python datatrove_minhash.py CORPUS.jsonl KEPT

Its word tokenizers cost more than all the rest, so a regex is its best case. Two workers, as its guide advises; the
split of the input into two files is not timed. CPU seconds are those of all its processes.
"""

import glob
import json
import re
import resource
import sys
import tempfile
import time
from importlib.metadata import version

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.word_tokenizers import WordTokenizer

WORKERS = 2
WORDS = re.compile(r"\w+")


class RegexWords(WordTokenizer):
    """Words are runs of letters and digits."""

    def __init__(self) -> None:
        super().__init__("regex")

    def word_tokenize(self, text: str) -> list[str]:
        return WORDS.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def cpu() -> float:
    """CPU seconds of this process and its children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def dealt(corpus: str, folder: str) -> str:
    """The corpus in one file a worker."""
    with open(corpus, "rb") as lines:
        rows = lines.readlines()
    for worker in range(WORKERS):
        with open(f"{folder}/{worker}.jsonl", "wb") as out:
            out.writelines(rows[worker::WORKERS])
    return folder


def deduplicate(shards: str, folder: str) -> None:
    config = MinhashConfig()
    steps = (
        ([JsonlReader(shards), MinhashDedupSignature(f"{folder}/sig", config, RegexWords())], WORKERS),
        ([MinhashDedupBuckets(f"{folder}/sig", f"{folder}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)], 1),
        (
            [
                JsonlReader(shards),
                MinhashDedupFilter(f"{folder}/remove"),
                JsonlWriter(f"{folder}/kept", compression=None),
            ],
            WORKERS,
        ),
    )
    for number, (pipeline, tasks) in enumerate(steps):
        logs = f"{folder}/logs/{number}"
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=WORKERS, logging_dir=logs).run()


def main(corpus: str, kept: str) -> None:
    with tempfile.TemporaryDirectory() as shards, tempfile.TemporaryDirectory() as folder:
        dealt(corpus, shards)
        before, started = cpu(), time.perf_counter()
        deduplicate(shards, folder)
        work, seconds = cpu() - before, time.perf_counter() - started
        stays = []
        for path in sorted(glob.glob(f"{folder}/kept/**/*.jsonl", recursive=True)):
            with open(path, "rb") as lines:
                stays += [json.loads(line)["id"] for line in lines]
    with open(kept, "w") as out:
        out.write("\n".join(stays))
    print(json.dumps({"cpu_s": work, "seconds": seconds, "process_cpu_s": cpu(), "version": version("datatrove")}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
