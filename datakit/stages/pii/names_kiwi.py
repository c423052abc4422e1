"""Korean names without label or title, by morphemes: a surname and two syllables that Korean grammar reads as a name.

    담당자 김민수가   ->  김 NNP | 민 NNG | 수 NNG | 가 JKS      a surname by itself, two syllables of names, a particle
    이서연은         ->  이서연 NNP | 은 JX                     a proper noun, or unknown noun, of that shape and length
    이사건은, 서초구에  ->  이 MM | 사건 NNG ...; 서초구 NNP ...     no name: read otherwise; the ending of a place

The analyser only looks at sentences that hold such a shape and, if `cued`, a sign of persons in them or beside them: a
label, a title, a phone number, an e-mail address, a birth year. Particles stay outside a span. Names of two syllables,
given names alone and foreign names aren't looked for: every tenth noun has their shape.

                 forms, mails, chats made for the bench     klue-ner dev (news: celebrities, foreigners, bare surnames)
    rules        R 0.06  P 0.66  F2 0.07                    R 0.07  P 0.99  F2 0.08
    cued         R 0.91  P 0.91  F2 0.91                    R 0.15  P 0.96  F2 0.18
    all          R 0.94  P 0.91  F2 0.94                    R 0.36  P 0.94  F2 0.41      (bench_pii_names)

The forms were written beside this file: on those of others expect less. Four tenths of the klue-ner names have a
surname and two syllables; of these, `all` finds 0.86.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from datakit.stages.pii.kiwi_process import LONGEST, UNKNOWN, Morpheme, harmless, kiwi_process
from datakit.stages.pii.names import pieces
from datakit.stages.pii.names_ko import FIRST, RULES, SECOND, SURNAMES
from datakit.stages.pii.rules import VETO, all_labels, trie

Read = Callable[[Sequence[str]], list[list[Morpheme]]]
"""Reads harmless texts into morphemes."""

_REMEMBERED = 4096
"""Pieces whose names are kept for the next look at the same record."""
_COMPOUND = ("남궁", "황보", "제갈", "선우", "독고", "사공", "서문", "동방")
_CANDIDATE = re.compile(rf"(?<![가-힣0-9A-Za-z])(?:{'|'.join(_COMPOUND)}|[{SURNAMES}])[가-힣]{{2}}")
_BREAKS = re.compile(r"(?<=[다요죠까음임함됨오][.!?])\s+|\n+")
_NUMBER = r"@|[0-9]{3,4}[-. )]{1,2}[0-9]{3,4}|01[016-9][0-9]{7,8}|[0-9]{2}(?:년생|세|학번)|\([0-9]{2}\)"
_PLACE_ENDINGS = frozenset("도당대시역궁면군차코트크스드산청점관함팀법")
_WARD_ENDINGS = {
    "구": frozenset("김이박최정조윤임한오신황안전홍문배허설엄차채"),
    **dict.fromkeys("동리강로", frozenset("김박최윤권임황홍")),
}
"""Last syllables that wards, villages and rivers share with people, and surnames that begin hardly any of those."""
_READ_AS_TWO = frozenset("김이박최정강조윤장임한오서신권황안송전홍유문손백허남심노곽채엄")
"""Surnames that seldom begin a longer noun, for readings such as 이현 | 준."""
_AFTER = frozenset({"VCP", "XSN", "NNB", "NNG", "W_SERIAL", "SN"})


class KoreanNames:
    """The engine: `names(text)` gives the places of Korean names in a folded text."""

    def __init__(self, *, cued: bool = True, read: Read | None = None) -> None:
        self._cued, self._read = cued, read or kiwi_process()
        self._known: dict[str, list[tuple[int, int]]] = {}

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        asked = list(self._asked(text))
        for (start, _), names in zip(asked, self._names([text[a:b] for a, b in asked]), strict=True):
            yield from ((start + low, start + high) for low, high in names)

    def _names(self, parts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """The names in some pieces. A record is looked at until nothing is found: only new pieces are read."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        texts = [harmless(part) for part in parts]
        new = sorted({text for text in texts if text not in self._known})
        for text, morphemes in zip(new, self._read(new), strict=True):
            self._known[text] = list(names_in(text, morphemes))
        return [self._known[text] for text in texts]

    def _asked(self, text: str) -> Iterator[tuple[int, int]]:
        """The pieces worth a reading."""
        if not _CANDIDATE.search(text):
            return
        parts = list(pieces(text, _BREAKS, LONGEST))
        hot = [not self._cued or _cue().search(text, start, end) is not None for start, end in parts]
        for place, (start, end) in enumerate(parts):
            if any(hot[max(0, place - 1) : place + 2]) and _CANDIDATE.search(text, start, end):
                yield start, end


@cache
def _cue() -> re.Pattern[str]:
    """What says that persons are spoken of: labels of personal numbers, signs of names, numbers of that form."""
    labels = {word for kind, words in all_labels().items() if kind != VETO for word in words if not word.isascii()}
    signs = {needle for rule in RULES for needle in rule.needles}
    return re.compile(f"{trie(labels | signs)}|{_NUMBER}")


def names_in(text: str, morphemes: Sequence[Morpheme]) -> Iterator[tuple[int, int]]:
    """The names in a text that was read into morphemes."""
    for place, (start, _, _) in enumerate(morphemes):
        if match := _CANDIDATE.match(text, start):
            end = (
                start + 4
                if text[start : start + 2] in _COMPOUND and _is_hangul(text[start + 3 : start + 4])
                else match.end()
            )
            inside = [m for m in morphemes[place : place + 4] if m[0] < end]
            behind = morphemes[place + len(inside)] if place + len(inside) < len(morphemes) else None
            if _ends_at(end, inside, behind) and _is_name(text[start:end], inside):
                yield start, end


def _ends_at(end: int, inside: Sequence[Morpheme], behind: Morpheme | None) -> bool:
    """Whether the morphemes end where the name does, and what follows directly may follow a name."""
    start, length, _ = inside[-1]
    if start + length != end:
        return False
    return behind is None or behind[0] > end or behind[2][0] in "JS" or behind[2] in _AFTER


def _is_name(value: str, inside: Sequence[Morpheme]) -> bool:
    """Whether the morphemes of a surname and two syllables make a name of them."""
    first, second = value[-2], value[-1]
    syllables = first in FIRST and second in SECOND
    tags, lengths = [tag for _, _, tag in inside], [length for _, length, _ in inside]
    if tags == [UNKNOWN]:
        return syllables
    if tags == ["NNP"]:
        return (first in FIRST or second in SECOND or len(value) == 4) and not _is_place(value)
    if not syllables:
        return False
    if lengths[0] == 1:
        return tags[0] == "NNP" or (tags[0][0] in "NM" and len(tags) == 3 and all(tag[0] in "NXM" for tag in tags))
    return (
        lengths == [2, 1]
        and tags[1][0] == "N"
        and (tags[0] == "NNP" or (tags[0] == "NNG" and value[0] in _READ_AS_TWO))
    )


def _is_place(value: str) -> bool:
    last = value[-1]
    return last in _PLACE_ENDINGS or (last in _WARD_ENDINGS and value[0] not in _WARD_ENDINGS[last])


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣"
