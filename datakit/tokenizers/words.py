"""A SentencePiece model by its words: the ids of its library, with each different word looked up but once.

    text -> stretches between control tokens -> words, by a kernel -> tokens of words that are known (pieces.py)

Why it is exact. A cut stands where no piece of the vocabulary reaches across, which is looked up in the vocabulary:

    bpe       a merge makes a piece, so none goes across a cut; which merge comes first depends on its own piece's score
              and place alone, so merges on both sides of a cut don't touch each other
    unigram   every way through the text stops at a cut, so the best way is the best ways of the words, end to end. The
              library adds scores in float32: two ways that differ by less than its rounding could change places. So
              scores must be multiples of 1/64 that aren't above 0 (train.py makes them so), and a stretch whose sum
              could leave the range in which float32 is exact (262,144 nats) goes to the library as one word

Used for models without normaliser map, user-defined or unused pieces, which keep all blanks; and only if a probe gives
the same ids both ways. Other models' texts go to the library.

Cost (one core): 20 MB/s where words repeat, some 0.5-2 microseconds for each new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datakit.tokenizers.pieces import Pieces
from datakit.tokenizers.sentences import BYTE, CONTROL, NORMAL, UNKNOWN, Sentences

if TYPE_CHECKING:
    import numpy as np

_UNIGRAM, _BPE = 1, 2
_BLANK = "▁"
_UNIT, _EXACT, _PENALTY = 64, float(1 << 24) / 64, 10.0
"""Scores a nat; the sum up to which float32 adds such scores exactly; what an unknown character costs besides."""
_BATCH_BYTES = 1 << 20
_PAGE = 4096
"""Bytes of new words that the library gets at once; fewer if their scores' sum could leave the exact range."""
_NEWLINE = 0x0A
PROBE = (
    "Hello, world's   BEST  I'LL don't",
    " 안녕하세요. 반갑습니다!  오늘은 2024년 3월 1일이에요…",
    "\n\n  def f(x):\n\treturn x**2  \r\n\r\n \n",
    "各種 漢字とカナ 12,345.67원 ½ ⅷ",
    "👩‍👩‍👧‍👦 🇰🇷 é e\u0301 ㅋㅋㅋ ᄀ\u1161 뷁뛟쀓",
    "a  b   c    \u00a0\u3000 d\u200b\u2028e\x85f \t\t g▁h ▁i▁ j ▁▁  ▁",
    " ", "  ", "x    ", "    x", "\n", "1", "뷁 뷁 뷁뷁 \ue000 \ue000\n\ue000",
)  # fmt: skip
"""Texts that a wrong cut would give itself away with."""


def words_of(library: Sentences) -> Words | None:
    """The model by its words, or None if that could give other ids."""
    if not _may_be_cut(library):
        return None
    fast = Words(library)
    return fast if _agrees(fast, library) else None


def _may_be_cut(library: Sentences) -> bool:
    """Whether the words of a text can be encoded by themselves, as far as the model's file says."""
    how, spec = library.proto.normalizer_spec, library.proto.trainer_spec
    if how.precompiled_charsmap or how.remove_extra_whitespaces or not how.escape_whitespaces:
        return False
    if spec.model_type not in (_UNIGRAM, _BPE) or spec.treat_whitespace_as_suffix:
        return False
    if any(kind not in (NORMAL, UNKNOWN, CONTROL, BYTE) for kind, _, _ in library.pieces):
        return False
    told = [(text, score) for kind, text, score in library.pieces if kind == NORMAL]
    # A blank behind anything else in a piece: then pieces reach across.
    if any(_BLANK in text.lstrip(_BLANK) for text, _ in told):
        return False
    if all(text != _BLANK for text, _ in told):
        return False  # unknown characters that follow each other become one token
    return spec.model_type == _BPE or all(score <= 0 and (score * _UNIT).is_integer() for _, score in told)


def _agrees(fast: Words, library: Sentences) -> bool:
    """Whether the probe has the same tokens both ways, text by text."""
    import numpy as np

    raw = [text.encode() for text in PROBE]
    data = np.frombuffer(b"".join(raw), np.uint8)
    ends = np.cumsum([len(one) for one in raw])
    starts = ends - [len(one) for one in raw]
    ids, sizes, counts = fast.encode(data, starts, ends)
    wanted, _, theirs = library.ids(data, starts, ends)
    return np.array_equal(ids, wanted) and np.array_equal(counts, theirs) and int(sizes.sum()) == len(data)


class Words:
    """Encodes stretches of text by their words."""

    def __init__(self, library: Sentences) -> None:
        import numpy as np

        proto = library.proto
        normal = [(text, score) for kind, text, score in library.pieces if kind == NORMAL]
        self._alone = _standing_alone([text for text, _ in normal], proto.trainer_spec.byte_fallback)
        self._prefixes = bool(proto.normalizer_spec.add_dummy_prefix)
        self._costs, self._page = None, _PAGE
        if proto.trainer_spec.model_type == _UNIGRAM:
            self._worst = _PENALTY - min(score for _, score in normal)
            self._costs = np.array([-score if kind == NORMAL else self._worst for kind, _, score in library.pieces])
            self._page = max(1, min(_PAGE, int(_EXACT / self._worst / 2)))
        self._library = _bare(library) if self._prefixes else library
        self._pieces = Pieces(self._asked)

    def _asked(self, keys: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of words that are new: many words a call, else one by one."""
        found = self._in_lines(keys, borders) if self._alone[_NEWLINE] else None
        if found is not None:
            return found
        ids, sizes, counts = self._library.encode(keys, borders[:-1], borders[1:])
        return counts, ids, sizes

    def _in_lines(self, keys: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Tokens of words that are written below each other, since a call costs more than a word; None if their bytes
        don't tell where a word's tokens end (unknown characters, a ▁ in the text) or one has a NUL."""
        import numpy as np

        text = np.insert(keys[borders[0] : borders[-1]], borders[1:] - borders[0], _NEWLINE)
        stops = borders[1:] - borders[0] + np.arange(len(borders) - 1)  # where each word's line ends
        long = np.diff(borders) > self._page  # a page of its own, so that its sum is nobody else's
        pages = np.concatenate([[True], (np.diff(stops // self._page) > 0) | long[1:] | long[:-1]])
        starts = np.concatenate([[0], stops[:-1] + 1])[pages]
        ids, _, _ = self._library.ids(text, starts, np.concatenate([starts[1:], [len(text)]]))
        sizes = self._library.spelled[ids]
        ends = np.cumsum(sizes)
        if not len(ends) or ends[-1] != len(text) or not text.all():
            return None
        breaks = np.searchsorted(ends, stops + 1)
        if not (np.array_equal(ends[breaks], stops + 1) and (sizes[breaks] == 1).all()):
            return None
        words = np.ones(len(ids), np.bool_)
        words[breaks] = False
        return np.diff(breaks, prepend=-1) - 1, ids[words], sizes[words]

    def encode(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, ...]:
        """Ids of stretches, bytes that each covers, tokens of each stretch; some at a time, for the memory's sake."""
        import numpy as np

        if not len(starts):
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64)
        grown, parts, at = np.cumsum(ends - starts), [], 0
        while at < len(starts):
            base = int(grown[at - 1]) if at else 0
            stop = max(at + 1, int(np.searchsorted(grown, base + _BATCH_BYTES)))
            parts.append(self._batch(data, starts[at:stop], ends[at:stop]))
            at = stop
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _batch(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, ...]:
        import numpy as np

        if self._prefixes:
            data, starts, ends = _prefixed(data, starts, ends)
        whole = np.zeros(len(starts), np.bool_)
        ids, sizes, counts, longest = self._by_words(data, starts, ends, whole)
        if self._costs is not None and ((ends - starts) * self._worst >= _EXACT).any():
            sums = np.concatenate([[0.0], np.cumsum(self._costs[ids])])
            rows = np.concatenate([[0], np.cumsum(counts)])
            # The library's sums on its way are at most those of the words before, and the worst way into one.
            whole = sums[rows[1:]] - sums[rows[:-1]] + longest * self._worst >= _EXACT
            if whole.any():
                ids, sizes, counts, _ = self._by_words(data, starts, ends, whole)
        if self._prefixes:
            sizes = sizes.copy()
            sizes[np.cumsum(counts) - counts] -= 1  # the blank put before a stretch covers nothing of it
        return ids, sizes, counts

    def _by_words(
        self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, whole: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        import numpy as np

        from datakit.kernels.wordcuts import words

        stops, counts, longest = words(data, starts, ends, self._alone, whole)
        begins = np.empty_like(stops)
        begins[1:] = stops[:-1]
        begins[(np.cumsum(counts) - counts)[counts > 0]] = starts[counts > 0]
        return (*self._pieces.encode(data, begins, stops, counts), longest)


def _bare(library: Sentences) -> Sentences:
    """The same model without a ▁ before each text: words have their own blank."""
    proto = type(library.proto)()
    proto.CopyFrom(library.proto)
    proto.normalizer_spec.add_dummy_prefix = False
    return library.of(proto.SerializeToString())


def _standing_alone(pieces: list[str], bytes_are_known: bool) -> np.ndarray:
    """The ASCII characters, as 256 flags, that no piece holds beside another character: text may be cut around them.

    One that the model doesn't know must not be cut at, unless it becomes bytes: it could join unknown neighbours.
    """
    import numpy as np

    single = {piece for piece in pieces if len(piece) == 1}
    inside = {char for piece in pieces if len(piece) > 1 for char in piece}
    found = np.zeros(256, np.bool_)
    for point in range(1, 0x80):
        char = chr(point)
        found[point] = char != " " and char not in inside and (bytes_are_known or char in single)
    return found


def _prefixed(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stretches with a blank before each."""
    view = data.data
    parts = [b" " + bytes(view[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    import numpy as np

    stops = np.cumsum([len(part) for part in parts])
    return np.frombuffer(b"".join(parts), np.uint8), stops - [len(part) for part in parts], stops
