"""The hash of a piece of text against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.piecehash import hash_bytes, hash_piece

TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.text(st.sampled_from("a가é😀\0 "), max_size=40)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_hash_piece_anywhere_in_a_text_equals_the_plain_reference(before: str, piece: str, after: str) -> None:
    start, raw = len(before.encode()), piece.encode()
    data = np.frombuffer(f"{before}{piece}{after}".encode(), np.uint8)
    hashed, characters = hash_piece(data, start, start + len(raw))
    assert (int(hashed), characters) == (hash_bytes(raw), len(piece))


def test_hash_piece_bytes_of_zero_and_the_order_of_words_count() -> None:
    """A hash that only added words up, or forgot how many bytes there are, would take these for equal."""
    pieces = [b"", b"\0", b"\0\0", bytes(8), bytes(16), b"abcdefgh" + b"ABCDEFGH", b"ABCDEFGH" + b"abcdefgh"]
    assert len({hash_bytes(piece) for piece in pieces}) == len(pieces)
