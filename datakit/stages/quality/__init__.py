"""quality: some thirty signals of every text in one pass, and rules with thresholds over them.

The signals of all rows, kept and dropped, are written beside the shard (`quality.*`), so that a threshold can be
moved with the figures at hand. A row that fails several rules is dropped once, for the first in the order of
profiles.RULES; the counters name every rule it fails (`fails few_words`: 12). Thresholds come from a profile
(profiles.py, with sources); each can be set alone. Korean is measured in eojeol and syllables, with particles for
stop words; nothing is taken over from English unseen.

Cost: about 35 MB/s a core (kernels/signals.py, kernels/phrases.py).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from datakit.schemas import Kind, text_view
from datakit.stage import Drop, Env, Field, FileRef, Judged, MeasuredStage, MeasureWork
from datakit.stages.quality.judge import Judge, drop_of
from datakit.stages.quality.profiles import PROFILES, RULES, profile_for
from datakit.stages.quality.words import ENDINGS, FURNITURE, MENU, STOP_WORDS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SCORE = "quality.score"
SIGNALS_VERSION = 2
"""Raised when a signal's meaning changes: signals that were kept are then measured again."""
Share = Annotated[float, Field(ge=0, le=1)] | None
Count = Annotated[int, Field(ge=0)] | None
Length = Annotated[float, Field(ge=0)] | None
Profile = Literal[
    "auto", "general-en", "general-ko", "web-en", "web-ko", "instruction-en", "instruction-ko", "off"
]  # fmt: skip


class Quality(MeasuredStage):
    """Measures every text and drops what fails a threshold: too short, repeated, boilerplate, mash, keyword lists."""

    use: ClassVar[str] = "quality"
    rules: ClassVar[tuple[str, ...]] = tuple(rule.name for rule in RULES)

    profile: Profile = "auto"
    """Where thresholds come from; auto: general-* for documents, instruction-* for examples, by each row's
    language."""
    phrases: FileRef = ""
    """A text file with further boilerplate phrases, one a line."""
    min_characters: Count = None
    """Least characters; null: the profile's, here and below."""
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

    def measures(self) -> dict[str, Any]:
        settings = self.identity()
        return {"use": self.use, "signals": SIGNALS_VERSION, "phrases": settings["phrases"]}

    def measure(self, env: Env) -> MeasureWork:
        from datakit.kernels import phrases, signals
        from datakit.kernels.compiled import announce

        announce(env.tell, "text kernels", signals.measure, phrases.cover)
        stop_table = signals.stop_table(STOP_WORDS, ENDINGS)
        phrase_table = phrases.compile_phrases([*FURNITURE, *_lines_of(self.phrases)], MENU)

        def work(batch: pa.RecordBatch) -> pa.RecordBatch:
            return _signals_table(batch, _measured(batch, stop_table, phrase_table))

        return work

    def judge(self, signals: pa.RecordBatch, kind: Kind) -> Judged:
        import numpy as np
        import pyarrow as pa

        measured = {name.removeprefix("quality."): signals.column(name).to_numpy() for name in signals.schema.names[2:]}
        rows_of: dict[str, list[int]] = {}
        scripts = zip(
            signals.column("lang").to_pylist(),
            measured["hangul_share"].tolist(),
            measured["latin_share"].tolist(),
            strict=True,
        )
        for row, (lang, hangul, latin) in enumerate(scripts):
            rows_of.setdefault(profile_for(self.profile, kind, lang, hangul, latin), []).append(row)
        verdicts: list[Drop | None] = [None] * signals.num_rows
        scores, counters = np.ones(signals.num_rows, np.float32), Counter[str]()
        for name, rows in sorted(rows_of.items()):
            judge, at = Judge(self.thresholds(name)), np.array(rows)
            scores[at] = judge.scores(measured, at)
            for row, failed in judge.failures(measured, at, counters).items():
                verdicts[row] = drop_of(failed)
        return Judged(verdicts, counters, {SCORE: pa.array(scores)})

    def thresholds(self, profile: str) -> dict[str, float]:
        """The limits for rows of a profile, by setting: the profile's, and the stage's own over them."""
        own = {rule.setting: getattr(self, rule.setting) for rule in RULES}
        return PROFILES[profile] | {name: value for name, value in own.items() if value is not None}


def _measured(batch: pa.RecordBatch, stop_table: Any, phrase_table: Any) -> dict[str, np.ndarray[Any, Any]]:
    """All signals by name, one float a row."""
    import numpy as np

    from datakit.kernels import phrases, signals
    from datakit.kernels.characters import buffers

    offsets, data = buffers(text_view(batch))
    table = signals.measure(offsets, data, *stop_table)
    measured = {name: table[:, k] for k, name in enumerate(signals.SIGNALS)}
    covered, hits = phrases.cover(offsets, data, *phrase_table)
    visible = measured["characters"] - measured["spaces"]
    return measured | {"boilerplate": covered / np.maximum(visible, 1), "boilerplate_phrases": hits.astype(np.float64)}


def _signals_table(batch: pa.RecordBatch, measured: dict[str, np.ndarray[Any, Any]]) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    columns = {f"quality.{name}": pa.array(values.astype(np.float32)) for name, values in measured.items()}
    return pa.RecordBatch.from_pydict({"id": batch.column("id"), "lang": batch.column("lang"), **columns})


def _lines_of(path: str) -> list[str]:
    if not path:
        return []
    with open(path, encoding="utf-8-sig") as file:
        return [line.strip() for line in file if line.strip()]
