"""Values whose label is the head of their column: CSV, TSV and Markdown tables inside a text.

    순번,상호,여권번호,계좌번호        ->  every cell below 여권번호 and 계좌번호 is weighed as if its label stood beside it
    1,가람상사,M12345678,110-234-567891

A line is a head if its cells are short, hold no long number, and one of them is a head word by itself; the table goes
on to the first line without its separator. A row with more cells than the head (a comma in an address) is looked at
from both ends. `이름` and `name` name people only beside a head of another kind (a price list has names too).
Cost: only lines with a short cell between two separators are looked at; the search for those reads 1 ns a byte.
"""
# ruff: noqa: E501  (word lists read better unbroken)

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from datakit.stages.pii import names_ko, rules_any, rules_en, rules_ko
from datakit.stages.pii.judge import Judge, Live, live, matches
from datakit.stages.pii.rules import Rule, words
from datakit.stages.pii.spans import Span

HEADS: dict[str, tuple[str, ...]] = {
    "PERSON": words(
        "성명 성함 고객명 회원명 환자명 담당자 담당자명 예금주 예금주명 신청인 신청자 신청자명 수령인 수취인 대표자 대표자명 보호자 보호자명 작성자 주문자"
        " 구매자 입금자 계약자 피보험자 예약자 예약자명 학생명 직원명 참석자 받는분 받는사람 보내는분 보내는사람"
        " full_name customer_name first_name last_name surname contact_name holder account_holder recipient"
    ),
    "NAME": words("이름 name"),
    "PHONE": words(
        "전화번호 전화 연락처 휴대폰 휴대전화 핸드폰 휴대폰번호 핸드폰번호 비상연락처 팩스 phone phone_number telephone tel mobile mobile_number cell cell_phone fax"
    ),
    "RRN": words("주민등록번호 주민번호 rrn resident_registration_number jumin"),
    "FRN": words("외국인등록번호 외국인번호 frn arc_number"),
    "PASSPORT": words("여권번호 여권 passport passport_number passport_no"),
    "DRIVER_LICENSE": words("운전면허번호 면허번호 운전면허 driver_license driver_license_number license_number"),
    "BRN": words("사업자등록번호 사업자번호 brn business_registration_number biz_no"),
    "CORP_NO": words("법인등록번호 법인번호 corporate_registration_number corp_no"),
    "BANK_ACCOUNT": words(
        "계좌번호 계좌 입금계좌 환불계좌 환급계좌 통장번호 account_number account_no bank_account acct acct_no"
    ),
    "CARD": words("카드번호 신용카드번호 card_number card_no credit_card"),
    "VEHICLE": words("차량번호 차번호 번호판 plate plate_number license_plate car_number"),
    "US_SSN": words("사회보장번호 ssn social_security_number"),
    "ADDRESS": words("주소 집주소 배송지 거주지 자택주소 address home_address street_address shipping_address"),
    "BIRTH_DATE": words("생년월일 생일 출생일 birth birth_date birthdate date_of_birth dob birthday"),
    "MESSENGER_ID": words("카카오톡id 카톡id 카카오톡아이디 카톡아이디 텔레그램id 라인id kakao_id telegram_id line_id"),
    "SECRET": words("비밀번호 패스워드 비번 password passwd pwd api_key secret_key access_token"),
}
"""Words that are the head of a column by themselves, by the type of what stands below."""

_SHORT_CELLS = {
    "\t": re.compile(r"\t[^\t\n]{1,24}[\t\n]"),
    "|": re.compile(r"\|[^|\n]{1,24}[|\n]"),
    ",": re.compile(r",[^\s0-9,][^,\n]{0,23}[,\n]"),
    ";": re.compile(r";[^;\n]{1,24}[;\n]"),
}
"""Separators, and what stands in a head: a cell of at most 24 characters behind one. Each begins with its literal, for
which `re` leaps ahead."""
_COMMA_CELL = re.compile(r'"(?:[^"\n]|"")*"|[^,\n]*')
_REMARK = re.compile(r"\([^)]*\)$")
_LONG_NUMBER = re.compile("[0-9]{4}")
_WIDEST_CELL, _WIDEST_HEAD = 24, 2_000


def _key(head: str) -> str:
    plain = _REMARK.sub("", head.strip(" \t\"'*`#").lower()).strip(" .")
    return plain.replace("_", "").replace(" ", "").replace("-", "")


_ALSO = frozenset(map(_key, words("이메일 전자우편 메일 email e-mail mail ip아이피 ip")))
"""Heads of values that need no label; beside them a column `name` names people."""
_KINDS = {_key(word): kind for kind, listed in HEADS.items() for word in listed}


def _name(value: str) -> bool:
    return names_ko.labelled_name(value) and rules_en.latin_name(value)


def _cell(kind: str, pattern: str, **more: object) -> Rule:
    made = Rule(id=f"column_{kind.lower()}", entity=kind, pattern=pattern, needles=(",",), labelled=True)  # type: ignore[arg-type]
    return replace(made, **more)  # type: ignore[arg-type]


CELLS = (
    _cell("PERSON", rf"(?:{names_ko.NAME}|{rules_en.NAME})", guard=_name),
    _cell("BIRTH_DATE", rf"(?:{rules_ko.DATE}|{rules_en.DATE})"),
    _cell("ADDRESS", r"(?=[^0-9\n]{0,80}[0-9])(?=[^A-Za-z가-힣\n]{0,12}[A-Za-z가-힣])[^\s\n]{1,40} [^\n]{2,100}"),
    _cell("MESSENGER_ID", r"@?[A-Za-z0-9][A-Za-z0-9._#:-]{2,31}"),
    _cell("SECRET", r"[!-~]{4,256}", guard=rules_any.secret_value),
)
"""What a whole cell looks like, for types whose rules in running text hold their label."""


@dataclass(frozen=True, slots=True)
class _Head:
    width: int
    kinds: dict[int, str]


class Tables:
    """The values of labelled columns: `tables(judge)` gives them, believed for their label."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        wanted = {rule.entity for rule in rules}
        self._inside: dict[str, list[Live]] = {}
        for rule in rules:
            found = live(rule)
            if not rule.labelled and not found.groups:
                self._inside.setdefault(rule.entity, []).append(live(replace(rule, labelled=True)))
        self._whole: dict[str, Live] = {rule.entity: live(rule) for rule in CELLS if rule.entity in wanted}

    def __call__(self, judge: Judge) -> Iterator[Span]:
        for kind, start, end in labelled_cells(judge.text):
            yield from self._in_cell(judge, kind, start, end)

    def _in_cell(self, judge: Judge, kind: str, start: int, end: int) -> Iterator[Span]:
        cell = self._whole.get(kind)
        if cell is not None and cell.pattern.fullmatch(judge.text, start, end):
            evidence = judge.weigh(cell.rule, start, end)
            if evidence is not None:
                yield Span(start, end, kind, cell.rule.id, evidence)
        for rule in self._inside.get(kind, ()):
            yield from matches(rule, judge, start, end)


def labelled_cells(text: str) -> Iterator[tuple[str, int, int]]:
    """(type, start, end) of every cell below a head that names a type, without blanks and quotes around it."""
    if "\n" in text:
        for separator, cell in _SHORT_CELLS.items():
            if separator in text:
                yield from _of_separator(text, separator, cell)


def _of_separator(text: str, separator: str, cell: re.Pattern[str]) -> Iterator[tuple[str, int, int]]:
    done = 0
    for found in cell.finditer(text):
        if found.start() < done:
            continue
        start = text.rfind("\n", 0, found.start()) + 1
        end = _line_end(text, start)
        done = end
        head = _head(text[start:end], separator) if end - start <= _WIDEST_HEAD else None
        if head is not None:
            for low, high in _rows(text, end + 1, separator):
                yield from _below(text, head, _cells(text, low, high, separator))
                done = high


def _rows(text: str, start: int, separator: str) -> Iterator[tuple[int, int]]:
    """The lines from a place on, up to one without the separator, or another head."""
    while start < len(text):
        end = _line_end(text, start)
        if text.find(separator, start, end) < 0 or _head(text[start:end], separator) is not None:
            return
        yield start, end
        start = end + 1


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _head(line: str, separator: str) -> _Head | None:
    """The head that a line is, if it is one."""
    cells = line.split(separator)
    if any(len(cell) > _WIDEST_CELL for cell in cells) or _LONG_NUMBER.search(line):
        return None
    kinds = {place: _KINDS[key] for place, cell in enumerate(cells) if (key := _key(cell)) in _KINDS}
    if not kinds or not (set(kinds.values()) - {"NAME"} or any(_key(cell) in _ALSO for cell in cells)):
        return None
    return _Head(len(cells), {at: "PERSON" if kind == "NAME" else kind for at, kind in kinds.items()})


def _below(text: str, head: _Head, cells: list[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    more = max(0, len(cells) - head.width)
    for place, kind in head.kinds.items():
        for at in {place, place + more}:
            if at < len(cells):
                start, end = _bare(text, *cells[at])
                if start < end:
                    yield kind, start, end


def _cells(text: str, start: int, end: int, separator: str) -> list[tuple[int, int]]:
    """The places of a line's cells; in a line with quotes a comma inside them does not part."""
    if separator == "," and text.find('"', start, end) >= 0:
        found, at = [], start
        while at <= end:
            match = _COMMA_CELL.match(text, at, end)
            stop = match.end() if match else end
            stop = stop if stop == end or text[stop] == "," else (text.find(",", stop, end) + 1 or end + 1) - 1
            found.append((at, stop))
            at = stop + 1
        return found
    ends = list(accumulate((len(cell) + 1 for cell in text[start:end].split(separator)), initial=start))
    return [(left, right - 1) for left, right in pairwise(ends)]


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """A cell without blanks and quotes around it."""
    while start < end and text[start] in " \"'\r":
        start += 1
    while start < end and text[end - 1] in " \"'\r":
        end -= 1
    return start, end
