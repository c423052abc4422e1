"""How difficult a row is for a base model: IFD of an example, perplexity of a document.

    IFD(Q, A) = ppl(A | Q) / ppl(A)        ppl: exp of the mean negative log-likelihood of a token of A

Both passes score the same tokens: A after Q, and A after the bare joint that stands between the two. Without a chat
template, so that any base can be asked: what counts is the order of the rows, and Li et al. find it much the same even
between models of very different sizes (Superfiltering, 2402.00530).

A is the last answer of an example, Q all that comes before it. Each row is scored alone and on one thread, so its score
doesn't depend on its neighbours, the number of workers or cores; scores are rounded to four digits behind the point.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.schemas import IGNORED, TEXT_JOINT, Message, examples
from datakit.stage import Corpus

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SCORE_VERSION = 1
_HIGHEST = 700.0
"""Highest logarithm of a ratio: exp of more is no float."""


def scored(corpus: Corpus, base: str, tokens: int, name: str) -> np.ndarray[Any, Any]:
    """The difficulty of every row; NaN where there is no answer or no text."""
    import numpy as np

    from datakit.models import resolve_base

    rows = sum(shard.rows for shard in corpus.shards)
    if not rows:
        return np.empty(0)
    corpus.env.tell(f"{name}: {base} reads {rows:,} rows twice, once and for all; more workers read more at a time")
    files = resolve_base(base, corpus.env.cache)
    work = partial(score_shard, folder=str(files.folder))
    settings = {"base": files.fingerprint, "tokens": tokens, "version": SCORE_VERSION}
    parts = [table.column("difficulty").to_numpy() for table in corpus.map(work, settings, part="select.difficulty")]
    return np.concatenate(parts)


def score_shard(table: pa.Table, settings: dict[str, Any], *, folder: str) -> pa.Table:
    """The difficulty of one shard's rows."""
    import pyarrow as pa

    scorer = opened(folder, settings["tokens"])
    scores: list[float | None] = []
    with _one_thread():
        for batch in table.combine_chunks().to_batches():
            if "messages" in batch.schema.names:
                scores += [scorer.ifd(row.messages) for row in examples(batch)]
            else:
                scores += [scorer.perplexity(text or "") for text in batch.column("text").to_pylist()]
    return pa.table({"difficulty": pa.array(scores, pa.float64())})


@lru_cache(maxsize=1)
def opened(folder: str, tokens: int) -> Scorer:
    """The base model, loaded once a process."""
    from datakit.models import base_settings, load_base

    model, tokenizer = load_base(Path(folder))
    room = int(base_settings(Path(folder)).get("max_position_embeddings") or tokens)
    return Scorer(model, tokenizer, min(tokens, room))


class Scorer:
    """Asks a base model; `most` is the largest number of tokens it is shown at once."""

    def __init__(self, model: Any, tokenizer: Any, most: int) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._begin: list[int] = tokenizer("").input_ids or [tokenizer.bos_token_id or 0]
        self._joint = self._ids(TEXT_JOINT)
        self._half = max(1, (most - len(self._begin) - len(self._joint)) // 2)

    def ifd(self, messages: list[Message]) -> float | None:
        """ppl(A | Q) / ppl(A) of the last answer."""
        last = max((n for n, turn in enumerate(messages) if turn.role == "assistant"), default=-1)
        answer = self._ids(messages[last].content or "")[: self._half] if last >= 0 else []
        if not answer:
            return None
        asked = self._ids(TEXT_JOINT.join(turn.content or "" for turn in messages[:last]))[-self._half :]
        after, alone = (self._nll([*self._begin, *before, *self._joint], answer) for before in (asked, []))
        return round(exp(min(after - alone, _HIGHEST)), 4)

    def perplexity(self, text: str) -> float | None:
        """exp of the mean negative log-likelihood of a token."""
        ids = self._ids(text)[: 2 * self._half]
        return round(exp(min(self._nll(self._begin, ids), _HIGHEST)), 4) if ids else None

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _nll(self, before: list[int], learned: list[int]) -> float:
        """Mean negative log-likelihood (nats) of a token of `learned`."""
        from datakit.models import score_batch

        ((total, count),) = score_batch(self._model, [([*before, *learned], [*[IGNORED] * len(before), *learned])])
        return total / max(1, count)


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch adds up on one thread: one order, so the same last digits for any number of cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
