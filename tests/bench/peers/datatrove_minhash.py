"""datatrove: its four MinHash steps with its own settings (word 5-grams, 14 buckets of 8), words by a trivial regex.

    python datatrove_minhash.py CORPUS.jsonl KEPT

Its word tokenizers cost more than all the rest, so a regex is its best case. One worker, which runs in this process, so
that its CPU seconds can be counted; the split of the input into two files, as its guide advises, is not timed.
"""

import glob
import json
import re
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

TASKS = 2
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


def dealt(corpus: str, folder: str) -> str:
    """The corpus in one file a task."""
    with open(corpus, "rb") as lines:
        rows = lines.readlines()
    for task in range(TASKS):
        with open(f"{folder}/{task}.jsonl", "wb") as out:
            out.writelines(rows[task::TASKS])
    return folder


def deduplicate(shards: str, folder: str) -> None:
    config = MinhashConfig()
    steps = (
        ([JsonlReader(shards), MinhashDedupSignature(f"{folder}/sig", config, RegexWords())], TASKS),
        ([MinhashDedupBuckets(f"{folder}/sig", f"{folder}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)], 1),
        (
            [
                JsonlReader(shards),
                MinhashDedupFilter(f"{folder}/remove"),
                JsonlWriter(f"{folder}/kept", compression=None),
            ],
            TASKS,
        ),
    )
    for number, (pipeline, tasks) in enumerate(steps):
        logs = f"{folder}/logs/{number}"
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=logs).run()


def main(corpus: str, kept: str) -> None:
    with tempfile.TemporaryDirectory() as shards, tempfile.TemporaryDirectory() as folder:
        dealt(corpus, shards)
        clock, started = time.process_time(), time.perf_counter()
        deduplicate(shards, folder)
        cpu, seconds = time.process_time() - clock, time.perf_counter() - started
        stays = []
        for path in sorted(glob.glob(f"{folder}/kept/**/*.jsonl", recursive=True)):
            with open(path, "rb") as lines:
                stays += [json.loads(line)["id"] for line in lines]
    with open(kept, "w") as out:
        out.write("\n".join(stays))
    print(
        json.dumps(
            {"cpu_s": cpu, "seconds": seconds, "process_cpu_s": time.process_time(), "version": version("datatrove")}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
