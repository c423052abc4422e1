"""Code that was asked for and isn't there.

Asked for: a verb of making with an object that is code ("write a Python function", 함수를 작성), not talk about code
("explain what a function is", 프로그램을 설명). There: a fence, or marks and words that prose doesn't have.
"""

from __future__ import annotations

import re

ASKED = re.compile(
    r"(?i)\b(?:write|create|implement|develop|build|code|generate|provide|design|give(?: me)?|construct"
    r"|compose)\s+(?:(?:me|us)\s+)?"
    r"(?:an?|the|some|another)?\s*(?:[\w+#.-]+\s+){0,4}?(?:python|javascript|java|c\+\+|c#|sql|html|css|php|ruby"
    r"|bash|shell|typescript|rust|golang|regex)"
    r"\s+(?:[\w-]+\s+){0,2}?(?:code|function|program|script|class|query|method|snippet|statement|algorithm|page"
    r"|form|regex|loop)\b"
    r"|\b(?:write|implement)\s+(?:an?|the)\s+(?:[\w-]+\s+){0,2}?(?:function|code snippet|sql query"
    r"|regular expression|shell script|regex)\s+(?:that|to|which|for|in)\b"
    r"|(?:파이썬|자바스크립트|자바|파이선|python|javascript|java|c\+\+|sql|html|css|php|bash)(?:으로|로|의)?\s?(?:[가-힣\w]+(?:하는|을|를|된"
    r"|할|의)?\s){0,8}"
    r"(?:코드|함수|프로그램|스크립트|클래스|쿼리|쿼리문|질의문|메서드)(?:을|를)?\s?(?:작성|짜|구현|만들|써)"
    r"|(?:함수|코드|스크립트|쿼리|쿼리문|정규식|정규 표현식)(?:을|를)\s?(?:작성|짜\s?(?:줘|주|세)|구현)"
)
THERE = re.compile(
    r"```|`[^`\n]{3,}`|[{};]\s*$|^\s{4,}\S|\w+\([^)\n]*\)\s*[:;{.=]|\b\w+\([^)\n가-힣]*\)\s*$|=>|==|!=|:=|\+=|->"
    r"|</?\w+[^>]*>|\b(?:def|return|import|print|function|class|public|SELECT|select|INSERT|UPDATE"
    r"|DELETE|CREATE|var|let|const|#include|echo|elif|lambda|for|while|if)\b[ (]\S+.*[:({=;*]|\bSELECT\b"
    r"|^\s*[\w.\[\]]+\s*=\s*\S|[\\^$][dwsb.*+?(\[{]|\[[^\]\s]+\][*+?{]|^\s*[.#]?\w+\s*\{",
    re.MULTILINE,
)
TALK = re.compile(
    r"(?i)\b(?:pseudo-?code|in plain (?:english|words)|without (?:writing )?(?:any )?code|no code|steps?|outline"
    r"|explain how|describe how|flowchart|name for)\b|의사\s?코드|코드\s?없이|말로 설명|글로 설명"
)


def lacks_code(instruction: str, output: str) -> str:
    """`asked` if code was asked for and the answer holds none, else ""."""
    if not ASKED.search(instruction) or TALK.search(instruction):
        return ""
    return "" if THERE.search(output) else "asked"
