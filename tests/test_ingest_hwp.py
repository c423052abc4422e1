"""HWPX and HWP: paragraphs and tables of Korean offices' documents, in reading order, without the page's furniture."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.office_files import hwp, hwp_p, hwp_table, hwpx, owpml_p, owpml_table, record, zipped
from tests.reading import read

KO, MORE = "서울시는 내년 예산을 발표했다.", "자세한 내용은 붙임 문서를 참고하기 바람."
ROWS = [["구분", "예산"], ["복지", "1,200억 원"], ["교통|도로", "800억 원"]]
TABLE = "| 구분 | 예산 |\n| --- | --- |\n| 복지 | 1,200억 원 |\n| 교통\\|도로 | 800억 원 |"


def texts(path: Path, data: bytes) -> list[str]:
    found = read(path, data)
    assert found.drops == []
    return found.texts


def test_hwpx_paragraphs_and_tables_come_out_in_reading_order(tmp_path: Path) -> None:
    data = hwpx(owpml_p(KO) + owpml_p("표 1", owpml_table(ROWS)) + owpml_p(MORE), owpml_p("둘째 절"))
    assert texts(tmp_path / "a.hwpx", data) == [f"{KO}\n\n표 1\n\n{TABLE}\n\n{MORE}\n\n둘째 절"]


def test_hwpx_sections_are_ordered_by_number(tmp_path: Path) -> None:
    data = hwpx(*(owpml_p(f"절 {n}") for n in range(12)))
    assert texts(tmp_path / "a.hwpx", data) == ["\n\n".join(f"절 {n}" for n in range(12))]


def test_hwpx_frames_and_layout_tables_give_their_paragraphs(tmp_path: Path) -> None:
    framed = owpml_p("", owpml_table([[owpml_p("제목") + owpml_p(KO)]]))
    nested = owpml_p("", owpml_table([[owpml_p("왼쪽", owpml_table(ROWS)), "오른쪽"]]))
    assert texts(tmp_path / "a.hwpx", hwpx(framed + nested)) == [f"제목\n\n{KO}\n\n왼쪽\n\n{TABLE}\n\n오른쪽"]


def test_hwpx_signs_notes_and_boxes_stay_and_furniture_goes(tmp_path: Path) -> None:
    inner = "앞<hp:tab/>뒤<hp:lineBreak/>줄<hp:deleteBegin/>지움<hp:deleteEnd/> 끝<hp:nbSpace/>!"
    note = f"<hp:ctrl><hp:footNote><hp:subList>{owpml_p('각주입니다.')}</hp:subList></hp:footNote></hp:ctrl>"
    head = f"<hp:ctrl><hp:header><hp:subList>{owpml_p('머리말')}</hp:subList></hp:header></hp:ctrl>"
    memo = f"<hp:ctrl><hp:hiddenComment><hp:subList>{owpml_p('메모')}</hp:subList></hp:hiddenComment></hp:ctrl>"
    inside = "<hp:parameters><hp:stringParam>주소</hp:stringParam></hp:parameters>"
    field = f"<hp:ctrl><hp:fieldBegin>{inside}</hp:fieldBegin></hp:ctrl>"
    box = f"<hp:rect><hp:drawText><hp:subList>{owpml_p('글상자')}</hp:subList></hp:drawText></hp:rect>"
    data = hwpx(owpml_p(inner, note + head + memo + field + box) + owpml_p(KO))
    assert texts(tmp_path / "a.hwpx", data) == [f"앞\t뒤\n줄 끝 !\n\n각주입니다.\n\n글상자\n\n{KO}"]


def test_hwpx_decomposed_hangul_is_composed(tmp_path: Path) -> None:
    assert texts(tmp_path / "a.hwpx", hwpx(owpml_p(normalize("NFD", KO)))) == [KO]


def test_hwpx_that_is_locked_or_something_else_is_a_drop(tmp_path: Path) -> None:
    locked = hwpx(owpml_p(KO), **{"META-INF/manifest.xml": "<manifest><encryption-data/></manifest>"})
    for data, why in (
        (locked, "locked by a password"),
        (hwpx(), "no HWPX document"),
        (hwpx("<unclosed>"), "damaged XML inside"),
        (hwpx(owpml_p(KO))[:200], "damaged or no zip file"),
    ):
        assert read(tmp_path / "a.hwpx", data).drops == [("a.hwpx:1", "unreadable", why)]


def test_hwpx_that_unpacks_without_bound_is_too_large(tmp_path: Path) -> None:
    bomb = hwpx(owpml_p("가" * 3_000_000))
    assert len(bomb) < 50_000
    assert read(tmp_path / "a.hwpx", bomb, max_row_mb=1).drops[0][1] == "too_large"
    many = hwpx(*[owpml_p("가" * 100_000)] * 5)
    assert read(tmp_path / "b.hwpx", many, max_row_mb=1).drops[0][1] == "too_large"


def test_hwpx_entities_are_not_expanded(tmp_path: Path) -> None:
    lol = '<!DOCTYPE s [<!ENTITY a "하하하"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    body = '<s xmlns:hp="h"><hp:p><hp:run><hp:t>x&a;&f;y</hp:t></hp:run></hp:p></s>'
    found = read(tmp_path / "a.hwpx", zipped({"Contents/section0.xml": lol + body}))
    assert not {"root", "하하하"} & set("".join(found.texts).replace("x", " ").split())
    assert len(found.texts) + len(found.drops) == 1


# HWP 5

olefile = pytest.importorskip("olefile", reason="needs the documents extra")


@pytest.mark.parametrize("flags", [0, 1])
def test_hwp_paragraphs_and_tables_come_out_in_reading_order(tmp_path: Path, flags: int) -> None:
    body = hwp_p(KO) + hwp_p("표 1", extended=1) + hwp_table(ROWS) + hwp_p(f"탭\t뒤 {MORE}")
    data = hwp(body, hwp_p("둘째 절 😀"), flags=flags)
    assert texts(tmp_path / "a.hwp", data) == [f"{KO}\n\n표 1\n\n{TABLE}\n\n탭\t뒤 {MORE}\n\n둘째 절 😀"]


def test_hwp_control_characters_and_long_records_leave_the_text_whole(tmp_path: Path) -> None:
    long = "가나다라마바사 " * 600  # more than 4,095 bytes: the size stands behind the head
    assert texts(tmp_path / "a.hwp", hwp(hwp_p(long + "끝", extended=3) + hwp_p(KO))) == [f"{long}끝\n\n{KO}"]


def test_hwp_page_headers_and_memos_go_and_notes_stay(tmp_path: Path) -> None:
    def control(name: bytes, text: str) -> bytes:
        return record(71, 1, name[::-1] + bytes(8)) + record(72, 2, bytes(16)) + hwp_p(text, 2)

    body = hwp_p(KO, extended=3) + control(b"head", "머리말") + control(b"tcmt", "메모") + control(b"fn  ", "각주")
    assert texts(tmp_path / "a.hwp", hwp(body)) == [f"{KO}\n\n각주"]


def test_hwp_frames_and_layout_tables_give_their_paragraphs(tmp_path: Path) -> None:
    framed = hwp_table([[hwp_p("제목", 2) + hwp_p(KO, 2)]])
    nested = hwp_table([[hwp_p("왼쪽", 2, extended=1) + hwp_table(ROWS, 3), "오른쪽"]])
    data = hwp(hwp_p("", extended=1) + framed + hwp_p("", extended=1) + nested)
    assert texts(tmp_path / "a.hwp", data) == [f"제목\n\n{KO}\n\n왼쪽\n\n{TABLE}\n\n오른쪽"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (hwp(hwp_p(KO), flags=3), "locked by a password"),
        (hwp(hwp_p(KO), flags=5), "for distribution only: its text is encrypted"),
        (b"HWP Document File V3.00 \x1a\1\2\3\4\5", "HWP 3: save it as .hwpx"),
        (b"plain text", "damaged or no HWP document"),
        (hwp(hwp_p(KO))[:1500], "damaged or cut off: save it as .hwpx"),
        (hwp(record(67, 0, b"x" * 40)[:20]), "damaged or cut off: save it as .hwpx"),
    ],
)
def test_hwp_that_can_not_be_read_is_one_drop(tmp_path: Path, data: bytes, why: str) -> None:
    assert read(tmp_path / "a.hwp", data).drops == [("a.hwp:1", "unreadable", why)]


def test_hwp_that_unpacks_without_bound_is_too_large(tmp_path: Path) -> None:
    bomb = hwp(hwp_p("가" * 3_000_000))
    assert read(tmp_path / "a.hwp", bomb, max_row_mb=1).drops[0][1] == "too_large"


def test_hwp_with_any_bytes_changed_never_raises(tmp_path: Path) -> None:
    whole = hwp(hwp_p(KO) + hwp_p("표", extended=1) + hwp_table(ROWS), flags=0)
    random_bytes = random.Random(3)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(random_bytes.randint(1, 6)):
            broken[random_bytes.randrange(len(broken))] = random_bytes.randrange(256)
        found = read(tmp_path / "a.hwp", bytes(broken))
        assert len(found.rows) + len(found.drops) == 1


def test_hwp_records_are_as_the_format_says() -> None:
    """The generator itself: tag in 10 bits, level in 10, size in 12."""
    assert struct.unpack("<I", record(67, 1, b"ab")[:4])[0] == 67 | 1 << 10 | 2 << 20
