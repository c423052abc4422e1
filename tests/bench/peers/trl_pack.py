"""TRL: `pack_dataset` on rows of tokens and labels, as its SFTTrainer calls it. One core.

    python trl_pack.py LENGTHS.npy SEQ_LEN STRATEGY BATCH

BATCH is the rows of one `map` batch: 1000 is TRL's default, 0 means all rows at once. Tokens are made here.
"""

import json
import sys
import time
from importlib.metadata import version

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import trl.data_utils
from trl import pack_dataset


def main(path: str, seq_len: int, strategy: str, batch: int) -> None:
    datasets.disable_caching()
    datasets.disable_progress_bars()
    lengths = np.load(path).astype(np.int64)
    borders = np.concatenate(([0], np.cumsum(lengths)))
    values = pa.LargeListArray.from_arrays(borders, np.arange(borders[-1], dtype=np.int32) % 32000)
    rows = datasets.Dataset(pa.table({"input_ids": values, "labels": values}))
    assigning = _timed_assignment()
    clock, started = time.process_time(), time.perf_counter()
    packed = pack_dataset(rows, seq_len, strategy, {"batch_size": batch or len(lengths), "writer_batch_size": 1000})
    cpu, seconds = time.process_time() - clock, time.perf_counter() - started
    kept = sum(int(pc.sum(pc.list_value_length(c)).as_py() or 0) for c in packed.data["input_ids"].chunks)
    answer = {
        "packs": len(packed),
        "fill": kept / (len(packed) * seq_len),
        "tokens_lost": 1 - kept / int(borders[-1]),
        "cpu_s": cpu,
        "seconds": seconds,
        "tree_cpu_s": assigning[0],
        "version": version("trl"),
    }
    print(json.dumps(answer))


def _timed_assignment() -> list[float]:
    """Adds up the time inside TRL's segment tree: less than its assignment, which is part of a larger function."""
    spent = [0.0]
    tree = trl.data_utils._SegmentTree
    for name in ("add", "remove", "search"):
        spent_in = getattr(tree, name)

        def timed(self, value, _inner=spent_in):  # type: ignore[no-untyped-def]
            begun = time.process_time()
            found = _inner(self, value)
            spent[0] += time.process_time() - begun
            return found

        if "--tree" in sys.argv:
            setattr(tree, name, timed)
    return spent


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
