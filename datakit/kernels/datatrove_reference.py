"""The plain-Python meaning of kernels/datatrove.py, which tests hold the kernel to (a benchmark, to datatrove)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from datakit.kernels import datatrove as d

SIGN_CHARS = {*d.SIGNS, *map(chr, (*range(9), *range(11, 32), *range(127, 160)))}
TERMINALS = tuple(chr(point) for low, high in d.TERMINAL_RANGES for point in range(low, high + 1))
WORD = re.compile(r"\w+|[^\w\s]")
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
CITATION = re.compile(r"\[[0-9]*]|\[edit]|\[citation needed]")


def measure_text(text: str) -> dict[str, float]:
    """All signals of one text."""
    words = WORD.findall(text)
    found = _repetition(text, words) | _gopher(text, words) | _c4(text) | _fineweb(text, words)
    return {name: float(found[name]) for name in d.SIGNALS}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _repeats(pieces: Sequence[str]) -> tuple[int, int]:
    """How many pieces came before, and their characters."""
    again = [piece for place, piece in enumerate(pieces) if piece in pieces[:place]]
    return len(again), sum(map(len, again))


def _repetition(text: str, words: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, pieces in (("para", re.split(r"\n{2,}", text.strip())), ("line", re.split("\n+", text))):
        again, size = _repeats(pieces)
        found[f"dup_{name}_frac"] = _share(again, len(pieces))
        found[f"dup_{name}_char_frac"] = _share(size, len(text))
    for n in (2, 3, 4):
        grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        top = [len(gram) * count for gram, count in Counter(grams).most_common(1)]
        found[f"top_{n}_gram"] = _share(sum(top), len(text))
    for n in range(5, 11):
        found[f"duplicated_{n}_n_grams"] = _share(_repeated(words, n), len(text))
    return found


def _repeated(words: Sequence[str], n: int) -> int:
    met: set[tuple[str, ...]] = set()
    size = i = 0
    while i <= len(words) - n:
        gram = tuple(words[i : i + n])
        if gram in met:
            size += sum(map(len, gram))
            i += n
        else:
            met.add(gram)
            i += 1
    return size


def _gopher(text: str, words: Sequence[str]) -> dict[str, float]:
    plain = [word for word in words if not SIGN_CHARS.issuperset(word)]
    lines = text.splitlines()
    return {
        "plain_words": len(plain),
        "plain_word_length": _share(sum(map(len, plain)), len(plain)),
        "alpha_words": _share(sum(any(char.isalpha() for char in word) for word in words), len(words)),
        "stop_words": len(set(words).intersection(d.STOP_WORDS)),
        "hashes": _share(text.count("#"), len(words)),
        "ellipses": _share(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": _share(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines": _share(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
    }


def _c4(text: str) -> dict[str, float]:
    found = Counter(lorem_ipsum=0, curly_bracket=0, sentences=0)
    for whole in map(str.strip, text.splitlines()):
        words, line = whole.split(), CITATION.sub("", whole)
        if len(words) < d.LEAST_WORDS or max(map(len, words)) > d.LONG_WORD:
            continue
        lower = line.lower()
        found["lorem_ipsum"] += "lorem ipsum" in lower
        if "javascript" in lower:
            continue
        found["curly_bracket"] += "{" in line
        if not any(phrase in lower for phrase in d.POLICIES):
            found["sentences"] += sum(bool(sentence.strip()) for sentence in SENTENCE.findall(line))
    return dict(found)


def _fineweb(text: str, words: Sequence[str]) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "line_punct_ratio": _share(sum(line.endswith(TERMINALS) for line in lines), len(lines)),
        "short_line_ratio": _share(sum(len(line) <= d.SHORT_LINE for line in lines), len(lines)),
        "char_dup_ratio": _share(_repeats(lines)[1], len(text.replace("\n", ""))),
        "list_ratio": text.count("\n") / max(len(words), 1),
    }
