"""normalize: one spelling, at rest after one pass, in Korean and English, documents and examples."""

from __future__ import annotations

import unicodedata
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.runner import apply
from datakit.schemas import table_from_rows
from datakit.stage import Env, Outcome
from datakit.stages.normalize import Normalize

KOREAN = "주문하신 상품은 내일 오후에 도착할 예정입니다. 2월 말까지 교환하실 수 있어요."
ENGLISH = "The café’s crème brûlée torch costs £180 – won’t you try it?"
CHARS = " \t\n\r\u00a0\u200b\u200d`!ㅋ가각\u1100\u1161e\u0301😀&;amplt#3<>b/íìê\u0080\u0095\u009c\u20ac*_[]()x"
TEXT = st.text(st.sampled_from(CHARS), max_size=40) | st.text(st.characters(codec="utf-8"), max_size=30)


def run(texts: list[str], **fields: Any) -> Outcome:
    rows = [{"id": f"{n}", "source_id": f"s{n}", "text": text} for n, text in enumerate(texts)]
    return Normalize(**fields).open(Env())(table_from_rows(rows, "document").to_batches()[0])


def one(text: str, **fields: Any) -> str:
    kept = run([text], **fields).kept.column("text").to_pylist()
    return kept[0] if kept else ""


@settings(max_examples=300, deadline=None)
@given(TEXT, st.sampled_from(["keep", "strip"]), st.integers(0, 4), st.integers(0, 2))
def test_normalize_twice_is_normalize_once(text: str, markup: str, repeats: int, blank_lines: int) -> None:
    fields = {"markup": markup, "repeats": repeats, "blank_lines": blank_lines}
    once = one(text, **fields)
    assert one(once, **fields) == once


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=6))
def test_normalize_of_a_text_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    kept = iter(run(texts).kept.column("text").to_pylist())
    assert [single for single in map(one, texts) if single] == list(kept)


@pytest.mark.parametrize("reader", ["latin-1", "cp1252"])
@pytest.mark.parametrize("text", [KOREAN, ENGLISH, "정상입니다\n" + KOREAN])
def test_normalize_utf8_read_as_a_western_encoding_is_mended(text: str, reader: str) -> None:
    broken = "".join(bytes([byte]).decode(reader, "ignore") or chr(byte) for byte in text.encode())
    assert one(broken) == text


def test_normalize_euc_kr_read_as_latin1_is_mended() -> None:
    assert one(KOREAN.encode("euc_kr").decode("latin-1")) == KOREAN


def test_normalize_utf8_read_as_cp949_is_mended_where_no_byte_was_lost() -> None:
    texts = [a + b for a in "가나다라마바사아자차카타파하각난단랄맘" for b in "문서정리한국어각간"]
    undone = 0
    for text in (text * 3 for text in texts):
        try:
            broken = text.encode().decode("cp949")
        except UnicodeDecodeError:
            continue
        assert one(broken, repeats=0) == text
        undone += 1
    assert undone > 20


@pytest.mark.parametrize(
    "text", [KOREAN, ENGLISH, "Ünïcödé façade naïve", "大韓民國 헌법 제1조", "Ça coûte 5 €, señor", "뷁꿹똠 漢字 쓰기"]
)
def test_normalize_good_text_is_left_as_it_is(text: str) -> None:
    outcome = run([text])
    assert outcome.kept.column("text").to_pylist() == [text]
    assert not outcome.counters


def test_normalize_decomposed_hangul_is_composed_and_laughter_stays() -> None:
    outcome = run([unicodedata.normalize("NFD", "한국어 ㅋㅋ"), "한국어 ㅋㅋ"])
    assert outcome.kept.column("text").to_pylist() == ["한국어 ㅋㅋ"] * 2
    assert outcome.counters == {"nfc": 1}


def test_normalize_entities_become_characters_unless_the_text_is_html() -> None:
    assert one("R&amp;D &lt;가&gt; &#44032; AT&T; &nosuch;") == "R&D <가> 가 AT&T; &nosuch;"
    assert one("<p>R&amp;D</p>") == "<p>R&amp;D</p>"
    assert one("R&amp;D", entities=False) == "R&amp;D"


def test_normalize_repeats_setting_bounds_runs() -> None:
    assert one("ㅋㅋㅋㅋㅋ!!!!!") == "ㅋㅋㅋ!!!"
    assert one("ㅋㅋㅋㅋㅋ!!!!!", repeats=1) == "ㅋ!"
    assert one("ㅋㅋㅋㅋㅋ!!!!!", repeats=0) == "ㅋㅋㅋㅋㅋ!!!!!"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("와아아아아아 대박ㅠㅠㅠㅠㅠ", "와아아아 대박ㅠㅠㅠ"),
        ("하하하하하하 ㅎㅎㅎㅎㅎ", "하하하 ㅎㅎㅎ"),
        ("으으으으... 안 돼!!!!!!", "으으으... 안 돼!!!"),
        ("좋아요♥♥♥♥♥ 최고👍👍👍👍", "좋아요♥♥♥ 최고👍👍👍"),
    ],
)
def test_normalize_repeats_of_korean_chat_are_shortened(before: str, after: str) -> None:
    assert one(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "제목\n====\n본문\n\n----\n\n* * *\n\n____",
        "| 품목 | 값 |\n|------|----|\n| 가방 | 1000000 |",
        "```\n    ^^^^^^^^\nprint('ㅋㅋㅋㅋㅋ!!!!')  # ......\n```",
        "본문\n\n    x = [0]  * 5   # !!!!!\n    ^^^^^^",
        "바나나 나나 다다다 0000000 aaaaaa AAAAAA xxxxxx ######",
        "👨\u200d👩\u200d👧\u200d👦 가족, 🏳️\u200d🌈 깃발, 🇰🇷🇰🇷",
        "می\u200cخواهم क्\u200dष",
    ],
)
def test_normalize_rules_tables_code_and_joiners_are_left_alone(text: str) -> None:
    outcome = run([text])
    assert outcome.kept.column("text").to_pylist() == [text]
    assert not outcome.counters


def test_normalize_repeats_of_one_leave_words_of_equal_syllables() -> None:
    assert one("바나나 하하하하", repeats=1) == "바나나 하하하"


def test_normalize_conjoining_jamo_are_composed_and_half_width_jamo_stay() -> None:
    assert one("\u1112\u1161\u11ab\u1100\u1173\u11af") == "한글"
    assert one("\uffa1\uffc2 Ｆｕｌｌ") == "\uffa1\uffc2 Ｆｕｌｌ"


def test_normalize_markup_strip_leaves_the_words() -> None:
    source = "# 제목\n\n**굵게** [고리](https://a.b/c) `code`\n> 인용\n<p>문단</p><script>bad()</script><!-- no -->"
    assert one(source, markup="strip") == "제목\n\n굵게 고리 code\n인용\n\n문단"
    assert one(source).startswith("# 제목")


def test_normalize_markup_strip_takes_the_main_text_of_a_page() -> None:
    menu = "<nav><ul><li><a href=/>메뉴</a></li></ul></nav><script>if (a < b) go('<p>')</script>"
    page = f"<!DOCTYPE html><html><body>{menu}<h1>제목</h1><p>첫째&nbsp;문단 &lt;가&gt;</p><p>둘째</p></body></html>"
    assert one(page, markup="strip") == "제목\n\n첫째 문단 <가>\n\n둘째"
    assert one("a < b이고 c > d이면 <b>굵게</b>", markup="strip") == "a < b이고 c > d이면 굵게"


def test_normalize_unclosed_comments_take_linear_time() -> None:
    assert one("<!--" * 200_000, markup="strip")


def test_normalize_nothing_left_is_dropped_as_empty() -> None:
    applied = apply(Normalize(), [{"text": " \u200b\n\x00"}, {"text": None}, {"text": "남는 글"}])
    assert applied.rows.column("text").to_pylist() == ["남는 글"]
    assert applied.drops.column("rule").to_pylist() == ["empty", "empty"]
    assert applied.stats.conserved


def test_normalize_examples_change_in_every_message() -> None:
    turns = [{"role": "user", "content": "질문 \u200b입니다"}, {"role": "assistant", "content": "답ㅋㅋㅋㅋㅋㅋ"}]
    chosen = [{"role": "assistant", "content": "고른  답"}]
    applied = apply(Normalize(), [{"messages": turns, "chosen": chosen}, {"messages": turns[:1]}], kind="example")
    first = applied.rows.to_pylist()[0]
    assert [turn["content"] for turn in first["messages"]] == ["질문 입니다", "답ㅋㅋㅋ"]
    assert first["chosen"][0]["content"] == "고른 답"


def test_normalize_batches_of_any_size_give_the_same_rows() -> None:
    rows = [{"text": text} for text in (KOREAN, "a  b", " ", KOREAN.encode().decode("latin-1"), "ㅋ" * 9) * 3]
    tables = [apply(Normalize(), rows, batch_rows=size) for size in (1, 7, 1000)]
    assert len({t.rows.to_pandas().to_json() + str(sorted(t.stats.counters.items())) for t in tables}) == 1


def test_normalize_clean_batch_is_passed_on_untouched() -> None:
    batch = table_from_rows([{"id": "1", "source_id": "s", "text": KOREAN}], "document").to_batches()[0]
    kept = Normalize().open(Env())(batch).kept
    assert isinstance(kept, pa.RecordBatch)
    assert kept.column("text") is batch.column("text") or kept.equals(batch)
