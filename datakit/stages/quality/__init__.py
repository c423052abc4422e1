"""quality: some forty signals of every text in one pass, and rules with thresholds over them.

The signals of all rows, kept and dropped, are kept under a key without thresholds (`quality.*`), so that a moved
threshold measures nothing again and `datakit rethreshold` tells what it would do. A row that fails several rules is
dropped once, for the first in the order of profiles.RULES; its drop names the others too (`further`), and the counters
count every rule that fails (`fails few_words`: 12). Rows that stay get `quality.score` (judge.py). Thresholds come from
a profile (profiles.py, with sources); each can be set alone. Korean is measured in eojeol and syllables, with particles
for stop words; nothing is taken over from English unseen.

Cost: about 12 ms a MB (kernels/signals.py, kernels/phrases.py). A text of 50 MB takes a second and 500 MB of memory;
repetition is looked for in its first million words. The profile `datatrove` takes twice that, and 2 GB.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from datakit.errors import ConfigError, Problem
from datakit.schemas import Kind
from datakit.stage import Drop, Env, Field, FileRef, Judged, MeasuredStage, MeasureWork
from datakit.stages.quality import datatrove
from datakit.stages.quality.judge import Judge, drop_of
from datakit.stages.quality.profiles import PROFILES, RULES, profile_for

if TYPE_CHECKING:
    import pyarrow as pa

DATATROVE = "datatrove"
SCORE = "quality.score"
SIGNALS_VERSION = 3
"""Raised when a signal's meaning changes: signals that were kept are then measured again."""
Share = Annotated[float, Field(ge=0, le=1)] | None
Count = Annotated[int, Field(ge=0)] | None
Length = Annotated[float, Field(ge=0)] | None
Profile = Literal[
    "auto",
    "general-en",
    "general-ko",
    "web-en",
    "web-ko",
    "instruction-en",
    "instruction-ko",
    "code",
    "datatrove",
    "off",
]


class Quality(MeasuredStage):
    """Measures every text and drops what fails a threshold: too short, repeated, boilerplate, mash, keyword lists."""

    use: ClassVar[str] = "quality"
    version: ClassVar[int] = 3
    rules: ClassVar[tuple[str, ...]] = tuple(rule.name for rule in (*RULES, *datatrove.RULES))

    profile: Profile = "auto"
    """Where thresholds come from; auto: general-* for documents, instruction-* for examples, by each row's language.
    code: for source code, which no row is taken for unless told. datatrove: its filters, by its definitions."""
    phrases: FileRef = ""
    """A text file with further boilerplate phrases, one a line."""
    toxic_words: FileRef = ""
    """A text file with toxic words, one a line; a Korean word counts whatever particle follows. None is shipped."""
    perplexity: str | None = None
    """A base model that reads the first 256 tokens of every text: `smollm2`, a Hugging Face folder, a .gguf file, a hub
    name."""
    min_characters: Count = None
    """Least characters; null: the profile's, here and below."""
    min_letters: Count = None
    """Least letters of any script: 1 drops numbers and signs that stand alone."""
    min_words: Count = None
    """Least words (eojeol)."""
    max_words: Count = None
    """Most words (eojeol)."""
    max_boilerplate: Share = None
    """Most of a text that may be page furniture (menus, cookie notices, footers), with three phrases or more."""
    max_duplicate_lines: Share = None
    """Most lines that may repeat a line before them."""
    max_duplicate_paragraphs: Share = None
    """Most paragraphs that may repeat a paragraph before them."""
    min_unique_words: Share = None
    """Least different words, as a share of the words."""
    max_repeated_ngrams: Share = None
    """Most of a text in repeated 5-grams; less for 6 to 10 (two thirds at 10)."""
    max_top_ngrams: Share = None
    """Most of a text in its most repeated 2-gram; less for 3 and 4 (four fifths at 4). For 50 words and more."""
    min_letter_words: Share = None
    """Least words that hold a letter."""
    max_odd_words: Share = None
    """Most words that no one says: runs of consonants, of bare jamo."""
    max_jamo_share: Share = None
    """Most bare jamo (ㅋㅋ, ㅠㅠ) among the Hangul."""
    max_symbol_share: Share = None
    """Most signs and punctuation."""
    max_digit_share: Share = None
    """Most digits."""
    max_url_share: Share = None
    """Most of a text that may be addresses."""
    min_word_length: Length = None
    """Least mean length of words, in letters (syllables)."""
    max_word_length: Length = None
    """Most mean length of words, in letters (syllables)."""
    min_stop_words: Share = None
    """Least words that carry grammar: the, of, and; in Korean eojeol with a particle or an ending."""
    max_bullet_lines: Share = None
    """Most lines that may begin with a bullet."""
    max_ellipsis_lines: Share = None
    """Most lines that may end in an ellipsis."""
    min_sentence_lines: Share = None
    """Least lines that end as a sentence does."""
    min_sentences: Count = None
    """Least sentences."""
    max_short_lines: Share = None
    """Most lines of at most 30 columns (15 syllables of Hangul)."""
    max_line_length: Length = None
    """Most columns a line, in the mean."""
    max_longest_line: Length = None
    """Most columns of the longest line."""
    max_line_breaks: Length = None
    """Most newlines a word."""
    max_hashes: Length = None
    """Most # a word."""
    max_ellipses: Length = None
    """Most ellipses a word."""
    max_duplicate_line_characters: Share = None
    """Most of a text in lines that repeat a line before them."""
    max_duplicate_paragraph_characters: Share = None
    """Most of a text in paragraphs that repeat a paragraph before them."""
    max_brace_lines: Share = None
    """Most lines with a curly brace."""
    max_javascript_lines: Share = None
    """Most lines that speak of JavaScript."""
    max_policy_lines: Share = None
    """Most lines that speak of cookies, terms of use, privacy policies."""
    max_lorem_lines: Share = None
    """Most lines of lorem ipsum."""
    max_toxic_share: Share = None
    """Most words of the list `toxic_words`, a word."""
    max_perplexity: Length = None
    """Most perplexity under the model `perplexity`; 20 to 60 for plain prose the model knows, 1000 for word salad."""

    @property
    def frees_gil(self) -> bool:
        """Kernels do it, but for lists of words and models."""
        return not self.toxic_words and self.perplexity is None

    def measures(self) -> dict[str, Any]:
        if self.profile == DATATROVE:
            return {"use": self.use, "signals": SIGNALS_VERSION, "definitions": DATATROVE}
        settings = self.identity()
        lists = {name: settings[name] for name in ("phrases", "toxic_words")}
        return {"use": self.use, "signals": SIGNALS_VERSION, "perplexity": settings["perplexity"], **lists}

    def identity(self) -> dict[str, Any]:
        """A model counts by its files, not by its path."""
        settings = super().identity()
        if self.perplexity is not None:
            from datakit.stages.quality.perplexity import model_identity

            settings["perplexity"] = model_identity(self.perplexity)
        return settings

    def problems(self) -> list[Problem]:
        found = super().problems()
        for given, limit in (("toxic_words", "max_toxic_share"), ("perplexity", "max_perplexity")):
            if getattr(self, limit) is not None and not getattr(self, given):
                found.append(Problem(limit, f"needs `{given}`", f"give `{given}`, or leave `{limit}` out"))
        if self.profile == DATATROVE:
            told = "the profile `datatrove` has definitions and thresholds of its own"
            found += [Problem(name, told, "leave it out, or choose another profile") for name in self._own()]
        if self.perplexity is not None:
            from datakit.models import find_base

            try:
                find_base(self.perplexity)
            except ConfigError as error:
                found += [Problem("perplexity", problem.message, problem.fix) for problem in error.problems]
        return found

    def measure(self, env: Env) -> MeasureWork:
        from datakit.stages.quality.measuring import opened, opened_as_datatrove

        if self.profile == DATATROVE:
            return opened_as_datatrove(env)
        return opened(self.phrases, self.toxic_words, self.perplexity, env)

    def judge(self, signals: pa.RecordBatch, kind: Kind) -> Judged:
        import numpy as np
        import pyarrow as pa

        measured = {name.removeprefix("quality."): signals.column(name).to_numpy() for name in signals.schema.names[2:]}
        rows_of: dict[str, list[int]] = {}
        for row, profile in enumerate(self._profiles(signals, measured, kind)):
            rows_of.setdefault(profile, []).append(row)
        verdicts: list[Drop | None] = [None] * signals.num_rows
        scores, counters = np.ones(signals.num_rows, np.float32), Counter[str]()
        for name, rows in sorted(rows_of.items()):
            judge, at = self._judge_of(name), np.array(rows)
            scores[at] = judge.scores(measured, at)
            for row, failed in judge.failures(measured, at, counters).items():
                verdicts[row] = drop_of(failed)
        return Judged(verdicts, counters, {SCORE: pa.array(scores)})

    def _profiles(self, signals: pa.RecordBatch, measured: dict[str, Any], kind: Kind) -> list[str]:
        """The profile of every row."""
        if self.profile != "auto":
            return [self.profile] * signals.num_rows
        scripts = zip(
            signals.column("lang").to_pylist(),
            measured["hangul_share"].tolist(),
            measured["latin_share"].tolist(),
            strict=True,
        )
        return [profile_for(kind, lang, hangul, latin) for lang, hangul, latin in scripts]

    def _judge_of(self, profile: str) -> Judge:
        """The rules of a profile, with the stage's own thresholds over the profile's."""
        if profile == DATATROVE:
            return Judge(datatrove.RULES, datatrove.THRESHOLDS)
        return Judge(RULES, PROFILES[profile] | self._own())

    def _own(self) -> dict[str, float]:
        """The thresholds that the stage was given, by setting."""
        own = {rule.setting: getattr(self, rule.setting) for rule in RULES}
        return {name: value for name, value in own.items() if value is not None}
