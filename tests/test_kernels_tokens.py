"""Kernels over tokens and over the table of pieces, against plain Python."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels.interning import gather
from datakit.kernels.tokens import TEXT, closed, count_words, covered, cut, laid, learned, teaches
from datakit.schemas import IGNORED
from datakit.tokenizers.pieces import Pieces
from datakit.tokenizers.seam import FOREIGN, Names, SpanLists

WORDS = st.text(st.sampled_from("가é a\n🙂<|x>\u3000"), max_size=24)
NAMES = {"<|x|>": 7, "<|x": 8, "가🙂": 9, "|>": FOREIGN}


def column(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int64)
    return offsets, np.frombuffer(b"".join(raw), np.uint8)


@st.composite
def spanned(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """A text, and spans of it in order that don't overlap."""
    text = draw(WORDS)
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    return text, [(a, b) for a, b in zip(places[::2], places[1::2], strict=False) if a < b]


def plain_cut(text: str, spans: list[tuple[int, int]]) -> tuple[list[tuple[str, int]], int, bool]:
    """What `cut` does, with a regex."""
    longest = sorted(NAMES, key=lambda name: (-len(name.encode()), name))
    found: list[tuple[str, int]] = []
    at, inside, foreign = 0, set(), False
    for match in re.finditer("|".join(map(re.escape, longest)), text):
        start, end = match.span()
        foreign |= NAMES[match[0]] == FOREIGN
        touched = [n for n, (a, b) in enumerate(spans) if start < b and a < end]
        inside |= {n for n in touched[:1] if NAMES[match[0]] != FOREIGN and spans[n][0] <= start and end <= spans[n][1]}
        if NAMES[match[0]] != FOREIGN and not touched:
            found += [(text[at:start], TEXT)] * (at < start) + [(match[0], NAMES[match[0]])]
            at = end
    return found + [(text[at:], TEXT)] * (at < len(text)), len(inside), foreign


@settings(max_examples=300, deadline=None)
@given(st.lists(spanned(), max_size=4))
def test_cut_any_text_equals_the_regex(told: list[tuple[str, list[tuple[int, int]]]]) -> None:
    offsets, data = column([text for text, _ in told])
    names, spans = Names.of(NAMES), SpanLists.of([spans for _, spans in told])
    starts, ends, ids, counts, written, foreign = cut(
        offsets, data, names.data, names.borders, names.ids, spans.rows, spans.starts, spans.ends, True
    )
    stretches = [(bytes(data[a:b]).decode(), n) for a, b, n in zip(starts, ends, ids.tolist(), strict=True)]
    at = 0
    for row, (text, own) in enumerate(told):
        wanted, inside, other = plain_cut(text, own)
        assert stretches[at : at + counts[row]] == wanted
        assert (written[row], foreign[row]) == (inside, other)
        at += counts[row]
    literal = cut(offsets, data, names.data, names.borders, names.ids, spans.rows, spans.starts, spans.ends, False)
    assert set(literal[2].tolist()) <= {TEXT}


def plain_learned(
    text: str, tokens: list[tuple[int, int]], spans: list[tuple[int, int]]
) -> tuple[list[bool], list[bool]]:
    """The rule in words: a token in a span is learned; white space before the span doesn't count."""
    inside, across = [], []
    for start, end in tokens:
        end = max(end, start + 1)
        touched = [(a, b) for a, b in spans if start < b and a < end]
        whole = [end <= b and (a <= start or text[start:a].isspace()) for a, b in touched]
        inside.append(any(whole))
        across.append(bool(touched) and not any(whole))
    return inside, across


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(spanned(), st.lists(st.integers(1, 5), max_size=30)), max_size=4))
def test_covered_and_learned_any_tokens_equal_plain_python(
    told: list[tuple[tuple[str, list[tuple[int, int]]], list[int]]],
) -> None:
    texts = [text for (text, _), _ in told]
    offsets, data = column(texts)
    sizes, rows = [], [0]
    for text, cuts in zip(texts, (cuts for _, cuts in told), strict=True):
        left = len(text.encode())
        for size in [*cuts, left]:
            sizes += [min(size, left)] if left else []
            left -= min(size, left)
        rows.append(len(sizes))
    borders = np.array(rows, np.int64)
    starts, ends = covered(offsets, data, borders, np.array(sizes, np.int32))
    spans = SpanLists.of([spans for (_, spans), _ in told])
    inside, across = learned(offsets, data, borders, starts, ends, spans.rows, spans.starts, spans.ends)
    for row, ((text, own), _) in enumerate(told):
        here = slice(rows[row], rows[row + 1])
        owner = [n for n, char in enumerate(text) for _ in char.encode()]
        at, wanted = 0, []
        for size in sizes[here]:
            wanted.append((owner[at], owner[at + size - 1] + 1))
            at += size
        assert list(zip(starts[here].tolist(), ends[here].tolist(), strict=True)) == wanted
        assert (inside[here].tolist(), across[here].tolist()) == plain_learned(text, wanted, own)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(1, 4), max_size=5), st.booleans()), max_size=5), st.booleans())
def test_closed_and_laid_equal_plain_python(told: list[tuple[list[int], bool]], with_bos: bool) -> None:
    rows = np.cumsum([0, *(len(ids) for ids, _ in told)], dtype=np.int64)
    flat = np.array([token for ids, _ in told for token in ids], np.int32)
    opens, bos, eos = np.array([one for _, one in told], bool), 1 if with_bos else -1, 2
    found, ids, labels = closed(rows, flat, flat.copy(), bos, eos, opens, IGNORED)
    for row, (own, end) in enumerate(told):
        wanted = ([1] if with_bos and own[:1] != [1] else []) + own + ([2] if end and own[-1:] != [2] else [])
        assert ids[found[row] : found[row + 1]].tolist() == wanted
        if with_bos and own[:1] != [1]:
            assert labels[found[row]] == IGNORED
    starts, ends, heads = found[:-1], found[1:], np.arange(len(told)) % 2 == 1
    borders, again, masks = laid(ids, labels, starts, ends, heads, 1, IGNORED)
    for row in range(len(told)):
        own = ids[found[row] : found[row + 1]].tolist()
        assert again[borders[row] : borders[row + 1]].tolist() == [1] * int(heads[row]) + own
        taught = sum(mask != IGNORED for mask in masks[borders[row] + 1 : borders[row + 1]])
        assert teaches(labels, starts, ends, heads, IGNORED)[row] == taught


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=5))
def test_count_words_equals_split(texts: list[str]) -> None:
    assert count_words(*column(texts)).tolist() == [len(text.split()) for text in texts]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(st.sampled_from("가a🙂"), min_size=1, max_size=3), max_size=40), max_size=5))
def test_pieces_any_stretches_equal_a_dict_and_ask_once(told: list[list[str]]) -> None:
    asked: list[str] = []

    def ask(keys: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        texts = texts_of(keys, borders)
        asked.extend(texts)
        ids = [[ord(char) for char in text] for text in texts]
        flat = np.array([token for one in ids for token in one], np.int32)
        return np.array([len(one) for one in ids], np.int64), flat, flat % 7

    pieces = Pieces(ask)
    for _ in range(2):
        offsets, data = column([piece for stretch in told for piece in stretch])
        counts = np.array([len(stretch) for stretch in told], np.int64)
        ids, sizes, tokens = pieces.encode(data, offsets[:-1], offsets[1:], counts)
        assert ids.tolist() == [ord(char) for stretch in told for piece in stretch for char in piece]
        assert sizes.tolist() == [token % 7 for token in ids.tolist()]
        assert tokens.tolist() == [len("".join(stretch)) for stretch in told]
    assert sorted(asked) == sorted({piece for stretch in told for piece in stretch})


def texts_of(keys: np.ndarray, borders: np.ndarray) -> list[str]:
    return [keys[a:b].tobytes().decode() for a, b in pairwise(borders.tolist())]


def test_pieces_many_pieces_outgrow_the_table_and_stay_right() -> None:
    def ask(keys: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        texts = texts_of(keys, borders)
        ones = np.ones(len(texts), np.int64)
        return ones, np.array([int(t) for t in texts], np.int32), np.array([len(t) for t in texts], np.int32)

    pieces = Pieces(ask)
    words = [str(n) for n in range(40_000)]
    for part in (words[:10], words[:30_000], words):
        offsets, data = column(part)
        ids, sizes, _ = pieces.encode(data, offsets[:-1], offsets[1:], np.array([len(part)], np.int64))
        assert ids.tolist() == [int(word) for word in part]
        assert sizes.tolist() == [len(word) for word in part]
    assert pieces.known == len(words)


def test_gather_of_a_wrong_border_is_noticed() -> None:
    """The planted breach: shifted borders give other tokens."""
    numbers, counts = np.array([0, 1]), np.array([2])
    ids = np.array([5, 6, 7], np.int32)
    right = gather(numbers, counts, np.array([0, 1, 3]), ids, ids)[0]
    assert right.tolist() == [5, 6, 7]
    assert gather(numbers, counts, np.array([0, 2, 3]), ids, ids)[2].tolist() == [3]
    assert gather(numbers[::-1].copy(), counts, np.array([0, 1, 3]), ids, ids)[0].tolist() != right.tolist()
