"""The rules of PII removal: what is found behind 22 particles, what is left alone, what bad input does."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.errors import StageError
from datakit.kernels.anchors import anchors_in, compile_anchors, find_anchors_plainly
from datakit.stages.pii import checksums
from datakit.stages.pii import judge as judging
from datakit.stages.pii.fold import fold
from datakit.stages.pii.judge import Judge, live, matches
from datakit.stages.pii.rules import ENTITIES, ENTITY_TYPES, LEFT, Rule, all_rules
from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Span, TooDenseError, resolve
from datakit.stages.pii.tables import Tables
from datakit.stages.pii.wishes import Wishes

PARTICLES = [
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "과",
    "와",
    "의",
    "에",
    "에서",
    "에게",
    "으로",
    "로",
    "도",
    "만",
    "까지",
    "부터",
    "이나",
    "입니다",
    "이고",
    "라고",
]  # 22, directly behind the value
REGIONS = ("서울", "부산", "경기")


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def rrn(rng: random.Random, sex: str = "1234") -> str:
    return f"{rng.randint(50, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}-{rng.choice(sex)}{digits(rng, 6)}"


def brn(rng: random.Random) -> str:
    while True:
        value = f"{rng.randint(101, 899)}-{rng.randint(10, 89)}-{digits(rng, 5)}"
        if checksums.brn_check(value):
            return value


def card(rng: random.Random) -> str:
    while True:
        value = f"4{digits(rng, 15)}"
        if checksums.luhn_check(value):
            return rng.choice((value, "-".join(value[i : i + 4] for i in range(0, 16, 4))))


def iban(rng: random.Random) -> str:
    body = digits(rng, 18)
    check = 98 - int("".join(str(int(char, 36)) for char in body + "DE00")) % 97
    return f"DE{check:02d}{body}"


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "EMAIL": lambda r: f"u{digits(r, 4)}.kim@mail{digits(r, 2)}.co.kr",
    "PHONE": lambda r: r.choice(("010-", "02-", "031 ", "+82 10-", "070.")) + r.choice(("3947-5821", "8261-4407")),
    "RRN": rrn,
    "FRN": lambda r: rrn(r, "5678"),
    "PASSPORT": lambda r: f"여권번호 M{digits(r, 8)}",
    "DRIVER_LICENSE": lambda r: f"{r.randint(11, 28)}-{r.randint(10, 23)}-{digits(r, 6)}-{digits(r, 2)}",
    "BRN": brn,
    "CORP_NO": lambda r: f"법인등록번호 1101{r.randint(11, 19)}-0{digits(r, 6)}",
    "BANK_ACCOUNT": lambda r: f"{r.choice(('신한은행', '국민', '계좌'))} 1{digits(r, 2)}-{digits(r, 3)}-{digits(r, 6)}",
    "CARD": card,
    "VEHICLE": lambda r: f"{r.choice(REGIONS)} {r.randint(10, 99)}가 {r.randint(1000, 9999)}",
    "IP": lambda r: f"{r.randint(60, 99)}.{r.randint(10, 99)}.{r.randint(10, 250)}.{r.randint(10, 250)}",
    "MAC": lambda r: ":".join(f"{r.randint(16, 255):02X}" for _ in range(6)),
    "IBAN": iban,
    "US_SSN": lambda r: f"{r.randint(101, 599)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}",
    "SECRET": lambda r: "ghp_" + "".join(r.choice("abcdefghjkmnpqrstuvwxyzABCDEFGH23456789") for _ in range(36)),
    "URL_CREDENTIAL": lambda r: f"https://admin:pw{digits(r, 6)}@db.example.org/x",
    "MESSENGER_ID": lambda r: f"카톡 아이디 user_{digits(r, 5)}",
    "PERSON": lambda r: f"예금주 {r.choice('김이박최정')}{r.choice(('서준', '하윤', '도현'))}",
    "ADDRESS": lambda r: f"서울 강남구 테헤란로 {r.randint(1, 999)}",
    "BIRTH_DATE": lambda r: f"생년월일 19{r.randint(50, 99)}.{r.randint(1, 12)}.{r.randint(1, 28)}",
}
NAMED_BY_LABEL = {"PASSPORT", "CORP_NO", "BANK_ACCOUNT", "MESSENGER_ID", "PERSON", "BIRTH_DATE"}


@pytest.fixture(scope="module")
def find() -> Scanner:
    return Scanner()


def covered(text: str, spans: list[Span], value: str) -> bool:
    at = text.index(value)
    inside = {place for span in spans for place in range(span.start, span.end)}
    return all(place in inside for place in range(at, at + len(value)) if text[place].isalnum())


@pytest.mark.parametrize("entity", ENTITY_TYPES)
def test_value_before_each_particle_is_found(find: Scanner, entity: str) -> None:
    rng = random.Random(entity)
    for particle in PARTICLES:
        whole = MAKERS[entity](rng)
        value = whole.rsplit(" ", 1)[-1] if entity in NAMED_BY_LABEL else whole
        text = f"어제 확인한 내용을 보면 {whole}{particle} 적어 두었습니다."
        spans = find(text)
        assert covered(text, spans, value), (entity, particle)
        if not (entity == "PERSON" and particle in {"의", "에"}):
            assert any(span.entity == entity for span in spans), (entity, particle)


@pytest.mark.parametrize("entity", sorted(set(ENTITY_TYPES) - NAMED_BY_LABEL - {"ADDRESS"}))
def test_value_in_english_sentence_is_found(find: Scanner, entity: str) -> None:
    rng = random.Random(entity)
    for sentence in ("Please use {} for it.", "({})", "It was {}, I think", "a,{};b", "{}"):
        value = MAKERS[entity](rng)
        text = sentence.format(value)
        assert covered(text, find(text), value), sentence


NEGATIVES: dict[str, Callable[[random.Random], str]] = {
    "order": lambda r: f"주문번호 {r.choice(('20240305', '241105'))}-{digits(r, r.choice((6, 7)))}로 조회하세요.",
    "order_en": lambda r: f"Your order number {digits(r, r.choice((8, 10, 12, 13)))} has shipped.",
    "invoice": lambda r: f"송장번호 {digits(r, r.choice((10, 12, 13)))}입니다.",
    "invoice_en": lambda r: f"Invoice no. INV-{digits(r, 4)}-{digits(r, 6)} is due.",
    "epoch": lambda r: f"타임스탬프는 17{digits(r, 8)}이고 밀리초는 17{digits(r, 11)}이다.",
    "ean": lambda r: f"바코드 880{digits(r, 10)}을 찍으세요.",
    "version": lambda r: (
        f"버전 {r.randint(1, 12)}.{r.randint(0, 30)}.{r.randint(0, 30)}.{r.randint(0, 3000)}으로 올렸다."
    ),
    "version_en": lambda r: (
        f"Fixed in v{r.randint(1, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)}.{r.randint(0, 9)} of the driver."
    ),
    "amount": lambda r: (
        f"합계 {r.randint(1, 999)},{digits(r, 3)},{digits(r, 3)}원 또는 {r.randint(10**6, 10**9)}원을 냈다."
    ),
    "isbn": lambda r: f"ISBN 979-11-{digits(r, 4)}-{digits(r, 3)}-{digits(r, 1)}인 책, 978{digits(r, 10)}",
    "date": lambda r: (
        f"{r.randint(1990, 2026)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d} 14:{r.randint(10, 59)}:05에 시작했다."
    ),
    "document": lambda r: f"문서번호 제{r.randint(2000, 2026)}-{digits(r, 4)}호에 따라, 서울-{digits(r, 5)}",
    "pi": lambda r: f"원주율은 3.14159265358979{digits(r, 6)}이다.",
    "law": lambda r: (
        f"대법원 {r.randint(10, 99)}다{r.randint(1000, 9999)} 판결, 제{r.randint(1, 99)}조 제{r.randint(1, 9)}항"
    ),
    "code": lambda r: f"x = foo[{r.randint(1, 99)}] + {r.random():.10f}; y = 0x{digits(r, 8)}",
    "sha": lambda r: f"commit {''.join(r.choice('0123456789abcdef') for _ in range(40))} broke it",
    "coordinates": lambda r: f"좌표는 37.{digits(r, 6)}, 127.{digits(r, 6)}입니다.",
    "coordinates_en": lambda r: (
        f"at latitude {r.randint(10, 60)}.{digits(r, 7)} and longitude -{r.randint(70, 120)}.{digits(r, 7)}"
    ),
    "counts": lambda r: (
        f"{r.randint(10, 99)}조 {r.randint(1000, 9999)}억 원, {r.randint(10, 99)}배 {r.randint(1000, 9999)}명이 늘었다."
    ),
    "service": lambda r: f"대표번호 15{digits(r, 2)}-{digits(r, 4)}로 문의하세요.",
    "ratio": lambda r: f"목표로 {r.randint(1, 99)}개, 다시 {r.randint(1, 9)}번 하면 우리 {r.randint(1, 99)}명",
}


def test_numbers_that_are_nobodys_stay_in_199_of_200_sentences(find: Scanner) -> None:
    flagged: Counter[str] = Counter()
    for kind, make in NEGATIVES.items():
        rng = random.Random(kind)
        flagged[kind] = sum(bool(find(make(rng))) for _ in range(200))
    assert flagged.total() <= 0.005 * 200 * len(NEGATIVES), flagged.most_common(5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("연락처 ０１０－１２３４－５６７８로", "０１０－１２３４－５６７８"),
        ("전화는 010\u200b-12\u200b34-5678이에요", "010\u200b-12\u200b34-5678"),
        ("주민번호 900101–1234567", "900101–1234567"),
        ("주민번호는 900101-2●●●●●●입니다", "900101-2"),
        ("ｈｏｎｇ＠ｎａｖｅｒ．ｃｏｍ으로", "ｈｏｎｇ＠ｎａｖｅｒ．ｃｏｍ"),
        ("메일hong@naver.com으로", "hong@naver.com"),
        ("010ㅡ1234ㅡ5678", "010ㅡ1234ㅡ5678"),
        ("계좌\n110-234-567890 (신한)", "110-234-567890"),
        ("번호는 공일공-1234-5678이에요", "공일공-1234-5678"),
        ("a\x00b 010-1234-5678\ud800", "010-1234-5678"),
        ("비밀번호: qwer12!@이에요", "qwer12!@"),
        ("my password is hunter22.", "hunter22"),
    ],
)
def test_disguised_value_is_found_at_its_original_place(find: Scanner, text: str, value: str) -> None:
    spans = find(text)
    assert covered(text, spans, value)
    assert text[spans[0].start] == value[0]


def test_label_beats_shape_and_veto_beats_check_digit(find: Scanner) -> None:
    def types(text: str) -> list[str]:
        return [span.entity for span in find(text)]

    assert types("법인등록번호 110111-1234567") == ["CORP_NO"]
    assert types("900101-1234567") == ["RRN"]
    assert types("주문번호 900101-1234567") == []
    assert types("카드번호 1234-5678-9012-3456") == ["CARD"]
    assert types("쿠폰번호 1234-5678-9012-3456") == []
    assert types("call the office: 358 0594") == ["PHONE"]


def test_overlapping_spans_leave_nothing_over(find: Scanner) -> None:
    text = "접속: https://kim:secret99@kim@naver.com/a 010-1234-5678 02-123-4567"
    spans = find(text)
    assert all(one.end <= two.start for one, two in pairwise(spans))
    assert "secret99" not in re.sub("|".join(re.escape(text[s.start : s.end]) for s in spans), "", text)


def test_denied_values_go_and_allowed_ones_stay() -> None:
    find = Scanner(wishes=Wishes(("010-1234-5678",), ("비밀계획", "Falcon")))
    text = "010-1234-5678, 비밀계획은 Falcon이고 Falconer는 아니다"
    assert [text[span.start : span.end] for span in find(text)] == ["비밀계획", "Falcon"]


def test_every_rule_is_well_declared() -> None:
    rules = all_rules()
    assert len({rule.id for rule in rules}) == len(rules) > 40
    assert {rule.entity for rule in rules} == set(ENTITY_TYPES) <= set(ENTITIES)
    for rule in rules:
        assert bool(rule.digits) != bool(rule.needles), rule.id
        assert not rule.digits or rule.pattern.startswith(LEFT), rule.id
        assert "\\b" not in rule.pattern, rule.id
        assert all(rule.needles), rule.id


def plainly(text: str) -> list[Span]:
    """Every rule over the whole text, without anchors or runs: what the fast engine is held to."""
    folded = fold(text)
    judge = Judge(folded.text)
    found = [span for rule in all_rules() for span in matches(live(rule), judge, 0, len(folded.text))]
    return resolve([*found, *Tables(all_rules())(judge)])


def test_fast_engine_finds_what_all_rules_find_over_the_whole_text(find: Scanner) -> None:
    rng = random.Random(7)
    for _ in range(60):
        parts = [MAKERS[rng.choice(ENTITY_TYPES)](rng) + rng.choice(PARTICLES) for _ in range(3)]
        parts += [make(rng) for make in rng.sample(list(NEGATIVES.values()), 2)]
        rng.shuffle(parts)
        text = " 그리고 ".join(parts)
        assert find(text) == plainly(text)


def test_rule_whose_anchor_is_wrong_fails_the_comparison(find: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted breach of the law above: an anchor that does not stand in every match loses values."""
    bent = [replace(rule, needles=("@@",)) if rule.id == "email" else rule for rule in all_rules()]
    monkeypatch.setattr("datakit.stages.pii.rules.all_rules", lambda: tuple(bent))
    text = "메일은 hong@naver.com으로"
    assert Scanner()(text) != find(text)
    assert find(text) == plainly(text)


def test_too_many_candidates_are_refused_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST", 50)
    with pytest.raises(TooDenseError):
        Scanner()("010-1234-5678 " * 60)


def test_failing_rule_stops_without_telling_the_value(find: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Judge, rule: Rule, start: int, end: int) -> None:
        raise ValueError(self.text[start:end])

    monkeypatch.setattr(Judge, "_weigh", broken)
    with pytest.raises(StageError) as caught:
        find("010-1234-5678")
    assert "5678" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@given(st.text(alphabet="ab0:@가이름 =Z", max_size=60))
@settings(max_examples=150, deadline=None)
def test_anchor_kernel_equals_its_reference(text: str) -> None:
    groups = (("@",), ("이름:", "이름 ="), ("0가", "a0"), ("zz", "b"))
    assert anchors_in(text, *compile_anchors(groups)) == find_anchors_plainly(text, groups)


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_fold_leads_back_to_the_original_characters(text: str) -> None:
    folded = fold(text)
    for place, char in enumerate(folded.text):
        start, end = folded.original(place, place + 1)
        assert end - start == 1
        assert fold(text[start:end]).text == char


def test_check_digits_accept_known_numbers_and_refuse_changed_ones() -> None:
    known = {
        checksums.brn_check: "124-81-00998",
        checksums.luhn_check: "4111 1111 1111 1111",
        checksums.ean13_check: "4006381333931",
    }
    for check, value in known.items():
        assert check(value)
        changed = value[:-1] + str((int(value[-1]) + 1) % 10)
        assert not check(changed)
    assert checksums.iban_check("GB82 WEST 1234 5698 7654 32")
    assert not checksums.iban_check("GB82 WEST 1234 5698 7654 33")
    assert [checksums.public_ipv4(value) for value in ("192.168.0.10", "1.2.3.4", "81.106.52.9")] == [
        False,
        False,
        True,
    ]
    assert not checksums.public_ipv6("2001:db8::1:2")
