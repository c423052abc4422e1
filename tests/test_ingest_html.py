"""The main text of pages: what must stay, what must go, in Korean and in English."""

from __future__ import annotations

from pathlib import Path

import pytest

from datakit.stages.ingest.html import main_text
from tests.conftest import ROOT
from tests.web_pages import PAGES

KO = "조석은 달과 태양의 인력 때문에 바닷물이 규칙적으로 오르내리는 현상이다. 하루에 두 번 밀물과 썰물이 든다."
EN = "A tide is the regular rise and fall of the sea caused by the pull of the Moon and the Sun."


@pytest.mark.parametrize("text", [KO, EN])
@pytest.mark.parametrize(
    "around",
    [
        "<nav><a href=/>메뉴 Menu</a></nav>{}",
        "{}<footer>Menu 메뉴</footer>",
        '<div class="site-sidebar"><p>Menu 메뉴</p></div>{}',
        '<div id="cookieBanner">Menu 메뉴</div>{}',
        "<header><p>Menu 메뉴</p></header>{}",
        '<div role="navigation">Menu 메뉴</div>{}',
        "<ul><li><a>Menu 1</a><li><a>메뉴 2</a><li><a>Menu 3</a></ul>{}",
        "<script>var menu='Menu'</script><style>.menu{{}}</style>{}<noscript>Menu</noscript>",
        "<form><label>Menu</label><button>메뉴</button></form>{}",
        "<p hidden>Menu 메뉴</p>{}",
        "<p>Menu 메뉴</p><main>{}</main><p>Menu 메뉴</p>",
        "<div>Menu 메뉴</div><article>{}</article>",
    ],
)
def test_furniture_goes_and_text_stays(text: str, around: str) -> None:
    page = (
        f"<html><head><title>Menu 메뉴</title></head><body>{around.format(f'<h1>제목</h1><p>{text}</p>')}</body></html>"
    )
    assert main_text(page) == f"# 제목\n\n{text}"


def test_name_on_the_whole_page_removes_nothing() -> None:
    assert main_text(f'<body class="has-sidebar"><div class="wrap sidebar menu"><p>{KO}</p></div></body>') == KO


def test_blocks_are_spelled_as_markdown() -> None:
    page = f"""<h2>Kinds &amp;<br>종류</h2>{EN}<p>one<br>two   <b>bold</b>, <code>x = 1</code></p>
    <ul><li>하나<ol><li>first<li>second</ol></li><li><p>둘</p></ul><blockquote><p>quoted</p><p>말</p></blockquote>
    <pre>def f():\n    return 1\n</pre>
    <table><caption>표</caption><tr><th>a<th>b</tr><tr><td>1<td>2 | 3</tr></table>
    <table><tr><td><p>layout</p></td></tr></table>"""
    assert main_text(page) == "\n\n".join(
        [
            "## Kinds & 종류",
            EN,
            "one\ntwo bold, `x = 1`",
            "- 하나\n  1. first\n  2. second\n- 둘",
            "> quoted\n>\n> 말",
            "```\ndef f():\n    return 1\n```",
            "표",
            "| a | b |\n| --- | --- |\n| 1 | 2 \\| 3 |",
            "layout",
        ]
    )


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", ""),
        ("   ", ""),
        ("<!-- nothing -->", ""),
        (KO, KO),
        (f'<?xml version="1.0" encoding="euc-kr"?><html><body><p>{KO}</p></body></html>', KO),
        (f"<p>{KO[:10]}\0{KO[10:]}", KO),
        ("<div>" * 5000 + "deep" + "</div>" * 5000, None),
        ("<p>열린 <b>꼬리표 <i>셋", "열린 꼬리표 셋"),
    ],
)
def test_odd_pages_do_not_break(page: str, text: str | None) -> None:
    found = main_text(page)
    assert text is None or found == text


def test_sample_pages_lose_their_furniture_and_keep_their_headings() -> None:
    pages = sorted(Path(ROOT / "sample_data/corpus/wiki_en").glob("*.html"))
    assert len(pages) > 20
    for path in pages:
        text = main_text(path.read_text(encoding="utf-8"))
        assert len(text) > 100, path.name
        assert "Back to top" not in text
        assert "<" not in text.replace("< ", ""), path.name


@pytest.mark.parametrize(("page", "texts", "furniture"), [case[1:] for case in PAGES], ids=[case[0] for case in PAGES])
def test_pages_of_real_kinds_keep_their_text_and_lose_their_furniture(
    page: str, texts: list[str], furniture: list[str]
) -> None:
    found = main_text(page)
    assert [text for text in texts if text not in found] == []
    assert [piece for piece in furniture if piece in found] == []
