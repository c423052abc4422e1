"""What a Korean instruction asks for: its predicate and the object of it, by rules.

    다음 문장을 존댓말로 바꿔 주세요.        바꾸다, 문장
    글의 중심 내용을 한 문장으로 쓰시오.      쓰다, 내용
    봄이 오면 꽃이 피는 까닭은 무엇인가요?    무엇, 까닭

The predicate is that of the first sentence that asks: the word before 주세요, 줘 and the like, or the word with the
ending itself. Its stem is found by taking the ending off and undoing contractions (바꿔 -> 바꾸, 알려 -> 알리, 써 ->
쓰, 해 -> 하). The object is the nearest word before it that ends with 을 or 를, the right one for its sound.
Questions count by their word, with their topic (은/는, 이/가) as the object. No analyser is needed, and none is used:
the same figures everywhere.
"""

from __future__ import annotations

import re
import unicodedata

from datakit.stages.synthesize.passages import words

FIRST, LAST, FINALS, VOWELS = 0xAC00, 0xD7A3, 28, 21
SENTENCE = re.compile(r"(?<=[.!?。？])\s+|\n+")
ASIDE = re.compile(r"\([^()]{0,60}\)")
HELPING = words(
    "주세요 주십시오 주시오 주시겠어요 주시겠습니까 주실래요 주실 줘 줘요 주라 달라 보세요 보시오 봐 봐요 보자"
    " 볼까요 주길 주기 주시길 주면 주시면 주었으면 줬으면 바랍니다 바라요 좋겠어요 좋겠습니다 수 있나요 있을까요"
    " 있어 있을까 있습니까 있니 놓으세요 두세요 싶어요 싶습니다 싶어 싶은데 해요"
    " 합니다 한다 해 정말 감사하겠습니다 고맙겠습니다 도움이 되겠습니다 봅시다"
)
"""Words behind the predicate that only ask for it to be done."""
ENDINGS = (
    "으십시오", "십시오", "으시오", "시오", "으세요", "세요", "으셔요", "셔요", "으시기", "시기", "으라", "아라",
    "어라", "라", "기",
)  # fmt: skip
"""Endings that ask, the longer of two first."""
IRREGULAR = {
    "골라": "고르", "불러": "부르", "눌러": "누르", "흘러": "흐르", "달라": "다르", "지어": "짓", "이어": "잇",
    "나아": "낫", "도와": "돕", "구워": "굽", "외워": "외우", "배워": "배우", "채워": "채우", "세워": "세우",
    "키워": "키우", "지워": "지우", "물어": "묻", "걸어": "걷", "만들어": "만들", "들어": "들", "써": "쓰",
    "꺼": "끄", "따라": "따르", "해": "하", "하여": "하",
}  # fmt: skip
"""Forms in -아/어 whose stem the rule below doesn't give."""
QUESTIONS = (
    ("무엇", ("무엇", "뭐", "뭘", "무슨", "뭔가")), ("왜", ("왜", "까닭은", "이유는")),
    ("어떻게", ("어떻게", "어떡")), ("언제", ("언제",)), ("어디", ("어디",)), ("누구", ("누구", "누가")),
    ("어느", ("어느", "어떤")), ("얼마", ("얼마", "몇")),
)  # fmt: skip
ASKS = re.compile(r"(?:까|나요|가요|은가|는가|인가|니|지요|죠|던가|는지)[요]?[?？]?$|[?？]$")
OBJECT = re.compile(r"^[(‘“'\"]*([가-힣A-Za-z0-9·-]+?)[)’”'\"]*(을|를)[,]?$")
TOPIC = re.compile(r"^[(‘“'\"]*([가-힣A-Za-z0-9·-]+?)[)’”'\"]*(은|는|이|가|이란|란)[,]?$")


def predicate_and_object(instruction: str) -> tuple[str, str] | None:
    """The predicate of an instruction and its object ("" if there is none), None if nothing is asked."""
    text = ASIDE.sub(" ", unicodedata.normalize("NFC", instruction.strip()))
    sentences = [sentence for sentence in SENTENCE.split(text)[:8] if re.search("[가-힣]", sentence)]
    for asks in (_command, _question, _wish):
        for sentence in sentences:
            words = sentence.strip(" .!。\"'“”‘’)(").split()
            if words and (found := asks(sentence, words)):
                return found
    return None


def _wish(sentence: str, words: list[str]) -> tuple[str, str] | None:
    """`… 세 문장으로 대답한다`: a plain statement of what is to be done, where nothing asks more plainly."""
    found = re.fullmatch(r"([가-힣]+?)(?:합니다|한다|해요|해|하자|할래|할 것)", words[-1].strip(",.!?"))
    return (f"{found[1]}하다", _nearest(words[:-1], OBJECT)) if found else None


def _command(sentence: str, words: list[str]) -> tuple[str, str] | None:
    """`… 문장을 바꿔 주세요`, `… 쓰시오`."""
    last = len(words) - 1
    while last > 0 and words[last].strip(",.!?") in HELPING:
        last -= 1
    word = words[last].strip(",.!?”’\"'")
    stem = _joined_stem(word) if last == len(words) - 1 else connected_stem(word)
    if not stem:
        return None
    return f"{stem}다", _nearest(words[:last], OBJECT)


def _question(sentence: str, words: list[str]) -> tuple[str, str] | None:
    """`까닭은 무엇인가요?`"""
    if not ASKS.search(sentence.strip()):
        return None
    for name, forms in QUESTIONS:
        place = next((n for n, word in enumerate(words) if word.startswith(forms)), None)
        if place is not None:
            return name, _nearest(words[:place], TOPIC) or _nearest(words[place:], TOPIC)
    return "여부", _nearest(words, TOPIC)


def _joined_stem(word: str) -> str:
    """The stem of a word that holds its own asking ending: 쓰시오, 고르세요, 요약해줘, 답하라."""
    for helper in ("주세요", "주십시오", "주시오", "줘요", "줘", "보세요", "봐", "주라", "달라"):
        if word.endswith(helper) and len(word) > len(helper):
            return connected_stem(word.removesuffix(helper))
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return _plain(word.removesuffix(ending))
    return ""


def connected_stem(word: str) -> str:
    """The stem of a form in -아/어 as it stands before 주세요: 바꿔 -> 바꾸, 만들어 -> 만들, 요약해 -> 요약하."""
    word = word.removesuffix("야")
    for form in sorted(IRREGULAR, key=len, reverse=True):
        if word.endswith(form):
            return word.removesuffix(form) + IRREGULAR[form]
    if len(word) > 1 and word[-1] in "어아":
        return word[:-1]
    if not word or not FIRST <= ord(word[-1]) <= LAST:
        return ""
    onset, rest = divmod(ord(word[-1]) - FIRST, VOWELS * FINALS)
    vowel, final = divmod(rest, FINALS)
    # ㅕ -> ㅣ (알려), ㅝ -> ㅜ (나눠), ㅘ -> ㅗ (봐), ㅙ -> ㅚ (돼); ㅏ, ㅐ, ㅓ, ㅔ as they are (가, 보내, 건너, 세)
    undone = {6: 20, 14: 13, 9: 8, 10: 11}.get(vowel, vowel if vowel in (0, 1, 4, 5) else -1)
    if final or undone < 0:
        return ""
    return word[:-1] + chr(FIRST + (onset * VOWELS + undone) * FINALS)


def _plain(stem: str) -> str:
    """A stem before -시오, -세요: 만드 -> 만들 (ㄹ falls off there), else as it is."""
    return {"만드": "만들", "푸": "풀", "드": "들", "거": "걸", "아": "알", "늘어놓": "늘어놓"}.get(stem, stem)


def _nearest(words: list[str], particle: re.Pattern[str]) -> str:
    """The nearest word before that has such a particle, right for its sound, without it."""
    for word in reversed(words):
        found = particle.match(word)
        if found and len(found[1]) > 0 and _fits(found[1], found[2]):
            return found[1]
    return ""


def _fits(stem: str, particle: str) -> bool:
    """Whether a particle is the one that follows this sound; 은 or 는 behind a verb (하는, 피는) is none."""
    last = ord(stem[-1])
    closed = (last - FIRST) % FINALS > 0 if FIRST <= last <= LAST else None
    wanted = particle in ("을", "은", "이", "이란")
    if particle in ("은", "는") and stem[-1] in "하되있없같":
        return False
    return closed is None or closed == wanted
