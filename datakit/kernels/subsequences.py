"""The most alike of many short token lists by ROUGE-L, exactly: F = 2 L / (m + n), L the longest common subsequence.

A list is kept as its tokens' codes and as 256 bits, its marks: token t standing there for the k-th time sets the bit
hash(t, k). A bit that only one of two lists has stands for a token that the other lacks, so

    L  <=  tokens in common  <=  min(m - bits that a alone has, n - bits that b alone has)

and a pair whose bound is not above the threshold needs no comparison. What is left is counted token by token (long
lists) and then compared 64 tokens at a time (Crochemore et al. 2001; Hyyrö 2004). No pair is passed over that could be
above: the answer is that of the textbook table.

Cost: about 3 ns for each earlier list, of which one in hundreds is compared, at 0.1 microseconds. 36 bytes a list and
4 a token. A list of thousands of tokens fills its marks; it costs as much as its comparison: n * m / 64 steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.masks import ones

Array = np.ndarray[Any, Any]
WORDS = 4
"""64-bit words of marks: enough for lists of 300 tokens; longer ones fill them and the count of tokens decides."""
WIDE = 64
THOUSAND = 1000
EVERY_BIT = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE, ZERO, LAST = np.uint64(1), np.uint64(0), np.uint64(63)
ODD, OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@kernel
def set_marks(codes: Any, slots: Any, marks: Any) -> int:
    """Set the marks of a list; how many tokens set no bit of their own. `slots`: -1 a code, and so afterwards."""
    for place in range(len(codes)):
        code = codes[place]
        slots[code] += 1
        mixed = (np.uint64(code) + ONE) * ODD ^ (np.uint64(slots[code]) + ONE) * OTHER
        mixed = (mixed ^ (mixed >> np.uint64(29))) * ODD >> np.uint64(56)
        marks[mixed >> np.uint64(6)] |= ONE << (mixed & LAST)
    crowded = len(codes)
    for word in range(WORDS):
        crowded -= ones(marks[word])
    for place in range(len(codes)):
        slots[codes[place]] = -1
    return crowded


@kernel
def _numbered(codes: Any, slots: Any) -> int:
    """Give every different code of a list a number from 0 on, in `slots`; how many there are."""
    count = 0
    for place in range(len(codes)):
        if slots[codes[place]] < 0:
            slots[codes[place]] = count
            count += 1
    return count


@kernel
def _common(flat: Any, start: int, end: int, slots: Any, have: Any, left: Any) -> int:
    """How many tokens of flat[start:end] the list whose tokens are counted in `have` has too, repeats counted."""
    left[:] = have
    common = 0
    for place in range(start, end):
        slot = slots[flat[place]]
        if slot >= 0 and left[slot] > 0:
            left[slot] -= 1
            common += 1
    return common


@kernel
def _longest(flat: Any, start: int, end: int, slots: Any, where: Any, row: Any, m: int) -> int:
    """Length of the longest common subsequence. A zero in `row` is a token that is in it."""
    words = len(row)
    row[:] = EVERY_BIT
    for place in range(start, end):
        slot = slots[flat[place]]
        if slot < 0:
            continue
        carry = ZERO
        for word in range(words):
            now = row[word]
            both = now & where[slot, word]
            added = now + both
            total = added + carry
            carry = ONE if added < now or total < added else ZERO
            row[word] = total | (now & ~where[slot, word])
    found = 0
    for word in range(words):
        valid = EVERY_BIT if m - WIDE * word >= WIDE else (ONE << np.uint64(m - WIDE * word)) - ONE
        found += ones(~row[word] & valid)
    return found


@inlined
def _as_published(common: int, m: int, n: int) -> float:
    """F by the three roundings of the package rouge_score, which put some ties above the threshold."""
    precision, recall = common / n, common / m
    return 2 * precision * recall / (precision + recall)


@kernel
def most_alike(
    codes: Any, slots: Any, flat: Any, starts: Any, marks: Any, crowded: Any, count: int, least: int, published: bool
) -> tuple[int, int]:
    """The first of the most alike among `count` lists with F above `least` thousandths (-1: none), and its L.

    `slots`: -1 for each code. List r is flat[starts[r]:starts[r + 1]], with what `set_marks` made of it.
    """
    m = len(codes)
    best, best_common, best_sum = -1, 0, 1
    if not m:
        return best, best_common
    mine = np.zeros(WORDS, np.uint64)
    my_crowded = set_marks(codes, slots, mine)
    a, b, c, d = mine
    words = (m + WIDE - 1) // WIDE
    different = _numbered(codes, slots)
    where = np.zeros((different, words), np.uint64)
    have, left, row_bits = np.zeros(different, np.int64), np.zeros(different, np.int64), np.empty(words, np.uint64)
    for place in range(m):
        where[slots[codes[place]], place // WIDE] |= ONE << np.uint64(place % WIDE)
        have[slots[codes[place]]] += 1
    for row in range(count):
        n = starts[row + 1] - starts[row]
        wanted = least * (m + n)
        # One branch, nearly always taken: a test of the lengths before it would cost more than it saves.
        # m - (my bits - shared bits) = shared bits + my crowded tokens, and so for theirs.
        shared = ones(a & marks[row, 0]) + ones(b & marks[row, 1]) + ones(c & marks[row, 2]) + ones(d & marks[row, 3])
        bound = shared + min(my_crowded, crowded[row])
        if 2 * THOUSAND * bound < wanted or bound * best_sum <= best_common * (m + n):
            continue
        if words > 1:
            bound = _common(flat, starts[row], starts[row + 1], slots, have, left)
            if 2 * THOUSAND * bound < wanted or bound * best_sum <= best_common * (m + n):
                continue
        common = _longest(flat, starts[row], starts[row + 1], slots, where, row_bits, m)
        if common * best_sum <= best_common * (m + n):
            continue
        if published:
            above = common > 0 and _as_published(common, m, n) > least / THOUSAND
        else:
            above = 2 * THOUSAND * common > wanted
        if above:
            best, best_common, best_sum = row, common, m + n
    for place in range(m):
        slots[codes[place]] = -1
    return best, best_common


def longest_in_python(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the longest common subsequence, by the textbook table."""
    row = [0] * (len(other) + 1)
    for x in one:
        before, row = row, [0]
        for place, y in enumerate(other):
            row.append(before[place] + 1 if x == y else max(before[place + 1], row[place]))
    return row[-1]


def most_alike_in_python(
    one: Sequence[Any], others: Sequence[Sequence[Any]], least: int, published: bool
) -> tuple[int, int]:
    """What `most_alike` is held to."""
    best, best_common, best_sum = -1, 0, 1
    for place, other in enumerate(others):
        common, size = longest_in_python(one, other), len(one) + len(other)
        if published:
            precision, recall = common / max(1, len(other)), common / max(1, len(one))
            above = common > 0 and 2 * precision * recall / (precision + recall) > least / THOUSAND
        else:
            above = 2 * THOUSAND * common > least * size
        if above and common * best_sum > best_common * size:
            best, best_common, best_sum = place, common, size
    return best, best_common


def in_common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many tokens two lists have in common, repeats counted."""
    return sum((Counter(one) & Counter(other)).values())
