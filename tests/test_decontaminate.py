"""decontaminate: held-out texts are found in Korean and English, also edited; shared task wordings are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import SourceError
from datakit.kernels.folding import fold, fold_text
from datakit.kernels.passages import find_passages, passages_of, sieve_of
from datakit.kernels.shingles import unit_table
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stage import Env
from datakit.stages.decontaminate import Decontaminate
from datakit.stages.decontaminate.held_out import HeldOut
from datakit.stages.decontaminate.stage import best_matches, list_passages

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
    told = {drop["id"]: drop["matched"].partition("#")[2] for drop in found.drops.to_pylist()}
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


def example(*turns: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text, "weight": None} for n, text in enumerate(turns)]}


def test_examples_are_compared_message_by_message(held_out: Path) -> None:
    half = len(KOREAN) // 2
    rows = [
        example(KOREAN, "네"),
        example("이 글을 이어 쓰세요.", KOREAN),
        example("안녕?", "네"),
        example(ENGLISH, KOREAN),
    ]
    found = apply(Decontaminate(against=str(held_out)), rows, kind="example")
    assert [drop["matched"] for drop in found.drops.to_pylist()] == ["held.jsonl#ko", "held.jsonl#ko", "held.jsonl#en"]
    split = [example(KOREAN[: half // 2], "네", KOREAN[half // 2 : half], "네", KOREAN[half:], "네")]
    strict = Decontaminate(against=str(held_out), overlap=0.9)
    assert apply(strict, split, kind="example").drops.num_rows == 0, "no message alone holds enough of it"
    assert apply(strict, [example(KOREAN, "네")], kind="example").drops.num_rows == 1


def test_preferred_and_rejected_answers_are_compared_too(held_out: Path) -> None:
    row = example("이 글을 이어 쓰세요.", "네")
    row["rejected"] = [{"role": "assistant", "content": ENGLISH, "weight": None}]
    found = apply(Decontaminate(against=str(held_out)), [row, example("안녕?", "네")], kind="example")
    assert [drop["matched"] for drop in found.drops.to_pylist()] == ["held.jsonl#en"]


def test_drop_tells_share_threshold_set_and_item(held_out: Path) -> None:
    half = " ".join(ENGLISH.split()[:22])
    (drop,) = apply(Decontaminate(against=str(held_out)), [{"id": "r", "text": half}]).drops.to_pylist()
    assert (drop["rule"], drop["threshold"], drop["matched"]) == ("contaminated", "0.2", "held.jsonl#en")
    words = len(ENGLISH.split())
    assert float(drop["value"]) == pytest.approx((22 - 7) / (words - 7), abs=1e-5)


TEMPLATE_KO = (
    "다음 지문을 차분히 읽고 물음에 알맞은 답을 보기에서 하나만 골라 "
    "그 번호를 쓰고 고른 까닭을 두 문장으로 설명하시오. "
)
TEMPLATE_EN = (
    "Read the following passage with care, choose the one option that answers the question best, write down its "
    "letter, and explain your choice in two sentences. "
)
TOPICS_KO = ["봄비", "지하철", "도서관", "김장", "등산", "바둑", "우체국", "시장", "해녀", "한옥", "장마", "축구"]
TOPICS_EN = [
    "rain",
    "trains",
    "books",
    "pickles",
    "hills",
    "chess",
    "mail",
    "markets",
    "divers",
    "roofs",
    "storms",
    "goals",
]


def test_template_that_a_whole_set_shares_never_counts_but_an_item_does(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    items = [
        f"{TEMPLATE_KO}{topic}에 얽힌 옛이야기를 떠올리며 걷던 소년은 {topic} 앞에서 걸음을 멈추었다."
        for topic in TOPICS_KO
    ]
    items += [
        f"{TEMPLATE_EN}An old tale about {topic} came to her mind as {topic} passed by her window."
        for topic in TOPICS_EN
    ]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in items), encoding="utf-8")
    strangers = [
        TEMPLATE_KO + "물은 섭씨 백 도에서 끓고 영 도에서 언다는 사실을 실험으로 확인하였다.",
        TEMPLATE_EN + "Water boils at one hundred degrees and freezes at zero, as we saw in class.",
    ]
    assert verdicts(Decontaminate(against=str(path)), *strangers, items[3], items[15]) == [
        None,
        None,
        "line 4",
        "line 16",
    ]
    # The planted breach: with the template counted, the strangers go too.
    assert None not in verdicts(Decontaminate(against=str(path), common=1000), *strangers)


PARTICLES = {"에는": "엔", "를": "은", "이": "가", "을": "도", "에": "에서"}


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 6, 9]))
def test_planted_korean_item_is_found_with_other_spacing_and_particles(chance: Any, every: int) -> None:
    """Any spacing; and in one word of six or more another particle."""
    words = KOREAN.split()
    for place in range(3, len(words), every or len(words)):
        for old, new in PARTICLES.items():
            if words[place].endswith(old):
                words[place] = words[place][: -len(old)] + new
                break
    planted = "".join(word + chance.choice([" ", "", "\n", "  "]) for word in words)
    listed = list_passages([HeldOut("s", "ko", KOREAN)], 8, 13, 10)
    best, compared = best_matches(pa.array(["앞말 " + planted + " 뒷말"], pa.large_string()), listed, 8, 13, 0.2)
    assert best[0][0] == 0
    assert compared.tolist() == [True]


def test_several_sets_of_every_kind_are_read_and_named(tmp_path: Path) -> None:
    texts = {
        "a.jsonl": "첫째 모음에 든 이 글은 빗물 통과 텃밭에 관한 이야기로 다른 글과 겹치지 않는다.",
        "b.json": "둘째 모음의 글에서는 눈 덮인 산길을 걷던 우체부가 편지 한 통을 잃어버린다.",
        "c.csv": "셋째 모음에는 항구에서 그물을 깁는 노인과 손녀의 대화가 실려 있어 정답이 길다.",
        "d.tsv": "The fourth list holds a story of two sisters who repair bicycles in a small harbour town.",
        "e.parquet": "The fifth list tells how a beekeeper counted swarms during the long wet summer of that year.",
        "f.txt": "여섯째 모음은 줄글이며 한 줄에 문항이 하나씩 들어 있고 번호는 줄 번호로 센다고 한다.",
    }
    for name, text in texts.items():
        path, row = tmp_path / name, {"id": f"id-{name[0]}", "question": text, "answer": "가"}
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist([row]), path)
        elif name.endswith(".txt"):
            path.write_text(f"\n{text}\n", encoding="utf-8")
        elif name.endswith((".csv", ".tsv")):
            mark = "," if name.endswith("csv") else "\t"
            lines = f"id{mark}question{mark}answer\n{row['id']}{mark}{text}{mark}가\n"
            path.write_bytes(lines.encode("cp949" if mark == "," else "utf-8-sig"))
        else:
            path.write_text(json.dumps(row if name.endswith("jsonl") else [row], ensure_ascii=False), encoding="utf-8")
    stage = Decontaminate(against=tuple(str(tmp_path / name) for name in texts), columns=("question", "answer"))
    found = apply(stage, [{"id": name, "text": f"앞. {text} 뒤."} for name, text in texts.items()])
    told = {drop["id"]: drop["matched"] for drop in found.drops.to_pylist()}
    assert told == {name: f"{name}#id-{name[0]}" for name in texts if name != "f.txt"} | {"f.txt": "f.txt#line 2"}


def test_fields_of_an_item_are_compared_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    choices = ["빗물 통은 학교 뒤뜰의 드럼통 두 개를 이어 만든 것이다", "짧다"]
    path.write_text(json.dumps({"id": 7, "question": ENGLISH * 3, "choices": choices}), encoding="utf-8")
    stage = Decontaminate(against=str(path), columns=("question", "choices"))
    assert verdicts(stage, choices[0], choices[1]) == ["7", None]


def test_sets_of_one_name_are_a_problem_and_names_are_part_of_the_key(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test.jsonl").write_text(json.dumps({"text": ENGLISH}))
    (tmp_path / "other.jsonl").write_text(json.dumps({"text": ENGLISH}))
    both = Decontaminate(against=(str(tmp_path / "x/test.jsonl"), str(tmp_path / "y/test.jsonl")))
    assert ["called test.jsonl" in problem.message for problem in both.problems()] == [True]
    one, moved, renamed = (
        Decontaminate(against=str(tmp_path / name)) for name in ("x/test.jsonl", "y/test.jsonl", "other.jsonl")
    )
    assert one.identity() == moved.identity() != renamed.identity()


def test_rows_that_are_all_too_short_are_told_and_counted(held_out: Path) -> None:
    told: list[str] = []
    work = Decontaminate(against=str(held_out)).open(Env(tell=told.append))
    batch = table_from_rows([{"id": "a", "text": "짧다"}, {"id": "b", "text": ""}], "document").to_batches()[0]
    assert work(batch).counters == {"too_short": 2}
    assert ["nothing was compared" in line for line in told] == [True]
    longer = table_from_rows([{"id": "a", "text": "글" * 13}, {"id": "b", "text": ""}], "document").to_batches()[0]
    assert work(longer).counters == {"too_short": 1, "compared": 1}
    assert len(told) == 1


def test_sample_list_finds_each_of_its_texts() -> None:
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    assert verdicts(Decontaminate(against=str(SAMPLE)), *(row["text"] for row in rows)) == [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("lines", "words"),
    [("", "holds no texts"), ('{"id": 1, "text": "짧은 글"}\n', "1 of 1 held-out texts in held.jsonl have no passage")],
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
    assert verdicts(Decontaminate(against=str(path), columns="question"), ENGLISH) == ["line 2"]


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
    rows, places, counts = find_passages(
        *fold(pa.array(texts, pa.large_string())), unit_table("script"), words, syllables, listed, sieve_of(listed)
    )
    assert counts.tolist() == [len(one) for one in passages]
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
