"""Tasks for eyes, ears and a browser: what a model of text can neither see, make nor open.

Phrases rather than single words: `map` in "map each name to a number" is no picture, "draw a conclusion" draws nothing,
and a text may speak of a photo. An address is a defect where it stands for what should be read.
"""

from __future__ import annotations

import re

_MEDIA = r"(?:image|picture|photo(?:graph)?|video|audio(?: file| clip)?|recording|screenshot|painting)"
_FILES = r"(?:file|map|graph|chart|diagram|figure|spreadsheet|attachment|pdf)"
SEEN = re.compile(
    rf"(?i)\b(?:(?:this|the following|the attached|attached|the given|given|the above|the below"
    rf"|the provided)\s+(?:\w+\s+)?{_MEDIA}s?"
    rf"(?!\s+(?:caption|description|prompt|title|script|transcript|format|file name|editing|editor|essay|frame"
    rf"|book))\b"
    rf"|(?:the attached|attached|the following|the given)\s+{_FILES}\b(?!\s+(?:name|path|format|extension|system"
    rf"|structure|type|list|titled|legend|key))"
    r"|(?:draw|sketch|paint|plot)\s+(?:me\s+)?(?:an?|the|this|your)\s+(?!(?:\w+\s+){0,2}(?:conclusion|comparison"
    r"|parallel|distinction|line between|analogy|lesson|inference|contrast|name|card|winner|lot)s?\b)"
    r"(?:\w+\s+){0,4}(?:picture|image|portrait|map|graph|chart|diagram|sketch|cartoon|landscape|circle|flower"
    r"|animal|cat|dog|house|tree|scene|curve|histogram|poster|logo)\b"
    r"|(?:upload|download|attach)\s+(?:an?|the|this|your)\s+(?:\w+\s+)?(?:file|image|picture|photo|video|document)\b"
    r"|(?:create|generate|design|make|produce|edit|crop)\s+(?:an?|the|this)\s+(?:\w+\s+){0,2}(?:image|photo|picture"
    r"|video clip|animation|audio)\b"
    r"(?!\s+(?:caption|description|prompt|title|script|recognition|classif|gallery))"
    r"|(?:listen to|watch)\s+(?:the|this)\s+(?:following\s+|attached\s+)?(?:audio|song|clip|video|recording)\b)"
)
SEEN_KO = re.compile(
    r"(?:첨부(?:한|된|하신)?|다음|아래|(?<![가-힣])이|주어진|제시된)"
    r"\s?(?:그림|사진|이미지|영상|동영상|음성|녹음|스크린샷)(?:을|를|에|에서|은|는|과|의|이|가)?"
    r"(?!\s?(?:설명|캡션|제목)(?:을|를)?\s?(?:읽|참고))(?=[\s.,]|$)"
    r"|첨부(?:한|된|하신)?\s?(?:파일|문서|지도|그래프|차트|도표)|(?:다음|아래|주어진)\s?(?:지도|그래프|차트)(?:을|를|에서|에)\s?(?:보|분석|해석|참고)"
    r"|(?:그림|초상화|풍경화|만화|그래프|지도|도형|로고|포스터)(?:을|를)\s?(?:[가-힣]{1,6}\s)?"
    r"그(?:려|리(?!면서|던|고 있))"
    r"|(?:영상|동영상|사진|이미지)(?:을|를)\s?(?:만들어|생성|제작|편집|찍어)(?!진)|(?:노래|음악)(?:을|를)\s?(?:틀어|재생|녹음|들려)"
)
ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
OPENED = re.compile(
    r"(?i)\b(?:article|page|site|website|link|video|url|post|blog|document)\s+(?:at|from|below|here|linked"
    r"|found at)?\s*:?\s*(?:https?://|www\.)"
    r"|(?:open|visit|go to|browse|read|watch|access|summari[sz]e|check|fetch|scrape)\s+(?:(?:the"
    r"|this)\s+)?(?:\w+\s+){0,3}(?:https?://|www\.)"
    r"|(?:https?://|www\.)\S+\s?(?:에|를|을|의)?\s?(?:들어가|접속|방문|열어|읽고|참고|요약|내용을)"
)
AROUND = 24
"""An input with an address and fewer characters beside it than this is but the address."""


def beyond_text(instruction: str, given: str) -> str:
    """What a model of text would need, `sight` or `web`; "" if it needs neither."""
    if SEEN.search(instruction) or SEEN_KO.search(instruction):
        return "sight"
    if re.search(r"!\[[^\]]*\]\(\s*http|<img\s+[^>]*src\s*=", given + instruction):
        return "sight"
    if OPENED.search(instruction):
        return "web"
    bare = ADDRESS.sub("", given).strip()
    return "web" if given and ADDRESS.search(given) and len(bare) < AROUND and not _about_addresses(instruction) else ""


def _about_addresses(instruction: str) -> bool:
    """Whether the address itself is what is asked about: its domain, its parts, whether it is valid."""
    return bool(
        re.search(
            r"(?i)\b(?:urls?|domain|address|links?|protocol|valid|parse|extract|regex)\b|주소|도메인|링크", instruction
        )
    )
