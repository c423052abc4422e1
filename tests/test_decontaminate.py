"""decontaminate: held-out texts are found in Korean and English, also edited; shared task wordings are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import SourceError
from datakit.kernels.folding import fold, fold_text
from datakit.kernels.passages import find_passages, passages_of, sieve_of
from datakit.kernels.shingles import unit_table
from datakit.runner import apply
from datakit.stage import Env
from datakit.stages.decontaminate import Decontaminate

SAMPLE = Path(__file__).parents[1] / "sample_data" / "decontamination.jsonl"
KOREAN = (
    "글의 내용을 한 문장으로 줄여 쓰세요.\n\n우리 학교 뒤뜰에는 드럼통 두 개를 이어 만든 빗물 통이 있다. "
    "비가 오면 지붕에서 내려온 물이 고이고 당번이 그 물을 텃밭에 준다."
)
ENGLISH = (
    "Sum up the passage in one sentence.\n\nWhen the roof of the music room leaked in February, our orchestra lost "
    "eleven instruments in a single week, and the parents' council organised a sale of marmalade to replace them."
)


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    path = tmp_path / "held.jsonl"
    rows = [{"id": "ko", "text": KOREAN}, {"id": "en", "text": ENGLISH}]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def verdicts(stage: Decontaminate, *texts: str) -> list[str | None]:
    found = apply(stage, [{"id": f"r{place}", "text": text} for place, text in enumerate(texts)])
    told = {drop["id"]: drop["value"] for drop in found.drops.to_pylist()}
    assert set(found.drops.column("rule").to_pylist()) <= {"contaminated"}
    return [told.get(f"r{place}") for place in range(len(texts))]


def test_copies_whole_embedded_and_reformatted_are_dropped_with_the_held_out_id(held_out: Path) -> None:
    stage = Decontaminate(against=str(held_out))
    around = "어제 이런 문제를 풀었다. {} 답은 모르겠다."
    texts = (
        KOREAN,
        around.format(KOREAN.replace(" ", "")),
        ENGLISH.upper().replace(",", ";"),
        f"Before. {ENGLISH} After.",
    )
    assert verdicts(stage, *texts) == ["ko", "ko", "en", "en"]


def test_task_wordings_and_unrelated_texts_stay(held_out: Path) -> None:
    stage = Decontaminate(against=str(held_out))
    korean = "글의 내용을 한 문장으로 줄여 쓰세요.\n\n봄이 오면 논에 물을 대고 모를 심는다. 가을에 거둔다."
    english = "Sum up the passage in one sentence.\n\nThe ferry leaves at nine and comes back before dark."
    assert verdicts(stage, korean, english, "", "짧다") == [None] * 4


def test_overlap_zero_drops_for_a_single_passage(held_out: Path) -> None:
    korean = "글의 내용을 한 문장으로 줄여 쓰세요. 봄이 오면 논에 물을 대고 모를 심는다."
    quote = "She wrote that the roof of the music room leaked in February, as roofs do."
    assert verdicts(Decontaminate(against=str(held_out), overlap=0), korean, quote) == ["ko", "en"]
    assert verdicts(Decontaminate(against=str(held_out)), korean, quote) == [None, None]


def test_lightly_edited_copies_are_dropped(held_out: Path) -> None:
    def edited(text: str) -> str:
        return " ".join("바뀜" if place % 12 == 5 else word for place, word in enumerate(text.split()))

    assert verdicts(Decontaminate(against=str(held_out)), edited(KOREAN), edited(ENGLISH)) == ["ko", "en"]


def test_examples_are_looked_at_whole(held_out: Path) -> None:
    turns = [
        {"role": "user", "content": KOREAN, "weight": None},
        {"role": "assistant", "content": "네", "weight": None},
    ]
    found = apply(Decontaminate(against=str(held_out)), [{"id": "e", "messages": turns}], kind="example")
    assert found.stats.dropped == 1


def test_sample_list_finds_each_of_its_texts() -> None:
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    assert verdicts(Decontaminate(against=str(SAMPLE)), *(row["text"] for row in rows)) == [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("lines", "words"),
    [("", "holds no texts"), ('{"id": 1, "text": "짧은 글"}\n', "1 of 1 held-out texts are shorter")],
)
def test_list_that_can_find_nothing_is_told(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "held.jsonl"
    path.write_text(lines, encoding="utf-8")
    told: list[str] = []
    Decontaminate(against=str(path)).open(Env(tell=told.append))
    assert len(told) == 1
    assert words in told[0]
    assert "짧은 글" not in told[0]


@pytest.mark.parametrize("line", ['{"id": "x", "te', '{"id": "x", "body": "secret"}', '["secret"]', '{"text": 5}'])
def test_broken_list_is_refused_with_its_line_and_without_its_text(tmp_path: Path, line: str) -> None:
    path = tmp_path / "held.jsonl"
    path.write_text(f'{{"text": "ok"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        Decontaminate(against=str(path)).open(Env())
    assert caught.value.where.endswith(":2")
    assert "secret" not in str(caught.value.lines())


def test_rows_without_an_id_are_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "held.jsonl"
    path.write_text("\n" + json.dumps({"question": ENGLISH}) + "\n", encoding="utf-8")
    assert verdicts(Decontaminate(against=str(path), column="question"), ENGLISH) == ["line 2"]


def test_missing_list_is_a_problem_found_before_the_run() -> None:
    assert [problem.path for problem in Decontaminate(against="nowhere.jsonl").problems()] == ["against"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("가나다 ab1 \n中.𠀀"), max_size=80), max_size=5),
    st.integers(2, 4),
    st.integers(2, 5),
)
def test_find_passages_any_texts_equal_the_plain_reference(texts: list[str], words: int, syllables: int) -> None:
    passages = [passages_of(fold_text(text), words, syllables) for text in texts]
    listed = np.unique(np.array([hashed for one in passages[::2] for hashed in one], np.uint64))
    rows, places = find_passages(
        *fold(pa.array(texts, pa.large_string())), unit_table("script"), words, syllables, listed, sieve_of(listed)
    )
    found: list[list[Any]] = [[] for _ in texts]
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        found[row].append(int(listed[place]))
    known = set(listed.tolist())
    assert found == [[hashed for hashed in one if hashed in known] for one in passages]


def test_passages_lengths_follow_words_and_syllables() -> None:
    assert len(passages_of("a b c d e f g h", 8, 13)) == 1
    assert len(passages_of("a b c d e f g", 8, 13)) == 0
    assert len(passages_of("가나다라마바사아자차카타파하", 8, 13)) == 2
    assert len(passages_of("가나다라마바사 a b c d", 8, 13)) == 1
