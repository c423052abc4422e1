"""dedup over what should not be there: every row accounted for, bounded time and memory, no crash."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

import pytest

from datakit.runner import Applied, apply
from datakit.schemas import table_from_rows
from datakit.stages.dedup import Dedup

KOREAN = "지난달에 산 무선 청소기가 충전이 되지 않아 서비스 센터에 전화했더니 상담원이 전원 단자를 닦아 보라고 했다."
ENGLISH = "The cordless vacuum that I bought last month would not charge, so I called the service centre about it."


def folded(texts: list[str | None], **choices: Any) -> Applied:
    rows = [
        {"id": f"r{n}", "source_id": "", "text": text, "source": "a", "position": n} for n, text in enumerate(texts)
    ]
    found = apply(Dedup(**choices), table_from_rows(rows, "document"))
    assert found.stats.conserved
    assert found.stats.kept + found.stats.folded == len(texts)
    return found


def test_missing_texts_and_broken_or_strange_ones_are_accounted_for() -> None:
    strange = [
        "",
        None,
        "\ufffd\ufffd",
        "\x00",
        "\u200b",
        "👍🏽",
        "👍🏽",
        "👨‍👩‍👧",
        "ㅋㅋㅋ",
        "ㅋㅋ",
        "\u1112\u1161\u11ab",
        "한",
        "\U0010ffff",
    ]
    found = folded(strange)
    assert sorted(found.drops.column("id").to_pylist()) == ["r11", "r6"]  # the same emoji, the same syllable in jamo
    assert found.notes["empty"] == 2


@pytest.mark.parametrize("text", [KOREAN, ENGLISH])
def test_only_signs_in_many_rows_are_told_apart_by_the_signs(text: str) -> None:
    signs = "".join(char for char in unicodedata.normalize("NFD", text) if not char.isalnum())
    found = folded([signs, "!" * 1000, "!" * 999, "?" * 1000, "😀" * 500, "😀" * 499])
    assert {"r0", "r1", "r3", "r4"} <= set(found.rows.column("id").to_pylist())


def test_ids_that_repeat_are_still_one_row_each() -> None:
    rows = [{"id": "same", "source_id": "", "text": text, "source": "a", "position": 0} for text in (KOREAN, ENGLISH)]
    assert apply(Dedup(), rows).stats.kept == 2


def test_all_examples_identical_leave_one_and_raise_the_alarm() -> None:
    turns = [{"role": role, "content": KOREAN, "weight": None} for role in ("user", "assistant")]
    rows = [{"id": f"r{n}", "source_id": "", "messages": turns, "source": "a", "position": n} for n in range(3000)]
    found = apply(Dedup(), rows, kind="example")
    assert (found.stats.kept, found.stats.folded) == (1, 2999)
    assert found.notes["alarm"]["largest"] == [{"kept": "r0", "size": 3000}]


def test_examples_without_messages_are_accounted_for() -> None:
    rows = [{"id": f"r{n}", "source_id": "", "messages": [], "source": "a", "position": n} for n in range(30)]
    rows += [{"id": "null", "source_id": "", "messages": None, "source": "a", "position": 99}]
    assert apply(Dedup(), rows, kind="example").stats.kept == 31


@pytest.mark.slow
def test_million_empty_documents_all_stay() -> None:
    found = folded([""] * 1_000_000)
    assert (found.stats.kept, found.notes["empty"]) == (1_000_000, 1_000_000)


@pytest.mark.slow
def test_hundred_thousand_identical_documents_leave_one() -> None:
    assert folded([KOREAN] * 100_000).stats.kept == 1


@pytest.mark.slow
def test_twenty_thousand_documents_of_one_template_are_compared_with_few_each() -> None:
    letter = " ".join(f"{word}{n}" for n, word in enumerate(KOREAN.split() * 6))
    texts = [f"{letter} {' '.join(random.Random(n).sample(ENGLISH.split(), 12))} {n}" for n in range(20_000)]
    found = folded(texts, unit="word")
    assert found.notes["verified"]["pairs"] < 20_000 * 100


@pytest.mark.slow
def test_document_of_fifty_megabytes_and_its_copies_are_folded() -> None:
    draw = random.Random(1)
    words = [chr(0xAC00 + draw.randrange(11172)) + chr(0xAC00 + draw.randrange(11172)) for _ in range(7_000_000)]
    text = " ".join(words)
    assert len(text.encode()) > 45_000_000
    found = folded([text, text + " 끝", unicodedata.normalize("NFC", text), KOREAN])
    assert sorted(found.drops.column("matched").to_pylist()) == ["r0", "r0"]
