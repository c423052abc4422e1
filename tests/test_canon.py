"""One value, one spelling; a value without a stable spelling is refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datakit.canon import canonical, digest_bytes, digest_stream, key_of, lots

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), VALUES))
def test_canonical_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


@given(VALUES, VALUES)
def test_key_of_differs_where_the_spelling_differs(one: object, other: object) -> None:
    assert (key_of(one) == key_of(other)) == (canonical([one]) == canonical([other]))


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), float("inf"), {1: "a"}, b"bytes", [{"a": {None}}]])
def test_canonical_refuses_values_without_a_stable_spelling(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_key_of_is_the_same_under_every_hash_seed() -> None:
    code = "from datakit.canon import key_of; print(key_of({'한글': [1, 2.5, None], 'b': 'é'}))"
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(keys) == 1


@given(st.binary(max_size=5000), st.integers(1, 700))
def test_digest_of_a_stream_is_the_digest_of_its_bytes(data: bytes, chunk: int) -> None:
    assert digest_stream(io.BytesIO(data), chunk) == digest_bytes(data)


def test_lots_depend_on_the_name_and_the_salt_alone() -> None:
    names = ["가나다", "abc", "\udcff"]
    drawn = lots(names, "mix", 0)
    assert lots(reversed(names), "mix", 0) == drawn[::-1]
    assert lots(["abc"], "mix", 0) == drawn[1:2] == [5494812900602316299]
    assert not set(drawn) & set(lots(names, "mix", 1)) | set(drawn) & set(lots(names, "split", 0))
    assert all(0 <= lot < 2**64 for lot in drawn)
