"""A SentencePiece model as a transformers tokenizer that gives the same ids.

`AutoTokenizer` turns every .model file into a Llama tokenizer, which is a BPE: of a unigram model it tokenises nine
lines in ten differently, and says nothing. Here the vocabulary becomes the `tokenizers` model that it was trained as,
with the steps before it that the file itself names (normaliser map, spaces, the ▁ before a text), and nothing guessed.

    unigram     the same Viterbi search over the same scores (train.py says what its rounding has to do with it)
    bpe         merges in the order of the scores of what they make, which is SentencePiece's rule
    bytes       rare characters in bytes where the model has byte pieces

A model of words or characters is refused, and one with user-defined pieces, which win against any score there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datakit.errors import ConfigError, Problem

_NORMAL, _UNKNOWN, _CONTROL, _DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_UNIGRAM, _BPE = 1, 2
_BLANK = "▁"


def save_converted(
    model: Path, folder: Path, named: Mapping[str, str], added: Mapping[str, int], chat_template: str | None
) -> None:
    """Write tokenizer.json and its settings into a folder that `AutoTokenizer.from_pretrained` opens.

    `named`: `bos_token`, `eos_token` ... -> text. `added`: control tokens behind the model's own, with their ids.
    """
    proto = _read(model)
    backend = _backend(proto)
    controls = [piece.piece for piece in proto.pieces if piece.type in (_CONTROL, _UNKNOWN)]
    backend.add_special_tokens([*controls, *added])
    backend.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        **named,
    }
    if chat_template:
        settings["chat_template"] = chat_template
    text = json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _read(model: Path) -> Any:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
    proto.ParseFromString(model.read_bytes())
    if proto.trainer_spec.model_type not in (_UNIGRAM, _BPE):
        problem = "a SentencePiece model of words or characters can't be converted"
        raise ConfigError((Problem("tokenizer", problem, "train one of type `unigram` or `bpe`"),))
    if any(piece.type == _DEFINED for piece in proto.pieces):
        problem = "a SentencePiece model with user-defined pieces can't be converted exactly"
        raise ConfigError((Problem("tokenizer", problem, "make them control symbols, or use the .model as it is"),))
    return proto


def _backend(proto: Any) -> Any:
    from tokenizers import Tokenizer, decoders, normalizers

    spec = proto.normalizer_spec
    backend = Tokenizer(_unigram(proto) if proto.trainer_spec.model_type == _UNIGRAM else _bpe(proto))
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        from tokenizers import Regex

        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(_BLANK))
    if spec.escape_whitespaces:
        steps.append(normalizers.Replace(" ", _BLANK))
    backend.normalizer = normalizers.Sequence(steps)
    ends: list[Any] = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if spec.add_dummy_prefix:
        ends.append(decoders.Strip(" ", 1, 0))
    backend.decoder = decoders.Sequence(ends)
    return backend


def _unigram(proto: Any) -> Any:
    from tokenizers import models

    # Control, unknown and unused pieces never stand for text: so low a score loses against any other way.
    never = 10.0 * min((piece.score for piece in proto.pieces if piece.type == _NORMAL), default=0.0) - 100.0
    vocabulary = [(p.piece, float(p.score) if p.type in (_NORMAL, _BYTE) else never) for p in proto.pieces]
    has_bytes = any(piece.type == _BYTE for piece in proto.pieces)
    return models.Unigram(vocabulary, proto.trainer_spec.unk_id, has_bytes)


def _bpe(proto: Any) -> Any:
    from tokenizers import models

    vocabulary = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    texts = {piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL}
    merges = []
    for number, piece in enumerate(proto.pieces):
        if piece.type != _NORMAL:
            continue
        halves = ((piece.piece[:at], piece.piece[at:]) for at in range(1, len(piece.piece)))
        own = [(vocabulary[a], vocabulary[b], a, b) for a, b in halves if a in texts and b in texts]
        merges += [(-piece.score, number, *pair) for pair in sorted(own)]
    has_bytes = any(piece.type == _BYTE for piece in proto.pieces)
    unknown = proto.pieces[proto.trainer_spec.unk_id].piece
    return models.BPE(
        vocab=vocabulary,
        merges=[(a, b) for *_, a, b in sorted(merges)],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=has_bytes,
    )
