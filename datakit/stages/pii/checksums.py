"""Check digits and plain validity of the identifiers that have them. Each takes the value as found, separators and all.

A check that fails never proves that a value is harmless where a label names it: Korean resident numbers given since
5 October 2020 carry random digits instead of a check digit, and people mistype. The rules say which is asked when.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

_NOT_DIGIT = re.compile("[^0-9]+")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BRN_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_RRN_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_CARD_LENGTHS = {
    "34": (15,), "37": (15,), "30": (14,), "36": (14,), "38": (14, 16), "39": (14, 16), "35": (16,), "4": (13, 16, 19),
    "51": (16,), "52": (16,), "53": (16,), "54": (16,), "55": (16,), "6011": (16,), "64": (16,), "65": (16,),
    "62": (16, 19),
    "1800": (15,), "2131": (15,), "9": (16,), "50": (12, 13, 16), "56": (12, 13, 16), "57": (12, 13, 16),
    "58": (12, 13, 16),    "63": (12, 13, 16, 19), "67": (12, 13, 16, 19), "60": (16,),
}  # fmt: skip
"""Leading digits of payment cards and the lengths in use (ISO/IEC 7812; 9 is Korea's domestic range)."""


def digits_of(value: str) -> list[int]:
    """The ASCII digits of a value, in order."""
    return list(map(int, digit_text(value)))


def digit_text(value: str) -> str:
    """The ASCII digits of a value, as text."""
    return _NOT_DIGIT.sub("", value)


def valid_month_day(month: int, day: int) -> bool:
    """Whether a month has such a day (29 February always passes: the century is not known)."""
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def begins_with_date(value: str) -> bool:
    """Whether the first six digits are a date YYMMDD, as in resident numbers."""
    found = digits_of(value)
    return len(found) >= 6 and valid_month_day(found[2] * 10 + found[3], found[4] * 10 + found[5])


def rrn_check(value: str) -> bool:
    """Resident registration number: date and check digit (the scheme of numbers given before October 2020)."""
    found = digits_of(value)
    if len(found) != 13 or not begins_with_date(value):
        return False
    total = sum(digit * weight for digit, weight in zip(found, _RRN_WEIGHTS, strict=False))
    return (11 - total % 11) % 10 == found[12]


def frn_check(value: str) -> bool:
    """Foreigner registration number: as a resident number, with 13 instead of 11 to begin from."""
    found = digits_of(value)
    if len(found) != 13 or not begins_with_date(value):
        return False
    total = sum(digit * weight for digit, weight in zip(found, _RRN_WEIGHTS, strict=False))
    return (13 - total % 11) % 10 == found[12]


def bare_rrn_check(value: str) -> bool:
    """A resident number written without a separator; 880... with a valid EAN-13 digit is a Korean bar code."""
    return rrn_check(value) and not (value.startswith("880") and ean13_check(value))


def bare_frn_check(value: str) -> bool:
    """A foreigner number without a separator, unless it is a Korean bar code."""
    return frn_check(value) and not (value.startswith("880") and ean13_check(value))


def ean13_check(value: str) -> bool:
    """The check digit of a bar code or ISBN-13."""
    found = digits_of(value)
    return len(found) == 13 and sum(d * (3 if i % 2 else 1) for i, d in enumerate(found)) % 10 == 0


def brn_check(value: str) -> bool:
    """Korean business registration number."""
    found = digits_of(value)
    if len(found) != 10:
        return False
    total = sum(digit * weight for digit, weight in zip(found, _BRN_WEIGHTS, strict=False)) + found[8] * 5 // 10
    return (10 - total % 10) % 10 == found[9]


def luhn_check(value: str) -> bool:
    """The Luhn digit of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits_of(value))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def card_check(value: str) -> bool:
    """A payment card: known leading digits with a length in use, and the Luhn digit."""
    text = digit_text(value)
    if text[:4].isdigit() and "2221" <= text[:4] <= "2720":
        return len(text) == 16 and luhn_check(text)
    lengths = next((_CARD_LENGTHS[text[:n]] for n in (4, 2, 1) if text[:n] in _CARD_LENGTHS), ())
    return len(text) in lengths and luhn_check(text)


def not_repeated(value: str) -> bool:
    """Whether the digits are more than one digit over and over (0000-0000 stands in forms)."""
    return len(set(digit_text(value))) > 1


def iban_check(value: str) -> bool:
    """An IBAN's two check digits (ISO 7064, mod 97)."""
    compact = value.replace(" ", "").upper()
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def public_ipv4(value: str) -> bool:
    """A dotted address that is public; private, loopback and documentation addresses name nobody.

    Four single digits are refused as well: 1.2.3.4 is a version or a section far more often than a person's address.
    """
    parts = value.split(".")
    if len(parts) != 4 or any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in parts):
        return False
    return ip_address(value).is_global and any(len(part) > 1 for part in parts)


def public_ipv6(value: str) -> bool:
    """A full eight-group address, or a shortened one of the global range 2000::/3 with three groups or more."""
    try:
        address = ip_address(value)
    except ValueError:
        return False
    groups = [group for group in value.split(":") if group]
    if len(groups) == 8:
        return not (address.is_private or address.is_loopback or address.is_link_local)
    return address.is_global and len(groups) >= 3 and value[0] in "23" and len(groups[0]) == 4
