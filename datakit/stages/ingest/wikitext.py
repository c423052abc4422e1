"""Wikitext to plain text, by the parse tree of mwparserfromhell.

    kept        prose, link texts, headings and lists (as Markdown), tables of data (as Markdown), formulas, code
    left out    references, templates (but the text inside of {{llang}}, {{nowrap}} and their like), pictures with their
                captions, categories, comments, switches such as __목차__, sections that only list sources and links

The parser's own `strip_code` is not enough: it leaves categories, captions with their options, switches and the
cells of tables in the text. Brackets that lost all they held ("조석(潮汐, )은") are mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from datakit.stages.ingest.zipped import table_text

WORD = re.compile(r"[\w-]+")
REDIRECT = re.compile(r"\s*#(?:redirect|넘겨주기)\b", re.I)
# Namespaces whose links are no words of the text, in Korean and English; and the codes of other languages.
HIDDEN_LINK = re.compile(r"\s*(?:(?i:파일|그림|분류|미디어|file|image|category|media)|[a-z]{2,3}(?:-[a-z]+)*)\s*:")
SOURCES = frozenset(
    {"각주", "주석", "참고 문헌", "참고문헌", "참고 자료", "외부 링크", "외부링크", "같이 보기", "더 보기", "출처"}
    | {"references", "notes", "footnotes", "citations", "sources", "external links", "see also", "further reading"}
    | {"bibliography", "notes and references"}
)
"""Titles of sections that list sources and links."""
TRANSPARENT = frozenset(
    WORD.findall("llang lang lang-en lang-ko nowrap nobr small big 작게 언어 zh 한자 ruby 루비 sic abbr 날짜 mvar math")
)
"""Templates that only dress the text in their last argument without a name."""
GONE = frozenset(
    WORD.findall(
        "ref references gallery imagemap timeline score style templatestyles script section inputbox graph maplink "
        "mapframe indicator categorytree hiero chem"
    )
)
CODE = frozenset({"syntaxhighlight", "source", "pre"})
LISTS = {"*": "- ", "#": "- ", ":": "", ";": ""}
SWITCH = re.compile(r"__[^\W_a-z\d]{2,30}__|-\{(?:[^{}|]*\|)?|\}-")
EMPTY = re.compile(r"[(（]\s*[,;:，、/·]*\s*[)）]")
LEFT_OPEN, LEFT_SHUT = re.compile(r"([(（])\s*[,;，、]\s*"), re.compile(r"\s*[,;，、]\s*([)）])")
BLANKS = re.compile(r"\n{3,}")
HEADING = re.compile(r"^(#{1,6}) (.*)$")


def is_redirect(source: str) -> bool:
    """Whether a page only points to another one."""
    return REDIRECT.match(source) is not None


def plain_text(source: str) -> str:
    """The text of an article."""
    import mwparserfromhell

    code = mwparserfromhell.parse(source, skip_style_tags=True)
    text = "".join(_texts(code.nodes)).replace("'''", "").replace("''", "")
    text = LEFT_SHUT.sub(r"\1", LEFT_OPEN.sub(r"\1", EMPTY.sub("", SWITCH.sub("", text))))
    lines = [line.rstrip() for line in text.split("\n")]
    return BLANKS.sub("\n\n", "\n".join(_with_content(lines))).strip()


def _texts(nodes: list[Any]) -> Iterator[str]:
    from mwparserfromhell import nodes as kinds

    marks = ""
    for node in nodes:
        if isinstance(node, kinds.Tag) and node.wiki_markup in LISTS:
            marks += str(node.wiki_markup)
            continue
        if marks:
            yield "  " * (len(marks) - 1) * (marks[-1] in "*#") + LISTS[marks[-1]]
        if isinstance(node, kinds.Text):
            yield str(node.value).lstrip(" ") if marks else str(node.value)
        elif isinstance(node, kinds.Wikilink):
            yield from _link(node)
        elif isinstance(node, kinds.ExternalLink):
            yield from _texts(node.title.nodes) if node.title is not None else ()
        elif isinstance(node, kinds.Heading):
            yield "\n" + "#" * node.level + " " + "".join(_texts(node.title.nodes)).strip() + "\n"
        elif isinstance(node, kinds.Tag):
            yield from _tag(node)
        elif isinstance(node, kinds.Template):
            yield from _template(node)
        elif isinstance(node, kinds.HTMLEntity):
            yield node.normalize()
        marks = ""


def _link(node: Any) -> Iterator[str]:
    title = str(node.title)
    if HIDDEN_LINK.match(title):
        return
    if node.text is not None:
        yield from _texts(node.text.nodes)
    else:
        yield title.lstrip(":").strip()


def _template(node: Any) -> Iterator[str]:
    if str(node.name).strip().lower() in TRANSPARENT:
        plain = [one for one in node.params if not one.showkey]
        if plain:
            yield from _texts(plain[-1].value.nodes)


def _tag(node: Any) -> Iterator[str]:
    name = str(node.tag).strip().lower()
    if name in GONE or node.contents is None:
        yield "\n" if name in ("br", "hr") else ""
    elif name == "br":
        yield "\n"
    elif name == "table":
        yield f"\n\n{_table(node)}\n\n"
    elif name == "math":
        yield f"${str(node.contents).strip()}$"
    elif name in CODE:
        yield f"\n\n```\n{str(node.contents).strip(chr(10))}\n```\n\n"
    elif name == "nowiki":
        yield str(node.contents)
    elif name == "code":
        yield "`" + "".join(_texts(node.contents.nodes)) + "`"
    elif name in ("p", "div", "blockquote", "center", "poem"):
        yield "\n" + "".join(_texts(node.contents.nodes)) + "\n"
    else:
        yield from _texts(node.contents.nodes)


def _table(table: Any) -> str:
    """A table as Markdown: rows are below `tr`, or right below the table where the first row has no mark."""
    rows: list[list[str]] = [[]]
    for node in table.contents.nodes:
        name = str(getattr(node, "tag", "")).strip().lower()
        if name == "tr" and node.contents is not None:
            rows.append([_cell(cell) for cell in node.contents.nodes if str(getattr(cell, "tag", "")) in ("td", "th")])
        elif name in ("td", "th"):
            rows[-1].append(_cell(node))
    return table_text(row for row in rows if row)


def _cell(cell: Any) -> str:
    return "".join(_texts(cell.contents.nodes)) if cell.contents is not None else ""


def _with_content(lines: list[str]) -> list[str]:
    """The lines without sections of sources and links, and without headings that have nothing below them."""
    kept: list[str] = []
    skipping = 0
    for line in lines:
        found = HEADING.match(line)
        level = len(found[1]) if found else 0
        if found and skipping and level > skipping:
            continue
        if found:
            skipping = level if found[2].strip().lower() in SOURCES else 0
            _drop_bare_headings(kept, level)
        if not skipping and line != "-":
            kept.append(line)
    _drop_bare_headings(kept, 1)
    return kept


def _drop_bare_headings(kept: list[str], level: int) -> None:
    """Take back headings at the end of `kept` that a heading of `level` shows to be empty."""
    while True:
        last = next((place for place in range(len(kept) - 1, -1, -1) if kept[place]), None)
        found = HEADING.match(kept[last]) if last is not None else None
        if last is None or found is None or len(found[1]) < level:
            return
        del kept[last:]
