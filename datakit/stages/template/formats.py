"""The prompts for one question and one answer: Alpaca as it was published, KoAlpaca's, and one in Korean.

    alpaca      the two prompts of Stanford Alpaca (tatsu-lab/stanford_alpaca, train.py): the answer follows
                `### Response:` at once, and the end token, which `tokenize` adds, follows the answer
    koalpaca    the two prompts of KoAlpaca (Beomi/KoAlpaca, train.py), English and Korean side by side
    alpaca-ko   the same shape in Korean alone, worded for this project

`alpaca` renders one row and says which characters every message's content and the answer took.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from datakit.schemas import Message

Span = tuple[int, int]


@dataclass(slots=True)
class Rendered:
    """A row as text. `answers`: number of an assistant's message -> the characters it is trained on, with the stop."""

    text: str
    answers: dict[int, Span] = field(default_factory=dict)
    contents: list[Span] = field(default_factory=list)
    """Characters that a person or a model wrote, in order: a special token's name in there is plain text."""


@dataclass(frozen=True, slots=True)
class AlpacaTexts:
    """The words of an Alpaca-like prompt."""

    with_input: str
    without_input: str
    instruction: str
    input: str
    response: str


_ALPACA = AlpacaTexts(
    with_input=(
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request."
    ),
    without_input=(
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    ),
    instruction="### Instruction:\n",
    input="### Input:\n",
    response="### Response:",
)
_KOALPACA = AlpacaTexts(
    with_input=(
        "Below is an instruction that describes a task, paired with an input that provides further context.\n"
        "아래는 작업을 설명하는 명령어와 추가적 맥락을 제공하는 입력이 짝을 이루는 예제입니다.\n\n"
        "Write a response that appropriately completes the request.\n요청을 적절히 완료하는 응답을 작성하세요."
    ),
    without_input=(
        "Below is an instruction that describes a task.\n"
        "아래는 작업을 설명하는 명령어입니다.\n\n"
        "Write a response that appropriately completes the request.\n"
        "명령어에 따른 요청을 적절히 완료하는 응답을 작성하세요."
    ),
    instruction="### Instruction(명령어):\n",
    input="### Input(입력):\n",
    response="### Response(응답):",
)
_ALPACA_KO = AlpacaTexts(
    with_input="다음은 할 일을 알려 주는 지시와, 그 일에 필요한 입력입니다. 지시에 알맞은 답을 쓰세요.",
    without_input="다음은 할 일을 알려 주는 지시입니다. 지시에 알맞은 답을 쓰세요.",
    instruction="### 지시:\n",
    input="### 입력:\n",
    response="### 답:\n",
)
ALPACAS = {"alpaca": _ALPACA, "koalpaca": _KOALPACA, "alpaca-ko": _ALPACA_KO}
"""Style -> words."""


def alpaca_jinja(texts: AlpacaTexts) -> str:
    """The Alpaca form as a chat template, so that an adapter trained on it is served what it was trained on.

    The whole user message stands under the instruction, as published for rows without an input.
    """
    words = {"preamble": texts.without_input, "asks": f"\n\n{texts.instruction}", "answers": f"\n\n{texts.response}"}
    spelled = "".join(f"{{%- set {name} = {json.dumps(text, ensure_ascii=False)} -%}}" for name, text in words.items())
    return spelled + (
        "{%- if messages[0].role != 'system' -%}{{- preamble -}}{%- endif -%}"
        "{%- for message in messages -%}"
        "{%- if message.role == 'system' -%}{{- message.content -}}"
        "{%- elif message.role == 'user' -%}{{- asks + message.content -}}"
        "{%- else -%}{{- answers + message.content + eos_token -}}{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- answers -}}{%- endif -%}"
    )


class _Writer:
    """Joins pieces and remembers where contents came to stand."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._at = 0
        self.contents: list[Span] = []

    def fixed(self, text: str) -> None:
        self._pieces.append(text)
        self._at += len(text)

    def content(self, text: str) -> Span:
        span = (self._at, self._at + len(text))
        self.fixed(text)
        self.contents.append(span)
        return span

    def rendered(self, answers: dict[int, Span]) -> Rendered:
        return Rendered("".join(self._pieces), answers, self.contents)


def alpaca(turns: Sequence[Message], texts: AlpacaTexts, named: tuple[str, str] | None = None) -> Rendered | None:
    """One question and its answer in Alpaca's form; None for any other conversation.

    `named`: what the row's source called instruction and input. They only say where the user's message is to be cut:
    the text always comes from the message, which later stages may have rewritten. A system message stands
    for the preamble.
    """
    roles = [turn.role for turn in turns]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        return None
    instruction, extra = cut(turns[-2].content, named)
    out = _Writer()
    if roles[0] == "system":
        out.content(turns[0].content)
    else:
        out.fixed(texts.with_input if extra else texts.without_input)
    out.fixed(f"\n\n{texts.instruction}")
    out.content(instruction)
    if extra:
        out.fixed(f"\n\n{texts.input}")
        out.content(extra)
    out.fixed(f"\n\n{texts.response}")
    answer = out.content(turns[-1].content)
    return out.rendered({len(turns) - 1: answer})


def cut(message: str, named: tuple[str, str] | None) -> tuple[str, str]:
    """A user's message as (instruction, input): cut where its source's instruction ends or its input begins."""
    if named is None or not named[1].strip():
        return message, ""
    instruction, extra = named
    if instruction and message.startswith(instruction) and message[len(instruction) :][:1].isspace():
        return instruction, message[len(instruction) :].strip()
    if extra and message.endswith(extra) and message[: -len(extra)][-1:].isspace():
        return message[: -len(extra)].strip(), extra
    return message, ""
