"""`measure`: every quality signal of every text in one pass over Arrow's bytes, without a Python object a word.

    word         what `str.split()` gives: an eojeol in Korean. Compared by its letters and digits, ASCII in lower
                 case, so that `"Hello,"` repeats `hello`; a word of signs only is compared as it stands
    line         stripped, and only if it holds a letter or digit: blank lines, fences and rules are no repeats
    paragraph    lines between blank lines

Words, lines and n-grams are compared by 64-bit hashes in one table of open addressing (a chance collision moves a
share by one word). Repetition is looked for in the first million words and lines, so that a text of any size needs
bounded memory (about 100 MB).
Cost: about 50 MB/s a core. The plain-Python reference is kernels/signals_reference.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.characters import (
    CLASSES,
    CONTROL,
    DIGIT,
    HAN,
    HANGUL,
    JAMO,
    KANA,
    LATIN,
    LETTER,
    LETTERS,
    PUNCTUATION,
    SPACE,
    SYMBOL,
    WORDLIKE,
    char_class,
    decode,
)
from datakit.kernels.compiled import kernel

SIGNALS = (
    "characters",  # code points, white space included
    "words",
    "word_length",  # mean, in characters that are letters or digits, over words that have any
    "symbol_share",  # signs and punctuation among the characters that are not white space
    "digit_share",
    "hangul_share",  # Hangul syllables and jamo among the letters
    "latin_share",
    "jamo_share",  # bare jamo (ㅋ, ㅁㄴㅇㄹ) among all Hangul
    "letter_words",  # share of words with a letter
    "odd_words",  # share of words that no one says: consonant runs, bare jamo that are no laughter
    "stop_words",  # share of words that carry grammar: English stop words, eojeol with a particle or ending
    "unique_words",  # different words among the words
    "url_share",  # characters in words with :// or www., among the characters that are not white space
    "lines",
    "bullet_lines",  # shares of the lines
    "ellipsis_lines",
    "sentence_lines",  # ending in a sentence's sign, or in 다 요 죠 까
    "duplicate_lines",  # lines that came before, as a share of lines
    "duplicate_line_characters",  # the same, as a share of their characters
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "top_2gram",  # share of the words' characters in the most repeated n-gram; 0 if none repeats
    "top_3gram",
    "top_4gram",
    "repeated_5gram",  # share of the words' characters in n-grams that came before
    "repeated_6gram",
    "repeated_7gram",
    "repeated_8gram",
    "repeated_9gram",
    "repeated_10gram",
    "spaces",  # characters of white space
)
SEEN = 1 << 20
"""Words and lines, from the start of a text, among which repetition is looked for."""
BULLETS = "•‣⁃◦●○▪▫■□◆◇▶►※✓✔★☆▷"
CLOSERS = "\"')]}”’」』》〉）*_`"
ENDERS = ".!?。！？…‥:;："
KOREAN_ENDERS = "다요죠까"
LAUGHTER = "ㅋㅎㅠㅜㅡ"
VOWELS = "aeiouyAEIOUY"

_PLAIN, _BULLET, _CLOSER, _ENDER, _KOREAN, _LAUGH = 0, 1, 2, 4, 8, 16


def _marks() -> np.ndarray[Any, np.dtype[np.uint8]]:
    marks = np.zeros(0x10000, np.uint8)
    named = ((BULLETS, _BULLET), (CLOSERS, _CLOSER), (ENDERS, _ENDER), (KOREAN_ENDERS, _KOREAN), (LAUGHTER, _LAUGH))
    for chars, mark in named:
        marks[[ord(char) for char in chars]] |= mark
    return marks


_MARKS = _marks()
_IS_VOWEL = np.zeros(128, np.bool_)
_IS_VOWEL[[ord(char) for char in VOWELS]] = True
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, then mixed
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BASE = np.uint64(0xD6E8FEB86659FD93)
_WIDTH = len(SIGNALS)
_URL_SLASHES, _URL_WWW = 0x3A2F2F, 0x7777772E  # "://" and "www." as rolling ASCII


def word_hash(word: str) -> int:
    """The hash that `measure` gives a word: for the table of stop words."""
    value = int(_SEED)
    for char in word:
        value = ((value ^ ord(char)) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
    value ^= value >> 32
    value = value * int(_MIX) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 29)


def stop_table(words: Sequence[str], endings: str) -> tuple[Any, Any]:
    """(sorted hashes of the words, one flag a syllable) for `measure`: ASCII words in lower case, Hangul syllables."""
    flags = np.zeros(11172, np.bool_)
    flags[[ord(syllable) - 0xAC00 for syllable in endings]] = True
    return np.array(sorted({word_hash(word) for word in words}), np.uint64), flags


@kernel
def _mixed(value: Any) -> Any:
    value = np.uint64(value)
    value ^= value >> np.uint64(32)
    value *= _MIX
    return value ^ (value >> np.uint64(29))


@kernel
def measure(offsets: Any, data: Any, stop_words: Any, endings: Any) -> Any:
    """float64 of shape (texts, SIGNALS). `stop_words` and `endings` come from `stop_table`."""
    rows = offsets.size - 1
    out = np.zeros((rows, _WIDTH))
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = min(SEEN, longest // 2 + 1)
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int32)
    keys, sizes = np.empty(room, np.uint64), np.empty(room, np.int32)
    paragraphs, weights = np.empty(room, np.uint64), np.empty(room, np.int32)
    table = np.empty(np.int64(_mask(room)) + 1, np.uint64)
    stamps, counts = np.zeros(table.size, np.int64), np.empty(table.size, np.int32)
    scratch = (table, stamps, counts, np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.bool_))
    stamp = 0
    for row in range(rows):
        i, end, line = offsets[row], offsets[row + 1], out[row]
        words = _words(data, i, end, stop_words, endings, hashes, lengths, line)
        lines, parts = _lines(data, i, end, keys, sizes, paragraphs, weights, line)
        line[17], line[18] = _repeats(keys, sizes, lines, table, stamps, stamp + 1)
        line[19], line[20] = _repeats(paragraphs, weights, parts, table, stamps, stamp + 2)
        stamp = _grams(hashes, lengths, words, scratch, stamp + 2, line)
    return out


@kernel
def _words(data: Any, i: int, end: int, stop_words: Any, endings: Any, hashes: Any, lengths: Any, line: Any) -> int:
    """Signals 0-10 and 12; fills hashes and lengths of the words and returns how many it filled."""
    classes = np.zeros(CLASSES, np.int64)
    words, seen, with_letter, odd, grammar, url, spelled, letters = 0, 0, 0, 0, 0, 0, 0, 0
    while i < end:
        # One word from here, or one space.
        point, after = decode(data, i, end)
        kind = char_class(point)
        if kind == SPACE:
            classes[SPACE] += 1
            i = after
            continue
        raw, folded = _SEED, _SEED
        length, inside, has_letter, last = 0, 0, False, -1
        latin, vowels, run, longest, lower, jamo, rolling, linked = 0, 0, 0, 0, 0, 0, 0, False
        while True:
            classes[kind] += 1
            length += 1
            raw = (raw ^ np.uint64(point)) * _PRIME
            rolling = ((rolling << 8) | (point & 0x7F if point < 128 else 0)) & 0xFFFFFFFF
            if rolling & 0xFFFFFF == _URL_SLASHES or rolling | 0x20202000 == _URL_WWW:
                linked = True
            if (WORDLIKE >> kind) & 1:
                inside += 1
                last = point
                if kind == LATIN:
                    latin += 1
                    if point < 128 and not _IS_VOWEL[point]:
                        run += 1
                        longest = max(longest, run)
                    else:
                        vowels += 1
                        run = 0
                    if 65 <= point <= 90:
                        point += 32
                    else:
                        lower += 1
                elif kind == JAMO:
                    jamo += not (point < 0x10000 and _MARKS[point] & _LAUGH)
                has_letter = has_letter or (LETTERS >> kind) & 1 == 1
                folded = (folded ^ np.uint64(point)) * _PRIME
            i = after
            if i >= end:
                break
            point, after = decode(data, i, end)
            kind = char_class(point)
            if kind == SPACE:
                break
        words += 1
        with_letter += has_letter
        url += length if linked else 0
        value = _mixed(folded if inside else raw)
        if inside:
            spelled += inside
            letters += 1
        if not linked:
            mash = latin == inside and latin >= 4 and lower > 0 and (vowels == 0 or longest >= 6)
            odd += mash or jamo >= 3 or (latin + jamo == inside and inside > 40)
        if 0xAC00 <= last <= 0xD7A3:
            grammar += inside >= 2 and endings[last - 0xAC00]
        elif inside and latin == inside:
            at = np.searchsorted(stop_words, value)
            grammar += at < stop_words.size and stop_words[at] == value
        if seen < hashes.size:
            hashes[seen], lengths[seen] = value, length
            seen += 1
    total = 0
    for k in range(CLASSES):
        total += classes[k]
    visible = max(total - classes[SPACE], 1)
    korean = classes[HANGUL] + classes[JAMO]
    spoken = max(korean + classes[LATIN] + classes[KANA] + classes[HAN] + classes[LETTER], 1)
    line[0], line[1] = total, words
    line[2] = spelled / max(letters, 1)
    line[3] = (classes[SYMBOL] + classes[PUNCTUATION]) / visible
    line[4] = classes[DIGIT] / visible
    line[5], line[6] = korean / spoken, classes[LATIN] / spoken
    line[7] = classes[JAMO] / max(korean, 1)
    counted = max(words, 1)
    line[8], line[9], line[10] = with_letter / counted, odd / counted, grammar / counted
    line[12] = url / visible
    line[30] = classes[SPACE]
    return seen


@kernel
def _lines(
    data: Any, i: int, end: int, keys: Any, sizes: Any, paragraphs: Any, weights: Any, line: Any
) -> tuple[int, int]:
    """Signals 13-16; fills hashes and lengths of lines and paragraphs; returns how many of each."""
    lines, seen, parts, bullets, ellipses, sentences = 0, 0, 0, 0, 0, 0
    part, part_size = _SEED, 0
    while i <= end:
        # One line: its hash up to the last visible character, and the last three visible characters.
        value, settled, size, settled_size = _SEED, _SEED, 0, 0
        first, second, wordlike = -1, -1, False
        one, two, three = -1, -1, -1
        while i < end:
            point, i = decode(data, i, end)
            if point == 10:
                i -= 1
                break
            kind = char_class(point)
            if kind == SPACE and size == 0:
                continue
            value = (value ^ np.uint64(point)) * _PRIME
            size += 1
            if size == 2:
                second = point
            if kind == SPACE:
                continue
            if size == 1:
                first = point
            if kind != CONTROL:
                three, two, one = two, one, point
            settled, settled_size = value, size
            wordlike = wordlike or (WORDLIKE >> kind) & 1 == 1
        i += 1
        if wordlike:
            lines += 1
            bullets += _bullet(first, second)
            ellipses += one == 0x2026 or (one == 46 and two == 46 and three == 46)
            sentences += _ends_sentence(one, two)
            if seen < keys.size:
                keys[seen], sizes[seen] = _mixed(settled), settled_size
                seen += 1
            part = (part ^ _mixed(settled)) * _PRIME
            part_size += settled_size
        if part_size and ((settled_size == 0) or i > end) and parts < paragraphs.size:
            paragraphs[parts], weights[parts] = _mixed(part), part_size
            parts += 1
        if settled_size == 0:
            part, part_size = _SEED, 0
    counted = max(lines, 1)
    line[13] = lines
    line[14], line[15], line[16] = bullets / counted, ellipses / counted, sentences / counted
    return seen, parts


@kernel
def _bullet(first: int, second: int) -> bool:
    if first == 45 or first == 42 or first == 43:  # - * +
        return second == 32 or second == 9
    return 0 <= first < 0x10000 and _MARKS[first] & _BULLET != 0


@kernel
def _ends_sentence(one: int, two: int) -> bool:
    """Whether a line whose last visible characters are `two`, `one` ends as a sentence does."""
    if 0 <= one < 0x10000 and _MARKS[one] & _CLOSER:
        one = two
    return 0 <= one < 0x10000 and _MARKS[one] & (_ENDER | _KOREAN) != 0


@kernel
def _slot(key: Any, table: Any, stamps: Any, stamp: int, mask: Any) -> Any:
    """The slot of `key`: it is there if `stamps[slot] == stamp`, else the slot is free. Stamps save clearing."""
    at = np.int64(key & mask)
    while stamps[at] == stamp and table[at] != key:
        at = np.int64(np.uint64(at + 1) & mask)
    return at


@kernel
def _mask(count: int) -> Any:
    """The part of the table that `count` keys need: a small part stays in the cache."""
    slots = 16
    while slots < 2 * count:
        slots *= 2
    return np.uint64(slots - 1)


@kernel
def _repeats(keys: Any, sizes: Any, count: int, table: Any, stamps: Any, stamp: int) -> tuple[float, float]:
    """Among `count` keys: the share that came before, and their share of the sizes."""
    mask = _mask(count)
    again, weight, total = 0, 0, 0
    for k in range(count):
        at = _slot(keys[k], table, stamps, stamp, mask)
        total += sizes[k]
        if stamps[at] == stamp:
            again += 1
            weight += sizes[k]
        else:
            table[at], stamps[at] = keys[k], stamp
    return (again / count, weight / max(total, 1)) if count else (0.0, 0.0)


@kernel
def _grams(hashes: Any, lengths: Any, count: int, scratch: Any, stamp: int, line: Any) -> int:
    """Signals 11 and 21-29, n-grams of 1 to 10 words; returns the last stamp used.

    A repeated n-gram begins with a repeated (n-1)-gram, so only positions that still repeat are looked up again: for
    ordinary prose few are left after n = 3. Top n-grams are counted where they occur at least twice (Gopher's rule
    counts single ones too, which makes it fail every short text). For n >= 5, words of a repeat count once.
    """
    table, stamps, counts, grams, slots, alive = scratch
    mask, total, different = _mask(count), 0, 0
    for k in range(count):
        grams[k], alive[k] = _SEED, True
        total += lengths[k]
    for n in range(1, 11):
        stamp += 2
        best, left = 0, 0
        for k in range(count - n + 1):
            value = (grams[k] ^ hashes[k + n - 1]) * _BASE
            grams[k] = value ^ (value >> np.uint64(31))
            if not alive[k]:
                continue
            at = _slot(grams[k], table, stamps, stamp, mask)
            slots[k] = at
            if stamps[at] != stamp:
                table[at], stamps[at], counts[at] = grams[k], stamp, 1
                different += n == 1
                continue
            counts[at] += 1
            if 2 <= n <= 4:
                best = max(best, _size(lengths, k, n) * counts[at])
        for k in range(count - n + 1):
            alive[k] = alive[k] and counts[slots[k]] >= 2
            left += alive[k]
        if n == 1:
            line[11] = different / max(count, 1)
        elif n <= 4:
            line[19 + n] = best / max(total, 1)
        else:
            line[19 + n] = _repeated(lengths, count, n, stamps, slots, alive, stamp + 1) / max(total, 1)
        if not left:
            break
    return stamp + 1


@kernel
def _size(lengths: Any, at: int, n: int) -> int:
    size = 0
    for k in range(at, at + n):
        size += lengths[k]
    return size


@kernel
def _repeated(lengths: Any, count: int, n: int, stamps: Any, slots: Any, alive: Any, met: int) -> int:
    """Characters in n-grams met before, from left to right; the words of a repeat are passed over."""
    total, k = 0, 0
    while k <= count - n:
        if not alive[k]:
            k += 1
        elif stamps[slots[k]] != met:
            stamps[slots[k]] = met
            k += 1
        else:
            total += _size(lengths, k, n)
            k += n
    return total
