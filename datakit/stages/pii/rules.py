"""What a PII rule is, which kinds of personal data there are, and the list of all rules.

A rule is declared once and used twice: the fast engine (`scan`) runs it in windows around its anchors, and
`presidio_recognizers` hands it to presidio-analyzer, which runs it over the whole text. Both ask the same judge:

    label > checksum > shape      a label word right before the value decides; a check digit is next; then the shape
    a veto word (order no., version, court case ...) nearer than any label beats shape and checksum

`\\b` does not appear: a Hangul particle follows a value without a boundary. Borders are spelled out.
All patterns are bounded, so that cost stays linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, get_args

EntityType = Literal[
    "EMAIL", "PHONE", "RRN", "FRN", "PASSPORT", "DRIVER_LICENSE", "BRN", "CORP_NO", "BANK_ACCOUNT", "CARD", "VEHICLE",
    "IP", "MAC", "IBAN", "US_SSN", "SECRET", "URL_CREDENTIAL", "MESSENGER_ID", "PERSON", "ADDRESS", "BIRTH_DATE",
]  # fmt: skip
ENTITY_TYPES: tuple[EntityType, ...] = get_args(EntityType)
VETO = "VETO"
"""The kind of a word that says: the number here is no personal data."""
LISTED = "LISTED"
"""The entity type of values on the deny list."""


LEFT = r"(?<![0-9A-Za-z_])(?<![0-9][.\-])"
"""What may not stand before a number: a letter or digit, or a digit and a separator (then it goes on from there)."""
DOTS = "·ㆍ・"
"""Middle dots, which Korean writers put between the groups of a number."""
SAID = r"[\"'`]?\s?(?:\([^)\n]{1,14}\)\s?)?[:=|>]\s{0,2}[\"'`]?"
"""What stands between a field's label and its value: a sign, in JSON and code with quotes around (`"생일": "`)."""
RIGHT = r"(?![0-9])(?!-[0-9]{2})"
"""What may not stand behind a number."""


class Evidence(IntEnum):
    """Why a match is believed, weakest first; decides overlaps before anything else."""

    SHAPE = 1
    CHECKSUM = 2
    LABEL = 3


SCORES = {Evidence.SHAPE: 0.6, Evidence.CHECKSUM: 0.85, Evidence.LABEL: 0.95}
"""The score of a span by its evidence, as Presidio and `pii scan` show it."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of personal data: how grave a leak is (3: unique identifiers and secrets), and its tags."""

    risk: int
    ko: str
    en: str


ENTITIES: dict[str, Entity] = {
    "RRN": Entity(3, "주민등록번호", "RRN"),
    "FRN": Entity(3, "외국인등록번호", "FRN"),
    "PASSPORT": Entity(3, "여권번호", "PASSPORT"),
    "DRIVER_LICENSE": Entity(3, "운전면허번호", "DRIVER_LICENSE"),
    "US_SSN": Entity(3, "사회보장번호", "US_SSN"),
    "CARD": Entity(3, "카드번호", "CARD"),
    "IBAN": Entity(3, "국제계좌번호", "IBAN"),
    "BANK_ACCOUNT": Entity(3, "계좌번호", "BANK_ACCOUNT"),
    "SECRET": Entity(3, "비밀값", "SECRET"),
    "URL_CREDENTIAL": Entity(3, "접속정보", "URL_CREDENTIAL"),
    "EMAIL": Entity(2, "이메일", "EMAIL"),
    "PHONE": Entity(2, "전화번호", "PHONE"),
    "MESSENGER_ID": Entity(2, "메신저아이디", "MESSENGER_ID"),
    "PERSON": Entity(2, "이름", "PERSON"),
    "ADDRESS": Entity(2, "주소", "ADDRESS"),
    "BIRTH_DATE": Entity(2, "생년월일", "BIRTH_DATE"),
    "VEHICLE": Entity(2, "차량번호", "VEHICLE"),
    "IP": Entity(2, "IP주소", "IP"),
    "MAC": Entity(2, "MAC주소", "MAC"),
    "BRN": Entity(1, "사업자등록번호", "BRN"),
    "CORP_NO": Entity(1, "법인등록번호", "CORP_NO"),
    LISTED: Entity(3, "삭제", "REMOVED"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One declared rule. The value is group `v` or `w` of the pattern, or the whole match if it has neither.

    id        unique name, snake_case
    digits    > 0: the value lies in a run of digits and separators with at least so many digits, and the
              pattern begins with LEFT and then a digit, `(` or `+`
    needles   literal anchors, one of which every match holds: a match begins at most `back` characters before its
              beginning and ends at most `ahead` behind it; ASCII case is ignored and `0` stands for any digit
    solid     no match holds a space or a line break: its window ends at the first one on either side of a needle
    guard     False: never a value of this kind, whatever the label says
    check     True: a check digit holds
    alone     whether the shape is enough when there is neither label nor check digit
    firm      the shape is so much its own that a veto word near it changes nothing
    labelled  the pattern itself holds the label, or is one of a kind
    """

    id: str
    entity: EntityType
    pattern: str
    digits: int = 0
    needles: tuple[str, ...] = ()
    back: int = 0
    ahead: int = 0
    solid: bool = False
    guard: Callable[[str], bool] | None = None
    check: Callable[[str], bool] | None = None
    alone: bool = False
    firm: bool = False
    labelled: bool = False
    lang: str = ""
    """`ko` or `en`: the language whose texts the rule was written for; "" for both. All rules run on all texts."""


def all_rules() -> tuple[Rule, ...]:
    """Every declared rule, in a fixed order."""
    from datakit.stages.pii import rules_any, rules_en, rules_ko

    return (*rules_any.RULES, *rules_ko.RULES, *rules_en.RULES)


LANGUAGES = ("ko", "en")
"""The languages that rules were written for."""


def chosen_rules(entities: Iterable[str] | None = None, languages: Iterable[str] = LANGUAGES) -> list[Rule]:
    """The rules for some entity types (None: all) and languages; rules for both languages always."""
    types, tongues = None if entities is None else set(entities), {"", *languages}
    return [rule for rule in all_rules() if (types is None or rule.entity in types) and rule.lang in tongues]


def all_labels() -> dict[str, tuple[str, ...]]:
    """Label words by entity type, and veto words, Korean and English together (lower case)."""
    from datakit.stages.pii import rules_en, rules_ko

    kinds = (*ENTITY_TYPES, VETO)
    listed = {kind: (*rules_ko.LABELS.get(kind, ()), *rules_en.LABELS.get(kind, ())) for kind in kinds}
    return {kind: tuple(form for word in found for form in _forms(word)) for kind, found in listed.items()}


def _forms(word: str) -> tuple[str, ...]:
    """A label word, and for one of several English words the name that programs give it (accountNumber)."""
    return (word, word.replace(" ", "")) if " " in word and word.isascii() else (word,)


def trie(words: Iterable[str]) -> str:
    """A regular expression for the longest of some literal words: an alternation that branches on each character."""
    root: dict[str, dict] = {}
    for word in sorted(set(words)):
        node = root
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return _branches(root)


def _branches(node: dict[str, dict]) -> str:
    parts = [re.escape(char) + _branches(below) for char, below in node.items() if char]
    if not parts:
        return ""
    joined = parts[0] if len(parts) == 1 and "" not in node else f"(?:{'|'.join(parts)})"
    return f"{joined}?" if "" in node else joined


def words(text: str) -> tuple[str, ...]:
    """The words of a block of text; `_` stands for a space inside a word."""
    return tuple(word.replace("_", " ") for word in text.split())
