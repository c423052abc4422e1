"""SentencePiece's own library over stretches of text: ids, and the bytes that each token covers.

Ids come from the library. So do offsets, unless the pieces spell the text as it stands (no normalisation, nothing
unknown), which their lengths show: then offsets are those lengths added up, five times as fast.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Types of pieces in a model's file."""


class Sentences:
    """A SentencePieceProcessor that encodes batches of stretches."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def of(self, proto: bytes) -> Sentences:
        """The same over another model."""
        return Sentences(type(self.processor)(model_proto=proto))

    def encode(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, ...]:
        """Ids of the stretches end to end, bytes that each covers, tokens of each stretch."""
        import numpy as np

        ids, _, counts = self.ids(data, starts, ends)
        sizes = self.spelled[ids]
        rows = np.concatenate([[0], np.cumsum(counts)])
        sums = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        extra = sums[rows[1:]] - sums[rows[:-1]] - (ends - starts)
        firsts = np.minimum(rows[:-1], max(0, len(ids) - 1))
        # The ▁ that the model puts before a text covers nothing of it.
        prefixed = (extra == 1) & (counts > 0) & self._begins_with_blank[ids[firsts]] if len(ids) else extra == 1
        sizes[firsts[prefixed]] -= 1
        for place in np.flatnonzero((extra != 0) & ~prefixed).tolist():
            text = bytes(data[starts[place] : ends[place]]).decode()
            sizes[rows[place] : rows[place + 1]] = self._told_sizes(text)
        return ids, sizes, counts

    def ids(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, ...]:
        """The same without sizes (all 0)."""
        import numpy as np

        found = self.processor.encode(_texts(data, starts, ends), return_type="numpy", num_threads=1)
        counts = np.fromiter(map(len, found), np.int64, len(found))
        ids = np.concatenate(found).astype(np.int32) if found else np.empty(0, np.int32)
        return ids, np.zeros(len(ids), np.int32), counts

    @cached_property
    def proto(self) -> Any:
        """The model as its file says it."""
        from sentencepiece import sentencepiece_model_pb2

        found = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
        found.ParseFromString(self.processor.serialized_model_proto())
        return found

    @cached_property
    def pieces(self) -> list[tuple[int, str, float]]:
        """Type, text and score of every piece."""
        return [(one.type, one.piece, one.score) for one in self.proto.pieces]

    @cached_property
    def spelled(self) -> np.ndarray:
        """Bytes of text that each piece stands for; 0 for unknown and control, which spell nothing."""
        import numpy as np

        silent = {CONTROL: 0, UNKNOWN: 0, BYTE: 1}
        # A ▁ has three bytes, the blank that it stands for one.
        sizes = [
            silent[kind] if kind in silent else len(text.encode()) - 2 * text.count("▁")
            for kind, text, _ in self.pieces
        ]
        return np.array(sizes, np.int32)

    def _told_sizes(self, text: str) -> list[int]:
        """Bytes of one text that its tokens cover, from the library's offsets; they add up to the text's."""
        [one] = self.processor.encode([text], return_type="offset_mapping", num_threads=1)
        ends = [len(text[:end].encode()) for _, end in one["offsets"]]
        ends = [max(ends[: n + 1]) for n in range(len(ends))]
        if ends:
            ends[-1] = len(text.encode())
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    @cached_property
    def _begins_with_blank(self) -> np.ndarray:
        import numpy as np

        return np.array([text.startswith("▁") for _, text, _ in self.pieces])


def _texts(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[str]:
    view = data.data
    return [str(view[a:b], "utf-8") for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
