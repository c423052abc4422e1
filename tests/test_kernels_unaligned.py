"""Unaligned loads, against Python's own answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datakit.kernels.compiled import kernel
from datakit.kernels.unaligned import read32, read64


@kernel
def _read(data: Any, i: int) -> tuple[Any, Any]:
    return read32(data, i), read64(data, i)


@pytest.mark.parametrize("place", range(9))
def test_reads_any_place_give_the_bytes_that_stand_there(place: int) -> None:
    data = np.frombuffer("한국어 데이터 세트".encode(), np.uint8)
    four, eight = _read(data, place)
    assert int(four).to_bytes(4, "little") == bytes(data[place : place + 4])
    assert int(eight).to_bytes(8, "little") == bytes(data[place : place + 8])
