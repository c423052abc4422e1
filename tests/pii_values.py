"""Invented personal data in the spellings that people use, each with a valid check digit where its kind has one.

    make("RRN", rng, labelled=True)    ->    "９００１０１－１２３４５６７", "900101-1******", "9001011234567" ...

`labelled` says that a label word stands beside the value: then spellings that need one may come too (bare digits, a
check digit that a typing error broke, short masked forms). Nothing lies in a range reserved for examples (example.com,
555-01xx, 192.0.2.0/24), for these name nobody. No value is written down in this file; all are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from urllib.parse import quote

from tests import pii_online as online
from tests.pii_draws import DIGITS, WIDE, draw, spelled

Make = Callable[[Random, bool], str]

# --- people -----------------------------------------------------------------------------------------------------------

_SURNAMES = (
    "김김김이이박박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구나민진지엄채원천방공현함변"
    "염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국"
)
_GIVEN = "민서지윤준현우하은도시수아예진유건주연재영성훈경혜승태인정미선희호동석원규상철진나라온별솔찬빈결율담"


def _name(rng: Random, labelled: bool) -> str:
    surname = rng.choice(["남궁", "황보", "선우", "제갈", "독고"]) if rng.random() < 0.03 else rng.choice(_SURNAMES)
    return surname + "".join(rng.sample(_GIVEN, 1 if rng.random() < 0.04 else 2))


def _name_quoted(rng: Random, labelled: bool) -> str:
    return quote(_name(rng, labelled))


_FIRST = "Laura Daniel Priya Marcus Elena Tobias Hannah Victor Naomi Gareth Sofia Callum Ingrid Rafael Joanna Desmond"
_LAST = "Whitfield Okafor Lindqvist Barros Hargrove Delacroix Petrov Yamada Castellan Moriarty Fenwick Abernathy Novak"


def _name_en(rng: Random, labelled: bool) -> str:
    return f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}"


def _surname_en(rng: Random, labelled: bool) -> str:
    return rng.choice(_LAST.split())


def _date(rng: Random, first: int = 1940, last: int = 2019) -> tuple[int, int, int]:
    return rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)


def _birth(rng: Random, labelled: bool) -> str:
    year, month, day = _date(rng)
    forms = [
        f"{year}-{month:02}-{day:02}",
        f"{year}.{month:02}.{day:02}",
        f"{year}. {month}. {day}.",
        f"{year}/{month:02}/{day:02}",
        f"{year}년 {month}월 {day}일",
        f"{year}년{month}월{day}일",
        f"{year}{month:02}{day:02}",
        f"{year % 100:02}{month:02}{day:02}",
        f"{year % 100:02}.{month:02}.{day:02}",
        f"{year % 100:02}년 {month}월 {day}일",
    ]
    return rng.choice(forms)


_MONTHS = "January February March April May June July August September October November December"


def _birth_en(rng: Random, labelled: bool) -> str:
    year, month, day = _date(rng)
    names = _MONTHS.split()
    forms = [
        f"{month:02}/{day:02}/{year}",
        f"{year}-{month:02}-{day:02}",
        f"{names[month - 1]} {day}, {year}",
        f"{day} {names[month - 1][:3]} {year}",
    ]
    return rng.choice(forms)


def _birth_bare(rng: Random, labelled: bool) -> str:
    year, month, day = _date(rng)
    return f"{year}{month:02}{day:02}"


# --- resident and other state numbers ---------------------------------------------------------------------------------


def _resident(rng: Random, labelled: bool, genders: str, turn: int) -> str:
    year, month, day = _date(rng, 1945, 2024)
    gender = genders[(2 if year >= 2000 else 0) + rng.randint(0, 1)]
    front = f"{year % 100:02}{month:02}{day:02}"
    # From October 2020 on new numbers carry six drawn digits behind the first, people born earlier get such ones too.
    modern = year >= 2021 or rng.random() < 0.2
    back = gender + draw(rng, "######")
    if not modern:
        back = gender + draw(rng, "0####")
        total = sum(int(d) * w for d, w in zip(front + back, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
        back += str((turn - total % 11) % 10)
    if rng.random() < 0.2:
        mask = rng.choice(["******", "XXXXXX", "xxxxxx", "●●●●●●", "○○○○○○", "∗∗∗∗∗∗", "＊＊＊＊＊＊"])
        shown = rng.choice([gender + mask, gender + mask, gender + mask, back[:3] + mask[:4]])
        return front + "-" + (gender if labelled and rng.random() < 0.15 else shown)
    dashes = ("-", "-", "-", "-", " - ", "- ", "–", "‐", "−", "－", "—", *((" ", ".") if labelled else ()))
    return spelled(rng, [front, back], dashes, bare=0.15 if labelled or not modern else 0.0)


def _rrn(rng: Random, labelled: bool) -> str:
    return _resident(rng, labelled, "1234", 11)


def _frn(rng: Random, labelled: bool) -> str:
    return _resident(rng, labelled, "5678", 13)


def _passport(rng: Random, labelled: bool) -> str:
    value = draw(rng, rng.choice("MMMSRDO") + rng.choice(["+#######", "+##A####"]))
    forms = [value, value, value, value, value.lower(), value.translate(WIDE), value[0] + " " + value[1:]]
    return rng.choice(forms)


_REGIONS = "서울 부산 경기 강원 충북 충남 전북 전남 경북 경남 제주 대구 인천 광주 대전 울산"


def _driver(rng: Random, labelled: bool) -> str:
    tail = [draw(rng, "##"), draw(rng, "######"), draw(rng, "##")]
    if labelled and rng.random() < 0.2:
        return rng.choice(_REGIONS.split()) + rng.choice([" ", "-", ""]) + "-".join(tail)
    groups = [str(rng.randint(11, 28)), *tail]
    return spelled(
        rng, groups, ("-", "-", "-", "–", "－", *((" ", " - ", ".") if labelled else ())), bare=0.2 * labelled
    )


def _brn(rng: Random, labelled: bool) -> str:
    nine = draw(rng, "+##") + f"{rng.randint(1, 89):02}" + draw(rng, "####")
    total = sum(int(d) * w for d, w in zip(nine, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True)) + int(nine[8]) * 5 // 10
    check = -total % 10
    if labelled and rng.random() < 0.08:
        check = (check + 3) % 10
    text = nine + str(check)
    dashes = ("-", "-", "-", "–", "－", *((" ", " - ", ".") if labelled else ()))
    return spelled(rng, [text[:3], text[3:5], text[5:]], dashes, bare=0.2 * labelled)


def _corp(rng: Random, labelled: bool) -> str:
    twelve = draw(rng, "1#0111######")
    total = sum(int(d) * w for d, w in zip(twelve, (1, 2) * 6, strict=True))
    text = twelve + str(-total % 10)
    return spelled(rng, [text[:6], text[6:]], ("-", "-", "-", "–", " - ", " "), bare=0.15)


def _ssn(rng: Random, labelled: bool) -> str:
    area = rng.choice([rng.randint(100, 665), rng.randint(667, 899)])
    groups = [str(area), f"{rng.randint(1, 99):02}", draw(rng, "+###")]
    return spelled(rng, groups, ("-", "-", "-", *((" ", ".") if labelled else ())), bare=0.15 * labelled)


_PLATE_USES = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주바사아자하허호배"


def _plate(rng: Random, labelled: bool) -> str:
    number = draw(rng, rng.choice(["+#", "+##"]))
    gap = rng.choice(["", "", " "])
    plate = number + rng.choice(_PLATE_USES) + gap + draw(rng, "+###")
    if rng.random() < 0.25:
        return (
            rng.choice(_REGIONS.split())
            + rng.choice(["", " "])
            + draw(rng, "+#")
            + rng.choice("바사아자")
            + gap
            + draw(rng, "+###")
        )
    return plate


# --- telephones -------------------------------------------------------------------------------------------------------

_PHONE_DASHES = ("-", "-", "-", "-", "-", ".", " ", " - ", "–", "‑", "－", "·")


_AREAS = "02 02 02 031 032 033 041 042 043 044 051 052 053 054 055 061 062 063 064"


def _called(rng: Random, groups: list[str]) -> str:
    first, rest = groups[0], groups[1:]
    way = rng.random()
    if way < 0.12:
        plus = rng.choice(["+82-", "+82 ", "+82", "(+82)", "0082-", "+82 (0)", "82-"])
        return plus + rng.choice("- ").join([first[1:], *rest])
    if way < 0.22:
        return rng.choice([f"{first})", f"({first})", f"({first}) "]) + "-".join(rest)
    return spelled(rng, groups, _PHONE_DASHES)


def _mobile(rng: Random, labelled: bool) -> str:
    if rng.random() < 0.07:
        return _called(rng, [rng.choice(["011", "016", "017", "018", "019"]), draw(rng, "+##"), draw(rng, "####")])
    return _called(rng, ["010", draw(rng, rng.choice("23456789") + "###"), draw(rng, "####")])


def _landline(rng: Random, labelled: bool) -> str:
    area = rng.choice(_AREAS.split())
    return _called(rng, [area, rng.choice("2345678") + draw(rng, rng.choice(["##", "##", "###"])), draw(rng, "####")])


def _phone(rng: Random, labelled: bool) -> str:
    way = rng.random()
    if way < 0.6:
        return _mobile(rng, labelled)
    if way < 0.8:
        return _landline(rng, labelled)
    if way < 0.9:
        return _called(rng, ["070", draw(rng, rng.choice("478") + "###"), draw(rng, "####")])
    return _called(
        rng, [rng.choice(["0502", "0503", "0504", "0505", "0507", "0508"]), draw(rng, "+###"), draw(rng, "####")]
    )


def _intl(rng: Random, labelled: bool) -> str:
    forms = (
        "+1 212-6##-####", "+1 (415) 7##-####", "+1-650-8##-####", "+1604723####",
        "+81-90-+###-####", "+81 3-5###-####", "+86 138 #### ####", "+86-10-6###-####",
        "+44 7911 ######", "+44 20 7### ####", "+49 151 ########", "+49-30-########",
        "+33 6 ## ## ## ##", "+33 1 4# ## ## ##", "+84 91 ### ## ##", "+84-28-38##-####",
        "+65 9### ####", "+66-81-###-####",
        "+61 4## ### ###", "+852 6### ####", "+91 98### #####", "+7 916 ###-##-##", "0081-90-8###-####",
        "+971 50 ### ####",
    )  # fmt: skip
    text = draw(rng, rng.choice(forms).replace("+", "‡", 1)).replace("‡", "+", 1)
    return text.translate(WIDE) if rng.random() < 0.03 else text


def _us_phone(rng: Random, labelled: bool) -> str:
    area = rng.choice(["212", "415", "312", "617", "206", "713", "303"])
    mid, last = draw(rng, rng.choice("2346789") + "##"), draw(rng, "####")
    forms = [f"({area}) {mid}-{last}", f"{area}-{mid}-{last}", f"{area}.{mid}.{last}", f"1-{area}-{mid}-{last}"]
    return rng.choice([*forms, f"{area} {mid} {last}"] if labelled else forms)


# --- money ------------------------------------------------------------------------------------------------------------

_ACCOUNTS = (
    "+#####-01-######", "+#####-04-######", "110-###-######", "1002-###-######", "+##-910###-##07", "301-####-####-#1",
    "352-####-####-#3", "+##-######-01-01#", "3333-0#-#######", "1000-####-####", "100-1##-######", "9002-####-####-#",
    "0+###1-02-######", "503-##-######-#", "112-####-####-0#", "+##-##-######", "1005-#0#-######",
)  # fmt: skip


def _account(rng: Random, labelled: bool) -> str:
    return spelled(
        rng, draw(rng, rng.choice(_ACCOUNTS)).split("-"), ("-", "-", "-", "-", " ", "–", "－", " - "), bare=0.2
    )


def luhn(payload: str) -> str:
    """The digits with their check digit."""
    doubled = (int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(reversed(payload)))
    return payload + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def _card(rng: Random, labelled: bool) -> str:
    prefix = rng.choice(["4", "4", "51", "53", "55", "2221", "2720", "3528", "6011", "6229", "9490", "9445", "5"])
    prefix = prefix if prefix != "5" else "5" + rng.choice("12345")
    if rng.random() < 0.1:
        text = luhn(rng.choice(["34", "37"]) + draw(rng, "############"))
        return spelled(rng, [text[:4], text[4:10], text[10:]], ("-", " "), bare=0.2)
    text = luhn(prefix + draw(rng, "#" * (15 - len(prefix))))
    dashes = ("-", "-", " ", " ", "–", "－", *((" - ", ".") if labelled else ()))
    return spelled(rng, [text[at : at + 4] for at in (0, 4, 8, 12)], dashes, bare=0.2)


def _iban(rng: Random, labelled: bool) -> str:
    bodies = {
        "DE": "#" * 18,
        "GB": "NWBK" + "#" * 14,
        "FR": "#" * 23,
        "NL": "ABNA" + "#" * 10,
        "ES": "#" * 20,
        "AT": "#" * 16,
    }
    country = rng.choice(sorted(bodies))
    body = "".join(rng.choice(DIGITS) if char == "#" else char for char in bodies[country])
    number = "".join(str(int(char, 36)) for char in body + country + "00")
    text = f"{country}{98 - int(number) % 97:02}{body}"
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4)) if rng.random() < 0.5 else text


# --- addresses --------------------------------------------------------------------------------------------------------

_CITIES = (
    "서울특별시 마포구,서울시 관악구,서울 송파구,부산광역시 수영구,부산 연제구,"
    "대구 수성구,인천 연수구,광주광역시 북구,대전 유성구,울산 남구,"
    "세종특별자치시,경기도 수원시 영통구,경기 고양시 일산동구,강원특별자치도 춘천시,충북 청주시 흥덕구,"
    "전북 전주시 완산구,전남 순천시,경북 포항시 북구,경남 창원시 의창구,제주특별자치도 제주시"
)
_ROADS = "가람로 새솔대로 한누리길 은행나무로 봉영로 덕영대로 중앙로 문화로 달빛로 솔밭로 양지길 큰여울로 무궁화로"
_DONGS = "망원동 신림동 잠실동 광안동 연산동 범어동 송도동 어은동 삼산동 보람동 매탄동 장항동 효자동 가경동"
_VILLAGES = "가덕면 상야리,남면 송산리,동면 장학리,서면 당산리,장안읍 좌천리"


def _address(rng: Random, labelled: bool) -> str:
    city, number = rng.choice(_CITIES.split(",")), rng.randint(2, 480)
    way = rng.random()
    if way < 0.55:
        road = rng.choice(_ROADS.split())
        road += f"{rng.choice(['', ' '])}{rng.randint(2, 90)}번길" if road.endswith("로") and rng.random() < 0.3 else ""
        text = f"{city} {road} {number}" + (f"-{rng.randint(1, 30)}" if rng.random() < 0.3 else "")
        tails = ["", "", f", {rng.randint(2, 20)}층", f", {rng.randint(101, 130)}동 {rng.randint(101, 2505)}호"]
        return text + rng.choice([*tails, f" {rng.randint(101, 1904)}호", f" ({rng.choice(_DONGS.split())})"])
    lot = f"{number}-{rng.randint(1, 40)}" + rng.choice(["", "번지"])
    if way < 0.75:
        return f"{city} {rng.choice(_DONGS.split())} {lot}"
    if way < 0.88:
        return f"{city} {rng.choice(_VILLAGES.split(','))} {lot}"
    return f"{city} {rng.choice(_DONGS.split())} 햇살마을아파트 {rng.randint(101, 130)}동 {rng.randint(101, 2505)}호"


# --- what they are called ---------------------------------------------------------------------------------------------

MAKERS: dict[str, Make] = {
    "EMAIL": online.email, "MOBILE": _mobile, "LANDLINE": _landline, "PHONE": _phone, "INTL": _intl,
    "US_PHONE": _us_phone, "RRN": _rrn, "FRN": _frn, "PASSPORT": _passport, "DRIVER": _driver, "BRN": _brn,
    "CORP": _corp, "ACCOUNT": _account, "CARD": _card, "PLATE": _plate, "IPV4": online.ipv4, "IPV6": online.ipv6,
    "MAC": online.mac, "IBAN": _iban, "SSN": _ssn, "PASSWORD": online.password, "KEY": online.key,
    "TOKEN": online.token, "PRIVATE_KEY": online.private_key, "USERINFO": online.userinfo,
    "EMAIL_QUOTED": online.email_quoted, "NAME_QUOTED": _name_quoted, "PHONE_BARE": online.phone_bare,
    "BIRTH_BARE": _birth_bare, "MESSENGER": online.messenger, "BIRTH": _birth, "BIRTH_EN": _birth_en,
    "ADDRESS": _address, "NAME": _name, "NAME_EN": _name_en, "SURNAME_EN": _surname_en,
}  # fmt: skip
"""What makes a value of a slot."""

TYPES = {
    "MOBILE": "PHONE", "LANDLINE": "PHONE", "INTL": "PHONE", "US_PHONE": "PHONE", "IPV4": "IP", "IPV6": "IP",
    "DRIVER": "DRIVER_LICENSE", "CORP": "CORP_NO", "ACCOUNT": "BANK_ACCOUNT", "PLATE": "VEHICLE", "SSN": "US_SSN",
    "PASSWORD": "SECRET", "KEY": "SECRET", "TOKEN": "SECRET", "PRIVATE_KEY": "SECRET", "USERINFO": "URL_CREDENTIAL",
    "EMAIL_QUOTED": "URL_CREDENTIAL", "NAME_QUOTED": "URL_CREDENTIAL", "PHONE_BARE": "URL_CREDENTIAL",
    "BIRTH_BARE": "URL_CREDENTIAL", "BIRTH": "BIRTH_DATE", "BIRTH_EN": "BIRTH_DATE", "MESSENGER": "MESSENGER_ID",
    "NAME": "PERSON", "NAME_EN": "PERSON", "SURNAME_EN": "PERSON",
}  # fmt: skip
"""The type a slot counts under, where it is not the slot's own name; types are called as in the rules."""


def make(slot: str, rng: Random, *, labelled: bool) -> str:
    """An invented value of a slot."""
    return MAKERS[slot](rng, labelled)
