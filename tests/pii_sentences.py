"""Sentences and short documents with invented personal data in known places, and look-alikes that hold none.

    sample("dev", seed)        every template of tests/data/pii_dev.txt some times over, with offset-labelled truth
    documents("dev", seed)     some of those joined to one text, with look-alikes between them
    particles(seed)            14 types x 22 particles, glued to the value
    negatives("dev", seed)     (kind, text) without personal data

The templates were written before the rules were read. DEV is there to mend rules by; HELDOUT, of other sentences, only
to measure: whoever must read a failure of it moves that template to DEV and writes another. FRESH came later, in the
same way: before its failures were read the rules held 0.941 of its structured values and 0.58 of its names; it is a
second DEV set since. A template is a paragraph:

    «SLOT»    a value of `pii_values.MAKERS`, counted under its type
    «SLOT!»   the same beside its label, so that spellings that need one may come
    «SLOT?»   a value that a rule may find or not (a name without a title): never counted
    «p»       one of 22 particles
    «word»    something that is not personal: an order number, a date, an amount ...

Every draw comes from the seed.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from tests.pii_draws import ALNUM, draw, some
from tests.pii_values import TYPES, make

DATA = Path(__file__).parent / "data"
SETS = ("dev", "heldout", "fresh")
_PARTICLES = "은 는 이 가 을 를 에 에게 에서 으로 로 의 도 만 와 과 이나 까지 부터 입니다 이고 라고"
_STRESSED = "EMAIL MOBILE LANDLINE INTL RRN FRN PASSPORT DRIVER BRN CORP ACCOUNT CARD PLATE IPV4"
_BANKS = "국민 신한 우리 하나 농협 기업 카카오뱅크 토스뱅크 케이뱅크 새마을금고 우체국 SC제일"
PARTICLES, STRESSED = _PARTICLES.split(), _STRESSED.split()
WORDS_ONLY = frozenset({"PERSON", "ADDRESS"})
"""Types found by words rather than by structure; told apart in every figure."""
_LETTERS_TOO = frozenset(
    {"EMAIL", "SECRET", "URL_CREDENTIAL", "MESSENGER_ID", "PERSON", "IP", "MAC", "IBAN", "PASSPORT"}
)
_SLOT = re.compile(r"«([A-Z0-9_]+|[a-z0-9_]+)([!?]?)»")


@dataclass(frozen=True, slots=True)
class Gold:
    """A planted value: where it stands and its type; an optional one may be found or not."""

    start: int
    end: int
    type: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, what is planted in it, and the register and number of its template."""

    text: str
    golds: tuple[Gold, ...]
    register: str
    template: int


def must_go(text: str, gold: Gold) -> Iterator[int]:
    """The places of a value that a span has to cover: digits; letters too where they carry it; all of an e-mail."""
    for place in range(gold.start, gold.end):
        char = text[place]
        if char.isdigit() or gold.type == "EMAIL" or (gold.type in _LETTERS_TOO and char.isalnum()):
            yield place


# --- what is not personal ---------------------------------------------------------------------------------------------


def _ean13(rng: Random, front: str) -> str:
    twelve = front + draw(rng, "#" * (12 - len(front)))
    return twelve + str(-sum(int(d) * (1, 3)[at % 2] for at, d in enumerate(twelve)) % 10)


def _isbn13(rng: Random) -> str:
    bare = _ean13(rng, rng.choice(["97889", "97911"]))
    return rng.choice([bare, f"{bare[:3]}-{bare[3:5]}-{bare[5:9]}-{bare[9:12]}-{bare[12]}"])


def _isbn10(rng: Random) -> str:
    nine = "89" + draw(rng, "#######")
    check = sum(int(d) * (at + 1) for at, d in enumerate(nine)) % 11
    return f"{nine[:2]}-{nine[2:6]}-{nine[6:]}-{'X' if check == 10 else check}"


def _day(rng: Random) -> str:
    year, month, day = rng.randint(2015, 2026), rng.randint(1, 12), rng.randint(1, 28)
    forms = [f"{year}-{month:02}-{day:02}", f"{year}.{month:02}.{day:02}", f"{year}. {month}. {day}."]
    return rng.choice([*forms, f"{year}년 {month}월 {day}일", f"{month}월 {day}일", f"{year}/{month:02}/{day:02}"])


def _order(rng: Random) -> str:
    day = f"20{rng.randint(18, 26)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    forms = [day + draw(rng, "####"), day + draw(rng, "######"), day + "-" + draw(rng, "#######")]
    return rng.choice(
        [*forms, draw(rng, "+###########"), "ORD-" + draw(rng, "########"), day[2:] + draw(rng, "######")]
    )


def _amount(rng: Random) -> str:
    much = rng.randint(1, 99_999) * rng.choice([10, 100, 1000])
    return rng.choice([f"{much:,}원", f"{much}원", f"₩{much:,}", f"{rng.randint(1, 900)}만 {rng.randint(1, 9)}천 원"])


def _court(rng: Random) -> str:
    case = rng.choice(["다", "도", "두", "나", "가합", "가단", "고단", "구합", "노", "카합"])
    year = rng.choice([rng.randint(2000, 2025), rng.randint(2000, 2025), rng.randint(85, 99)])
    return f"{year}{case}{draw(rng, rng.choice(['+###', '+####', '+#####']))}"


def _private_ip(rng: Random) -> str:
    tail = f"{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    return rng.choice(["192.168.", "10.0.", "172.16."]) + tail


WORDS: dict[str, Callable[[Random], str]] = {
    "ticket": lambda rng: draw(rng, "+#####"),
    "order": _order,
    "invoice": lambda rng: draw(rng, rng.choice(["+###########", "+#########", "6##-####-####", "+###-####-####"])),
    "approval": lambda rng: draw(rng, "+#######"),
    "amount": _amount,
    "date": _day,
    "time": lambda rng: f"{rng.randint(7, 22):02}:{rng.randint(0, 59):02}",
    "bank": lambda rng: rng.choice(_BANKS.split()),
    "service": lambda rng: rng.choice(["1588", "1577", "1544", "1644", "1661", "1899"]) + "-" + draw(rng, "####"),
    "count": lambda rng: str(rng.randint(11, 999)),
    "small": lambda rng: str(rng.randint(2, 9)),
    "year": lambda rng: str(rng.randint(1995, 2026)),
    "month": lambda rng: str(rng.randint(1, 12)),
    "version": lambda rng: f"{rng.randint(0, 19)}.{rng.randint(0, 40)}.{rng.randint(0, 40)}",
    "version4": lambda rng: f"{rng.randint(1, 140)}.{rng.randint(0, 40)}.{rng.randint(0, 9000)}.{rng.randint(0, 250)}",
    "epoch": lambda rng: str(rng.randint(1_300_000_000, 1_799_999_999)),
    "epoch_ms": lambda rng: str(rng.randint(1_300_000_000_000, 1_799_999_999_999)),
    "ean13": lambda rng: _ean13(rng, rng.choice(["880", "880", "400", "501"])),
    "isbn13": _isbn13,
    "isbn10": _isbn10,
    "bignum": lambda rng: f"{rng.randint(10_000, 99_999_999):,}",
    "bignum_bare": lambda rng: str(rng.randint(10_000_000, 9_999_999_999)),
    "percent": lambda rng: f"{rng.randint(1, 99)}.{rng.randint(0, 9)}",
    "decimal": lambda rng: f"{rng.uniform(1, 900):.{rng.randint(1, 6)}f}",
    "docno": lambda rng: draw(rng, "+###"),
    "docno5": lambda rng: draw(rng, "+####"),
    "docno7": lambda rng: draw(rng, "+######"),
    "article": lambda rng: str(rng.randint(2, 400)),
    "court": _court,
    "hex": lambda rng: "0x" + draw(rng, "hhhhhhhh"),
    "sha": lambda rng: draw(rng, "h" * rng.choice([7, 12, 40])),
    "sha64": lambda rng: hashlib.sha256(draw(rng, "########").encode()).hexdigest(),
    "lat": lambda rng: f"{rng.uniform(33, 38.6):.{rng.choice([4, 6, 7, 10])}f}",
    "lng": lambda rng: f"{rng.uniform(125, 130):.{rng.choice([4, 6, 7, 10])}f}",
    "model": lambda rng: draw(rng, rng.choice(["SM-A###N", "AA-####", "A##AA###A", "NT###A#A", "AA##-####-##"])),
    "part": lambda rng: draw(rng, rng.choice(["##-####-###", "AA######", "###-#####-##A", "A#A#####"])),
    "score": lambda rng: f"{rng.randint(0, 25)}-{rng.randint(0, 25)}",
    "private_ip": _private_ip,
    "uuid": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "session": lambda rng: some(rng, ALNUM, 8, 8),
}
"""What makes the look-alikes and the words between values."""


# --- templates to texts -----------------------------------------------------------------------------------------------


@cache
def templates(name: str) -> tuple[tuple[str, str], ...]:
    """(register, template) of a file of tests/data, in order."""
    found, register = [], ""
    for block in (DATA / f"pii_{name}.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        if block.startswith("# "):
            register, _, block = block[2:].partition("\n")
        found.append((register, block))
    return tuple(found)


def fill(template: str, rng: Random, register: str = "", number: int = 0) -> Labelled:
    """A template with every slot filled."""
    parts: list[str] = []
    golds: list[Gold] = []
    at = done = 0
    for slot in _SLOT.finditer(template):
        before, name, mark = template[done : slot.start()], slot[1], slot[2]
        at += len(before)
        if name == "p":
            value = rng.choice(PARTICLES)
        elif name.islower():
            value = WORDS[name](rng)
        else:
            value = make(name, rng, labelled=mark == "!")
            golds.append(Gold(at, at + len(value), TYPES.get(name, name), mark == "?"))
        parts += [before, value]
        at, done = at + len(value), slot.end()
    return Labelled("".join([*parts, template[done:]]), tuple(golds), register, number)


def sample(which: str, seed: int, each: int = 20) -> Iterator[Labelled]:
    """Every template of a set, `each` times over, each time with other values."""
    rng = Random(f"{which} sentences {seed}")
    for number, (register, template) in enumerate(templates(which)):
        for _ in range(each):
            yield fill(template, rng, register, number)


def documents(which: str, seed: int, count: int = 500) -> Iterator[Labelled]:
    """Two to six sentences of a set as one text, look-alikes between them: labels and vetoes must keep to their own."""
    rng = Random(f"{which} documents {seed}")
    calm = templates(f"negatives_{which}")
    for _ in range(count):
        text, golds = "", []
        for _ in range(rng.randint(2, 6)):
            register, template = rng.choice(calm if rng.random() < 0.4 else templates(which))
            part = fill(template, rng, register)
            glue = "" if not text else "\n" if "\n" in text + part.text else rng.choice([" ", "\n", "\n\n"])
            shift = len(text) + len(glue)
            golds += [Gold(gold.start + shift, gold.end + shift, gold.type, gold.optional) for gold in part.golds]
            text += glue + part.text
        yield Labelled(text, tuple(golds), "document", -1)


_BEFORE = {
    "PASSPORT": ("여권번호 ", "여권 번호는 "),
    "CORP": ("법인등록번호 ", "법인번호는 "),
    "ACCOUNT": ("신한은행 ", "계좌번호는 "),
}
_AFTER = (" 확인했습니다.", " 적혀 있었다.", " 다시 보세요", ", 그리고 나서 연락이 없다.")


def particles(seed: int, each: int = 3) -> Iterator[tuple[str, str, Labelled]]:
    """(slot, particle, sentence), 14 types by 22 particles; a label only where a value means nothing without one."""
    rng = Random(f"particles {seed}")
    for slot in STRESSED:
        for particle in PARTICLES:
            for _ in range(each):
                before = rng.choice(_BEFORE.get(slot, ("", "어제 ", "그래서 ", "저는 ", "명단의 ")))
                value = make(slot, rng, labelled=False)
                gold = Gold(len(before), len(before) + len(value), TYPES.get(slot, slot))
                yield slot, particle, Labelled(before + value + particle + rng.choice(_AFTER), (gold,), "particles", -1)


def negatives(which: str, seed: int, each: int = 100) -> Iterator[tuple[str, str]]:
    """(kind, text) of the look-alikes of a set."""
    rng = Random(f"{which} negatives {seed}")
    for kind, template in templates(f"negatives_{which}"):
        for _ in range(each):
            yield kind, fill(template, rng).text
