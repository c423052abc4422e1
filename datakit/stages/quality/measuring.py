"""All signals of a batch of rows: the kernels' columns, and those that need a list of words or a model.

float32 columns `quality.<signal>` behind `id` and `lang` (the language picks the profile). Definitions stand beside the
names in kernels/signals.py; here are those of the phrases:

    boilerplate          characters in page furniture, among the characters that are not white space
    boilerplate_phrases  how many phrases of furniture
    javascript_lines, lorem_lines, policy_lines
                         lines with such a phrase, a line (C4 takes such lines out of a text; here no text is changed)
    toxic_words, toxic_share
                         listed words; the same a word. Only with `toxic_words`
    perplexity           only with `perplexity`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datakit.schemas import text_view
from datakit.stage import Env
from datakit.stages.quality.words import ENDINGS, FURNITURE, JAVASCRIPT, LOREM, MENU, POLICY, STOP_WORDS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Floats = np.ndarray[Any, np.dtype[np.float64]]

PREFIX = "quality."


@dataclass(slots=True)
class Measure:
    """The measuring function of a worker: opened once, called for every batch."""

    stop_table: tuple[Any, Any]
    automaton: tuple[Any, ...]
    toxic: Callable[[str], int] | None = None
    perplexity: Callable[[str], float] | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        from datakit.kernels import signals
        from datakit.kernels.characters import buffers

        texts = text_view(batch)
        offsets, data = buffers(texts)
        table = signals.measure(offsets, data, *self.stop_table)
        found: dict[str, Floats] = {name: table[:, k] for k, name in enumerate(signals.SIGNALS)}
        found |= self._phrases(offsets, data, found)
        if self.toxic is not None:
            count = _column(self.toxic(text) for text in texts.to_pylist())
            found |= {"toxic_words": count, "toxic_share": _share(count, found["words"])}
        if self.perplexity is not None:
            found["perplexity"] = _column(self.perplexity(text) for text in texts.to_pylist())
        return signals_batch(batch, found)

    def _phrases(self, offsets: Any, data: Any, found: dict[str, Floats]) -> dict[str, Floats]:
        from datakit.kernels import phrases

        covered, hits, marked = phrases.cover(offsets, data, *self.automaton)
        names = ("javascript_lines", "lorem_lines", "policy_lines")
        lines = {name: _share(marked[:, k], found["lines"]) for k, name in enumerate(names)}
        boilerplate = _share(covered, found["characters"] - found["spaces"])
        return {"boilerplate": boilerplate, "boilerplate_phrases": hits, **lines}


def opened(phrases_file: str, toxic_file: str, base: str | None, env: Env) -> Measure:
    """The measuring function, with the user's lists and model."""
    from datakit.kernels import phrases, signals
    from datakit.kernels.compiled import announce

    announce(env.tell, "text kernels", signals.measure, phrases.cover)
    measure = Measure(
        signals.stop_table(STOP_WORDS, ENDINGS),
        phrases.compile_phrases([*FURNITURE, *_lines_of(phrases_file)], MENU, (JAVASCRIPT, LOREM, POLICY)),
    )
    if toxic_file:
        from datakit.stages.quality.toxic import read_words, toxic_counter

        measure.toxic = toxic_counter(read_words(toxic_file))
    if base is not None:
        from datakit.stages.quality.perplexity import perplexity_of

        measure.perplexity = perplexity_of(base, env)
    return measure


def opened_as_datatrove(env: Env) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """The measuring function of the profile `datatrove`."""
    from datakit.kernels import datatrove
    from datakit.kernels.characters import buffers
    from datakit.kernels.compiled import announce
    from datakit.stages.quality.datatrove import PREFIX as OWN

    announce(env.tell, "text kernels", datatrove.measure)

    def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
        table = datatrove.measure(*buffers(text_view(batch)))
        return signals_batch(batch, {f"{OWN}{name}": table[:, k] for k, name in enumerate(datatrove.SIGNALS)})

    return measure


def signals_batch(batch: pa.RecordBatch, found: dict[str, Floats]) -> pa.RecordBatch:
    """The signals of some rows as they are kept: id, language, float32 columns."""
    import numpy as np
    import pyarrow as pa

    columns = {f"{PREFIX}{name}": pa.array(values.astype(np.float32)) for name, values in found.items()}
    return pa.RecordBatch.from_pydict({"id": batch.column("id"), "lang": batch.column("lang"), **columns})


def _column(values: Iterable[float]) -> Floats:
    import numpy as np

    return np.fromiter(values, np.float64)


def _share(part: Any, whole: Floats) -> Floats:
    import numpy as np

    return np.asarray(part / np.maximum(whole, 1))


def _lines_of(path: str) -> Sequence[str]:
    if not path:
        return ()
    return [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
