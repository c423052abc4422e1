"""Removes personal data: e-mail, phones, resident and other identity numbers, cards, accounts, keys, names by label ...

    {use: pii}    ->    "[이름]님, [전화번호]로 연락드릴게요"    "[PERSON] can be reached at [EMAIL]"

Properties: Korean first (a particle may follow a value directly); one mapping a record, over its messages and every
other text column (`source.*`, those of stages of your own); text outside the spans is untouched; idempotent; the same
bytes for any batch size and worker count. A `source_id` that a file gave and that holds a value becomes
`<file>:<line>`, in the rows and in this stage's drops; a finding in it counts like one in the text.
It fails closed: a document that cannot be searched is dropped or stops the run. No value, nor its context, leaves this
stage in drops, counters, logs or errors. Cost: a second for 25 MB of prose, 20 us for each value.

What it does not promise: names without label or title, free-form addresses, numbers written out in words; names of
files stay as they are. It reduces personal data; it does not make a corpus anonymous.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, model_validator

from datakit.errors import ConfigError, Problem, StageError
from datakit.outcome import Drop, Outcome
from datakit.schemas import map_texts, replace_column
from datakit.stage import Env, RowStage, RowWork, keep_where
from datakit.stages.pii.operators import KEY_LEAST, Operator
from datakit.stages.pii.rules import ENTITY_TYPES, EntityType
from datakit.stages.pii.wishes import OwnRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from datakit.stages.pii.operators import Write
    from datakit.stages.pii.redact import Redacted
    from datakit.stages.pii.spans import Find, Span


_OWN = frozenset(
    {"id", "source_id", "source", "lang", "family", "made_by", "licence", "split", "text", "tools"}
)  # fmt: skip
"""Text columns of a row that are its identity, or that are searched by name."""


class Pii(RowStage):
    """Replace personal data by tags, masks or keyed hashes, or drop the documents that hold some."""

    use: ClassVar[str] = "pii"
    version: ClassVar[int] = 2
    rules: ClassVar[tuple[str, ...]] = ("pii_found", "pii_dense", "pii_limit")

    engine: Literal["fast", "presidio", "both"] = "fast"
    """`fast`: own scanner; `presidio`: presidio-analyzer with the same rules; `both`: what either finds."""
    kinds: tuple[EntityType, ...] | None = None
    """Entity types to look for; default all."""
    operator: Operator = "tag"
    """What takes a value's place: `tag`, `mask`, `partial`, `surrogate` (void, of the same form), `hash` (keyed), or
    `drop_document`."""
    operators: dict[str, Operator] = Field(default_factory=dict)
    """Another operator for some entity types, as in `{RRN: drop_document, EMAIL: hash}`."""
    surrogates: Literal["document", "dataset"] = "document"
    """Where equal values get equal surrogates: within a document, or everywhere (needs the key of `key_env`)."""
    allow: tuple[str, ...] = ()
    """Values that are kept wherever they stand (a firm's own hotline)."""
    deny: tuple[str, ...] = ()
    """Strings that are removed wherever they stand."""
    own_rules: tuple[OwnRule, ...] = ()
    """Rules of one's own: `[{entity: EMPLOYEE_NO, pattern: "E-[0-9]{6}", labels: [사번], tag_ko: 사번}]`."""
    languages: tuple[Literal["ko", "en"], ...] = ("ko", "en")
    """Whose rules run, on texts of any language: Korean and English text is mixed more often than not."""
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Least score of a find: 0.6 by its shape, 0.85 by a check digit, 0.95 by a label."""
    max_spans: NonNegativeInt | None = None
    """Drop documents with more values than this; default: no limit."""
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "DATAKIT_PII_KEY"
    """Environment variable that holds the secret key for `hash` and `surrogates: dataset` (16 bytes or more); the key
    is stored nowhere."""
    presidio: tuple[str, ...] = ()
    """Presidio's own recognizers to run as well, by class name (`CryptoRecognizer`); not for `engine: fast`."""

    @model_validator(mode="after")
    def _known_types(self) -> Pii:
        known = [*ENTITY_TYPES, *(rule.entity for rule in self.own_rules)]
        for name in self.operators:
            # With recognizers of Presidio's own there are types that only they know.
            if name not in known and not self.presidio:
                near = difflib.get_close_matches(name.upper(), known, n=1)
                raise ValueError(f"operators: no entity type {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return self

    def problems(self) -> list[Problem]:
        found = super().problems()
        if self.keyed and len(self._key()) < KEY_LEAST:
            fix = f"export {self.key_env}=... with {KEY_LEAST} characters or more"
            what = "`hash`" if "hash" in self._operators() else "`surrogates: dataset`"
            found.append(
                Problem("key_env", f"{what} needs a secret key in the environment variable {self.key_env}", fix)
            )
        if self.engine != "fast" and importlib.util.find_spec("presidio_analyzer") is None:
            found.append(Problem("engine", f"`{self.engine}` needs presidio-analyzer", "pip install presidio-analyzer"))
        if self.presidio and self.engine == "fast":
            found.append(Problem("presidio", "`engine: fast` runs no Presidio recognizers", "set `engine: both`"))
        return found

    @property
    def keyed(self) -> bool:
        """Whether the key decides what is written."""
        return "hash" in self._operators() or ("surrogate" in self._operators() and self.surrogates == "dataset")

    def _operators(self) -> set[str]:
        return {self.operator, *self.operators.values()}

    def identity(self) -> dict[str, Any]:
        """The settings, and where a key is used four bytes of its digest: another key makes other rows."""
        settings = super().identity()
        if self.keyed:
            settings["key_print"] = blake2b(self._key(), digest_size=4, person=b"datakit pii key").hexdigest()
        return settings

    def open(self, env: Env) -> RowWork:
        return _Work(self.redactor())

    def redactor(self) -> Redactor:
        """What rewrites the texts of one record, outside a pipeline too."""
        if wrong := self.problems():
            raise ConfigError(wrong, where=self.name)
        from datakit.stages.pii.operators import writers

        everywhere = self._key() if self.surrogates == "dataset" else b""
        tags = {rule.entity: rule.tag_ko for rule in self.own_rules if rule.tag_ko}
        write = writers(self.operator, self.operators, self._key(), everywhere, tags)
        return Redactor(self, self.engine_at_work(), write)

    def engine_at_work(self) -> Find:
        """The chosen engine: finds the spans of one text."""
        from datakit.stages.pii.scan import Scanner
        from datakit.stages.pii.spans import resolve
        from datakit.stages.pii.wishes import Wishes

        chosen: dict[str, Any] = {
            "languages": self.languages,
            "wishes": Wishes(self.allow, self.deny, self.own_rules, self.min_score),
        }
        if self.engine == "fast":
            return Scanner(self.kinds, **chosen)
        from datakit.stages.pii.presidio_engine import PresidioFind

        second = PresidioFind(self.kinds, own=self.presidio, **chosen)
        if self.engine == "presidio":
            return second
        first = Scanner(self.kinds, **chosen)

        def find(text: str) -> list[Span]:
            return resolve([*first(text), *second(text)])

        return find

    def _key(self) -> bytes:
        return os.environ.get(self.key_env, "").encode("utf-8", "surrogateescape")


class Redactor:
    """Rewrites one record at a time; fails closed: a record that can't be searched is a Drop or an error."""

    def __init__(self, stage: Pii, find: Find, write: Callable[[str], Write]) -> None:
        self._stage = stage
        self.find = find
        self._write_for = write
        chosen = {stage.operator} if stage.operator == "drop_document" else set()
        self._dropping = chosen | {entity for entity, op in stage.operators.items() if op == "drop_document"}

    def __call__(self, texts: list[str], lang: str | None, record: str) -> Redacted | Drop:
        """The texts of the record `record` (its id) without personal data, or why the record goes."""
        new = self._redact(texts, lang, record)
        return new if isinstance(new, Drop) else self._verdict(new) or new

    def _redact(self, texts: list[str], lang: str | None, record: str) -> Redacted | Drop:
        from datakit.stages.pii.redact import redact
        from datakit.stages.pii.spans import TooDenseError

        try:
            return redact(texts, self.find, self._write_for(record), lang)
        except TooDenseError:
            return Drop("pii_limit")
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
        dropping = total if "drop_document" in self._dropping else sum(new.counts[entity] for entity in self._dropping)
        if dropping:
            return Drop("pii_found", dropping, 0)
        most = self._stage.max_spans
        return Drop("pii_dense", total, most) if most is not None and total > most else None


class _Work:
    """The stage at work on batches."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, batch: pa.RecordBatch) -> Outcome:
        import pyarrow as pa

        langs, ids = batch.column("lang").to_pylist(), batch.column("id").to_pylist()
        beside = [name for name in batch.schema.names if _is_text_beside(batch.schema.field(name), batch.schema.names)]
        columns = {name: batch.column(name).to_pylist() for name in beside}
        names, plain = _source_ids(batch)
        rewritten: list[Redacted | Drop] = []
        personal: list[bool] = []

        def rewrite(rows: list[list[str]]) -> list[list[str]]:
            for row, texts in enumerate(rows):
                extra = [columns[name][row] or "" for name in beside]
                own = "" if names[row] in (None, plain[row]) else names[row]
                everything = [*texts, own, *extra]
                rewritten.append(self._redact(everything, langs[row], ids[row]))
                personal.append(self._is_personal(rewritten[-1], everything, len(texts)))
            return [
                texts if isinstance(new, Drop) else new.texts[: len(texts)]
                for new, texts in zip(rewritten, rows, strict=True)
            ]

        changed = map_texts(batch, rewrite)
        for place, name in enumerate(beside):
            at = place - len(beside)
            values = [
                old if old is None or isinstance(new, Drop) else new.texts[at]
                for old, new in zip(columns[name], rewritten, strict=True)
            ]
            changed = replace_column(changed, name, pa.array(values, batch.schema.field(name).type))
            if name == "text" and "trained" in batch.schema.names:
                edits = [[] if isinstance(new, Drop) else new.edits[at] for new in rewritten]
                changed = replace_column(changed, "trained", _moved_spans(batch.column("trained"), edits))
        if any(personal):
            cleared = [other if gone else own for own, other, gone in zip(names, plain, personal, strict=True)]
            changed = replace_column(changed, "source_id", pa.array(cleared, batch.schema.field("source_id").type))
        verdicts = [new if isinstance(new, Drop) else None for new in rewritten]
        counters: Counter[str] = Counter()
        for new in rewritten:
            if not isinstance(new, Drop):
                counters.update(new.counts)
        return keep_where(changed, verdicts, counters)

    def _is_personal(self, new: Redacted | Drop, texts: list[str], place: int) -> bool:
        """Whether the text at `place` of a record held a value; of a record that could not be searched it may have."""
        from datakit.stages.pii.redact import spans_of

        if not texts[place]:
            return False
        if not isinstance(new, Drop):
            return bool(new.edits[place])
        return new.rule == "pii_limit" or bool(spans_of(texts, self._redact.find)[place])


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


def presidio_recognizers(entities: Sequence[str] | None = None, language: str = "ko") -> list[Any]:
    """Every declared rule as a presidio-analyzer recognizer (imports presidio-analyzer: seconds)."""
    from datakit.stages.pii import presidio_engine

    return presidio_engine.presidio_recognizers(entities, language)


__all__ = ["Pii", "presidio_recognizers"]
