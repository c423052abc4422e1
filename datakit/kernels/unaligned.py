"""Unaligned loads for kernels: four or eight bytes from any place of a byte array as one number, little end first.

Little end first, as on every machine that numba knows. Bytes put together by shifts cost ten times as much.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def pointer(context: Any, builder: Any, kind: Any, array: Any, i: Any, target: ir.Type) -> Any:
    """While a kernel is compiled: item `i` of an array as the place of a value of type `target`."""
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [i]), target.as_pointer())


def _reader(bits: int) -> Any:
    @intrinsic
    def read(typing: Any, data: Any, i: Any) -> Any:
        def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, i = arguments
            place = pointer(context, builder, signature.args[0], array, i, ir.IntType(bits))
            return builder.zext(builder.load(place, align=1), ir.IntType(64))

        return types.uint64(data, types.intp), load

    return read


read32, read64 = _reader(32), _reader(64)
"""`read64(data, i)`: the bytes from place `i` on."""
