# ruff: noqa: E501
"""`decisions: published` decides as the published code does; `mended` does not have its flaws.

The rules are written down here a second time, from reading the published code, and recorded teacher output goes through
both. Every flaw that research found has a test: the published rule has it, the mended one has not.
"""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.runner import apply
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written, blocks, instance, numbered
from datakit.stages.synthesize.published import (
    FORBIDDEN,
    FORBIDDEN_ALPACA,
    heuristic_fault,
    instances_of,
    listed,
    tasks_of,
)
from tests.recipes import made, recipe, recorded

SEEDS = str(Path(__file__).parents[1] / "sample_data" / "seeds.jsonl")

# The published rules, a second time


def second_words(alpaca: bool) -> list[str]:
    words = "image,images,graph,graphs,picture,pictures,file,files,map,maps,draw,plot,go to"
    return f"{words},video,audio,music,flowchart,diagram".split(",") if alpaca else words.split(",")


def second_lets_in(text: str, alpaca: bool) -> bool:
    count = len(text.split())
    if count <= 3 or count > 150:
        return False
    for word in second_words(alpaca):
        if re.search(r"\b(" + word + r")\b", text, flags=re.I) is not None:
            return False
    if text.startswith("Write a program") or text[0] in string.punctuation:
        return False
    return ord(text[0]) < 128


def second_rouge(a: str, b: str) -> float:
    one, other = ([w for w in re.sub(r"[^a-z0-9]+", " ", t.lower()).split(" ") if w] for t in (a, b))
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, x in enumerate(one, 1):
        for j, y in enumerate(other, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if x == y else max(table[i - 1][j], table[i][j - 1])
    if not one or not other:
        return 0.0
    precision, recall = table[-1][-1] / len(other), table[-1][-1] / len(one)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def second_is_new(text: str, pool: list[str]) -> bool:
    return not any(second_rouge(earlier, text) > 0.7 for earlier in pool)


def second_instructions(text: str, finish: str) -> list[str]:
    if finish == "length":
        return []
    pieces = re.split(r"\n\d+\s?\. ", text)
    cleaned = [re.sub(r"\s+", " ", piece).strip().capitalize() for piece in pieces]
    return [one for one in cleaned if one and second_lets_in(one, alpaca=False)]


def second_tasks(text: str, finish: str, shown: int) -> list[tuple[str, str, str]]:
    found = []
    chunks = re.split("###", f"{shown + 1}. Instruction:" + text)
    for place in range(len(chunks)):
        if finish == "length" and place == len(chunks) - 1:
            break
        parts = re.split(f"{place + shown + 1}" + r"\.\s+(Instruction|Input|Output):", chunks[place])
        if len(parts) == 7:
            asked, given_text, output = parts[2].strip(), parts[4].strip(), parts[6].strip()
            if second_lets_in(asked, alpaca=True):
                found.append((asked, "" if given_text.lower() == "<noinput>" else given_text, output))
    return found


def second_pair(text: str) -> tuple[str, str]:
    label = r"Output\s*\d*\s*:"
    before, output = "", text.strip()
    if re.search(label, text):
        parts = re.split(label, text)
        before, output = parts[0].strip(), parts[1].strip()
    if re.search(r"Input\s*\d*\s*:", output):
        output = re.split(r"Input\s*\d*\s*:", output)[0].strip()
    return re.sub(r"^Input\s*\d*\s*:", "", before).strip(), output


def second_instances(text: str, finish: str, classification: bool) -> set[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    if classification:
        if "Class label:" not in text:
            return set()
        for piece in text.split("Class label:")[1:]:
            lines = piece.strip().split("\n", 1)
            pairs.append((lines[1].strip() if len(lines) == 2 else "", lines[0].strip()))
    else:
        text = text.strip()
        if re.search(r"Example\s?\d*\.?", text):
            pairs = [second_pair(p.strip()) for p in re.split(r"Example\s?\d*\.?", text) if p.strip()]
        elif re.search(r"Output\s*\d*\s*:", text):
            pairs = [second_pair(text)]
        else:
            return set()
    if finish == "length":
        pairs = pairs[:-1]
    kept = [(i, o) for i, o in pairs if i != o and o != "" and not i.endswith(":") and not o.endswith(":")]
    for place, (one, output) in enumerate(kept):
        for other, earlier in kept[:place]:
            if one != "" and one == other and output != earlier:
                return set()
    return set(kept)


# Recorded teacher output, with everything that goes wrong in it

LISTS = [
    (
        " Explain NASA's budget to a child in simple words.\n10. Draw a map of the town.\n11. Hi there you.\n12.Missing blank after the number here\n13 . Name three uses of a paper clip at home.\n14. Write a program that sorts names by length.",
        "stop",
    ),
    (" Give a synonym for each of these ten words.\n10. Rewrite the sentence in the passive voice please.", "length"),
    (
        ' "Quoted start" of a task with many words.\n10. 한국어로 쓴 과제는 모두 버려진다 정말로\n11. Map each name to a number between one and ten.\n12. Go to the store and list what you buy.\n13.  Explain   the\n   weather   to a cat in ten words:',
        "stop",
    ),
    ("", "stop"),
    (
        " Name three uses of a paper clip at home today.\n10. Name three uses for a paper clip in your office.\n11. Compare a bicycle with a tram for a short trip.",
        "stop",
    ),
]
TASKS = [
    (
        " Name a fruit that grows in winter.\n4. Input:\n<noinput>\n4. Output:\nOrange\n###\n5. Instruction: Turn the sentence into a question please.\n5. Input:\nIt rains.\n5. Output:\nDoes it rain?\n###\n6. Instruction: Write a heading.\n6. Input:\n<NoInput>\n6. Output:\n### Rain\n###\n",
        "stop",
    ),
    (
        " Suggest some music for a long train ride.\n4. Input:\n<noinput>\n4. Output:\nJazz\n###\n7. Instruction: Wrong number drops this block entirely.\n7. Input:\nx\n7. Output:\ny\n###\n6. Instruction: Say in one word how the writer feels.\n6. Input:\nI lost my keys.\n6. Output:\n\n###\n7. Instruction: Count the vowels in the word below now.\n7. Input:\nbanana",
        "length",
    ),
    (
        " Give two tips for sleeping well at night.\n4. Input: none\n4. Output: Dark room, no phone.\n###\n5. Instruction: Give two tips for sleeping well at night.\n5. Input: <noinput>\n5. Output: 15. Instruction: leaked",
        "stop",
    ),
]
INSTANCES = [
    ("Example 1\nInput: heavy\nOutput: light\nExample 2\nInput: early\nOutput: late\n", "stop", False),
    ("Example 1\nInput: heavy\nOutput: light\nExample 2\nInput: heavy\nOutput: soft", "stop", False),
    ("Input: a\nOutput: b\nInput: c\nOutput: d", "stop", False),
    ("Output: only this", "stop", False),
    ("No labels at all", "stop", False),
    ("Output:", "stop", False),
    ("Example 1.\nOutput 1: one\n\nExample 2.\nOutput 2: two", "length", False),
    ("Input: x\nOutput: x", "stop", False),
    ("Output: The list is as follows:", "stop", False),
    ("For Example take this. Output: odd", "stop", False),
    ("Class label: urgent\nWater is coming in.\nClass label: routine\nLunch at noon.", "stop", True),
    ("Class label: urgent", "stop", True),
    ("urgent\nWater", "stop", True),
    ("Class label: a\nx\nClass label: b\nx", "stop", True),
    ("Class label: a\nx\nClass label: b\ny", "length", True),
    ("Class label:\nx", "stop", True),
]


@pytest.mark.parametrize(("text", "finish"), LISTS)
def test_instruction_decisions_equal_the_published_ones(text: str, finish: str) -> None:
    mine = [one for one in listed(text, finish == "length") if heuristic_fault(one, FORBIDDEN) is None]
    assert mine == second_instructions(text, finish)


@pytest.mark.parametrize(("text", "finish"), TASKS)
def test_task_decisions_equal_the_published_ones(text: str, finish: str) -> None:
    mine = [
        (one.instruction, one.input, one.output)
        for one in tasks_of(text, finish == "length", 3)
        if heuristic_fault(one.instruction, FORBIDDEN_ALPACA) is None
    ]
    assert mine == second_tasks(text, finish, 3)


@pytest.mark.parametrize(("text", "finish", "classification"), INSTANCES)
def test_instance_decisions_equal_the_published_ones(text: str, finish: str, classification: bool) -> None:
    assert set(instances_of(text, finish == "length", classification)) == second_instances(text, finish, classification)


PIECES = st.lists(
    st.sampled_from(
        ["Output:", "Input:", "Example 1", "Example", "Class label:", "\n", " a", " b", ":", "Output 2 :", "\n4. ", "###",
         "4. Instruction:", "4. Input:", "4. Output:", "5. Instruction:", "map", " Name the colours of it", "가", "\n10 . "]
    ),
    max_size=14,
)  # fmt: skip


@given(PIECES, st.sampled_from(["stop", "length"]), st.booleans())
def test_decisions_equal_on_any_reply(pieces: list[str], finish: str, classification: bool) -> None:
    text, cut = "".join(pieces), finish == "length"
    assert [one for one in listed(text, cut) if heuristic_fault(one, FORBIDDEN) is None] == second_instructions(
        text, finish
    )
    mine = [
        (one.instruction, one.input, one.output)
        for one in tasks_of(text, cut, 3)
        if heuristic_fault(one.instruction, FORBIDDEN_ALPACA) is None
    ]
    assert mine == second_tasks(text, finish, 3)
    assert set(instances_of(text, cut, classification)) == second_instances(text, finish, classification)


@given(st.lists(st.text("ab 1가.", max_size=16), max_size=5), st.text("ab 1가.", max_size=16))
def test_novelty_equals_the_published_one(earlier: list[str], text: str) -> None:
    pool = Pool(0.7, published=True)
    for place, one in enumerate(earlier):
        pool.add(one, str(place))
    assert (pool.nearest(text) is None) == second_is_new(text, earlier)


def test_novelty_equals_the_published_one_at_every_tie() -> None:
    """F is exactly 0.7 for L = 7k of 10k tokens on average; three roundings decide, one way or the other."""
    decided = set()
    for one in range(1, 60):
        for other in range(one, 60):
            if 7 * (one + other) % 20:
                continue
            common = 7 * (one + other) // 20
            if common > one:
                continue
            a = " ".join(f"a{n}" for n in range(one))
            b = " ".join([f"a{n}" for n in range(common)] + [f"b{n}" for n in range(other - common)])
            pool = Pool(0.7, published=True)
            pool.add(a, "a")
            assert (pool.nearest(b) is None) == second_is_new(b, [a])
            decided.add(pool.nearest(b) is None)
    assert decided == {True, False}


# The whole recipe against the rules


def replayed(tmp_path: Path) -> str:
    lines: list[dict[str, Any]] = [
        {"purpose": "published_instructions", "text": text, "finish_reason": finish} for text, finish in LISTS
    ]
    lines += [
        {"purpose": "classify", "when": "urgent or routine", "text": "Yes"},
        {"purpose": "classify", "default": True, "text": "No"},
        {"purpose": "published_instance", "default": True, "text": INSTANCES[0][0]},
        {"purpose": "published_labels", "default": True, "text": INSTANCES[10][0]},
    ]
    lines += [{"purpose": "published_tasks", "text": text, "finish_reason": finish} for text, finish in TASKS]
    return recorded(tmp_path, *lines)


def seed_instructions() -> list[str]:
    rows = [json.loads(line) for line in Path(SEEDS).read_text(encoding="utf-8").splitlines() if line]
    return [row["instruction"] for row in rows if row["language"] == "en"]


def test_self_instruct_lets_in_what_the_published_rules_let_in(tmp_path: Path) -> None:
    stage = recipe("self_instruct", replayed(tmp_path), seeds=SEEDS, language="en", decisions="published", window=5)
    rows = made(apply(stage, [], kind="example"))
    pool, wanted = seed_instructions(), []
    for text, finish in LISTS:
        for one in second_instructions(text, finish):
            if second_is_new(one, pool):
                pool.append(one)
                wanted.append(one)
    assert list(dict.fromkeys(row["synthesize.instruction"] for row in rows)) == wanted
    assert len(rows) == 2 * len(wanted), "each task has the two instances of its reply"
    assert {row["synthesize.prompt"].split("@")[0] for row in rows} == {"published_instructions.en"}


def test_alpaca_lets_in_what_the_published_rules_let_in(tmp_path: Path) -> None:
    stage = recipe("alpaca", replayed(tmp_path), seeds=SEEDS, language="en", decisions="published", window=3)
    rows = made(apply(stage, [], kind="example"))
    pool, wanted = seed_instructions(), []
    for text, finish in TASKS:
        for task in second_tasks(text, finish, 3):
            if second_is_new(task[0], pool):
                pool.append(task[0])
                wanted.append(task)
    assert [
        (row["synthesize.instruction"], row["synthesize.input"], row["messages"][1]["content"]) for row in rows
    ] == wanted


def test_published_decisions_and_korean_are_refused(tmp_path: Path) -> None:
    stage = recipe("alpaca", replayed(tmp_path), seeds=SEEDS, decisions="published")
    [problem] = stage.problems()
    assert (problem.path, problem.fix) == ("decisions", "set `language: en`, or leave `decisions: mended`")


# The flaws, one by one: the published rule has it, the mended one has not

KOREAN = "냉장고에 남은 두부로 만들 수 있는 반찬을 알려 주세요."


def test_f1_korean_is_refused_as_published_and_let_in_mended() -> None:
    assert heuristic_fault(KOREAN, FORBIDDEN) == "not_ascii"
    assert instruction_fault(KOREAN, "ko") is None


def test_f2_equal_korean_sentences_are_new_as_published_and_a_repeat_mended() -> None:
    published, mended = Pool(0.7, published=True), Pool(0.7)
    for pool in (published, mended):
        pool.add(KOREAN, "a")
    assert published.nearest(KOREAN) is None
    assert mended.nearest(KOREAN) is not None


def test_f3_capitals_are_lowered_as_published_and_left_mended() -> None:
    reply = "9. Explain why NASA uses Python."
    assert listed("\n" + reply, False)[-1] == "Explain why nasa uses python."
    assert numbered(reply, False) == ["Explain why NASA uses Python."]


def test_f4_stop_strings_are_sent_as_published_only(tmp_path: Path) -> None:
    from tests.fakes.openai_server import Answer, openai_server

    for decisions, wanted in (("published", ["\n\n", "\n16", "16.", "16 ."]), ("mended", None)):
        with openai_server(lambda number, body: Answer(text="")) as server:
            teacher: Any = {"base_url": server.url, "model": "m"}
            stage = recipe("self_instruct", teacher, seeds=SEEDS, language="en", decisions=decisions, window=1, rows=1)
            apply(stage, [], kind="example", cache=tmp_path / decisions)
            assert server.bodies[0].get("stop") == wanted


def test_f5_f6_numbers_and_hashes_decide_as_published_and_not_mended() -> None:
    reply = " Name a tree that you can climb.\n4. Input:\n<noinput>\n4. Output:\n### Oak\n\n9. Instruction: Name a bird that swims well.\n9. Input:\n<noinput>\n9. Output:\nDuck"
    assert [task.output for task in tasks_of(reply, False, 3)] == [""], (
        "the heading ends the block, the 9 loses the next"
    )
    assert [task.output for task in blocks(reply, False)] == ["### Oak", "Duck"]


@pytest.mark.parametrize("output", ["", "N/A", "A list.\n18. Instruction: Next one"])
def test_f7_empty_and_leaked_answers_are_taken_as_published_and_refused_mended(output: str) -> None:
    reply = f" Name a tree that you can climb.\n4. Input:\nNo input\n4. Output:\n{output}"
    [task] = tasks_of(reply, False, 3)
    assert (task.input, task.output) == ("No input", output)
    [mended] = blocks(reply, False)[:1]
    assert mended.input == ""
    assert instance_fault(Written(task.instruction, "", output), "en") is not None


def test_cut_reply_is_thrown_away_as_published_and_loses_its_last_entry_mended() -> None:
    reply = "9. One task that is long enough.\n10. Another task that is cut o"
    assert listed(reply, True) == []
    assert numbered(reply, True) == ["One task that is long enough."]
    assert instance("Input: a\nOutput: b", "q", True).output == ""
