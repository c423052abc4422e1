"""dedup: exact and near copies go, one of each stays, and every drop names it.

    1  each shard is signed (`signatures.sign`): the digest of the folded text and a MinHash signature. Kept in the
       store under the shard's key, so a new file costs the signing of its own shard only.
    2  equal digests are folded: `exact_copy`. Folded text is NFC, lower case, white space as one blank.
    3  bands of the signatures give candidates; their shingle sets give the exact Jaccard similarity; pairs at the
       threshold or above are folded: `near_copy`. Nothing is dropped on an estimate.
    4  each shard is written again without the folded rows.

With `index` rows are compared with what earlier runs kept, too, before 2 (see `history`): the older document stays and
is named. What is kept joins the index when the step is done, so new files are compared with each other and with all
that came before. Running again changes nothing.

Who stays: the first row by name of the source, position, id (or the longest text, then the first). The answer is
the same for any number of shards, workers or order of shards. Rows whose text is empty are never compared: they stay
and are counted.

Cost for 38 MB of Markdown (10,135 documents, word 5-grams) on one core: 0.5 s to sign, 0.1 s to cluster and verify.
Memory: the text of one shard, and 0.7 to 1.4 kB a row for the index and what is made of it (measured up to 152,025
rows, at a constant 0.1 ms a row with reading and writing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from datakit.errors import Problem
from datakit.outcome import Drop, Outcome, drops_table
from datakit.stage import Corpus, CorpusStage, Execution, Outbox
from datakit.stages.dedup import history
from datakit.stages.dedup.archive import Archive
from datakit.stages.dedup.clusters import Folds, cluster_notes, fold_exact, fold_near
from datakit.stages.dedup.history import Past
from datakit.stages.dedup.records import Scheme, check_folder
from datakit.stages.dedup.signatures import SIGN_VERSION, Index, Keep, Parts, columns_of, load_index, sign
from datakit.stages.dedup.verify import Verifier

if TYPE_CHECKING:
    import pyarrow as pa


class Dedup(CorpusStage):
    """Fold exact and near copies of a text into the one that stays."""

    use: ClassVar[str] = "dedup"
    rules: ClassVar[tuple[str, ...]] = ("exact_copy", "near_copy")

    threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    """Smallest exact Jaccard similarity of two texts' shingles that makes one a near copy."""
    unit: Literal["script", "word", "syllable", "char"] = "script"
    """What shingles are made of; script: words, but single syllables of Hangul and characters of CJK and Thai."""
    ngram: Annotated[int, Field(ge=1, le=32)] = 5
    """Units in a shingle; a text with fewer units is one shingle."""
    keep: Keep = "first"
    """Which copy stays: first (by name of source, position, id) or longest (then first)."""
    text: Parts = "all"
    """Which messages of an example are compared; a document is compared whole."""
    near: bool = True
    """Whether near copies go too; false: exact copies only."""
    permutations: Annotated[int, Field(ge=32, le=1024)] = 128
    """Length of a MinHash signature; more finds low similarities more surely, at 4 bytes a row each."""
    index: Annotated[str | None, Execution] = None
    """Folder of an index of what earlier runs kept; rows are compared with it and join it. What it holds is keyed."""
    index_sets: bool = True
    """Whether the index keeps shingle hashes (4 bytes each) for exact similarities; false: they are estimated."""

    def problems(self) -> list[Problem]:
        """Also: the index must have been made with these settings."""
        found = check_folder(self.index, self._scheme()) if self.index else None
        return [*super().problems(), *([found] if found else [])]

    def beside(self, key: str) -> str | None:
        """The state of the index that a step looks at."""
        return Archive(self.index, self._scheme()).seen_by(key) if self.index else None

    def settle(self, before: Corpus, after: Corpus) -> None:
        """Add what was kept to the index."""
        rows = sum(shard.rows for shard in before.shards)
        if self.index and rows and not (archive := Archive(self.index, self._scheme())).holds(before.key):
            history.settle(archive, before, after, self._index(before, rows))

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Sign the shards, decide in this process, write the shards without the folded rows."""
        from datakit.kernels import clusters, minhash
        from datakit.kernels.compiled import announce

        announce(corpus.env.tell, "deduplication", minhash.sign_texts, clusters.candidates)
        rows = sum(shard.rows for shard in corpus.shards)
        index = self._index(corpus, rows)
        if not rows:
            return
        past = None
        if self.index:
            past = history.judge(Archive(self.index, self._scheme()), corpus, index)
            index.row_of = past.undecided(index.row_of)
            for drops in past.drops(corpus, index):
                out.drop(drops)
            out.note(index=past.notes(index))
        folds = fold_exact(index)
        if self.near:
            folds = fold_near(index, folds, Verifier(corpus, index, self.unit, self.ngram, self.text), self.threshold)
        out.map(without, self._jobs(corpus, index, folds, past))
        out.note(**self._notes(index, folds))

    def _index(self, corpus: Corpus, rows: int) -> Index:
        """The signatures of all shards."""
        settings = self._signing()
        signed = corpus.map(sign, settings, part="dedup-signatures", columns=columns_of(corpus.kind))
        return load_index(signed, rows, self.permutations if self.near else 0, self.keep)

    def _signing(self) -> dict[str, Any]:
        """The settings that signatures depend on."""
        return {**self.model_dump(include={"unit", "ngram", "permutations", "text", "near"}), "version": SIGN_VERSION}

    def _scheme(self) -> Scheme:
        """What must be equal in all runs that share an index."""
        return {**self._signing(), "threshold": self.threshold, "sets": self.index_sets}

    def _jobs(self, corpus: Corpus, index: Index, folds: Folds, past: Past | None) -> list[tuple[Any, dict[str, Any]]]:
        """For every shard the rows that go, and why."""
        import numpy as np
        import pyarrow as pa

        places = np.flatnonzero(folds.into >= 0)
        rows = index.row_of[places]
        order = np.argsort(rows)
        places, rows = places[order], rows[order]
        bounds = np.searchsorted(rows, index.shard_starts)
        jobs = []
        for number, shard in enumerate(corpus.shards):
            here = slice(bounds[number], bounds[number + 1])
            told = places[here]
            gone = {
                "rows": pa.array(rows[here] - index.shard_starts[number]),
                "exact": pa.array(folds.exact[told]),
                "value": pa.array(folds.value[told]),
                "matched": index.ids.take(pa.array(index.row_of[folds.into[told]])).combine_chunks(),
            }
            older = past.gone_of(index, number) if past else None
            jobs.append((shard, {"gone": gone, "older": older, "threshold": self.threshold}))
        return jobs

    def _notes(self, index: Index, folds: Folds) -> dict[str, Any]:
        """Findings for the report."""
        notes = {"clusters": cluster_notes(index, folds), "empty": int((index.shingles == 0).sum())}
        notes["index_bytes_per_row"] = index.bytes_per_row
        if self.near:
            from datakit.kernels.minhash import choose_bands, found_share

            bands, rows = choose_bands(self.threshold, self.permutations)
            curve = {f"{j / 10}": round(found_share(j / 10, bands, rows), 5) for j in range(1, 11)}
            notes["bands"] = {"bands": bands, "rows": rows, "found": curve}
            notes["verified"] = {"pairs": folds.pairs, "rounds": folds.rounds, "uncompared": folds.uncompared}
        return notes


def without(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """A shard without the rows that are folded, and their drops."""
    import numpy as np

    gone = settings["gone"]
    rows = gone["rows"].to_numpy()
    keep = np.ones(table.num_rows, np.bool_)
    keep[rows] = False
    if settings["older"] is not None:  # their drops are told already
        keep[settings["older"]] = False
    told = table.select(["id", "source_id"]).take(rows)
    columns = (told.column("id"), told.column("source_id"), gone["exact"], gone["value"], gone["matched"])
    drops = [
        (row_id, source_id, _drop(exact, value, matched, settings["threshold"]))
        for row_id, source_id, exact, value, matched in zip(*(column.to_pylist() for column in columns), strict=True)
    ]
    return Outcome(table.filter(keep), drops_table(drops))


def _drop(exact: bool, value: float, matched: str, threshold: float) -> Drop:
    """An exact copy is measured against 1, a near copy against the threshold."""
    return Drop("exact_copy", 1.0, 1.0, matched) if exact else Drop("near_copy", value, threshold, matched)
