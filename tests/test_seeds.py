"""The seed tasks: 175 of each language, balanced, whole, unlike each other, unlike what is held out, and right.

Beside them the 252 user-oriented instructions in Korean (tests/data): what people ask must pass the default filters.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from datakit.stages.synthesize.filters import instruction_fault
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.seeds import read_seeds

SAMPLE = Path(__file__).parents[1] / "sample_data"
USER_ORIENTED = Path(__file__).parent / "data" / "user_oriented_ko.jsonl"
FIELDS = ["id", "name", "language", "use_case", "instruction", "instances", "is_classification"]
USE_CASES = {
    "generation", "open_qa", "brainstorming", "chat", "rewrite", "summarise", "classify", "closed_qa", "extract",
    "code", "maths",
}  # fmt: skip
NUMBER = r"\d[\d,]*(?:\.\d+)?(?:/\d+)?(?![.,/]?\d)"
SIDE = rf"{NUMBER}(?: [-+−×÷x*/] {NUMBER})*"
SUM = re.compile(rf"(?<![-+−×÷x*/] )(?<![\w.,/(]){SIDE}(?: = {SIDE}(?! ?[-+−×÷*/(]| \d| x))+")
"""Plain numbers and signs alone: a side with a bracket or a letter is left out."""
WRITTEN_IN = {"ko": re.compile("[가-힣]"), "en": re.compile("[a-z]")}


@cache
def seeds() -> list[dict[str, Any]]:
    return rows_of("seeds")


def rows_of(name: str) -> list[dict[str, Any]]:
    return rows_at(SAMPLE / f"{name}.jsonl")


def rows_at(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def repeats(instructions: dict[str, str]) -> list[tuple[str, str]]:
    """Each instruction that says what an earlier one said, with that one."""
    pool, found = Pool(0.7), []
    for name, text in instructions.items():
        if nearest := pool.nearest(text):
            found.append((name, nearest[0]))
        pool.add(text, name)
    return found


def eights(text: str) -> set[tuple[str, ...]]:
    """All runs of eight words."""
    words = text.lower().split()
    return {tuple(words[place : place + 8]) for place in range(len(words) - 7)}


def wrong_sums(text: str) -> list[str]:
    """Every `a × b + c = d = ...` in a text of which a side differs from the first by more than its rounding."""
    return [found for found in SUM.findall(text) if not holds(found.replace(",", "").split(" = "))]


def holds(sides: list[str]) -> bool:
    first = value(sides[0])
    return all(abs(value(side) - first) <= rounding(side) for side in sides[1:])


def rounding(side: str) -> Fraction:
    """Half of the last decimal of a lone number; a whole number and a sum are exact."""
    decimals = len(side.partition(".")[2])
    return Fraction(1, 2 * 10**decimals) if decimals and " " not in side else Fraction(0)


def value(side: str) -> Fraction:
    """Sums of products of plain numbers, the signs set off by spaces."""
    first, *rest = re.split(" ([-+−]) ", side)
    return product(first) + sum(
        product(term) * (1 if sign == "+" else -1) for sign, term in zip(rest[::2], rest[1::2], strict=True)
    )


def product(term: str) -> Fraction:
    first, *rest = re.split(" ([×÷x*/]) ", term)
    result = Fraction(first)
    for sign, factor in zip(rest[::2], rest[1::2], strict=True):
        result = result / Fraction(factor) if sign in "÷/" else result * Fraction(factor)
    return result


def test_there_are_175_of_each_language_under_running_ids() -> None:
    expected = [f"seed-{language}-{number:03d}" for language in ("ko", "en") for number in range(1, 176)]
    assert [seed["id"] for seed in seeds()] == expected
    assert all(seed["language"] == seed["id"][5:7] for seed in seeds())
    assert len({(seed["language"], seed["name"]) for seed in seeds()}) == 350


def test_every_seed_has_all_fields_and_whole_instances() -> None:
    for seed in seeds():
        assert list(seed) == FIELDS, seed["id"]
        assert seed["instances"], seed["id"]
        for instance in seed["instances"]:
            assert list(instance) == ["input", "output"], seed["id"]
            assert instance["output"].strip() == instance["output"] != "", seed["id"]
            assert instance["input"] != instance["output"], seed["id"]
        inputs = [instance["input"] for instance in seed["instances"]]
        assert len(set(inputs)) == len(inputs), seed["id"]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_use_cases_are_balanced(language: str) -> None:
    own = [seed for seed in seeds() if seed["language"] == language]
    counts = Counter(seed["use_case"] for seed in own)
    assert set(counts) == USE_CASES
    assert counts.pop("classify") == 25
    assert set(counts.values()) == {15}
    assert all(seed["is_classification"] == (seed["use_case"] == "classify") for seed in own)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_seeds_with_and_without_input_and_with_several_instances(language: str) -> None:
    own = [seed["instances"] for seed in seeds() if seed["language"] == language]
    assert 0.5 <= sum(bool(instances[0]["input"]) for instances in own) / len(own) <= 0.7
    assert sum(len(instances) > 1 for instances in own) >= 25
    lengths = sorted(len(instance["output"]) for instances in own for instance in instances)
    assert lengths[len(lengths) // 10] <= 6
    assert lengths[-5] > 250


def test_instructions_are_written_in_their_language() -> None:
    for seed in seeds():
        assert WRITTEN_IN[seed["language"]].search(seed["instruction"]), seed["id"]
        if seed["language"] == "en":
            assert not WRITTEN_IN["ko"].search(seed["instruction"]), seed["id"]


def test_korean_asks_in_many_forms() -> None:
    ends = Counter(
        re.split(r"(?<=[.?!]) ", seed["instruction"])[0].rstrip(".?!")[-2:]
        for seed in seeds()
        if seed["language"] == "ko"
    )
    assert {"세요", "시오"} <= set(ends)
    assert len(ends) >= 25
    assert max(ends.values()) < 0.4 * 175


def test_no_seed_says_what_another_says() -> None:
    instructions = {seed["id"]: seed["instruction"] for seed in seeds()}
    assert repeats(instructions) == []
    planted = {"again": instructions["seed-ko-050"].replace("주세요", "줘")}
    assert repeats(instructions | planted) == [("again", "seed-ko-050")]


def test_no_seed_is_held_out() -> None:
    kept = rows_of("heldout") + rows_of("decontamination")
    texts = {row["id"]: " ".join(str(row.get(key, "")) for key in ("instruction", "input", "text")) for row in kept}
    banned = set().union(*map(eights, texts.values()))
    assert banned
    for seed in seeds():
        for instance in seed["instances"]:
            whole = f"{seed['instruction']} {instance['input']} {instance['output']}"
            assert not eights(whole) & banned, seed["id"]


def test_python_in_answers_compiles_and_json_parses() -> None:
    blocks = found = 0
    for seed in seeds():
        for instance in seed["instances"]:
            for block in re.findall(r"```python\n(.*?)```", instance["output"], re.DOTALL):
                ast.parse(block)
                blocks += 1
            if instance["output"].startswith(("{", "[{")):
                json.loads(instance["output"])
                found += 1
    assert blocks >= 14
    assert found >= 4


def test_sums_in_answers_hold() -> None:
    texts = {
        f"{seed['id']} {place}": instance["output"]
        for seed in seeds()
        for place, instance in enumerate(seed["instances"])
    }
    assert [(name, wrong) for name, text in texts.items() if (wrong := wrong_sums(text))] == []
    assert sum(len(SUM.findall(text)) for text in texts.values()) >= 30


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("72,000 ÷ 4 = 18,000원", []), ("2 + 3 × 4 = 20", ["2 + 3 × 4 = 20"]), ("540 / 1.15 = 469.57", []),
        ("52,000 − 18,000 = 35,000", ["52,000 − 18,000 = 35,000"]), ("7 / 2 = 3", ["7 / 2 = 3"]),
        ("5/6 + 3/4 = 10/12 + 9/12 = 19/12 = 1 7/12", []), ("3/8 × 2/7 = 6/56 = 1/9", ["3/8 × 2/7 = 6/56 = 1/9"]),
        ("4x + 6 = 3x + 18", []), ("3 × (7 − 2) = 15", []), ("5 / 3 = 1.66", ["5 / 3 = 1.66"]),
    ],
)  # fmt: skip
def test_wrong_sum_is_seen(text: str, wrong: list[str]) -> None:
    assert wrong_sums(text) == wrong


def test_product_reads_them_all() -> None:
    read = read_seeds(str(SAMPLE / "seeds.jsonl"))
    assert [seed.id for seed in read] == [seed["id"] for seed in seeds()]
    assert sum(seed.is_classification for seed in read) == 50


# The user-oriented instructions in Korean


def test_user_oriented_instructions_are_252_in_korean() -> None:
    rows = rows_at(USER_ORIENTED)
    assert [row["id"] for row in rows] == [f"user_oriented_task_{number}" for number in range(252)]
    assert all(list(row) == ["id", "instruction", "input"] for row in rows)
    assert all(WRITTEN_IN["ko"].search(row["instruction"]) for row in rows)
    assert sum(bool(row["input"]) for row in rows) == 208


def test_default_filters_let_korean_instructions_in() -> None:
    """The published rules reject 95.6 % of such instructions; at most 3 % may fall here, seeds and these together."""
    own = [seed["instruction"] for seed in seeds() if seed["language"] == "ko"]
    asked = own + [row["instruction"] for row in rows_at(USER_ORIENTED)]
    fallen = [text for text in asked if instruction_fault(text, "ko")]
    assert len(asked) == 427
    assert len(fallen) <= 0.03 * len(asked), fallen
