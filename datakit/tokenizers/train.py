"""Trains a SentencePiece model on text: lossless, and the same bytes for the same lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from datakit.errors import ConfigError, Problem

CONTROLS = ("<|im_start|>", "<|im_end|>")
"""Control tokens given to every tokenizer trained here, so that the ChatML template has its two tokens."""


def train_sentencepiece(
    lines: Iterator[str],
    *,
    vocab_size: int,
    model_type: str,
    character_coverage: float = 0.9995,
    byte_fallback: bool = True,
) -> bytes:
    """Train a SentencePiece model (Kudo & Richardson, arXiv 1808.06226) and return the .model file's bytes.

    Lossless: text is not normalised, spaces stay as they are, no ▁ is put before the first word, and with
    `byte_fallback` every character has ids. One thread: with more, unigram training sums in another order and gives
    another vocabulary. A corpus too small for `vocab_size` gives a smaller unigram vocabulary; for BPE it is an error.
    """
    import io

    from sentencepiece import SentencePieceTrainer

    out = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=out,
            vocab_size=vocab_size,
            model_type=model_type,
            character_coverage=character_coverage,
            byte_fallback=byte_fallback,
            hard_vocab_limit=model_type == "bpe",
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            split_digits=True,
            max_sentence_length=1 << 20,
            unk_id=0, bos_id=1, eos_id=2, pad_id=3,
            control_symbols=list(CONTROLS),
            num_threads=1,
            minloglevel=2,
        )  # fmt: skip
    except RuntimeError as error:
        limit = re.search(r"value <= (\d+)", str(error))
        fix = f"a `vocab_size` of at most {limit[1]}" if limit else "more text, or a smaller `vocab_size`"
        raise ConfigError(
            (Problem("train.vocab_size", f"this corpus can't fill a vocabulary of {vocab_size}", fix),)
        ) from error
    return _rounded(out.getvalue()) if model_type == "unigram" else out.getvalue()


def _rounded(model: bytes) -> bytes:
    """The model with scores rounded to 1/64 nat.

    Two ways to cut a text may hold the same pieces in another order. Their sums of scores are equal, but not so in
    SentencePiece's float32, where the order decides which is larger; transformers adds in float64 and takes the other
    one (a line in some thousands). Sums of such rounded scores are exact in both up to 262,144 nats, a line of some
    20,000 tokens, and then the same rule breaks the tie.
    """
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at run time
    proto.ParseFromString(model)
    for piece in proto.pieces:
        piece.score = round(piece.score * 64) / 64
    return bytes(proto.SerializeToString(deterministic=True))
