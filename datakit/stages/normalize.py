"""normalize: one spelling for one text, before anything compares, counts or masks.

    broken decoding   UTF-8 read as Latin-1, Windows-1252 or CP949, and EUC-KR read as Latin-1, are read again (ftfy,
                      and two rules for Korean that ftfy lacks)
    entities          &amp; &lt; &#44032; -> & < 가, unless the text holds tags: then it is HTML source
    composition       NFC: Hangul syllables composed, also from conjoining jamo, so that macOS text equals everybody
                      else's; ㅋㅋ, full-width signs and half-width jamo stay (NFKC would change their letters)
    tidying           control and zero-width characters, white space, line ends, repeated ㅋㅋㅋㅋ, 와아아아아 and !!!!
                      (kernels/cleaning.py); rules (----, ====), Latin letters, digits and code are left alone
    markup            if asked for: HTML (pages by their main text, lone tags by pattern) and Markdown signs off

Two properties: normalising twice is normalising once (the steps are repeated on a text until it rests), and a text
that is clean is not touched, nor even turned into a Python string: a kernel says which rows need which step. Cost:
340 MB/s a core for clean text, 115 where a fifth of the texts needs tidying; ftfy runs at 1.6 MB/s, on suspicious
lines only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from datakit.schemas import map_texts, replace_column
from datakit.stage import Drop, Env, Field, Outcome, RowStage, RowWork, keep_where

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_ROUNDS = 8  # two are enough for all but constructed texts; the bound only says that it ends
_KINDS = ("mojibake", "entities", "nfc", "markup", "control", "spaces", "repeats")


class Normalize(RowStage):
    """Brings text into one spelling: composed Hangul, mended mojibake, plain white space, no control characters."""

    use: ClassVar[str] = "normalize"
    version: ClassVar[int] = 2
    rules: ClassVar[tuple[str, ...]] = ("empty",)

    repeats: Annotated[int, Field(ge=0, le=100)] = 3
    """How often one of ㅋㅠ!?~.…♥ or an emoji may stand in a row; longer runs are shortened to it, those of a syllable
    to three at least. 0 leaves them."""
    blank_lines: Annotated[int, Field(ge=0, le=10)] = 1
    """How many empty lines in a row are kept."""
    mojibake: bool = True
    """Whether wrongly decoded text is read again where that can be undone."""
    entities: bool = True
    """Whether HTML entities become characters in text that holds no tags."""
    markup: Literal["keep", "strip"] = "keep"
    """Whether HTML tags and Markdown signs stay in the text."""

    @property
    def frees_gil(self) -> bool:
        """Kernels do it, but for markup."""
        return self.markup == "keep"

    def open(self, env: Env) -> RowWork:
        from datakit.kernels import cleaning
        from datakit.kernels.compiled import announce

        announce(env.tell, "text kernels", cleaning.scan, cleaning.tidy)
        cleaner = _Cleaner(self)

        def work(batch: pa.RecordBatch) -> Outcome:
            counters: Counter[str] = Counter()
            batch, empty = cleaner.batch(batch, counters)
            return keep_where(batch, [Drop("empty", 0, 1) if gone else None for gone in empty], counters)

        return work


class _Cleaner:
    """The work of one open stage on Arrow arrays of text."""

    def __init__(self, settings: Normalize) -> None:
        from datakit.kernels import cleaning

        self.settings = settings
        self.wanted = cleaning.NFC | cleaning.TIDY
        self.steps: list[tuple[int, int, Callable[[str], str]]] = []
        if settings.entities:
            self._add(cleaning.ENTITIES, "entities", _characters_for_entities)
        if settings.mojibake:
            self._add(cleaning.MOJIBAKE, "mojibake", _decoded_again)
        if settings.markup == "strip":
            self._add(cleaning.MARKUP, "markup", _without_markup)
        self._add(cleaning.NFC, "nfc", _composed)

    def _add(self, flag: int, kind: str, step: Callable[[str], str]) -> None:
        self.wanted |= flag
        self.steps.append((flag, 1 << _KINDS.index(kind), step))

    def batch(self, batch: pa.RecordBatch, counters: Counter[str]) -> tuple[pa.RecordBatch, list[bool]]:
        """The batch with clean texts, and for every row whether nothing is left of it."""
        import pyarrow.compute as pc

        if "messages" not in batch.schema.names:
            before = pc.fill_null(batch.column("text"), "")
            texts = self.clean(before, counters)
            if texts is not before or batch.column("text").null_count:
                batch = replace_column(batch, "text", texts)
            return batch, pc.equal(pc.binary_length(texts), 0).to_pylist()
        if not self._examples_clean(batch):
            batch = map_texts(batch, lambda rows: self._rewrite(rows, counters))
        told = batch.column("messages").to_pylist()
        return batch, [not any(turn["content"] for turn in turns or ()) for turns in told]

    def _examples_clean(self, batch: pa.RecordBatch) -> bool:
        """Whether all texts of a batch of examples are clean already (a null must be rewritten: it becomes "")."""
        parts = [batch.column(name) for name in ("messages", "chosen", "rejected") if name in batch.schema.names]
        contents = [part.values.field("content") for part in parts]
        return all(not c.null_count and self.clean(c, Counter()) is c for c in contents)

    def _rewrite(self, rows: list[list[str]], counters: Counter[str]) -> list[list[str]]:
        import pyarrow as pa

        flat = pa.array([text for row in rows for text in row], pa.large_string())
        fresh = iter(self.clean(flat, counters).to_pylist())
        return [[next(fresh) for _ in row] for row in rows]

    def clean(self, array: pa.LargeStringArray, counters: Counter[str]) -> pa.LargeStringArray:
        """The texts at rest; the same object if all were. Adds to `counters` how many texts needed what."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        changed = np.zeros(len(array), np.int32)
        live = np.arange(len(array))
        texts = array
        for _ in range(_ROUNDS):
            fresh, what = self._round(texts)
            moved = np.flatnonzero(what)
            if not moved.size:
                break
            changed[live] |= what
            mask = np.zeros(len(array), np.bool_)
            mask[live[moved]] = True
            texts = fresh.take(pa.array(moved))
            array = fresh if len(moved) == len(array) else pc.replace_with_mask(array, mask, texts)
            live = live[moved]
        counters.update({kind: n for bit, kind in enumerate(_KINDS) if (n := int((changed >> bit & 1).sum()))})
        return array

    def _round(self, texts: pa.LargeStringArray) -> tuple[pa.LargeStringArray, np.ndarray[Any, Any]]:
        """One round of all steps: the texts after it, and bits of `_KINDS` for what changed."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from datakit.kernels import cleaning
        from datakit.kernels.characters import buffers

        repeats, blank_lines = self.settings.repeats, self.settings.blank_lines
        flags = cleaning.scan(*buffers(texts), repeats, blank_lines) & self.wanted
        what = np.zeros(len(texts), np.int32)
        slow = np.flatnonzero(flags & cleaning.SLOW)
        if slow.size:
            pairs = zip(texts.take(pa.array(slow)).to_pylist(), flags[slow].tolist(), strict=True)
            mended, done = zip(*(self._mend(text, flag) for text, flag in pairs), strict=True)
            what[slow] = done
            texts = pc.replace_with_mask(texts, flags & cleaning.SLOW > 0, pa.array(mended, pa.large_string()))
        rows = np.flatnonzero(flags)
        if rows.size:
            suspects = texts.take(pa.array(rows))
            offsets, data, tidied = cleaning.tidy(*buffers(suspects), repeats, blank_lines)
            if tidied.any():
                what[rows] |= tidied.astype(np.int32) << _KINDS.index("control")
                tidy = pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(data))
                texts = pc.replace_with_mask(texts, flags > 0, tidy)
        return texts, what

    def _mend(self, text: str, flags: int) -> tuple[str, int]:
        what = 0
        for flag, bit, step in self.steps:
            if flags & flag and (after := step(text)) != text:
                text, what = after, what | bit
        return text, what


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def _characters_for_entities(text: str) -> str:
    """Entities that HTML knows, with their semicolon, become characters; a text with tags is left alone."""
    return text if _TAG.search(text) else _ENTITY.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    entity = found[0]
    return unescape(entity) if entity[1] == "#" or entity[1:] in html5 else entity


# What a Latin-1 or Windows-1252 reader makes of bytes above 0x7F, four and more in a row: EUC-KR text, as ÇÑ±¹¾î.
_HIGH = "[\u0080-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
_HIGH_RUN, _HIGH_PAIR, _HIGH_ONE = (re.compile(_HIGH + count) for count in ("{4,}", "{2,}", ""))
_LETTERS_ONLY = re.compile("[가-힣ㄱ-ㅣ]")


def _decoded_again(text: str) -> str:
    """Line by line, so that one good line does not stop a bad one from being read again, nor the other way round."""
    return "\n".join(line if line.isascii() else _line_again(line) for line in text.split("\n"))


def _line_again(line: str) -> str:
    from ftfy import fix_encoding

    if (utf8 := _utf8_behind_cp949(line)) is not None:
        return utf8
    if (euc := _HIGH_RUN.sub(_korean_behind_latin, line)) != line:
        return _HIGH_PAIR.sub(_korean_behind_latin, euc)  # the line is EUC-KR: words of one syllable too
    return fix_encoding(line) if _HIGH_ONE.search(line) else line


def _utf8_behind_cp949(line: str) -> str | None:
    """UTF-8 that was read as CP949: its bytes are valid UTF-8 again, which ordinary Korean never is, and give
    Hangul."""
    try:
        again = line.encode("cp949").decode("utf-8")
    except UnicodeError:
        return None
    return again if _LETTERS_ONLY.search(again) else None


def _korean_behind_latin(found: re.Match[str]) -> str:
    """EUC-KR that was read as Latin-1 or Windows-1252, if four fifths of it are then Hangul; UTF-8 is for ftfy."""
    run = found[0]
    try:
        raw = b"".join(_single_byte(char) for char in run)
        again = raw.decode("euc_kr")
    except UnicodeError:
        return run
    return again if len(_LETTERS_ONLY.findall(again)) * 5 >= len(again) * 4 and not _is_utf8(raw) else run


def _single_byte(char: str) -> bytes:
    return char.encode("latin-1") if ord(char) < 0x100 else char.encode("cp1252")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_BLOCK = re.compile(r"<!--|<(script|style|head|noscript)\b[^<>]*>", re.I)
_MARKUP = (
    (re.compile(r"<(?:br|hr)\b[^<>]*>|</?(?:p|div|li|ul|ol|tr|table|h[1-6]|section|article)\b[^<>]*>", re.I), "\n"),
    (_TAG, ""),
    (re.compile(r"^ {0,3}(?:```|~~~).*$", re.M), ""),
    (re.compile(r"^ {0,3}#{1,6}[ \t]+", re.M), ""),
    (re.compile(r"^ {0,3}>[ \t]?", re.M), ""),
    (re.compile(r"^ {0,3}(?:[-*_][ \t]*){3,}$", re.M), ""),
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\s\"[^\"\n]*\")?\)"), r"\1"),
    (re.compile(r"(?<![\w*])(\*\*|__|\*|~~)(?=\S)([^*_~\n]+?)(?<=\S)\1(?!\*)"), r"\2"),
    (re.compile(r"`+([^`\n]+)`+"), r"\1"),
)
"""HTML tags, then Markdown: what is found and what stands in its place."""


# A text that begins as a page or a piece of one; a tag inside of plain text is no page.
_PAGE = re.compile(
    r"\s*<(?:!doctype|html|head|body|main|article|section|div|p|table|[uo]l|h[1-6]|blockquote)\b[^<>]*>", re.I
)


def _without_markup(text: str) -> str:
    """HTML pages by their main text, tags in other texts and Markdown by pattern."""
    from datakit.webpage import main_text

    if _PAGE.match(text) and "</" in text:
        text = main_text(text) or text
    text = _without_blocks(text)
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    return text


def _without_blocks(text: str) -> str:
    """Comments, scripts and styles cut out. By hand, because a lazy pattern is quadratic where nothing closes."""
    lower, kept, at, unclosed = text.lower(), [], 0, set()
    for found in _BLOCK.finditer(text):
        end = f"</{found[1].lower()}" if found[1] else "-->"
        if found.start() < at or end in unclosed or len(lower) != len(text):
            continue
        close = lower.find(end, found.end())
        if close < 0:
            unclosed.add(end)
            continue
        kept.append(text[at : found.start()])
        after = text.find(">", close)
        at = after + 1 if after >= 0 else len(text)
    return "".join([*kept, text[at:]])
