"""Wikipedia dumps: articles as plain text without markup, streamed; all other pages are counted."""

from __future__ import annotations

import bz2
import tracemalloc
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from datakit.errors import SourceError
from tests.reading import read

pytest.importorskip("mwparserfromhell", reason="needs the web extra")

TIDE = """{{다른 뜻|조석 (만화가)}}
{{자연 정보
| 이름 = 조석
| 그림 = [[파일:Tide.jpg|200px|설명]]
}}
'''조석'''(潮汐, {{lang|en|tide}}, {{없는틀}})은 [[달]]과
[[태양|해]]의 인력 때문에<ref name="a">{{서적|제목=바다}}</ref>
바닷물이 ''오르내리는'' 현상이다.<ref>[http://a.b 링크]</ref>
[[파일:Bay.jpg|섬네일|오른쪽|만의 [[썰물]] 때]]
== 원인 ==
* 달의 [[인력]]
** 태양의 [https://example.com 인력]
# 하나
:들여쓴 글
{| class="wikitable"
! 이름 !! 값
|-
| 인천 || 9 m
|}
<math>F = G m</math><!-- 주석 --> __목차__
<gallery>
파일:a.jpg|그림
</gallery>
=== 빈 것 ===
== 예 ==
<syntaxhighlight lang="python">
print("조석")
</syntaxhighlight>
-{zh}-&nbsp;끝.
== 같이 보기 ==
* [[밀물]]
=== 책 ===
* 바다의 책
== 각주 ==
<references/>
{{각주}}
[[분류:바다]] [[en:Tide]]
"""
PLAIN = """조석(潮汐, tide)은 달과
해의 인력 때문에
바닷물이 오르내리는 현상이다.

## 원인

- 달의 인력
  - 태양의 인력
- 하나
들여쓴 글

| 이름 | 값 |
| --- | --- |
| 인천 | 9 m |

$F = G m$

## 예

```
print("조석")
```

zh\u00a0끝."""


def page(title: str, text: str, ns: int = 0, redirect: bool = False) -> str:
    target = '<redirect title="딴 것"/>' if redirect else ""
    return (
        f"<page><title>{escape(title)}</title><ns>{ns}</ns><id>7</id>{target}<revision><id>99</id><contributor>"
        f"<id>5</id></contributor><text xml:space='preserve'>{escape(text)}</text></revision></page>"
    )


def dump(*pages: str, end: str = "</mediawiki>") -> bytes:
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="ko"><siteinfo/>'
    return (head + "".join(pages) + end).encode()


def test_wiki_article_becomes_plain_text_without_markup(tmp_path: Path) -> None:
    found = read(tmp_path / "kowiki-pages-articles.xml.bz2", bz2.compress(dump(page("조석", TIDE))))
    assert found.texts == [PLAIN]
    row = found.rows[0]
    assert (row["source.title"], row["source.page"], row["position"]) == ("조석", "7", 1)


@pytest.mark.parametrize("sign", ["{{", "}}", "[[", "]]", "<ref", "'''", "|-", "분류:", "파일:", "__", "<!--"])
def test_wiki_text_holds_no_sign_of_markup(tmp_path: Path, sign: str) -> None:
    assert sign in TIDE
    assert sign not in read(tmp_path / "a.xml", dump(page("조석", TIDE))).texts[0]


def test_wiki_redirects_and_other_namespaces_are_counted_drops(tmp_path: Path) -> None:
    pages = [
        page("옛 이름", "#넘겨주기 [[조석]]"),
        page("Old", "#REDIRECT [[Tide]]", redirect=True),
        page("틀:각주", "{{{1}}}", ns=10),
        page("조석", "달이 만든다."),
        page("빈 글", "{{각주}}"),
    ]
    found = read(tmp_path / "a.xml", dump(*pages))
    assert found.texts == ["달이 만든다."]
    assert found.drops == [
        ("a.xml:1", "no_article", "redirect"),
        ("a.xml:2", "no_article", "redirect"),
        ("a.xml:3", "no_article", "namespace 10"),
        ("a.xml:5", "no_text", "empty"),
    ]


def test_wiki_of_redirects_alone_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert len(read(tmp_path / "a.xml", dump(*[page("가", "#redirect [[나]]")] * 60)).drops) == 60


@pytest.mark.parametrize("text", ["{{" * 3000, "[[" * 3000, "{|" * 500 + "\n|a", "<ref>" * 800, "'''가'''" * 2000])
def test_wiki_article_of_unclosed_marks_takes_its_row_alone(tmp_path: Path, text: str) -> None:
    found = read(tmp_path / "a.xml", dump(page("가", text), page("조석", "달이 만든다.")))
    assert found.texts[-1] == "달이 만든다."
    assert len(found.texts) + len(found.drops) == 2


@pytest.mark.parametrize(("data", "said"), [
    (dump(page("가", "글"), page("나", "글"))[:-60], "behind page 1"),
    (b"<html><body/></html>", "no Wikipedia dump"),
    (b"not xml", "no Wikipedia dump"),
])  # fmt: skip
def test_wiki_dump_that_is_cut_off_or_none_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read(tmp_path / "a.xml", data)


def test_wiki_dump_with_a_cut_off_packing_is_refused_with_its_name(tmp_path: Path) -> None:
    packed = bz2.compress(dump(*[page(f"글 {n}", f"{n} {TIDE}") for n in range(50)]))
    (tmp_path / "a.xml.bz2").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match="damaged or cut off") as caught:
        read(tmp_path / "a.xml.bz2")
    assert "a.xml.bz2" in caught.value.where


def test_wiki_empty_dump_gives_no_row(tmp_path: Path) -> None:
    assert read(tmp_path / "a.xml", dump()).rows == []
    assert read(tmp_path / "b.xml", b"").rows == []


def test_wiki_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    """Pages outside the articles are let go one by one: ten times the pages, the same peak."""

    def peak(pages: int) -> int:
        path = tmp_path / f"{pages}.xml"
        path.write_bytes(dump(*[page("틀:가", "x" * 20_000, ns=10)] * pages))
        tracemalloc.start()
        from datakit.stages.ingest.rows import Reading
        from datakit.stages.ingest.wiki import _pages

        with path.open("rb") as stream:
            read_pages = sum(1 for _ in _pages(stream, Reading("a", "auto", "text", 64, None)))
        assert read_pages == pages
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(20)
    assert peak(400) < 1.5 * peak(40)
