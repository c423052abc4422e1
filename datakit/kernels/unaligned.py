"""Eight bytes at a time: unaligned loads and stores for kernels, and questions asked of eight ASCII bytes at once.

Little end first, as on every machine that numba knows. A mask has the high bit of each byte that the answer is yes for;
all of them but `same_bytes` want bytes below 0x80.
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
_UP_TO_A, _UP_TO_Z = np.uint64((0x80 - 0x41) * _ONES), np.uint64((0x80 - 0x5B) * _ONES)
_UP_TO_0, _UP_TO_9 = np.uint64((0x80 - 0x30) * _ONES), np.uint64((0x80 - 0x3A) * _ONES)
_UP_TO_BLANK, _BLANKS = np.uint64((0x80 - 0x20) * _ONES), np.uint64(0x20 * _ONES)
_UNDERSCORES, _NEWLINES = np.uint64(0x5F * _ONES), np.uint64(0x0A * _ONES)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, i: Any, bits: int) -> Any:
    start = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(start, [i]), ir.IntType(bits).as_pointer())


def _reader(bits: int) -> Any:
    @intrinsic
    def read(typing: Any, data: Any, i: Any) -> Any:
        def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array, i = arguments
            pointer = _pointer(context, builder, signature.args[0], array, i, bits)
            return builder.zext(builder.load(pointer, align=1), ir.IntType(64))

        return types.uint64(data, types.intp), load

    return read


read32, read64 = _reader(32), _reader(64)
"""`read64(data, i)`: bytes from place `i` of a byte array on. Bytes put together by shifts cost ten times as much."""


def _store64(typing: Any, data: Any, i: Any, word: Any) -> Any:
    def store(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, word = arguments
        builder.store(word, _pointer(context, builder, signature.args[0], array, i, 64), align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, types.uint64), store


def _zero_bytes(typing: Any, mask: Any) -> Any:
    def count(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), count


write64: Any = intrinsic(_store64)
"""`write64(data, i, word)`: eight bytes from place `i` on."""
first_byte: Any = intrinsic(_zero_bytes)
"""`first_byte(mask)`: the number of the first byte in a mask; 8 if there is none."""


@kernel
def lowered(word: Any) -> Any:
    """Eight ASCII bytes in lower case."""
    capital = ((word + _UP_TO_A) ^ (word + _UP_TO_Z)) & HIGH
    return word | (capital >> np.uint64(2))


@kernel
def blanks(word: Any) -> Any:
    """Mask of the bytes that are 0x20."""
    return ~((word ^ _BLANKS) + LOW7) & HIGH


@kernel
def controls(word: Any) -> Any:
    """Mask of the bytes below 0x20."""
    return ~(word + _UP_TO_BLANK) & HIGH


@kernel
def wordlike(word: Any) -> Any:
    """Mask of the bytes that are letters, digits or `_`."""
    small = word | _BLANKS
    letter = (small + _UP_TO_A - _BLANKS) ^ (small + _UP_TO_Z - _BLANKS)
    digit = (word + _UP_TO_0) ^ (word + _UP_TO_9)
    return (letter | digit | ~((word ^ _UNDERSCORES) + LOW7)) & HIGH


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
