"""Gopher's, C4's and FineWeb's signals as datatrove 0.10 defines them: for the profile `datatrove`.

Where datakit's own signals (kernels/signals.py) mean something else, this is what differs here:

    word         `\\w+`, or one sign; compared with its case. datatrove takes a tokenizer of one's choice
    shares       of all characters, white space too; a top n-gram has its spaces, and counts where it stands once
    line         between newlines (repetition, FineWeb) or where `str.splitlines` cuts (Gopher, C4), not stripped
    C4           judged line by line; lines that datatrove would take out of the text are passed over, none is taken
                 out, so FineWeb's rules see the whole text

Two n-grams are the same if their words are (datatrove joins the words of 5- to 10-grams without a space first).
Cost: about 18 ms a MB, and up to 40 times the longest text in memory. The plain-Python meaning stands in
kernels/datatrove_reference.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.kernels.characters import DIGIT, HANGUL, LATIN, LETTERS, SPACE, WORDLIKE, char_class, decode
from datakit.kernels.compiled import inlined, kernel
from datakit.kernels.masks import WIDE, between, first_bits, ones
from datakit.kernels.piecehash import START, hash_piece
from datakit.kernels.repetition import NGRAMS, count_ngrams, grown, repeated, repeats, scratch, survivors
from datakit.kernels.unaligned import LOW7, controls, first_byte, line_end, read64, same_bytes

SIGNALS = (
    "dup_para_frac",
    "dup_para_char_frac",
    "dup_line_frac",
    "dup_line_char_frac",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "duplicated_5_n_grams",
    "duplicated_6_n_grams",
    "duplicated_7_n_grams",
    "duplicated_8_n_grams",
    "duplicated_9_n_grams",
    "duplicated_10_n_grams",
    "plain_words",  # words that hold more than signs of datatrove's list
    "plain_word_length",
    "alpha_words",
    "stop_words",  # different ones of eight
    "hashes",
    "ellipses",
    "list_ratio",
    "line_punct_ratio",
    "short_line_ratio",
    "char_dup_ratio",
    "bullet_lines",
    "ellipsis_lines",
    "lorem_ipsum",  # lines
    "curly_bracket",
    "sentences",
)
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
SIGNS = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
"""What datatrove calls punctuation; control characters too."""
TERMINAL_RANGES = (
    (0x21, 0x21), (0x2E, 0x2E), (0x3F, 0x3F), (0x589, 0x589), (0x61D, 0x61F), (0x6D4, 0x6D4), (0x700, 0x702),
    (0x7F9, 0x7F9), (0x837, 0x837), (0x839, 0x839), (0x83D, 0x83E), (0x964, 0x965), (0x104A, 0x104B),
    (0x1362, 0x1362), (0x1367, 0x1368), (0x166E, 0x166E), (0x1735, 0x1736), (0x17D4, 0x17D6), (0x17D9, 0x17DA),
    (0x1803, 0x1803), (0x1809, 0x1809), (0x1944, 0x1945), (0x1AA8, 0x1AAB), (0x1B5A, 0x1B5B), (0x1B5E, 0x1B5F),
    (0x1B7D, 0x1B7E), (0x1C3B, 0x1C3C), (0x1C7E, 0x1C7F), (0x203C, 0x203D), (0x2047, 0x2049), (0x2E2E, 0x2E2E),
    (0x2E3C, 0x2E3C), (0x2E53, 0x2E54), (0x3002, 0x3002), (0xA4FF, 0xA4FF), (0xA60E, 0xA60F), (0xA6F3, 0xA6F3),
    (0xA6F7, 0xA6F7), (0xA876, 0xA877), (0xA8CE, 0xA8CF), (0xA92F, 0xA92F), (0xA9C8, 0xA9C9), (0xAA5D, 0xAA5F),
    (0xAAF0, 0xAAF1), (0xABEB, 0xABEB), (0xFE52, 0xFE52), (0xFE56, 0xFE57), (0xFF01, 0xFF01), (0xFF0E, 0xFF0E),
    (0xFF1F, 0xFF1F), (0xFF61, 0xFF61),
)  # fmt: skip
"""Sentence marks of the living scripts (Unicode's Sentence_Terminal); datatrove also has those of historic ones."""
BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Where `str.splitlines` cuts."""
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
SHORT_LINE, LONG_WORD, LEAST_WORDS = 30, 1000, 3

_SIGN, _TERMINAL, _BREAK = 1, 2, 4
_LEAD_C2, _LEAD_E2 = np.uint64(0xC2C2C2C2C2C2C2C2), np.uint64(0xE2E2E2E2E2E2E2E2)
_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def _marks() -> np.ndarray[Any, np.dtype[np.uint8]]:
    marks = np.zeros(0x10000, np.uint8)
    marks[[ord(char) for char in SIGNS]] |= _SIGN
    for low, high in ((0, 9), (11, 32), (127, 160)):
        marks[low:high] |= _SIGN
    for low, high in TERMINAL_RANGES:
        marks[low : high + 1] |= _TERMINAL
    marks[[ord(char) for char in BREAKS]] |= _BREAK
    return marks


def _hashed(word: str) -> int:
    value = int(_SEED)
    for char in word:
        value = ((value ^ ord(char)) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 29)


_MARKS = _marks()
_STOPS = np.array([_hashed(word) for word in STOP_WORDS], np.uint64)
_STOP_BITS = np.uint64(sum({1 << (_hashed(word) & 63) for word in STOP_WORDS}))
_LOREM, _JAVASCRIPT, _POLICY = 1, 2, 4
_PHRASES = (("lorem ipsum", _LOREM), ("javascript", _JAVASCRIPT), *((phrase, _POLICY) for phrase in POLICIES))
_PHRASE_BYTES = np.frombuffer("".join(phrase for phrase, _ in _PHRASES).encode(), np.uint8)
_PHRASE_ENDS = np.cumsum([len(phrase) for phrase, _ in _PHRASES])
_PHRASE_BITS = np.array([bit for _, bit in _PHRASES])
_SECOND = np.zeros(256, np.uint8)
"""By the first byte of a phrase, in either case: its second. Phrases with one first letter share the second."""
for _phrase, _ in _PHRASES:
    _SECOND[[ord(_phrase[0]), ord(_phrase[0].upper())]] = ord(_phrase[1])
_PLAIN, _BLANK, _SIGNED, _END, _OTHER = range(5)
_ROLE = np.full(256, _OTHER, np.uint8)
"""What a byte is to a sentence: of a word, a blank, `[` or `{`, the mark that ends it, one that must be looked up."""
_ROLE[32:128] = _PLAIN
for _role, _signs in ((_BLANK, " "), (_SIGNED, "[{"), (_END, ".!?")):
    _ROLE[[ord(_sign) for _sign in _signs]] = _role
_NEEDED_TAIL = len("needed]")
_ONE, _LAST, _TOP = np.uint64(1), np.uint64(WIDE - 1), np.uint64(1 << (WIDE - 1))
_EDIT, _NEEDED = np.frombuffer(b"edit]", np.uint8), np.frombuffer(b"citation needed]", np.uint8)


@kernel
def measure(offsets: Any, data: Any) -> Any:
    """float64 of shape (texts, SIGNALS)."""
    rows = offsets.size - 1
    out = np.zeros((rows, len(SIGNALS)))
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = longest + 2
    keys, sizes, more, others = (
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
    )
    tables = scratch(room)
    for row in range(rows):
        line, start, end = out[row], offsets[row], offsets[row + 1]
        size, newlines = 0, 0
        for i in range(start, end):
            size += data[i] & 0xC0 != 0x80
            newlines += data[i] == 10
        _paragraphs(data, start, end, size, keys, sizes, tables[0], line)
        _raw_lines(data, start, end, size, newlines, keys, sizes, more, others, tables[0], line)
        words = _words(data, start, end, newlines, keys, sizes, line)
        _ngrams(keys, sizes, words, size, tables, line)
        _split_lines(data, start, end, line)
    return out


@kernel
def _last(data: Any, start: int, end: int) -> int:
    """Where the last character of data[start:end] begins."""
    at = end - 1
    while at > start and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@kernel
def _stripped(data: Any, start: int, end: int) -> tuple[int, int]:
    """The part of data[start:end] without white space at its ends."""
    while start < end:
        point, after = decode(data, start, end)
        if char_class(point) != SPACE:
            break
        start = after
    while end > start:
        at = _last(data, start, end)
        if char_class(decode(data, at, end)[0]) != SPACE:
            break
        end = at
    return start, end


@kernel
def _paragraphs(data: Any, start: int, end: int, size: int, keys: Any, sizes: Any, table: Any, line: Any) -> None:
    """Signals 0 and 1: pieces of the stripped text between two newlines or more."""
    i, end = _stripped(data, start, end)
    count = 0
    while True:
        stop = line_end(data, i, end)
        while stop < end and data[stop + 1] != 10:  # a stripped text ends in no newline
            stop = line_end(data, stop + 1, end)
        keys[count], sizes[count] = hash_piece(data, i, stop)
        count += 1
        if stop >= end:
            break
        while data[stop] == 10:
            stop += 1
        i = stop
    line[0], line[1] = _repeats(keys, sizes, count, size, table)


@kernel
def _repeats(keys: Any, sizes: Any, count: int, whole: int, table: Any) -> tuple[float, float]:
    """Repeated pieces as a share of the pieces, and their characters as a share of `whole`."""
    total = 0
    for k in range(count):
        total += sizes[k]
    share, weight = repeats(keys, sizes, count, table)
    return share, weight * max(total, 1) / max(whole, 1)


@kernel
def _raw_lines(
    data: Any, start: int, end: int, size: int, newlines: int, keys: Any, sizes: Any, more: Any, others: Any,
    table: Any, line: Any,
) -> None:  # fmt: skip
    """Signals 2, 3 and 20-22: lines between newlines, empty ones left out; those of FineWeb are not blank either."""
    count, filled, ended, short, i = 0, 0, 0, 0, start
    # re.split leaves an empty piece at either end of a text that begins or ends with a newline.
    edges = 1
    if start < end:
        edges = int(data[start] == 10) + int(data[end - 1] == 10)
    for _ in range(edges):
        keys[count], sizes[count] = START, 0
        count += 1
    while i < end:
        stop = line_end(data, i, end)
        if stop > i:
            value, length = hash_piece(data, i, stop)
            keys[count], sizes[count] = value, length
            count += 1
            first, last = _stripped(data, i, stop)
            if first < last:
                more[filled], others[filled] = value, length
                filled += 1
                short += length <= SHORT_LINE
                ended += _has(decode(data, _last(data, i, stop), stop)[0], _TERMINAL)
        i = stop + 1
    line[2], line[3] = _repeats(keys, sizes, count, size, table)
    line[20], line[21] = ended / max(filled, 1), short / max(filled, 1)
    line[22] = _repeats(more, others, filled, size - newlines, table)[1]


@kernel
def _has(point: int, mark: int) -> bool:
    return point < 0x10000 and _MARKS[point] & mark != 0


@kernel
def _words(data: Any, start: int, end: int, newlines: int, hashes: Any, lengths: Any, line: Any) -> int:
    """Signals 13-19; fills hashes and lengths of the words and returns how many there are."""
    words, plain, plain_size, alpha, stops, hash_signs, ellipses, dots, i = 0, 0, 0, 0, 0, 0, 0, 0, start
    while i < end:
        point, i = decode(data, i, end)
        kind = char_class(point)
        if kind == SPACE:
            dots = 0
            continue
        value, length, letters, signs = _SEED, 0, False, 0
        inside = point == 95 or (WORDLIKE >> kind) & 1 == 1
        while True:
            value = (value ^ np.uint64(point)) * _PRIME
            length += 1
            if kind in (LATIN, HANGUL):
                # They come in runs, which are read to the end without asking what else a character might be.
                letters = True
                while i < end and 97 <= data[i] | 32 <= 122:
                    value = (value ^ np.uint64(data[i])) * _PRIME
                    length += 1
                    i += 1
                while i + 3 <= end and 0xEA <= data[i] <= 0xED:
                    point, after = decode(data, i, end)
                    if not 0xAC00 <= point <= 0xD7A3:
                        break
                    value = (value ^ np.uint64(point)) * _PRIME
                    length += 1
                    i = after
            else:
                letters = letters or (LETTERS >> kind) & 1 == 1
                if not inside or point == 95 or kind == DIGIT:
                    signs += _has(point, _SIGN)
            if not inside or i >= end:
                break
            point, after = decode(data, i, end)
            kind = char_class(point)
            if not (point == 95 or (WORDLIKE >> kind) & 1 == 1):
                break
            i = after
        if not inside:
            hash_signs += point == 35
            ellipses += point == 0x2026
            dots = dots + 1 if point == 46 else 0
            if dots == 3:
                ellipses, dots = ellipses + 1, 0
        else:
            dots = 0
        value ^= value >> np.uint64(29)
        hashes[words], lengths[words] = value, length
        words += 1
        alpha += letters
        if signs < length:
            plain += 1
            plain_size += length
        if 2 <= length <= 4 and _STOP_BITS >> (value & np.uint64(63)) & np.uint64(1):
            for k in range(_STOPS.size):
                if value == _STOPS[k]:
                    stops |= 1 << k
    line[13], line[14], line[15] = plain, plain_size / max(plain, 1), alpha / max(words, 1)
    for k in range(_STOPS.size):
        line[16] += stops >> k & 1
    line[17], line[18], line[19] = hash_signs / max(words, 1), ellipses / max(words, 1), newlines / max(words, 1)
    return words


@kernel
def _ngrams(hashes: Any, lengths: Any, count: int, size: int, tables: Any, line: Any) -> None:
    """Signals 4-12. The top n-gram is the one that stands most often; of those, the one that comes first."""
    table, counts, grams, living, slots, sums = tables
    sums[0] = 0
    for k in range(count):  # single words are not asked for, and nearly all of them repeat: signs are words here
        grams[k], living[k] = grown(np.uint64(0), hashes[k]), k
        sums[k + 1] = sums[k] + lengths[k]
    alive, whole = count, max(size, 1)
    for n in range(2, NGRAMS + 1):
        _, _, alive = count_ngrams(hashes, grams, living, slots, sums, alive, n, table, counts)
        alive = survivors(living, slots, counts, alive)
        if n <= 4 and count >= n:
            top, first = 1, 0
            for j in range(alive):
                if counts[slots[j]] > top:
                    top, first = int(counts[slots[j]]), int(living[j])
            line[2 + n] = top * (sums[first + n] - sums[first] + n - 1) / whole
        elif n > 4:
            line[2 + n] = repeated(living, slots, sums, counts, alive, n) / whole


@kernel
def _split_lines(data: Any, start: int, end: int, line: Any) -> None:
    """Signals 23-27: lines where `str.splitlines` cuts."""
    lines, bullets, trailing, lorems, braces, sentences, i = 0, 0, 0, 0, 0, 0, start
    while i < end:
        stop, after = i, i
        while stop < end:
            stop = _maybe_break(data, stop, end)
            if stop == end:
                break
            point, after = decode(data, stop, end)
            if _has(point, _BREAK):
                break
            stop = after
        first, last = _stripped(data, i, stop)
        lines += 1
        if first < last:
            bullets += data[first] == 45 or decode(data, first, last)[0] == 0x2022
            dots = last - first >= 3 and data[last - 1] == 46 and data[last - 2] == 46 and data[last - 3] == 46
            trailing += dots or decode(data, _last(data, first, last), last)[0] == 0x2026
            lorem, brace, count = _c4_line(data, first, last)
            lorems, braces, sentences = lorems + lorem, braces + brace, sentences + count
        i = stop + 1 if stop >= end else after
        if stop < end and data[stop] == 13 and i < end and data[i] == 10:
            i += 1
    line[23], line[24] = bullets / max(lines, 1), trailing / max(lines, 1)
    line[25], line[26], line[27] = lorems, braces, sentences


@kernel
def _maybe_break(data: Any, i: int, end: int) -> int:
    """The next byte that is a control character or leads one that may cut a line (C2, E2), or the end."""
    while i < end:
        if i + 8 <= data.size:
            word = read64(data, i)
            cut = same_bytes(word, _LEAD_C2) | same_bytes(word, _LEAD_E2) | (controls(word & LOW7) & ~word)
            step = first_byte(cut)
            if step == 8:
                i += 8
                continue
            return min(i + step, end)
        byte = data[i]
        if byte < 32 or byte == 0xC2 or byte == 0xE2:
            return i
        i += 1
    return end


@kernel
def _c4_line(data: Any, start: int, end: int) -> tuple[bool, bool, int]:
    """Whether a line that C4 looks at has lorem ipsum, whether it has a brace, and its sentences if C4 keeps it."""
    words, sentences, brace, told = _plain_line(data, start, end)
    if told:
        return False, brace and words >= LEAST_WORDS, sentences if words >= LEAST_WORDS else 0
    return _any_line(data, start, end)


@kernel
def _plain_line(data: Any, start: int, end: int) -> tuple[int, int, bool, bool]:
    """Words, sentences and whether there is a brace, 64 bytes at a time; the last is False where this can't be told:
    other white space than blanks, a citation mark, letters that may belong to a phrase, a word that may be too long."""
    words, sentences, brace, dry, i = 0, 0, False, 0, start
    ends_before, blank_before = _ONE, _ONE  # nothing before the line makes a sentence of a mark
    while i < end:
        if i + WIDE > len(data):
            return 0, 0, False, False
        own = first_bits(end - i if end - i < WIDE else WIDE)
        odd = between(data, i, 0, 31) | between(data, i, 91, 91) | between(data, i, 0xC2, 0xC2)
        if (odd | between(data, i, 0xE1, 0xE3) | _phrase_letters(data, i)) & own:
            return 0, 0, False, False
        blank = between(data, i, 32, 32)
        dry = 0 if blank else dry + WIDE
        if dry > LONG_WORD - 3 * WIDE:
            return 0, 0, False, False
        mark = (between(data, i, 46, 46) | between(data, i, 33, 33) | between(data, i, 63, 63)) & own
        words += ones(~blank & ((blank << _ONE) | blank_before) & own)
        sentences += ones(mark & ~((mark << _ONE) | ends_before))
        brace = brace or between(data, i, 123, 123) & own != 0
        ends_before, blank_before = mark >> _LAST, blank >> _LAST
        i += WIDE
    return words, sentences + (_ROLE[data[end - 1]] != _END), brace, True


@inlined
def _letter(data: Any, i: int, small: int) -> Any:
    """Which of 64 bytes are this letter, in either case."""
    return between(data, i, small, small) | between(data, i, small - 32, small - 32)


@inlined
def _phrase_letters(data: Any, i: int) -> Any:
    """Where one of the phrases may be, by two letters that all of its kind have: j(avascript), (coo)ki(e), (priva)cy,
    (ter)ms, (lore)m i(psum). The second may lie behind the 64 bytes: then the first is enough."""
    i_or_behind = (_letter(data, i, 105) >> _ONE) | _TOP
    m = _letter(data, i, 109)
    found = _letter(data, i, 106) | (_letter(data, i, 107) & i_or_behind)
    found |= _letter(data, i, 99) & ((_letter(data, i, 121) >> _ONE) | _TOP)
    found |= m & ((_letter(data, i, 115) >> _ONE) | _TOP)
    return found | (m & ((between(data, i, 32, 32) >> _ONE) | _TOP) & ((i_or_behind >> _ONE) | _TOP))


@kernel
def _any_line(data: Any, start: int, end: int) -> tuple[bool, bool, int]:
    """What `_c4_line` tells, character by character."""
    words, length, longest, found, brace, sentences, open_, shown, i = 0, 0, 0, 0, False, 0, False, False, start
    while i < end:
        byte = data[i]
        if i + 1 < end and data[i + 1] | 32 == _SECOND[byte]:
            found |= _phrases_at(data, i, end)
        role, after = _ROLE[byte], i + 1
        if role == _PLAIN:
            words += length == 0
            length += 1
            longest = max(longest, length)
            open_ = shown = True
            i = after
            continue
        blank = role == _BLANK
        cited = _citation(data, i, end) if byte == 91 else i
        if cited > i:  # datatrove takes citations out when it has split the words
            words += length == 0
            length += cited - i
            if cited - i == _NEEDED.size + 1:  # two words: what stands before the blank may be longer
                longest = max(longest, length - _NEEDED_TAIL - 1)
                words, length = words + 1, _NEEDED_TAIL
            longest = max(longest, length)
            i = cited
            continue
        if role == _OTHER:
            point, after = decode(data, i, end)
            blank = char_class(point) == SPACE
        if blank:
            length = 0
        else:
            words += length == 0
            length += 1
            longest = max(longest, length)
        brace = brace or byte == 123
        if role == _END:
            # A sentence is a run without such marks, and the marks behind it.
            sentences += open_
            open_, shown = False, False
        else:
            open_, shown = True, shown or not blank
        i = after
    sentences += open_ and shown
    if words < LEAST_WORDS or longest > LONG_WORD:
        return False, False, 0
    lorem = found & _LOREM != 0
    if found & _JAVASCRIPT:
        return lorem, False, 0
    return lorem, brace, 0 if found & _POLICY else sentences


@kernel
def _citation(data: Any, i: int, end: int) -> int:
    """The place behind a citation mark ([12], [], [edit], [citation needed]) that begins at `i`, else `i`."""
    at = i + 1
    while at < end and 48 <= data[at] <= 57:
        at += 1
    if at < end and data[at] == 93:
        return at + 1
    if _stands_at(data, i + 1, end, _EDIT, 0, _EDIT.size):
        return i + 1 + _EDIT.size
    return i + 1 + _NEEDED.size if _stands_at(data, i + 1, end, _NEEDED, 0, _NEEDED.size) else i


@kernel
def _stands_at(data: Any, i: int, end: int, phrases: Any, low: int, high: int) -> bool:
    """Whether phrases[low:high] stands at `i`."""
    if i + high - low > end:
        return False
    same = 0
    while same < high - low and data[i + same] == phrases[low + same]:
        same += 1
    return same == high - low


@kernel
def _phrases_at(data: Any, i: int, end: int) -> int:
    """Bit set of the phrases that begin at `i`, in any ASCII case."""
    found, low = 0, 0
    for k in range(_PHRASE_ENDS.size):
        high = _PHRASE_ENDS[k]
        if i + high - low <= end:
            same = 0
            while same < high - low:
                byte = data[i + same]
                if (byte | 32 if 65 <= byte <= 90 else byte) != _PHRASE_BYTES[low + same]:
                    break
                same += 1
            found |= _PHRASE_BITS[k] if same == high - low else 0
        low = high
    return found
