"""The two engines behind the seam: Hugging Face tokenizers and SentencePiece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datakit.canon import digest_file
from datakit.errors import ConfigError, Problem
from datakit.tokenizers.seam import Encoded, Spans, Tokenizer, encoded_from, interleaved


class HuggingFaceTokenizer(Tokenizer):
    """A `tokenizers.Tokenizer`: byte-level BPE, Unigram, WordPiece; ids equal its own `encode`, row by row."""

    def __init__(self, backend: Any, fingerprint: str, named: Mapping[str, str], chat_template: str | None, files: Any):
        super().__init__(fingerprint, named, chat_template, files)
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self.vocab_size = backend.get_vocab_size(with_added_tokens=True)
        added = backend.get_added_tokens_decoder()
        self.specials = {token.content: number for number, token in sorted(added.items()) if token.special}
        for name in self.named.values():
            if (number := backend.token_to_id(name)) is not None:
                self.specials.setdefault(name, number)
        self.adds_bos = self.bos_id is not None and backend.encode("a").ids[:1] == [self.bos_id]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, control tokens included."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def _encode(self, texts: Sequence[str], offsets: bool) -> Encoded:
        return self._run(texts, offsets, literal=True)

    def _run(self, texts: Sequence[str], offsets: bool, *, literal: bool) -> Encoded:
        self._backend.encode_special_tokens = literal
        encode = self._backend.encode_batch if offsets else self._backend.encode_batch_fast
        found = encode(list(texts), add_special_tokens=False)
        return encoded_from([one.ids for one in found], [one.offsets for one in found] if offsets else None)

    def _encode_around(self, texts: Sequence[str], cuts: Sequence[tuple[Spans, bool]], offsets: bool) -> Encoded:
        """Whole texts, parsed by the library, unless a content spells a control token: then cut by hand."""
        spelled = [place for place, (_, written) in enumerate(cuts) if written]
        if not spelled:
            return self._run(texts, offsets, literal=False)
        by_hand = super()._encode_around([texts[i] for i in spelled], [cuts[i] for i in spelled], offsets)
        clean = [place for place, (_, written) in enumerate(cuts) if not written]
        parsed = self._run([texts[i] for i in clean], offsets, literal=False)
        return interleaved(len(texts), (clean, parsed), (spelled, by_hand))


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece .model file used as it is; its leading ▁ comes with each text between control tokens."""

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
        self.vocab_size = self._model.vocab_size()
        self.specials = {
            self._model.id_to_piece(number): number
            for number in range(self.vocab_size)
            if self._model.is_control(number)
        }

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; control tokens have none."""
        return str(self._model.decode([int(token) for token in ids]))

    def _encode(self, texts: Sequence[str], offsets: bool) -> Encoded:
        if offsets:
            found = self._model.encode(list(texts), return_type="offset_mapping", num_threads=1)
            return encoded_from([one["ids"] for one in found], [one["offsets"] for one in found])
        return encoded_from(self._model.encode(list(texts), return_type="numpy", num_threads=1), None)


def tokenizer_problem(message: str, fix: str) -> ConfigError:
    """A ConfigError about the setting `tokenizer`."""
    return ConfigError((Problem("tokenizer", message, fix),))
