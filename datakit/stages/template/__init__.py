"""template: a conversation becomes the text that a model reads, and the characters in it that it learns.

Adds three columns: `text`; `trained`, the character spans that are learned (answers with their stop token); and
`template.contents`, the spans that came from messages, in which `tokenize` takes a special token's name for plain text.
A turn of weight 0 is read but not learned. Rows without an answer go (`no_answer`), rows that the chat template refuses
(`refused`), and for the Alpaca styles, which hold one question and one answer, longer conversations (`many_turns`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from datakit.errors import Problem, StageError
from datakit.schemas import Kind, Message
from datakit.stage import Drop, Env, FileRef, Outcome, RowStage, RowWork
from datakit.stages.template.formats import (
    ALPACA,
    ALPACA_KO,
    CHATML_JINJA,
    Rendered,
    Span,
    alpaca,
    alpaca_jinja,
    chatml,
)

if TYPE_CHECKING:
    import pyarrow as pa

CONTENTS = "template.contents"
_NAMED = (("synthesize.instruction", "synthesize.input"), ("source.instruction", "source.input"))

Render = Callable[[list[Message], "str | None", "tuple[str, str] | None"], "Rendered | Drop"]


class Template(RowStage):
    """Writes each conversation as one text and marks the characters that are learned."""

    use: ClassVar[str] = "template"
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})
    rules: ClassVar[tuple[str, ...]] = ("no_answer", "refused", "many_turns")

    style: Literal["alpaca", "alpaca-ko", "chatml", "tokenizer", "jinja"] = "tokenizer"
    """The format: Alpaca as published or in Korean, ChatML, the tokenizer's own chat template, or your Jinja file."""
    tokenizer: str = ""
    """Whose chat template it is (`smollm2`, a folder, a hub name, a .gguf file); for `jinja`: whose tokens it uses."""
    file: FileRef = ""
    """Jinja chat template for `jinja`; it may mark answers with {% generation %}."""
    stop: str = ""
    """For `jinja`: the text that ends an answer, where neither {% generation %} nor `tokenizer` tells."""
    train_on: Literal["assistant", "last", "all"] = "assistant"
    """What is learned: every answer, the last answer only, or the whole text."""

    @model_validator(mode="after")
    def _whole(self) -> Template:
        if self.style == "tokenizer" and not self.tokenizer:
            raise ValueError("style `tokenizer` needs `tokenizer:`, say `tokenizer: smollm2`")
        if self.style == "jinja" and not self.file:
            raise ValueError("style `jinja` needs `file:`, a Jinja chat template")
        if self.tokenizer and self.style not in ("tokenizer", "jinja"):
            raise ValueError(f"style `{self.style}` has its own text; leave `tokenizer:` out here")
        if (self.file or self.stop) and self.style != "jinja":
            raise ValueError("`file:` and `stop:` belong to style `jinja`")
        return self

    def problems(self) -> list[Problem]:
        """A Jinja file must say in one of three ways where answers end."""
        found = super().problems()
        if self.file and not found and not self.tokenizer and not self.stop:
            source = Path(self.file).read_text(encoding="utf-8", errors="replace")
            if "endgeneration" not in source:
                fix = "give `stop:` or `tokenizer:`, or put {% generation %} around answers"
                found.append(Problem("stop", "nothing says which text ends an answer, so it would not be learned", fix))
        return found

    def identity(self) -> dict[str, Any]:
        """The tokenizer counts by the content of its files, not by its path."""
        settings = super().identity()
        if self.tokenizer:
            from datakit.cache import cache_folder
            from datakit.tokenizers import tokenizer_identity

            settings["tokenizer"] = tokenizer_identity(self.tokenizer, cache_folder())
        return settings

    def notes(self, env: Env) -> dict[str, Any]:
        """The style, and the chat template that serves it where the tokenizer's own does not."""
        if self.style == "tokenizer":
            return {"style": self.style}
        if self.style == "jinja":
            return {"style": self.style, "chat_template": Path(self.file).read_text(encoding="utf-8")}
        texts = {"alpaca": ALPACA, "alpaca-ko": ALPACA_KO}.get(self.style)
        return {"style": self.style, "chat_template": alpaca_jinja(texts) if texts else CHATML_JINJA}

    def open(self, env: Env) -> RowWork:
        render = self._renderer(env)

        def work(batch: pa.RecordBatch) -> Outcome:
            verdicts = [self._one(*row, render) for row in _rows(batch)]
            return _outcome(batch, verdicts)

        return work

    def _renderer(self, env: Env) -> Render:
        if self.style == "chatml":
            return _render_chatml
        if self.style in ("alpaca", "alpaca-ko"):
            return _AlpacaRenderer(self.style)
        return _ChatRenderer(self, env)

    def _one(
        self, id: str, turns: list[Message], tools: str | None, named: tuple[str, str] | None, render: Render
    ) -> Drop | tuple[Rendered, list[Span]]:
        """One row's text and trained spans, or the reason why it goes."""
        answers = [n for n, turn in enumerate(turns) if turn.role == "assistant" and turn.content.strip()]
        learned = [n for n in answers if turns[n].weight != 0]
        if self.train_on == "last":
            learned = [n for n in learned if n == answers[-1]]
        if not learned:
            return Drop("no_answer", len(answers))
        try:
            found = render(turns, tools, named)
        except StageError as error:
            raise StageError(error.message, where=f"row {id}", fix=error.fix) from error
        if isinstance(found, Drop):
            return found
        spans = [(0, len(found.text))] if self.train_on == "all" else sorted(found.answers[n] for n in learned)
        return found, spans


class _AlpacaRenderer:
    def __init__(self, style: str) -> None:
        self._texts = ALPACA if style == "alpaca" else ALPACA_KO

    def __call__(self, turns: list[Message], tools: str | None, named: tuple[str, str] | None) -> Rendered | Drop:
        return alpaca(turns, self._texts, named) or Drop("many_turns", len(turns))


def _render_chatml(turns: list[Message], tools: str | None, named: tuple[str, str] | None) -> Rendered | Drop:
    return chatml(turns)


class _ChatRenderer:
    """A chat template: the tokenizer's own or a file."""

    def __init__(self, stage: Template, env: Env) -> None:
        from datakit.stages.template.chat import ChatTemplate
        from datakit.tokenizers import load_tokenizer

        named: dict[str, str] = {}
        stops: list[str] = [stage.stop]
        source = Path(stage.file).read_text(encoding="utf-8") if stage.file else None
        if stage.tokenizer:
            tokenizer = load_tokenizer(stage.tokenizer, env.cache)
            named, stops = tokenizer.named, [*stops, *tokenizer.specials]
            source = source or tokenizer.chat_template
        if not source:
            raise StageError(
                f"{stage.name}: the tokenizer {stage.tokenizer!r} has no chat template",
                fix="use `style: chatml` or `style: alpaca`, or give your own with `style: jinja` and `file:`",
            )
        self._template = ChatTemplate(source, named, stops)
        self._name = stage.name

    def __call__(self, turns: list[Message], tools: str | None, named: tuple[str, str] | None) -> Rendered | Drop:
        from datakit.stages.template.chat import Refused, Unverified

        try:
            return self._template.render(turns, tools)
        except Refused:
            return Drop("refused", len(turns))
        except Unverified as error:
            raise StageError(
                f"{self._name}: can't tell which part of the rendered text is the answer",
                fix="put {% generation %} ... {% endgeneration %} around answers in your own template (`style: jinja`)",
            ) from error


def _rows(batch: pa.RecordBatch) -> list[tuple[str, list[Message], str | None, tuple[str, str] | None]]:
    """(id, turns, tools, (instruction, input) as the row's source named them) of every row."""
    turns = [
        [Message(turn["role"] or "", turn["content"] or "", turn["weight"]) for turn in row or ()]
        for row in batch.column("messages").to_pylist()
    ]
    tools = batch.column("tools").to_pylist()
    named: list[tuple[str, str] | None] = [None] * batch.num_rows
    for first, second in _NAMED:
        if first in batch.schema.names:
            parts = [
                batch.column(n).to_pylist() if n in batch.schema.names else [None] * len(tools) for n in (first, second)
            ]
            for place, (instruction, extra) in enumerate(zip(*parts, strict=True)):
                if named[place] is None and instruction is not None:
                    named[place] = (str(instruction), str(extra or ""))
    return list(zip(batch.column("id").to_pylist(), turns, tools, named, strict=True))


def _outcome(batch: pa.RecordBatch, verdicts: list[Drop | tuple[Rendered, list[Span]]]) -> Outcome:
    """The batch with its rendered columns, without the rows that go."""
    import pyarrow as pa

    from datakit.schemas import rendered_fields, replace_column
    from datakit.stage import keep_where

    outcome = keep_where(batch, [verdict if isinstance(verdict, Drop) else None for verdict in verdicts])
    kept = [verdict for verdict in verdicts if not isinstance(verdict, Drop)]
    text, trained = rendered_fields()
    columns = {
        "text": pa.array([found.text for found, _ in kept], text.type),
        "trained": pa.array([_structs(spans) for _, spans in kept], trained.type),
        CONTENTS: pa.array([_structs(found.contents) for found, _ in kept], trained.type),
    }
    rows = outcome.kept
    for name, column in columns.items():
        rows = replace_column(rows, name, column)
    outcome.kept = rows
    return outcome


def _structs(spans: list[Span]) -> list[dict[str, int]]:
    return [{"start": start, "end": end} for start, end in spans]
