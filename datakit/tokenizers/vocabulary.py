"""How well vocabularies fit a corpus: tokens a word by language, beside one another.

A Korean word is an eojeol, an English one a word: both are text between white space. What is one token for an English
word may be eight for an eojeol; that factor is what Korean training costs in tokens, so a tokenizer of the corpus' own
stands beside the base's here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from datakit.tokenizers.seam import Tokenizer

LANGUAGES = ("ko", "en")


def vocabulary_report(
    tokenizers: Mapping[str, Tokenizer], texts: Iterable[tuple[str, str]]
) -> dict[str, dict[str, Any]]:
    """Name of a tokenizer -> its figures over (language, text) pairs.

    `tokens_a_word` by language, `characters_a_token` over all texts, `vocabulary_used`: share of the vocabulary that a
    text needed, `byte_tokens`: share of the tokens that are less than a character.
    """
    import numpy as np

    told = list(texts)
    langs = [lang for lang, _ in told]
    words = np.array([len(text.split()) for _, text in told], np.int64)
    found = {}
    for name, one in tokenizers.items():
        encoded = one.encode_batch([text for _, text in told], offsets=True)
        sizes = np.diff(encoded.rows)
        a_word = {}
        for lang in LANGUAGES:
            own = np.array([other == lang for other in langs], bool)
            if words[own].sum():
                a_word[lang] = round(float(sizes[own].sum() / words[own].sum()), 3)
        again = np.zeros(len(encoded.ids), bool)
        again[1:] = (encoded.starts[1:] == encoded.starts[:-1]) & (encoded.ends[1:] == encoded.ends[:-1])
        total = max(1, len(encoded.ids))
        found[name] = {
            "vocab_size": one.vocab_size,
            "tokens_a_word": a_word,
            "characters_a_token": round(sum(len(text) for _, text in told) / total, 3),
            "vocabulary_used": round(len(np.unique(encoded.ids)) / one.vocab_size, 4),
            "byte_tokens": round(float((again | np.append(again[1:], False)).sum() / total), 4),
        }
    return found
