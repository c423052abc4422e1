"""What recipes are given and what they hand over: items and drafts, and the example rows that drafts become.

A row that a teacher made says where it comes from, so that anybody can follow it back:

    parents             the rows it was made of            made_with          the rows that its prompt only showed
    licence             the stage's, else its parents'     synthesize.parent_licence   what its parents came under
    synthesize.recipe   self_instruct, grounded ...        synthesize.task    what kind of row it is
    synthesize.teacher  openai:gpt-4o-mini, local:...      synthesize.prompt  grounded.ko@1a2b3c4d, one a prompt
    synthesize.request  keys of the kept replies that it was read from
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datakit.canon import canonical
from datakit.schemas import row_id
from datakit.stages.synthesize.passages import language_of
from datakit.teachers import Request

if TYPE_CHECKING:
    import pyarrow as pa

Turn = tuple[str, str]
"""Role and content."""
DOCUMENT_COLUMNS = ("id", "source_id", "text", "source", "position", "lang", "family", "licence")
NAMED = (("synthesize.instruction", "synthesize.input"), ("source.instruction", "source.input"))
"""Columns in which a row's instruction and its input stand apart."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row that a recipe makes rows of: a document (`text`), or an example (`turns`)."""

    id: str
    source_id: str
    language: str
    family: str
    licence: str | None = None
    source: str | None = None
    position: int | None = None
    text: str = ""
    turns: tuple[Turn, ...] = ()
    instruction: str = ""
    """What the example asks for, without its input where they are known apart."""
    input: str = ""
    source_text: str = ""
    """The text that an example is grounded in, where it is known."""
    chosen: tuple[Turn, ...] = ()
    rejected: tuple[Turn, ...] = ()

    @property
    def asked(self) -> str:
        """All that stands before an example's last answer, as one text."""
        last = max(
            (place for place, (role, _) in enumerate(self.turns) if role == "assistant"), default=len(self.turns)
        )
        return "\n\n".join(content for role, content in self.turns[:last] if role != "system")

    @property
    def answer(self) -> str:
        """An example's last answer, "" if it has none."""
        return next((content for role, content in reversed(self.turns) if role == "assistant"), "")


@dataclass(frozen=True, slots=True)
class Draft:
    """A row as a recipe hands it over."""

    task: str
    language: str
    turns: tuple[Turn, ...]
    requests: tuple[Request, ...]
    """The requests whose replies it was read from."""
    instruction: str = ""
    input: str = ""
    item: Item | None = None
    """The row that it was made of."""
    made_with: tuple[str, ...] = ()
    chosen: tuple[Turn, ...] = ()
    rejected: tuple[Turn, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further columns, named without `synthesize.`."""


def asks(instruction: str, input: str, answer: str) -> tuple[Turn, ...]:
    """The turns of one question and its answer."""
    return (("user", f"{instruction}\n\n{input}" if input else instruction), ("assistant", answer))


def answered(item: Item, task: str, request: Request, instruction: str, input: str, answer: str, **extra: Any) -> Draft:
    """The draft of one question about an item, and its answer."""
    turns = asks(instruction, input, answer)
    return Draft(task, item.language, turns, (request,), instruction, input, item, extra=extra)


def example_row(
    draft: Draft, recipe: str, position: int, licence: str | None, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """A draft as an example row. One without a parent is its own family; others belong to their parent's."""
    item, made_by = draft.item, f"synthesize/{recipe}/{draft.task}"
    own = row_id(made_by, canonical([item.id if item else "", draft.turns, draft.chosen, draft.rejected]))
    return {
        "id": own,
        "source_id": item.source_id if item else f"{recipe}:{position}",
        "source": (item.source if item else None) or f"synthesize/{recipe}",
        "position": item.position if item else position,
        "lang": draft.language,
        "messages": _messages(draft.turns),
        "chosen": _messages(draft.chosen) or None,
        "rejected": _messages(draft.rejected) or None,
        "parents": [item.id] if item else [],
        "made_with": list(draft.made_with),
        "family": (item.family or item.id) if item else own,
        "made_by": made_by,
        "licence": licence or (item.licence if item else None),
        "synthesize.recipe": recipe,
        "synthesize.task": draft.task,
        "synthesize.instruction": draft.instruction or None,
        "synthesize.input": draft.input if draft.instruction else None,
        "synthesize.parent_licence": item.licence if item else None,
        **provenance,
        **{f"synthesize.{name}": value for name, value in draft.extra.items()},
    }


def document_items(table: pa.Table) -> Iterator[Item]:
    """The rows of a table of documents."""
    columns = [name for name in DOCUMENT_COLUMNS if name in table.column_names]
    for row in table.select(columns).to_pylist():
        text = row.get("text") or ""
        yield Item(**_origin(row), language=language_of(text, row.get("lang")), text=text)


def example_items(table: pa.Table) -> Iterator[Item]:
    """The rows of a table of examples."""
    for row in table.to_pylist():
        turns = _turns(row.get("messages"))
        user = next((content for role, content in turns if role == "user"), "")
        instruction, below = _named(row) or (user, "")
        yield Item(
            **_origin(row),
            language=language_of(user, row.get("lang")),
            turns=turns,
            instruction=instruction,
            input=below,
            source_text=row.get("synthesize.source_text") or "",
            chosen=_turns(row.get("chosen")),
            rejected=_turns(row.get("rejected")),
        )


def _origin(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("source", "position", "licence")
    own = str(row["id"])
    first = {"id": own, "source_id": row.get("source_id") or own, "family": row.get("family") or own}
    return {**first, **{name: row.get(name) for name in names}}


def _named(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Instruction and input where the row names them apart."""
    for first, second in NAMED:
        if row.get(first):
            return str(row[first]), str(row.get(second) or "")
    return None


def _turns(messages: Sequence[Mapping[str, Any]] | None) -> tuple[Turn, ...]:
    return tuple((turn["role"] or "", turn["content"] or "") for turn in messages or ())


def _messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, "weight": None} for role, content in turns]
