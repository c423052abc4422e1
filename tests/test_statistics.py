"""`datakit stats`: every token is in one group of each kind, losses are what `pack` then loses."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit import api
from datakit.reporting.labels import WORDS
from datakit.statistics import TOLERATED, frames, seq_lens, suggested
from datakit.store import Store
from tests.command_line import call, pipeline_file
from tests.tiny_llama import make_tiny_tokenizer

TALKS = [
    {"instruction": f"{n}번 질문: 대한민국의 수도는 어디인가요?" * (1 + n % 3), "output": "서울입니다. " * (1 + n % 7)}
    for n in range(20)
] + [
    {"instruction": f"Question {n}: what is the capital?", "output": "The capital is Seoul. " * (1 + n % 5)}
    for n in range(20)
]
STAGES = (
    "{use: ingest, files: [rows.jsonl, more.jsonl], form: alpaca}",
    "{use: language}",
    "{use: split, val: 0.2, test: 0.2}",
    "{use: template, style: chatml}",
)


@pytest.fixture(scope="module")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tiny_tokenizer(folder)
    return str(folder)


@pytest.fixture
def rows(here: Path) -> Path:
    for name, talks in (("rows.jsonl", TALKS[:25]), ("more.jsonl", TALKS[25:])):
        lines = [json.dumps(talk, ensure_ascii=False) for talk in talks]
        (here / name).write_text("\n".join(lines), encoding="utf-8")
    return here


def run(*stages: str) -> None:
    told = call("run", pipeline_file(*stages))
    assert told.code == 0, told.err


def broken_sum(found: dict[str, Any]) -> str | None:
    """The first group whose lines don't add up to all rows and all of the unit."""
    for name, lines in found["by"].items():
        total = sum(line["size"] for line in lines)
        if abs(total - found[found["unit"]]) > (len(lines) if name == "role" else 0):
            return name
        if name != "role" and sum(line["rows"] for line in lines) != found["rows"]:
            return name
    return None


def test_stats_of_tokens_add_up_and_agree_with_the_stages(rows: Path, tiny_tokenizer: str) -> None:
    run(*STAGES, f"{{use: tokenize, tokenizer: {tiny_tokenizer}}}", "{use: pack, seq_len: 512}")
    found = api.stats("p")
    manifest = Store("store").manifest("p")
    noted = manifest.note("tokenize")
    assert (found["tokens"], found["trained_tokens"]) == (noted["tokens"], noted["trained_tokens"])
    assert found["lengths"]["longest"] == noted["longest"]
    assert found["fertility"] == noted["fertility"]
    assert broken_sum(found) is None
    assert {line["source"] for line in found["by"]["source"]} == {"rows.jsonl", "more.jsonl"}
    assert {"ko", "en"} <= {line["lang"] for line in found["by"]["lang"]}
    assert {line["role"] for line in found["by"]["role"]} == {"user", "assistant"}
    packed = manifest.note("pack")
    at_512 = next((line for line in found["seq_len"] if line["seq_len"] == 512), found["seq_len"][-1])
    assert at_512["lost_if_dropped"] == round(packed["tokens_dropped"] / found["tokens"], 6)
    found["by"]["lang"][0]["size"] += 1  # the planted breach
    assert broken_sum(found) == "lang"


def test_stats_of_text_alone_tell_characters(rows: Path) -> None:
    run(*STAGES[:3])
    found = api.stats("p")
    assert found["unit"] == "characters"
    assert broken_sum(found) is None
    assert "seq_len" not in found


def test_stats_for_people_and_programs_say_the_same(rows: Path, tiny_tokenizer: str) -> None:
    run(*STAGES, f"{{use: tokenize, tokenizer: {tiny_tokenizer}}}")
    told = call("stats", "p", "--json")
    found = json.loads(told.out)
    shown = call("stats", "p").out
    assert f"{found['tokens']:,} tokens" in shown
    assert "suggested" in shown
    assert "eojeol" in shown
    assert "서울" not in shown + told.out


def test_frames_hold_a_line_a_row_and_no_text(rows: Path, tiny_tokenizer: str) -> None:
    run(*STAGES, f"{{use: tokenize, tokenizer: {tiny_tokenizer}}}")
    store = Store("store")
    found = frames(store.manifest("p"), store)
    assert len(found["rows"]) == len(TALKS)
    assert set(found["rows"].columns) == {"id", "lang", "split", "size", "trained", "source"}
    assert found["rows"]["id"].is_unique
    assert list(found["roles"].columns) == ["id", "role", "characters"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3000), max_size=60))
def test_seq_lens_any_sizes_lose_less_the_longer_the_pack(sizes: list[int]) -> None:
    found = seq_lens(np.array(sizes, np.int64))
    assert bool(found) == bool(sizes)
    for shorter, longer in pairwise(found):
        assert longer["lost_if_dropped"] <= shorter["lost_if_dropped"]
        assert longer["lost_if_cut_off"] <= shorter["lost_if_cut_off"] <= shorter["lost_if_dropped"]
    if found:
        assert found[-1]["rows_over"] == found[-1]["lost_if_dropped"] == 0
        taken = suggested(found)
        assert taken is not None
        over = [size for size in sizes if size > taken]
        assert sum(over) <= TOLERATED * sum(sizes) + 1e-6 * sum(sizes)


def test_stats_of_no_rows_are_empty(here: Path) -> None:
    (here / "rows.jsonl").write_text('{"text": "짧다"}\n', encoding="utf-8")
    run("{use: ingest, files: rows.jsonl}", "{use: quality, min_words: 50}")
    found = api.stats("p")
    assert (found["rows"], found["lengths"], found["by"]["role"]) == (0, {}, [])


def test_report_shows_what_each_seq_len_loses_and_how_full_the_packs_are(rows: Path, tiny_tokenizer: str) -> None:
    run(*STAGES, f"{{use: tokenize, tokenizer: {tiny_tokenizer}}}", "{use: pack, seq_len: 64}")
    api.report("p", out="report.html")
    page = (rows / "report.html").read_text(encoding="utf-8")
    packed = Store("store").manifest("p").note("pack")
    for name in ("seq_lens", "fill_histogram", "lost_histogram"):
        assert WORDS[name][0] in page
        assert WORDS[name][1] in page
    for low, high, packs in packed["fill_histogram"]:
        assert f"{low:.1%} – {high:.1%}: {packs:,}" in page
    assert sum(rows for _, _, rows, _ in packed["lost_histogram"]) > 0
    found = api.stats("p")
    assert f"{found['suggested_seq_len']:,} is the shortest" in page
    assert {line["split"] for line in found["by"]["split"]} == {"train", "val", "test"}
    assert "path: test-*.parquet" in (rows / "report.card.md").read_text(encoding="utf-8")
