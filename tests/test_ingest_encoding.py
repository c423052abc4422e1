"""Encodings are detected from bytes alone, stated, and never turn one damaged line into a file of mojibake."""

from __future__ import annotations

import codecs
import io
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.stage import Env
from datakit.stages.ingest import Ingest
from datakit.stages.ingest.encoding import UNSURE, detect, known_encoding, lines_of, sample_of
from tests.conftest import ROOT
from tests.legacy_texts import CASES

KO = "지난주에 주문한 운동화가 아직 도착하지 않았습니다. 배송 조회를 해 보니 어제부터 같은 곳에 머물러 있다고 나옵니다."
EN = "The parcel has not arrived yet, and the tracking page has shown the same place since yesterday."
FR = "L'été dernier, nous avons goûté des crêpes près de la forêt.\nC'était très bon, même après.\nÀ bientôt, Zoé\n"
JA = "昨日から荷物が同じ場所にあります。\nよろしくお願いいたします。今日は雨です。\nそれでは失礼します。\n"
ZH = "我上周订购的运动鞋还没有到。查询物流显示包裹一直停留在同一个地方。\n请帮我确认一下。\n谢谢你们的帮助。\n"


def read(path: Path, **settings: str) -> tuple[list[str], Counter[str], list[str]]:
    """Texts, counters, and what was told."""
    told: list[str] = []
    stage = Ingest(files=str(path), **settings)
    parts = [outcome for source in stage.sources() for outcome in stage.read(source, Env(tell=told.append))]
    texts = [text for part in parts for text in part.kept.column("text").to_pylist()]
    return texts, sum((part.counters for part in parts), Counter()), told


@pytest.mark.parametrize("text", [KO, EN, f"{KO}\n{EN}\n" * 20, "짧은 글 하나"])
@pytest.mark.parametrize(
    ("encoding", "mark", "name"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", codecs.BOM_UTF8, "utf-8"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16"),
        ("utf-32-le", codecs.BOM_UTF32_LE, "utf-32"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
    ],
)
def test_unicode_files_come_out_as_they_were(tmp_path: Path, text: str, encoding: str, mark: bytes, name: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(mark + text.encode(encoding))
    texts, counters, told = read(path)
    assert texts == [text]
    assert counters[f"encoding.{name}"] == 1
    assert [line.split(" (")[0] for line in told] == ([] if name == "utf-8" else [f"a.txt: read as {name}"])


@pytest.mark.parametrize(
    "text", [KO, "안녕하세요", "이름,내용\n홍길동,좋아요\n", f"{EN}\n" * 4000 + KO, "뷁쀍 똠방각하"]
)
def test_cp949_is_detected_also_behind_pages_of_english(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("cp949"))
    texts, counters, told = read(path)
    assert texts == [text]
    assert counters["encoding.cp949"] == 1
    assert [line.split(" (")[0] for line in told] == ["a.txt: read as cp949"]


@pytest.mark.parametrize(
    ("text", "encoding", "expected"), [(FR, "cp1252", "cp1252"), (JA, "cp932", "cp932"), (ZH, "gb18030", "gb18030")]
)
def test_other_legacy_encodings_are_not_taken_for_korean(text: str, encoding: str, expected: str) -> None:
    found = detect(text.encode(encoding)).encoding
    assert found != "cp949"
    assert text.encode(encoding).decode(found) == text


def test_short_texts_in_legacy_encodings_are_right_or_said_to_be_unsure() -> None:
    """The table in legacy.py: 95 of 100 are read as they were written, and a wrong guess is hardly ever a sure one."""
    right = unsure = 0
    for text, encoding in CASES:
        found = detect(text.encode(encoding))
        read_right = text.encode(encoding).decode(found.encoding, "replace") == text
        right += read_right
        unsure += not read_right and found.unsure
    assert right >= 0.94 * len(CASES)
    assert len(CASES) - right - unsure <= 2


@pytest.mark.parametrize("encoding", ["cp949", "euc_jp", "cp932", "gb18030", "big5", "cp1252", "cp1251"])
def test_legacy_texts_of_some_lines_are_read_right_and_surely(encoding: str) -> None:
    lines = [text for text, own in CASES if own == encoding]
    found = detect("\n".join(lines).encode(encoding))
    assert "\n".join(lines).encode(encoding).decode(found.encoding) == "\n".join(lines)
    assert found.confidence > 0.99


def test_unsure_encoding_is_told_with_its_remedy_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("품절".encode("cp949"))
    texts, counters, told = read(path)
    assert texts == ["품절"]
    assert counters["encoding.unsure"] == 1
    assert "set `encoding`" in told[0]
    assert "confidence 0." in told[0]
    path.write_bytes((KO * 2).encode("cp949"))
    _, counters, told = read(path)
    assert "encoding.unsure" not in counters
    assert told == ["a.txt: read as cp949 (confidence 1.00)"]


@pytest.mark.parametrize(
    ("data", "sure"),
    [
        (EN.encode(), True),
        (KO.encode(), True),
        ("é".encode(), True),
        (codecs.BOM_UTF8, True),
        (b"\x80\x81\x82\x83\xfe\x07\x8f\xa0", False),
    ],
)
def test_confidence_is_high_for_utf8_and_low_for_bytes_that_are_no_text(data: bytes, sure: bool) -> None:
    assert (detect(data).confidence >= UNSURE) == sure


def test_charset_of_a_page_is_believed_where_it_fits() -> None:
    page = f'<html><head><meta charset="shift_jis"></head><body>{JA}</body></html>'.encode("cp932")
    assert page.decode(detect(page).encoding) == page.decode("cp932")


def test_one_damaged_line_does_not_change_the_encoding(tmp_path: Path) -> None:
    """The planted breach: with a guess from one line, the Korean behind it would become mojibake."""
    good = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in (EN, KO)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([good[0], b'{"text": "caf\xe9 cr\xe8me"}', *good]))
    texts, counters, _ = read(path)
    assert texts == [EN, EN, KO]
    assert counters["encoding.utf-8"] == 1
    assert detect(b"caf\xe9 cr\xe8me\n", guess_from=1).encoding == "cp1252"


def test_mostly_valid_utf8_stays_utf8() -> None:
    lines = [KO.encode()] * 5 + [KO.encode("cp949")] * 3
    assert detect(b"\n".join(lines)).encoding == "utf-8"


def test_stray_nul_does_not_make_utf16() -> None:
    assert detect(f"{EN}\0{EN}".encode()).encoding == "utf-8"
    assert detect(f"{KO}\0".encode()).encoding == "utf-8"


def test_named_encoding_is_used_and_spelled_one_way(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(KO.encode("cp949"))
    assert read(path, encoding="euc-kr")[0] == [KO]
    assert Ingest(files="a", encoding="EUC-KR").encoding == Ingest(files="a", encoding="ms949").encoding == "cp949"
    assert known_encoding("UTF8") == "utf-8"


def test_half_a_utf16_pair_costs_one_line(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in (KO, "X", EN)]
    data = codecs.BOM_UTF16_LE + "\n".join(lines).encode("utf-16-le").replace("X".encode("utf-16-le"), b"\x00\xd8")
    (tmp_path / "a.jsonl").write_bytes(data)
    assert read(tmp_path / "a.jsonl")[0] == [KO, EN]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "html"])
def test_cp949_is_read_in_every_text_format(tmp_path: Path, ending: str) -> None:
    record = json.dumps({"text": KO}, ensure_ascii=False)
    text = {"csv": f'text\r\n"{KO}"\r\n', "jsonl": record, "json": f"[{record}]", "html": f"<p>{KO}</p>"}[ending]
    (tmp_path / f"a.{ending}").write_bytes(text.encode("cp949"))
    assert read(tmp_path / f"a.{ending}")[0] == [KO]


def test_sample_review_file_is_cp949() -> None:
    with open(ROOT / "sample_data/corpus/reviews_ko.csv", "rb") as stream:
        assert detect(sample_of(stream), 3).encoding == "cp949"


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(1, 50))
def test_lines_are_split_at_line_feeds_only(monkeypatched: None, lines: list[bytes], block: int) -> None:
    """The law: whatever the block size, the lines are those of `split`, without an empty last one."""
    import datakit.stages.ingest.encoding as encoding

    encoding.BLOCK = block
    data = b"\n".join(lines)
    expected = data.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert list(lines_of(io.BytesIO(data), "cp949", 1000)) == expected
    held = [line if len(line) <= 10 else len(line) for line in expected]
    assert list(lines_of(io.BytesIO(data), "cp949", 10)) == held


@pytest.fixture(scope="module")
def monkeypatched() -> object:
    """Puts the block size back."""
    import datakit.stages.ingest.encoding as encoding

    before = encoding.BLOCK
    yield None
    encoding.BLOCK = before
