"""PDF: Korean comes out composed and in reading order; pictures, locks and damage are drops that say what they are."""

from __future__ import annotations

import io
from pathlib import Path
from unicodedata import is_normalized, normalize

import pytest

from tests.reading import read

pytest.importorskip("pypdfium2", reason="needs the documents extra")
canvas = pytest.importorskip("reportlab.pdfgen.canvas", reason="makes the PDF files")

KO = ["주문하신 상품은 내일 오후에 도착합니다.", "문의는 고객센터로 해 주세요."]
EN = ["The parcel arrives tomorrow.", "Please keep the receipt."]
Page = list[tuple[int, int, str]]
"""Lines with the place where they are drawn, in the order in which they are drawn."""


def pdf(*pages: Page, password: str | None = None) -> bytes:
    """A PDF with a Korean CID font (UniKS-UCS2-H)."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont("HYSMyeongJo-Medium"))
    out = io.BytesIO()
    sheet = canvas.Canvas(out, encrypt=password)
    for page in pages:
        sheet.setFont("HYSMyeongJo-Medium", 11)
        for x, y, line in page:
            sheet.drawString(x, y, line)
        sheet.showPage()
    sheet.save()
    return out.getvalue()


def embedded_pdf(text: str) -> bytes:
    """A PDF with an embedded subset of a TrueType font that is made here: a box for every letter."""
    builder = pytest.importorskip("fontTools.fontBuilder", reason="makes the font")
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    box, letters = pen.glyph(), sorted({*text, " "})
    names = [".notdef", *(f"u{ord(letter):04X}" for letter in letters)]
    font = builder.FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(names, box))
    font.setupHorizontalMetrics(dict.fromkeys(names, (900, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    name = f"Box{len(pdfmetrics.getRegisteredFontNames())}"  # ReportLab keeps fonts by their inner names
    font.setupNameTable({"familyName": name, "styleName": "Regular", "psName": name})
    font.setupOS2()
    font.setupPost()
    made = io.BytesIO()
    font.font.save(made)
    made.seek(0)
    pdfmetrics.registerFont(TTFont(name, made))
    out = io.BytesIO()
    sheet = canvas.Canvas(out)
    sheet.setFont(name, 11)
    sheet.drawString(60, 700, text)
    sheet.save()
    return out.getvalue()


def lines(*texts: str, x: int = 60, y: int = 760) -> Page:
    return [(x, y - 20 * place, text) for place, text in enumerate(texts)]


def test_pdf_of_korean_and_english_comes_out_line_by_line(tmp_path: Path) -> None:
    found = read(tmp_path / "a.pdf", pdf(lines(*KO, *EN), lines("둘째 쪽입니다.")))
    assert found.texts == ["\n".join([*KO, *EN]) + "\n\n둘째 쪽입니다."]
    assert found.rows[0]["source.pages"] == 2
    assert found.rows[0]["source_id"] == "a.pdf:1"


def test_pdf_with_an_embedded_korean_subset_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pdf", embedded_pdf("똠방각하의 뷁쀍 테스트")).texts == ["똠방각하의 뷁쀍 테스트"]


def test_pdf_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    found = read(tmp_path / "a.pdf", pdf([*lines(*KO), *lines(*EN, x=320)]))
    assert found.texts == ["\n".join([*KO, *EN])]


def test_pdf_of_decomposed_hangul_comes_out_composed(tmp_path: Path) -> None:
    text = read(tmp_path / "a.pdf", embedded_pdf(normalize("NFD", "한국어 문서"))).texts[0]
    assert is_normalized("NFC", text)
    assert text.replace(" ", "") == "한국어문서"


def test_pdf_running_titles_and_page_numbers_go_but_text_stays(tmp_path: Path) -> None:
    pages = [lines("2026년 사업 보고서", f"본문 {word} 쪽입니다.", f"- {n} -") for n, word in enumerate("가나다라")]
    found = read(tmp_path / "a.pdf", pdf(*pages))
    assert found.texts == ["\n\n".join(f"본문 {word} 쪽입니다." for word in "가나다라")]
    assert read(tmp_path / "b.pdf", pdf(*pages[:2])).texts[0].count("사업 보고서") == 2


def test_pdf_of_pictures_is_dropped_with_its_number_of_pages(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pdf", pdf([], [], [])).drops == [("a.pdf:1", "no_text", "no text on 3 pages")]


def test_pdf_behind_a_password_is_dropped_as_locked(tmp_path: Path) -> None:
    found = read(tmp_path / "a.pdf", pdf(lines(*KO), password="geheim"))
    assert found.drops == [("a.pdf:1", "unreadable", "locked by a password")]


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing", b"<html>", pdf(lines(*KO))[:300]])
def test_pdf_that_is_damaged_is_one_drop(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path / "a.pdf", data).drops == [("a.pdf:1", "unreadable", "damaged or no PDF")]


def test_pdf_packed_or_named_in_decomposed_hangul_is_read(tmp_path: Path) -> None:
    import gzip

    name = normalize("NFD", "보고서.pdf.gz")
    found = read(tmp_path / name, gzip.compress(pdf(lines(*KO))))
    assert found.rows[0]["source"] == "보고서.pdf.gz"
    assert found.texts == ["\n".join(KO)]
