"""Draws of digits and letters by pattern, in the spellings that people use; the ground of `pii_values`."""

from __future__ import annotations

import string
from random import Random

DIGITS, LOWER, ALNUM = string.digits, string.ascii_lowercase, string.ascii_letters + string.digits
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
DASHES = ("-", "-", "-", "-", " - ", " ", ".", "–", "‐", "−", "－")


def draw(rng: Random, pattern: str) -> str:
    """`#` any digit, `+` a digit from 1 on, `a` a letter, `A` a capital, `h` a hexadecimal digit; else itself."""
    sets = {"#": DIGITS, "+": DIGITS[1:], "a": LOWER, "A": LOWER.upper(), "h": "0123456789abcdef"}
    return "".join(rng.choice(sets[char]) if char in sets else char for char in pattern)


def some(rng: Random, alphabet: str, least: int, most: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def spelled(rng: Random, groups: list[str], dashes: tuple[str, ...] = DASHES, bare: float = 0.15) -> str:
    """Groups of digits joined as people join them; now and then without a joint or in full width."""
    if rng.random() < bare:
        return "".join(groups)
    text = rng.choice(dashes).join(groups)
    return text.translate(WIDE) if rng.random() < 0.06 else text
