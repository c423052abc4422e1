"""decontaminate: rows that repeat held-out texts go, so that an evaluation measures learning and not memory.

Held-out texts and rows are cut into passages of 8 words or 13 syllables (a mixture in mixed text), lower-cased and
without regard to signs and line breaks. A row that holds at least the share `overlap` of one held-out text's passages
is dropped; the drop's value is the id of that held-out text. One shared sentence, such as the wording of a task, is
not enough for a long text. With 0.2 a copy is still found when every sixth word was changed (8-word passages
survive with 0.83^8 = 0.23). GPT-3 looked for 13-word runs, Tülu 3 for 8-token runs over half of a text.

Cost: 50 bytes a passage of the list in every worker; 70 MB/s on one core. The list's texts are never shown or stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from datakit.errors import SourceError
from datakit.outcome import Drop, Outcome
from datakit.schemas import text_view
from datakit.stage import Env, FileRef, RowStage, RowWork, keep_where

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Decontaminate(RowStage):
    """Drop rows that repeat texts of a held-out list."""

    use: ClassVar[str] = "decontaminate"
    rules: ClassVar[tuple[str, ...]] = ("contaminated",)

    against: FileRef
    """JSONL file of the held-out texts."""
    column: str = "text"
    """Field of the file that holds the text."""
    id_column: str = "id"
    """Field of the file that names the text in drops; where it is missing, the line number does."""
    words: Annotated[int, Field(ge=2, le=64)] = 8
    """Words in a passage, where text is written with spaces and Latin letters."""
    syllables: Annotated[int, Field(ge=2, le=128)] = 13
    """Hangul syllables, or Chinese or Japanese characters, in a passage."""
    overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """Share of one held-out text's passages that a row must hold to be dropped; 0: a single passage is enough."""

    def open(self, env: Env) -> RowWork:
        """Reads the list once a worker."""
        from datakit.kernels.compiled import announce
        from datakit.kernels.passages import find_passages

        announce(env.tell, "search for held-out passages", find_passages)
        ids, texts = read_held_out(self.against, self.column, self.id_column)
        listed = list_passages(texts, self.words, self.syllables)
        if warning := _warning(self, texts, listed):
            env.tell(warning)

        def work(batch: pa.RecordBatch) -> Outcome:
            found = best_matches(text_view(batch), listed, self.words, self.syllables, self.overlap)
            verdicts: list[Drop | None] = [None] * batch.num_rows
            for row, item in found.items():
                verdicts[row] = Drop("contaminated", ids[item], self.overlap)
            return keep_where(batch, verdicts)

        return work


def read_held_out(path: str, column: str, id_column: str) -> tuple[list[str], list[str]]:
    """Ids and texts of a held-out list."""
    ids, texts = [], []
    with Path(path).open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _parsed(line, f"{path}:{number}")
            text = row.get(column) if isinstance(row, dict) else None
            if not isinstance(text, str):
                raise SourceError(
                    f"the held-out list has no text in {column!r}", where=f"{path}:{number}", fix="set `column`"
                )
            texts.append(text)
            name = row.get(id_column)
            ids.append(f"line {number}" if name is None else str(name))
    return ids, texts


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        # Without the cause: its message may quote a held-out text.
        raise SourceError(
            "the held-out list has a line that is not JSON", where=where, fix="one object a line"
        ) from None


@dataclass(frozen=True, slots=True)
class Listed:
    """The passages of a held-out list."""

    hashes: np.ndarray[Any, Any]
    """Distinct hashes, sorted."""
    starts: np.ndarray[Any, Any]
    """Where each hash's texts begin in `items`; one more than hashes."""
    items: np.ndarray[Any, Any]
    """Numbers of the texts that hold a hash, hash by hash."""
    sizes: np.ndarray[Any, Any]
    """Distinct passages of each text; 0: too short to be looked for."""
    sieve: np.ndarray[Any, Any]


def list_passages(texts: list[str], words: int, syllables: int) -> Listed:
    """The passages of some texts, ready to be looked for."""
    import numpy as np

    from datakit.kernels.folding import fold_text
    from datakit.kernels.passages import passages_of, sieve_of

    sets = [sorted(set(passages_of(fold_text(text), words, syllables))) for text in texts]
    sizes = np.array([len(one) for one in sets], np.int64)
    flat = np.array([hashed for one in sets for hashed in one], np.uint64)
    order = np.argsort(flat, kind="stable")
    hashes, starts = np.unique(flat[order], return_index=True)
    items = np.repeat(np.arange(len(texts)), sizes)[order]
    return Listed(hashes, np.append(starts, len(flat)), items, sizes, sieve_of(hashes))


def best_matches(
    texts: pa.LargeStringArray, listed: Listed, words: int, syllables: int, overlap: float
) -> dict[int, int]:
    """For rows that hold enough of a listed text: row -> number of the text it holds most of (the first on a tie)."""
    from collections import Counter

    from datakit.kernels.folding import fold
    from datakit.kernels.passages import find_passages
    from datakit.kernels.shingles import unit_table

    table = unit_table("script")
    rows, places = find_passages(*fold(texts), table, words, syllables, listed.hashes, listed.sieve)
    held: dict[int, Counter[int]] = {}
    for row, place in sorted(set(zip(rows.tolist(), places.tolist(), strict=True))):
        held.setdefault(row, Counter()).update(listed.items[listed.starts[place] : listed.starts[place + 1]].tolist())
    best = {}
    for row, counts in held.items():
        item = max(counts, key=lambda number: (counts[number] / listed.sizes[number], -number))
        if counts[item] >= overlap * listed.sizes[item]:
            best[row] = item
    return best


def _warning(stage: Decontaminate, texts: list[str], listed: Listed) -> str:
    """What makes a list work less than it seems to: nothing in it, or texts too short to be looked for."""
    if not texts:
        return f"{stage.name}: {stage.against} holds no texts, so nothing will be found"
    short = int((listed.sizes == 0).sum())
    if not short:
        return ""
    return (
        f"{stage.name}: {short} of {len(texts)} held-out texts are shorter than {stage.words} words or "
        f"{stage.syllables} syllables and can't be looked for; lower `words` and `syllables`, or list longer texts"
    )
