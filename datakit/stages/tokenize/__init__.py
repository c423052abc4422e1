"""tokenize: text to token ids, and to labels that say which of them are learned.

A token is learned if all its characters lie inside a trained span; white space before the span doesn't count (many
tokens begin with a space). The others get the label -100, from lengths and offsets, never by looking for the pad or the
end token. A document is learned whole. The end token is added after a text whose last character is learned, so that a
model learns to stop; texts of a chat template that end otherwise have their own stop token in the span already. At most
one BOS comes first, where the tokenizer's habit or `add_bos` asks for it.

A special token's name inside a message or a document is plain text, never control (counted as `specials_as_text`),
unless `allow_specials` says otherwise. Preference rows have two texts: the ids and labels of the rejected one stand in
the columns `tokenize.rejected_ids` and `tokenize.rejected_labels`; a pair of which one is too long goes whole.
Nothing is cut silently: `too_long` says what happens to long rows, and each token is in a counter: `tokens` of rows
that came out, `tokens_cut` by truncation, `tokens_dropped` with dropped rows, `tokens_added` (BOS of more pieces).

Cost: a byte-level BPE 10-20 MB/s a core with labels and columns (datakit.tokenizers says how), SentencePiece 5-10.
Memory: one shard a worker. Work is kept in the store shard by shard, so a new file costs its own shards only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from datakit.errors import StageError
from datakit.schemas import IGNORED, Kind
from datakit.stage import Corpus, CorpusStage, Field, Outbox, Stage

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from datakit.tokenizers import Tokenizer


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
    version: ClassVar[int] = 2
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
    allow_specials: bool = False
    """Whether a special token's name inside a message or a document is that token; leave it off for text of others."""
    added_tokens: tuple[str, ...] = ()
    """Control tokens that the tokenizer gets besides its own; the trainer is told to make room for them."""

    @model_validator(mode="after")
    def _one_tokenizer(self) -> Tokenize:
        if (self.tokenizer is None) == (self.train is None):
            raise ValueError("give `tokenizer:` or `train:`, one of the two; say `tokenizer: smollm2`")
        return self

    @field_validator("added_tokens")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name.strip() for name in names) or len(set(names)) < len(names):
            raise ValueError("each added token needs a text of its own")
        return names

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
        from datakit.stages.tokenize.corpus import trained_on
        from datakit.stages.tokenize.rows import loaded, tokenize_shard

        spec = trained_on(corpus, self.train.model_dump(mode="json")) if self.train else str(self.tokenizer)
        tokenizer = loaded(spec, corpus.env.cache, self.added_tokens)
        self._check(tokenizer, spec, corpus.env.cache)
        settings = {**self.identity(), "fingerprint": tokenizer.fingerprint, "version": self.version}
        settings.pop("train")
        work = partial(tokenize_shard, spec=spec, cache=corpus.env.cache)
        totals: Counter[str] = Counter()
        longest = 0
        for part in corpus.map(work, settings, part="tokenize marked"):
            found, size = _deliver(part, out)
            totals, longest = totals + found, max(longest, size)
        out.note(
            tokenizer=spec,
            fingerprint=tokenizer.fingerprint,
            vocab_size=tokenizer.vocab_size,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            pad_id=tokenizer.pad_id,
            added_tokens={name: tokenizer.specials[name] for name in self.added_tokens},
            tokens=totals["tokens"],
            trained_tokens=totals["trained"],
            longest=longest,
            fertility=_fertility(totals),
        )

    def _check(self, tokenizer: Tokenizer, spec: str, cache: Path) -> None:
        """StageError if the tokenizer lacks a token that is asked for, or has more than its base model can look up."""
        from datakit.tokenizers import embedding_rows

        if self.add_eos and tokenizer.eos_id is None:
            raise StageError(
                f"{self.name}: the tokenizer {spec!r} has no end token, so a model could not learn to stop",
                fix="name one as `eos_token` in its tokenizer_config.json, or say `add_eos: false`",
            )
        if self.add_bos and tokenizer.bos_id is None:
            raise StageError(
                f"{self.name}: the tokenizer {spec!r} has no BOS",
                fix="name one as `bos_token` in its tokenizer_config.json, or leave `add_bos:` out",
            )
        rows = embedding_rows(spec, cache)
        if rows is not None and tokenizer.vocab_size - len(self.added_tokens) > rows:
            raise StageError(
                f"{self.name}: the tokenizer {spec!r} has {tokenizer.vocab_size} tokens, but its model knows {rows}",
                fix="use the tokenizer that the model came with; name further tokens with `added_tokens:`",
            )


def _deliver(part: pa.Table, out: Outbox) -> tuple[Counter[str], int]:
    """Write one shard's rows and drops; returns what to add up for the notes, and the longest row's tokens."""
    import pyarrow.compute as pc

    from datakit.outcome import drops_schema
    from datakit.schemas import schema_of
    from datakit.stages.tokenize.rows import COUNTS, REJECTED, unmarked

    part = unmarked(part)
    gone = part.filter(pc.is_valid(part.column("rule")))
    kept = part.filter(pc.is_null(part.column("rule"))) if gone.num_rows else part
    drops = _filled(gone, drops_schema()) if gone.num_rows else None
    rows = kept.select([*schema_of("tokens").names, "lang", *(name for name in REJECTED if name in part.schema.names)])
    totals = _measured(kept)
    counters = {name: int(pc.sum(part.column(name)).as_py() or 0) for name in COUNTS}
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
