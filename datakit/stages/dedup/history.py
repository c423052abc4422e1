"""How a run uses an index: rows are judged by what is older first, then by one another; what stays is added.

    settled    the index holds this very row (same id, same folded text): it stays, it was judged when it came
    revised    the index holds the row with another text, since a stage before cleans differently now: the old text is
               passed over, and the row is judged like a new one
    new        all others: an exact copy of a document in the index goes, then a near one; it names the most alike, the
               oldest on a tie. Whoever is left is compared with the other rows of the run, as without an index.

So a row is never matched with itself, what stayed once stays, and nobody is folded into a younger document. `settle`
adds the rows that a finished step kept, in their order, and hides the old texts of revised rows: the next run sees
what is in the datasets now. A document that has left the sources stays in the index until it is removed there.

The similarity to an older document is exact as long as the index keeps shingle sets (see `segments` for the fine
print); without them it is the share of equal places in the signatures, told with its standard error: "0.859±0.031".

Cost: rows are looked up `CHUNK` at a time; only texts of rows with a candidate are read, one shard at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from datakit.outcome import Drop, drops_table
from datakit.stages.dedup.archive import Archive
from datakit.stages.dedup.clusters import EXAMPLES, SLACK
from datakit.stages.dedup.segments import STEP, Additions
from datakit.stages.dedup.sets import Sets, jaccard, row_by_row
from datakit.stages.dedup.signatures import Index
from datakit.stages.dedup.verify import Verifier
from datakit.stages.dedup.views import CHUNK, View

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.stage import Corpus, Shard

    Array = np.ndarray[Any, Any]


Job = tuple["Shard", dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the rows of a corpus stand in an index."""

    settled: Array
    """For each row whether the index holds it as it is."""
    revised: Array
    """Rows of the index whose text is another one in the corpus."""

    @classmethod
    def of(cls, index: Index, view: View) -> Standing:
        """Look up all rows by id, then compare digests. Of rows with one id the first counts."""
        import numpy as np

        known = view.find_ids(index.ids.combine_chunks())
        rows = np.flatnonzero(known >= 0)
        rows = rows[np.unique(known[rows], return_index=True)[1]]
        same = (view.digests(known[rows]) == index.digests[rows]).all(axis=1)
        settled = np.zeros(len(known), np.bool_)
        settled[rows[same]] = True
        return cls(settled, np.sort(known[rows[~same]]))


@dataclass(slots=True)
class Past:
    """What the documents of an index say about the rows of a corpus."""

    settled: Array
    """For each row whether it stays unasked."""
    into: Array
    """For each row the document that it is folded into, -1 for none."""
    exact: Array
    value: Array
    view: View
    pairs: int = 0
    """Pairs verified."""
    uncompared: int = 0
    """Rows that had more candidates than are tried."""
    threshold: float = 0.0
    error: bool = False
    """Whether values are estimates."""

    def undecided(self, row_of: Array) -> Array:
        """Those rows that neither stay nor go by what is older, in the order given."""
        return row_of[(self.into[row_of] < 0) & ~self.settled[row_of]]

    def gone_of(self, index: Index, shard: int) -> Array:
        """The rows of a shard that go, numbered from its first."""
        import numpy as np

        start, end = index.shard_starts[shard], index.shard_starts[shard + 1]
        return np.flatnonzero(self.into[start:end] >= 0)

    def left_out(
        self, index: Index, jobs: Iterable[tuple[Shard, dict[str, Any]]]
    ) -> Iterator[tuple[Shard, dict[str, Any]]]:
        """Jobs for `without`, one a shard, that leave out the rows that go by what is older."""
        for number, (shard, settings) in enumerate(jobs):
            yield shard, {**settings, "older": self.gone_of(index, number)}

    def drops(self, corpus: Corpus, index: Index) -> Iterator[pa.Table]:
        """The drops of each shard."""
        for number, shard in enumerate(corpus.shards):
            rows = self.gone_of(index, number)
            if len(rows):
                places = rows + index.shard_starts[number]
                named = self.view.strings(self.into[places]).column("id").to_pylist()
                told = shard.read(["id", "source_id"]).take(rows)
                ids, sources = (told.column(name).to_pylist() for name in ("id", "source_id"))
                drops = map(self._drop, places.tolist(), named)
                yield drops_table(list(zip(ids, sources, drops, strict=True)))

    def notes(self, index: Index) -> dict[str, Any]:
        """Findings for the report: how many rows stayed or went by the index, the first ones with both names."""
        import numpy as np

        gone = np.flatnonzero(self.into >= 0)
        some = gone[:EXAMPLES]
        older = self.view.strings(self.into[some]).to_pylist()
        examples = [
            {"id": name, "matched": old["id"], "matched_source_id": old["source_id"], "jaccard": round(float(value), 4)}
            for name, old, value in zip(index.ids.take(some).to_pylist(), older, self.value[some], strict=True)
        ]
        return {
            "documents": self.view.rows - len(self.view.hidden),
            "state": self.view.state,
            "settled": int(self.settled.sum()),
            "folded": len(gone),
            "verified": {"pairs": self.pairs, "uncompared": self.uncompared, "exact": not self.error},
            "examples": examples,
        }

    def _drop(self, row: int, matched: str) -> Drop:
        if self.exact[row]:
            return Drop("exact_copy", 1.0, 1.0, matched)
        value = float(self.value[row])
        return Drop("near_copy", self._estimate(value) if self.error else value, self.threshold, matched)

    def _estimate(self, value: float) -> str:
        """An estimate with its standard error."""
        width = self.view.archive.shape.permutations
        return f"{value:.3f}±{math.sqrt(value * (1 - value) / width):.3f}"


def judge(archive: Archive, corpus: Corpus, index: Index, verifier: Verifier) -> Past:
    """What the documents before this step say about each row. `verifier` says how sets are made."""
    import numpy as np

    archive.fit(verifier.compared.count(corpus.kind))
    scheme, view = archive.record.scheme, archive.view(corpus.key)
    standing = Standing.of(index, view)
    view = view.without(standing.revised)
    rows = len(standing.settled)
    past = Past(standing.settled, np.full(rows, -1), np.zeros(rows, np.bool_), np.zeros(rows), view)
    past.threshold, past.error = scheme["threshold"], not scheme["sets"]
    asking = np.flatnonzero(~standing.settled & (index.shingles > 0))
    first, like = _first_of_equals(index.digests[asking])
    leads = asking[first]
    past.into[leads] = view.find_digests(index.digests[leads])
    past.exact[leads] = past.into[leads] >= 0
    past.value[leads[past.exact[leads]]] = 1.0
    if scheme["near"]:
        _judge_near(past, index, np.sort(leads[~past.exact[leads]]), verifier)
    for column in (past.into, past.exact, past.value):
        column[asking] = column[leads[like]]
    return past


def _first_of_equals(digests: Array) -> tuple[Array, Array]:
    """The first row of each digest, and for every row which of these it equals."""
    import numpy as np

    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: the first among equals leads
    opens = np.ones(len(order), np.bool_)
    opens[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    like = np.empty(len(order), np.int64)
    like[order] = np.cumsum(opens) - 1
    return order[opens], like


def _judge_near(past: Past, index: Index, asking: Array, verifier: Verifier) -> None:
    """Find near copies of older documents, `CHUNK` rows of one shard at a time."""
    import numpy as np

    sets = Sets(verifier)
    for start, end in pairwise(np.searchsorted(asking, index.shard_starts).tolist()):
        for begin in range(start, end, CHUNK):
            judge_some(past, index, asking[begin : min(end, begin + CHUNK)], sets)


def judge_some(past: Past, index: Index, rows: Array, sets: Sets) -> None:
    """Find near copies of older documents for some rows of one shard."""
    import numpy as np

    width = past.view.archive.shape.permutations
    asked = np.ascontiguousarray(index.signatures[rows])
    for segment, start, who, stored, agreed, crowded in past.view.candidates(asked, _least(past, width)):
        past.uncompared += crowded
        if not len(who):
            continue
        past.pairs += len(who)
        value = agreed / width if past.error else jaccard(segment, stored, who, sets.of(rows[np.unique(who)]))
        best = np.lexsort((stored, -value, who))
        best = best[np.flatnonzero(np.diff(who[best], prepend=-1))]
        # Segments come in order of age: a younger document must be more alike, not as alike.
        best = best[(value[best] >= past.threshold) & (value[best] > past.value[rows[who[best]]])]
        past.into[rows[who[best]]], past.value[rows[who[best]]] = start + stored[best], value[best]


def _least(past: Past, width: int) -> int:
    """Equal places that a candidate needs: where it is verified, `SLACK` standard deviations fewer than expected."""
    expected = width * past.threshold
    if past.error:
        return math.ceil(expected - 1e-9)
    return max(1, math.floor(expected - SLACK * math.sqrt(expected * (1 - past.threshold))))


def settle(archive: Archive, before: Corpus, kept: Corpus, index: Index, verifier: Verifier) -> None:
    """Add to the index what a finished step kept; nothing if that has been done."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    archive.fit(verifier.compared.count(before.kind))
    view = archive.view(before.key)
    standing = Standing.of(index, view)
    named = pa.chunked_array(
        [shard.read(["id"]).column("id").combine_chunks() for shard in kept.shards], pa.large_string()
    )
    rows = np.flatnonzero(pc.is_in(index.ids, named).to_numpy() & ~standing.settled & (index.shingles > 0))
    by_id = pa.table({"id": index.ids.take(pa.array(rows)), "row": rows}).group_by("id")
    rows = np.sort(by_id.aggregate([("row", "min")]).column("row_min").to_numpy())
    archive.extend(before.key, view, _additions(archive, index, rows, verifier), standing.revised)


def _additions(archive: Archive, index: Index, rows: Array, verifier: Verifier) -> Iterator[Additions]:
    """Some rows of a corpus (ascending) on their way into a segment."""
    import numpy as np

    sets = Sets(verifier)
    bounds = np.searchsorted(rows, index.shard_starts)
    for number, shard in enumerate(verifier.corpus.shards):
        mine = rows[bounds[number] : bounds[number + 1]]
        if not len(mine):
            continue
        sources = shard.read(["source_id"]).column("source_id")
        for begin in range(0, len(mine), STEP):
            some = mine[begin : begin + STEP]
            flat, sizes = (
                row_by_row(sets.of(some)) if archive.shape.sets else (np.empty(0, np.uint32), np.empty(0, int))
            )
            names = (index.ids.take(some), sources.take(some - index.shard_starts[number]))
            ids, source_ids = (column.combine_chunks() for column in names)
            yield Additions(ids, source_ids, index.digests[some], index.signatures[some], flat, sizes)
