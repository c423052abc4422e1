"""split: a share of the families is held out, the same ones every time.

A family is a document with everything that was made from it, so nothing in `val` has a relative in `train`. Whether a
family is held out depends on its name and the pipeline's seed alone: new rows never move old ones to the other side.
The share is met on average: of 1,000 families at 0.1, 100 ± 19 are held out (two standard deviations).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar

from datakit.canon import lots
from datakit.stage import Env, Field, Outcome, RowStage, RowWork

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN, VAL = "train", "val"


class Split(RowStage):
    """Sets the column `split` to `train` or `val`, by family, so that relatives stay together."""

    use: ClassVar[str] = "split"
    seeded: ClassVar[bool] = True

    val: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the families that is held out as `val`."""

    def open(self, env: Env) -> RowWork:
        limit = int(self.val * 2**64)

        def work(batch: pa.RecordBatch) -> Outcome:
            import pyarrow as pa
            import pyarrow.compute as pc

            from datakit.schemas import replace_column

            families = pc.coalesce(batch.column("family"), batch.column("id")).to_pylist()
            known = list(dict.fromkeys(families))
            drawn = zip(known, lots(known, "split", env.seed), strict=True)
            sides = {family: VAL if lot < limit else TRAIN for family, lot in drawn}
            chosen = [sides[family] for family in families]
            return Outcome(
                replace_column(batch, "split", pa.array(chosen, pa.large_string())), counters=Counter(chosen)
            )

        return work
