"""A tokenizer of the corpus' own: SentencePiece trained on its text, once, and kept in the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.stage import Corpus

if TYPE_CHECKING:
    import pyarrow as pa

_LINE = 4000
"""Longest line given to SentencePiece's trainer, in characters; longer ones are cut."""


def trained_on(corpus: Corpus, settings: dict[str, Any]) -> str:
    """The spec of a SentencePiece model trained on this corpus; found in the cache if it was trained before.

    `settings`: `TrainTokenizer` as plain values. The key is made of them and the keys of the shards.
    """
    from datakit.tokenizers import TRAINED, train_sentencepiece, trained_path

    key = key_of("sentencepiece", 2, settings, [shard.key for shard in corpus.shards])
    path = trained_path(key, corpus.env.cache)
    if not path.is_file():
        corpus.env.tell(f"training a SentencePiece model of {settings['vocab_size']} tokens")
        options = {name: value for name, value in settings.items() if name != "max_characters"}
        model = train_sentencepiece(_lines(corpus, settings["max_characters"]), **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(model)
        os.replace(draft, path)
    return f"{TRAINED}{key}"


def _lines(corpus: Corpus, limit: int) -> Iterator[str]:
    """Lines of the corpus in order: of all rows, or of a share of them chosen by id, about `limit` characters."""
    import pyarrow.compute as pc

    from datakit.schemas import text_view

    size = sum(int(pc.sum(pc.utf8_length(text_view(batch))).as_py() or 0) for batch in _batches(corpus))
    share = min(1.0, limit / max(1, size))
    for batch in _batches(corpus):
        for row, text in zip(batch.column("id").to_pylist(), text_view(batch).to_pylist(), strict=True):
            if share < 1.0 and int(key_of("train", row)[:8], 16) >= share * 2**32:
                continue
            for line in text.splitlines():
                yield from (line[at : at + _LINE] for at in range(0, len(line), _LINE))


def _batches(corpus: Corpus) -> Iterator[pa.RecordBatch]:
    for shard in corpus.shards:
        yield from shard.read().combine_chunks().to_batches()
