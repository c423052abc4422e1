"""Personal data of whole records: all texts of a row as one, with one mapping; batches of rows for the pipeline."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from datakit.errors import StageError
from datakit.outcome import Drop, Outcome
from datakit.schemas import map_texts, replace_column
from datakit.stage import keep_where
from datakit.stages.pii.redact import Redacted, redact
from datakit.stages.pii.spans import Find, TooDenseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pyarrow as pa

    from datakit.stages.pii.operators import Write

_OWN = frozenset(
    {"id", "source_id", "source", "lang", "family", "made_by", "licence", "split", "text", "tools"}
)  # fmt: skip
"""Text columns of a row that are its identity, or that are searched by name."""


class Redactor:
    """Rewrites one record at a time; fails closed: a record that can't be searched is a Drop or an error."""

    def __init__(
        self,
        find: Find,
        write: Callable[[str], Write],
        *,
        dropping: Collection[str] | None = frozenset(),
        most: int | None = None,
    ) -> None:
        """`dropping`: types of which one value drops the record (None: all); `most`: values a record may have."""
        self._find, self._write_for = find, write
        self._dropping, self._most = dropping, most

    def __call__(self, texts: list[str], lang: str | None, record: str) -> Redacted:
        """The texts of the record `record` (its id) without personal data; `drop` says why the record goes."""
        new = self._redact(texts, lang, record)
        new.drop = new.drop or self._verdict(new)
        return new

    def _redact(self, texts: list[str], lang: str | None, record: str) -> Redacted:
        try:
            return redact(texts, self._find, self._write_for(record), lang)
        except TooDenseError:
            return Redacted(list(texts), edits=[[] for _ in texts], drop=Drop("pii_limit"))
        except StageError:
            raise
        except Exception as error:
            # Whatever went wrong may quote text: the new error knows the class of the old one, nothing else.
            failed = StageError(
                f"removing personal data failed ({type(error).__name__})", fix="report it; no text was passed on"
            )
        raise failed

    def _verdict(self, new: Redacted) -> Drop | None:
        total = new.counts.total()
        dropping = total if self._dropping is None else sum(new.counts[entity] for entity in self._dropping)
        if dropping:
            return Drop("pii_found", dropping, 0)
        return Drop("pii_dense", total, self._most) if self._most is not None and total > self._most else None


class Batches:
    """The stage at work on batches."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        import pyarrow as pa

        langs, ids = batch.column("lang").to_pylist(), batch.column("id").to_pylist()
        beside = [name for name in batch.schema.names if _is_text_beside(batch.schema.field(name), batch.schema.names)]
        columns = {name: batch.column(name).to_pylist() for name in beside}
        names, plain = _source_ids(batch)
        rewritten: list[Redacted] = []

        def rewrite(rows: list[list[str]]) -> list[list[str]]:
            for row, texts in enumerate(rows):
                extra = [columns[name][row] or "" for name in beside]
                own = "" if names[row] in (None, plain[row]) else names[row]
                rewritten.append(self._redact([*texts, own, *extra], langs[row], ids[row]))
            return [new.texts[: len(texts)] for new, texts in zip(rewritten, rows, strict=True)]

        changed = map_texts(batch, rewrite)
        for place, name in enumerate(beside):
            at = place - len(beside)
            values = [None if old is None else new.texts[at] for old, new in zip(columns[name], rewritten, strict=True)]
            changed = replace_column(changed, name, pa.array(values, batch.schema.field(name).type))
            if name == "text" and "trained" in batch.schema.names:
                edits = [new.edits[at] for new in rewritten]
                changed = replace_column(changed, "trained", _moved_spans(batch.column("trained"), edits))
        at = -1 - len(beside)
        found = [
            names[row] is not None and (bool(new.edits[at]) or not new.searched) for row, new in enumerate(rewritten)
        ]
        if any(found):
            cleared = [other if gone else own for own, other, gone in zip(names, plain, found, strict=True)]
            changed = replace_column(changed, "source_id", pa.array(cleared, batch.schema.field("source_id").type))
        counters = sum((new.counts + new.why for new in rewritten), Counter[str]())
        return keep_where(changed, [new.drop for new in rewritten], counters)


def _is_text_beside(field: pa.Field, names: Sequence[str]) -> bool:
    """Whether a column holds text beside the main one: any column that is not a row's own (`source.*`, those that a
    stage added), and of an example the tools and the rendered text."""
    import pyarrow as pa

    if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
        return False
    return field.name not in _OWN or ("messages" in names and field.name in {"tools", "text"})


def _source_ids(batch: pa.RecordBatch) -> tuple[list[Any], list[str]]:
    """The source id of every row, and the one that says no more than file and line (the row's own id without a file).
    Where the two are the same there is nothing to look for."""
    wanted = [name for name in ("id", "source_id", "source", "position") if name in batch.schema.names]
    rows = batch.select(wanted).to_pylist()
    placed = [bool(row.get("source")) and row.get("position") is not None for row in rows]
    plain = [f"{r['source']}:{r['position']}" if known else r["id"] for r, known in zip(rows, placed, strict=True)]
    return [row["source_id"] for row in rows], plain


def _moved_spans(trained: pa.Array, edits: list[list[Any]]) -> pa.Array:
    """The trained spans of rendered texts after their texts were rewritten."""
    import pyarrow as pa

    from datakit.stages.pii.redact import moved

    def shifted(span: dict[str, int], rounds: list[Any]) -> dict[str, int]:
        return {"start": moved(span["start"], rounds, end=False), "end": moved(span["end"], rounds, end=True)}

    rows = [
        None if spans is None else [shifted(span, rounds) for span in spans]
        for spans, rounds in zip(trained.to_pylist(), edits, strict=True)
    ]
    return pa.array(rows, trained.type)
