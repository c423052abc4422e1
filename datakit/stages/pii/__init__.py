"""Removes personal data: e-mail, phones, resident and other identity numbers, cards, accounts, keys, names by label ...

    {use: pii}    ->    "[이름]님, [전화번호]로 연락드릴게요"    "[PERSON] can be reached at [EMAIL]"

Properties: Korean first (a particle may follow a value directly); one mapping a record, over its messages and every
other text column (`source.*`, those of stages of your own); text outside the spans is untouched; idempotent; the same
bytes for any batch size and worker count. A `source_id` that a file gave and that holds a value becomes
`<file>:<line>`, in the rows and in this stage's drops; a finding in it counts like one in the text.
It fails closed: a document that cannot be searched is dropped or stops the run. No value, nor its context, leaves this
stage in drops, counters, logs or errors. Cost: a second for 25 MB of prose, 20 us for each value.

What it does not promise: names without label or title (`names` finds more of them), free-form addresses, numbers
written out in words; names of files stay as they are. It reduces personal data; it does not make a corpus anonymous.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, model_validator

from datakit.errors import ConfigError, Problem
from datakit.stage import Env, RowStage, RowWork
from datakit.stages.pii.names import Names, missing, versions, with_names
from datakit.stages.pii.operators import KEY_LEAST, Operator
from datakit.stages.pii.rules import ENTITY_TYPES, EntityType
from datakit.stages.pii.wishes import OwnRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datakit.stages.pii.records import Redactor
    from datakit.stages.pii.spans import Find, Span


class Pii(RowStage):
    """Replace personal data by tags, masks or keyed hashes, or drop the documents that hold some."""

    use: ClassVar[str] = "pii"
    version: ClassVar[int] = 4
    rules: ClassVar[tuple[str, ...]] = ("pii_found", "pii_dense", "pii_limit")

    engine: Literal["fast", "presidio", "both"] = "fast"
    """`fast`: own scanner; `presidio`: presidio-analyzer with the same rules; `both`: what either finds."""
    names: Names = "rules"
    """Names of persons: `rules` by label or title only; `kiwi` also Korean ones in sentences (extra `korean`), `onnx`
    English ones (extra `ner`), or `kiwi+onnx`. Slow: 0.1 and 0.01 MB/s."""
    kiwi_reads: Literal["cued", "all"] = "cued"
    """What `kiwi` reads: sentences with a sign of persons (label, title, phone number) in or beside them, or all."""
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
    """Least score of a find: 0.6 by its shape or a name engine, 0.85 by a check digit, 0.95 by a label."""
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
        found += missing(self.names)
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
        """The settings, where a key is used four bytes of its digest (another key makes other rows), and the versions
        of the name engines."""
        settings = super().identity()
        if self.names != "rules":
            settings["name_engines"] = versions(self.names)
        if self.keyed:
            settings["key_print"] = blake2b(self._key(), digest_size=4, person=b"datakit pii key").hexdigest()
        return settings

    def open(self, env: Env) -> RowWork:
        from datakit.stages.pii.records import Batches

        return Batches(self.redactor())

    def redactor(self) -> Redactor:
        """What rewrites the texts of one record, outside a pipeline too."""
        if wrong := self.problems():
            raise ConfigError(wrong, where=self.name)
        from datakit.stages.pii.operators import writers
        from datakit.stages.pii.records import Redactor

        everywhere = self._key() if self.surrogates == "dataset" else b""
        tags = {rule.entity: rule.tag_ko for rule in self.own_rules if rule.tag_ko}
        write = writers(self.operator, self.operators, self._key(), everywhere, tags)
        by_type = frozenset(entity for entity, operator in self.operators.items() if operator == "drop_document")
        dropping = None if self.operator == "drop_document" else by_type
        return Redactor(self.engine_at_work(), write, dropping=dropping, most=self.max_spans)

    def engine_at_work(self) -> Find:
        """The chosen engines: find the spans of one text."""
        from datakit.stages.pii.wishes import Wishes

        wishes = Wishes(self.allow, self.deny, self.own_rules, self.min_score)
        find = self._rules_at_work({"languages": self.languages, "wishes": wishes})
        if self.kinds is not None and "PERSON" not in self.kinds:
            return find
        return with_names(find, self.names, cued=self.kiwi_reads == "cued", wishes=wishes)

    def _rules_at_work(self, chosen: dict[str, Any]) -> Find:
        from datakit.stages.pii.scan import Scanner
        from datakit.stages.pii.spans import resolve

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


def presidio_recognizers(entities: Sequence[str] | None = None, language: str = "ko") -> list[Any]:
    """Every declared rule as a presidio-analyzer recognizer (imports presidio-analyzer: seconds)."""
    from datakit.stages.pii import presidio_engine

    return presidio_engine.presidio_recognizers(entities, language)


__all__ = ["Pii", "presidio_recognizers"]
