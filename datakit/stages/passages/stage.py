"""passages: what several documents repeat (footers, licences, quoted mails, wire stories) stays in the first of them.

    1  each shard is marked (`marks.mark_shard`): 8 bytes in about 10 words. Kept in the store under the shard's key,
       so a new file costs the marking of its own shard only.
    2  documents that share a mark are read again, and the windows that an earlier document has are found, and proved
       letter by letter (`find`). Nothing is cut on a hash.
    3  whole sentences, lines or words inside those windows are cut, so a passage loses a little less than it could,
       and never a text that stands there for the first time (`kernels.segments`).
    4  a document of which too little is left goes (`settle`), but never one that keeps a passage for another.

Who keeps a passage: the first document by name of the source, position, id. The answer is the same for any number of
shards, workers or order of shards. Cutting twice is cutting once. Letter case, signs, white space and line breaks
make no difference to what counts as the same, so a quotation with `> ` before its lines is found, and spacing errors
hide no Korean repeat. What a document repeats of itself stays.

Lengths: Lee et al. 2022 (Deduplicating Training Data Makes Language Models Better) cut from 50 BPE tokens on, about
40 English words. 80 Hangul syllables are as long: some 25 words with their particles, one or two sentences.

Cost and memory: see `marks` (1 to 2 kB for a document of 10 kB) and `find`. Documents that share no mark are read
once. Measured figures: `python -m tests.bench.bench_passages`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from datakit.kernels.segments import Snap
from datakit.schemas import Kind
from datakit.stage import Corpus, CorpusStage, Outbox
from datakit.stages.passages.cut import cut_shard
from datakit.stages.passages.find import Cuts, Finder
from datakit.stages.passages.marks import COLUMNS, MARK_VERSION, Marks, load_marks, mark_shard
from datakit.stages.passages.settle import Settled, settle

EXAMPLES = 20
"""Keepers that the notes name."""


class Passages(CorpusStage):
    """Cut passages that an earlier document has out of all later documents."""

    use: ClassVar[str] = "passages"
    takes: ClassVar[frozenset[Kind]] = frozenset({"document"})
    rules: ClassVar[tuple[str, ...]] = ("little_left",)

    words: Annotated[int, Field(ge=8, le=1024)] = 40
    """Shortest repeated passage in words, where text is written with spaces and Latin letters (Lee et al. 2022)."""
    syllables: Annotated[int, Field(ge=8, le=1024)] = 80
    """The same in Hangul syllables, or Chinese or Japanese characters; mixed text adds up both shares."""
    snap: Snap = "sentence"
    """What is cut whole or not at all: sentence (lines too), line, or word."""
    mode: Literal["remove", "annotate"] = "remove"
    """remove: cut; annotate: only tell what is repeated, in the columns `passages.cut`, `.kept_by` and `.spans`."""
    min_left: Annotated[float, Field(ge=0.0, le=10.0)] = 0.25
    """Least that must be left of a document that lost a passage, in passages: 0.25 is 10 words or 20 syllables."""

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Mark the shards, find the cuts in this process, write the shards anew."""
        from datakit.kernels import repeats
        from datakit.kernels.compiled import announce

        announce(corpus.env.tell, "search for repeated passages", repeats.mark, repeats.list_windows, repeats.cover)
        settings = {"words": self.words, "syllables": self.syllables, "version": MARK_VERSION}
        if not sum(shard.rows for shard in corpus.shards):
            return
        marks = load_marks(corpus.map(mark_shard, settings, part="passages-marks", columns=COLUMNS))
        held = len(marks.hashes) * 12 // len(marks.row_of)
        cuts = Finder(corpus, marks, self.words, self.syllables, self.snap).find()
        settled = settle(cuts, marks.row_of, self.min_left if self.mode == "remove" else 0.0)
        out.map(cut_shard, self._jobs(corpus, marks, cuts, settled))
        out.note(marks_bytes_per_row=held, rounds=cuts.rounds, **_notes(marks, cuts, settled))

    def _jobs(self, corpus: Corpus, marks: Marks, cuts: Cuts, settled: Settled) -> Iterator[tuple[Any, dict[str, Any]]]:
        """For every shard what to cut of its rows and who keeps it."""
        by_shard: dict[int, list[int]] = {}
        for row in sorted(cuts.spans):
            by_shard.setdefault(int(marks.shard_starts.searchsorted(row, side="right")) - 1, []).append(row)
        for number, shard in enumerate(corpus.shards):
            rows, first = by_shard.get(number, []), int(marks.shard_starts[number])
            job = {
                "spans": {row - first: cuts.spans[row].tolist() for row in rows},
                "kept_by": {row - first: marks.ids.take(settled.keepers[row]).to_pylist() for row in rows},
                "gone": {row - first: cuts.left[row] for row in rows if row in settled.gone},
            }
            yield shard, {"mode": self.mode, "min_left": self.min_left, **job}


def _notes(marks: Marks, cuts: Cuts, settled: Settled) -> dict[str, Any]:
    """Findings for the report: the rows that keep most, as ids; never text."""
    rows: Counter[int] = Counter(keeper for keepers in settled.keepers.values() for keeper in keepers)
    most = sorted(rows, key=lambda row: (-rows[row], int(marks.place_of[row])))[:EXAMPLES]
    ids = marks.ids.take(most).to_pylist() if most else []
    kept = [{"id": row_id, "rows": rows[row]} for row_id, row in zip(ids, most, strict=True)]
    return {"rows_cut": len(cuts.spans), "keepers": len(rows), "spared": settled.spared, "most_kept": kept}
