"""Two inner loops of signatures, in vector registers: LLVM alone keeps what they gather in memory.

    least_permuted   the smallest of a[k] * h + b[k] over many h, for 64 places k at once
    hash_windows     the hashes of eight runs of units that begin one after the other

Vectors are LLVM's, so that any machine has them, in as many registers as it takes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from datakit.kernels.unaligned import pointer

PLACES, RUNS = 64, 8
"""Places of a signature, and runs of units, that are done at once."""
_LANES = 16
_WORDS, _LONGS = ir.VectorType(ir.IntType(32), _LANES), ir.VectorType(ir.IntType(64), RUNS)


def spread(builder: Any, value: Any, kind: ir.VectorType) -> Any:
    """While a kernel is compiled: a value in all places of a vector."""
    undefined, zeros = ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, zeros)


def _constant(kind: ir.VectorType, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _least_permuted(typing: Any, hashes: Any, count: Any, a: Any, b: Any, k: Any, least: Any) -> Any:
    def loop(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        hashes, count, a, b, k, least = arguments
        kinds = signature.args
        places = [builder.add(k, ir.Constant(k.type, lane)) for lane in range(0, PLACES, _LANES)]

        def held(number: int, array: Any) -> list[Any]:
            spots = [pointer(context, builder, kinds[number], array, place, _WORDS) for place in places]
            return [builder.load(spot, align=4) for spot in spots]

        factors, addends = held(2, a), held(3, b)
        smallest = [cgutils.alloca_once_value(builder, _constant(_WORDS, 0xFFFFFFFF)) for _ in places]
        with cgutils.for_range(builder, count) as each:
            spot = pointer(context, builder, kinds[0], hashes, each.index, ir.IntType(32))
            hashed = spread(builder, builder.load(spot), _WORDS)
            for factor, addend, slot in zip(factors, addends, smallest, strict=True):
                value, known = builder.add(builder.mul(factor, hashed), addend), builder.load(slot)
                builder.store(builder.select(builder.icmp_unsigned("<", value, known), value, known), slot)
        for place, slot in zip(places, smallest, strict=True):
            spot = pointer(context, builder, kinds[5], least, place, _WORDS)
            builder.store(builder.load(slot), spot, align=4)
        return context.get_dummy_value()

    return types.void(hashes, types.intp, a, b, types.intp, least), loop


def _hash_windows(typing: Any, units: Any, i: Any, window: Any, start: Any, factor1: Any, factor2: Any) -> Any:
    def loop(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        units, i, window, start, *factors = arguments
        kind = signature.args[0]
        first, second = (spread(builder, factor, _LONGS) for factor in factors)
        held = cgutils.alloca_once_value(builder, spread(builder, start, _LONGS))

        def stirred(value: Any, shift: int) -> Any:
            return builder.xor(value, builder.lshr(value, _constant(_LONGS, shift)))

        with cgutils.for_range(builder, window) as each:
            spot = pointer(context, builder, kind, units, builder.add(i, each.index), _LONGS)
            hashed = builder.mul(stirred(builder.load(held), 29), first)
            builder.store(builder.add(hashed, builder.load(spot, align=8)), held)
        hashed = builder.mul(stirred(builder.load(held), 33), first)
        hashed = stirred(builder.mul(stirred(hashed, 33), second), 33)
        builder.store(hashed, pointer(context, builder, kind, units, i, _LONGS), align=8)
        return context.get_dummy_value()

    factors = (types.uint64, types.uint64, types.uint64)
    return types.void(units, types.intp, types.intp, *factors), loop


least_permuted: Any = intrinsic(_least_permuted)
"""`least_permuted(hashes, count, a, b, k, least)`: writes places `k` to `k + PLACES - 1` of `least`; all uint32."""
hash_windows: Any = intrinsic(_hash_windows)
"""`hash_windows(units, i, window, start, factor1, factor2)`: for each of the places from `i` on, RUNS of them, the
hash of the `window` units from there on (`shingles.run_hash`), written over the unit."""
