"""The plain-Python meaning of every signal of kernels/signals.py, which tests hold the kernel to.

Written for reading: strings, lists and counters, one short function a signal; several hundred times slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from datakit.kernels import signals as s
from datakit.kernels.characters import (
    CONTROL,
    DIGIT,
    HAN,
    HANGUL,
    JAMO,
    KANA,
    LATIN,
    LETTERS,
    PUNCTUATION,
    SYMBOL,
    WORDLIKE,
    class_of,
)


def measure_text(text: str, stop_words: Collection[str], endings: str) -> dict[str, float]:
    """All signals of one text."""
    words = text.split()
    folded = [fold(word) for word in words]
    lengths = [len(word) for word in words]
    found = _characters(text) | _words(words, stop_words, endings) | _lines(text)
    found["unique_words"] = len(set(folded)) / len(words) if words else 0.0
    for n in (2, 3, 4):
        found[f"top_{n}gram"] = top(folded, lengths, n)
    for n in range(5, 11):
        found[f"repeated_{n}gram"] = repeated(folded, lengths, n)
    return {name: found[name] for name in s.SIGNALS}


def wordlike(char: str) -> bool:
    return bool(WORDLIKE >> class_of(char) & 1)


def fold(word: str) -> str:
    """What two words are compared by."""
    kept = "".join(char.lower() if char.isascii() else char for char in word if wordlike(char))
    return kept or word


def _is_letter(char: str) -> bool:
    return bool(LETTERS >> class_of(char) & 1)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _characters(text: str) -> dict[str, float]:
    classes = Counter(class_of(char) for char in text)
    shown = sum(not char.isspace() for char in text)
    letters = sum(_is_letter(char) for char in text)
    korean = classes[HANGUL] + classes[JAMO]
    linked = sum(len(word) for word in text.split() if _linked(word))
    return {
        "characters": len(text),
        "spaces": len(text) - shown,
        "letters": letters,
        "symbol_share": _share(classes[SYMBOL] + classes[PUNCTUATION], shown),
        "digit_share": _share(classes[DIGIT], shown),
        "hangul_share": _share(korean, letters),
        "latin_share": _share(classes[LATIN], letters),
        "jamo_share": _share(classes[JAMO], korean),
        "url_share": _share(linked, shown),
        "hashes": text.count("#") / max(len(text.split()), 1),
        "ellipses": (text.count("...") + text.count("…")) / max(len(text.split()), 1),
        "sentences": sum(word.rstrip(s.CLOSERS).endswith(tuple(s.STOPS)) for word in text.split()),
    }


def _linked(word: str) -> bool:
    lower = "".join(char.lower() if char.isascii() else char for char in word)
    return "://" in word or "www." in lower


def _words(words: Sequence[str], stop_words: Collection[str], endings: str) -> dict[str, float]:
    spelled = [sum(map(wordlike, word)) for word in words]
    counted = [n for n in spelled if n]
    return {
        "words": len(words),
        "word_length": _share(sum(counted), len(counted)),
        "letter_words": _share(sum(any(map(_is_letter, word)) for word in words), len(words)),
        "odd_words": _share(sum(map(odd, words)), len(words)),
        "stop_words": _share(sum(grammar(word, stop_words, endings) for word in words), len(words)),
    }


def odd(word: str) -> bool:
    """Consonants only or six in a row (acronyms aside), three jamo that are no laughter, or 41 letters in a row."""
    inside = [char for char in word if wordlike(char)]
    latin = [char for char in inside if class_of(char) == LATIN]
    jamo = [char for char in inside if class_of(char) == JAMO and char not in s.LAUGHTER]
    if not inside or _linked(word):
        return False
    consonants = "".join("c" if char.isascii() and char not in s.VOWELS else " " for char in latin)
    spoken = any(not "A" <= char <= "Z" for char in latin)
    mash = len(latin) == len(inside) >= 4 and spoken and (" " not in consonants or "c" * 6 in consonants)
    return mash or len(jamo) >= 3 or (len(latin) + len(jamo) == len(inside) > 40)


def grammar(word: str, stop_words: Collection[str], endings: str) -> bool:
    """Whether a word is a listed one, or a Hangul word of two or more characters with a particle or ending."""
    inside = [char for char in word if wordlike(char)]
    if inside and class_of(inside[-1]) == HANGUL:
        return len(inside) >= 2 and inside[-1] in endings
    return bool(inside) and all(class_of(char) == LATIN for char in inside) and fold(word) in stop_words


def _lines(text: str) -> dict[str, float]:
    all_lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in all_lines if any(map(wordlike, line))]
    paragraphs: list[tuple[str, ...]] = []
    for before, line in pairwise(["", *all_lines]):
        if line and (not before or not paragraphs):
            paragraphs.append(())
        if line and any(map(wordlike, line)):
            paragraphs[-1] += (line,)
    paragraphs = [p for p in paragraphs if p]
    return {
        "lines": len(lines),
        "bullet_lines": _share(sum(map(_bullet, lines)), len(lines)),
        "ellipsis_lines": _share(sum(_shown(line).endswith(("...", "…")) for line in lines), len(lines)),
        "sentence_lines": _share(sum(map(_sentence, lines)), len(lines)),
        "line_length": _share(sum(map(_columns, lines)), len(lines)),
        "longest_line": max(map(_columns, lines), default=0),
        "short_lines": _share(sum(_columns(line) <= s.SHORT_LINE for line in lines), len(lines)),
        "brace_lines": _share(sum("{" in line for line in lines), len(lines)),
        "line_breaks": text.count("\n") / max(len(text.split()), 1),
        **_repeats("line", list(map(_words_of, lines)), list(map(_size, lines))),
        **_repeats(
            "paragraph", [tuple(map(_words_of, p)) for p in paragraphs], [sum(map(_size, p)) for p in paragraphs]
        ),
    }


def _words_of(line: str) -> tuple[str, ...]:
    """What two lines are compared by."""
    return tuple(map(fold, line.split()))


def _size(line: str) -> int:
    return sum(map(len, line.split()))


def _columns(line: str) -> int:
    return sum(1 + (class_of(char) in (HANGUL, HAN, KANA)) for char in " ".join(line.split()))


def _shown(line: str) -> str:
    return "".join(char for char in line if class_of(char) != CONTROL and not char.isspace())


def _bullet(line: str) -> bool:
    return line[0] in s.BULLETS or (line[0] in "-*+" and line[1:2] in (" ", "\t"))


def _sentence(line: str) -> bool:
    end = _shown(line)
    if end and end[-1] in s.CLOSERS:
        end = end[:-1]
    return bool(end) and end[-1] in s.ENDERS + s.KOREAN_ENDERS


def _repeats(what: str, items: Sequence[object], sizes: Sequence[int]) -> dict[str, float]:
    again = [item in items[:i] for i, item in enumerate(items)]
    weight = sum(size for size, repeat in zip(sizes, again, strict=True) if repeat)
    return {
        f"duplicate_{what}s": _share(sum(again), len(items)),
        f"duplicate_{what}_characters": _share(weight, sum(sizes)),
    }


def top(words: Sequence[str], lengths: Sequence[int], n: int) -> float:
    """Share of the characters that the most filling n-gram has; each occurrence counts with its own length."""
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    met: Counter[tuple[str, ...]] = Counter()
    best = 0
    for i, gram in enumerate(grams):
        met[gram] += 1
        if met[gram] > 1:
            best = max(best, met[gram] * sum(lengths[i : i + n]))
    return _share(best, sum(lengths))


def repeated(words: Sequence[str], lengths: Sequence[int], n: int) -> float:
    """Share of the characters in n-grams met before, read from left to right."""
    met: set[tuple[str, ...]] = set()
    total = i = 0
    while i <= len(words) - n:
        gram = tuple(words[i : i + n])
        if gram in met:
            total += sum(lengths[i : i + n])
            i += n
        else:
            met.add(gram)
            i += 1
    return _share(total, sum(lengths))
