"""Korean near duplicates made to order: what people and machines do to a text, at graded rates, and look-alikes.

    kind         what is done to `rate` of the text's ...
    particle     eojeol that end in a particle: another one (집에 -> 집에서, 밥을 -> 밥은)
    eojeol       eojeol: replaced by one of another text, deleted, one added, a syllable mistyped, in equal parts
    spacing      blanks: left out, eojeol torn in two (할 수 있다 -> 할수 있다)
    politeness   sentence ends: -습니다, -어요, -다 for one another (먹었다 -> 먹었습니다 -> 먹었어요)
    nfd          nothing of it: the whole text in conjoining jamo, as macOS writes names

`negatives` are texts of one template about different things, alike in half of their syllables or more: never copies.
The base texts are the Korean documents of sample_data. Every draw comes from the seed.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

from datakit.runner import apply
from datakit.stages.ingest import Ingest

SAMPLE = Path(__file__).parents[1] / "sample_data" / "corpus"
RATES = (0.01, 0.05, 0.1, 0.2)
LEAST_EOJEOL = 40
"""Shortest base text: below, 5 % is one eojeol or two, and chance decides."""

# Particles that stand for each other, longest first; one of the same row is taken instead.
_PARTICLES = (
    ("에서는", "에서도"),
    ("에서", "에", "에는"),
    ("으로", "으로는"),
    ("은", "이", "을"),
    ("는", "가", "를"),
    ("의", "도"),
)
_ENDS = (
    ("했습니다", "했어요", "했다"),
    ("었습니다", "었어요", "었다"),
    ("았습니다", "았어요", "았다"),
    ("겠습니다", "겠어요", "겠다"),
    ("있습니다", "있어요", "있다"),
    ("없습니다", "없어요", "없다"),
    ("합니다", "해요", "한다"),
    ("됩니다", "돼요", "된다"),
    ("입니다", "이에요", "이다"),
)
_SENTENCE_END = re.compile(r"([가-힣]+)(?=[.!?])")


@cache
def base_texts() -> tuple[str, ...]:
    """The Korean documents of the sample data, long enough for graded edits, exact copies left out."""
    shards = [apply(Ingest(files=str(SAMPLE / files))).rows for files in ("*_ko.json*", "*_ko/*")]
    texts = [text for shard in shards for text in shard.column("text").to_pylist()]
    texts = [text for text in texts if len(text.split()) >= LEAST_EOJEOL]
    return tuple(dict.fromkeys(text for text in texts if len(re.findall("[가-힣]", text)) > len(text) // 3))


def particle(text: str, rate: float, draw: random.Random) -> str:
    """Another particle at the end of some eojeol."""

    def swapped(eojeol: str) -> str | None:
        for group in _PARTICLES:
            for ending in group:
                if eojeol.endswith(ending) and len(eojeol) > len(ending) + 1:
                    return eojeol[: -len(ending)] + draw.choice([other for other in group if other != ending])
        return None

    return _some(text, rate, draw, swapped)


def eojeol(text: str, rate: float, draw: random.Random) -> str:
    """Some eojeol replaced, deleted, added or mistyped, in equal parts."""
    words = [word for other in base_texts() for word in other.split()]

    def changed(word: str) -> str:
        how = draw.randrange(4)
        if how == 0:
            return draw.choice(words)
        if how == 1:
            return ""
        if how == 2:
            return f"{word} {draw.choice(words)}"
        place = draw.randrange(len(word))
        return word[:place] + chr(0xAC00 + draw.randrange(11172)) + word[place + 1 :]

    return _some(text, rate, draw, changed)


def spacing(text: str, rate: float, draw: random.Random) -> str:
    """Some blanks left out, some eojeol torn."""
    words = text.split(" ")
    out = words[0]
    for word in words[1:]:
        if len(word) >= 4 and draw.random() < rate / 2:
            word = f"{word[:2]} {word[2:]}"
        out += ("" if draw.random() < rate / 2 else " ") + word
    return out


def politeness(text: str, rate: float, draw: random.Random) -> str:
    """Other endings of some sentences that end in a known one."""

    def level(found: re.Match[str]) -> str:
        for group in _ENDS:
            for ending in group:
                if found[0].endswith(ending) and draw.random() < rate:
                    return found[0][: -len(ending)] + draw.choice([other for other in group if other != ending])
        return found[0]

    return _SENTENCE_END.sub(level, text)


def nfd(text: str, rate: float, draw: random.Random) -> str:
    """Decomposed Hangul."""
    return unicodedata.normalize("NFD", text)


EDITS: dict[str, Callable[[str, float, random.Random], str]] = {
    "particle": particle,
    "eojeol": eojeol,
    "spacing": spacing,
    "politeness": politeness,
    "nfd": nfd,
}


def pairs(kind: str, rate: float, seed: int = 0) -> list[tuple[str, str]]:
    """Every base text with its edited copy; texts that the edit leaves as they are stay out."""
    edit = EDITS[kind]
    found = [
        (text, edit(text, rate, random.Random(f"{seed} {kind} {rate} {n}"))) for n, text in enumerate(base_texts())
    ]
    return [(text, copy) for text, copy in found if copy != text]


def _some(text: str, rate: float, draw: random.Random, change: Callable[[str], str | None]) -> str:
    """The text with `rate` of its eojeol changed, of those that `change` knows how to: at least one."""
    pieces = re.split(r"(\s+)", text)
    places = [place for place in range(0, len(pieces), 2) if pieces[place]]
    wanted = max(1, round(rate * len(places)))
    for place in draw.sample(places, len(places)):
        if not wanted:
            break
        new = change(pieces[place])
        if new is not None:
            pieces[place] = new
            wanted -= 1
    return "".join(pieces)


_TEMPLATES = (
    "안녕하세요, {0}입니다. 저희 가게는 {1}에 있고 {2} 팝니다. 자세한 내용은 가게로 문의해 주세요. "
    "{1} 주차장을 이용하실 수 있습니다. {2} 보내 드립니다.",
    "[공지] {0} 여름휴가 안내. 늘 찾아 주셔서 감사합니다. {1} 공사 때문에 이번 주는 쉽니다. "
    "쉬는 동안에는 {2} 팔지 않으니 너그럽게 이해해 주시기 바랍니다. {0} 드림.",
    "질문: {1} 근처에서 {2} 파는 곳을 아시나요? 답변: {0}에 가 보세요. "
    "{2} 판 지 십 년이 넘었고 {1}이라 찾기도 쉽습니다.",
)
_SHOPS = (
    ("민수네 떡집", "인절미와 절편을 아침마다 쪄서"),
    ("하늘 자전거", "중고 자전거와 안장을 손질해서"),
    ("달빛 책방", "헌책과 그림엽서를 골라서"),
    ("바다 수산", "갓 잡은 고등어와 꽃게를"),
    ("초록 화원", "분갈이한 화분과 거름흙을"),
    ("은하 안경원", "도수에 맞춘 안경알과 안경테를"),
    ("솔밭 목공소", "호두나무 의자와 책장을 짜서"),
    ("별내 세탁소", "주인이 찾아가지 않은 외투와 교복을"),
)
_PLACES = (
    "시장 골목 안쪽 파란 대문 옆",
    "강변 공원 매표소 맞은편",
    "학교 앞 언덕 첫째 건물 이층",
    "항구 어판장 동쪽 끝",
)


def negatives() -> list[str]:
    """Texts of a few templates, no two of one template about the same shop and the same place."""
    filled = product(_TEMPLATES, _SHOPS, _PLACES)
    return [template.format(shop, place, goods) for template, (shop, goods), place in filled]
