"""DOCX and EPUB: text, headings, lists and tables as Markdown; nothing twice, nothing deleted, nothing hidden."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from tests.office_files import docx, epub, word_p, word_table, zipped
from tests.reading import read

KO, EN = "주문하신 상품은 내일 도착합니다.", "The parcel arrives tomorrow."
STYLES = (
    '<w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="a3"><w:name w:val="Title"/></w:style>'
    '<w:style w:styleId="a"><w:name w:val="Normal"/></w:style>'
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="ganada"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="6"><w:abstractNumId w:val="1"/></w:num>'
)


def item(number: int, level: int = 0) -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'


def text_of(path: Path, data: bytes) -> str:
    found = read(path, data)
    assert found.drops == []
    return found.texts[0]


def test_docx_headings_paragraphs_and_tables_are_spelled_as_markdown(tmp_path: Path) -> None:
    body = (
        word_p("안내문", '<w:pStyle w:val="a3"/>')
        + word_p("배송", '<w:pStyle w:val="1"/>')
        + word_p(KO, '<w:pStyle w:val="a"/>')
        + word_table([["품목", "가격"], ["가방|소", "12,000원"]])
        + word_p(EN)
    )
    table = "| 품목 | 가격 |\n| --- | --- |\n| 가방\\|소 | 12,000원 |"
    expected = f"# 안내문\n\n# 배송\n\n{KO}\n\n{table}\n\n{EN}"
    assert text_of(tmp_path / "a.docx", docx(body, styles=STYLES)) == expected


def test_docx_lists_have_dashes_and_running_numbers(tmp_path: Path) -> None:
    marks = [item(5), item(5), item(6), item(6, 1), item(6, 1), item(6), item(6, 1)]
    body = "".join(word_p(f"항목{n}", mark) for n, mark in enumerate(marks)) + word_p(KO)
    expected = "- 항목0\n- 항목1\n1. 항목2\n  1. 항목3\n  2. 항목4\n2. 항목5\n  1. 항목6"
    assert text_of(tmp_path / "a.docx", docx(body, numbering=NUMBERING)) == f"{expected}\n\n{KO}"


def test_docx_links_controls_and_boxes_stay_once_and_deletions_go(tmp_path: Path) -> None:
    run = '<w:r><w:t xml:space="preserve">{}</w:t></w:r>'
    box = f"<w:txbxContent>{word_p('글상자')}</w:txbxContent>"
    body = (
        f"<w:p>{run.format('앞 ')}<w:hyperlink>{run.format('고리')}</w:hyperlink><w:r><w:tab/><w:t>뒤</w:t></w:r>"
        f"<w:del><w:r><w:delText>지움</w:delText></w:r></w:del><w:ins>{run.format(' 넣음')}</w:ins>"
        f"<w:r><mc:AlternateContent><mc:Choice><wps:txbx>{box}</wps:txbx></mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
        f"<w:sdt><w:sdtContent>{word_p(KO)}</w:sdtContent></w:sdt>"
    )
    assert text_of(tmp_path / "a.docx", docx(body)) == f"앞 고리\t뒤 넣음\n\n글상자\n\n{KO}"


def test_docx_frame_tables_give_their_paragraphs_and_hangul_is_composed(tmp_path: Path) -> None:
    assert text_of(tmp_path / "a.docx", docx(word_table([[normalize("NFD", KO)]]))) == KO


def test_docx_that_can_not_be_read_is_one_drop(tmp_path: Path) -> None:
    locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    for data, why in (
        (locked, "locked by a password"),
        (b"PK\x03\x04nothing", "damaged or no zip file"),
        (zipped({"other": "x"}), "no Word document"),
        (docx(word_p(KO)).replace(b"PK\x01\x02", b"PK\x01\x03"), "damaged or no zip file"),
    ):
        assert read(tmp_path / "a.docx", data).drops == [("a.docx:1", "unreadable", why)]


def test_docx_without_text_is_dropped_and_an_empty_file_is_no_row(tmp_path: Path) -> None:
    assert read(tmp_path / "a.docx", docx(word_p(" "))).drops == [("a.docx:1", "no_text", "empty")]
    found = read(tmp_path / "b.docx", b"")
    assert (found.rows, found.drops, found.counters["empty_files"]) == ([], [], 1)


def test_docx_that_unpacks_without_bound_is_too_large(tmp_path: Path) -> None:
    bomb = docx(word_p("가" * 3_000_000))
    assert len(bomb) < 50_000
    assert read(tmp_path / "a.docx", bomb, max_row_mb=1).drops[0][1:] == ("too_large", "8.6")


def test_epub_chapters_follow_the_spine(tmp_path: Path) -> None:
    data = epub(f"<h1>첫째 장</h1><p>{KO}</p>", f"<h1>둘째 장</h1><p>{EN}</p>")
    found = read(tmp_path / "a.epub", data)
    assert found.texts == [f"# 첫째 장\n\n{KO}\n\n# 둘째 장\n\n{EN}"]
    assert found.rows[0]["source.chapters"] == 2
    assert read(tmp_path / "b.epub", zipped({"x": "y"})).drops == [("b.epub:1", "unreadable", "no EPUB book")]
