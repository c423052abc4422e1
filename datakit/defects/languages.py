"""An answer in another language than the question, where nothing asks for it.

By script: Hangul against Latin letters. A Korean question answered without Hangul is one, if the answer is prose of
some length; an English question answered mostly in Hangul too. Not if another language is named or meant (translate,
영어로, 작문, a word of another language in the question), nor if the answer is code, a name, a number, a label.
"""

from __future__ import annotations

import re

HANGUL, LATIN = re.compile(r"[가-힣]+"), re.compile(r"[A-Za-z]+")
MEANT = re.compile(
    r"(?i)\b(?:translat\w*|korean|hangul|english|french|spanish|german|chinese|japanese|language|languages|romaniz\w*"
    r"|transliterat\w*|bilingual|multilingual)\b|번역|통역|영어|영문|영작|외국어|원어|한국어|국문|불어|프랑스어|스페인어|독일어|중국어|일본어"
    r"|옮기|옮겨|로마자|알파벳|코드|함수|프로그램|쿼리|SQL|HTML|스크립트|정규\s?표현식|정규식|명령어"
)
CODE = re.compile(r"```|[{};]\s*$|^\s*(?:def|class|import|SELECT|#include|function)\b", re.MULTILINE)
PROSE_WORDS, PROSE_SYLLABLES = 8, 16
"""Fewer words or syllables than this may be a name, a title, a label."""


def other_language(asked: str, output: str) -> str:
    """`en` or `ko`: the language that the answer is in and should not be; "" if all is well."""
    hangul, latin = _size(HANGUL, asked), _size(LATIN, asked)
    if not hangul + latin or MEANT.search(asked) or CODE.search(output):
        return ""
    korean, english = _size(HANGUL, output), _size(LATIN, output)
    if hangul * 2 > latin and hangul >= 5:
        return "en" if korean * 20 < english and len(LATIN.findall(output)) >= PROSE_WORDS else ""
    return "ko" if hangul == 0 and korean >= PROSE_SYLLABLES and korean * 2 > english else ""


def _size(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))
