"""Many literal anchors found in one pass, with their places in characters: an automaton over UTF-8 bytes.

    automaton = compile_anchors([("@",), ("이름:", "이름 :"), ("0가 0",)])
    for groups, end in anchors_in(text, *automaton): ...

Anchors come in groups (at most 64); a hit tells the bit set of the groups that have an anchor ending there, and the
place behind it, counted in code points. ASCII case is folded, and `0` in an anchor stands for any ASCII digit, so a hit
is a candidate, not a match. Cost: 10 to 12 ns a byte with the 6,666 states of `pii`, whose table (1.4 MB) does
not fit the nearest cache; less with fewer. Source: Aho and Corasick, 1975.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.compiled import kernel

GROUPS = 64


def folded(anchor: str) -> bytes:
    """An anchor as the automaton reads it: ASCII in lower case, every ASCII digit a `0`."""
    return b"".join(b"0" if 48 <= byte <= 57 else bytes([byte]).lower() for byte in anchor.encode())


def compile_anchors(groups: Sequence[Sequence[str]]) -> tuple[Any, Any, Any]:
    """(next state by state and column, column of each byte, bit set of the groups with an anchor ending in a state)."""
    if len(groups) > GROUPS:
        raise ValueError(f"{len(groups)} groups of anchors, {GROUPS} fit")
    steps: list[dict[int, int]] = [{}]
    ends = [0]
    for group, anchors in enumerate(groups):
        for anchor in anchors:
            state = 0
            for byte in folded(anchor):
                if byte not in steps[state]:
                    steps[state][byte] = len(steps)
                    steps.append({})
                    ends.append(0)
                state = steps[state][byte]
            ends[state] |= 1 << group
    table = np.zeros((len(steps), 256), np.int32)
    back = [0] * len(steps)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        ends[state] |= ends[back[state]] if state else 0
        if state:
            table[state] = table[back[state]]
        for byte, child in steps[state].items():
            back[child] = int(table[back[state], byte]) if state else 0
            table[state, byte] = child
            queue.append(child)
    # The folding is part of the table; bytes that lead the same way from everywhere share a column.
    for byte in range(256):
        table[:, byte] = table[:, folded(chr(byte))[0] if byte < 128 else byte]
    narrow, column = np.unique(table, axis=1, return_inverse=True)
    small = np.ascontiguousarray(narrow.astype(np.uint16 if len(steps) < 1 << 16 else np.uint32))
    return small, column.reshape(-1).astype(np.uint8), np.array(ends, np.uint64)


@kernel
def find_anchors(data: Any, table: Any, column: Any, bits: Any) -> tuple[Any, Any]:
    """Groups (bit sets) and places (code points before the end of the anchor) of all hits in one text, in order."""
    groups, ends = np.empty(64, np.uint64), np.empty(64, np.int64)
    state, seen, hits = np.int64(0), 0, 0
    for i in range(data.size):
        byte = data[i]
        seen += byte & 0xC0 != 0x80
        state = np.int64(table[state, column[byte]])
        if bits[state]:
            if hits == ends.size:
                groups = np.concatenate((groups, np.empty(hits, np.uint64)))
                ends = np.concatenate((ends, np.empty(hits, np.int64)))
            groups[hits], ends[hits] = bits[state], seen
            hits += 1
    return groups[:hits], ends[:hits]


def anchors_in(text: str, table: Any, column: Any, bits: Any) -> list[tuple[int, int]]:
    """(bit set of groups, place behind the anchor) of all hits in one text, in order."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    groups, ends = find_anchors(data, table, column, bits)
    return list(zip(groups.tolist(), ends.tolist(), strict=True))


def find_anchors_plainly(text: str, groups: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """What `anchors_in` is held to: all hits, found one anchor at a time."""
    plain = folded(text).decode()
    found: dict[int, int] = {}
    for group, anchors in enumerate(groups):
        for anchor in {folded(anchor).decode() for anchor in anchors}:
            at = plain.find(anchor)
            while at >= 0 and anchor:
                found[at + len(anchor)] = found.get(at + len(anchor), 0) | 1 << group
                at = plain.find(anchor, at + 1)
    return [(found[place], place) for place in sorted(found)]
