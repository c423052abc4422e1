"""In-context learning: the base is shown some rows with their answers before it is asked.

Examples are other rows of the held-out file: of the same language, of the same category as far as there are some, the
ones that follow the row in the file (around its end). A row never sees its own answer. They stand in the user's first
message, so that a score counts the same answer, token for token, with examples as without. That the examples come from
the very file that is judged on favours the base, never the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence

from datakit.evaluation.rows import Row
from datakit.schemas import Message

SPELLED = {"ko": ("질문", "답"), "en": ("Question", "Answer")}
"""What stands before a question and its answer."""


def with_shots(rows: Sequence[Row], place: int, shots: int) -> list[Message]:
    """The prompt of the row at a place, behind some examples."""
    row = rows[place]
    first = next((at for at, turn in enumerate(row.prompt) if turn.role == "user"), None)
    examples = examples_for(rows, place, shots)
    if first is None or not examples:
        return row.prompt
    asks, answers = SPELLED["ko" if row.groups.get("language") == "ko" else "en"]
    shown = [f"{asks}: {example.prompt[-1].content}\n{answers}: {example.answer}" for example in examples]
    asked = "\n\n".join([*shown, f"{asks}: {row.prompt[first].content}\n{answers}:"])
    return [*row.prompt[:first], Message("user", asked), *row.prompt[first + 1 :]]


def examples_for(rows: Sequence[Row], place: int, shots: int) -> list[Row]:
    """Up to `shots` other rows of the same language, those of the same category first. A second row with the same
    question or the same answer is none: it would give the answer away."""
    row, found = rows[place], []
    following = [rows[(place + step) % len(rows)] for step in range(1, len(rows))]
    for other in following:
        same = other.prompt[-1].content == row.prompt[-1].content or other.answer == row.answer
        if other.groups.get("language") == row.groups.get("language") and not same:
            found.append(other)
    found.sort(key=lambda other: other.groups.get("category") != row.groups.get("category"))
    return found[:shots]
