"""What a terminal may be shown of other people's text: letters and line ends, never a command to the terminal.

Control characters (ESC moves the cursor, sets titles, rewrites what stands above), and the marks that turn the
direction of writing (U+202E shows `gpj.exe` as `exe.jpg`), are spelled out: `\\x1b`, `\\u202e`. Hangul, emoji and their
joiners stay.
"""

from __future__ import annotations

import json
import re
from typing import Any

COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""All of C0 and C1 but tab and line end; marks of direction; other line ends; halves of surrogate pairs."""


def visible(text: str) -> str:
    """A text with its control characters spelled out."""
    return COMMANDS.sub(_spelled, text)


def visible_json(value: Any) -> str:
    """A JSON document that a terminal may be shown; the same value for whoever parses it."""
    return COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False, allow_nan=False))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
