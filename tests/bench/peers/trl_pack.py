"""TRL: `pack_dataset` on rows of tokens and labels, as its SFTTrainer calls it. One core.

    python trl_pack.py LENGTHS.npy SEQ_LEN STRATEGY BATCH

BATCH is the rows of one `map` batch: 1000 is TRL's default, 0 means all rows at once. Tokens are made here. Its
assignment alone is timed on all rows in one call, without the Arrow functions that lay the tokens out.
"""

import json
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import trl.data_utils
from trl import pack_dataset

LAYING_OUT = ("take", "filter", "list_slice")


def main(path: str, seq_len: int, strategy: str, batch: int) -> None:
    datasets.disable_caching()
    datasets.disable_progress_bars()
    lengths = np.load(path).astype(np.int64)
    borders = np.concatenate(([0], np.cumsum(lengths)))
    values = pa.LargeListArray.from_arrays(borders, np.arange(borders[-1], dtype=np.int32) % 32000)
    table = pa.table({"input_ids": values, "labels": values})
    rows = datasets.Dataset(table)
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
        "assign_s": assignment(table, seq_len),
        "version": version("trl"),
    }
    print(json.dumps(answer))


def assignment(table: pa.Table, seq_len: int) -> float:
    """CPU seconds of bfd on all rows, less those of the Arrow functions that move tokens."""
    moved = []

    def watched(function):  # type: ignore[no-untyped-def]
        def moving(*given, **named):  # type: ignore[no-untyped-def]
            clock = time.process_time()
            found = function(*given, **named)
            moved.append(time.process_time() - clock)
            return found

        return moving

    functions = {name: getattr(pc, name) for name in dir(pc) if not name.startswith("_")}
    functions |= {name: watched(functions[name]) for name in LAYING_OUT}
    trl.data_utils.pc = SimpleNamespace(**functions)
    clock = time.process_time()
    trl.data_utils._pack_bfd(table, seq_len)
    return time.process_time() - clock - sum(moved)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
