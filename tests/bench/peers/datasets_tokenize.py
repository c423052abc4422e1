"""datasets.map as everybody tokenizes: batches of texts through the tokenizer's own library, in processes.

    python datasets_tokenize.py CORPUS.jsonl TOKENIZER IDS.npy [PROCESSES]

TOKENIZER: a tokenizer.json, or a SentencePiece .model. Its cache is off, so that nothing is read from an older run.
"""

import json
import os
import resource
import sys
import time
from importlib.metadata import version

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import datasets
import numpy as np
import pyarrow.compute as pc

datasets.disable_caching()
datasets.disable_progress_bars()
FOUND = {}


def loaded(path: str):
    if path not in FOUND:
        if path.endswith(".model"):
            from sentencepiece import SentencePieceProcessor

            FOUND[path] = SentencePieceProcessor(model_file=path).encode
        else:
            from tokenizers import Tokenizer

            one = Tokenizer.from_file(path)
            one.encode_special_tokens = True
            FOUND[path] = lambda texts: [found.ids for found in one.encode_batch(texts, add_special_tokens=False)]
    return FOUND[path]


def encoded(batch, path: str):
    return {"input_ids": loaded(path)(batch["text"])}


def cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main(corpus: str, tokenizer: str, out: str, processes: int) -> None:
    with open(corpus, encoding="utf-8") as lines:
        rows = datasets.Dataset.from_dict({"text": [json.loads(line)["text"] for line in lines]})
    clock, started = cpu(), time.perf_counter()
    options = {"batched": True, "num_proc": processes, "remove_columns": ["text"]}
    done = rows.map(encoded, fn_kwargs={"path": tokenizer}, **options)
    seconds, used = time.perf_counter() - started, cpu() - clock
    column = done.data.column("input_ids")
    np.save(out, np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks]))
    rows_out = np.concatenate([pc.list_value_length(chunk).to_numpy() for chunk in column.chunks])
    np.save(out.replace(".npy", ".rows.npy"), rows_out)
    print(json.dumps({"cpu_s": used, "seconds": seconds, "version": version("datasets")}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) > 4 else 2)
