"""Unaligned loads for kernels: four or eight bytes from any place of a byte array as one number, and questions asked
of eight bytes at once.

Little end first, as on every machine that numba knows. Bytes put together by shifts cost ten times as much. A mask has
the high bit of each byte that the answer is yes for. `masks` asks 64 bytes at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datakit.kernels.compiled import kernel

HIGH, LOW7 = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = 0x0101010101010101
_UP_TO_BLANK, _NEWLINES = np.uint64((0x80 - 0x20) * _ONES), np.uint64(0x0A * _ONES)


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


def _zero_bytes(typing: Any, mask: Any) -> Any:
    def count(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), count


first_byte: Any = intrinsic(_zero_bytes)
"""`first_byte(mask)`: the number of the first byte in a mask; 8 if there is none."""


@kernel
def controls(word: Any) -> Any:
    """Mask of the bytes below 0x20, of bytes that are all below 0x80."""
    return ~(word + _UP_TO_BLANK) & HIGH


@kernel
def same_bytes(word: Any, wanted: Any) -> Any:
    """Mask of the bytes, of any value, that are those of `wanted`."""
    apart = word ^ wanted
    return ~(((apart & LOW7) + LOW7) | apart) & HIGH


@kernel
def line_end(data: Any, i: int, end: int) -> int:
    """Where the next newline of data[i:end] stands, else `end`."""
    while i < end and i + 8 <= data.size:
        step = first_byte(same_bytes(read64(data, i), _NEWLINES))
        if step < 8:
            return min(i + step, end)
        i += 8
    while i < end and data[i] != 10:
        i += 1
    return min(i, end)
