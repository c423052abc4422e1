"""The Tokenizer seam: what stages need of a tokenizer, and how text around control tokens is put together.

Encoding text between control tokens apart gives the ids of the whole text: libraries cut at control tokens first, too.
The exception are tokenizers that put a `▁` before the first word only; there each piece of such a row gets one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens of some texts, end to end.

    Text i owns tokens `rows[i]:rows[i + 1]`. `starts` and `ends` are the characters a token covers (empty arrays if
    offsets weren't asked for). Tokens that are parts of one character cover that character, or nothing at its place.
    """

    rows: np.ndarray
    """int64, one more than there are texts."""
    ids: np.ndarray
    """int32."""
    starts: np.ndarray
    """int64 characters."""
    ends: np.ndarray
    """int64 characters."""


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

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, control tokens included where the library can show them."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Copy the tokenizer's files into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._files:
            shutil.copyfile(file, folder / file.name)

    def encode_batch(
        self, texts: Sequence[str], contents: Sequence[Spans] | None = None, *, offsets: bool = False
    ) -> Encoded:
        """Encode texts, without BOS or EOS. `contents[i]`: the characters of text i that a person wrote.

        A special token's name is a control token only outside `contents`; without `contents` nowhere.
        """
        if contents is None:
            return self._encode(texts, offsets)
        cuts = [self._controls(text, spans) for text, spans in zip(texts, contents, strict=True)]
        return self._encode_around(texts, cuts, offsets)

    def _encode(self, texts: Sequence[str], offsets: bool) -> Encoded:
        """Encode texts in which every special token's name is text."""
        raise NotImplementedError

    def _controls(self, text: str, contents: Spans) -> tuple[list[tuple[int, int]], bool]:
        """Where control tokens stand, and whether contents hold (a part of) the name of one."""
        found, written = [], False
        for match in self._pattern.finditer(text):
            start, end = match.span()
            if any(start < b and a < end for a, b in contents):
                written = True
            else:
                found.append((start, end))
        return found, written

    def _encode_around(self, texts: Sequence[str], cuts: Sequence[tuple[Spans, bool]], offsets: bool) -> Encoded:
        """Encode the text between control tokens as text, and put the control tokens' ids between."""
        segments: list[str] = []
        plans: list[list[tuple[int, int, int | None]]] = []
        for text, (controls, _) in zip(texts, cuts, strict=True):
            plans.append(list(_pieces(text, controls, self.specials)))
            segments += [text[a:b] for a, b, control in plans[-1] if control is None]
        return _assembled(plans, self._encode(segments, offsets), offsets)

    def spells_special(self, text: str) -> bool:
        """Whether a text holds the name of a control token."""
        return self._pattern.search(text) is not None

    @property
    def _pattern(self) -> re.Pattern[str]:
        # Longest first: a name may begin with another one.
        names = sorted((name for name in self.specials if name), key=lambda name: (-len(name), name))
        return _compiled(tuple(names))


def encoded_from(ids: Sequence[Any], offsets: Sequence[Any] | None) -> Encoded:
    """One Encoded of some texts' ids and (start, end) pairs."""
    import numpy as np

    rows = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(one) for one in ids], out=rows[1:])
    flat = np.concatenate([np.asarray(one, np.int32) for one in ids]) if ids else np.empty(0, np.int32)
    if offsets is None:
        none = np.empty(0, np.int64)
        return Encoded(rows, flat, none, none)
    parts = [np.asarray(one, np.int64).reshape(-1, 2) for one in offsets]
    pairs = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    return Encoded(rows, flat, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))


def interleaved(count: int, *parts: tuple[Sequence[int], Encoded]) -> Encoded:
    """Texts encoded in several batches, back in their order."""
    ids: list[Any] = [()] * count
    places: list[Any] = [()] * count
    offsets = False
    for where, part in parts:
        offsets = offsets or bool(len(part.starts))
        for place, a, b in zip(where, part.rows[:-1], part.rows[1:], strict=True):
            ids[place] = part.ids[a:b]
            places[place] = list(zip(part.starts[a:b].tolist(), part.ends[a:b].tolist(), strict=True))
    return encoded_from(ids, places if offsets else None)


def _assembled(plans: Sequence[Sequence[tuple[int, int, int | None]]], segments: Encoded, offsets: bool) -> Encoded:
    """Texts from their encoded segments and the control tokens between."""
    ids: list[list[int]] = []
    places: list[list[tuple[int, int]]] = []
    at = 0
    for plan in plans:
        ids.append([])
        places.append([])
        for start, end, control in plan:
            if control is not None:
                ids[-1].append(control)
                places[-1].append((start, end))
                continue
            a, b = segments.rows[at], segments.rows[at + 1]
            at += 1
            ids[-1] += segments.ids[a:b].tolist()
            if offsets:
                places[-1] += zip(
                    (segments.starts[a:b] + start).tolist(), (segments.ends[a:b] + start).tolist(), strict=True
                )
    return encoded_from(ids, places if offsets else None)


def _pieces(text: str, controls: Spans, ids: Mapping[str, int]) -> Iterator[tuple[int, int, int | None]]:
    """(start, end, None) for text between controls, (start, end, id) for a control."""
    at = 0
    for start, end in controls:
        if at < start:
            yield at, start, None
        yield start, end, ids[text[start:end]]
        at = end
    if at < len(text):
        yield at, len(text), None


@lru_cache(maxsize=64)
def _compiled(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, names)) or r"(?!)")
