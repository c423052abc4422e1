"""The Tokenizer seam: what stages need of a tokenizer, and how text around control tokens is put together.

Encoding text between control tokens apart gives the ids of the whole text: libraries cut at control tokens first, too.
The exception are tokenizers that put a `▁` before the first word only; there each piece of such a row gets one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Spans = Sequence[tuple[int, int]]
FOREIGN = -2
"""In `Names.ids`: a name that only the library handles (kernels/tokens.py)."""


@dataclass(frozen=True, slots=True)
class SpanLists:
    """Character spans of some texts, end to end: text i has those from `rows[i]` to `rows[i + 1]`, in order."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, spans: Sequence[Spans]) -> SpanLists:
        """From plain lists of (start, end)."""
        import numpy as np

        rows = np.zeros(len(spans) + 1, np.int64)
        np.cumsum([len(one) for one in spans], out=rows[1:])
        pairs = np.array([pair for one in spans for pair in one], np.int64).reshape(-1, 2)
        return cls(rows, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))

    @classmethod
    def column(cls, column: pa.LargeListArray) -> SpanLists:
        """From a column of lists of {start, end}; a null is an empty list."""
        import numpy as np
        import pyarrow.compute as pc

        rows = np.zeros(len(column) + 1, np.int64)
        np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), out=rows[1:])
        pairs = column.flatten()
        starts, ends = (pairs.field(name).to_numpy(zero_copy_only=False) for name in ("start", "end"))
        return cls(rows, starts, ends)

    @classmethod
    def none(cls, texts: int) -> SpanLists:
        """No span at all."""
        import numpy as np

        empty = np.empty(0, np.int64)
        return cls(np.zeros(texts + 1, np.int64), empty, empty)

    def lasts(self) -> np.ndarray:
        """Where the last span of each text ends; -1 for a text without one."""
        import numpy as np

        found = np.full(len(self.rows) - 1, -1, np.int64)
        some = self.rows[1:] > self.rows[:-1]
        found[some] = self.ends[self.rows[1:][some] - 1]
        return found

    def lists(self, texts: Iterable[int]) -> list[list[tuple[int, int]]]:
        """The spans of some texts as plain lists."""
        return [
            list(zip(self.starts[a:b].tolist(), self.ends[a:b].tolist(), strict=True))
            for a, b in ((self.rows[n], self.rows[n + 1]) for n in texts)
        ]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of some texts, end to end.

    Text i owns tokens `rows[i]:rows[i + 1]`. `starts` and `ends` are the characters a token covers (empty arrays if
    offsets weren't asked for). Tokens that are parts of one character cover that character.
    """

    rows: np.ndarray
    """int64, one more than there are texts."""
    ids: np.ndarray
    """int32."""
    starts: np.ndarray
    """int64 characters."""
    ends: np.ndarray
    """int64 characters."""
    written: np.ndarray
    """How many contents of each text hold a special token's name, which is text there."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names that are looked for in text, longest first, as bytes end to end, with their ids (or FOREIGN)."""

    data: np.ndarray
    borders: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, ids: Mapping[str, int]) -> Names:
        import numpy as np

        # Longest first: a name may begin with another one.
        names = sorted((name for name in ids if name), key=lambda name: (-len(name.encode()), name))
        raw = [name.encode() for name in names]
        borders = np.zeros(len(raw) + 1, np.int64)
        np.cumsum([len(one) for one in raw], out=borders[1:])
        numbers = np.array([ids[name] for name in names], np.int64)
        return cls(np.frombuffer(b"".join(raw), np.uint8), borders, numbers)


class Tokenizer:
    """What the stages need of a tokenizer. Made by `load_tokenizer`."""

    def __init__(self, fingerprint: str, named: Mapping[str, str], chat_template: str | None, files: Sequence[Path]):
        self.fingerprint = fingerprint
        """Digest of what decides the ids: the vocabulary file and the names of its special tokens."""
        self.named = dict(named)
        """`bos_token`, `eos_token`, `pad_token`, `unk_token` -> text, for chat templates; only those there are."""
        self.chat_template = chat_template
        self.specials: dict[str, int] = {}
        """Text -> id of all control tokens."""
        self.plain_added: frozenset[str] = frozenset()
        """Added tokens that are no control tokens: the library finds them in every text."""
        self.adds_bos = False
        """Whether the tokenizer's own habit is to begin a text with BOS."""
        self._files = tuple(files)

    vocab_size: int

    @property
    def bos_id(self) -> int | None:
        """Id of the token that begins a text."""
        return self._id_of("bos_token")

    @property
    def eos_id(self) -> int | None:
        """Id of the token that ends a text."""
        return self._id_of("eos_token")

    @property
    def pad_id(self) -> int | None:
        """Id of the token that fills empty places; often the same as `eos_id`, so never look for it to mask."""
        return self._id_of("pad_token")

    def _id_of(self, name: str) -> int | None:
        return self.specials.get(self.named.get(name, ""))

    @cached_property
    def names(self) -> Names:
        """The names of control tokens, and of added tokens that are none."""
        return Names.of(dict.fromkeys(self.plain_added, FOREIGN) | self.specials)

    def add(self, names: Sequence[str]) -> None:
        """Give the tokenizer further control tokens; those that it has keep their ids."""
        for name in names:
            if name not in self.specials:
                self.specials[name] = self._added(name)
        self.fingerprint = key_of(self.fingerprint, list(names))

    def _added(self, name: str) -> int:
        """The id of a new control token."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, control tokens included where the library can show them."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a folder that `AutoTokenizer.from_pretrained` opens."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._files:
            shutil.copyfile(file, folder / file.name)

    def encode_batch(
        self,
        texts: Sequence[str] | pa.LargeStringArray,
        contents: Sequence[Spans] | SpanLists | None = None,
        *,
        offsets: bool = False,
    ) -> Encoded:
        """Encode texts, without BOS or EOS. `contents[i]`: the characters of text i that a person wrote.

        A special token's name is a control token only outside `contents`; without `contents` nowhere.
        """
        spans = contents if contents is None or isinstance(contents, SpanLists) else SpanLists.of(contents)
        return self._encode(text_column(texts), spans, offsets)

    def _encode(self, texts: pa.LargeStringArray, contents: SpanLists | None, offsets: bool) -> Encoded:
        raise NotImplementedError


Stretches = Callable[["np.ndarray", "np.ndarray", "np.ndarray"], "tuple[np.ndarray, ...]"]
"""(data, starts, ends) -> ids of the stretches end to end, bytes that each covers, tokens of each stretch."""


def encoded_stretches(
    offsets: np.ndarray, data: np.ndarray, contents: SpanLists | None, names: Names, work: Stretches, places: bool
) -> tuple[Encoded, np.ndarray]:
    """Texts cut at control tokens, the text between encoded by `work`; and which texts hold a FOREIGN name."""
    import numpy as np

    from datakit.kernels.tokens import TEXT, covered, cut, joined

    spans = contents or SpanLists.none(len(offsets) - 1)
    starts, ends, controls, stretches, written, foreign = cut(
        offsets, data, names.data, names.borders, names.ids, spans.rows, spans.starts, spans.ends, contents is not None
    )  # fmt: skip
    text = controls == TEXT
    ids, sizes, tokens = work(data, starts[text], ends[text])
    rows, ids, sizes = joined(starts, ends, controls, stretches, tokens, ids, sizes)
    none = np.empty(0, np.int64)
    begins, stops = covered(offsets, data, rows, sizes) if places else (none, none)
    return Encoded(rows, ids, begins, stops, written), foreign


def encoded_from(ids: Sequence[Any], offsets: Sequence[Any] | None, written: Sequence[int] | None = None) -> Encoded:
    """One Encoded of some texts' ids and (start, end) pairs."""
    import numpy as np

    rows = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(one) for one in ids], out=rows[1:])
    flat = np.concatenate([np.asarray(one, np.int32) for one in ids]) if len(ids) else np.empty(0, np.int32)
    counts = np.zeros(len(ids), np.int64) if written is None else np.asarray(written, np.int64)
    if offsets is None:
        none = np.empty(0, np.int64)
        return Encoded(rows, flat, none, none, counts)
    parts = [np.asarray(one, np.int64).reshape(-1, 2) for one in offsets]
    pairs = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    return Encoded(rows, flat, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), counts)


def mended(whole: Encoded, places: np.ndarray, other: Encoded) -> Encoded:
    """`whole` with the texts at `places` taken from `other`, in order."""
    import numpy as np

    counts = np.diff(whole.rows)
    counts[places] = np.diff(other.rows)
    rows = np.concatenate([[0], np.cumsum(counts)])
    take = np.repeat(whole.rows[:-1] - rows[:-1], counts) + np.arange(rows[-1])
    for place, start in zip(places.tolist(), other.rows[:-1].tolist(), strict=True):
        take[rows[place] : rows[place + 1]] = len(whole.ids) + start + np.arange(counts[place])
    written = whole.written.copy()
    written[places] = other.written
    pairs = ((whole.ids, other.ids), (whole.starts, other.starts), (whole.ends, other.ends))
    ids, starts, ends = (np.concatenate(pair)[take] if len(pair[0]) or len(pair[1]) else pair[0] for pair in pairs)
    return Encoded(rows, ids, starts, ends, written)


def text_column(texts: Sequence[str] | pa.Array) -> pa.LargeStringArray:
    """Texts as an Arrow column; half a surrogate pair is no text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(texts, pa.Array):
        return pc.fill_null(texts, "") if texts.null_count else texts
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError as error:
        raise StageError(
            "a text holds half a surrogate pair, which is no character", fix="read it with `ingest`, which mends it"
        ) from error
