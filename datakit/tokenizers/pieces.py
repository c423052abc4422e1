"""Pieces of text whose tokens are known: text repeats its words, so a tokenizer need see each but once.

A byte-level BPE merges inside pieces only, those that its pre-tokenizer makes. So the tokens of a text are the tokens
of its pieces, end to end: exact by construction, whatever the merges are. `Pieces` keeps the pieces met so far and asks
the library for new ones. Of 38 MB of Korean and English documentation 2 % of the pieces are new.

Memory: at most `MOST_BYTES` of keys (some 200 MB with hashes and tokens); then it starts afresh. What is kept can't
change an id, only the time it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 32 << 20
"""Bytes of pieces that are kept."""
_ROOM = 1 << 14

Ask = Callable[["np.ndarray", "np.ndarray"], tuple["np.ndarray", "np.ndarray", "np.ndarray"]]
"""(bytes, borders) of some pieces -> how many tokens each has; their ids; the bytes that each covers."""


class Pieces:
    """The tokens of pieces, by the piece."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._start()

    def _start(self) -> None:
        import numpy as np

        self.known = 0
        self._slots = np.full(2 * _ROOM, -1, np.int64)
        self._hashes = np.empty(_ROOM, np.uint64)
        self._borders = np.zeros(_ROOM + 1, np.int64)
        self._keys = np.empty(16 * _ROOM, np.uint8)
        self._token_borders = np.zeros(_ROOM + 1, np.int64)
        self._ids = np.empty(4 * _ROOM, np.int32)
        self._sizes = np.empty(4 * _ROOM, np.int32)

    def encode(
        self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of stretches, each of the next `counts[k]` pieces: ids, bytes that each covers, tokens a stretch."""
        from datakit.kernels.interning import gather, intern

        self._make_room(len(starts), int((ends - starts).sum()))
        numbers = intern(
            data, starts, ends, self._slots, self._hashes, self._borders, self._keys, self.known
        )  # fmt: skip
        known = max(self.known, int(numbers.max()) + 1 if len(numbers) else 0)
        if known > self.known:
            self._learn(known)
        return gather(numbers, counts, self._token_borders, self._ids, self._sizes)

    def _make_room(self, pieces: int, size: int) -> None:
        """Arrays large enough for as many new pieces."""
        import numpy as np

        from datakit.kernels.interning import refill

        if self._borders[self.known] > MOST_BYTES:
            self._start()
        self._keys = _grown(self._keys, int(self._borders[self.known]) + size)
        if self.known + pieces <= len(self._hashes):
            return
        self._hashes = _grown(self._hashes, self.known + pieces)
        self._borders = _grown(self._borders, len(self._hashes) + 1)
        self._token_borders = _grown(self._token_borders, len(self._hashes) + 1)
        slots = 1 << (2 * len(self._hashes) - 1).bit_length()
        if slots > len(self._slots):
            self._slots = np.full(slots, -1, np.int64)
            refill(self._slots, self._hashes, self.known)

    def _learn(self, known: int) -> None:
        """Ask for the tokens of the pieces from `self.known` to `known`."""
        import numpy as np

        counts, ids, sizes = self._ask(self._keys, self._borders[self.known : known + 1])
        first = int(self._token_borders[self.known])
        self._token_borders[self.known + 1 : known + 1] = first + np.cumsum(counts)
        self._ids, self._sizes = _grown(self._ids, first + len(ids)), _grown(self._sizes, first + len(ids))
        self._ids[first : first + len(ids)], self._sizes[first : first + len(ids)] = ids, sizes
        self.known = known


def _grown(array: np.ndarray, size: int) -> np.ndarray:
    """The array, or a copy with room for `size` values and as many again."""
    import numpy as np

    if size <= len(array):
        return array
    found = np.zeros(2 * size, array.dtype)
    found[: len(array)] = array
    return found
