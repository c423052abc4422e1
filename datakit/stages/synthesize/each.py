"""Recipes that make rows of each row that comes in, whatever other rows there are: a window of them abreast.

                       rows that come in
    FromDocuments      folded into the rows made of them; without one: dropped
    FromExamples       kept, new rows follow them all; with `keep: false` folded or dropped as documents are

    dropped by     no_row           every draft was at fault; value: the first fault
                   other_language   neither Korean nor English, or not the `language` that is wanted
                   not_asked        rows were enough, or `max_requests` or the budget was used up
                   not_chosen       its rows came after the last that was wanted

What is asked about a row depends on the row, the settings and the seed only, so that a new row costs its own requests
and no others. Text in memory: one shard, a window of rows, and up to FLUSH made rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field, PositiveInt

from datakit.outcome import Drop, drops_table
from datakit.schemas import Kind, table_from_rows
from datakit.stage import Corpus, Outbox, Stage
from datakit.stages.synthesize.generate import NOT_ASKED, Asking, Found, Session, abreast, fault_of
from datakit.stages.synthesize.passages import split_sentences
from datakit.stages.synthesize.rows import DOCUMENT_COLUMNS, Draft, Item, document_items, example_items
from datakit.stages.synthesize.taught import Taught
from datakit.teachers import Reply, Request

if TYPE_CHECKING:
    import pyarrow as pa

FLUSH = 5000
"""Made rows that are written as one shard."""
T = TypeVar("T")


class Each(Taught):
    """Base of the recipes that look at rows one by one."""

    rules: ClassVar[tuple[str, ...]] = ("no_row", "other_language", NOT_ASKED, "not_chosen")

    max_requests: PositiveInt = 100_000
    """Most requests sent to the teacher; those answered from disk count too. Rows beyond are `not_asked`."""
    window: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Rows that are asked about at once; changes nothing but the speed, unless `rows` or `max_requests` end it."""

    def about(self, session: Session, item: Item) -> Asking:
        """What to ask about a row, and what to make of the replies."""
        raise NotImplementedError(f"{type(self).__name__} must say what it asks")

    def generate(self, session: Session, items: Iterable[Item], writer: Writer, tell: Callable[[str], None]) -> None:
        """Ask about all rows, a window at a time."""
        for window in _windows(items, self.window):
            asked = [item for item in window if self._speaks(item)] if not session.done else []
            answers = iter(abreast(session.ask, [self.about(session, item) for item in asked]))
            for item in window:
                silent: Found = [NOT_ASKED if self._speaks(item) else "other_language"]
                found = next(answers) if asked and self._speaks(item) else silent
                writer.settle(item, *_accepted(session, found))
            tell(f"{self.recipe}: {session.made} rows from {session.requests} requests")

    def _speaks(self, item: Item) -> bool:
        return item.language in ("ko", "en") and self.language in ("auto", item.language)


class FromDocuments(Each):
    """Base of the recipes that ask about documents; the language follows the document."""

    takes: ClassVar[frozenset[Kind]] = frozenset({"document"})
    salvages: ClassVar[bool] = False
    """Whether a reply that was cut off still holds whole rows."""

    passage_ko: Annotated[int, Field(ge=100)] = 1500
    """Longest Korean passage that is asked about, in characters; longer documents are cut where paragraphs end."""
    passage_en: Annotated[int, Field(ge=200)] = 3000
    """Longest English passage that is asked about, in characters."""
    passages: Annotated[int, Field(ge=1)] = 1
    """Most passages of one document that are asked about, from its beginning."""
    shortest: Annotated[int, Field(ge=1)] = 60
    """Passages with fewer characters are not asked about."""

    def question(self, session: Session, item: Item, passage: str, place: int) -> Request:
        """The request about one passage."""
        raise NotImplementedError(f"{type(self).__name__} must ask about a passage")

    def read(self, item: Item, passage: str, request: Request, reply: Reply) -> Found:
        """The drafts and faults in a reply."""
        raise NotImplementedError(f"{type(self).__name__} must read a reply")

    def about(self, session: Session, item: Item) -> Asking:
        """One request a passage."""
        limit = self.passage_ko if item.language == "ko" else self.passage_en
        passages = [part for part in passages_of(item.text, limit) if len(part) >= self.shortest][: self.passages]
        requests = [self.question(session, item, passage, place) for place, passage in enumerate(passages)]
        replies = yield requests
        found: Found = [] if passages else ["too_short"]
        for passage, request, reply in zip(passages, requests, replies, strict=True):
            fault = fault_of(reply)
            unusable = fault is not None and not (fault == "cut" and self.salvages)
            found += [str(fault)] if unusable else self.read(item, passage, request, reply)
        return found

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Make rows of the documents."""
        session, writer = self.session(corpus.env, self.rows), Writer(out, changes_kind=True)
        items = (
            item
            for shard in corpus.shards
            for item in document_items(shard.read([name for name in DOCUMENT_COLUMNS if name in shard.columns]))
        )
        _run(self, session, items, writer, corpus)


class FromExamples(Each):
    """Base of the recipes that ask about example rows."""

    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})

    keep: bool = True
    """Keep the rows that came in beside the new ones; false: only new rows go on."""

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """Examples only."""
        if kind == "document":
            fix = "make examples first (`recipe: mine`, `grounded`)"
            return f"`synthesize` with recipe {self.recipe} works on example rows, not on document rows; {fix}"
        return super().chains(kind, before)

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Make rows of the examples."""
        if self.keep:
            for shard in corpus.shards:
                out.write(shard.read())
        session, writer = self.session(corpus.env, self.rows), Writer(out, changes_kind=False, keep=self.keep)
        _run(self, session, (item for shard in corpus.shards for item in example_items(shard.read())), writer, corpus)


class Writer:
    """Writes made rows in shards, and accounts for the rows that they were made of."""

    def __init__(self, out: Outbox, *, changes_kind: bool, keep: bool = False) -> None:
        self.out, self.changes_kind, self.keep = out, changes_kind, keep
        self.rows: list[dict[str, Any]] = []
        self.drops: list[tuple[str, str, Drop]] = []
        self.folded = 0

    def settle(self, item: Item, rows: list[dict[str, Any]], fault: str) -> None:
        """What became of one row that came in: the rows made of it, or the fault for which there are none."""
        self.rows += rows
        if not self.keep and rows:
            self.folded += 1
        elif not self.keep:
            named = fault in ("other_language", NOT_ASKED, "not_chosen")
            drop = Drop(fault, item.language) if fault == "other_language" else Drop(fault)
            self.drops.append((item.id, item.source_id, drop if named else Drop("no_row", fault)))
        if len(self.rows) >= FLUSH:
            self.flush()

    def flush(self, counters: Any = None) -> None:
        """Write what is there."""
        table: pa.Table = table_from_rows(self.rows, "example")
        self.out.write(table, drops=drops_table(self.drops) if self.drops else None, counters=counters)
        # Rows that come in as examples make `write` take the new ones for kept.
        moved = {} if self.changes_kind else {"kept": -len(self.rows), "made": len(self.rows)}
        self.out.account(folded=self.folded, **moved)
        self.rows, self.drops, self.folded = [], [], 0


def passages_of(text: str, limit: int) -> list[str]:
    """A text in passages of at most `limit` characters: whole paragraphs, where one is too long whole sentences, where
    one of those is too long words, and at last characters."""
    if len(text.strip()) <= limit:
        return [text.strip()] if text.strip() else []
    return _packed(text.split("\n\n"), "\n\n", limit, _sentences)


def _sentences(paragraph: str, limit: int) -> list[str]:
    return _packed(split_sentences(" ".join(paragraph.split())), " ", limit, _words)


def _words(sentence: str, limit: int) -> list[str]:
    return _packed(sentence.split(), " ", limit, _characters)


def _characters(word: str, limit: int) -> list[str]:
    return [word[start : start + limit] for start in range(0, len(word), limit)]


def _packed(pieces: Sequence[str], joint: str, limit: int, finer: Callable[[str, int], list[str]]) -> list[str]:
    """Neighbouring pieces together up to `limit` characters; a longer piece is cut by `finer`."""
    packed: list[str] = []
    fresh = True
    for piece in (piece.strip() for piece in pieces):
        if not piece:
            continue
        if len(piece) > limit:
            packed += finer(piece, limit)
            fresh = True
        elif not fresh and len(packed[-1]) + len(joint) + len(piece) <= limit:
            packed[-1] += joint + piece
        else:
            packed.append(piece)
            fresh = False
    return packed


def _run(recipe: Each, session: Session, items: Iterable[Item], writer: Writer, corpus: Corpus) -> None:
    try:
        recipe.generate(session, items, writer, corpus.env.tell)
    finally:
        session.teacher.close()
    writer.flush(session.counters)
    recipe.note(session, writer.out, session.made)


def _accepted(session: Session, found: Found) -> tuple[list[dict[str, Any]], str]:
    """The rows that come of drafts, and the first fault ("not_chosen" where sound drafts came too late)."""
    rows, fault = [], ""
    for one in found:
        if isinstance(one, Draft):
            row = session.accept(one)
            rows += [row] if row is not None else []
            fault = fault or "not_chosen"
        else:
            session.refuse(one)
            fault = one if fault in ("", "not_chosen") else fault
    return rows, fault or "no_reply"


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while window := list(islice(source, size)):
        yield window
