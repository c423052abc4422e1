"""`measure`: every quality signal of every text in one pass over Arrow's bytes, without a Python object a word.

    word         what `str.split()` gives: an eojeol in Korean. Compared by its letters and digits, ASCII in lower
                 case, so that `"Hello,"` repeats `hello`; a word of signs only is compared as it stands
    line         only if it holds a letter or digit: blank lines, fences and rules are no repeats. Compared by its
                 words, so that spaces and signs make no other line; sized by the characters of its words
    paragraph    lines between blank lines

Words, lines and n-grams are compared by 63-bit hashes (a chance collision moves a share by one word). Repetition is
looked for in the first million words and lines, so that a text of any size needs bounded memory (about 100 MB).
Cost: about 9 ms a MB, two fifths of it repetition (kernels/repetition.py). The plain-Python reference is
kernels/signals_reference.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from datakit.kernels.characters import (
    CONTROL,
    DIGIT,
    HAN,
    HANGUL,
    JAMO,
    KANA,
    LATIN,
    LETTER,
    PUNCTUATION,
    SPACE,
    SYMBOL,
    char_class,
    decode,
)
from datakit.kernels.compiled import kernel
from datakit.kernels.repetition import measure_ngrams, repeats, scratch

SIGNALS = (
    "characters",  # code points, white space included
    "spaces",  # characters of white space
    "letters",
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
    "url_share",  # characters in words with :// or www., among the characters that are not white space
    "hashes",  # # a word
    "ellipses",  # ... or … a word
    "sentences",  # words that end in a full stop, a question or an exclamation mark (closing marks skipped)
    "lines",
    "line_length",  # mean, in columns: a letter is one wide, a syllable of Hangul, Han or Kana two
    "longest_line",
    "bullet_lines",  # shares of the lines
    "ellipsis_lines",
    "sentence_lines",  # ending in a sentence's sign, or in 다 요 죠 까
    "short_lines",  # of at most 30 columns
    "brace_lines",  # with {
    "line_breaks",  # newlines a word
    "duplicate_lines",  # lines that came before, as a share of lines
    "duplicate_line_characters",  # the same, as a share of their characters
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "unique_words",  # different words among the words
    "top_2gram",  # share of the words' characters in the most filling n-gram; 0 if none repeats
    "top_3gram",
    "top_4gram",
    "repeated_5gram",  # share of the words' characters in n-grams that came before
    "repeated_6gram",
    "repeated_7gram",
    "repeated_8gram",
    "repeated_9gram",
    "repeated_10gram",
)
SEEN = 1 << 20
"""Words and lines, from the start of a text, among which repetition is looked for."""
SHORT_LINE = 30
"""Columns: FineWeb's 30 characters."""
BULLETS = "•‣⁃◦●○▪▫■□◆◇▶►※✓✔★☆▷"
CLOSERS = "\"')]}”’」』》〉）*_`"
ENDERS = ".!?。！？…‥:;："
STOPS = ".!?。！？…"
KOREAN_ENDERS = "다요죠까"
LAUGHTER = "ㅋㅎㅠㅜㅡ"
VOWELS = "aeiouyAEIOUY"

_BULLET, _CLOSER, _ENDER, _STOP, _LAUGH = 1, 2, 4, 8, 16


def _marks() -> np.ndarray[Any, np.dtype[np.uint8]]:
    marks = np.zeros(0x10000, np.uint8)
    enders = ENDERS + KOREAN_ENDERS
    named = ((BULLETS, _BULLET), (CLOSERS, _CLOSER), (enders, _ENDER), (STOPS, _STOP), (LAUGHTER, _LAUGH))
    for chars, mark in named:
        marks[[ord(char) for char in chars]] |= mark
    return marks


_MARKS = _marks()
_CONSONANTS = np.uint64(sum(1 << letter for letter in range(1, 27) if chr(96 + letter) not in VOWELS))
"""One bit a letter of the alphabet, from bit 1 on."""
_CROWD = np.uint64(0x3F)
"""Six consonants in a row."""
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, then mixed
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ONE, _LETTER = np.uint64(1), np.uint64(31)
_FIRST_REPEAT, _FIRST_NGRAM = SIGNALS.index("duplicate_lines"), SIGNALS.index("unique_words")
_LINE_SIGNALS = SIGNALS.index("lines")
_STOP_SLOTS = 1024
_STOP_MASK = np.uint64(_STOP_SLOTS - 1)


def word_hash(word: str) -> int:
    """The hash that `measure` gives a word: for the table of stop words."""
    value = int(_SEED)
    for char in word:
        value = ((value ^ ord(char)) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
    value ^= value >> 32
    value = value * int(_MIX) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 29)


def stop_table(words: Sequence[str], endings: str) -> tuple[Any, Any]:
    """(hash table of the words, one flag a syllable) for `measure`: ASCII words in lower case, Hangul syllables."""
    table = np.zeros(_STOP_SLOTS, np.uint64)
    for value in map(word_hash, words):
        at = value % _STOP_SLOTS
        while table[at]:
            at = (at + 1) % _STOP_SLOTS
        table[at] = value
    flags = np.zeros(11172, np.bool_)
    flags[[ord(syllable) - 0xAC00 for syllable in endings]] = True
    return table, flags


@kernel
def _is_stop_word(value: Any, table: Any) -> bool:
    at = value & _STOP_MASK
    while table[at] != 0:
        if table[at] == value:
            return True
        at = (at + np.uint64(1)) & _STOP_MASK
    return False


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
    out = np.zeros((rows, len(SIGNALS)))
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = min(SEEN, longest // 2 + 1)
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    keys, sizes = np.empty(room, np.uint64), np.empty(room, np.int64)
    parts, weights = np.empty(room, np.uint64), np.empty(room, np.int64)
    tables, met = scratch(room), np.zeros(3, np.int64)
    for row in range(rows):
        line = out[row]
        _text(
            data,
            offsets[row],
            offsets[row + 1],
            stop_words,
            endings,
            hashes,
            lengths,
            keys,
            sizes,
            parts,
            weights,
            line,
            met,
        )
        line[_FIRST_REPEAT], line[_FIRST_REPEAT + 1] = repeats(keys, sizes, met[1], tables[0])
        line[_FIRST_REPEAT + 2], line[_FIRST_REPEAT + 3] = repeats(parts, weights, met[2], tables[0])
        measure_ngrams(hashes, lengths, met[0], tables, line[_FIRST_NGRAM:])
    return out


@kernel
def _text(
    data: Any, i: int, end: int, stop_words: Any, endings: Any, hashes: Any, lengths: Any, keys: Any, sizes: Any,
    parts: Any, weights: Any, out: Any, met: Any,
) -> None:  # fmt: skip
    """All signals but repetition; fills hashes and lengths of words, lines and paragraphs, and `met`: how many."""
    words, seen, with_letter, odd, grammar, url, spelled, spelling = 0, 0, 0, 0, 0, 0, 0, 0
    characters, spaces, hash_signs, ellipses, sentences, breaks = 0, 0, 0, 0, 0, 0
    latins, digits, syllables, jamos, scripts, signs = 0, 0, 0, 0, 0, 0
    lines, bullets, trailing, ended, shorts, braces, kept_lines, kept_parts = 0, 0, 0, 0, 0, 0, 0, 0
    # The line that is being read, and the paragraph.
    line, line_size, columns, first, stop, wordlike, brace = _SEED, 0, 0, i, i, False, False
    bullet, part, part_size, width, widest = False, _SEED, 0, 0, 0
    while i <= end:
        byte = data[i] if i < end else np.uint8(10)
        if byte == 32:
            spaces += 1
            i += 1
            continue
        point, after, kind = np.int64(byte), i + 1, SPACE
        if i < end:
            if byte >= 128:
                point, after = decode(data, i, end)
            kind = char_class(point)
        if kind == SPACE:
            if point == 10:
                # A line ends here, or the text.
                if i < end:
                    breaks += 1
                if wordlike:
                    lines += 1
                    bullets += bullet
                    shorts += columns - 1 <= SHORT_LINE
                    braces += brace
                    width += columns - 1
                    widest = max(widest, columns - 1)
                    ellipsis, sentence = _line_end(data, first, stop)
                    trailing += ellipsis
                    ended += sentence
                    value = _mixed(line)
                    if kept_lines < keys.size:
                        keys[kept_lines], sizes[kept_lines] = value, line_size
                        kept_lines += 1
                    part = (part ^ value) * _PRIME
                    part_size += line_size
                if part_size and (columns == 0 or i >= end) and kept_parts < parts.size:
                    parts[kept_parts], weights[kept_parts] = _mixed(part), part_size
                    kept_parts += 1
                if columns == 0:
                    part, part_size = _SEED, 0
                line, line_size, columns, wordlike, brace, bullet = _SEED, 0, 0, False, False, False
            spaces += i < end
            i = after
            continue
        # One word from here.
        start, opener = i, point
        last: Any = 0
        folded, length, linked, wide = _SEED, 0, False, 0
        # One bit for each Latin letter, the last lowest: is it a consonant?
        recent, crowd, cases, latin, jamo = np.uint64(0), np.uint64(0), np.int64(0), 0, 0
        digit, hangul, bare, script, sign, dots = 0, 0, 0, 0, 0, 0
        while True:
            length += 1
            if kind == LATIN:
                last = point
                if point < 128:
                    # Letters come in runs: they are read to the end without asking what else they might be.
                    while True:
                        small = np.uint64(point | 32)
                        folded = (folded ^ small) * _PRIME
                        recent = (recent << _ONE) | ((_CONSONANTS >> (small & _LETTER)) & _ONE)
                        crowd = max(crowd, recent & _CROWD)
                        cases |= point
                        latin += 1
                        if after >= end or not 97 <= data[after] | 32 <= 122:
                            break
                        point, after = np.int64(data[after]), after + 1
                        length += 1
                else:
                    latin += 1
                    recent <<= _ONE
                    cases |= 32
                    folded = (folded ^ np.uint64(point)) * _PRIME
            elif kind == HANGUL:
                while True:
                    hangul += 1
                    folded = (folded ^ np.uint64(point)) * _PRIME
                    if after + 3 > end or not 0xEA <= data[after] <= 0xED:
                        break
                    further, behind = decode(data, after, end)
                    if not 0xAC00 <= further <= 0xD7A3:
                        break
                    point, after = further, behind
                    length += 1
                last = point
            elif kind in (PUNCTUATION, SYMBOL):
                sign += 1
                if point == 46:
                    dots = dots + 1 if i > start and data[i - 1] == 46 else 1
                    if dots == 3:
                        ellipses += 1
                        dots = 0
                    linked = linked or (i - start >= 3 and _is_www(data, i))
                elif point == 47:
                    linked = linked or (i - start >= 2 and data[i - 1] == 47 and data[i - 2] == 58)
                elif point == 35:
                    hash_signs += 1
                elif point == 123:
                    brace = True
                elif point == 0x2026:
                    ellipses += 1
            elif kind == DIGIT:
                digit += 1
                last = point
                folded = (folded ^ np.uint64(point)) * _PRIME
            elif kind in (JAMO, KANA, HAN, LETTER):
                if kind == JAMO:
                    bare += 1
                    jamo += not (point < 0x10000 and _MARKS[point] & _LAUGH)
                else:
                    script += 1
                    wide += kind != LETTER
                last = point
                folded = (folded ^ np.uint64(point)) * _PRIME
            i = after
            if i >= end:
                break
            byte = data[i]
            if byte == 32:
                break
            point, after = np.int64(byte), i + 1
            if byte >= 128:
                point, after = decode(data, i, end)
            kind = char_class(point)
            if kind == SPACE:
                break
        inside = latin + digit + hangul + bare + script
        words += 1
        characters += length
        latins, digits, syllables, jamos = latins + latin, digits + digit, syllables + hangul, jamos + bare
        scripts, signs = scripts + script, signs + sign
        with_letter += inside > digit
        url += length if linked else 0
        if inside:
            value = _mixed(folded)
            spelled += inside
            spelling += 1
            wordlike = True
        else:
            value = _mixed(_raw(data, start, i))
        if not linked:
            all_consonants = latin < 6 and recent == (_ONE << np.uint64(latin)) - _ONE
            mash = latin == inside and latin >= 4 and cases & 32 and (all_consonants or crowd == _CROWD)
            odd += mash or jamo >= 3 or (latin + bare == inside and inside > 40)
        if 0xAC00 <= last <= 0xD7A3:
            grammar += inside >= 2 and endings[last - 0xAC00]
        elif inside and latin == inside:
            grammar += _is_stop_word(value, stop_words)
        sentences += sign > 0 and _is_sentence_end(data, start, i)
        if columns == 0:
            first = start
            bullet = _is_bullet(opener, length, data[i] if i < end else np.uint8(10))
        columns += length + hangul + wide + 1
        stop = i
        line = (line ^ value) * _PRIME
        line_size += length
        if seen < hashes.size:
            hashes[seen], lengths[seen] = value, length
            seen += 1
    met[0], met[1], met[2] = seen, kept_lines, kept_parts
    visible, counted, korean = max(characters, 1), max(words, 1), syllables + jamos
    spoken = max(korean + latins + scripts, 1)
    found = (
        float(characters + spaces), float(spaces), float(korean + latins + scripts), float(words),
        spelled / max(spelling, 1), signs / visible, digits / visible, korean / spoken, latins / spoken,
        jamos / max(korean, 1), with_letter / counted, odd / counted, grammar / counted, url / visible,
        hash_signs / counted, ellipses / counted, float(sentences),
    )  # fmt: skip
    for k in range(len(found)):
        out[k] = found[k]
    whole = max(lines, 1)
    shares = (
        float(lines),
        width / whole,
        float(widest),
        bullets / whole,
        trailing / whole,
        ended / whole,
        shorts / whole,
        braces / whole,
        breaks / counted,
    )
    for k in range(len(shares)):
        out[_LINE_SIGNALS + k] = shares[k]


@kernel
def _raw(data: Any, i: int, end: int) -> Any:
    """The hash of a word as it stands."""
    value = _SEED
    while i < end:
        point, i = decode(data, i, end)
        value = (value ^ np.uint64(point)) * _PRIME
    return value


@kernel
def _is_www(data: Any, i: int) -> bool:
    """Whether the three bytes before `i` are www."""
    return data[i - 1] | 32 == 119 and data[i - 2] | 32 == 119 and data[i - 3] | 32 == 119


@kernel
def _before(data: Any, start: int, i: int) -> tuple[int, int]:
    """The last code point of data[start:i] and where it begins; (-1, start) if there is none."""
    if i <= start:
        return -1, start
    at = i - 1
    while at > start and data[at] & 0xC0 == 0x80:
        at -= 1
    return decode(data, at, i)[0], at


@kernel
def _has(point: int, mark: int) -> bool:
    return 0 <= point < 0x10000 and _MARKS[point] & mark != 0


@kernel
def _is_sentence_end(data: Any, start: int, i: int) -> bool:
    """Whether a word ends in a full stop, a question or an exclamation mark, closing marks skipped."""
    point, i = _before(data, start, i)
    while _has(point, _CLOSER):
        point, i = _before(data, start, i)
    return _has(point, _STOP)


@kernel
def _shown_before(data: Any, start: int, i: int) -> tuple[int, int]:
    """The last visible code point of data[start:i] and where it begins."""
    point, i = _before(data, start, i)
    while point >= 0:
        kind = char_class(point)
        if kind != SPACE and kind != CONTROL:
            break
        point, i = _before(data, start, i)
    return point, i


@kernel
def _line_end(data: Any, start: int, stop: int) -> tuple[bool, bool]:
    """Whether a line ends in an ellipsis, and whether it ends as a sentence does."""
    one, i = _shown_before(data, start, stop)
    if one < 128 and one != 46 and not _has(one, _CLOSER | _ENDER):
        return False, False
    two, i = _shown_before(data, start, i)
    three, i = _shown_before(data, start, i)
    ellipsis = one == 0x2026 or (one == 46 and two == 46 and three == 46)
    return ellipsis, _has(two if _has(one, _CLOSER) else one, _ENDER)


@kernel
def _is_bullet(opener: int, length: int, after: Any) -> bool:
    """Whether a line that begins with a word of this first character and length, and with `after` behind it, is one."""
    if opener == 45 or opener == 42 or opener == 43:  # - * +
        return length == 1 and (after == 32 or after == 9)
    return _has(opener, _BULLET)
