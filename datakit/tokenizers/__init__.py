"""Tokenizers behind one seam: text to ids and character offsets, in batches, the ids of the tokenizer's own library.

A tokenizer is named by a spec:

    a folder            a Hugging Face folder: tokenizer.json is read directly, transformers only where it is missing
    smollm2, x.gguf, org/name   a base model (datakit.models): its tokenizer as a folder
    x.json              a tokenizer.json alone
    x.model             a SentencePiece model, used as it is
    trained:<key>       one that the `tokenize` stage trained on a corpus (in the cache folder)

Special tokens are control: `<|im_end|>` written inside a message must not end the turn. `encode_batch` is told which
characters are content; there, and everywhere in a plain document, a special token's name is ordinary text.

Costs (one busy core): a byte-level BPE 10 MB/s of text never seen before, 20 MB/s and more of text whose words repeat,
offsets included, where the library does 1.2-2.6 (bytelevel.py says how, and when it is exact); SentencePiece 5-13 MB/s.
Loading: 0.15 s for SmolLM2, 0.01 s for a .model file; no torch.
"""

from __future__ import annotations

from datakit.tokenizers.load import TRAINED, embedding_rows, load_tokenizer, tokenizer_identity, trained_path
from datakit.tokenizers.seam import Encoded, SpanLists, Spans, Tokenizer
from datakit.tokenizers.train import CONTROLS, train_sentencepiece
from datakit.tokenizers.vocabulary import vocabulary_report

__all__ = [
    "CONTROLS", "TRAINED", "Encoded", "SpanLists", "Spans", "Tokenizer", "embedding_rows", "load_tokenizer",
    "tokenizer_identity", "train_sentencepiece", "trained_path", "vocabulary_report",
]  # fmt: skip
