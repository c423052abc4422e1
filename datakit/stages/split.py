"""split: a share of the families is held out, the same ones every time.

A family is a document with everything that was made from it, so nothing in `val` or `test` has a relative in `train`.
Where a family goes depends on its name and the pipeline's seed alone: new rows never move old ones to another side.
`val` is the lowest part of the lots and `test` the highest, so one may grow without taking from the other. A share is
met on average: of 1,000 families at 0.1, 100 ± 19 are held out (two standard deviations).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import model_validator

from datakit.canon import lots
from datakit.stage import Env, Field, Outcome, RowStage, RowWork

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN, VAL, TEST = "train", "val", "test"


class Split(RowStage):
    """Sets the column `split` to `train`, `val` or `test`, by family, so that relatives stay together."""

    use: ClassVar[str] = "split"
    seeded: ClassVar[bool] = True

    val: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the families that is held out as `val`: watched while training."""
    test: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the families that is held out as `test`: looked at once, when all is decided."""

    @model_validator(mode="after")
    def _some_left(self) -> Split:
        if self.val + self.test >= 1:
            raise ValueError("`val` and `test` together leave nothing to train on; their sum must be below 1")
        return self

    def open(self, env: Env) -> RowWork:
        low, high = int(self.val * 2**64), 2**64 - int(self.test * 2**64)

        def work(batch: pa.RecordBatch) -> Outcome:
            import pyarrow as pa
            import pyarrow.compute as pc

            from datakit.schemas import replace_column

            families = pc.coalesce(batch.column("family"), batch.column("id")).to_pylist()
            known = list(dict.fromkeys(families))
            drawn = zip(known, lots(known, "split", env.seed), strict=True)
            sides = {family: VAL if lot < low else TEST if lot >= high else TRAIN for family, lot in drawn}
            chosen = [sides[family] for family in families]
            return Outcome(
                replace_column(batch, "split", pa.array(chosen, pa.large_string())), counters=Counter(chosen)
            )

        return work
