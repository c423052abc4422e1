"""Is an instruction new? ROUGE-L against every earlier one, exact, and awake to Hangul.

    F = 2 L / (m + n)        L the longest common subsequence of two token lists of m and n tokens

A candidate is a repeat if F > threshold; F equal to the threshold is new (compared in integers, so that no rounding
decides). The published rule (`published=True`) is kept for comparison: its tokenizer keeps [a-z0-9] alone, so two equal
Korean sentences score 0, and its three roundings call about half of the ties repeats.

Tokens here: words of Latin, Greek and Cyrillic letters and digits, lower-cased; single syllables of Hangul; single
letters of other scripts; emoji. Punctuation, combining marks and broken characters are none, and NFD is NFC. A text
without a token is like nothing, itself included.

Syllables rather than words, since a Korean word with another particle would be another word; rather than morphemes,
since they tell paraphrases apart as well and need no model. On the 6,888 Korean question pairs of
songys/Question_pair, of which 69 % mean the same (kiwipiepy's morphemes: 0.7 gives 0.984 and 0.44):

    threshold   0.50   0.55   0.60   0.65   0.70   0.75   0.80
    precision   0.967  0.973  0.978  0.980  0.985  0.987  0.989
    recall      0.69   0.65   0.58   0.53   0.46   0.38   0.32

0.7 is right for Korean too: below it the pairs that are newly found are often about something else ("I left my charger
/ my wallet at home", 0.67), and against a whole pool there are many more such pairs than in this table: of the 6,888
first questions, one after the other, 10 % are above 0.7 and 23 % above 0.6.

Cost: tests/bench/bench_novelty.py; 52,000 instructions one after the other take 4 s of one core.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

TOKEN = re.compile(r"[0-9a-z\u00df-\u00f6\u00f8-\u024f\u0370-\u052f]+|[^\W_]|[\U0001F000-\U0001FAFF\u2600-\u27bf]")
PUBLISHED_TOKEN = re.compile(r"[a-z0-9]+")


def tokens_of(text: str) -> list[str]:
    """The tokens of a text for ROUGE-L."""
    return TOKEN.findall(unicodedata.normalize("NFC", text).lower())


def published_tokens_of(text: str) -> list[str]:
    """The tokens of the package rouge_score, which Self-Instruct and Alpaca use."""
    return PUBLISHED_TOKEN.findall(text.lower())


class Pool:
    """All instructions so far, with their ids; says which one a candidate repeats."""

    def __init__(self, threshold: float, *, published: bool = False) -> None:
        import numpy as np

        self.threshold = threshold
        self.published = published
        self.ids: list[str] = []
        self._codes: dict[str, int] = {}
        self._split = published_tokens_of if published else tokens_of
        self._flat = np.empty(1 << 12, np.int32)
        self._starts = np.zeros(1 << 8, np.int64)
        self._marks = np.zeros((1 << 8, 4), np.uint64)
        self._crowded = np.zeros(1 << 8, np.int32)
        self._slots = np.full(1 << 10, -1, np.int32)

    def add(self, text: str, id: str) -> None:
        """Take an instruction into the pool."""
        from datakit.kernels.subsequences import set_marks

        codes, row = self._coded(text), len(self.ids)
        start = int(self._starts[row])
        self._starts = with_room(self._starts, row + 2)
        self._marks, self._crowded = with_room(self._marks, row + 1), with_room(self._crowded, row + 1)
        self._flat = with_room(self._flat, start + len(codes))
        self._flat[start : start + len(codes)] = codes
        self._starts[row + 1] = start + len(codes)
        self._marks[row] = 0
        self._crowded[row] = set_marks(codes, self._slots, self._marks[row])
        self.ids.append(id)

    def nearest(self, text: str, threshold: float | None = None) -> tuple[str, float] | None:
        """Id and F of the first of the instructions that this one repeats most, None if it is new.

        `threshold` stands in for the pool's own; 0 finds the nearest one however far it is.
        """
        from datakit.kernels.subsequences import most_alike

        codes = self._coded(text)
        least = round((self.threshold if threshold is None else threshold) * 1000)
        lists = (self._flat, self._starts, self._marks, self._crowded, len(self.ids))
        row, common = most_alike(codes, self._slots, *lists, least, self.published)
        if row < 0:
            return None
        return self.ids[row], 2 * common / (len(codes) + int(self._starts[row + 1] - self._starts[row]))

    def _coded(self, text: str) -> np.ndarray[Any, Any]:
        import numpy as np

        known = self._codes
        codes = np.array([known.setdefault(token, len(known)) for token in self._split(text)], np.int32)
        self._slots = with_room(self._slots, len(known), -1)
        return codes


def with_room(array: np.ndarray[Any, Any], size: int, value: int = 0) -> np.ndarray[Any, Any]:
    """The array, or one of twice the room and more with the same beginning, if it is too short."""
    import numpy as np

    if len(array) >= size:
        return array
    grown = np.full((max(size, 2 * len(array)), *array.shape[1:]), value, array.dtype)
    grown[: len(array)] = array
    return grown
