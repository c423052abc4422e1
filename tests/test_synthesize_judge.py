# ruff: noqa: E501
"""Judging: scores drop by rule, a comparison counts only if both orders agree, the source text is in view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stages.synthesize.judging import Verdict, _agreed, read_score
from datakit.teachers import Reply
from tests.fakes.openai_server import Answer, openai_server
from tests.recipes import dropped, example, judge, made, on_examples, recipe, recorded, refused

GOOD, BAD = "서울에서 부산까지 기차로 두 시간 반쯤 걸립니다.", "몰라요. 알아서 찾아보세요."
ASKED = "서울에서 부산까지 기차로 얼마나 걸리나요?"


def score(value: Any, when: str = "", reason: str = "맞는 답입니다.") -> dict[str, Any]:
    place: dict[str, Any] = {"when": when} if when else {"default": True}
    return {"purpose": "judge", **place, "text": {"reason": reason, "score": value}}


def better(word: str, when: str = "") -> dict[str, Any]:
    place: dict[str, Any] = {"when": when} if when else {"default": True}
    return {"purpose": "compare", **place, "text": {"reason": "자세합니다.", "better": word}}


def test_rows_below_the_threshold_are_dropped_with_their_score(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, score(4.5, GOOD), score(2, BAD))
    applied = on_examples(judge(teacher), example(ASKED, GOOD, "a"), example(ASKED, BAD, "b"))
    [row] = applied.rows.to_pylist()
    assert (row["id"], row["judge.score"], row["judge.reason"]) == ("a", 4.5, "맞는 답입니다.")
    assert row["judge.teacher"].startswith("replay:")
    [drop] = applied.drops.to_pylist()
    assert (drop["id"], drop["rule"], drop["value"], drop["threshold"]) == ("b", "low_score", "2", "4")


@pytest.mark.parametrize(
    ("text", "finish", "fault"),
    [
        ("", "stop", "no_reply"), ("아주 좋은 답입니다!", "stop", "no_verdict"), ('{"reason": "x", "score": "높음"}', "stop", "no_verdict"),
        ('{"reason": "x", "score": 9}', "stop", "no_verdict"), ('{"reason": "x", "score": true}', "stop", "no_verdict"),
        ('{"reason": "x", "sco', "length", "no_verdict"),
    ],
)  # fmt: skip
def test_row_without_a_verdict_is_dropped_or_kept_as_told(tmp_path: Path, text: str, finish: str, fault: str) -> None:
    teacher = recorded(tmp_path, {"purpose": "judge", "text": text, "finish_reason": finish})
    assert dropped(on_examples(judge(teacher), example(ASKED, GOOD))) == [("e1", "unjudged", fault)]
    kept = on_examples(judge(teacher, unjudged="keep"), example(ASKED, GOOD))
    assert kept.rows.to_pylist()[0]["judge.score"] is None


@pytest.mark.parametrize(
    "text", ['{"score": 5}', '판단: ```{"reason": "좋음", "score": "5"}```', '{"reason":"a","score":5.0']
)
def test_scores_are_read_in_many_forms(text: str) -> None:
    found = read_score(Reply(text)).score
    assert found == (None if text.endswith("5.0") else 5.0)


def test_judge_sees_task_answer_source_text_and_rubric(tmp_path: Path) -> None:
    source = "서울과 부산 사이 고속열차는 2시간 30분쯤 걸린다."
    with openai_server(lambda number, body: Answer(text='{"reason": "", "score": 5}')) as server:
        stage = judge({"base_url": server.url, "model": "m", "concurrency": 1}, rubric="- 숫자가 맞는가.")  # type: ignore[arg-type]
        rows = [
            example(ASKED, GOOD, "a", **{"synthesize.source_text": source}),
            example("How long?", "Two hours.", "b", "en"),
        ]
        apply(stage, rows, kind="example", cache=tmp_path)
        korean, english = (body["messages"][-1]["content"] for body in server.bodies)
        assert {body["temperature"] for body in server.bodies} == {0.0}
    for part in (source, ASKED, GOOD, "- 숫자가 맞는가.", "채점"):
        assert part in korean
    assert "Two hours." in english
    assert "must agree with" not in english


def test_conversation_is_judged_by_its_last_answer_with_all_before_in_view(tmp_path: Path) -> None:
    turns = [("user", "첫 질문"), ("assistant", "첫 답"), ("user", "둘째 질문"), ("assistant", "둘째 답")]
    row = {"id": "t", "lang": "ko", "messages": [{"role": role, "content": text} for role, text in turns]}
    teacher = recorded(tmp_path, score(5, "첫 질문\n\n첫 답\n\n둘째 질문\n\n답:\n둘째 답"))
    assert on_examples(judge(teacher), row).rows.num_rows == 1


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("A", "B", "first"), ("B", "A", "second"), ("A", "A", "position_bias"), ("B", "B", "position_bias"), ("tie", "tie", "tie"),
        ("A", "tie", "tie"), ("tie", "B", "tie"), ("", "A", "no_verdict"), ("A", "", "no_verdict"),
    ],
)  # fmt: skip
def test_comparison_counts_only_if_both_orders_agree(one: str, other: str, verdict: Verdict) -> None:
    assert _agreed(one, other) == verdict


def preferred(tmp_path: Path, *verdicts: dict[str, Any], **settings: Any) -> Any:
    answers = [{"purpose": "answer", "text": GOOD}, {"purpose": "answer", "text": BAD}]
    return on_examples(
        recipe("preference", recorded(tmp_path, *answers, *verdicts), **settings), example(ASKED, "두 시간쯤이요.")
    )


def test_preference_row_holds_the_task_and_both_answers(tmp_path: Path) -> None:
    applied = preferred(tmp_path, better("A", f"답 A:\n{GOOD}"), better("B", f"답 A:\n{BAD}"))
    [row] = applied.rows.to_pylist()
    assert row["messages"] == [{"role": "user", "content": ASKED, "weight": None}]
    assert row["chosen"] == [{"role": "assistant", "content": GOOD, "weight": None}]
    assert row["rejected"] == [{"role": "assistant", "content": BAD, "weight": None}]
    assert row["parents"] == ["e1"]
    assert len(row["synthesize.request"].split()) == 4, "two answers and two comparisons"
    assert (applied.stats.folded, applied.stats.made) == (1, 1)


def test_judge_that_goes_by_position_gives_no_row(tmp_path: Path) -> None:
    for word in ("A", "B"):
        applied = preferred(tmp_path, better(word))
        assert dropped(applied) == [("e1", "no_row", "position_bias")]
    assert refused(preferred(tmp_path, better("tie"))) == {"tie": 1}
    assert refused(preferred(tmp_path)) == {"no_verdict": 1}


def test_own_answer_may_be_what_the_drawn_one_is_compared_with(tmp_path: Path) -> None:
    applied = preferred(
        tmp_path, better("B", f"답 B:\n{GOOD}"), better("A", f"답 A:\n{GOOD}"), against="own", keep=True
    )
    [row] = made(applied)
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == (GOOD, "두 시간쯤이요.")
    assert applied.rows.num_rows == 2


def test_equal_answers_are_not_compared(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, {"purpose": "answer", "default": True, "text": GOOD}, better("A"))
    applied = on_examples(recipe("preference", teacher), example(ASKED, GOOD))
    assert (applied.notes["requests"], refused(applied)) == (2, {"same_answer": 1})


@pytest.mark.parametrize(
    ("verdicts", "rule"),
    [
        ([better("A", f"답 A:\n{GOOD}"), better("B")], None), ([better("A")], "position_bias"), ([better("tie")], "not_preferred"),
        ([better("B", f"답 A:\n{GOOD}"), better("A")], "not_preferred"), ([], "unjudged"),
    ],
)  # fmt: skip
def test_preference_rows_are_judged_in_both_orders(
    tmp_path: Path, verdicts: list[dict[str, Any]], rule: str | None
) -> None:
    row = {
        "id": "p", "lang": "ko", "messages": [{"role": "user", "content": ASKED}],
        "chosen": [{"role": "assistant", "content": GOOD}], "rejected": [{"role": "assistant", "content": BAD}],
    }  # fmt: skip
    applied = on_examples(judge(recorded(tmp_path, *verdicts)), row)
    assert [one for _, one, _ in dropped(applied)] == ([rule] if rule else [])


def test_shards_and_windows_decide_nothing(tmp_path: Path) -> None:
    teacher = recorded(tmp_path, score(5, GOOD), score(1, BAD))
    rows = table_from_rows(
        [example(ASKED, (GOOD, BAD)[n % 2], f"e{n}", parents=[], made_with=[]) for n in range(7)], "example"
    )
    whole = apply(judge(teacher), rows)
    cut = apply(judge(teacher, window=2), [rows.slice(0, 1), rows.slice(1, 4), rows.slice(5)])
    assert cut.rows.equals(whole.rows)
    assert cut.drops.equals(whole.drops)
    assert whole.rows.num_rows == 4
