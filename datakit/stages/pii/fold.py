"""A text as the rules see it: look-alike characters folded one to one, invisible ones left out, offsets kept.

Full-width digits and letters, dashes of all kinds, special spaces and mask signs become their ASCII forms; zero-width
characters, soft hyphens, direction marks, NUL and halves of surrogate pairs inside a value vanish. `original` leads
back to the text as it was.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\x00"
    "\ud800-\udfff\U000e0000-\U000e01ef"
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u3161\ufe58\ufe63\uff0d"
_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_MASKS = "\u25cf\u25cb\u2022\u25a0\u25a1\u25ef\u2b24\u2217\u204e\u2731"
_FOLDED = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FOLDED |= {ord(char): "-" for char in _DASHES} | {ord(char): " " for char in _SPACES}
_FOLDED |= {ord(char): "*" for char in _MASKS} | {0xFE6B: "@", 0x301C: "~", 0x223C: "~", 0x2024: ".", 0xFF61: "."}
_FOLDED |= {0x1D7CE + place: str(place % 10) for place in range(50)}  # digits of mathematical alphabets
_FOLDED |= {0x2027: "·", 0x2219: "·", 0x22C5: "·", 0xFF65: "·"}
_ODD = re.compile("[" + re.escape("".join(map(chr, _FOLDED))) + "]")
_GONE = re.compile(f"[{_INVISIBLE}]")
_MAYBE = re.compile(
    "[\x00\u00a0\u00ad\u034f\u061c\u115f\u1160\u180e\u2000-\u206f\u2212-\u223c\u22c5\u25a0-\u25ef\u2731\u2b24\u3000\u301c\u3161\u3164\ud800-\udfff\ufe00-\uffff\U0001d7ce-\U0001d7ff\U000e0000-\U000e01ef]"
)


@dataclass(slots=True)
class Folded:
    """A folded text, and where characters were left out (their places in the folded text, ascending)."""

    text: str
    gone: list[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original text; invisible characters at its edges stay outside."""
        if not self.gone:
            return start, end
        return start + bisect_right(self.gone, start), end - 1 + bisect_right(self.gone, end - 1) + 1


def fold(text: str) -> Folded:
    """The folded form of a text; costs one scan where there is nothing to fold (prose mostly)."""
    if (text.isascii() and "\x00" not in text) or not _MAYBE.search(text):
        return Folded(text, [])
    if _ODD.search(text):
        text = text.translate(_FOLDED)
    gone = [match.start() - place for place, match in enumerate(_GONE.finditer(text))]
    return Folded(_GONE.sub("", text) if gone else text, gone)
