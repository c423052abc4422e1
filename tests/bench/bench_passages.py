"""Repeated passages: found in a corpus with planted ones, held to plain Python, then timed.

    python -m tests.bench.bench_passages [CORPUS.jsonl.gz] [--grow 10000 100000 1000000] [--json]

CORPUS: {"id", "text"} a line. Planted: Korean and English notices of 50 to 120 words or so, put between the paragraphs
of every tenth document, quoted (`> `) or with other spacing in half of them. Told are CPU seconds of one core from
tables in memory: marking, finding, cutting; how many planted notices went, and the share of their text that stays;
and on `--sample` documents whether plain Python (a dictionary of all windows) cuts the same, and its time. That is the
peer here: the suffix arrays of Lee et al. and of text-dedup want a Rust compiler. `--grow`: the same for so many
documents of 60 words, smallest first, so that the peak memory told is its own; texts and tables are in it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.bench.bench_dedup import SHARD_ROWS, MemoryShard, grown, peak_mb

KO = (
    *("이", "게시물", "안내문", "공지", "이용자", "여러분", "서비스", "운영", "정책", "자료", "문의", "담당", "부서"),
    *("확인", "바랍니다", "보관", "기간", "동의", "없이", "복제", "배포", "금지", "책임"),
)
EN = (
    *("this", "notice", "tells", "readers", "that", "our", "service", "keeps", "records", "for", "a", "period", "and"),
    *("copies", "need", "consent", "of", "the", "owner"),
)
NOTICES = 40
WORDS, SYLLABLES = 40, 80


class Corpus:
    """Shards in memory."""

    def __init__(self, shards: Sequence[Any]) -> None:
        self.shards = shards


def notices() -> list[str]:
    """Invented boilerplate: even numbers Korean, odd ones English."""
    made = []
    for number in range(NOTICES):
        stream = random.Random(number)
        words = [stream.choice(EN if number % 2 else KO) for _ in range(stream.randint(50, 120))]
        made.append(" ".join(f"{word}." if place % 9 == 8 else word for place, word in enumerate(words)) + ".")
    return made


def planted(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """The rows with a notice in every tenth, and (row, a word of it that marks it) of all but the first of each."""
    texts, seen, told, out = notices(), set(), [], []
    for place, row in enumerate(rows):
        if place % 10:
            out.append(row)
            continue
        stream = random.Random(place)
        number = stream.randrange(NOTICES)
        notice = texts[number]
        if stream.random() < 0.5:
            notice = "\n".join(f"> {line}" for line in notice.split(". ")) if number % 2 else notice.replace(" ", "", 9)
        paragraphs = row["text"].split("\n\n")
        paragraphs.insert(stream.randrange(len(paragraphs) + 1), notice)
        out.append({**row, "text": "\n\n".join(paragraphs)})
        if number in seen:
            told.append((place, notice))
        seen.add(number)
    return out, told


def tables(rows: list[dict[str, Any]]) -> Iterator[Any]:
    """Shards of documents."""
    from datakit.schemas import table_from_rows

    for start in range(0, len(rows), SHARD_ROWS):
        shard = rows[start : start + SHARD_ROWS]
        told = [{**row, "source": "bench", "position": start + place} for place, row in enumerate(shard)]
        yield table_from_rows(told, "document")


def ours(rows: list[dict[str, Any]]) -> tuple[list[str], dict[str, float], Any]:
    """The texts after the cuts, CPU seconds by step, and the cuts."""
    from datakit.stages.passages.cut import without
    from datakit.stages.passages.find import Finder
    from datakit.stages.passages.marks import load_marks, mark_shard

    shards = [MemoryShard(table) for table in tables(rows)]
    clock, times = time.process_time(), {}
    marks = load_marks(mark_shard(shard.table, {"words": WORDS, "syllables": SYLLABLES}) for shard in shards)
    times["mark"] = time.process_time() - clock
    cuts = Finder(Corpus(shards), marks, WORDS, SYLLABLES, "sentence").find()  # type: ignore[arg-type]
    times["find"] = time.process_time() - clock - times["mark"]
    after = [row["text"] for row in rows]
    for place, spans in cuts.spans.items():
        after[place] = without(after[place], spans.tolist())
    times["total"] = time.process_time() - clock
    times["marks_bytes_per_row"] = len(marks.hashes) * 12 / max(1, len(rows))
    return after, times, cuts


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Time and what was found, for some rows with notices planted in them."""
    full, told = planted(rows)
    megabytes = sum(len(row["text"].encode()) for row in full) / 1e6
    after, times, cuts = ours(full)
    found = [place for place, notice in told if notice not in after[place]]
    left = [_left(notice, after[place]) for place, notice in told]
    return {
        "documents": len(full),
        "mb": round(megabytes, 1),
        "cpu_s": {name: round(seconds, 2) for name, seconds in times.items() if name != "marks_bytes_per_row"},
        "mb_per_cpu_s": round(megabytes / times["total"], 1),
        "marks_bytes_per_row": round(times["marks_bytes_per_row"]),
        "rounds": cuts.rounds,
        "rows_cut": len(cuts.spans),
        "planted": len(told),
        "planted_found": len(found),
        "planted_text_left": round(sum(left) / max(1, len(left)), 4),
        "rss_peak_mb": peak_mb(),
    }


def _left(notice: str, text: str) -> float:
    """The share of a notice's lines and sentences that still stand in a text."""
    lines = [line for line in notice.replace(". ", ".\n").split("\n") if line.strip("> ")]
    return sum(line in text for line in lines) / len(lines)


def agreement(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Ours and plain Python on the same documents: whether the cuts are equal, and the times."""
    from datakit.kernels.repeats_reference import plain_cuts

    full, _ = planted(rows)
    texts = [row["text"] for row in full]
    _, times, cuts = ours(full)
    clock = time.process_time()
    plain = plain_cuts(texts, WORDS, SYLLABLES, "sentence")
    spent = time.process_time() - clock
    mine: list[set[int]] = [set() for _ in texts]
    for place, spans in cuts.spans.items():
        data = texts[place].encode()
        for start, end in spans.tolist():
            mine[place].update(range(len(data[:start].decode()), len(data[:end].decode())))
    return {
        "documents": len(full),
        "equal": mine == plain,
        "rows_cut": sum(map(bool, plain)),
        "ours_cpu_s": round(times["total"], 3),
        "plain_cpu_s": round(spent, 1),
        "ratio": round(spent / times["total"]),
    }


def main() -> None:
    """Run what was asked for."""
    from tests.bench.__main__ import CORPUS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--sample", type=int, default=300, help="documents for the comparison with plain Python")
    parser.add_argument("--grow", type=int, nargs="*", default=[], help="measure so many short documents too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    with gzip.open(asked.corpus) as lines:
        rows = [orjson.loads(line) for line in lines]
    ours([{"id": str(n), "text": f"{notices()[n % 2]}\n\n가나다 {n}"} for n in range(20)])  # compile, or load
    told = {"agreement": agreement(rows[: asked.sample])}
    assert told["agreement"]["equal"], "the kernels and plain Python differ"
    for count in sorted(asked.grow):
        told[f"{count} documents"] = report(list(grown(asked.corpus, count)))
    told["corpus"] = report(rows)
    print(json.dumps(told) if asked.json else "\n".join(f"{name}: {value}" for name, value in told.items()))


if __name__ == "__main__":
    main()
