"""What a person says about personal data: values kept, values removed, rules of one's own, how sure a find must be.

Rules of one's own run on the whole text with `regex`, under a limit of time: a pattern that takes too long stops the
run, it never lets a text pass. Both engines ask here last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from datakit.errors import StageError
from datakit.stages.pii.fold import Folded, fold
from datakit.stages.pii.rules import LISTED, Evidence
from datakit.stages.pii.spans import Span, occurrences

if TYPE_CHECKING:
    from regex import Pattern

PATIENCE = 5.0
"""Seconds that one pattern of one's own may take on one text."""
REACH = 30
"""How many characters before a value its label or veto word may begin."""


class OwnRule(BaseModel):
    """A rule of one's own, as in `{entity: EMPLOYEE_NO, pattern: "E-[0-9]{6}", labels: [사번], tag_ko: 사번}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    entity: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,40}$")]
    """Name of the type, in capitals; it is the English tag."""
    pattern: Annotated[str, Field(min_length=1)]
    """Regular expression. Write borders out: a Korean particle follows a value without one, `\\b` does not hold."""
    labels: tuple[str, ...] = ()
    """Words of which one must stand right before the value; none: the shape is enough."""
    veto: tuple[str, ...] = ()
    """Words that say, right before a value, that it is none."""
    tag_ko: str | None = None
    """The tag in Korean texts; default: the name of the type."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        import regex

        try:
            compiled = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"no regular expression: {error.msg}") from error
        if compiled.search("") is not None:
            raise ValueError("it matches nothing at all, and so everywhere")
        return pattern

    @cached_property
    def compiled(self) -> Pattern[str]:
        import regex

        return regex.compile(self.pattern)

    def spans(self, text: str) -> Iterator[Span]:
        """The values of this rule in a folded text. StageError if the pattern takes too long."""
        too_slow: StageError | None = None
        try:
            for match in self.compiled.finditer(text, timeout=PATIENCE):
                before = text[max(0, match.start() - REACH) : match.start()]
                named = any(label in before for label in self.labels)
                if (named or not self.labels) and not any(word in before for word in self.veto):
                    evidence = Evidence.LABEL if named else Evidence.SHAPE
                    yield Span(match.start(), match.end(), self.entity, f"own_{self.entity.lower()}", evidence)
        except TimeoutError:
            fix = "write it without nested repetitions; no text was passed on"
            too_slow = StageError(f"the pattern of {self.entity} takes more than {PATIENCE:g} s on a text", fix=fix)
        if too_slow is not None:
            raise too_slow


class Wishes:
    """Values always kept (allow), values always removed (deny), own rules, and the least score of a find."""

    def __init__(
        self,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        own: Sequence[OwnRule] = (),
        min_score: float = 0.0,
    ) -> None:
        self._own = tuple(own)
        self._min_score = min_score
        self._allow = frozenset(fold(value).text for value in allow)
        self._deny = tuple(
            sorted({fold(value).text for value in deny if value}, key=lambda value: (-len(value), value))
        )

    def holds(self, span: Span, value: str) -> bool:
        """Whether a found span stays one: sure enough, and its (folded) value not allowed."""
        return span.score >= self._min_score and value not in self._allow

    def added(self, folded: Folded) -> list[Span]:
        """The denied values and those of own rules, in places of the folded text."""
        text = folded.text
        own = [span for rule in self._own for span in rule.spans(text)]
        spans = [span for span in own if self.holds(span, text[span.start : span.end])]
        for value in self._deny:
            spans += [Span(at, at + len(value), LISTED, "deny_list", Evidence.LABEL) for at in occurrences(text, value)]
        return spans
