"""Peer: datatrove's Gopher, C4 and FineWeb filters over a corpus in memory, words by a trivial regex (its best case).

    python datatrove_quality.py CORPUS.jsonl.gz VERDICTS.json [--repeat 2]

First every rule alone on every document, each filter on the document as it came, so that the answer is one verdict a
rule and document; then the four filters in a row as a pipeline calls them, timed: CPU seconds, without reading and
writing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import time
from typing import Any

import orjson
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.word_tokenizers import WordTokenizer

WORD = re.compile(r"\w+|[^\w\s]")
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")


class Regex(WordTokenizer):
    """Words and sentences by two regexes."""

    def __init__(self) -> None:
        super().__init__("regex")
        self.known: tuple[str, list[str]] | None = None

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [found for found in SENTENCE.findall(text) if found.strip()]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in SENTENCE.finditer(text)]


class Remembering(Regex):
    """The same, with the words of the last text kept: for the verdicts, which are not timed."""

    def word_tokenize(self, text: str) -> list[str]:
        if self.known is None or self.known[0] is not text:
            self.known = text, super().word_tokenize(text)
        return self.known[1]


def rules(language: WordTokenizer) -> dict[str, Any]:
    """A filter for every rule, with all its other rules switched off."""
    repetition = dict.fromkeys(("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"))
    grams: dict[str, Any] = {"top_n_grams": (), "dup_n_grams": ()}
    found: dict[str, Any] = {}
    for name, limit in (("dup_para", 0.3), ("dup_line", 0.3)):
        for ending, share in (("frac", limit), ("char_frac", 0.2)):
            key = f"{name}_{ending}"
            found[key] = GopherRepetitionFilter(**{**repetition, key: share}, **grams, language=language)
    for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
        options = {**repetition, **grams, "top_n_grams": ((n, limit),)}
        found[f"top_{n}_gram"] = GopherRepetitionFilter(**options, language=language)
    for n in range(5, 11):
        options = {**repetition, **grams, "dup_n_grams": ((n, round(0.2 - n / 100, 2)),)}
        found[f"duplicated_{n}_n_grams"] = GopherRepetitionFilter(**options, language=language)
    gopher = {
        "gopher_short_doc": {"min_doc_words": 50},
        "gopher_long_doc": {"max_doc_words": 100000},
        "gopher_below_avg_threshold": {"min_avg_word_length": 3},
        "gopher_above_avg_threshold": {"max_avg_word_length": 10},
        "gopher_too_many_bullets": {"max_bullet_lines_ratio": 0.9},
        "gopher_too_many_end_ellipsis": {"max_ellipsis_lines_ratio": 0.3},
        "gopher_below_alpha_threshold": {"max_non_alpha_words_ratio": 0.8},
        "gopher_enough_stop_words": {"min_stop_words": 2},
    }
    names = (
        "min_doc_words",
        "max_doc_words",
        "min_avg_word_length",
        "max_avg_word_length",
        "max_symbol_word_ratio",
        "max_bullet_lines_ratio",
        "max_ellipsis_lines_ratio",
        "max_non_alpha_words_ratio",
        "min_stop_words",
    )
    for key, one in gopher.items():
        found[key] = GopherQualityFilter(**{**dict.fromkeys(names), **one}, language=language)
    found["gopher_symbols"] = GopherQualityFilter(
        **{**dict.fromkeys(names), "max_symbol_word_ratio": 0.1}, language=language
    )
    c4: dict[str, Any] = {"filter_no_terminal_punct": False, "min_num_sentences": -1, "filter_lorem_ipsum": False}
    c4["filter_curly_bracket"] = False
    own = {"lorem_ipsum": {"filter_lorem_ipsum": True}, "curly_bracket": {"filter_curly_bracket": True}}
    own["too_few_sentences"] = {"min_num_sentences": 5}
    for key, one in own.items():
        found[key] = C4QualityFilter(**{**c4, **one}, language=language)
    off = {"line_punct_thr": 0, "short_line_thr": 1, "char_duplicates_ratio": 1e9, "new_line_ratio": 1e9}
    fineweb = {
        "line_punct_ratio": {"line_punct_thr": 0.12},
        "short_line_ratio": {"short_line_thr": 0.67},
        "char_dup_ratio": {"char_duplicates_ratio": 0.01},
        "list_ratio": {"new_line_ratio": 0.3},
    }
    for key, one in fineweb.items():
        found[key] = FineWebQualityFilter(**{**off, **one}, language=language)
    return found


def verdicts(texts: list[str]) -> list[list[str]]:
    """The rules that each text fails. The two symbol rules share a switch, so theirs are told apart by their reason."""
    alone = rules(Remembering())
    found = []
    for text in texts:
        failed = []
        for name, rule in alone.items():
            verdict = rule.filter(Document(text=text, id=""))
            if verdict is not True:
                failed.append(verdict[1] if name == "gopher_symbols" else name)
        found.append(failed)
    return found


def chain(texts: list[str]) -> int:
    """How many texts the four filters keep."""
    language = Regex()
    filters = (
        GopherRepetitionFilter(language=language),
        GopherQualityFilter(language=language),
        C4QualityFilter(filter_no_terminal_punct=False, language=language),
        FineWebQualityFilter(language=language),
    )
    kept = 0
    for text in texts:
        document = Document(text=text, id="")
        kept += all(one.filter(document) is True for one in filters)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("verdicts")
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    with gzip.open(args.corpus) as file:
        texts = [orjson.loads(line)["text"] for line in file]
    with open(args.verdicts, "w") as out:
        json.dump(verdicts(texts), out)
    best, kept = float("inf"), 0
    for _ in range(args.repeat):
        start = time.process_time()
        kept = chain(texts)
        best = min(best, time.process_time() - start)
    print(json.dumps({"cpu_s": round(best, 3), "kept": kept, "documents": len(texts)}))


if __name__ == "__main__":
    main()
