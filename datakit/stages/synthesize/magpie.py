"""Magpie (Xu et al. 2024, arXiv:2406.08464): the teacher's own chat template with an empty user turn, which it fills.

    <|im_start|>system … <|im_end|> <|im_start|>user  ->  a task, as such a model's users ask  ->  answered by a chat request

An aligned model has learned what users write, so it needs no seeds. That takes raw completion: llama.cpp, vLLM and
`teacher: local` have it (/v1/completions); an endpoint that only chats (OpenAI's chat models) can't, and is told so. The
system message in front names a language and a field; fields are drawn, since an empty one gives mostly maths and code.
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from datakit.stages.synthesize.generate import Asking, fault_of
from datakit.stages.synthesize.growing import Growing, Growth
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.seeds import Seed

TEMPLATES = {
    "chatml": ("<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n", "<|im_end|>"),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    "gemma": ("<start_of_turn>user\n{system}\n\n", "<end_of_turn>"),
    "exaone": ("[|system|]{system}[|endofturn|]\n[|user|]", "[|endofturn|]"),
    "mistral": ("<s>[INST] {system}\n\n", "[/INST]"),
}
"""By chat template: what stands before the user's words, and what ends them. SmolLM2, Qwen and many more are chatml."""
FIELDS = {
    "ko": ("집안일과 요리", "직장 생활과 전자 우편", "학교 공부", "여행과 교통", "건강과 운동", "역사와 문화", "글쓰기와 맞춤법", "돈 관리와 장보기", "컴퓨터와 프로그래밍", "육아와 가족", "법률과 행정 서류", "과학 상식"),
    "en": ("cooking and the household", "work and e-mail", "school subjects", "travel", "health and sport", "history and culture", "writing and editing", "money and shopping", "computers and programming", "family life", "forms and rights", "science"),
}  # fmt: skip


class Magpie(Growing):
    """Tasks that the teacher writes for an empty user turn, with its answers; needs raw completion."""

    asked_with: ClassVar[tuple[str, ...]] = ("magpie", "answer")

    recipe: Literal["magpie"]
    """The teacher's own template with an empty user turn."""
    template: Literal["chatml", "llama3", "gemma", "exaone", "mistral"] = "chatml"
    """The chat template of the teacher's model."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Sampling temperature of the tasks and answers."""

    @property
    def needs_seeds(self) -> bool:
        """Seeds are optional: they count for novelty only."""
        return False

    def languages(self, seeds: Sequence[Seed]) -> tuple[str, ...]:
        """The language that is wanted, or both in turn."""
        return ("ko", "en") if self.language == "auto" else (self.language,)

    def one_round(self, growth: Growth, number: int, language: str) -> list[Asking]:
        """A window of empty turns, each in a field that is drawn."""
        fields = [growth.session.rng("field", number, place).choice(FIELDS[language]) for place in range(self.window)]
        return [self._asking(growth, language, field) for field in fields]

    def _asking(self, growth: Growth, language: str, field: str) -> Asking:
        session = growth.session
        before, stop = TEMPLATES[self.template]
        first = session.request("magpie", language, raw=before, max_tokens=200, stop=(stop,), field=field)
        [reply] = yield [first]
        fault = fault_of(reply)
        if fault is not None:
            return [fault]
        task = reply.text.strip()
        session.counters["instructions"] += 1
        if not growth.admits(task, language):
            return []
        second = session.request("answer", language, instruction=task)
        [reply] = yield [second]
        fault = fault_of(reply)
        if fault is not None:
            return [fault]
        growth.accept(Written(task, "", reply.text.strip()), language, "magpie", (first, second))
        return []
