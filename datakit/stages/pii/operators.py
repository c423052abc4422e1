"""What takes the place of a found value.

    tag            [전화번호] or [PHONE], by the language of the row
    mask           every letter and digit becomes *, separators stay:    ***-****-****
    partial        as mask, a harmless part stays:                       ***-****-5678, h***@naver.com, 김**
    surrogate      a made-up value of the same form that nobody can have:    010-0000-4721 (see `surrogates`)
    hash           a tag with a keyed digest in letters: equal values stay equal, nobody without the key gets back

Numbers that identify on their own (risk 3: resident numbers, cards, keys ...) are never shown in part.
None of these forms is found again by a rule; the stage checks that by looking a second time.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Literal

from datakit.stages.pii.rules import ENTITIES, Entity
from datakit.stages.pii.surrogates import surrogates

Operator = Literal["tag", "mask", "partial", "surrogate", "hash", "drop_document"]
Write = Callable[[str, str, str], str]
"""`write(entity, value, lang)`: the text that takes the place of a value."""
KEY_LEAST = 16
"""Shortest key for hashes, in bytes: eight-digit phone numbers are quickly tried against a short one."""

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_HANGUL = re.compile("[가-힣]+")
_LATIN = re.compile("[A-Za-z]+")
_KEPT_DIGITS = {"PHONE": 4, "BANK_ACCOUNT": 4, "VEHICLE": 4}


def tag(entity: str, lang: str) -> str:
    """`[이메일]` or `[EMAIL]`; a type of a foreign recognizer keeps its name."""
    known = ENTITIES.get(entity, Entity(2, entity, entity))
    return f"[{known.ko if lang == 'ko' else known.en}]"


def mask(value: str) -> str:
    """Letters and digits of any script become `*`."""
    return "".join("*" if char.isalnum() else char for char in value)


def partial(entity: str, value: str) -> str:
    """A mask that leaves a part which does not identify; for types of risk 3 but accounts it is a full mask."""
    if entity in _KEPT_DIGITS:
        return _mask_head(value, _KEPT_DIGITS[entity])
    if entity == "EMAIL":
        name, at, domain = value.partition("@")
        return name[:1] + "*" * max(2, len(name) - 1) + at + domain
    if entity == "PERSON":
        return " ".join(word[:1] + mask(word[1:]) for word in value.split(" "))
    if entity == "MESSENGER_ID":
        return value[:1] + "*" * max(3, len(value) - 1)
    if entity == "ADDRESS":
        return re.sub(r"\d", "*", value)
    if entity == "BIRTH_DATE":
        return re.sub(r"(?<!\d)\d{1,2}(?!\d)|(?<=\d{4})\d", "*", value)
    return mask(value)


def _mask_head(value: str, kept: int) -> str:
    """All letters and digits but the last `kept` become `*`."""
    left, out = kept, []
    for char in reversed(value):
        shown = not char.isalnum() or left > 0
        left -= char.isalnum()
        out.append(char if shown else "*")
    return "".join(reversed(out))


def keyed_hash(entity: str, value: str, lang: str, key: bytes) -> str:
    """A tag with ten letters of HMAC-SHA-256 over the type and the value's letters and digits.

    Letters a to p, no digits: a digest must not look like a phone number to the next pass.
    """
    plain = "".join(char for char in value.casefold() if char.isalnum())
    digest = hmac.new(key, f"{entity}\x00{plain}".encode("utf-8", "surrogatepass"), sha256).hexdigest()[:10]
    return f"{tag(entity, lang)[:-1]}:{digest.translate(_LETTERS)}]"


def writers(
    operator: Operator,
    operators: Mapping[str, Operator],
    key: bytes,
    surrogate_key: bytes = b"",
    korean_tags: Mapping[str, str] | None = None,
) -> Callable[[str], Write]:
    """`writers(...)(record)`: how the values of one record are written; its id is the seed of its surrogates."""
    own_tags = dict(korean_tags or {})
    surrogates_of = surrogates(surrogate_key)

    def of_record(record: str) -> Write:
        surrogate = surrogates_of(record)

        def write(entity: str, value: str, lang: str) -> str:
            chosen = operators.get(entity, operator)
            if chosen == "mask":
                return mask(value)
            if chosen == "partial":
                return partial(entity, value)
            if chosen == "surrogate":
                return surrogate(entity, value, lang) or tag(entity, lang)
            if chosen == "hash":
                return keyed_hash(entity, value, lang, key)
            return f"[{own_tags[entity]}]" if lang == "ko" and entity in own_tags else tag(entity, lang)

        return write

    return of_record


def language_of(texts: list[str], lang: str | None) -> str:
    """`ko` or `en` for the tags of a row: its `lang`, else by the share of Hangul among its letters (a fifth)."""
    if lang:
        return "ko" if lang.startswith("ko") else "en"
    hangul = sum(len(found) for text in texts for found in _HANGUL.findall(text))
    latin = sum(len(found) for text in texts for found in _LATIN.findall(text))
    return "ko" if hangul and hangul * 4 >= latin else "en"
