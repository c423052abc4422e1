"""Who stays of several copies: the order of places.

    keep      first of all                                  then
    first                                                   name of the source, position, id
    longest   most characters                               the same
    oldest    smallest number or date in the column `by`    the same
    best      largest number in `by` (quality.score)        the same

A row without a number or date comes after all that have one. Dates may be numbers, Arrow dates and times, or text in
ISO 8601 or with year, month and day in this order (2021, 2021-03, "2021.03.05", "2021년 3월 5일"); a time without a
zone is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Keep = Literal["first", "longest", "oldest", "best"]
SCORE = "quality.score"
"""What `best` goes by: 0 to 1, written by the stage `quality`."""
RANK_VERSION = 1
"""Part of the stored ranks' keys; bump when dates are read differently."""
_DATE = re.compile(r"\s*(\d{4})(?:\D{1,3}(\d{1,2})(?:\D{1,3}(\d{1,2}))?)?(?!\d)")


def rank(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """A number a row, smallest first: the age, or minus the score; infinite where there is none. Settings: keep, by."""
    import numpy as np
    import pyarrow as pa

    if settings["by"] not in table.schema.names:
        return pa.table({"rank": np.full(table.num_rows, np.inf)})
    numbers = _numbers(table.column(settings["by"]).combine_chunks())
    ranks = -numbers if settings["keep"] == "best" else numbers
    return pa.table({"rank": np.where(np.isnan(ranks), np.inf, ranks)})


def _numbers(column: pa.Array) -> np.ndarray[Any, Any]:
    """A column as numbers, NaN where it holds none; dates are seconds since 1970."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        column = pc.divide(column.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.array([_seconds(value) for value in column.to_pylist()], np.float64)
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _seconds(value: Any) -> float:
    """The time that a text names, or the number it spells; NaN if neither."""
    if not isinstance(value, str):
        return float("nan")
    with suppress(ValueError):
        return _utc(datetime.fromisoformat(value.strip()))
    if found := _DATE.match(value):
        year, month, day = (int(part or 1) for part in found.groups())
        with suppress(ValueError):
            return _utc(datetime(year, month, day))
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _utc(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def places(whole: pa.Table, keep: Keep, ranks: Sequence[pa.Table] | None) -> np.ndarray[Any, Any]:
    """The rows (columns source, position, id, characters) in the order in which they are kept."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels.places import rows_in_order

    if keep == "longest":
        return rows_in_order(whole, pc.negate(whole.column("characters")))
    return rows_in_order(whole, None if ranks is None else pa.concat_tables(ranks).column("rank"))
