"""The prompts of the generating recipes, in Korean and in English, for chat models.

The English ones follow the published recipes (Self-Instruct, arXiv:2212.10560; Stanford Alpaca) in what they ask for,
in own words; the Korean ones are written for Korean, not translated: they ask for Korean subjects, speech levels and
forms of instruction. Fields in braces are filled in one pass, so braces in a text are safe. A changed prompt is another
request: its replies are asked for anew.
"""

from __future__ import annotations

PROMPTS: dict[str, dict[str, str]] = {
    "en": {
        "instructions": (
            "Come up with {count} new tasks that one could give to a language model. They should differ from the"
            " examples"
            " and from one another in subject, verb and form. Each task is one or two sentences, can be done with"
            " text alone"
            " (no pictures, sound, files or web pages), and is written in English.\n"
            "Continue the numbered list; write nothing else.\n\n{examples}\n{next}."
        ),
        "classify": (
            "Is the following a classification task, that is, one with a small, fixed set of possible answers?"
            " Reply with Yes or No only.\n\nTask: {instruction}"
        ),
        "instance": (
            "Give one example for the task below: an input, if the task needs one beyond what it says, and the right"
            " output.\n"
            "If it needs no input, write <noinput>. Write everything in English and in exactly this form:\n"
            "Input: ...\nOutput: ...\n\nTask: {instruction}"
        ),
        "labels": (
            "The task below is a classification. Choose one of its possible labels, then write an input of some"
            " sentences to which that label belongs. Write everything in English and in exactly this form:\n"
            "Class label: ...\nInput: ...\n\nTask: {instruction}"
        ),
        "tasks": (
            "Write {count} tasks for a language model, each with its answer. Rules:\n"
            "- Vary verbs, subjects and forms: questions, requests, writing, rewriting, classifying, extracting,"
            " planning.\n"
            "- Only what can be done with text alone.\n"
            "- An instruction is one or two sentences. Give an input only where it needs one, with real content; else"
            " write"
            " <noinput>.\n"
            "- The output answers fully and correctly, in fewer than 150 words.\n"
            "- Everything is in English.\n"
            "Continue the list in the same form; write nothing else.\n\n{examples}\n{next}. Instruction:"
        ),
    },
    "ko": {
        "instructions": (
            "언어 모델에게 시킬 수 있는 새로운 과제를 {count}개 만들어 주세요. 보기와도, 서로와도 소재와 하는 일과"
            " 말투가"
            " 겹치지 않아야 합니다. 과제는 한두 문장이고, 그림·소리·파일·인터넷 없이 글만으로 할 수 있어야 하며,"
            " 자연스러운"
            " 한국어로 씁니다. ‘-해 주세요’, ‘-하시오’, ‘-해 줘’ 같은 말투를 섞어 주세요.\n"
            "번호를 이어서 목록만 쓰고 다른 말은 쓰지 마세요.\n\n{examples}\n{next}."
        ),
        "classify": (
            "다음 과제는 답이 정해진 몇 가지 가운데 하나인 분류 과제입니까? ‘예’ 또는 ‘아니요’로만 답하세요.\n\n과제:"
            " {instruction}"
        ),
        "instance": (
            "아래 과제의 예를 하나 만들어 주세요. 과제에 적힌 것 말고 입력이 더 필요하면 입력을 쓰고, 올바른 출력을"
            " 씁니다.\n"
            "입력이 필요 없으면 <입력 없음>이라고 쓰세요. 모두 한국어로, 꼭 다음 형식으로 씁니다.\n"
            "입력: ...\n출력: ...\n\n과제: {instruction}"
        ),
        "labels": (
            "아래 과제는 분류 과제입니다. 가능한 답 가운데 하나를 고른 다음, 그 답이 정답이 되는 입력을 몇 문장으로"
            " 지어"
            " 주세요. 모두 한국어로, 꼭 다음 형식으로 씁니다.\n"
            "정답: ...\n입력: ...\n\n과제: {instruction}"
        ),
        "tasks": (
            "언어 모델에게 시킬 과제와 그 답을 {count}개 써 주세요. 규칙은 다음과 같습니다.\n"
            "- 하는 일, 소재, 형식을 다양하게 합니다. 질문, 부탁, 글쓰기, 고쳐 쓰기, 분류, 뽑아내기, 계획 세우기를"
            " 섞습니다.\n"
            "- 글만으로 할 수 있는 일이어야 합니다.\n"
            "- 지시는 한두 문장입니다. 입력이 필요할 때만 실제 내용이 담긴 입력을 쓰고, 아니면 <입력 없음>이라고"
            " 씁니다.\n"
            "- 출력은 빠짐없고 올바르게, 400자 안으로 씁니다.\n"
            "- 모두 자연스러운 한국어로 씁니다. 한국의 생활과 말에 맞는 소재를 씁니다.\n"
            "같은 형식으로 목록을 이어서 쓰고 다른 말은 쓰지 마세요.\n\n{examples}\n{next}. 지시:"
        ),
    },
}
FORMS = {
    "en": {"instruction": "Instruction", "input": "Input", "output": "Output", "noinput": "<noinput>"},
    "ko": {"instruction": "지시", "input": "입력", "output": "출력", "noinput": "<입력 없음>"},
}


def filled(language: str, name: str, **fields: str) -> str:
    """A prompt with its fields filled in, each once and never in what was filled in."""
    text = PROMPTS[language][name]
    parts: list[str] = []
    while (start := text.find("{")) >= 0:
        end = text.index("}", start)
        parts += [text[:start], fields[text[start + 1 : end]]]
        text = text[end + 1 :]
    return "".join([*parts, text])
