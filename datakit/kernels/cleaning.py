"""Two kernels behind `normalize`: `scan` says what a text may need, `tidy` rewrites bytes.

`scan` only suspects: a flag costs a look by slower code, a missing flag must mean that there is nothing to do.
`tidy` does all that never makes a text longer, in one pass without Python strings: control and zero-width characters,
white space, line ends, repeated characters. `scan` runs at 400 MB/s a core; `tidy`, on suspects only, at 150.
`tidy_text` is the plain-Python reference.

    line ends      CR, CRLF, VT, FF, NEL, U+2028/9 -> LF; at most `blank_lines` empty lines in a row; none at either
                   end
    spaces         any Unicode space -> one ASCII space; none before a line end. Kept as they are: the indentation of a
                   line, tabs, and runs of spaces in fenced (```) or indented code
    controls       removed, with soft hyphens, byte-order marks, directional marks and zero-width characters. Kept: a
                   zero-width joiner after an emoji or a letter of another script (Indic, Arabic), and flag tags
    repeats        one character of ㅋㅠ-like jamo, !?~.… hearts, stars or emoji, more than `repeats` times in a row; a
                   syllable (와아아아아) more than three times at least (바나나 is a word); nothing in code
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

from datakit.kernels.characters import (
    CONTROL,
    HANGUL,
    JAMO,
    LETTER,
    MARK,
    SPACE,
    SYMBOL,
    char_class,
    class_of,
    decode,
)
from datakit.kernels.compiled import kernel

NFC, ENTITIES, MOJIBAKE, MARKUP, TIDY = 1, 2, 4, 8, 16
"""Flags of `scan`: may not be composed, may hold HTML entities, may be wrongly decoded, may hold tags or Markdown, may
be changed by `tidy`."""
SLOW = NFC | ENTITIES | MOJIBAKE | MARKUP
"""The flags that Python looks at; the others are for `tidy`."""
CONTROLS, SPACES, REPEATS = 1, 2, 4
"""Flags of `tidy`: what it changed."""
REPEATABLE = frozenset("!?~.…·^♡♥❤★☆！？～。、ㅡ")
"""Signs whose runs are shortened, beside jamo and emoji; not `-=_#*`, which draw rules and Markdown, nor letters."""
SYLLABLES = 3
"""So often a syllable may stand in a row whatever `repeats` says."""

_LINE_ENDS = "\n\r\v\f\x85\u2028\u2029"
# What Windows-1252 shows for the bytes 0x80-0x9F.
_CP1252 = bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")


def _unstable() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Code points below U+10000 that NFC may change, or may join with the one before."""

    def unstable(point: int) -> bool:
        char = chr(point)
        if 0xAC00 <= point <= 0xD7A3 or 0x4E00 <= point <= 0x9FFF or 0xD800 <= point <= 0xF8FF:
            return False
        marks = unicodedata.category(char)[0] == "M" and not 0xFE00 <= point <= 0xFE0F
        return marks or 0x1161 <= point <= 0x11FF or not unicodedata.is_normalized("NFC", char)

    return np.array([unstable(point) for point in range(0x10000)], np.bool_)


def _korean_common() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of the 11,172 syllables are among the 2,350 of KS X 1001, that is, in ordinary use."""
    return np.array([len(chr(0xAC00 + i).encode("euc_kr", "ignore")) == 2 for i in range(11172)], np.bool_)


_UNSTABLE = _unstable()
_COMMON = _korean_common()
_TRAIL = np.zeros(0x2200, np.bool_)
_TRAIL[0x80:0xC0] = True
_TRAIL[[ord(char) for char in _CP1252]] = True
# What `scan` looks at; 0 for ASCII letters, digits and most signs, which it passes by.
_SIGN, _SPACE, _REMOVED, _REPEATS, _AMPERSAND, _NOT_ASCII = 1, 2, 4, 8, 16, 32
_ASCII = np.zeros(256, np.uint8)
_ASCII[128:] = _NOT_ASCII
for _chars, _kind in (("<`*#[_>~-", _SIGN), (" \t\n", _SPACE), ("!?~.^", _REPEATS), ("&", _AMPERSAND)):
    _ASCII[[ord(char) for char in _chars]] |= _kind
_ASCII[[*range(9), *range(11, 32), 127]] |= _REMOVED
_REPEATABLE = np.zeros(0x10000, np.bool_)
_REPEATABLE[[ord(char) for char in REPEATABLE]] = True
_BREAKS = np.zeros(0x2030, np.bool_)
_BREAKS[[ord(char) for char in _LINE_ENDS]] = True


@kernel
def scan(offsets: Any, data: Any, repeats: int, blank_lines: int) -> Any:
    """One byte of flags a text: NFC, ENTITIES, MOJIBAKE, MARKUP, and TIDY with the settings of `tidy`."""
    flags = np.zeros(offsets.size - 1, np.uint8)
    for row in range(flags.size):
        flags[row] = _scan_text(data, offsets[row], offsets[row + 1], repeats, blank_lines)
    return flags


@kernel
def _scan_text(data: Any, i: int, end: int, repeats: int, blank_lines: int) -> int:
    """`before` is the code point before, `same` how often it stood there before that, `empty` how many empty lines,
    `line` where the line begins; `inner`, `fenced` and `code` are those of `_tidy_text`."""
    found, high, odd, same, empty, line = 0, 0, 0, 0, 0, i
    before: Any = 10
    inner, fenced, code = False, False, False
    if i < end and (data[i] <= 32 or data[end - 1] <= 32):
        found |= TIDY
    while i < end:
        byte = np.int64(data[i])
        kind = _ASCII[byte]
        if inner and not kind:
            i += 1
            while i < end and not _ASCII[data[i]]:
                i += 1
            before, high = np.int64(data[i - 1]), 0
            continue
        if kind & _SPACE:
            if byte == 10:
                empty = 0 if inner else empty + 1
                if empty > blank_lines or before == 32 or before == 9:
                    found |= TIDY
                inner, line = False, i + 1
            elif byte == 32 and before == 32 and inner and not code:
                found |= TIDY
            before, i, high = byte, i + 1, 0
            continue
        if not inner:
            inner = True
            if byte == 96 and _fence(data, i, end):
                fenced = not fenced
            code = fenced or i - line >= 4 or (i > line and data[line] == 9)
        if byte < 0x80:
            if kind & _REMOVED:
                found |= TIDY
            if kind & _SIGN:
                found |= MARKUP
            if byte == 38 and _entity_ahead(data, i + 1, end):  # &
                found |= ENTITIES
            if kind & _REPEATS:
                same = same + 1 if byte == before else 0
                if 0 < repeats <= same and not code:
                    found |= TIDY
            before, i, high = byte, i + 1, 0
            continue
        point, i = decode(data, i, end)
        same = same + 1 if point == before else 0
        if 0xAC00 <= point <= 0xD7A3:
            odd += not _COMMON[point - 0xAC00]
            odd += _is_han(before)
            if 0 < repeats <= same and same >= SYLLABLES and not code:
                found |= TIDY
            before, high = point, 0
            continue
        # UTF-8 read as Latin-1 or Windows-1252: a lead byte's letter (Â to ô) before a trail byte's sign.
        if point < 0x2200 and _TRAIL[point] and (0xC2 <= before <= 0xF4 or point < 0xA0):
            found |= MOJIBAKE
        if 0xA1 <= point <= 0xFE:  # EUC-KR read as Latin-1: long runs of high letters, as ÇÑ±¹
            high += 1
            if high >= 4:
                found |= MOJIBAKE
        else:
            high = 0
        unstable = _UNSTABLE[point] if point < 0x10000 else (point < 0x1F000 or point >= 0x2F800)
        if unstable:
            found |= NFC
        shape = char_class(point)
        if shape in (SPACE, CONTROL) or (0 < repeats <= same and not code and _repeatable(point, shape, same)):
            found |= TIDY
        odd += _is_han(point) != _is_han(before) and _joins_no_han(point if _is_han(before) else before)
        before = point
    if odd >= 2:  # UTF-8 read as CP949 gives rare syllables, and Chinese characters glued to anything
        found |= MOJIBAKE
    return found


@kernel
def _is_han(point: int) -> bool:
    return 0x4E00 <= point <= 0x9FFF or 0xF900 <= point <= 0xFAFF


@kernel
def _joins_no_han(point: int) -> bool:
    """Whether a character beside a Chinese one is a surprise: not ASCII, CJK or general punctuation, kana."""
    ordinary = point < 0x80 or 0x2000 <= point <= 0x206F or 0x3000 <= point <= 0x30FF or 0xFF00 <= point <= 0xFFEF
    return not ordinary


@kernel
def _entity_ahead(data: Any, i: int, end: int) -> bool:
    """Whether `name;` or `#123;` follows, 32 bytes at most. HTML knows names without `;`; they are left alone."""
    last = min(end, i + 32)
    start = i
    while i < last:
        byte = data[i]
        if byte == 59:
            return i > start + 1
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or (byte == 35 and i == start)):
            return False
        i += 1
    return False


@kernel
def tidy(offsets: Any, data: Any, repeats: int, blank_lines: int) -> tuple[Any, Any, Any]:
    """(offsets, bytes, flags a text) of the tidied texts. `repeats` 0: leave repeats alone."""
    rows = offsets.size - 1
    places = np.zeros(rows + 1, np.int64)
    out = np.empty(offsets[rows] - offsets[0], np.uint8)
    flags = np.zeros(rows, np.uint8)
    for row in range(rows):
        flags[row], places[row + 1] = _tidy_text(
            data, offsets[row], offsets[row + 1], out, places[row], repeats, blank_lines
        )
    return places, out[: places[rows]], flags


@kernel
def _tidy_text(data: Any, i: int, end: int, out: Any, start: int, repeats: int, blank_lines: int) -> tuple[int, int]:
    """Write one text at `start` of `out`: (what changed, where it ends).

    `w` is where the next byte goes, `solid` the end of what is surely kept: white space after `solid` is tentative.
    """
    changed, w, solid, line = 0, start, start, start
    newlines, run, before, before_class = 0, 0, -1, -1
    fenced, code = False, False
    while i < end:
        here = i
        point, i = decode(data, i, end)
        kind = char_class(point)
        if kind == SPACE:
            if point < 0x2030 and _BREAKS[point]:
                if point == 13 and i < end and data[i] == 10:
                    i += 1
                changed |= SPACES if w > solid + newlines or point != 10 else 0
                if solid > start and newlines <= blank_lines:
                    out[solid + newlines] = 10
                    newlines += 1
                else:
                    changed |= SPACES
                w = solid + newlines
                line = w
            elif solid == start:
                changed |= SPACES
            else:
                space = 9 if point == 9 else 32
                inner = newlines == 0
                if inner and space == 32 and not code and w > start and out[w - 1] == 32:
                    changed |= SPACES
                else:
                    changed |= SPACES if point != space and point != 32 else 0
                    out[w] = space
                    w += 1
            before, before_class, run = point, kind, 0
            continue
        if kind == CONTROL and not _kept_control(point, before, before_class):
            changed |= CONTROLS
            continue
        if newlines or solid == start:
            if _fence(data, here, end):
                fenced = not fenced
            code = fenced or w - line >= 4 or (w > line and out[line] == 9)
            newlines = 0
        if point == before:
            run += 1
            if not code and 0 < repeats <= run and _repeatable(point, kind, run):
                changed |= REPEATS
                solid = w
                continue
        else:
            run = 0
        while here < i:
            out[w] = data[here]
            w += 1
            here += 1
        solid = w
        before, before_class = point, kind
    return changed | (SPACES if w > solid else 0), solid


@kernel
def _kept_control(point: int, before: int, before_class: int) -> bool:
    """Joiners that shape what stands before them: in emoji sequences and in scripts that are neither Latin nor CJK."""
    if point in (0x200C, 0x200D):
        return before_class in (SYMBOL, MARK, LETTER)
    return 0xE0020 <= point <= 0xE007F and before_class in (SYMBOL, CONTROL)


@kernel
def _repeatable(point: int, kind: int, run: int) -> bool:
    """Whether a character that stood `run` times before itself may go, `run` being what `repeats` allows or more."""
    if kind == HANGUL:
        return run >= SYLLABLES
    if point < 0x10000:
        return kind == JAMO or _REPEATABLE[point]
    return kind == SYMBOL and not 0x1F1E6 <= point <= 0x1F1FF  # not the letters that make flags


@kernel
def _fence(data: Any, i: int, end: int) -> bool:
    return i + 3 <= end and data[i] == 96 and data[i + 1] == 96 and data[i + 2] == 96


def tidy_text(text: str, repeats: int, blank_lines: int) -> str:
    """What `tidy` is held to, in plain Python and by other means: lines and words instead of one pass over bytes."""
    kept: list[str] = []
    for char in text.replace("\r\n", "\n"):
        if class_of(char) != CONTROL or _kept_control.py_func(ord(char), *_last(kept)):
            kept.append(char)
    text = "".join("\n" if c in _LINE_ENDS else c if c == "\t" or not c.isspace() else " " for c in kept).strip()
    lines: list[str] = []
    fenced, empty = False, 0
    for line in text.split("\n"):
        body = line.strip(" \t")
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        fenced ^= body.startswith("```")
        code = fenced or len(indent) >= 4 or indent.startswith("\t")
        while not code and "  " in body:
            body = body.replace("  ", " ")
        empty = 0 if body else empty + 1
        if empty <= blank_lines:
            lines.append(indent + (body if code else _shortened(body, repeats)) if body else "")
    return "\n".join(lines)


def _last(kept: list[str]) -> tuple[int, int]:
    return (ord(kept[-1]), class_of(kept[-1])) if kept else (-1, -1)


def _shortened(body: str, repeats: int) -> str:
    out: list[str] = []
    run = 0
    for i, char in enumerate(body):
        run = run + 1 if i and body[i - 1] == char else 0
        if not (0 < repeats <= run and _repeatable.py_func(ord(char), class_of(char), run)):
            out.append(char)
    return "".join(out)
