"""What a training says of each row: a trainer's row_losses.parquet (id, split, tokens, loss_before, loss_after).

    memorised      loss below 0.1 nats a token, half of what it was or less: the model says it by heart
    unlearnable    loss among the highest quarter, and within 2 % of what it was: noise, or too hard for this model
    contradicted   loss more than 2 % above what it was though it was trained on: other rows teach something else

Only rows that were trained on are told; nobody is asked for rows of other splits. 0.1 nats: the model gives every token
nine chances in ten. Losses are means a token, in nats, so rows of all lengths compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datakit.errors import SourceError

ROW_LOSSES = "row_losses.parquet"
COLUMNS = ("id", "split", "loss_before", "loss_after")
BY_HEART, STILL, QUARTER = 0.1, 0.02, 0.25


@dataclass(frozen=True, slots=True)
class Learned:
    """The loss of one row before and after a training."""

    id: str
    split: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """Relative change of the loss; -0.1 is ten per cent lower."""
        return (self.after - self.before) / self.before if self.before else 0.0


def read_learned(path: str | Path) -> list[Learned]:
    """The rows of a file of losses; a SourceError if it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=list(COLUMNS))
        columns = [table.column(name).to_pylist() for name in COLUMNS]
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        fix = "train with `row_losses: true`; the adapter's folder has it"
        raise SourceError("no file of row losses", where=str(path), fix=fix) from error
    return [Learned(*row) for row in zip(*columns, strict=True)]


def outstanding(rows: list[Learned]) -> dict[str, list[Learned]]:
    """The rows of each kind, the most extreme first."""
    trained = sorted((row for row in rows if row.split == "train"), key=lambda row: (row.after, row.id))
    high = trained[int(len(trained) * (1 - QUARTER))].after if trained else 0.0
    memorised = [row for row in trained if row.after < BY_HEART and row.change <= -0.5]
    unlearnable = [row for row in reversed(trained) if row.after >= high and abs(row.change) <= STILL]
    contradicted = sorted((row for row in trained if row.change > STILL), key=lambda row: (-row.change, row.id))
    return {"memorised": memorised, "unlearnable": unlearnable, "contradicted": contradicted}
