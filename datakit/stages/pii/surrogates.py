"""Surrogates: made-up values in the form of the found ones, from ranges that nobody can have.

    010-1234-5678로 -> 010-0000-4721로      hong@naver.com으로 -> anon.kdbf@example.com으로      김민수가 -> 전우치가

The ranges are void (a subscriber block of zeros, tax office 000-00, year 1900, `example.com` ...), and `is_void` tells
them to the judge of all rules: a surrogate is never valid and never found again. The last sound keeps its class (no
final consonant, ㄹ, another), so that 은/는, 이/가, 을/를 and 으로/로 stay right in Korean.

A surrogate is never made from its value without a key: an unkeyed digest of a phone number gives the number away. In
a document the first phone number gets the first draw, and so on; with a secret key equal values are equal everywhere.
Resident and foreigner numbers and cards have no surrogate: they are tagged.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from hashlib import blake2b, sha256

from datakit.stages.pii.checksums import digit_text

ATTEMPTS = 256
"""Draws until the last sound fits and no other value of the record has the surrogate already."""

_DIGIT = re.compile("[0-9]")
_KOREAN_AREA = re.compile(r"(?:82|0082)?0?(?:1[016789]|2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)")
_VOID_ABROAD = re.compile("(?:00)?[0-9]{0,3}0{3,}[0-9]{4}")
_YEAR = re.compile("(?:19|20)[0-9]{2}")
_LETTERS = "abcdfghjkmnpqrstvwxz"

KOREAN_NAMES = (
    "변학도",
    "전우치",
    "장화연",
    "심학규",
    "옥단춘",
    "이춘풍",
    "배비장",
    "임꺽정",
    "온달재",
    "박온달",
    "김온달",
    "조온달",
)
"""People of old tales, with every kind of ending."""
ENGLISH_NAMES = tuple(f"{name} Placeholder" for name in ("Alex", "Robin", "Sam", "Kim", "Jo", "Terry", "Morgan", "Lee"))
_NAMES = frozenset((*KOREAN_NAMES, *ENGLISH_NAMES))
_STREETS = ("가상시 예시구 보기로 {}", "{} Placeholder Street")
_MAIL_HOSTS = ("example.com", "mail.example", "example.org")


class Draw:
    """Numbers drawn one after another from 256 bits."""

    def __init__(self, seed: bytes) -> None:
        self._left = int.from_bytes(seed, "big")

    def below(self, end: int) -> int:
        """A number from 0 to end - 1."""
        self._left, drawn = divmod(self._left, end)
        return drawn

    def digits(self, count: int) -> str:
        return "".join(str(self.below(10)) for _ in range(count))

    def letters(self, count: int) -> str:
        return "".join(_LETTERS[self.below(len(_LETTERS))] for _ in range(count))


Make = Callable[[str, Draw, str], str | None]
"""`make(value, draw, lang)`: one surrogate for a value, None if its form has none."""


def last_sound(text: str) -> int | None:
    """The class of the last sound as Korean particles see it: 0 a vowel, 8 ㄹ, 1 another consonant; None: unknown."""
    last = text[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - 0xAC00) % 28
        return final if final in (0, 8) else int(final > 0)
    if last.isdecimal() and last.isascii():
        return (1, 8, 0, 1, 0, 0, 1, 8, 8, 0)[int(last)]  # 영 일 이 삼 사 오 육 칠 팔 구
    if "@" in text:
        # .com 컴 and .net 넷 close with a consonant, .kr is read 알 or 케이알, .example 이그잼플; the rest ends open.
        return {"com": 1, "net": 1, "kr": 8, "example": 8}.get(text.rpartition(".")[2].lower(), 0)
    return None


def is_void(entity: str, value: str) -> bool:
    """Whether a value lies in a range that only surrogates use; a number may be taken for one of another type."""
    if entity in _VOID_NUMBERS:
        # Hardly a real number gets past the first look: this is asked for every value found.
        return "00" in value and any(check(value) for check in _VOID_NUMBERS.values())
    check = _VOID.get(entity)
    return check is not None and check(value)


def surrogates(key: bytes = b"") -> Callable[[str], Callable[[str, str, str], str | None]]:
    """`surrogates(key)(record)(entity, value, lang)`: the surrogate of a value, None if its type or form has none.

    Without a key equal values are equal within a record, with one everywhere.
    """

    def of_record(record: str) -> Callable[[str, str, str], str | None]:
        known: dict[tuple[str, str], str | None] = {}

        def surrogate(entity: str, value: str, lang: str) -> str | None:
            plain = "".join(char for char in value.casefold() if char.isalnum())
            place = (entity, plain)
            if place not in known:
                told = f"{entity}\0{plain}" if key else f"{record}\0{entity}\0{len(known)}"
                known[place] = _drawn(entity, value, lang, key, told, {made for made in known.values() if made})
            return known[place]

        return surrogate

    return of_record


def _drawn(entity: str, value: str, lang: str, key: bytes, told: str, taken: set[str]) -> str | None:
    make, wanted = _MAKE.get(entity), last_sound(value)
    for attempt in range(ATTEMPTS if make else 0):
        message = f"{told}\0{attempt}".encode("utf-8", "surrogatepass")
        seed = hmac.new(key, message, sha256).digest() if key else blake2b(message, digest_size=32).digest()
        made = make(value, Draw(seed), lang) if make else None
        if made is None or not is_void(entity, made):
            return None
        if last_sound(made) == wanted and (key or made not in taken):
            return made
    return None


def _with_digits(value: str, digits: str) -> str:
    """The value with its digits replaced one by one; separators stay."""
    given = iter(digits)
    return _DIGIT.sub(lambda _: next(given), value)


def _zeros_first(zeros: int) -> Make:
    """Digits of a form whose first `zeros` digits are zeros, which no office gives out."""

    def make(value: str, draw: Draw, lang: str) -> str | None:
        count = len(digit_text(value))
        return _with_digits(value, "0" * zeros + draw.digits(count - zeros)) if count > zeros + 1 else None

    return make


def _begins_with_zeros(zeros: int) -> Callable[[str], bool]:
    return lambda value: len(digit_text(value)) > zeros and set(digit_text(value)[:zeros]) == {"0"}


def _phone(value: str, draw: Draw, lang: str) -> str | None:
    """The area stays where it is Korean; the block before the last four digits becomes zeros."""
    digits = digit_text(value)
    if len(digits) != sum(char.isdigit() for char in value) or len(digits) < 7:
        return None
    area = _area(value, digits)
    kept = area if area else digits[:1] if value.lstrip("( ").startswith("+") else ""
    return _with_digits(value, kept + "0" * (len(digits) - len(kept) - 4) + draw.digits(4))


def _area(value: str, digits: str) -> str:
    """The Korean country and area code that a number begins with, "" for none."""
    abroad = value.lstrip("( ").startswith("+") and not digits.startswith("82")
    found = _KOREAN_AREA.match(digits) if digits[:1] in "08" and not abroad else None
    return found[0] if found and len(digits) - found.end() in (7, 8) else ""


def _void_phone(value: str) -> bool:
    digits = digit_text(value)
    if area := _area(value, digits):
        return set(digits[len(area) : -4]) == {"0"}
    return _VOID_ABROAD.fullmatch(digits) is not None


def _email(value: str, draw: Draw, lang: str) -> str:
    return f"anon.{draw.letters(4)}@{_MAIL_HOSTS[draw.below(3)]}"


def _ip(value: str, draw: Draw, lang: str) -> str:
    """Addresses for documentation (RFC 5737, RFC 3849)."""
    if ":" in value:
        return f"2001:db8::{draw.below(0xFFFF):x}:{draw.below(0xFFFF):x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[draw.below(3)]}.{1 + draw.below(254)}"


def _mac(value: str, draw: Draw, lang: str) -> str:
    """Addresses for documentation (RFC 7042)."""
    sign = "-" if "-" in value else ":"
    return sign.join(("00", "00", "5E", "00", "53", f"{draw.below(256):02X}"))


def _messenger(value: str, draw: Draw, lang: str) -> str:
    return f"{'@' if value.startswith('@') else ''}anon_{draw.letters(4)}{draw.digits(1)}"


def _person(value: str, draw: Draw, lang: str) -> str:
    names = KOREAN_NAMES if any("가" <= char <= "힣" for char in value) else ENGLISH_NAMES
    return names[draw.below(len(names))]


def _address(value: str, draw: Draw, lang: str) -> str:
    korean = any("가" <= char <= "힣" for char in value)
    number = f"{1 + draw.below(300)}"
    made = _STREETS[0 if korean else 1].format(number)
    return f"{made}{value[-1]}" if korean and value[-1:] in "동호층지실" else made


def _birth(value: str, draw: Draw, lang: str) -> str | None:
    """The same form in 1900; a year of two digits has no void form."""
    year = _YEAR.search(value)
    if year is None or any(char.isascii() and char.isalpha() for char in value):
        return None
    rest = [f"{1 + draw.below(9)}", f"{1 + draw.below(12)}", f"{10 + draw.below(18)}"]

    def number(match: re.Match[str]) -> str:
        if match.span() == year.span():
            return "1900"
        width = match.end() - match.start()
        return "0" * (width - 1) + rest[0] if width != 2 else f"{1 + draw.below(12):02d}"

    return re.sub(r"(?<![0-9])(?:19|20)[0-9]{2}|[0-9]{1,2}", number, value)


def _iban(value: str, draw: Draw, lang: str) -> str:
    """The check digits 00, which no account has (ISO 13616 gives 02 to 98)."""
    country = value[:2]
    return country + _with_digits(value[2:], "00" + draw.digits(len(digit_text(value[2:])) - 2))


def _secret(value: str, draw: Draw, lang: str) -> str:
    """Letters that say what they are, and a digit for one, so that a particle stays right."""
    return f"{_NO_SECRET}{draw.letters(6)}{draw.digits(1) if value[-1:].isdigit() else ''}"


def _url_credential(value: str, draw: Draw, lang: str) -> str:
    scheme, there, _ = value.partition("://")
    if not there:
        return _secret(value, draw, lang)
    return f"{scheme}://{_NO_SECRET}:{_email(value, draw, lang)}"


_NO_SECRET = "placeholder"
_MAKE: dict[str, Make] = {
    "IBAN": _iban,
    "SECRET": _secret,
    "URL_CREDENTIAL": _url_credential,
    "PHONE": _phone,
    "EMAIL": _email,
    "BRN": _zeros_first(5),
    "CORP_NO": _zeros_first(6),
    "BANK_ACCOUNT": _zeros_first(4),
    "PASSPORT": _zeros_first(4),
    "DRIVER_LICENSE": _zeros_first(4),
    "US_SSN": _zeros_first(3),
    "VEHICLE": lambda value, draw, lang: _with_digits(
        value, "0" * (len(digit_text(value)) - 4) + draw.digits(min(4, len(digit_text(value))))
    ),
    "IP": _ip,
    "MAC": _mac,
    "MESSENGER_ID": _messenger,
    "PERSON": _person,
    "ADDRESS": _address,
    "BIRTH_DATE": _birth,
}
_VOID_NUMBERS: dict[str, Callable[[str], bool]] = {
    "PHONE": _void_phone,
    "BRN": _begins_with_zeros(5),
    "CORP_NO": _begins_with_zeros(6),
    "BANK_ACCOUNT": _begins_with_zeros(4),
    "PASSPORT": _begins_with_zeros(4),
    "DRIVER_LICENSE": _begins_with_zeros(4),
    "US_SSN": _begins_with_zeros(3),
}
_VOID: dict[str, Callable[[str], bool]] = {
    "IBAN": lambda value: value[2:4] == "00",
    "SECRET": lambda value: value.startswith(_NO_SECRET),
    "URL_CREDENTIAL": lambda value: value.startswith(_NO_SECRET) or f"://{_NO_SECRET}:anon." in value,
    "EMAIL": lambda value: value.startswith("anon.") and value.rpartition("@")[2] in _MAIL_HOSTS,
    "VEHICLE": lambda value: _begins_with_zeros(2)(value) and set(digit_text(value)[:-4]) == {"0"},
    "IP": lambda value: value.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")),
    "MAC": lambda value: value.upper().replace("-", ":").startswith("00:00:5E:00:53:"),
    "MESSENGER_ID": lambda value: value.lstrip("@").startswith("anon_"),
    "PERSON": lambda value: value in _NAMES or value.endswith("Placeholder"),
    "ADDRESS": lambda value: "보기로 " in value or "Placeholder Street" in value,
    "BIRTH_DATE": lambda value: (found := _YEAR.search(value)) is not None and found[0] == "1900",
}
