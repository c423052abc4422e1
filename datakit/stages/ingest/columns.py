"""A file's own columns as Arrow columns that travel along, named `source.<column>`.

    bool, int64, float64, text stay what they are; lists and objects become JSON text; a column that mixes types becomes
    text; binary columns do not travel

so that shards of one file fit together, and so that a row can be exported as it came. Once a column of a file has a
type, later shards of that file keep it where every value fits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

INT64 = 1 << 63


def carried(values: Any, kept: list[int], before: pa.DataType | None) -> pa.Array | None:
    """The column of the kept rows, of the type it had `before` if that loses nothing; None if it can't travel."""
    import pyarrow as pa

    if isinstance(values, pa.Array):
        column = _typed(values)
        column = column.take(pa.array(kept, pa.int64())) if column is not None and len(kept) < len(column) else column
    else:
        column = _inferred([values[place] for place in kept])
    if column is None or before is None or column.type == before:
        return column
    if pa.types.is_null(column.type) or (pa.types.is_int64(column.type) and pa.types.is_floating(before)):
        return column.cast(before)
    if pa.types.is_large_string(before):
        return pa.array([_spelled(value) for value in column.to_pylist()], pa.large_string())
    return column


def _inferred(values: list[Any]) -> pa.Array:
    """A column from Python values."""
    import pyarrow as pa

    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {str}:
        return pa.array(values, pa.large_string())
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or -INT64 <= value < INT64 for value in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and float in kinds and all(value is None or abs(value) < 2**53 for value in values):
        return pa.array(values, pa.float64())
    return pa.array([_spelled(value) for value in values], pa.large_string())


def _typed(column: pa.Array) -> pa.Array | None:
    """A column of a typed file in one of the types that travel."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _typed(column.dictionary_decode())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return None
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_nested(kind):
        return pa.array([_spelled(value) for value in column.to_pylist()], pa.large_string())
    return column.cast(pa.large_string())


def _spelled(value: Any) -> str | None:
    """A value as text: strings as they stand, everything else as JSON."""
    import orjson

    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
