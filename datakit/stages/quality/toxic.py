"""How many words of a text stand in a list of the user's: in any ASCII case, with Korean particles behind them.

    English   between word borders: `ass` is not in `class`, and is in `ass-hat`
    Korean    from the beginning of an eojeol on, with nothing behind it but particles, endings of names and plurals:
              바보 is in 바보들은 and 바보야, not in 바보상자 or 왕바보. A list may name those as entries of their own.

No list comes with datakit. An entry may hold spaces. Candidates come from one pass of an automaton whatever the length
of the list; entries are grouped there by their length, so that a hit says where it begins. Cost: about 12 ms a MB, and
only where a list is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from datakit.errors import ConfigError, Problem

LONGEST = 64
"""Characters of an entry, at most: one bit of the automaton's sets for each length."""
PARTICLES = re.compile(
    r"(?:들|님|씨|놈|년)?(?:끼리|같은|같이|같다|같네|처럼|보다|만큼)?(?:에게|에서|한테|으로|로|에|께)?"
    r"(?:이라고|라고|이라는|라는|이라|라|입니다|이에요|예요|이야|야|이다|다|이냐|냐|이네|네|이죠|죠|인|임|이랑|랑|하고)?"
    r"(?:은|는|이|가|을|를|의|와|과|도|만|까지|부터|마다|조차|마저|밖에|뿐|아|여|요)?"
)
_WORD = re.compile(r"[0-9A-Za-z]")
_HANGUL = re.compile(r"[가-힣]")
_REST = re.compile(r"[가-힣]*")


def toxic_counter(words: Sequence[str]) -> Callable[[str], int]:
    """The function that counts the listed words of a text."""
    from datakit.kernels.anchors import anchors_in, compile_anchors

    listed = {word.lower() if word.isascii() else word for word in words}
    by_length: list[list[str]] = [[] for _ in range(LONGEST)]
    for word in sorted(listed):
        by_length[len(word) - 1].append(word)
    automaton = compile_anchors(by_length)

    def count(text: str) -> int:
        found, free = 0, 0
        for lengths, end in anchors_in(text, *automaton):
            # Longest first: of entries that end together one counts.
            for length in reversed(range(1, LONGEST + 1)):
                start = end - length
                if lengths >> (length - 1) & 1 and start >= free and _stands_alone(text, start, end, listed):
                    found, free = found + 1, end
                    break
        return found

    return count


def _stands_alone(text: str, start: int, end: int, listed: set[str]) -> bool:
    """Whether the candidate is a listed word between borders: the automaton folds digits, and knows no borders."""
    word = text[start:end]
    if word not in listed and _ascii_lower(word) not in listed:
        return False
    before, after = text[start - 1 : start], text[end : end + 1]
    if (_WORD.match(word[0]) and _WORD.match(before)) or (_WORD.match(word[-1]) and _WORD.match(after)):
        return False
    if _HANGUL.match(word[0]) and _HANGUL.match(before):
        return False
    rest = _REST.match(text, end, end + 16)
    return not _HANGUL.match(word[-1]) or rest is None or PARTICLES.fullmatch(rest[0]) is not None


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def read_words(path: str) -> list[str]:
    """The entries of a list, one a line; lines that begin with # are comments. Refuses what could never match."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError((Problem("toxic_words", f"{path} is not UTF-8 text", "save the list as UTF-8"),)) from error
    entries = [" ".join(line.split()) for line in text.splitlines()]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    for number, entry in enumerate(entries, start=1):
        if len(entry) > LONGEST:
            told = f"entry {number} of {path} is longer than {LONGEST} characters"
            raise ConfigError((Problem("toxic_words", told, "list words, one a line"),))
    return entries
