"""What stands beside the losses: prompts with rules, the base with examples in its prompt, a teacher as judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datakit.errors import ConfigError
from datakit.evaluation import evaluate, read_rows
from datakit.evaluation.shots import examples_for, with_shots
from datakit.store import Store
from tests.command_line import call
from tests.recipes import recorded
from tests.test_evaluation import rows, store  # noqa: F401 - fixtures
from tests.test_training import fit

MANY = [
    {"id": f"{language}{n}", "instruction": f"{language} 물음 {n}", "output": f"{language} 답 {n}",
     "language": language, "category": "odd" if n % 2 else "even"} for n in range(4) for language in ("ko", "en")
]  # fmt: skip


def write(path: str, lines: list[dict[str, Any]]) -> str:
    Path(path).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def test_rules_compare_base_and_adapter_by_language_and_rule(store: Store, rows: Path) -> None:  # noqa: F811
    fit(store)
    told = [
        {"id": "a", "language": "ko", "prompt": "끝", "rules": {"ends_with": "끝", "language": "ko"}},
        {"id": "b", "language": "en", "prompt": "ab.", "rules": {"ends_with": "b.", "sentences": 1}},
    ]
    found = evaluate("adapter", rows, rules=write("rules.jsonl", told))["rules"]
    assert (found["prompts"], found["rules"]) == (2, 4)
    assert (found["base_prompts"], found["adapter_prompts"]) == (0.5, 1.0)
    assert (found["base_rules"], found["adapter_rules"]) == (0.75, 1.0)
    assert (found["by_language"]["en"]["base_prompts"], found["by_language"]["ko"]["base_prompts"]) == (0.0, 1.0)
    assert found["by_rule"]["ends_with"] == {"count": 2, "base": 1, "adapter": 2}
    assert found["broken"][1] == {"id": "b", "base": ["ends_with"], "adapter": []}


def test_evaluation_is_done_again_when_rules_or_shots_change(store: Store, rows: Path) -> None:  # noqa: F811
    fit(store)
    write("rules.jsonl", [{"prompt": "끝", "rules": {"lines": 1}}])
    assert "few_shot_loss" not in evaluate("adapter", rows)
    assert evaluate("adapter", rows, rules="rules.jsonl")["rules"]["adapter_rules"] == 1.0
    write("rules.jsonl", [{"prompt": "끝", "rules": {"lines": 2}}])
    assert evaluate("adapter", rows, rules="rules.jsonl")["rules"]["adapter_rules"] == 0.0
    assert evaluate("adapter", rows, few_shot=1)["few_shot_loss"] == 2.0


def test_examples_are_other_rows_of_the_language_and_first_of_the_category(here: Path) -> None:
    held_out = read_rows(write("many.jsonl", MANY))
    for place, row in enumerate(held_out):
        found = examples_for(held_out, place, 2)
        assert row.id not in [other.id for other in found]
        assert {other.groups["language"] for other in found} == {row.groups["language"]}
        assert [other.groups["category"] == row.groups["category"] for other in found] == [True, False]
        assert len(examples_for(held_out, place, 32)) == 3


def test_no_example_gives_the_answer_away(here: Path) -> None:
    twins = [{**MANY[0], "id": "x"}, {**MANY[0], "id": "y", "instruction": "다른 물음"}, MANY[2]]
    held_out = read_rows(write("many.jsonl", [MANY[0], *twins]))
    assert [other.id for other in examples_for(held_out, 0, 4)] == ["ko1"]
    [asked] = with_shots(held_out, 0, 4)
    assert asked.content == "질문: ko 물음 1\n답: ko 답 1\n\n질문: ko 물음 0\n답:"
    assert MANY[0]["output"] not in asked.content
    assert with_shots(held_out[:1], 0, 4) == held_out[0].prompt


def test_base_with_examples_answers_beside_the_others(store: Store, here: Path) -> None:  # noqa: F811
    fit(store)
    [sample] = evaluate("adapter", write("many.jsonl", MANY), few_shot=1, samples=1, max_new_tokens=500)["samples"]
    assert sample["few_shot"][::-1].startswith("질문: ko 물음 2\n답: ko 답 2")
    assert sample["adapter"] == "ko 물음 0"


def test_judge_scores_answers_and_counts_wins_only_in_both_orders(store: Store, here: Path) -> None:  # noqa: F811
    fit(store)
    asked = [{"instruction": text, "output": "답", "language": "ko"} for text in ("가나", "다라", "마마")]
    teacher = recorded(
        here,
        {"purpose": "judge", "when": "답:\n가나", "text": {"reason": "맞음", "score": 5}},
        {"purpose": "judge", "when": "답:\n다라", "text": {"reason": "맞음", "score": 4}},
        {"purpose": "judge", "when": "답:\n나가", "text": "모르겠습니다"},
        {"purpose": "judge", "default": True, "text": {"reason": "틀림", "score": 2}},
        {"purpose": "compare", "default": True, "text": {"reason": "첫째", "better": "A"}},
    )
    found = evaluate("adapter", write("asked.jsonl", asked), samples=3, judge=teacher)["judge"]
    assert found["scores"] == {"base": 2.0, "adapter": pytest.approx(11 / 3, abs=1e-4)}
    assert found["unjudged"] == {"base": 1, "adapter": 0}
    assert found["better"] == {"adapter": 0, "base": 0, "tie": 1, "unclear": 2}
    shown = call("evaluate", "adapter", "--rows", "asked.jsonl", "--samples", 3, "--judge", teacher)
    assert "tie 1, unclear 2" in shown.out


@pytest.mark.parametrize(
    ("judge", "told"),
    [("nobody:x", "no teacher 'nobody'"), ("{modell: x}", "modell"), ("{a", "YAML"), ("openai", "which model")],
)  # fmt: skip
def test_judge_that_is_none_is_a_config_error_before_anything_runs(rows: Path, judge: str, told: str) -> None:  # noqa: F811
    with pytest.raises(ConfigError) as caught:
        evaluate("nowhere", rows, judge=judge)
    assert told in "".join(caught.value.lines())


def test_command_shows_shots_and_rules(store: Store, rows: Path) -> None:  # noqa: F811
    fit(store)
    write("rules.jsonl", [{"language": "ko", "prompt": "끝", "rules": {"lines": 1}}])
    shown = call("evaluate", "adapter", "--rows", rows, "--rules", "rules.jsonl", "--few-shot", 2)
    assert shown.code == 0, shown.err
    assert "few-shot" in shown.out
    assert "100.0%" in shown.out
    assert "few-shot" not in call("evaluate", "adapter", "--rows", rows).out
