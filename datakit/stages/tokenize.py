"""tokenize: text to token ids, and to labels that say which of them are learned.

A token is learned if all its characters lie inside a trained span; white space before the span doesn't count (many
tokens begin with a space). The others get the label -100, from lengths and offsets, never by looking for the pad or the
end token. A document is learned whole. The end token is added after a text whose last character is learned, so that a
model learns to stop; texts of a chat template that end otherwise have their own stop token in the span already. At most
one BOS comes first, where the tokenizer's habit or `add_bos` asks for it.

A special token's name inside a message or a document is plain text, never control (counted as `specials_as_text`).
Nothing is cut silently: `too_long` says what happens to long rows, and every token is in a counter: `tokens` of the rows
that came out, `tokens_cut` by truncation, `tokens_dropped` with dropped rows, `tokens_added` (BOS of further pieces).

Memory: one shard a worker. Work is kept in the store shard by shard, so a new file costs its own shards only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from datakit.canon import key_of
from datakit.errors import StageError
from datakit.schemas import IGNORED, Kind
from datakit.stage import Corpus, CorpusStage, Env, Field, Outbox, Stage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from datakit.tokenizers import Encoded, Tokenizer

_BATCH = 256
"""Texts a call: the library's own offsets take 100 bytes a token for that long."""
_CONTENTS = "template.contents"
_COUNTS = ("tokens_cut", "tokens_dropped", "tokens_added", "straddling", "specials_as_text")
_LINE = 4000
"""Longest line given to SentencePiece's trainer, in characters; longer ones are cut."""


class TrainTokenizer(BaseModel):
    """Settings of a SentencePiece model that is trained on the corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    vocab_size: Annotated[int, Field(ge=300, le=1_000_000)]
    """Number of tokens, the 256 bytes and the control tokens among them."""
    model_type: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece's algorithm."""
    character_coverage: Annotated[float, Field(gt=0.9, le=1.0)] = 0.9995
    """Share of the corpus' characters that become tokens of their own; the rest is spelled in bytes. Hangul: 0.9995."""
    byte_fallback: bool = True
    """Whether rare characters are spelled in bytes; without it they become <unk> and are lost."""
    max_characters: Annotated[int, Field(ge=10_000)] = 10_000_000
    """Most text to train on; of a larger corpus, rows are taken by the hash of their id."""


class Tokenize(CorpusStage):
    """Turns text into token ids and labels with the base model's tokenizer, or with one trained on this corpus."""

    use: ClassVar[str] = "tokenize"
    rules: ClassVar[tuple[str, ...]] = ("too_long", "nothing_trained")

    tokenizer: str | None = None
    """`smollm2`, a Hugging Face folder, a hub name, a .gguf file, a tokenizer.json or a SentencePiece .model file."""
    train: TrainTokenizer | None = None
    """Train a SentencePiece model on the corpus instead: `train: {vocab_size: 8000}`."""
    max_length: Annotated[int, Field(ge=2)] | None = None
    """Most tokens a row may have; null: no limit."""
    too_long: Literal["drop", "truncate_right", "truncate_left", "split", "error"] = "drop"
    """What happens to a row above `max_length`; `split` makes several rows of it."""
    add_eos: bool = True
    """Whether the end token follows a text whose last character is learned."""
    add_bos: bool | None = None
    """Whether BOS comes before every text; null: as the tokenizer itself does it."""

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Tokenize:
        if (self.tokenizer is None) == (self.train is None):
            raise ValueError("give `tokenizer:` or `train:`, one of the two; say `tokenizer: smollm2`")
        return self

    def gives(self, kind: Kind | None) -> Kind:
        """Tokens."""
        return "tokens"

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """Conversations need a text before they have tokens."""
        wrong = super().chains(kind, before)
        if wrong or kind != "example" or any(stage.use == "template" for stage in before):
            return wrong
        return "`tokenize` needs the text of a conversation; add `template` before it"

    def identity(self) -> dict[str, Any]:
        """The tokenizer counts by the content of its files, not by its path."""
        settings = super().identity()
        if self.tokenizer is not None:
            from datakit.cache import cache_folder
            from datakit.tokenizers import tokenizer_identity

            settings["tokenizer"] = tokenizer_identity(self.tokenizer, cache_folder())
        return settings

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Tokenize every shard; one shard out for one shard in."""
        spec = self.tokenizer if self.tokenizer is not None else _trained_on(corpus, self.train, self.id)
        tokenizer = _loaded(spec, corpus.env.cache)
        if self.add_eos and tokenizer.eos_id is None:
            raise StageError(
                f"{self.name}: the tokenizer {spec!r} has no end token, so a model could not learn to stop",
                fix="name one as `eos_token` in its tokenizer_config.json, or say `add_eos: false`",
            )
        settings = {**self.identity(), "fingerprint": tokenizer.fingerprint, "version": self.version}
        settings.pop("train")
        work = partial(_tokenize_shard, spec=spec, cache=corpus.env.cache)
        totals: Counter[str] = Counter()
        longest = 0
        for part in corpus.map(work, settings, part="tokenize"):
            found, size = _deliver(part, out)
            totals, longest = totals + found, max(longest, size)
        out.note(
            tokenizer=spec,
            fingerprint=tokenizer.fingerprint,
            vocab_size=tokenizer.vocab_size,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
            tokens=totals["tokens"],
            trained_tokens=totals["trained"],
            longest=longest,
            fertility=_fertility(totals),
        )


@lru_cache(maxsize=4)
def _loaded(spec: str, cache: Path) -> Tokenizer:
    """The tokenizer, loaded once a process."""
    import os

    from datakit.tokenizers import load_tokenizer

    # Cores are shared out by workers; the library's own threads would only stand in each other's way.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return load_tokenizer(spec, cache)


def _tokenize_shard(table: pa.Table, settings: dict[str, Any], *, spec: str, cache: Path) -> pa.Table:
    """The rows of one shard as tokens; rows that go stay in it, without ids, with rule, value and threshold."""
    import pyarrow as pa

    tokenizer = _loaded(spec, cache)
    if "messages" in table.schema.names and "text" not in table.schema.names:
        raise StageError("these conversations have no text yet", fix="add `template` before `tokenize`")
    rows = _Rows(tokenizer, settings)
    for batch in table.combine_chunks().to_batches(max_chunksize=_BATCH):
        rows.add(batch)
    return pa.table(rows.columns())


class _Rows:
    """Collects the tokenized rows of a shard, column by column."""

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
        self._tokenizer = tokenizer
        self._limit: int | None = settings["max_length"]
        self._policy: str = settings["too_long"]
        self._eos = tokenizer.eos_id if settings["add_eos"] else None
        wants_bos = tokenizer.adds_bos if settings["add_bos"] is None else settings["add_bos"]
        self._bos = tokenizer.bos_id if wants_bos else None
        self._told: dict[str, list[Any]] = {name: [] for name in ("id", "source_id", "family", "split", "lang")}
        self._fate: dict[str, list[Any]] = {
            name: [] for name in ("rule", "value", "threshold", "piece", "words", "whole")
        }
        self._counts: dict[str, list[int]] = {name: [] for name in _COUNTS}
        self._ids: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Tokenize a batch of documents or rendered examples."""
        texts = [text or "" for text in batch.column("text").to_pylist()]
        spans = _spans(batch, "trained")
        contents = _spans(batch, _CONTENTS)
        if spans is not None and contents is None:
            contents = [[] for _ in texts]  # a text without `template`: its special tokens are all meant
        encoded = self._tokenizer.encode_batch(texts, contents, offsets=spans is not None)
        learned = None if spans is None else _learned(encoded, texts, spans)
        told = {
            name: batch.column(name).to_pylist() if name in batch.schema.names else [None] * len(texts)
            for name in self._told
        }
        for place, text in enumerate(texts):
            row = {name: values[place] for name, values in told.items()}
            here = slice(encoded.rows[place], encoded.rows[place + 1])
            ids, labels = encoded.ids[here], encoded.ids[here].copy()
            counts = dict.fromkeys(_COUNTS, 0)
            ends_learned = spans is None or (bool(spans[place]) and spans[place][-1][1] == len(text))
            if learned is not None:
                labels[~learned[0][here]] = IGNORED
                counts["straddling"] = int(learned[1][here].sum())
            if contents is not None:
                counts["specials_as_text"] = sum(self._tokenizer.spells_special(text[a:b]) for a, b in contents[place])
            ids, labels = self._closed(ids, labels, ends_learned)
            self._place(row, ids, labels, counts, len(text.split()))

    def columns(self) -> dict[str, pa.Array]:
        """All rows as Arrow columns."""
        import pyarrow as pa

        text, number = pa.large_string(), pa.int64()
        columns = {name: pa.array(values, text) for name, values in self._told.items()}
        columns |= {"input_ids": _lists(self._ids), "labels": _lists(self._labels)}
        kinds = {"rule": text}
        columns |= {name: pa.array(values, kinds.get(name, number)) for name, values in self._fate.items()}
        return columns | {name: pa.array(values, number) for name, values in self._counts.items()}

    def _closed(self, ids: np.ndarray, labels: np.ndarray, ends_learned: bool) -> tuple[np.ndarray, np.ndarray]:
        """The row with one BOS before it and EOS behind it where they belong."""
        import numpy as np

        if self._bos is not None and (not len(ids) or ids[0] != self._bos):
            ids, labels = np.append(np.int32(self._bos), ids), np.append(np.int32(IGNORED), labels)
        if self._eos is not None and ends_learned and (not len(ids) or ids[-1] != self._eos):
            ids, labels = np.append(ids, np.int32(self._eos)), np.append(labels, np.int32(self._eos))
        return ids, labels

    def _place(
        self, row: dict[str, Any], ids: np.ndarray, labels: np.ndarray, counts: dict[str, int], words: int
    ) -> None:
        """Write a row, or its pieces, or the reason why it goes."""
        size = len(ids)
        pieces = [(ids, labels)]
        if self._limit is not None and size > self._limit:
            if self._policy == "error":
                raise StageError(
                    f"a row has {size} tokens, more than `max_length: {self._limit}`",
                    where=f"row {row['id']}",
                    fix="choose another `too_long:` (drop, truncate_left, truncate_right, split) or a larger `max_length`",
                )
            if self._policy == "drop":
                return self._drop(row, "too_long", size, self._limit, counts, size)
            pieces = self._cut(ids, labels)
            counts["tokens_cut"] = max(0, size - sum(len(piece) for piece, _ in pieces))
            counts["tokens_added"] = max(0, sum(len(piece) for piece, _ in pieces) - size)
        # The first token of a row is predicted from nothing, so its label teaches nothing.
        kept = [(a, b) for a, b in pieces if (b[1:] != IGNORED).any()]
        if not kept:
            return self._drop(row, "nothing_trained", size, None, counts, sum(len(a) for a, _ in pieces))
        counts["tokens_dropped"] += sum(len(a) for a, _ in pieces) - sum(len(a) for a, _ in kept)
        for number, (a, b) in enumerate(kept):
            first = number == 0
            named = row if first else {**row, "id": f"{row['id']}#{number + 1}"}
            fate = {"piece": number, "words": words if first else 0, "whole": size if first else 0}
            self._write(named, a, b, fate, counts if first else dict.fromkeys(_COUNTS, 0))
        return None

    def _cut(self, ids: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """A long row by policy. BOS stays first, in every piece."""
        import numpy as np

        limit = self._limit or len(ids)
        head = 1 if self._bos is not None else 0
        if self._policy == "truncate_right":
            return [(ids[:limit], labels[:limit])]
        if self._policy == "truncate_left":
            at = len(ids) - (limit - head)
            return [(np.append(ids[:head], ids[at:]), np.append(labels[:head], labels[at:]))]
        steps = range(head, len(ids), limit - head)
        return [
            (
                np.append(ids[:head], ids[at : at + limit - head]),
                np.append(labels[:head], labels[at : at + limit - head]),
            )
            for at in steps
        ]

    def _drop(
        self, row: dict[str, Any], rule: str, value: int, threshold: int | None, counts: dict[str, int], lost: int
    ) -> None:
        import numpy as np

        none = np.empty(0, np.int32)
        fate = {"rule": rule, "value": value, "threshold": threshold}
        self._write(row, none, none, fate, {**counts, "tokens_dropped": lost})

    def _write(
        self, row: dict[str, Any], ids: np.ndarray, labels: np.ndarray, fate: dict[str, Any], counts: dict[str, int]
    ) -> None:
        self._ids.append(ids)
        self._labels.append(labels)
        for columns, values in ((self._told, row), (self._fate, fate), (self._counts, counts)):
            for name, column in columns.items():
                column.append(values.get(name))


def _spans(batch: pa.RecordBatch, name: str) -> list[list[tuple[int, int]]] | None:
    """The character spans of a column, row by row; None without the column."""
    if name not in batch.schema.names:
        return None
    return [[(s["start"], s["end"]) for s in row or ()] for row in batch.column(name).to_pylist()]


def _learned(
    encoded: Encoded, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
) -> tuple[np.ndarray, np.ndarray]:
    """(learned, straddling) for every token: inside a trained span, or half inside and so not learned."""
    import numpy as np

    inside = np.zeros(len(encoded.ids), bool)
    across = np.zeros(len(encoded.ids), bool)
    for place, row in enumerate(spans):
        a, b = encoded.rows[place], encoded.rows[place + 1]
        starts = encoded.starts[a:b]
        # Parts of one character may cover nothing: they stand for the character at their place.
        ends = np.maximum(encoded.ends[a:b], starts + 1)
        for start, end in row:
            touching = (ends > start) & (starts < end)
            whole = touching & (starts >= start) & (ends <= end)
            for token in np.flatnonzero(touching & (starts < start) & (ends <= end)):
                whole[token] = texts[place][starts[token] : start].isspace()
            inside[a:b] |= whole
            across[a:b] |= touching & ~whole
    return inside, across & ~inside


def _lists(rows: Sequence[np.ndarray]) -> pa.Array:
    """A list column of int32 arrays."""
    import numpy as np
    import pyarrow as pa

    borders = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=borders[1:])
    flat = np.concatenate(rows).astype(np.int32, copy=False) if rows else np.empty(0, np.int32)
    return pa.LargeListArray.from_arrays(pa.array(borders), pa.array(flat, pa.int32()))


def _deliver(part: pa.Table, out: Outbox) -> tuple[Counter[str], int]:
    """Write one shard's rows and drops; returns what to add up for the notes, and the longest row's tokens."""
    import pyarrow.compute as pc

    from datakit.outcome import drops_schema
    from datakit.schemas import schema_of

    gone = part.filter(pc.is_valid(part.column("rule")))
    kept = part.filter(pc.is_null(part.column("rule")))
    drops = _filled(gone, drops_schema()) if gone.num_rows else None
    rows = kept.select([*schema_of("tokens").names, "lang"])
    totals = _measured(kept)
    counters = {name: int(pc.sum(part.column(name)).as_py() or 0) for name in _COUNTS}
    counters |= {"tokens": totals["tokens"], "trained_tokens": totals["trained"]}
    out.write(rows, drops=drops, counters={name: count for name, count in counters.items() if count})
    first = int(pc.sum(pc.equal(kept.column("piece"), 0)).as_py() or 0)
    out.account(kept=first, made=-first)  # the same rows in another kind; only further pieces are made
    return totals, int(pc.max(pc.list_value_length(rows.column("input_ids"))).as_py() or 0)


def _filled(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Some rows as drops: the columns of `schema` that are there, as text, the others null."""
    import pyarrow as pa

    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _measured(kept: pa.Table) -> Counter[str]:
    """Tokens, learned tokens, and tokens and words by language, of some rows."""
    import numpy as np
    import pyarrow.compute as pc

    sizes = pc.list_value_length(kept.column("input_ids")).to_numpy()
    labels = kept.column("labels").combine_chunks().flatten().to_numpy() != IGNORED
    firsts = labels[np.cumsum(sizes) - sizes]  # no kept row is empty
    found = Counter({"tokens": int(sizes.sum()), "trained": int(labels.sum() - firsts.sum())})
    for lang in ("ko", "en"):
        rows = kept.filter(pc.fill_null(pc.equal(kept.column("lang"), lang), False))
        found[f"{lang}.tokens"] = int(pc.sum(rows.column("whole")).as_py() or 0)
        found[f"{lang}.words"] = int(pc.sum(rows.column("words")).as_py() or 0)
    return found


def _fertility(totals: Counter[str]) -> dict[str, float]:
    """Tokens a Korean eojeol and an English word (both: text between white space), by the rows' language."""
    return {
        lang: round(totals[f"{lang}.tokens"] / totals[f"{lang}.words"], 3)
        for lang in ("ko", "en")
        if totals[f"{lang}.words"]
    }


def _trained_on(corpus: Corpus, how: TrainTokenizer | None, name: str | None) -> str:
    """The spec of a SentencePiece model trained on this corpus; found in the cache if it was trained before."""
    import os

    from datakit.tokenizers import TRAINED, train_sentencepiece, trained_path

    assert how is not None  # noqa: S101 - the model validator saw to it
    settings = how.model_dump(mode="json")
    key = key_of("sentencepiece", 1, settings, [shard.key for shard in corpus.shards])
    path = trained_path(key, corpus.env.cache)
    if not path.is_file():
        corpus.env.tell(f"training a SentencePiece model of {how.vocab_size} tokens")
        options = {name: settings[name] for name in ("vocab_size", "model_type", "character_coverage", "byte_fallback")}
        model = train_sentencepiece(_lines(corpus, how.max_characters), **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(model)
        os.replace(draft, path)
    return f"{TRAINED}{key}"


def _lines(corpus: Corpus, limit: int) -> Iterator[str]:
    """Lines of the corpus in order: of all rows, or of a share of them chosen by id, about `limit` characters."""
    import pyarrow.compute as pc

    from datakit.schemas import text_view

    size = sum(int(pc.sum(pc.utf8_length(text_view(batch))).as_py() or 0) for batch in _batches(corpus))
    share = min(1.0, limit / max(1, size))
    for batch in _batches(corpus):
        for row, text in zip(batch.column("id").to_pylist(), text_view(batch).to_pylist(), strict=True):
            if share < 1.0 and int(key_of("train", row)[:8], 16) >= share * 2**32:
                continue
            for line in text.splitlines():
                yield from (line[at : at + _LINE] for at in range(0, len(line), _LINE))


def _batches(corpus: Corpus) -> Iterator[pa.RecordBatch]:
    for shard in corpus.shards:
        yield from shard.read().combine_chunks().to_batches()
