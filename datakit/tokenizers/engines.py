"""The two engines behind the seam: Hugging Face tokenizers and SentencePiece."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.canon import digest_file
from datakit.errors import ConfigError, Problem
from datakit.tokenizers.seam import Encoded, SpanLists, Tokenizer, encoded_from, encoded_stretches, mended
from datakit.tokenizers.sentences import Sentences

if TYPE_CHECKING:
    import pyarrow as pa

    from datakit.tokenizers.bytelevel import ByteLevel
    from datakit.tokenizers.words import Words


class HuggingFaceTokenizer(Tokenizer):
    """A `tokenizers.Tokenizer`: byte-level BPE, Unigram, WordPiece; ids equal its own `encode`, row by row."""

    def __init__(self, backend: Any, fingerprint: str, named: Mapping[str, str], chat_template: str | None, files: Any):
        super().__init__(fingerprint, named, chat_template, files)
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._grown = False
        self.vocab_size = backend.get_vocab_size(with_added_tokens=True)
        added = backend.get_added_tokens_decoder()
        self.specials = {token.content: number for number, token in sorted(added.items()) if token.special}
        for name in self.named.values():
            if (number := backend.token_to_id(name)) is not None:
                self.specials.setdefault(name, number)
        self.plain_added = frozenset(token.content for token in added.values() if not token.special)
        self.adds_bos = self.bos_id is not None and backend.encode("a").ids[:1] == [self.bos_id]

    def _added(self, name: str) -> int:
        self._backend.add_special_tokens([name])
        self.vocab_size = self._backend.get_vocab_size(with_added_tokens=True)
        self._grown = True
        return int(self._backend.token_to_id(name))

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a folder that `AutoTokenizer.from_pretrained` opens."""
        super().save(folder)
        if self._grown:
            self._backend.save(str(folder / "tokenizer.json"))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, control tokens included."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    @cached_property
    def _pieces(self) -> ByteLevel | None:
        """The fast way, if this is a byte-level BPE that it is exact for: also asked to agree on a probe."""
        import numpy as np

        from datakit.tokenizers.bytelevel import PROBE, ByteLevel, parsed, rules_of
        from datakit.tokenizers.seam import text_column

        files = [] if self._grown else [file for file in self._files if file.name == "tokenizer.json"]
        whole = parsed(self._backend, *files)
        rules = rules_of(whole)
        if rules is None:
            return None
        fast, probe = ByteLevel(self._backend, whole, rules), text_column(PROBE)
        found, foreign = fast.encode(probe, None, self.names, False)
        wanted = self._by_library(probe, None, False)
        agrees = [
            np.array_equal(
                found.ids[found.rows[n] : found.rows[n + 1]], wanted.ids[wanted.rows[n] : wanted.rows[n + 1]]
            )
            for n in range(len(PROBE))
            if not foreign[n]
        ]
        return fast if all(agrees) else None

    def _encode(self, texts: pa.LargeStringArray, contents: SpanLists | None, offsets: bool) -> Encoded:
        import numpy as np
        import pyarrow as pa

        if self._pieces is None:
            return self._by_library(texts, contents, offsets)
        found, foreign = self._pieces.encode(texts, contents, self.names, offsets)
        places = np.flatnonzero(foreign)
        if not len(places):
            return found
        spans = None if contents is None else SpanLists.of(contents.lists(places.tolist()))
        return mended(found, places, self._by_library(texts.take(pa.array(places)), spans, offsets))

    def _by_library(self, texts: pa.LargeStringArray, contents: SpanLists | None, offsets: bool) -> Encoded:
        """Whole texts, parsed by the library, unless a content spells a control token: then cut by hand."""
        import numpy as np

        told = texts.to_pylist()
        if contents is None:
            return self._run(told, offsets, literal=True)
        cuts = [_controls(self._pattern, *one) for one in zip(told, contents.lists(range(len(told))), strict=True)]
        found = self._run(told, offsets, literal=False)
        places = np.array([n for n, (_, written) in enumerate(cuts) if written], np.int64)
        if not len(places):
            return found
        by_hand = [self._by_hand(told[n], cuts[n][0], offsets) for n in places.tolist()]
        pairs = [list(zip(one.starts.tolist(), one.ends.tolist(), strict=True)) for one in by_hand] if offsets else None
        written = [cuts[n][1] for n in places.tolist()]
        return mended(found, places, encoded_from([one.ids for one in by_hand], pairs, written))

    def _by_hand(self, text: str, controls: list[tuple[int, int]], offsets: bool) -> Encoded:
        """One text: what stands between control tokens is encoded as text."""
        ids: list[int] = []
        places: list[tuple[int, int]] = []
        at = 0
        for start, end in [*controls, (len(text), len(text))]:
            if at < start:
                one = self._run([text[at:start]], offsets, literal=True)
                ids += one.ids.tolist()
                places += zip((one.starts + at).tolist(), (one.ends + at).tolist(), strict=True)
            if start < end:
                ids.append(self.specials[text[start:end]])
                places.append((start, end))
            at = end
        return encoded_from([ids], [places] if offsets else None)

    def _run(self, texts: Sequence[str], offsets: bool, *, literal: bool) -> Encoded:
        self._backend.encode_special_tokens = literal
        encode = self._backend.encode_batch if offsets else self._backend.encode_batch_fast
        found = encode(list(texts), add_special_tokens=False)
        return encoded_from([one.ids for one in found], [one.offsets for one in found] if offsets else None)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = sorted((name for name in self.specials if name), key=lambda name: (-len(name), name))
        return re.compile("|".join(map(re.escape, names)) or r"(?!)")


def _controls(
    pattern: re.Pattern[str], text: str, contents: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], int]:
    """Where control tokens stand outside the contents, and how many contents hold (a part of) the name of one."""
    found, written = [], set()
    for match in pattern.finditer(text):
        start, end = match.span()
        touched = [n for n, (a, b) in enumerate(contents) if start < b and a < end]
        written |= set(touched)
        if not touched:
            found.append((start, end))
    return found, len(written)


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece .model file used as it is; its leading ▁ comes with each text between control tokens.

    Ids and offsets equal the library's (sentences.py); where words stand for themselves, each is looked up but once
    (words.py).
    """

    def __init__(self, model: Path):
        from sentencepiece import SentencePieceProcessor

        try:
            self._model = SentencePieceProcessor(model_file=str(model))
        except (OSError, RuntimeError) as error:
            raise tokenizer_problem(f"{model.name!r} is no SentencePiece model", "give a .model file") from error
        ids = {"bos_token": self._model.bos_id(), "eos_token": self._model.eos_id()}
        ids |= {"pad_token": self._model.pad_id(), "unk_token": self._model.unk_id()}
        named = {name: self._model.id_to_piece(number) for name, number in ids.items() if number >= 0}
        super().__init__(digest_file(model), named, None, (model,))
        self._own = self.vocab_size = self._model.vocab_size()
        self._library = Sentences(self._model)
        self.specials = {
            self._model.id_to_piece(number): number
            for number in range(self.vocab_size)
            if self._model.is_control(number)
        }

    def _added(self, name: str) -> int:
        self.vocab_size += 1
        return self.vocab_size - 1

    def save(self, folder: Path) -> None:
        """Write the model, and as tokenizer.json the same for `AutoTokenizer.from_pretrained`."""
        from datakit.tokenizers.convert import save_converted

        super().save(folder)
        added = {name: number for name, number in self.specials.items() if number >= self._own}
        save_converted(self._files[0], folder, self.named, added, self.chat_template)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; control tokens have none."""
        return str(self._model.decode([int(token) for token in ids if token < self._own]))

    @cached_property
    def _words(self) -> Words | None:
        """The fast way, if it is exact for this model."""
        from datakit.tokenizers.words import words_of

        return words_of(self._library)

    def _encode(self, texts: pa.LargeStringArray, contents: SpanLists | None, offsets: bool) -> Encoded:
        from datakit.kernels.characters import buffers

        places, data = buffers(texts)
        by_library = self._library.encode if offsets else self._library.ids
        work = self._words.encode if self._words else by_library
        return encoded_stretches(places, data, contents, self.names, work, offsets)[0]


def tokenizer_problem(message: str, fix: str) -> ConfigError:
    """A ConfigError about the setting `tokenizer`."""
    return ConfigError((Problem("tokenizer", message, fix),))
