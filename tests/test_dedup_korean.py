"""dedup at its default settings on Korean near duplicates made to order, and on look-alikes that are none."""

from __future__ import annotations

import pytest

from datakit.runner import Applied, apply
from datakit.stages.dedup import Dedup
from tests.korean_near_duplicates import base_texts, negatives, pairs


def folded(texts: list[str], **choices: object) -> Applied:
    rows = [
        {"id": f"r{n}", "source_id": "", "text": text, "source": "a", "position": n} for n, text in enumerate(texts)
    ]
    return apply(Dedup(**choices), rows)


def recall(kind: str, rate: float, **choices: object) -> float:
    """Share of the pairs of which one row stays; base texts that are copies of each other count once."""
    edited = pairs(kind, rate)
    found = folded([text for pair in edited for text in pair], **choices)
    stays = set(found.rows.column("id").to_pylist())
    return sum(not {f"r{2 * n}", f"r{2 * n + 1}"} <= stays for n in range(len(edited))) / len(edited)


def test_base_texts_are_many_and_korean() -> None:
    assert len(base_texts()) > 100


@pytest.mark.parametrize("kind", ["particle", "eojeol", "spacing", "politeness", "nfd"])
def test_korean_copies_with_five_percent_edited_are_found_by_default(kind: str) -> None:
    assert recall(kind, 0.05) >= 0.97


def test_korean_recall_falls_with_the_rate_and_by_words_at_once() -> None:
    found = [recall("eojeol", rate) for rate in (0.01, 0.05, 0.2)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.1
    assert recall("eojeol", 0.05, unit="word") < 0.2


def test_korean_texts_of_one_template_about_other_things_are_never_merged() -> None:
    texts = negatives()
    assert len(texts) >= 50
    assert folded(texts).stats.folded == 0


def test_korean_one_word_reviews_are_folded_only_if_they_are_equal() -> None:
    reviews = [
        "재밌어요",
        "재밌어요!!",
        "재미없어요",
        "재밌었어요",
        "최고",
        "최고예요",
        "최악",
        "굿",
        "굿굿",
        "ㅋㅋㅋ",
        "ㅋㅋ",
        "최고",
    ]
    found = folded(reviews)
    assert sorted(found.drops.column("id").to_pylist()) == ["r1", "r11"]
    assert found.notes["empty"] == 0
