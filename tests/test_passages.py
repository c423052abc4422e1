"""passages: what documents share is found, proved, cut at clean borders, kept once, and told."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.characters import buffers
from datakit.kernels.folding import fold_table
from datakit.kernels.passages import sieve_of
from datakit.kernels.repeats import cover, keep_regions, list_windows, mark
from datakit.kernels.repeats_reference import plain_cuts, plain_units
from datakit.kernels.segments import SNAPS, Snap, next_segment, segments_of
from datakit.kernels.shingles import unit_table
from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stages.dedup import Dedup
from datakit.stages.passages import Passages
from datakit.stages.passages.cut import without
from datakit.stages.passages.find import Cuts, Finder
from datakit.stages.passages.marks import load_marks, mark_shard
from datakit.stages.passages.settle import settle

KOREAN = (
    "본 메일은 지정된 수신인만을 위한 것이며 비밀이나 법적 보호를 받는 정보를 담고 있을 수 있습니다. "
    "잘못 받으셨다면 보낸 이에게 알리고 바로 지워 주시기 바랍니다. "
    "이 메일의 내용을 허락 없이 쓰거나 퍼뜨리거나 베끼는 일은 법으로 금지되어 있습니다."
)
ENGLISH = (
    "This message is intended only for the person it is addressed to and may hold information that is private or "
    "protected by law. If it reached you by mistake please tell the sender and delete it at once. Any use or copy of "
    "it without consent is forbidden."
)
OWN_KO = "{}번째 답입니다. 부품은 다음 주 월요일에 창고로 들어오고, 화요일 오전에 보내 드릴 수 있습니다."
OWN_EN = "Answer to question {}. The part you asked for comes in on Monday and leaves the store on Tuesday."


class Shard:
    """A shard that lies in memory."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.key, self.rows, self.source = table, "", table.num_rows, ""

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.table.select(list(columns)) if columns else self.table


class Shards:
    """A corpus of such shards."""

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        self.shards = [Shard(table) for table in tables]


def rows_of(*texts: str) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "text": text, "source": "s", "position": n} for n, text in enumerate(texts)]


def kept(stage: Passages, *texts: str) -> list[str | None]:
    """The text of every row after the stage, None where it went."""
    after = {row["id"]: row["text"] for row in apply(stage, rows_of(*texts)).rows.to_pylist()}
    return [after.get(f"r{n}") for n in range(len(texts))]


def found(tables: Sequence[pa.Table], words: int = 8, syllables: int = 8, snap: Snap = "word") -> tuple[Cuts, Any]:
    marks = load_marks(mark_shard(table, {"words": words, "syllables": syllables}) for table in tables)
    return Finder(Shards(tables), marks, words, syllables, snap).find(), marks  # type: ignore[arg-type]


def characters_cut(text: str, spans: Any) -> set[int]:
    data = text.encode()
    return {place for s, e in spans for place in range(len(data[:s].decode()), len(data[:e].decode()))}


WORDS = ["w" + c for c in "abcdefgh"]
HANGUL = ["가나", "다라", "마바", "사아자", "차카", "타파하"]
PIECES = st.lists(
    st.sampled_from([*WORDS, *HANGUL, ".", "。", "\n", ">", "🙂", "é", "中文", unicodedata.normalize("NFD", "각시")]),
    min_size=1,
    max_size=14,
).map(" ".join)


@st.composite
def corpora(draw: Any) -> list[str]:
    """Texts made of few passages, so that they share much and in many ways."""
    pool = draw(st.lists(PIECES, min_size=1, max_size=5))
    joint = st.sampled_from([" ", "\n", ". ", "\n\n", "。", ""])
    text = st.lists(st.tuples(st.sampled_from(pool), joint), max_size=5).map(lambda ps: "".join(a + b for a, b in ps))
    return draw(st.lists(text, max_size=6))


@settings(max_examples=150, deadline=None)
@given(corpora(), st.sampled_from(SNAPS))
def test_finder_any_corpus_cuts_what_the_plain_reference_cuts(texts: list[str], snap: Snap) -> None:
    cuts, _ = found([table_from_rows(rows_of(*texts), "document")], snap=snap)
    mine = [characters_cut(text, cuts.spans.get(row, [])) for row, text in enumerate(texts)]
    assert mine == plain_cuts(texts, 8, 8, snap)


@settings(max_examples=80, deadline=None)
@given(corpora(), st.sampled_from(SNAPS), st.integers(0, 6), st.randoms())
def test_finder_any_shards_in_any_order_cut_the_same(texts: list[str], snap: Snap, at: int, chance: Any) -> None:
    whole = table_from_rows(rows_of(*texts), "document")
    order = list(range(len(texts)))
    chance.shuffle(order)
    moved = whole.take(pa.array(order, pa.int64()))
    one, _ = found([whole], snap=snap)
    other, _ = found([moved.slice(at), moved.slice(0, at)], snap=snap)
    numbers = [*order[at:], *order[:at]]
    assert {row: spans.tolist() for row, spans in one.spans.items()} == {
        numbers[row]: spans.tolist() for row, spans in other.spans.items()
    }


@settings(max_examples=80, deadline=None)
@given(corpora(), st.sampled_from(SNAPS))
def test_cutting_twice_is_cutting_once(texts: list[str], snap: Snap) -> None:
    cuts, _ = found([table_from_rows(rows_of(*texts), "document")], snap=snap)
    after = [without(text, cuts.spans[row].tolist()) if row in cuts.spans else text for row, text in enumerate(texts)]
    again, _ = found([table_from_rows(rows_of(*after), "document")], snap=snap)
    assert again.spans == {}


@settings(max_examples=80, deadline=None)
@given(corpora(), st.sampled_from(SNAPS))
def test_every_letter_that_is_cut_stands_in_the_documents_named(texts: list[str], snap: Snap) -> None:
    cuts, marks = found([table_from_rows(rows_of(*texts), "document")], snap=snap)
    for row, spans in cuts.spans.items():
        cut = characters_cut(texts[row], spans)
        lost = [letters for letters, place, _ in plain_units(texts[row]) if place in cut]
        stands = []
        for source in cuts.sources[row]:
            assert source.place < marks.place_of[row]
            text = texts[marks.row_of[source.place]].encode()[source.start : source.end].decode()
            stands += [letters for letters, _, _ in plain_units(text)]
        assert sorted(lost) == sorted(stands)


@settings(max_examples=80, deadline=None)
@given(corpora(), st.sampled_from(SNAPS), st.sampled_from([0.0, 0.5, 1.5]))
def test_no_passage_vanishes_with_a_dropped_document(texts: list[str], snap: Snap, min_left: float) -> None:
    """A letter that was cut from a row stands uncut in a row that stays, or where the chain of keepers ends."""
    cuts, marks = found([table_from_rows(rows_of(*texts), "document")], snap=snap)
    settled = settle(cuts, marks.row_of, min_left)
    assert all(cuts.left[row] < min_left for row in settled.gone)
    for row, sources in cuts.sources.items():
        assert settled.keepers[row]
        assert not settled.gone.intersection(settled.keepers[row])
        for source in sources:
            keeper = int(marks.row_of[source.place])
            if keeper in settled.gone:
                needed = characters_cut(texts[keeper], [(source.start, source.end)])
                assert needed <= characters_cut(texts[keeper], cuts.spans[keeper])


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from('가a.!?。」" \n\t>🙂é') | st.characters(codec="utf-8"), max_size=40), st.sampled_from(SNAPS)
)
def test_segments_any_text_equal_the_plain_reference(text: str, snap: Snap) -> None:
    data, none = np.frombuffer(text.encode(), np.uint8), np.empty((0, 2), np.int64)
    pieces, i = [], 0
    while i < len(data):
        after = next_segment(data, i, len(data), none, SNAPS.index(snap))
        pieces.append(text.encode()[i:after].decode())
        i = after
    assert pieces == list(segments_of(text, snap))
    assert "".join(pieces) == text


def test_footers_stay_in_the_first_document_and_go_from_the_others() -> None:
    own = [
        "요청하신 부품은 다음 주 월요일에 창고로 들어오고, 화요일 오전에 보내 드릴 수 있습니다.",
        "환불은 카드사에 따라 사흘에서 닷새가 걸립니다. 처리가 끝나면 문자로 알려 드리겠습니다.",
        "The part you asked for comes in on Monday and leaves our store on Tuesday.",
        "Your refund takes three to five days, and a message tells you when it is done.",
    ]
    texts = [f"{one}\n\n{footer}" for one, footer in zip(own, (KOREAN, KOREAN, ENGLISH, ENGLISH), strict=True)]
    assert kept(Passages(), *texts) == [texts[0], own[1], texts[2], own[3]]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("spacing", KOREAN.replace("수신인만을 위한", "수신인만을위한").replace("받으셨다면", "받으셨 다면")),
        ("decomposed", unicodedata.normalize("NFD", KOREAN)),
        ("quoted", "\n".join(f"> {line}" for line in KOREAN.split(". "))),
        ("line breaks", KOREAN.replace(" ", "\n", 5)),
        ("signs", KOREAN.replace(",", "·").replace(". ", "! ")),
    ],
)
def test_korean_repeat_is_found_however_it_is_spaced_and_written(name: str, other: str) -> None:
    own = "견적서를 붙입니다. 금액은 부가세 별도이고 납기는 주문 뒤 열흘입니다. 확인 부탁드립니다."
    assert kept(Passages(), KOREAN, f"{own}\n\n{other}\n\n고맙습니다.")[1] == f"{own}\n\n고맙습니다.", name


def test_english_repeat_is_found_whatever_its_case_and_quotation_marks() -> None:
    own = "See the quote below and tell me what you think of it before noon on Friday."
    quoted = "\n".join(f"> {line}" for line in ENGLISH.upper().split(". "))
    assert kept(Passages(), ENGLISH, f"{own}\n\n{quoted}\n\nBest, Kim")[1] == f"{own}\n\nBest, Kim"


def test_passages_one_unit_too_short_stay_and_one_longer_go() -> None:
    words = [f"word{n}" for n in range(40)]
    own = "and here are some words of my own which nobody else has ever written down"
    short, exact = " ".join(words[:39]), " ".join(words)
    assert kept(Passages(snap="word"), f"first {short} x", f"{own} {short} {own}")[1] == f"{own} {short} {own}"
    assert kept(Passages(snap="word"), f"first {exact} x", f"{own} {exact} {own}")[1] == f"{own} {own}"
    syllables = "".join(chr(0xAC00 + 28 * n) for n in range(80))
    mine = "이것은 다른 누구도 쓴 적이 없는 나만의 글이며 조금 길다"
    short = f"{mine}\n{syllables[:79]}\n{mine}"
    assert kept(Passages(), f"앞 {syllables[:79]} 뒤", short)[1] == short
    assert kept(Passages(), f"앞 {syllables} 뒤", f"{mine}\n{syllables}\n{mine}")[1] == f"{mine}\n{mine}"


def test_words_with_another_particle_are_never_cut_in_two() -> None:
    own = "담당자가 직접 적은 이 글은 앞의 것과 다른 내용을 담고 있습니다."
    other = KOREAN[:-1] + "만"  # "있습니다" became "있습니다만"
    assert kept(Passages(snap="word"), KOREAN, f"{own} {other}")[1] == f"{own} 있습니다만"


def test_document_without_enough_of_its_own_goes_and_names_who_keeps_it() -> None:
    result = apply(Passages(), rows_of(OWN_EN.format(1) + "\n\n" + ENGLISH, f"Hi Kim,\n\n{ENGLISH}", ENGLISH))
    told = [
        {name: drop[name] for name in ("id", "rule", "value", "threshold", "matched")}
        for drop in result.drops.to_pylist()
    ]
    assert told == [
        {"id": "r1", "rule": "little_left", "value": "0.05", "threshold": "0.25", "matched": "r0"},
        {"id": "r2", "rule": "little_left", "value": "0", "threshold": "0.25", "matched": "r0"},
    ]
    assert result.reports[-1].stats["folded"] == 2


def test_document_that_keeps_a_passage_for_another_is_spared() -> None:
    second = "Please keep the door of the server room shut. " + " ".join(f"rule{n}" for n in range(40)) + "."
    texts = (ENGLISH, f"{ENGLISH}\n\n{second}", f"{second}\n\n{OWN_EN.format(1)} {OWN_EN.format(2)}")
    strict = Passages(min_left=5.0)
    result = apply(strict, rows_of(*texts))
    assert {row["id"]: row["passages.kept_by"] for row in result.rows.to_pylist()} == {"r0": [], "r1": ["r0"]}
    assert result.reports[-1].notes["spared"] == 1
    assert [(drop["id"], drop["matched"]) for drop in result.drops.to_pylist()] == [("r2", "r1")]


def test_what_was_cut_is_told_in_columns_counters_and_notes() -> None:
    result = apply(Passages(), rows_of(KOREAN, OWN_KO.format("둘") + "\n\n" + KOREAN, "짧은 글"))
    rows = {row["id"]: row for row in result.rows.to_pylist()}
    assert (rows["r1"]["passages.cut"], rows["r1"]["passages.kept_by"]) == (len(KOREAN) + 2, ["r0"])
    assert (rows["r2"]["passages.cut"], rows["r2"]["passages.kept_by"]) == (0, [])
    assert result.reports[-1].stats["counters"] == {"characters": len(KOREAN), "passages": 1, "rows": 1}
    assert result.reports[-1].notes["most_kept"] == [{"id": "r0", "rows": 1}]


def test_annotate_leaves_every_text_and_tells_where_the_repeat_stands() -> None:
    texts = ["🙂 " + KOREAN, "🙂 " + OWN_KO.format("둘") + "\n\n" + KOREAN, KOREAN]
    once = apply(Passages(mode="annotate"), rows_of(*texts))
    rows = once.rows.to_pylist()
    assert [row["text"] for row in rows] == texts
    (span,) = rows[1]["passages.spans"]
    assert rows[1]["text"][span["start"] : span["end"]] == KOREAN
    assert [row["passages.cut"] for row in rows] == [0, len(KOREAN), len(KOREAN)]
    assert apply(Passages(mode="annotate"), once.rows).rows.equals(once.rows)


def test_second_pass_adds_to_what_the_first_one_told() -> None:
    once = apply(Passages(), rows_of(KOREAN, OWN_KO.format("둘") + "\n\n" + KOREAN))
    twice = apply(Passages(), once.rows)
    assert twice.rows.equals(once.rows)


def test_repeats_inside_one_document_stay() -> None:
    assert kept(Passages(), f"{ENGLISH}\n\n{ENGLISH}") == [f"{ENGLISH}\n\n{ENGLISH}"]


def test_examples_are_refused_with_the_remedy() -> None:
    told = Passages().chains("example", [])
    assert told is not None
    assert "takes document rows but gets example rows" in told
    assert Dedup().chains("example", []) is None


@pytest.mark.parametrize(
    ("text", "spans", "after"),
    [
        ("One. Two.\n\nThree.", [(5, 11)], "One.\n\nThree."),
        ("One.\n\nTwo. Three.", [(6, 11)], "One.\n\nThree."),
        ("One.\n\nTwo.\n", [(6, 11)], "One.\n"),
        ("One. Two.", [(5, 9)], "One."),
        ("One. Two.", [(0, 5)], "Two."),
        ("하나. 둘.\n\n셋.", [(8, 14)], "하나.\n\n셋."),
        ("One.", [(0, 4)], ""),
    ],
)
def test_white_space_around_a_cut_keeps_the_stronger_break(text: str, spans: list[tuple[int, int]], after: str) -> None:
    assert without(text, spans) == after


def test_equal_hashes_with_other_letters_are_not_cut() -> None:
    """The planted breach: a library whose letters differ in one place while all hashes say they are the same."""
    texts = pa.array([ENGLISH, ENGLISH], pa.large_string())
    gaps, none, tables = np.zeros(3, np.int64), np.empty((0, 2), np.int64), (unit_table("script"), fold_table(), 40, 80)
    places = np.arange(2)
    anchors = np.unique(mark(*buffers(texts), gaps, none, *tables, False)[0])
    hashes, codes = list_windows(*buffers(texts), gaps, none, *tables, places, anchors, sieve_of(anchors))
    repeated, at = np.unique(hashes, return_index=True)
    known = (repeated, sieve_of(repeated), codes[at])
    library = keep_regions(*buffers(texts), gaps, none, *tables, places, *known)
    cuts, _, _ = cover(*buffers(texts), gaps, none, *tables, places, *known, library, 0)
    assert cuts[:, 0].tolist() == [1]
    library[2][:] = np.where(library[2] == ord("q"), ord("k"), library[2])
    library[2][len(library[2]) // 2] ^= 1
    cuts, _, left = cover(*buffers(texts), gaps, none, *tables, places, *known, library, 0)
    assert (len(cuts), left.tolist()) == (0, [-1, -1])


def test_marks_are_few() -> None:
    chance = random.Random(0)
    english = " ".join(f"w{chance.randrange(5000)}" for _ in range(5000))
    korean = "".join(chr(0xAC00 + chance.randrange(2000)) for _ in range(5000))
    table = table_from_rows(rows_of(english, korean), "document")
    marks = mark_shard(table, {"words": 40, "syllables": 80}).column("marks").to_pylist()
    assert 5000 / 14 < len(marks[0]) < 5000 / 8
    assert 5000 / 28 < len(marks[1]) < 5000 / 16
