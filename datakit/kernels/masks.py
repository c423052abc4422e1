"""Sixty-four bytes at a time: questions that a bit a byte answers, bit 0 for the first byte.

    data     T h e · 가 . . 나 . . \\n
    lead     0 0 0 0 1 0 0 1 0 0 0        settled(data, i)
    blank    0 0 0 1 0 0 0 0 0 0 1        gaps(data, i)

The loads are vectors of LLVM's, so that any machine has them: two instructions a question with AVX-512, four with AVX2.
Whoever asks sees to it that `i + 64 <= len(data)`; what lies beyond the text's end is masked off afterwards. Between
bits one goes by counting zeros, so nothing branches on what the text holds: this is what makes the kernels fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from datakit.kernels.compiled import inlined
from datakit.kernels.lanes import spread
from datakit.kernels.unaligned import pointer

WIDE = 64
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BYTE, _VECTOR, _MASK = ir.IntType(8), ir.VectorType(ir.IntType(8), WIDE), ir.IntType(WIDE)


def _loaded(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    return builder.load(pointer(context, builder, kind, array, i, _VECTOR), align=1)


def _between(builder: Any, vector: Any, low: Any, high: Any) -> Any:
    above = builder.sub(vector, spread(builder, low, _VECTOR))
    return builder.icmp_unsigned("<=", above, spread(builder, builder.sub(high, low), _VECTOR))


def _asked(typing: Any, data: Any, i: Any, low: Any, high: Any) -> Any:
    def ask(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, low, high = arguments
        vector = _loaded(context, builder, signature.args[0], array, i)
        return builder.bitcast(_between(builder, vector, low, high), _MASK)

    return types.uint64(data, types.intp, types.uint8, types.uint8), ask


def _folded(typing: Any, data: Any, i: Any, out: Any, to: Any) -> Any:
    def fold(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, target, to = arguments
        vector = _loaded(context, builder, signature.args[0], array, i)
        byte = {value: ir.Constant(_BYTE, value) for value in (0x09, 0x0D, 0x1C, 0x1F, 0x20, 0x41, 0x5A)}
        capital = _between(builder, vector, byte[0x41], byte[0x5A])
        gap = builder.or_(
            _between(builder, vector, byte[0x09], byte[0x0D]), _between(builder, vector, byte[0x1C], byte[0x1F])
        )
        blank = spread(builder, byte[0x20], _VECTOR)
        small = builder.select(capital, builder.or_(vector, blank), vector)
        place = pointer(context, builder, signature.args[2], target, to, _VECTOR)
        builder.store(builder.select(gap, blank, small), place, align=1)
        return context.get_dummy_value()

    return types.void(data, types.intp, out, types.intp), fold


def _counter(count: Callable[[Any, Any], Any]) -> Any:
    def counted(typing: Any, mask: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return count(builder, arguments[0])

        return types.int64(types.uint64), build

    return intrinsic(counted)


def _zeros_below(builder: Any, mask: Any) -> Any:
    return builder.cttz(mask, ir.Constant(ir.IntType(1), 0))


def _zeros_above(builder: Any, mask: Any) -> Any:
    return builder.ctlz(mask, ir.Constant(ir.IntType(1), 0))


def _ones(builder: Any, mask: Any) -> Any:
    return builder.ctpop(mask)


between: Any = intrinsic(_asked)
"""`between(data, i, low, high)`: which of the 64 bytes from place `i` on lie in `low`..`high`."""
write_folded: Any = intrinsic(_folded)
"""`write_folded(data, i, out, to)`: 64 bytes, ASCII in lower case and its white space as blanks, the others as is."""
zeros_below, zeros_above, ones = _counter(_zeros_below), _counter(_zeros_above), _counter(_ones)
"""The place of the first bit set (64: none); the zeros above the last one; how many bits are set."""


@inlined
def first_bits(count: int) -> Any:
    """A mask of the first `count` bits, 0 to 64."""
    return ALL >> np.uint64(WIDE - count) if count > 0 else np.uint64(0)


@inlined
def wordlikes(data: Any, i: int) -> Any:
    """The ASCII letters, digits and `_`."""
    letters = between(data, i, 0x61, 0x7A) | between(data, i, 0x41, 0x5A)
    return letters | between(data, i, 0x30, 0x39) | between(data, i, 0x5F, 0x5F)


@inlined
def gaps(data: Any, i: int) -> Any:
    """ASCII white space, as Python's `str.isspace` has it."""
    return between(data, i, 0x20, 0x20) | between(data, i, 0x09, 0x0D) | between(data, i, 0x1C, 0x1F)


@inlined
def settled(data: Any, i: int) -> Any:
    """The first bytes of Han characters U+4E00-U+9FBF and Hangul syllables U+AC00-U+D77F: three bytes, no case, NFC.
    Of valid UTF-8; whether a last byte leads one is not known, for its second lies behind the 64."""
    one = np.uint64(1)
    whole = between(data, i, 0xE4, 0xED)
    whole &= ~(between(data, i, 0xEA, 0xEA) & (between(data, i, 0x00, 0xAF) >> one))
    whole &= ~(between(data, i, 0xED, 0xED) & (between(data, i, 0x9E, 0xFF) >> one))
    if between(data, i, 0xE4, 0xE9):  # Han
        whole &= ~(between(data, i, 0xE4, 0xE4) & (between(data, i, 0x00, 0xB7) >> one))
        whole &= ~(between(data, i, 0xE9, 0xE9) & (between(data, i, 0xBF, 0xFF) >> one))
    return whole


@inlined
def tripled(lead: Any) -> Any:
    """All bytes of characters of three bytes, from their first ones."""
    return lead | (lead << np.uint64(1)) | (lead << np.uint64(2))


@inlined
def may_be_settled(byte: int) -> bool:
    """Whether a character that begins with this byte may be ASCII or one of `settled`."""
    return byte < 0x80 or 0xE4 <= byte <= 0xED
