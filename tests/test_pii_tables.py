"""Values below the head of a column: found for their label, wherever the head stands; look-alikes stay."""

from __future__ import annotations

import json

import pytest

from datakit.stages.pii import Pii
from datakit.stages.pii.operators import tag
from datakit.stages.pii.redact import redact
from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.tables import labelled_cells

FIND = Scanner()


def found(text: str) -> list[tuple[str, str]]:
    return [(span.entity, text[span.start : span.end]) for span in FIND(text)]


def table(separator: str, *rows: tuple[str, ...]) -> str:
    return "\n".join(separator.join(row) for row in rows) + "\n"


HEAD = ("순번", "상호", "비고", "여권번호", "계좌번호", "성명")
ROW = ("1", "가람상사", "지난달에 새로 등록한 곳이며 확인을 마쳤음", "M12345678", "110-234-567891", "이유진")
VALUES = [("PASSPORT", "M12345678"), ("BANK_ACCOUNT", "110-234-567891"), ("PERSON", "이유진")]


@pytest.mark.parametrize("separator", ["\t", ",", ";", "|", " | "])
def test_value_far_from_its_head_is_found_in_every_row(separator: str) -> None:
    text = "회원 명단입니다.\n" + table(separator, HEAD, *[ROW] * 12) + "끝."
    assert found(text) == VALUES * 12


def test_rows_go_on_to_the_first_line_without_the_separator() -> None:
    text = table(",", ("번호", "여권번호"), ("1", "M12345678")) + "그 밖에\n2,M87654321\n"
    assert found(text) == [("PASSPORT", "M12345678")]


def test_second_head_begins_a_second_table() -> None:
    text = table(",", ("번호", "여권번호"), ("1", "M12345678"), ("여권번호", "번호"), ("M87654321", "2"))
    assert found(text) == [("PASSPORT", "M12345678"), ("PASSPORT", "M87654321")]


def test_comma_inside_a_cell_hides_no_value_behind_it() -> None:
    quoted = ("1", '"서울, 어딘가"', "M12345678")
    bare = ("2", "서울", " 어딘가", "M87654321")
    text = table(",", ("번호", "비고", "여권번호"), quoted, bare)
    assert found(text) == [("PASSPORT", "M12345678"), ("PASSPORT", "M87654321")]


def test_english_heads_as_programs_write_them_are_known() -> None:
    head = ("id", "full_name", "accountNumber", "dateOfBirth", "Home Address")
    text = table("\t", head, ("7", "Priya Novak", "0012345678", "03/14/1988", "12 Elm Row, Leeds"))
    assert found(text) == [
        ("PERSON", "Priya Novak"),
        ("BANK_ACCOUNT", "0012345678"),
        ("BIRTH_DATE", "03/14/1988"),
        ("ADDRESS", "12 Elm Row, Leeds"),
    ]


def test_markdown_table_with_bold_heads_is_read() -> None:
    assert found("| **이름** | 연락처 |\n|---|---|\n| 이유진 | 010-2345-6789 |\n") == [
        ("PERSON", "이유진"),
        ("PHONE", "010-2345-6789"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "이름,가격\n고구마,3000\n이유식,12000\n",
        "name,price\nApple Watch,399\nRobin Egg,12\n",
        "품명;수량;단가\n김치찌개;1102345678;9000\n",
        "오늘은 전화,계좌,서류를 챙기고,\n내일은 M12345678,이라는 좌석에 앉는다.\n",
        "여권번호,발급일\n없음,미정\n",
        "a,b\n" * 50,
    ],
)
def test_what_only_looks_like_a_table_of_persons_stays(text: str) -> None:
    assert found(text) == []


def test_header_of_long_cells_is_no_head() -> None:
    assert list(labelled_cells("아주 길게 이어지는 설명이 적혀 있는 첫째 칸이다,여권번호\nx,M12345678\n")) == []


def test_cells_keep_to_their_columns_and_tags_are_not_found_again() -> None:
    text = table(",", HEAD, ROW)
    once = redact([text], FIND, lambda entity, value, lang: tag(entity, lang), "ko").texts
    assert once[0].splitlines()[1].split(",")[3:] == ["[여권번호]", "[계좌번호]", "[이름]"]
    assert redact(once, FIND, lambda entity, value, lang: tag(entity, lang), "ko").texts == once
    made = Pii(operator="surrogate").redactor()
    once = made([text], "ko", "a").texts
    assert made(once, "ko", "a").texts == once
    assert not any(value in once[0] for _, value in VALUES)


def test_types_that_are_not_wanted_stay_in_tables_too() -> None:
    text = table(",", HEAD, ROW)
    assert [span.entity for span in Scanner(["PASSPORT"])(text)] == ["PASSPORT"]
    assert json.dumps(FIND("계좌번호,이름")) == "[]"
