"""A document as a reader sees it: title, headings, paragraphs, lists, sentences; and passages cut to a length.

Works on plain text and on Markdown, with or without blank lines between paragraphs, wrapped lines or not. Everything is
found in one pass over the lines; nothing is looked up, so Korean and English take the same path, apart from what
ends a sentence (a full stop in both) and what counts as long (a Hangul syllable says about as much as two letters).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

UnitKind = Literal["title", "heading", "prose", "list", "other"]

HANGUL = re.compile(r"[가-힣]")
HANGUL_RUN, LATIN_RUN = re.compile(r"[가-힣]+"), re.compile(r"[A-Za-z\u00c0-\u024f]+")
TAG = re.compile(r"\[[A-Z가-힣][A-Z가-힣_]{1,15}(?:[ _]?\d+)?\]|<[A-Z_]{3,}\d*>|\*{3,}")
"""A stand-in for personal data: it may be read, never asked for."""
MARKED = re.compile(r"[\[<*]")
ODD = re.compile(r"[|`<>{}=\\\ufffd…]|[#@]\w")
ODD_PARTS = ("http://", "https://", "www.", "**", "](", "![", "..")
"""Marks that a sentence was no plain sentence: addresses, mark-up, a thought left open."""
FORWARD = re.compile(
    r"\b(?:the following|as follows|(?:shown |listed |described )?below|above)\b"
    r"|(?:다음|아래|위)(?:과|와|에|의) ?(?:같|나오|나온|표|그림|예|코드|목록)|아래 표|다음 표"
)
"""Points to what stands elsewhere in the text, so that the sentence alone is no answer."""
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)|(?<=s)['’](?= )")
QUOTES = re.compile("[\"'“”‘’「」『』«»]")
LIST_ITEM = re.compile(r"(?:[-*•+·]|\(?\d{1,2}[.)]|[①-⑳])\s+\S")
BULLETS = frozenset("-*•+·(①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳")
NUMBERED = re.compile(r"^\s*\(?(\d{1,2})[.)]\s+(.+)$")
HEADING = re.compile(r"#{1,6}\s+(?=\S)")
TITLE_MARK = re.compile(r"^(?:제목|Subject|Title)\s*:\s*", re.IGNORECASE)
CLOSERS = "\"'”’)]」』"
"""What may stand behind the mark that ends a sentence."""
FULL_STOP = re.compile(rf"[.!?…。][{re.escape(CLOSERS)}]*\s+")
ENDS = frozenset(".!?…。:;,")
LETTER = re.compile(r"[^\W_]")
TAIL = 10
"""Characters that are looked at for an abbreviation: the longest, what stands before it and the full stop."""
ABBREVIATED = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|cf|approx|No|Nos|Fig|Vol|a\.m|p\.m|Inc|Ltd|Co)"
    r"|\b[A-Z]|^\(?\d{1,2}|(?:^|\s)[가나다라마바사아자차카타파하Q])\.$"
)
"""A full stop after one of these ends no sentence: Mr., e.g., an initial, a list number, `가.`"""


@dataclass(slots=True)
class Unit:
    """A line of a document, or a few that were wrapped: what it is, its text, the blank-line block it stands in."""

    kind: UnitKind
    text: str
    block: int
    level: int = 0
    _sentences: list[str] | None = None
    _plain: list[bool] | None = None

    @property
    def sentences(self) -> list[str]:
        """The sentences of a prose unit, white space trimmed; split once."""
        if self._sentences is None:
            self._sentences = split_sentences(self.text) if self.kind == "prose" else []
        return self._sentences

    def plain(self, language: str) -> list[bool]:
        """For each sentence whether it `is_plain`; found out once."""
        if self._plain is None:
            self._plain = [is_plain(sentence, language) for sentence in self.sentences]
        return self._plain


@dataclass(slots=True)
class Page:
    """A document: its title ("" if it shows none) and its units in order, without the title."""

    title: str
    language: str
    units: list[Unit] = field(default_factory=list)
    talk: bool | None = None
    exchange: bool | None = None
    """What `alone.is_talk` and `alone.is_exchange` found; None until asked."""
    _plain: list[tuple[int, int, str]] | None = None

    def plain_sentences(self) -> list[tuple[int, int, str]]:
        """Every plain sentence of prose with the places of its unit and of itself; found out once."""
        if self._plain is None:
            self._plain = [
                (place, inner, text)
                for place, unit in enumerate(self.units)
                if unit.kind == "prose"
                for inner, (text, plain) in enumerate(zip(unit.sentences, unit.plain(self.language), strict=True))
                if plain
            ]
        return self._plain

    def section(self, start: int) -> list[Unit]:
        """The units from `start` to the next heading or whatever is neither prose nor list."""
        end = start
        while end < len(self.units) and self.units[end].kind in ("prose", "list"):
            end += 1
        return self.units[start:end]

    def lead(self, limit: int, start: int = 0) -> tuple[str, bool]:
        """The text from unit `start` to the next heading, at most `limit` characters, and whether that is all of it."""
        end = start + len(self.section(start))
        taken, length = start, 0
        while taken < end and length + len(self.units[taken].text) <= limit:
            length += len(self.units[taken].text) + 2
            taken += 1
        if taken > start:
            return self.joined(start, taken), taken == end
        return (_first_of(self.units[start].sentences, limit), False) if start < end else ("", False)

    def joined(self, first: int, last: int) -> str:
        """Units as text: a blank line where the document had one."""
        text, block = "", -1
        for unit in self.units[first:last]:
            text += ("" if not text else "\n" if unit.block == block else "\n\n") + unit.text
            block = unit.block
        return text


def read_page(text: str, language: str) -> Page:
    """The page of a text in `language` (ko or en)."""
    units = _units(text, 60 if language == "ko" else 90)
    page = Page("", language, units)
    if len(units) > 1 and units[0].kind == "heading" and any(unit.kind in ("prose", "list") for unit in units[1:]):
        page.title = units[0].text
        page.units = units[1:]
    return page


def language_of(text: str, lang: str | None) -> str:
    """`ko`, `en`, or what the document's own `lang` says; without one, by the share of Hangul."""
    if lang:
        return lang
    hangul, latin = _length(HANGUL_RUN, text), _length(LATIN_RUN, text)
    if hangul + latin < 0.4 * len(text.split()):
        return "other"
    return "ko" if hangul * 2 >= latin else "en"


def _length(pattern: re.Pattern[str], text: str) -> int:
    """How many characters of a text a pattern matches."""
    return sum(map(len, pattern.findall(text)))


def split_sentences(text: str) -> list[str]:
    """Sentences of one paragraph, closing quotes with the sentence they close."""
    found, start = [], 0
    for mark in FULL_STOP.finditer(text):
        piece = text[start : mark.end()].strip()
        following = text[mark.end() : mark.end() + 1]
        if ABBREVIATED.search(piece[-TAIL:]) or following.islower():
            continue
        found.append(piece)
        start = mark.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found


def is_plain(sentence: str, language: str) -> bool:
    """Whether a sentence can be quoted and asked about: whole, of middle length, no tag, mark-up or loose bracket."""
    low, high = (12, 170) if language == "ko" else (30, 280)
    if not low <= len(sentence) <= high or sentence.rstrip(CLOSERS)[-1:] not in (".", "!", "?"):
        return False
    if language == "en" and (not (sentence[0].isupper() or sentence[0].isdigit()) or HANGUL.search(sentence)):
        return False
    if language == "ko" and 2 * _length(HANGUL_RUN, sentence) < len(sentence.replace(" ", "")):
        return False
    if (MARKED.search(sentence) and TAG.search(sentence)) or is_odd(sentence) or SPEAKER.match(sentence):
        return False
    return sentence.count("(") == sentence.count(")")


SPEAKER = re.compile(r"^(?:[^\s:]{1,20} ?){1,3}: |^[QA][.:] |^\[|^\([^)]{1,6}\) |^[①-⑳→└▶■※]")
"""A speaker's name, a question mark of a form or a bullet before the sentence: what follows is not alone."""


def is_odd(text: str) -> bool:
    """Whether a text holds mark-up, an address or a thought left open."""
    return bool(ODD.search(text)) or any(part in text for part in ODD_PARTS)


def words(text: str) -> frozenset[str]:
    """A set of words, written as a sentence of them."""
    return frozenset(text.split())


def unquoted(sentence: str) -> bool:
    """Whether a sentence holds no quotation mark, so that it can stand between two. An apostrophe is none."""
    return not QUOTES.search(sentence) or not QUOTES.search(APOSTROPHE.sub("", sentence))


def _units(text: str, longest_heading: int) -> list[Unit]:
    units: list[Unit] = []
    block, fenced, wrapped = 0, False, False
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        bare = line.strip()
        if bare.startswith(("```", "~~~")):
            fenced, wrapped = not fenced, False
            units.append(Unit("other", bare, block))
        elif fenced:
            units.append(Unit("other", line, block))
        elif not bare:
            block, wrapped = block + 1, False
        elif wrapped and not _listed(bare) and not (line[0] == "#" and HEADING.match(line)):
            units[-1].text += " " + bare
            wrapped = not _ended(bare)
        else:
            unit = _unit(bare, block, longest_heading)
            units.append(unit)
            wrapped = unit.kind in ("prose", "list") and len(bare) >= 40 and not _ended(bare)
    return units


def _unit(bare: str, block: int, longest_heading: int) -> Unit:
    if bare[0] == "#" and (found := HEADING.match(bare)):
        text = bare[found.end() :]
        text = text.rstrip("#").rstrip() or text[:1]
        return Unit("heading", text.replace("**", "").replace("`", ""), block, level=1)
    if _listed(bare):
        return Unit("list", bare, block)
    if bare[0] == ">" or not LETTER.search(bare):
        return Unit("other", bare, block)
    plain = TITLE_MARK.sub("", bare)
    if len(plain) <= longest_heading and (not _ended(plain) or (block == 0 and plain.endswith("?"))):
        return Unit("heading", plain.strip("*_ "), block)
    return Unit("prose", bare, block)


def _listed(bare: str) -> bool:
    """Whether a line is an item of a list."""
    return (bare[0] in BULLETS or bare[0].isdigit()) and LIST_ITEM.match(bare) is not None


def _ended(text: str) -> bool:
    """Whether a line ends as a sentence or a clause does."""
    return text.rstrip(CLOSERS)[-1:] in ENDS


def _first_of(sentences: list[str], limit: int) -> str:
    """As many first sentences as fit."""
    taken = len(sentences)
    while taken and len(" ".join(sentences[:taken])) > limit:
        taken -= 1
    return " ".join(sentences[:taken])
