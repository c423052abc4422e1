"""decontaminate: rows that repeat held-out texts go, so that an evaluation measures learning and not memory.

Held-out texts and rows are cut into passages of 8 words or 13 syllables (a mixture in mixed text), lower-cased and
without regard to signs, spacing and line breaks. Fields are compared one by one: every message of an example with
every listed field of every held-out item. A row goes if one of its fields holds at least the share `overlap` of the
passages of one held-out field; the drop tells the share, and names the set and the item: `mmlu.jsonl#42`.

A shared task wording is no contamination. Two things see to that: a passage that stands in more than `common` items
of one set is the set's template and doesn't count; and one shared sentence isn't enough for a long text. With 0.2 a
copy is still found when every sixth word was changed (8-word passages survive with 0.83^8 = 0.23). GPT-3 looked for
13-word runs, Tülu 3 for 8-token runs over half of a text.

Cost: 50 bytes a passage of the lists in every worker; 70 MB/s on one core. Held-out texts are never shown or stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from datakit.errors import Problem
from datakit.outcome import Drop, Outcome
from datakit.schemas import text_fields
from datakit.stage import Env, FileRef, RowStage, RowWork, keep_where
from datakit.stages.decontaminate.held_out import HeldOut, read_held_out

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def _listed(value: Any) -> Any:
    """One name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


class Decontaminate(RowStage):
    """Drop rows that repeat texts of held-out lists."""

    use: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 2
    rules: ClassVar[tuple[str, ...]] = ("contaminated",)
    folds: ClassVar[bool] = False

    against: Annotated[tuple[FileRef, ...], BeforeValidator(_listed), Field(min_length=1)]
    """Files of held-out items: JSONL, JSON, CSV, TSV, Parquet, or text with an item a line; one or several."""
    columns: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = ("text",)
    """Fields of an item that hold text, each compared by itself; an item needs one of them."""
    id_column: str = "id"
    """Field that names the item in drops; where it is missing, its number in the file does."""
    words: Annotated[int, Field(ge=2, le=64)] = 8
    """Words in a passage, where text is written with spaces and Latin letters."""
    syllables: Annotated[int, Field(ge=2, le=128)] = 13
    """Hangul syllables, or Chinese or Japanese characters, in a passage."""
    overlap: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """Share of one held-out text's passages that a field must hold to be dropped; 0: a single passage is enough."""
    common: Annotated[int, Field(ge=1)] = 10
    """A passage in more than so many items of one set is the wording of its tasks and doesn't count."""

    def problems(self) -> list[Problem]:
        """Missing files, and two sets that drops couldn't tell apart."""
        names = Counter(Path(path).name for path in self.against)
        twice = [name for name, count in names.items() if count > 1]
        fix = "rename one, so that drops can say which set they mean"
        return [*super().problems(), *(Problem("against", f"two sets are called {name}", fix) for name in twice)]

    def identity(self) -> dict[str, Any]:
        """The names of the sets too: drops hold them."""
        return {**super().identity(), "sets": [Path(path).name for path in self.against]}

    def open(self, env: Env) -> RowWork:
        """Reads the lists once a worker."""
        from datakit.kernels.compiled import announce
        from datakit.kernels.passages import find_passages

        announce(env.tell, "search for held-out passages", find_passages)
        held_out = [one for path in self.against for one in read_held_out(path, self.columns, self.id_column)]
        listed = list_passages(held_out, self.words, self.syllables, self.common)
        for warning in _warnings(self, held_out, listed):
            env.tell(warning)
        first = True

        def work(batch: pa.RecordBatch) -> Outcome:
            nonlocal first
            fields, row_of = text_fields(batch)
            found, compared = best_matches(fields, listed, self.words, self.syllables, self.overlap)
            rows = len(set(row_of[compared].tolist()))
            if first and batch.num_rows and not rows:
                env.tell(
                    f"{self.name}: nothing was compared so far; all of the first {batch.num_rows} rows are too short"
                )
            first = False
            verdicts: list[Drop | None] = [None] * batch.num_rows
            for field, (part, share) in sorted(found.items(), key=lambda one: (one[1][1], -one[0])):
                # The field with the largest share, the first of them, speaks for the row: it comes last.
                verdicts[row_of[field]] = Drop("contaminated", share, self.overlap, held_out[part].name)
            counted = Counter({"compared": rows, "too_short": batch.num_rows - rows})
            return keep_where(batch, verdicts, +counted)

        return work


@dataclass(frozen=True, slots=True)
class Listed:
    """The passages of held-out texts."""

    hashes: np.ndarray[Any, Any]
    """Distinct hashes, sorted."""
    starts: np.ndarray[Any, Any]
    """Where each hash's texts begin in `texts`; one more than hashes."""
    texts: np.ndarray[Any, Any]
    """Numbers of the texts that hold a hash, hash by hash."""
    sizes: np.ndarray[Any, Any]
    """Distinct passages of each text that count; 0: it can't be looked for."""
    sieve: np.ndarray[Any, Any]


def list_passages(held_out: list[HeldOut], words: int, syllables: int, common: int) -> Listed:
    """The passages of some held-out texts, ready to be looked for, without those that are a set's template."""
    import numpy as np

    from datakit.kernels.folding import fold_text
    from datakit.kernels.passages import passages_of, sieve_of

    sets = [set(passages_of(fold_text(one.text), words, syllables)) for one in held_out]
    items: dict[str, Counter[int]] = {}
    seen: dict[str, set[int]] = {}
    for one, passages in zip(held_out, sets, strict=True):  # an item's passage counts once, whatever its fields
        fresh = passages - seen.setdefault(one.name, set())
        seen[one.name] |= fresh
        items.setdefault(one.source, Counter()).update(fresh)
    counting = [
        sorted(p for p in passages if items[one.source][p] <= common)
        for one, passages in zip(held_out, sets, strict=True)
    ]
    sizes = np.array([len(one) for one in counting], np.int64)
    flat = np.array([hashed for one in counting for hashed in one], np.uint64)
    order = np.argsort(flat, kind="stable")
    hashes, starts = np.unique(flat[order], return_index=True)
    texts = np.repeat(np.arange(len(held_out)), sizes)[order]
    return Listed(hashes, np.append(starts, len(flat)), texts, sizes, sieve_of(hashes))


def best_matches(
    fields: pa.LargeStringArray, listed: Listed, words: int, syllables: int, overlap: float
) -> tuple[dict[int, tuple[int, float]], np.ndarray[Any, Any]]:
    """For fields that hold enough of a listed text: field -> (the text it holds most of, the first on a tie; the
    share). And which fields are long enough to hold any passage."""
    from datakit.kernels.folding import fold
    from datakit.kernels.passages import find_passages
    from datakit.kernels.shingles import unit_table

    table = unit_table("script")
    rows, places, counts = find_passages(*fold(fields), table, words, syllables, listed.hashes, listed.sieve)
    held: dict[int, Counter[int]] = {}
    for row, place in sorted(set(zip(rows.tolist(), places.tolist(), strict=True))):
        held.setdefault(row, Counter()).update(listed.texts[listed.starts[place] : listed.starts[place + 1]].tolist())
    best = {}
    for row, found in held.items():
        text = max(found, key=lambda number: (found[number] / listed.sizes[number], -number))
        if found[text] >= overlap * listed.sizes[text]:
            best[row] = (text, found[text] / int(listed.sizes[text]))
    return best, counts > 0


def _warnings(stage: Decontaminate, held_out: list[HeldOut], listed: Listed) -> list[str]:
    """What makes a list work less than it seems to: nothing in it, or texts that can't be looked for."""
    told = []
    for path in stage.against:
        name = Path(path).name
        sizes = [int(size) for size, one in zip(listed.sizes, held_out, strict=True) if one.source == name]
        short = sizes.count(0)
        if not sizes:
            told.append(f"{stage.name}: {name} holds no texts, so nothing of it will be found")
        elif short:
            told.append(
                f"{stage.name}: {short} of {len(sizes)} held-out texts in {name} have no passage of {stage.words} "
                f"words or {stage.syllables} syllables of their own and can't be looked for; lower `words` and "
                "`syllables`, or list longer texts"
            )
    return told
