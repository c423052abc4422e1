"""PII removal on the sample data (planted values) and on development sets of others."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from datakit.stages.pii.operators import tag
from datakit.stages.pii.redact import redact
from datakit.stages.pii.scan import Scanner

SAMPLE = Path(__file__).parents[1] / "sample_data"
SHARED = Path(__file__).parents[1].parent / "shared" / "data"
STRUCTURED = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "US_SSN": "US_SSN", "IP_ADDRESS": "IP",
    "US_DRIVER_LICENSE": "DRIVER_LICENSE",
}  # fmt: skip


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


@cache
def sample_texts(file: str) -> dict[str, str]:
    """The documents of one sample file by their ids."""
    path = SAMPLE / file
    if path.suffix in {".jsonl", ".gz"}:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        return {str(row["id"]): row["text"] for row in map(json.loads, text.strip().split("\n"))}
    if path.suffix == ".json":
        return {str(row["id"]): row["text"] for row in json.loads(path.read_text(encoding="utf-8"))}
    if path.suffix in {".csv", ".tsv"}:
        csv_file = path.suffix == ".csv"
        with path.open(encoding="cp949" if csv_file else "utf-8", newline="") as lines:
            return {row["id"]: row["text"] for row in csv.DictReader(lines, delimiter="," if csv_file else "\t")}
    data = path.read_bytes()
    return {path.name: data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8")}


def planted() -> list[dict]:
    rows = [json.loads(line) for file in sorted((SAMPLE / "truth").glob("*.jsonl")) for line in lines_of(file)]
    return [row for row in rows if row["defect"] == "pii"]


def test_planted_values_do_not_survive() -> None:
    find, left, total = Scanner(), [], 0
    for row in planted():
        text = sample_texts(row["file"])[row["source_id"]]
        (clean,) = redact([text], find, lambda entity, value, lang: tag(entity, lang)).texts
        total += len(row["entities"])
        left += [(row["source_id"], entity["type"]) for entity in row["entities"] if entity["value"] in clean]
    assert total > 100
    assert left == []


def test_documents_without_planted_values_are_nearly_all_left_alone() -> None:
    find, marked = Scanner(), {(row["file"], row["source_id"]) for row in planted()}
    files = [str(path.relative_to(SAMPLE)) for path in sorted((SAMPLE / "corpus").rglob("*")) if path.is_file()]
    clean = [
        (file, name, text) for file in files for name, text in sample_texts(file).items() if (file, name) not in marked
    ]
    touched = [(file, name) for file, name, text in clean if find(text)]
    assert len(clean) > 250
    assert len(touched) <= 0.01 * len(clean), touched


def test_english_development_set_reaches_its_goals() -> None:
    path = SHARED / "pii_en_dev.jsonl"
    if not path.exists():
        pytest.skip("the folder of real data (../shared) is not here")
    find, gold, hit, wrong, given = Scanner(), Counter(), Counter(), 0, 0
    for row in map(json.loads, lines_of(path)):
        spans = find(row["text"])
        inside = {place for span in spans for place in range(span.start, span.end)}
        for truth in row["spans"]:
            if entity := STRUCTURED.get(truth["type"]):
                need = [place for place in range(truth["start"], truth["end"]) if row["text"][place].isalnum()]
                gold[entity] += 1
                hit[entity] += sum(place in inside for place in need) >= 0.9 * len(need)
        found = [span for span in spans if span.entity in STRUCTURED.values()]
        given += len(found)
        wrong += sum(not any(s.start < t["end"] and t["start"] < s.end for t in row["spans"]) for s in found)
    assert hit.total() >= 0.92 * gold.total()
    assert wrong <= 0.02 * given


def test_korean_news_sentences_hold_hardly_any_structured_value() -> None:
    path = SHARED / "klue_ner_names_dev.jsonl"
    if not path.exists():
        pytest.skip("the folder of real data (../shared) is not here")
    find, structured, names, right = Scanner(), 0, 0, 0
    rows = [json.loads(line) for line in lines_of(path)]
    for row in rows:
        for span in find(row["text"]):
            if span.entity == "PERSON":
                names += 1
                right += any(span.start < truth["end"] and truth["start"] < span.end for truth in row["spans"])
            elif span.entity not in {"ADDRESS", "BIRTH_DATE"}:
                structured += 1
    assert structured <= len(rows) / 1000
    assert right >= 0.9 * names > 0
