"""One shard of text as tokens: encoding, labels from trained spans, long rows by policy, and the fate of every row.

    batch -> tokens of all texts, end to end -> learned or not -> BOS, EOS -> pieces by policy -> columns

No step is taken row by row in Python, but for rows that are too long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.errors import StageError
from datakit.schemas import IGNORED

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.tokenizers import SpanLists, Spans, Tokenizer

COUNTS = ("tokens_cut", "tokens_dropped", "tokens_added", "rejected_tokens", "straddling", "specials_as_text")
"""Counters of a row. `straddling`: tokens half inside a trained span, which aren't learned."""
REJECTED = ("tokenize.rejected_ids", "tokenize.rejected_labels")
_REJECTED = ("template.rejected_text", "template.rejected_trained", "template.rejected_contents")
_TOLD = ("id", "source_id", "family", "split", "lang")
_BATCH = 4096
_MARKUP = re.compile(
    r"<\|im_(?:start|end)\|>|<\|(?:begin_of_text|eot_id|(?:start|end)_header_id)\|>|<bos>|</s>|<(?:start|end)_of_turn>"
)
"""Control tokens of the published templates: one that the tokenizer lacks would be learned as pieces of text."""
_CONTENTS = "template.contents"


@lru_cache(maxsize=4)
def loaded(spec: str, cache: Path, added: tuple[str, ...] = ()) -> Tokenizer:
    """The tokenizer, loaded once a process."""
    import os

    from datakit.tokenizers import load_tokenizer

    # Cores are shared out by workers; the library's own threads would only stand in each other's way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return load_tokenizer(spec, cache, added)


def tokenize_shard(table: pa.Table, settings: dict[str, Any], *, spec: str, cache: Path) -> pa.Table:
    """The rows of one shard as tokens; rows that go stay in it, without ids, with rule, value and threshold.

    `marked` holds ids and labels in one number each, as `pack` has them: half as much to store. `unmarked` opens it.
    """
    import pyarrow as pa

    if "messages" in table.schema.names and "text" not in table.schema.names:
        raise StageError("these conversations have no text yet", fix="add `template` before `tokenize`")
    rows = Rows(loaded(spec, cache, tuple(settings["added_tokens"])), settings)
    batches = table.combine_chunks().to_batches(max_chunksize=_BATCH)
    parts = [rows.tokenized(batch) for batch in batches if batch.num_rows] or [rows.tokenized(_empty(table))]
    return _marked(pa.concat_tables(parts, promote_options="default"))


def _marked(rows: pa.Table) -> pa.Table:
    """The rows with one column of marked tokens in place of ids and labels."""
    import numpy as np
    import pyarrow as pa

    from datakit.kernels.packing import mark

    ids, labels = (pa.concat_arrays(rows.column(name).chunks) for name in ("input_ids", "labels"))
    tokens = np.empty(len(ids.values), np.int32)
    mark(ids.values.to_numpy(), labels.values.to_numpy(), tokens)
    lists = pa.LargeListArray.from_arrays(ids.offsets, pa.array(tokens))
    return rows.drop_columns(["input_ids", "labels"]).append_column("marked", lists)


def unmarked(rows: pa.Table) -> pa.Table:
    """The rows with `input_ids` and `labels` as `tokenize_shard` marked them."""
    import numpy as np
    import pyarrow as pa

    lists = rows.column("marked").combine_chunks()
    tokens = lists.values.to_numpy()
    learned = tokens < 0
    ids = np.where(learned, ~tokens, tokens)
    columns = {"input_ids": ids, "labels": np.where(learned, ids, np.int32(IGNORED))}
    rows = rows.drop_columns(["marked"])
    for name, values in columns.items():
        rows = rows.append_column(name, pa.LargeListArray.from_arrays(lists.offsets, pa.array(values)))
    return rows


def _empty(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_pylist([], schema=table.schema)


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token ids and labels of some texts, end to end, and what was counted of each text."""

    rows: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    counts: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What becomes of the rows: piece k is tokens `starts[k]:ends[k]` of row `rows[k]`, after BOS if `heads[k]`."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    heads: np.ndarray
    fits: np.ndarray
    """Whether the piece is not too long."""


class Rows:
    """Turns batches of text into columns of tokens."""

    def __init__(self, tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._limit: int | None = settings["max_length"]
        self._policy: str = settings["too_long"]
        self._specials: bool = settings["allow_specials"]
        eos = tokenizer.eos_id if settings["add_eos"] else None
        wants_bos = tokenizer.adds_bos if settings["add_bos"] is None else settings["add_bos"]
        bos = tokenizer.bos_id if wants_bos else None
        self._eos, self._bos = (-1 if token is None else token for token in (eos, bos))

    def tokenized(self, batch: pa.RecordBatch) -> pa.Table:
        """A batch of documents or rendered examples as rows of tokens, and rows that go."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from datakit.kernels.characters import buffers
        from datakit.kernels.tokens import count_words

        texts = pc.fill_null(batch.column("text"), "")
        found = self.sequences(texts, *(_spans(batch, name) for name in ("trained", _CONTENTS)))
        words = count_words(*buffers(texts))
        other = self._rejected(batch)
        pieces = self._placed(found, batch, other)
        fate = self._fate(found, pieces, words, other.counts["rejected_tokens"] if other is not None else None)
        columns: dict[str, Any] = {
            name: batch.column(name).take(pa.array(fate["row"]))
            if name in batch.schema.names
            else pa.nulls(len(fate["row"]), pa.large_string())
            for name in _TOLD
        }
        columns["id"] = _numbered(columns["id"], fate["piece"])
        columns |= {"input_ids": fate["input_ids"], "labels": fate["labels"]}
        columns |= {name: pa.array(fate[name]) for name in ("rule", "value", "threshold", "piece", "words", "whole")}
        columns |= {name: pa.array(np.asarray(fate[name], np.int64)) for name in COUNTS}
        if other is not None:
            lists = (_lists(other.rows, values) for values in (other.ids, other.labels))
            none = pc.is_null(batch.column(_REJECTED[0])).to_numpy(zero_copy_only=False)[fate["row"]]
            keep = pa.array(fate["row"], mask=none | ~np.asarray(pc.is_null(fate["rule"])))
            columns |= {name: column.take(keep) for name, column in zip(REJECTED, lists, strict=True)}
        return pa.table(columns)

    def _rejected(self, batch: pa.RecordBatch) -> Sequences | None:
        """The rejected answers of preference rows; no token for other rows, None if there are none."""
        import numpy as np
        import pyarrow.compute as pc

        if _REJECTED[0] not in batch.schema.names:
            return None
        texts = pc.fill_null(batch.column(_REJECTED[0]), "")
        found = self.sequences(texts, *(_spans(batch, name) for name in _REJECTED[1:]))
        found.counts["rejected_tokens"] = np.diff(found.rows) * np.asarray(pc.is_valid(batch.column(_REJECTED[0])))
        return found

    def sequences(self, texts: pa.LargeStringArray, trained: SpanLists | None, contents: SpanLists | None) -> Sequences:
        """Texts with BOS, EOS and labels; without `trained` they are learned whole."""
        import numpy as np

        from datakit.kernels.characters import buffers
        from datakit.kernels.tokens import closed, learned
        from datakit.tokenizers import SpanLists

        if self._specials or (trained is not None and contents is None):
            contents = SpanLists.none(len(texts))  # special tokens are all meant, as in a text without `template`
        encoded = self._tokenizer.encode_batch(texts, contents, offsets=trained is not None)
        if contents is not None and len(texts):
            self._check_markup(texts[0].as_py(), contents.lists([0])[0])
        labels, straddling = encoded.ids.copy(), np.zeros(len(texts), np.int64)
        open_ends = np.ones(len(texts), bool)
        if trained is not None:
            spans = (trained.rows, trained.starts, trained.ends)
            inside, across = learned(*buffers(texts), encoded.rows, encoded.starts, encoded.ends, *spans)
            labels[~inside] = IGNORED
            sums = np.concatenate([[0], np.cumsum(across)])
            straddling = sums[encoded.rows[1:]] - sums[encoded.rows[:-1]]
            open_ends = self._open_ends(texts, trained, contents or SpanLists.none(len(texts)))
        rows, ids = encoded.rows, encoded.ids
        if self._bos >= 0 or (self._eos >= 0 and open_ends.any()):
            rows, ids, labels = closed(rows, ids, labels, self._bos, self._eos, open_ends, IGNORED)
        return Sequences(rows, ids, labels, {"straddling": straddling, "specials_as_text": encoded.written})

    def _check_markup(self, text: str, contents: Spans) -> None:
        """StageError if what the template wrote around contents names a control token that the tokenizer lacks."""
        for match in _MARKUP.finditer(text):
            written = any(a <= match.start() and match.end() <= b for a, b in contents)
            if not written and match[0] not in self._tokenizer.specials:
                raise StageError(
                    f"the template writes {match[0]}, which is no token of this tokenizer: it would be text to a model",
                    fix="use the template of the base (`style: tokenizer`), or name the token in `added_tokens:`",
                )

    def _open_ends(self, texts: pa.LargeStringArray, trained: SpanLists, contents: SpanLists) -> np.ndarray:
        """Which texts are learned to their last character without their template having written an end token there."""
        import pyarrow.compute as pc

        sizes = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        core = pc.utf8_rtrim_whitespace(texts)
        written = contents.lasts() >= pc.utf8_length(core).to_numpy(zero_copy_only=False)
        eos = self._tokenizer.named.get("eos_token") or "\0"
        ended = pc.ends_with(core, eos).to_numpy(zero_copy_only=False)
        # Where a content stands last, an end token's name there is only text.
        return (trained.lasts() == sizes) & (sizes > 0) & (written | ~ended)

    def _placed(self, found: Sequences, batch: pa.RecordBatch, other: Sequences | None) -> _Pieces:
        """The pieces that rows become, dropped ones too: a row that is not too long is one piece."""
        import numpy as np

        sizes = np.diff(found.rows)
        pairs = np.zeros(len(sizes), bool)
        if other is not None:
            pairs = other.counts["rejected_tokens"] > 0
            sizes = np.maximum(sizes, other.counts["rejected_tokens"])
        long = np.flatnonzero(sizes > self._limit) if self._limit is not None else np.empty(0, np.int64)
        if len(long) and self._policy == "error":
            raise StageError(
                f"a row has {sizes[long[0]]} tokens, more than `max_length: {self._limit}`",
                where=f"row {batch.column('id')[long[0]].as_py()}",
                fix="another `too_long:` (drop, truncate_left, truncate_right, split), or a larger `max_length`",
            )
        # A pair is never cut: half of one teaches nothing.
        cut = [] if self._policy == "drop" else long[~pairs[long]].tolist()
        cuts = {row: self._cut(*found.rows[row : row + 2]) for row in cut}
        counts = np.ones(len(sizes), np.int64)
        for row, parts in cuts.items():
            counts[row] = len(parts)
        rows = np.repeat(np.arange(len(sizes)), counts)
        starts, ends, heads = found.rows[rows], found.rows[rows + 1], np.zeros(len(rows), bool)
        firsts = np.cumsum(counts) - counts
        for row, parts in cuts.items():
            here = slice(firsts[row], firsts[row] + len(parts))
            starts[here], ends[here], heads[here] = zip(*parts, strict=True)
        fits = np.ones(len(sizes), bool)
        fits[long] = False
        fits[cut] = True
        return _Pieces(rows, starts, ends, heads, fits[rows])

    def _cut(self, start: int, end: int) -> list[tuple[int, int, bool]]:
        """A long row by policy as (start, end, BOS again). BOS stays first, in every piece."""
        limit = self._limit or end - start
        head = self._bos >= 0
        if self._policy == "truncate_right":
            return [(start, start + limit, False)]
        if self._policy == "truncate_left":
            return [(end - limit + head, end, head)]
        later = range(start + limit, end, limit - head)
        return [(start, start + limit, False), *((at, min(at + limit - head, end), head) for at in later)]

    def _fate(
        self, found: Sequences, pieces: _Pieces, words: np.ndarray, rejected: np.ndarray | None
    ) -> dict[str, Any]:
        """All columns of the rows that come out, and of one row for each that goes whole."""
        import numpy as np

        from datakit.kernels.tokens import laid, teaches

        sizes = np.diff(found.rows)
        lengths = pieces.ends - pieces.starts + pieces.heads
        taught = teaches(found.labels, pieces.starts, pieces.ends, pieces.heads, IGNORED) > 0
        kept = taught & pieces.fits
        survives = np.zeros(len(sizes), bool)
        survives[pieces.rows[kept]] = True
        firsts = np.concatenate([[True], pieces.rows[1:] != pieces.rows[:-1]]) if len(pieces.rows) else kept
        shown = kept | (firsts & ~survives[pieces.rows])  # a row that goes is told by its first piece
        row = pieces.rows[shown]
        gone = ~survives[row]
        leads = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else gone
        total = np.bincount(pieces.rows, lengths, len(sizes)).astype(np.int64)
        left = np.bincount(pieces.rows[kept], lengths[kept], len(sizes)).astype(np.int64)
        counts = {
            "tokens_cut": np.maximum(0, sizes - total),
            "tokens_added": np.maximum(0, total - sizes),
            "tokens_dropped": total - left,
            "rejected_tokens": (rejected if rejected is not None else np.zeros(len(sizes), np.int64)) * survives,
            **found.counts,
        }
        starts, ends = pieces.starts[shown], np.where(gone, pieces.starts[shown], pieces.ends[shown])
        borders, ids, labels = found.rows, found.ids, found.labels
        if (
            gone.any() or len(row) != len(sizes) or not np.array_equal(ends - starts, sizes)
        ):  # else all rows as they are
            heads = pieces.heads[shown] & ~gone
            borders, ids, labels = laid(found.ids, found.labels, starts, ends, heads, self._bos, IGNORED)
        first = np.cumsum(leads) - 1
        piece = np.arange(len(row)) - np.flatnonzero(leads)[first] if len(row) else np.empty(0, np.int64)
        long = gone & ~pieces.fits[shown]
        rules = np.where(long, "too_long", "nothing_trained")
        return {
            "row": row,
            "rule": _texts(rules, ~gone),
            "value": _numbers(sizes[row], ~gone),
            "threshold": _numbers(np.full(len(row), self._limit or 0), ~long),
            "piece": _numbers(piece, gone),
            "words": _numbers(np.where(leads, words[row], 0), gone),
            "whole": _numbers(np.where(leads, sizes[row], 0), gone),
            "input_ids": _lists(borders, ids),
            "labels": _lists(borders, labels),
            **{name: np.where(leads, counts[name][row], 0) for name in COUNTS},
        }


def _spans(batch: pa.RecordBatch, name: str) -> SpanLists | None:
    """The character spans of a column, row by row; None without the column."""
    from datakit.tokenizers import SpanLists

    return SpanLists.column(batch.column(name)) if name in batch.schema.names else None


def _numbered(ids: pa.Array, piece: pa.Array) -> pa.Array:
    """Ids with `#2`, `#3` ... behind those of further pieces."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = pc.add(pc.fill_null(piece, 0), 1)
    if pc.max(number).as_py() in (None, 1):
        return ids
    further = pc.binary_join_element_wise(ids, number.cast(pa.large_string()), pa.scalar("#", pa.large_string()))
    return pc.if_else(pc.greater(number, 1), further, ids)


def _texts(values: np.ndarray, nulls: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(values.astype(object), pa.large_string(), mask=nulls)


def _numbers(values: Sequence[int] | np.ndarray, nulls: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.int64(), mask=nulls)


def _lists(borders: np.ndarray, values: np.ndarray) -> pa.Array:
    """A list column of int32 values."""
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(pa.array(borders), pa.array(values, pa.int32()))
