"""Canonical JSON and the keys made of it.

One value has one spelling: sorted keys, no white space, UTF-8, NFC left alone. A value without a single stable
spelling (a set, an object, NaN, a key that is no string) is refused, never guessed: a key that silently depends on
`repr` or on set order would reuse the wrong shard. Keys are blake2b of 20 bytes, in hex.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

KEY_BYTES = 20


def canonical(value: Any) -> bytes:
    """The one spelling of `value` (None, bool, int, finite float, str, list, tuple, dict with str keys)."""
    _refuse_unstable(value, "value")
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )


def key_of(*parts: Any) -> str:
    """The key of some values: blake2b of their canonical spellings, as 40 hex digits."""
    return blake2b(canonical(list(parts)), digest_size=KEY_BYTES).hexdigest()


def lots(names: Iterable[str], *salt: Any) -> list[int]:
    """The 64-bit lot that each name draws: chance that depends on the name and `salt` alone, never on other names."""
    key = canonical(list(salt))[:64]
    drawn = (blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest() for name in names)
    return [int.from_bytes(lot, "big") for lot in drawn]


def digest_bytes(data: bytes) -> str:
    """The content digest of some bytes, as 40 hex digits."""
    return blake2b(data, digest_size=KEY_BYTES).hexdigest()


def digest_stream(stream: IO[bytes], chunk: int = 1 << 20) -> str:
    """The content digest of an open binary stream, read in chunks of `chunk` bytes."""
    digest = blake2b(digest_size=KEY_BYTES)
    while data := stream.read(chunk):
        digest.update(data)
    return digest.hexdigest()


def digest_file(path: str | Path) -> str:
    """The content digest of one file on this machine."""
    with open(path, "rb") as stream:
        return digest_stream(stream)


def _refuse_unstable(value: Any, path: str) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{path} is {value}, which has no canonical spelling")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _refuse_unstable(item, f"{path}[{place}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{path} has the key {name!r}, which is not a string")
            _refuse_unstable(item, f"{path}.{name}")
    else:
        raise TypeError(f"{path} is a {type(value).__name__}, which has no canonical spelling")
