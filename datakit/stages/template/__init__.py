"""template: a conversation becomes the text that a model reads, and the characters in it that it learns.

Adds three columns: `text`; `trained`, the character spans that are learned (answers with their stop token); and
`template.contents`, the spans that came from messages, in which `tokenize` takes a special token's name for plain text.
A preference row (`chosen`, `rejected`) gets them for its chosen answer, and `template.rejected_text`, `..._trained` and
`..._contents` for the other. A turn of weight 0 is read but not learned; other weights than 0 and 1 are an error, since
the loss learns a token or doesn't.

Rows without an answer go (`no_answer`), rows that the chat template refuses (`refused`) or of which it leaves a message
out (`lost_turn`), rows whose tool calls spell a control token (`tool_control`), and for the Alpaca styles, which hold
one question and one answer, longer conversations (`many_turns`).
Cost: 2 microseconds a plain row, 10-20 another, where the template's text can be told from its first rows (chat.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from datakit.canon import key_of
from datakit.errors import Problem, StageError
from datakit.schemas import Kind, Message
from datakit.stage import Drop, Env, FileRef, Outcome, RowStage, RowWork
from datakit.stages.template.formats import ALPACAS, Rendered, Span, alpaca, alpaca_jinja, cut
from datakit.stages.template.named import NAMED
from datakit.stages.template.rows import CONTENTS, Row, Text, rows_of, with_texts
from datakit.turns import calls

if TYPE_CHECKING:
    import pyarrow as pa

    from datakit.stages.template.batches import PlainRows

Render = Callable[[list[Message], "str | None", "tuple[str, str] | None"], "Rendered | Drop"]
Style = Literal[
    "alpaca", "koalpaca", "alpaca-ko", "vicuna", "chatml", "qwen", "llama3", "gemma", "tokenizer", "jinja"
]  # fmt: skip
INSTRUCTION, INPUT = "{instruction}", "{input}"


class Template(RowStage):
    """Writes each conversation as one text and marks the characters that are learned."""

    use: ClassVar[str] = "template"
    version: ClassVar[int] = 2
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})
    rules: ClassVar[tuple[str, ...]] = ("no_answer", "refused", "lost_turn", "many_turns", "tool_control")

    style: Style = "tokenizer"
    """The format: a published one by name, the tokenizer's own chat template, or your Jinja file."""
    tokenizer: str = ""
    """Whose chat template it is (`smollm2`, a folder, a hub name, a .gguf file); for `jinja`: whose tokens it uses."""
    file: FileRef = ""
    """Jinja chat template for `jinja`; it may mark answers with {% generation %}."""
    stop: str = ""
    """For `jinja`: the text that ends an answer, where neither {% generation %} nor `tokenizer` tells."""
    train_on: Literal["assistant", "last", "all", "completion"] = "assistant"
    """What is learned: every answer, the last answer only, the whole text, or all that follows the last question."""
    phrasings: tuple[str, ...] = ()
    """Ways to put a question, with {instruction} and, for rows with an input, {input}; a row's id draws one."""

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

    @field_validator("phrasings")
    @classmethod
    def _with_instruction(cls, phrasings: tuple[str, ...]) -> tuple[str, ...]:
        if any(one.count(INSTRUCTION) != 1 or one.count(INPUT) > 1 for one in phrasings):
            raise ValueError("each phrasing has {instruction} once, and {input} at most once")
        return phrasings

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
        named = NAMED.get(self.style)
        return {"style": self.style, "chat_template": named.jinja if named else alpaca_jinja(ALPACAS[self.style])}

    def open(self, env: Env) -> RowWork:
        from datakit.stage import keep_where

        render = self._renderer(env)
        plain = self._plain(render)

        def one_by_one(batch: pa.RecordBatch) -> tuple[Outcome, list[bool]]:
            found = [self._one(row, render) for row in rows_of(batch)]
            outcome = keep_where(batch, [one if isinstance(one, Drop) else None for one in found])
            outcome.kept = with_texts(outcome.kept, [one for one in found if not isinstance(one, Drop)])
            return outcome, [not isinstance(one, Drop) for one in found]

        def work(batch: pa.RecordBatch) -> Outcome:
            filled = plain.filled(batch) if plain else None
            if filled is None:
                return one_by_one(batch)[0]
            rest = filled.rest(batch)
            return filled.among(batch, *one_by_one(rest)) if rest.num_rows else Outcome(filled.done(batch))

        return work

    def _plain(self, render: Render) -> PlainRows | None:
        """The way to render many rows at once, where a row's text is its turns' and nothing else."""
        if not isinstance(render, _ChatRenderer) or self.phrasings:
            return None
        from datakit.stages.template.batches import PlainRows

        return PlainRows(render.skeleton, self.train_on)

    def _renderer(self, env: Env) -> Render:
        return _AlpacaRenderer(self.style) if self.style in ALPACAS else _ChatRenderer(self, env)

    def _one(self, row: Row, render: Render) -> Drop | tuple[Text, Text | None]:
        """One row's text and trained spans, both of them for a preference row, or the reason why it goes."""
        try:
            turns, named = self._phrased(row)
            if not (row.chosen and row.rejected):
                found = self._text(turns, 0, row.tools, named, render)
                return found if isinstance(found, Drop) else (found, None)
            chosen, rejected = (
                self._text([*turns, *answer], len(turns), row.tools, named, render)
                for answer in (row.chosen, row.rejected)
            )
        except StageError as error:
            raise StageError(error.message, where=f"row {row.id}", fix=error.fix) from error
        if isinstance(chosen, Drop):
            return chosen
        return rejected if isinstance(rejected, Drop) else (chosen, rejected)

    def _text(
        self, turns: list[Message], first: int, tools: str | None, named: tuple[str, str] | None, render: Render
    ) -> Drop | Text:
        """A text and what of it is learned: answers among the turns from `first` on."""
        answers = [n for n, turn in enumerate(turns) if n >= first and _speaks(turn)]
        learned = [n for n in answers if _weight(turns[n])]
        if self.train_on == "last":
            learned = [n for n in learned if n == answers[-1]]
        if not learned:
            return Drop("no_answer", len(answers))
        found = render(turns, tools, named)
        if isinstance(found, Drop):
            return found
        if self.train_on == "all":
            return found, [(0, len(found.text))]
        if self.train_on == "completion":
            last = max((n for n, turn in enumerate(turns) if turn.role == "user"), default=-1)
            after = [n for n in learned if n > last] or learned[-1:]
            return found, [(found.answers[after[0]][0], len(found.text))]
        return found, sorted(found.answers[n] for n in learned)

    def _phrased(self, row: Row) -> tuple[list[Message], tuple[str, str] | None]:
        """The row's turns with its last question put another way."""
        asks = [n for n, turn in enumerate(row.turns) if turn.role == "user"]
        if not self.phrasings or not asks:
            return row.turns, row.named
        turn = row.turns[asks[-1]]
        instruction, extra = cut(turn.content, row.named)
        fitting = [one for one in self.phrasings if (INPUT in one) == bool(extra)]
        if not fitting:
            return row.turns, row.named
        drawn = fitting[int(key_of("phrasing", row.id)[:8], 16) % len(fitting)]
        before, _, behind = drawn.partition(INSTRUCTION)
        text = before.replace(INPUT, extra) + instruction + behind.replace(INPUT, extra)
        turns = [*row.turns]
        turns[asks[-1]] = Message(turn.role, text, turn.weight, turn.more)
        return turns, None


def _speaks(turn: Message) -> bool:
    """Whether a turn is an answer: of words, or a call of a tool."""
    return turn.role == "assistant" and (bool(turn.content.strip()) or calls(turn.more))


def _weight(turn: Message) -> bool:
    """Whether an answer is learned. The loss learns a token or it doesn't: there is nothing between."""
    if turn.weight not in (None, 0, 1):
        raise StageError(
            f"a turn has the weight {turn.weight:g}, but an answer is learned (1) or read only (0)",
            fix="make its `weight` 0 or 1; to weigh sources against each other, use `mix`",
        )
    return turn.weight != 0


class _AlpacaRenderer:
    def __init__(self, style: str) -> None:
        self._texts = ALPACAS[style]

    def __call__(self, turns: list[Message], tools: str | None, named: tuple[str, str] | None) -> Rendered | Drop:
        return alpaca(turns, self._texts, named) or Drop("many_turns", len(turns))


class _ChatRenderer:
    """A chat template: a published one, the tokenizer's own, or a file."""

    def __init__(self, stage: Template, env: Env) -> None:
        from datakit.stages.template.chat import ChatTemplate

        source, named, stops = _source(stage, env)
        self._template = ChatTemplate(source, named, stops)
        self.skeleton = self._template.skeleton
        self._name = stage.name

    def __call__(self, turns: list[Message], tools: str | None, named: tuple[str, str] | None) -> Rendered | Drop:
        from datakit.stages.template.chat import Lost, Refused, ToolControl, Unverified

        try:
            return self._template.render(turns, tools)
        except Refused:
            return Drop("refused", len(turns))
        except Lost:
            return Drop("lost_turn", len(turns))
        except ToolControl:
            return Drop("tool_control", len(turns))
        except Unverified as error:
            raise StageError(
                f"{self._name}: can't tell which part of the rendered text is the answer",
                fix="put {% generation %} ... {% endgeneration %} around answers in your own template (`style: jinja`)",
            ) from error


def _source(stage: Template, env: Env) -> tuple[str, dict[str, str], list[str]]:
    """The Jinja text of a style, the named tokens it may write, and the texts that may end an answer."""
    if stage.style in NAMED:
        one = NAMED[stage.style]
        return one.jinja, {}, [one.stop]
    source = Path(stage.file).read_text(encoding="utf-8") if stage.file else None
    if not stage.tokenizer:
        return source or "", {}, [stage.stop]
    from datakit.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(stage.tokenizer, env.cache)
    source = source or tokenizer.chat_template
    if not source:
        raise StageError(
            f"{stage.name}: the tokenizer {stage.tokenizer!r} has no chat template",
            fix="use `style: chatml` or `style: alpaca`, or give your own with `style: jinja` and `file:`",
        )
    return source, tokenizer.named, [stage.stop, *tokenizer.specials]


__all__ = ["CONTENTS", "Span", "Template"]
