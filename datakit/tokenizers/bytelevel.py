"""A byte-level BPE by its pieces: the ids of the tokenizers library, many times as fast.

    text -> stretches between control tokens -> pieces, by a kernel -> tokens of pieces that are known (pieces.py)

Used only where it is exact: a BPE over bytes without dropout, a pre-tokenizer whose regex the kernel knows, no
normaliser but NFC, added tokens that take no white space along. What the kernel can't judge goes to the library, row by
row: a character that this Python's Unicode doesn't know or whose bytes the vocabulary lacks, text that NFC would
change, an added token that is no control token. At the start a probe is encoded both ways; if one id differs, the
library does everything.

Cost (one core): 40 MB/s where pieces repeat, 0.5 microseconds for each new one; 0.7 s once a process for a large
vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.tokenizers.pieces import Pieces
from datakit.tokenizers.seam import Encoded, SpanLists, encoded_stretches

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_LETTER, _MARK, _UNKNOWN = 1, 8, 32  # as in kernels/pretokens.py, which is imported where it is used
_GPT2, _CL100K = 0, 1
_CASES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_QWEN = _CASES + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN_MARKS = _CASES + (
    r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_GPT2_REGEX = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
REGEXES: dict[str, tuple[int, int, int]] = {
    _GPT2_REGEX: (_GPT2, _LETTER, 0),
    _QWEN: (_CL100K, _LETTER, 1),
    _LLAMA3: (_CL100K, _LETTER, 3),
    _QWEN_MARKS: (_CL100K, _LETTER | _MARK, 1),
}
"""Regex -> (family, mask of letters, most digits together) of kernels/pretokens.py."""
PROBE = (
    "Hello, world's BEST I'LL we'Re 'twas don't '",
    "안녕하세요. 반갑습니다!  오늘은 2024년 3월 1일이에요…",
    "\n\n  def f(x):\n\treturn x**2  \r\n\r\n \n",
    "各種 漢字とカナ 123456 ½ ⅷ ٣٤",
    "👩‍👩‍👧‍👦 🇰🇷 é e\u0301 ㅋㅋㅋ ᄀ\u1161",
    "a  b   c    \u00a0\u3000 d\u200b\u2028e\x85f \t\t g",
    "가나 다라\n마 12,345.67원 (약 3%) — “인용”",
    "' 'ſ 'S 'Ll x'Ve 'K",
    *("뷁뛟쀓", "  ", " ", "\n", "    x", "x    ", "…\r\n\r\n-- !!\n\n#", "नमस्ते ก็ 1a2b"),
)
"""Texts that a wrong cut would give itself away with."""
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Rules:
    """How text is cut into pieces."""

    family: int
    letters: int
    numbers: int
    alone: bool
    composes: bool
    """Whether text is brought into NFC first."""


def rules_of(whole: Mapping[str, Any]) -> Rules | None:
    """The rules of a tokenizer.json, or None if pieces would not give its ids."""
    model, normalizer = whole["model"], whole.get("normalizer")
    if model.get("type") != "BPE" or any(
        model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    ):
        return None
    if normalizer is not None and normalizer.get("type") != "NFC":
        return None
    if any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in whole.get("added_tokens", ())):
        return None
    if set(byte_alphabet()[0x80:0xC0]) - set(model["vocab"]):
        return None  # bytes inside characters
    steps = _steps(whole.get("pre_tokenizer"))
    alone = len(steps) == 2 and steps[0] == {"type": "Digits", "individual_digits": True}
    cutting = _regex_of(steps[1:] if alone else steps)
    return Rules(*REGEXES[cutting], alone, normalizer is not None) if cutting in REGEXES else None


def _steps(pre: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if pre is None:
        return []
    return list(pre["pretokenizers"]) if pre.get("type") == "Sequence" else [pre]


def _regex_of(steps: Sequence[Mapping[str, Any]]) -> str | None:
    """The regex that a ByteLevel step, or a Split and a ByteLevel step, cut with."""
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return None
    regex = bool(steps[-1].get("use_regex", True))
    if len(steps) == 1:
        return _GPT2_REGEX if regex else None
    first = steps[0]
    plain = first.get("type") == "Split" and first.get("behavior") == "Isolated" and not first.get("invert")
    return first["pattern"].get("Regex") if len(steps) == 2 and plain and not regex else None


class ByteLevel:
    """Encodes batches of text by pieces."""

    def __init__(self, backend: Any, whole: Mapping[str, Any], rules: Rules) -> None:
        import numpy as np
        from tokenizers import Tokenizer as Backend
        from tokenizers import pre_tokenizers

        self._rules = rules
        self._classes = _without_lost(class_table(rules.alone), whole["model"]["vocab"])
        self._bare = Backend(backend.model)
        self._bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._lengths = np.zeros(backend.get_vocab_size(with_added_tokens=True), np.int32)
        for text, number in whole["model"]["vocab"].items():
            self._lengths[number] = len(text)  # in this alphabet a character is a byte
        vocabulary = whole["model"]["vocab"]
        self._bytes = np.array([vocabulary.get(char, -1) for char in byte_alphabet()], np.int64)
        self._pairs = _merges(whole["model"])
        self._whole = vocabulary if whole["model"].get("ignore_merges") else {}
        self._spelling = dict(enumerate(byte_alphabet()))
        self._pieces = Pieces(self._asked)

    def _asked(self, keys: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of pieces that are new: merged here, long ones by the library."""
        import numpy as np

        from datakit.kernels.merging import merged

        counts, ids = merged(keys, borders, self._bytes, self._pairs)
        long = np.flatnonzero(counts < 0)
        if len(long):
            texts = [keys[a:b].tobytes().decode() for a, b in zip(borders[long], borders[long + 1], strict=True)]
            found = self._bare.encode_batch_fast(texts, add_special_tokens=False)
            counts, ids = _replaced(counts, ids, long, [one.ids for one in found])
        if self._whole:
            spelled = keys[borders[0] : borders[-1]].tobytes().decode("latin-1").translate(self._spelling)
            places = (borders - borders[0]).tolist()
            own = [self._whole.get(spelled[a:b], -1) for a, b in pairwise(places)]
            there = np.flatnonzero(np.array(own) >= 0)
            counts, ids = _replaced(counts, ids, there, [[own[place]] for place in there.tolist()])
        return counts, ids, self._lengths[ids]

    def encode(
        self, texts: pa.LargeStringArray, contents: SpanLists | None, names: Any, offsets: bool
    ) -> tuple[Encoded, np.ndarray]:
        """The tokens of the texts, and which of them the library must encode instead."""
        import numpy as np

        from datakit.kernels.characters import buffers
        from datakit.kernels.pretokens import unknown

        places, data = buffers(texts)
        found, foreign = encoded_stretches(places, data, contents, names, self._stretches, offsets)
        foreign |= unknown(places, data, self._classes)
        if self._rules.composes:
            foreign |= np.fromiter((not _composed(text) for text in texts.to_pylist()), np.bool_, len(texts))
        return found, foreign

    def _stretches(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, ...]:
        """Tokens of stretches of text, some at a time so that the arrays stay in the processor's cache."""
        import numpy as np

        from datakit.kernels.pretokens import split

        rules, parts, at = self._rules, [], 0
        cutting = (rules.family, rules.letters, rules.numbers, rules.alone)
        grown = np.cumsum(ends - starts)
        while at < len(starts):
            base = int(grown[at - 1]) if at else 0
            stop = max(at + 1, int(np.searchsorted(grown, base + _BATCH_BYTES)))
            here = slice(at, stop)
            stops, counts = split(data, starts[here], ends[here], self._classes, *cutting)
            begins = np.empty_like(stops)
            begins[1:] = stops[:-1]
            firsts = np.cumsum(counts) - counts
            filled = counts > 0
            begins[firsts[filled]] = starts[here][filled]
            parts.append(self._pieces.encode(data, begins, stops, counts))
            at = stop
        if not parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64)
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _composed(text: str) -> bool:
    import unicodedata

    return text.isascii() or unicodedata.is_normalized("NFC", text)


def _merges(model: Mapping[str, Any]) -> np.ndarray:
    """The merges as a table of ids."""
    import numpy as np

    from datakit.kernels.merging import pair_table

    vocabulary = model["vocab"]
    told = [tuple(one.split(" ")) if isinstance(one, str) else tuple(one) for one in model["merges"]]
    if len(set(told)) < len(told):  # of a pair that is told twice the last counts
        ranked = {pair: rank for rank, pair in enumerate(told)}
        told = sorted(ranked, key=ranked.__getitem__)
    lefts = np.fromiter((vocabulary[a] for a, _ in told), np.int64, len(told))
    rights = np.fromiter((vocabulary[b] for _, b in told), np.int64, len(told))
    ids = np.fromiter((vocabulary[a + b] for a, b in told), np.int64, len(told))
    return np.asarray(pair_table(lefts, rights, ids))


def _replaced(
    counts: np.ndarray, ids: np.ndarray, places: np.ndarray, told: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of pieces with those at `places` told anew; a count of -1 stands for no token yet."""
    import numpy as np

    kept = np.maximum(counts, 0)
    again = np.zeros(len(counts), bool)
    again[places] = True
    ids = ids[np.repeat(~again, kept)]
    counts = np.where(again, 0, counts)
    before = np.cumsum(np.maximum(counts, 0))[places]
    counts[places] = [len(one) for one in told]
    return counts, np.insert(ids, np.repeat(before, counts[places]), [token for one in told for token in one])


def byte_alphabet() -> list[str]:
    """The characters that stand for the 256 bytes in a byte-level vocabulary (GPT-2's `bytes_to_unicode`)."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def _without_lost(table: np.ndarray, vocabulary: Mapping[str, int]) -> np.ndarray:
    """The class table with UNKNOWN for characters that the vocabulary can't spell: the library drops their bytes."""
    found = table.copy()
    ranges = {0: (0x80, 0x800), 1: (0x800, 0x10000), 2: (0x10000, 0x110000)}
    for byte, char in enumerate(byte_alphabet()):
        if char in vocabulary:
            continue
        if byte < 0x80:
            found[byte] |= _UNKNOWN
        elif 0xC2 <= byte < 0xF5:
            lead = (byte >= 0xE0) + (byte >= 0xF0)
            first = (byte & (0x1F, 0x0F, 0x07)[lead]) << (6, 12, 18)[lead]
            low, high = ranges[lead]
            found[max(first, low) : min(first + (1 << (6, 12, 18)[lead]), high)] |= _UNKNOWN
    return found


@lru_cache(maxsize=2)
def class_table(alone: bool) -> np.ndarray:
    """The class bits of every code point, as the tokenizers library sees them; 0.2 s, once a process.

    Asked for characters that Python's `unicodedata` knows; the others are UNKNOWN, and texts that hold one are the
    library's business.
    """
    import unicodedata

    import numpy as np
    from tokenizers import Regex, pre_tokenizers

    from datakit.kernels.pretokens import ALONE, LETTER, MARK, NUMBER, SPACE, UNKNOWN

    table = np.full(0x110000, UNKNOWN, np.uint8)
    points = chain(
        range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE1000)
    )  # between lies nothing, or private use
    known = [char for char in map(chr, points) if unicodedata.category(char) != "Cn"]
    bits = {r"\p{L}": LETTER, r"\p{N}": NUMBER, r"\s": SPACE, r"\p{M}": MARK}
    runs = pre_tokenizers.Split(Regex("|".join(f"{one}+" for one in bits)), "isolated")
    found = runs.pre_tokenize_str("".join(known))
    firsts = "".join(piece[0] for piece, _ in found)
    kinds = np.zeros(len(firsts), np.uint8)
    for one, bit in bits.items():
        rest = pre_tokenizers.Split(Regex(one), "removed").pre_tokenize_str(firsts)
        hit = np.ones(len(firsts), bool)
        for _, (a, b) in rest:
            hit[a:b] = False
        kinds[hit] |= bit
    table[np.fromiter(map(ord, known), np.int64, len(known))] = np.repeat(kinds, [b - a for _, (a, b) in found])
    if alone:
        for piece, _ in pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("".join(known)):
            if len(piece) == 1 and table[ord(piece)] & NUMBER:
                table[ord(piece)] |= ALONE
    return table


def parsed(backend: Any, file: Path | None = None) -> dict[str, Any]:
    """A tokenizer as its tokenizer.json says it: the file that it was read from, if there is one."""
    import orjson

    return dict(orjson.loads(file.read_bytes() if file is not None else backend.to_str()))
