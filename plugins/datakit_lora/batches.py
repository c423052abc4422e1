"""Packed rows -> micro-batches, in an order that only the seed decides.

A micro-batch is one line of tokens: the documents of its rows laid end to end, with where each begins. There is no
padding in it and no mask: a document with nothing to learn (the pad tail is one) is left out, and a document is cut
after its last learned token, since nothing behind it can change the loss. Both are exact, both save time. A filler
document that learns nothing rounds the line up (see ROUND).

    row A   [doc 1 ....][doc 2 ...][pad]        micro-batch   [doc 1 ....][doc 2 ..][doc 3 ......]
    row B   [doc 3 .......][pad.......]         positions      0 1 2 ...   0 1 2 ..  0 1 2 ...

`targets[i]` is the token to be predicted after token i, -100 where nothing is learned; the last token of a document
predicts nothing, so no document learns to predict the next one's first token. Methods that learn virtual tokens get
places for them before each document (VIRTUAL), so packed rows mean the same to them as rows apart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datakit.canon import key_of
from datakit.errors import TrainError
from datakit.schemas import IGNORED

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


ROUND = 64
"""A micro-batch is filled up to a multiple of this. A CPU compiles its matrix products anew for every number of tokens
it has not seen (oneDNN: 0.35 s of a 3 s step on SmolLM2); filling costs 3 % and leaves a handful of sizes."""


VIRTUAL = -1
"""Stands in `input_ids` where a virtual token goes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One document of a packed row, as it is trained on: int64 arrays of equal length."""

    input_ids: np.ndarray
    targets: np.ndarray
    id: str = ""

    @property
    def supervised(self) -> int:
        """Tokens that are learned."""
        return int((self.targets != IGNORED).sum())


@dataclass(frozen=True, slots=True)
class Row:
    """A packed row: its trained documents, and its size in token slots and in tokens of documents."""

    pieces: tuple[Piece, ...]
    slots: int
    real: int
    supervised: int


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch of n tokens: int64 arrays, and the lengths of the documents they are made of."""

    input_ids: np.ndarray
    position_ids: np.ndarray
    learned: np.ndarray
    """Places [m] of the tokens after which something is learned; found here, where looking costs no device a stop."""
    wanted: np.ndarray
    """What is learned there [m]."""
    owner: np.ndarray
    """Which document that is [m], counted over the whole micro-batch."""
    lengths: tuple[int, ...]
    slots: int
    real: int
    supervised: int


def read_rows(table: pa.Table) -> list[Row]:
    """The rows of a packed table."""
    import numpy as np

    columns = [table.column(name).combine_chunks() for name in ("input_ids", "labels", "position_ids")]
    arrays = [np.asarray(column.flatten(), dtype=np.int64) for column in columns]
    lengths = [np.asarray(column.value_lengths(), dtype=np.int64) for column in columns]
    if not all(np.array_equal(lengths[0], other) for other in lengths[1:]):
        raise TrainError("input_ids, labels and position_ids of a row differ in length", fix="pack the dataset again")
    ends = np.cumsum(lengths[0])
    ids, labels, positions = arrays
    return [
        _row(ids[start:end], labels[start:end], positions[start:end], held or ())
        for start, end, held in zip(ends - lengths[0], ends, table.column("spans").to_pylist(), strict=True)
    ]


def _row(ids: np.ndarray, labels: np.ndarray, positions: np.ndarray, spans: Sequence[dict[str, Any]]) -> Row:
    import numpy as np

    # A document begins wherever positions don't count on by one.
    begins = np.flatnonzero(np.diff(positions, prepend=-2) != 1) if len(ids) else np.zeros(0, np.int64)
    named = {span["start"]: str(span["id"]) for span in spans}
    pieces = [
        piece
        for begin, end in zip(begins, [*begins[1:], len(ids)], strict=True)
        if (piece := piece_of(ids[begin:end], labels[begin:end], named.get(int(begin), "")))
    ]
    real = sum(span["length"] for span in spans) if spans else len(ids)
    return Row(tuple(pieces), len(ids), real, sum(piece.supervised for piece in pieces))


def piece_of(ids: np.ndarray, labels: np.ndarray, id: str) -> Piece | None:
    """A document as it is trained on; None if it has nothing to learn."""
    import numpy as np

    targets = np.append(labels[1:], IGNORED)
    learned = np.flatnonzero(targets != IGNORED)
    if not len(learned):
        return None
    keep = int(learned[-1]) + 1
    return Piece(ids[:keep], targets[:keep], id)


def lay_out(rows: Sequence[Row], virtual: int = 0) -> Batch:
    """The micro-batch made of some rows, with so many places for virtual tokens before each document."""
    import numpy as np

    pieces = [piece for row in rows for piece in row.pieces]
    filler = -sum(len(piece.input_ids) + virtual for piece in pieces) % ROUND
    places, goals = np.full(virtual, VIRTUAL, np.int64), np.full(virtual, IGNORED, np.int64)
    ids = [part for piece in pieces for part in (places, piece.input_ids)]
    targets = [part for piece in pieces for part in (goals, piece.targets)]
    lengths = [len(piece.input_ids) + virtual for piece in pieces]
    if filler or not pieces:
        lengths.append(filler or ROUND)
        ids.append(np.zeros(lengths[-1], np.int64))
        targets.append(np.full(lengths[-1], IGNORED, np.int64))
    line = np.concatenate(targets)
    learned = np.flatnonzero(line != IGNORED)
    return Batch(
        np.concatenate(ids),
        np.concatenate([np.arange(length) for length in lengths]),
        learned,
        line[learned],
        np.repeat(np.arange(len(lengths)), lengths)[learned],
        tuple(lengths),
        sum(row.slots for row in rows),
        sum(row.real for row in rows),
        sum(row.supervised for row in rows),
    )


def halves(rows: Sequence[Row]) -> list[list[Row]]:
    """A micro-batch in two of about equal size: by rows, or a single row by its documents; one part if it is one."""
    if len(rows) > 1:
        middle = len(rows) // 2
        return [list(rows[:middle]), list(rows[middle:])]
    [row] = rows
    middle = len(row.pieces) // 2
    parts = [row.pieces[:middle], row.pieces[middle:]]
    return [[_part(row, pieces)] for pieces in parts if pieces]


def _part(row: Row, pieces: tuple[Piece, ...]) -> Row:
    tokens = sum(len(piece.input_ids) for piece in pieces)
    return Row(pieces, tokens, tokens, sum(piece.supervised for piece in pieces))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows each step sees: an epoch is a shuffle of all rows, a step a window of it; the fields decide all."""

    rows: int
    row_slots: int
    batch_tokens: int
    accumulation: int
    epochs: float
    max_steps: int | None
    seed: int

    @property
    def rows_a_batch(self) -> int:
        """Rows in one micro-batch."""
        return max(1, self.batch_tokens // max(1, self.row_slots))

    @property
    def steps_an_epoch(self) -> int:
        """Steps in one pass over the rows; the last may be short, and is normalised by its own tokens."""
        return math.ceil(self.rows / (self.rows_a_batch * self.accumulation))

    @property
    def steps(self) -> int:
        """Steps in all."""
        asked = max(1, round(self.epochs * self.steps_an_epoch))
        return min(asked, self.max_steps or asked)

    def order(self, epoch: int) -> list[int]:
        """The rows of an epoch in the order they are seen."""
        order = list(range(self.rows))
        random.Random(key_of(self.seed, "order", epoch)).shuffle(order)
        return order

    def windows(self, start: int = 0) -> Iterator[list[list[int]]]:
        """For each step from `start` on: its micro-batches as lists of row numbers."""
        width = self.rows_a_batch * self.accumulation
        epoch, order = -1, list[int]()
        for step in range(start, self.steps):
            if step // self.steps_an_epoch != epoch:
                epoch = step // self.steps_an_epoch
                order = self.order(epoch)
            place = (step % self.steps_an_epoch) * width
            window = order[place : place + width]
            yield [window[at : at + self.rows_a_batch] for at in range(0, len(window), self.rows_a_batch)]
