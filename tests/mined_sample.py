"""The sample of mined rows that people checked: how it is drawn, and the precision that their verdicts give.

    python -m tests.mined_sample [--round 1]      writes tests/data/mined_sample_1.jsonl
    python -m tests.mined_sample --score          precision of the last round with verdicts

Rows are mined from sample_data with the stage's defaults, after the cleaning of the shipped pipelines, and drawn by
hash: 40 of each kind of text (manuals and notes; encyclopaedia and news; tickets and forum) in each language, 240 in
all. A kind with fewer rows gives all. Each round draws with a seed of its own and leaves out rows of the rounds before.

Whoever checks has not seen the rules. A verdict is a line of mined_verdicts_1.jsonl: {"id", "verdict": "right" or
"wrong", "why"}. Right means all three:

    1  the question can be answered from the text that is given with it, without knowing where the text is from
    2  the answer is right and complete: nothing asked for is missing, nothing in it is untrue; for open tasks (a title,
       a continuation) it is one that a careful writer could have given
    3  question and answer read naturally: grammar, particles, capitals, nothing cut off or pointing at nothing

What holds for nearly all is not enough; if in doubt, it is wrong. `why` is a few words, for wrong ones at least.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from datakit.runner import apply
from datakit.stages.dedup import Dedup
from datakit.stages.ingest import Ingest
from datakit.stages.language import Language
from datakit.stages.normalize import Normalize
from datakit.stages.pii import Pii
from datakit.stages.quality import Quality
from datakit.stages.synthesize import Synthesize

DATA = Path(__file__).parent / "data"
CORPUS = Path(__file__).parents[1] / "sample_data" / "corpus"
KINDS = {"manuals": "manual", "notes": "manual", "wiki": "prose", "news": "prose", "tickets": "talk", "forum": "talk"}
EACH = 40
Score = tuple[int, int]


def mined() -> Iterator[dict[str, Any]]:
    """All rows that the shipped pipeline would mine from sample_data, with the kind of text that they are from."""
    stages = [Ingest(files=str(CORPUS)), Normalize(), Language(keep=("ko", "en")), Quality(), Dedup(), Pii()]
    for row in apply([*stages, Synthesize()]).rows.to_pylist():
        name = str(row["source"]).rsplit("corpus/", 1)[-1]
        kind = next((kind for start, kind in KINDS.items() if name.startswith(start)), None)
        if kind:
            yield {
                "id": row["id"], "kind": kind, "language": row["lang"], "task": row["synthesize.task"],
                "question": row["messages"][0]["content"], "answer": row["messages"][1]["content"],
            }  # fmt: skip


def drawn(number: int) -> list[dict[str, Any]]:
    """The rows of one round."""
    before = {row["id"] for earlier in range(1, number) for row in read(f"mined_sample_{earlier}.jsonl")}
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in mined():
        if row["id"] not in before:
            kinds[row["language"], row["kind"]].append(row)
    return [row for key in sorted(kinds) for row in sorted(kinds[key], key=lambda row: _draw(number, row["id"]))[:EACH]]


def _draw(number: int, id: str) -> str:
    return blake2b(f"{number}:{id}".encode(), digest_size=8).hexdigest()


def read(name: str) -> list[dict[str, Any]]:
    """The rows of a file in tests/data."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").split("\n") if line]


def checked() -> int:
    """The last round that has verdicts, 0 for none."""
    rounds = [int(path.stem.rpartition("_")[2]) for path in DATA.glob("mined_verdicts_*.jsonl")]
    return max(rounds, default=0)


def precision(rows: list[dict[str, Any]], verdicts: list[dict[str, Any]], by: tuple[str, ...]) -> dict[str, Score]:
    """Right rows and all rows, by some fields of the rows; every row must have one verdict, right or wrong."""
    told = {verdict["id"]: verdict["verdict"] for verdict in verdicts}
    if len(told) != len(verdicts) or set(told) != {row["id"] for row in rows}:
        raise ValueError("verdicts and rows of the sample are not one to one")
    if set(told.values()) - {"right", "wrong"}:
        raise ValueError("a verdict is neither right nor wrong")
    found: dict[str, Score] = {}
    for row in rows:
        name = " ".join(row[field] for field in by) or "all"
        right, total = found.get(name, (0, 0))
        found[name] = right + (told[row["id"]] == "right"), total + 1
    return dict(sorted(found.items()))


def main() -> None:
    """Write the sample of a round, or tell the precision."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--round", type=int, default=1)
    parser.add_argument("--score", action="store_true")
    asked = parser.parse_args()
    number = checked() if asked.score else asked.round
    if asked.score:
        rows, verdicts = read(f"mined_sample_{number}.jsonl"), read(f"mined_verdicts_{number}.jsonl")
        for by in ((), ("language", "kind"), ("language", "task")):
            for name, (right, total) in precision(rows, verdicts, by).items():
                print(f"{name:20} {right:4} of {total:4}  {right / total:.2f}")
        return
    rows = drawn(number)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (DATA / f"mined_sample_{number}.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
