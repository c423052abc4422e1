"""One shard of text as tokens: encoding, labels from trained spans, long rows by policy, and the fate of every row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import StageError
from datakit.schemas import IGNORED

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.tokenizers import Encoded, Spans, Tokenizer

COUNTS = ("tokens_cut", "tokens_dropped", "tokens_added", "straddling", "specials_as_text")
"""Counters of a row. `straddling`: tokens half inside a trained span, which aren't learned."""
_BATCH = 256
"""Texts a call: the library's own offsets take 100 bytes a token for that long."""
_CONTENTS = "template.contents"


@lru_cache(maxsize=4)
def loaded(spec: str, cache: Path) -> Tokenizer:
    """The tokenizer, loaded once a process."""
    import os

    from datakit.tokenizers import load_tokenizer

    # Cores are shared out by workers; the library's own threads would only stand in each other's way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return load_tokenizer(spec, cache)


def tokenize_shard(table: pa.Table, settings: dict[str, Any], *, spec: str, cache: Path) -> pa.Table:
    """The rows of one shard as tokens; rows that go stay in it, without ids, with rule, value and threshold."""
    import pyarrow as pa

    tokenizer = loaded(spec, cache)
    if "messages" in table.schema.names and "text" not in table.schema.names:
        raise StageError("these conversations have no text yet", fix="add `template` before `tokenize`")
    rows = _Rows(tokenizer, settings)
    for batch in table.combine_chunks().to_batches(max_chunksize=_BATCH):
        rows.add(batch)
    return pa.table(rows.columns())


class _Rows:
    """Collects the tokenized rows of a shard, column by column."""

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._limit: int | None = settings["max_length"]
        self._policy: str = settings["too_long"]
        self._eos = tokenizer.eos_id if settings["add_eos"] else None
        wants_bos = tokenizer.adds_bos if settings["add_bos"] is None else settings["add_bos"]
        self._bos = tokenizer.bos_id if wants_bos else None
        self._told: dict[str, list[Any]] = {name: [] for name in ("id", "source_id", "family", "split", "lang")}
        self._fate: dict[str, list[Any]] = {
            name: [] for name in ("rule", "value", "threshold", "piece", "words", "whole")
        }
        self._counts: dict[str, list[Any]] = {name: [] for name in COUNTS}
        self._ids: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Tokenize a batch of documents or rendered examples."""
        texts = [text or "" for text in batch.column("text").to_pylist()]
        spans = _spans(batch, "trained")
        contents = _spans(batch, _CONTENTS)
        if spans is not None and contents is None:
            contents = [[] for _ in texts]  # a text without `template`: its special tokens are all meant
        encoded = self._tokenizer.encode_batch(texts, contents, offsets=spans is not None)
        learned = None if spans is None else _learned(encoded, texts, spans)
        told = {
            name: batch.column(name).to_pylist() if name in batch.schema.names else [None] * len(texts)
            for name in self._told
        }
        for place, text in enumerate(texts):
            row = {name: values[place] for name, values in told.items()}
            here = slice(encoded.rows[place], encoded.rows[place + 1])
            ids, labels = encoded.ids[here], encoded.ids[here].copy()
            counts = dict.fromkeys(COUNTS, 0)
            open_end = spans is None or self._open_end(text, spans[place], contents[place] if contents else [])
            if learned is not None:
                labels[~learned[0][here]] = IGNORED
                counts["straddling"] = int(learned[1][here].sum())
            if contents is not None:
                counts["specials_as_text"] = sum(self._tokenizer.spells_special(text[a:b]) for a, b in contents[place])
            ids, labels = self._closed(ids, labels, open_end)
            self._place(row, ids, labels, counts, len(text.split()))

    def columns(self) -> dict[str, pa.Array]:
        """All rows as Arrow columns."""
        import pyarrow as pa

        text, number = pa.large_string(), pa.int64()
        columns = {name: pa.array(values, text) for name, values in self._told.items()}
        columns |= {"input_ids": _lists(self._ids), "labels": _lists(self._labels)}
        kinds = {"rule": text}
        columns |= {name: pa.array(values, kinds.get(name, number)) for name, values in self._fate.items()}
        return columns | {name: pa.array(values, number) for name, values in self._counts.items()}

    def _open_end(self, text: str, spans: Spans, contents: Spans) -> bool:
        """Whether a text is learned to its last character and its template wrote no end token there."""
        if not spans or spans[-1][1] != len(text):
            return False
        core = text.rstrip()
        written = bool(contents) and contents[-1][1] >= len(core)  # then an end token's name there is only text
        return written or not core.endswith(self._tokenizer.named.get("eos_token") or "\0")

    def _closed(self, ids: np.ndarray, labels: np.ndarray, open_end: bool) -> tuple[np.ndarray, np.ndarray]:
        """The row with one BOS before it and EOS behind it where they belong."""
        import numpy as np

        if self._bos is not None and (not len(ids) or ids[0] != self._bos):
            ids, labels = np.append(np.int32(self._bos), ids), np.append(np.int32(IGNORED), labels)
        if self._eos is not None and open_end and (not len(ids) or ids[-1] != self._eos):
            ids, labels = np.append(ids, np.int32(self._eos)), np.append(labels, np.int32(self._eos))
        return ids, labels

    def _place(
        self, row: dict[str, Any], ids: np.ndarray, labels: np.ndarray, counts: dict[str, int], words: int
    ) -> None:
        """Write a row, or its pieces, or the reason why it goes."""
        size = len(ids)
        pieces = [(ids, labels)]
        if self._limit is not None and size > self._limit:
            if self._policy == "error":
                raise StageError(
                    f"a row has {size} tokens, more than `max_length: {self._limit}`",
                    where=f"row {row['id']}",
                    fix="another `too_long:` (drop, truncate_left, truncate_right, split), or a larger `max_length`",
                )
            if self._policy == "drop":
                return self._drop(row, "too_long", size, self._limit, counts, size)
            pieces = self._cut(ids, labels)
            counts["tokens_cut"] = max(0, size - sum(len(piece) for piece, _ in pieces))
            counts["tokens_added"] = max(0, sum(len(piece) for piece, _ in pieces) - size)
        # The first token of a row is predicted from nothing, so its label teaches nothing.
        kept = [(a, b) for a, b in pieces if (b[1:] != IGNORED).any()]
        if not kept:
            return self._drop(row, "nothing_trained", size, None, counts, sum(len(a) for a, _ in pieces))
        counts["tokens_dropped"] += sum(len(a) for a, _ in pieces) - sum(len(a) for a, _ in kept)
        for number, (a, b) in enumerate(kept):
            first = number == 0
            named = row if first else {**row, "id": f"{row['id']}#{number + 1}"}
            fate = {"piece": number, "words": words if first else 0, "whole": size if first else 0}
            self._write(named, a, b, fate, counts if first else dict.fromkeys(COUNTS, 0))
        return None

    def _cut(self, ids: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """A long row by policy. BOS stays first, in every piece."""
        import numpy as np

        limit = self._limit or len(ids)
        head = 1 if self._bos is not None else 0
        if self._policy == "truncate_right":
            return [(ids[:limit], labels[:limit])]
        if self._policy == "truncate_left":
            at = len(ids) - (limit - head)
            return [(np.append(ids[:head], ids[at:]), np.append(labels[:head], labels[at:]))]
        steps = range(head, len(ids), limit - head)
        return [
            (
                np.append(ids[:head], ids[at : at + limit - head]),
                np.append(labels[:head], labels[at : at + limit - head]),
            )
            for at in steps
        ]

    def _drop(
        self, row: dict[str, Any], rule: str, value: int, threshold: int | None, counts: dict[str, int], lost: int
    ) -> None:
        import numpy as np

        none = np.empty(0, np.int32)
        fate = {"rule": rule, "value": value, "threshold": threshold}
        self._write(row, none, none, fate, {**counts, "tokens_dropped": lost})

    def _write(
        self, row: dict[str, Any], ids: np.ndarray, labels: np.ndarray, fate: dict[str, Any], counts: dict[str, int]
    ) -> None:
        self._ids.append(ids)
        self._labels.append(labels)
        values = row | fate | counts
        for columns in (self._told, self._fate, self._counts):
            for name, column in columns.items():
                column.append(values.get(name))


def _spans(batch: pa.RecordBatch, name: str) -> list[list[tuple[int, int]]] | None:
    """The character spans of a column, row by row; None without the column."""
    if name not in batch.schema.names:
        return None
    return [[(s["start"], s["end"]) for s in row or ()] for row in batch.column(name).to_pylist()]


def _learned(
    encoded: Encoded, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
) -> tuple[np.ndarray, np.ndarray]:
    """(learned, straddling) for every token: inside a trained span, or half inside and so not learned."""
    import numpy as np

    inside = np.zeros(len(encoded.ids), bool)
    across = np.zeros(len(encoded.ids), bool)
    for place, row in enumerate(spans):
        a, b = encoded.rows[place], encoded.rows[place + 1]
        starts = encoded.starts[a:b]
        # Parts of one character may cover nothing: they stand for the character at their place.
        ends = np.maximum(encoded.ends[a:b], starts + 1)
        for start, end in row:
            touching = (ends > start) & (starts < end)
            whole = touching & (starts >= start) & (ends <= end)
            for token in np.flatnonzero(touching & (starts < start) & (ends <= end)):
                whole[token] = texts[place][starts[token] : start].isspace()
            inside[a:b] |= whole
            across[a:b] |= touching & ~whole
    return inside, across & ~inside


def _lists(rows: Sequence[np.ndarray]) -> pa.Array:
    """A list column of int32 arrays."""
    import numpy as np
    import pyarrow as pa

    borders = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=borders[1:])
    flat = np.concatenate(rows).astype(np.int32, copy=False) if rows else np.empty(0, np.int32)
    return pa.LargeListArray.from_arrays(pa.array(borders), pa.array(flat, pa.int32()))
