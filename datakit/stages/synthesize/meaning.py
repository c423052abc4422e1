"""Is an instruction new in meaning? A second look after ROUGE-L, by embeddings. Optional (extra `semantic`).

    cosine(candidate, earlier) >= threshold        a repeat, of the most alike one, the first of them on a tie

"Name three birds" and "List a trio of birds" have a ROUGE-L of 0.25 and a cosine of 0.971; Korean paraphrases lie a
little lower (0.93). But "sort ascending" and "sort descending" have 0.98, so the threshold is high, and this comes
after the exact check, never instead of it.
Vectors are rounded to bytes, so their cosines are exact and the same on every machine (datakit.kernels.likeness).

Cost: 15 ms a candidate for the embedding, then about 0.1 microseconds for each earlier one; 1.5 kB of memory each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datakit.stages.synthesize.novelty import with_room

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.97
"""Of the Korean question pairs of songys/Question_pair at this cosine 99 % mean the same (see the stage `semantic`)."""


class MeaningPool:
    """All instructions so far as vectors; the same methods as novelty.Pool."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        import numpy as np

        self.threshold = threshold
        self.ids: list[str] = []
        self._vectors = np.empty((0, 0), np.float32)
        self._lengths = np.empty(0)
        self._last: tuple[str, np.ndarray[Any, Any]] | None = None

    def add(self, text: str, id: str) -> None:
        """Take an instruction into the pool."""
        from datakit.kernels.likeness import lengths

        vector, row = self._vector(text), len(self.ids)
        if not row:
            self._vectors = self._vectors.reshape(0, vector.shape[1]).astype("float32")
        self._vectors = with_room(self._vectors, row + 1)
        self._lengths = with_room(self._lengths, row + 1)
        self._vectors[row] = vector[0]
        self._lengths[row] = lengths(vector)[0]
        self.ids.append(id)

    def nearest(self, text: str, threshold: float | None = None) -> tuple[str, float] | None:
        """Id and cosine of the instruction that this one is most like, None if it is new."""
        import numpy as np

        from datakit.kernels.likeness import lengths

        if not self.ids or not text.strip():
            return None
        vector, count = self._vector(text), len(self.ids)
        products = self._vectors[:count] @ vector[0].astype(np.float32)
        cosines = products.astype(np.float64) / (self._lengths[:count] * lengths(vector)[0])
        best = int(cosines.argmax())
        least = self.threshold if threshold is None else threshold
        return (self.ids[best], float(cosines[best])) if cosines[best] >= least else None

    def _vector(self, text: str) -> np.ndarray[Any, Any]:
        """The rounded vector of a text; that of the last one is kept, since who is new is added next."""
        import numpy as np

        from datakit import embedder
        from datakit.kernels.likeness import rounded

        if self._last is None or self._last[0] != text:
            told = text.replace("\x00", " ") or " "
            self._last = text, rounded(np.asarray(embedder.load_embedder()(told), np.float32)[None, :])
        return self._last[1]
