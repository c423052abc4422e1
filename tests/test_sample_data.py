"""The sample data is what its truth files say: planted defects are there, and nothing is alike that wasn't planted."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from datakit.runner import apply
from datakit.stages.ingest import Ingest

ROOT = Path(__file__).parents[1] / "sample_data"


@cache
def truth() -> list[dict[str, object]]:
    paths = sorted((ROOT / "truth").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().split("\n") if line]


@cache
def documents() -> dict[str, str]:
    """source_id (or file name, for one-document files) -> text, as ingest reads it."""
    rows = apply(Ingest(files=str(ROOT / "corpus"), id_field=None)).rows.to_pylist()
    found = {}
    for row in rows:
        own = row.get("source.id")
        found[own or Path(row["source"]).name] = row["text"]
    return found


def rows_of(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (ROOT / name).read_text().split("\n") if line]


def shingles(text: str, n: int = 3) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def test_there_are_enough_documents_of_each_language() -> None:
    planted = {line["source_id"] for line in truth()}
    korean = {name for name in documents() if "-ko-" in name} - planted
    english = {name for name in documents() if "-en-" in name} - planted
    assert len(korean) >= 150
    assert len(english) >= 150


def test_every_planted_row_exists_and_every_kind_of_defect_is_planted() -> None:
    assert {line["source_id"] for line in truth()} <= set(documents())
    assert {line["of"] for line in truth() if line["of"]} <= set(documents())
    kinds = Counter(line["defect"] for line in truth())
    expected = {
        "exact_duplicate", "near_duplicate", "boilerplate", "mojibake", "wrong_language", "low_quality", "pii",
    }  # fmt: skip
    assert set(kinds) == expected


def test_planted_personal_data_is_literally_in_its_text() -> None:
    types = set()
    for line in truth():
        for entity in line["entities"]:
            assert entity["value"] in documents()[line["source_id"]], (line["source_id"], entity["type"])
            types.add(entity["type"])
    assert types == {
        "EMAIL", "PHONE", "RRN", "FRN", "PASSPORT", "DRIVER_LICENSE", "BRN", "CORP_NO", "BANK_ACCOUNT", "CARD",
        "VEHICLE", "IP", "MAC", "IBAN", "US_SSN", "SECRET", "URL_CREDENTIAL", "MESSENGER_ID", "PERSON", "ADDRESS",
        "BIRTH_DATE",
    }  # fmt: skip


def test_no_two_documents_are_alike_unless_planted() -> None:
    copies = {line["source_id"] for line in truth() if line["defect"] in ("exact_duplicate", "near_duplicate")}
    seen = {name: shingles(text) for name, text in documents().items() if name not in copies}
    names = sorted(seen)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            common = len(seen[one] & seen[other])
            assert common < 0.2 * len(seen[one] | seen[other]), (one, other)


@pytest.mark.parametrize(("name", "least"), [("seeds.jsonl", 350), ("heldout.jsonl", 40)])
def test_rows_by_hand_are_enough_and_told_apart(name: str, least: int) -> None:
    rows = rows_of(name)
    assert len(rows) >= least
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["language"] for row in rows} == {"ko", "en"}


def test_held_out_rows_are_on_the_decontamination_list() -> None:
    listed = {row["id"] for row in rows_of("decontamination.jsonl")}
    assert {row["id"] for row in rows_of("heldout.jsonl")} <= listed
