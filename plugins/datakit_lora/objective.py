"""What a step lowers: the loss of answers (sft), or of a preference between two of them (dpo).

Both are sums over a window of micro-batches, divided by what the window is worth: its learned tokens, or its pairs. So
neither depends on how the window was cut into micro-batches.

DPO (Rafailov et al., 2305.18290): -log sigmoid(beta x (m - m0)), where m is the log-probability of the chosen answer
minus that of the rejected one and m0 the same under the base. m0 is computed once for each pair before the adapter is
put on: exact for every method and start, also for `full`, and one pass instead of one an epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch

from datakit.errors import TrainError
from datakit.schemas import Message
from datakit_lora.batches import Row, halves, lay_out, piece_of
from datakit_lora.conversation import labelled
from datakit_lora.loss import Losses

if TYPE_CHECKING:
    import pyarrow as pa


class Objective(Protocol):
    """What the loop asks of an objective."""

    unit: ClassVar[str]
    """What a loss is divided by, for people."""

    def worth(self, row: Row) -> int:
        """How much a row counts."""

    def summed(self, losses: Losses, rows: Sequence[Row]) -> torch.Tensor:
        """The summed loss of a micro-batch."""

    def halves(self, rows: Sequence[Row]) -> list[list[Row]]:
        """A micro-batch in two; in one if it can't be cut."""


@dataclass(frozen=True, slots=True)
class Answers:
    """sft: negative log-likelihood of the learned tokens."""

    unit: ClassVar[str] = "token"

    def worth(self, row: Row) -> int:
        """Learned tokens."""
        return row.supervised

    def summed(self, losses: Losses, rows: Sequence[Row]) -> torch.Tensor:
        """Over all learned tokens."""
        return losses.summed(laid_out(losses, rows))

    def halves(self, rows: Sequence[Row]) -> list[list[Row]]:
        """By rows, then by documents."""
        return halves(rows)


@dataclass(frozen=True, slots=True)
class Preference:
    """dpo: each row is a pair, the chosen answer's document first."""

    unit: ClassVar[str] = "pair"
    beta: float
    reference: dict[str, float]
    """m0 of each pair, by its id."""

    def worth(self, row: Row) -> int:
        """One pair."""
        return 1

    def summed(self, losses: Losses, rows: Sequence[Row]) -> torch.Tensor:
        """Over all pairs."""
        return torch.nn.functional.softplus(-self.margins(losses, rows)).sum()

    def margins(self, losses: Losses, rows: Sequence[Row]) -> torch.Tensor:
        """beta x (m - m0) of each pair; above 0 the adapter prefers the chosen answer more than the base does."""
        own = margins(losses, rows)
        base = torch.tensor([self.reference[row.pieces[0].id] for row in rows], device=own.device)
        return self.beta * (own - base)

    def halves(self, rows: Sequence[Row]) -> list[list[Row]]:
        """By pairs; a pair stays together."""
        return halves(rows) if len(rows) > 1 else [list(rows)]


def laid_out(losses: Losses, rows: Sequence[Row]) -> Any:
    """The micro-batch of some rows, with places for the model's virtual tokens."""
    return lay_out(rows, losses.soft.in_the_line if losses.soft else 0)


def margins(losses: Losses, rows: Sequence[Row]) -> torch.Tensor:
    """log p(chosen) - log p(rejected) of each pair [pairs]."""
    nll = losses.by_document(laid_out(losses, rows))
    return nll[1 : 2 * len(rows) : 2] - nll[0 : 2 * len(rows) : 2]


def references(losses: Losses, rows: Sequence[Row], rows_a_batch: int) -> dict[str, float]:
    """m0 of each pair under the model as it is, by the pair's id."""
    found: dict[str, float] = {}
    with torch.no_grad():
        for start in range(0, len(rows), rows_a_batch):
            some = rows[start : start + rows_a_batch]
            for row, margin in zip(some, margins(losses, some).tolist(), strict=True):
                found[row.pieces[0].id] = margin
    return found


def read_pairs(table: pa.Table, tokenizer: Any) -> list[Row]:
    """Examples with `chosen` and `rejected` as rows of two documents each; examples without them are left out."""
    import numpy as np

    if not {"messages", "chosen", "rejected"} <= set(table.schema.names):
        raise TrainError(
            "the dataset has no preference rows", fix="rows need `chosen` and `rejected`; or objective: sft"
        )
    rows = []
    for one in table.select(["id", "messages", "chosen", "rejected"]).to_pylist():
        if not one["chosen"] or not one["rejected"]:
            continue
        asked = _turns(one["messages"] or ())
        pieces = []
        for name in ("chosen", "rejected"):
            ids, labels = labelled(tokenizer, [*asked, *_turns(one[name])], first=len(asked))
            piece = piece_of(np.asarray(ids, np.int64), np.asarray(labels, np.int64), one["id"])
            if piece is not None:
                pieces.append(piece)
        if len(pieces) == 2:
            tokens = sum(len(piece.input_ids) for piece in pieces)
            rows.append(Row(tuple(pieces), tokens, tokens, sum(piece.supervised for piece in pieces)))
    return rows


def _turns(said: Sequence[dict[str, Any]]) -> list[Message]:
    return [Message(turn["role"], turn["content"]) for turn in said]
