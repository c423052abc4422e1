"""Words that give a row away: no output, a leaked second task, a refusal, the many spellings of "no input"."""

from __future__ import annotations

import re

NOTHING = re.compile(
    r"(?i)[<\[(]?(?:n/?a|none|null|nan|no[ _-]?output|not applicable|output|to be determined|tbd|없음|해당\s?없음"
    r"|출력\s?없음|답\s?없음)[>\])]?[.:]?"
)
LEAKED = re.compile(
    r"(?im)^\s*(?:#+\s*)?(?:\d{1,3}\s?[.)]\s*)(?:instruction|지시(?:문|사항)?|명령|과제)\s*[:：]"
    r"|^\s*#{2,}\s*(?:instruction|지시(?:문|사항)?)\s*[:：]?\s*$"
    r"|\d{1,2}\.\s?(?:Instruction|지시(?:문|사항)?)\s?[:：]"
    r"|^\s*(?:instruction|지시(?:문|사항)?)\s*[:：]"
)
REFUSAL = re.compile(
    r"(?i)\W*(?:(?:i(?:['’]m| am)\s+(?:(?:very |so |really )?sorry|unable|not able)|sorry)\b[^.!?\n]{0,80}"
    r"(?:can(?:['’]t|not)|unable|not able|don['’]t have|am not|do not have|won['’]t)"
    r"|i(?:['’]m| am) (?:sorry|unable)\b,? but\b|sorry, (?:but )?(?:i|as)\b"
    r"|as an? (?:ai|artificial intelligence|language model|large language model)\b"
    r"|i (?:can(?:['’]t|not)|am unable to|am not able to|won['’]t) (?:help|assist|do that|answer|provide|create"
    r"|generate|write|fulfil)"
    r"|this (?:type of )?(?:instruction|task|request) (?:cannot|can['’]t) be (?:completed|fulfilled|done)"
    r"|죄송(?:하지만|합니다만|합니다[.,]|해요[.,])[^\n]{0,60}(?:없|못|어렵|불가|않|드리기)"
    r"|(?:저는|전)\s?(?:인공지능|AI|언어\s?모델|챗봇)[^\n]{0,60}(?:없|못|어렵|불가|않|모르|때문)"
    r"|(?:제가\s?)?(?:그것은\s?|이것은\s?|요청하신\s?\S{0,6}\s?)?도와\s?드릴 수 없"
    r"|(?:요청(?:하신)?|질문)[^\n]{0,20}(?:답변|응답|제공)(?:해\s?드리"
    r"|드리|하)(?:ㄹ|기|실|지)?[^\n]{0,6}(?:없|어렵))"
)
NO_INPUT = re.compile(
    r"(?i)[\[\(<{]?\s*(?:no[ _-]?inputs?(?:[ _-]?(?:required|needed|provided|necessary))?|none|n/?a|not applicable"
    r"|입력\s*(?:값|문)?\s*(?:이|은)?\s*없(?:음|습니다|다)|없음|해당\s*(?:사항\s*)?없음"
    r"|입력(?:이|은)?\s*(?:필요\s*없[음다습니]*|불필요))\s*[\]\)>}]?\s*\.?"
)


def no_output(output: str) -> str:
    """Why an answer is none: `empty`, `placeholder`, `cut` (it ends with a colon); "" if it is one."""
    text = output.strip()
    if not re.search(r"\w", text) and not any(ord(character) > 0x2000 for character in text):
        return "empty"
    if NOTHING.fullmatch(text):
        return "placeholder"
    return "cut" if text.endswith((":", "：")) else ""


def is_no_input(given: str) -> bool:
    """Whether an input says that there is none."""
    return bool(NO_INPUT.fullmatch(given.strip()))


def without_no_input(asked: str) -> str:
    """A question without a last paragraph that says that there is no input."""
    head, gap, last = asked.rstrip().rpartition("\n\n")
    return head.rstrip() if gap and head.strip() and is_no_input(last) else asked
