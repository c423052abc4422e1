"""Korean rules, label words and veto words.

Formats: resident and foreigner numbers YYMMDD-GXXXXXX (no check digit since 5 October 2020), business numbers 3-2-5,
corporate numbers 6-7, licences RR-YY-NNNNNN-CC, passports M12345678 and M123A4567, plates 12가 3456, accounts of 10 to 16
digits without a common shape. What follows a value is mostly a particle (으로, 에게, 입니다), never a boundary.
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

import re

from datakit.stages.pii import checksums, names_ko, places_ko
from datakit.stages.pii.rules import DOTS, LEFT, RIGHT, SAID, VETO, Rule, words

_GAP = r"[ .\-]{0,3}"
_SEP = rf"[ .\-)/{DOTS}]{{0,3}}"
_JOINT = rf"[ .\-/{DOTS}]{{1,3}}"
_SAID = "[0-9공영일이삼사오육칠팔구]"
_YMD = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"

_BANK_NAMES = "국민|신한|우리|하나|농협|기업|카뱅|카카오|토스|케뱅|케이|수협|신협|새마을|우체국|SC|KB|NH|IBK|씨티|제일"
# A group of an account is no amount (원) and no part of a longer number; joined by blanks it may be the next word.
_NO_AMOUNT = r"(?![0-9]|,[0-9]{3}| ?원|만 ?(?:원|[0-9])|천 ?원)"
_ACCOUNT = (
    rf"[0-9]{{2,16}}(?:(?P<joint> ?- ?| )[0-9]{{1,8}}{_NO_AMOUNT}(?:(?P=joint)[0-9]{{1,8}}{_NO_AMOUNT}){{1,3}}"
    rf"|(?:[\- ][0-9]{{1,8}}{_NO_AMOUNT}){{0,4}})"
)

# Resident numbers ask for a separator in the shape; without one they need a label or a check digit.
_DASHED = r" ?[\-~./] ?"
_SPACED = r"\s{0,2}[\-~./ ]?\s{0,2}"

_PLATE = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주아바사자하허호배"
_PLATE_UNITS = "조배호도주부"
"""Plate syllables that count something in prose (12조 3000, 10배 2000)."""
_UNIT_AFTER = r"(?! ?(?:[0-9]|원|억|만 ?(?:원|명|개|대|평|톤|여)|명|개|년|월|천|평|여 ?(?:명|개)|㎡|%|km|kg|,[0-9]{3}))"
_PLATE_NEEDLES = tuple(f"0{gap}{char}{last}0" for char in _PLATE for gap in ("", " ") for last in ("", " "))
_REGION_2 = "서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주"


_DATE_OR_DOTTED = re.compile(r"(?:19|20)[0-9]{2}(?:[ .\-/]{1,3}[0-9]{1,2}){2}(?![0-9])|[0-9]+(?:\.[0-9]+){3}$")


def local_phone(value: str) -> bool:
    """Seven to twelve digits that are no date, no service number (1588-1234) and not one digit repeated."""
    found = checksums.digit_text(value)
    if not 7 <= len(found) <= 12 or len(set(found)) == 1:
        return False
    if _DATE_OR_DOTTED.match(value):
        return False
    service = len(found) == 8 and found[:2] in {"15", "16", "18"}
    date = len(found) == 8 and found[:2] in {"19", "20"} and checksums.valid_month_day(int(found[4:6]), int(found[6:]))
    return not (service or date)


def account_number(value: str) -> bool:
    """Ten to sixteen digits, not a mobile phone, not one digit repeated."""
    found = checksums.digit_text(value)
    mobile = len(found) == 11 and found.startswith("010") and value[3:4] in "-. "
    return 10 <= len(found) <= 16 and len(set(found)) > 1 and not mobile


def plate_alone(value: str) -> bool:
    """A plate that is believed without a label: all but a number, its unit, and a round number or a year apart from it.

    Whole corpora (10,000 articles, 14,000 chats, news) hold no other text of this shape; of the plates that end on two
    zeros or look like a year, those with a unit for a syllable and a blank behind it are left over: one in 2,000.
    """
    number, unit = value[-4:], value[-6:-5]
    apart = value[-5:-4] == " " and unit in _PLATE_UNITS
    return not (apart and (number.endswith("00") or number.startswith(("19", "20"))))


DATE = (
    r"(?:(?:19|20)?[0-9]{2}\s?년\s?[0-9]{1,2}\s?월\s?[0-9]{1,2}\s?일|(?:19|20)[0-9]{2}\s?[.\-/]\s?[0-9]{1,2}\s?[.\-/]\s?[0-9]{1,2}"
    r"|[0-9]{2}[.\-/]\s?[0-9]{1,2}[.\-/]\s?[0-9]{1,2}|(?:19|20)[0-9]{6}|[0-9]{6})(?![0-9])"
)

RULES = (
    Rule(
        id="rrn_separated",
        entity="RRN",
        pattern=rf"{LEFT}{_YMD}{_DASHED}[1-4][0-9]{{6}}{RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.rrn_check,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="rrn_bare",
        entity="RRN",
        pattern=rf"{LEFT}{_YMD}{_SPACED}[1-4][0-9]{{6}}{RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.bare_rrn_check,
        lang="ko",
    ),
    Rule(
        id="rrn_masked",
        entity="RRN",
        pattern=rf"{LEFT}{_YMD} ?[\-~ ]? ?[1-4](?=[0-9]{{0,5}}[*xX])[0-9*xX]{{6}}(?![0-9*xX])",
        needles=("0*", "0x"),
        back=20,
        ahead=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="rrn_short",
        entity="RRN",
        pattern=rf"{LEFT}{_YMD} ?- ?[1-4](?![0-9*xX\-])",
        digits=7,
        guard=checksums.begins_with_date,
        lang="ko",
    ),
    Rule(
        id="frn_separated",
        entity="FRN",
        pattern=rf"{LEFT}{_YMD}{_DASHED}[5-8][0-9]{{6}}{RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.frn_check,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="frn_bare",
        entity="FRN",
        pattern=rf"{LEFT}{_YMD}{_SPACED}[5-8][0-9]{{6}}{RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.bare_frn_check,
        lang="ko",
    ),
    Rule(
        id="frn_masked",
        entity="FRN",
        pattern=rf"{LEFT}{_YMD} ?[\-~ ]? ?[5-8](?=[0-9]{{0,5}}[*xX])[0-9*xX]{{6}}(?![0-9*xX])",
        needles=("0*", "0x"),
        back=20,
        ahead=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="frn_short",
        entity="FRN",
        pattern=rf"{LEFT}{_YMD} ?- ?[5-8](?![0-9*xX\-])",
        digits=7,
        guard=checksums.begins_with_date,
        lang="ko",
    ),
    Rule(
        id="corp_no",
        entity="CORP_NO",
        pattern=rf"{LEFT}[0-9]{{6}}{_GAP}[0-9]{{7}}{RIGHT}",
        digits=13,
        lang="ko",
    ),
    Rule(
        id="brn",
        entity="BRN",
        pattern=rf"{LEFT}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{5}}{RIGHT}",
        digits=10,
        check=checksums.brn_check,
        lang="ko",
    ),
    Rule(
        id="brn_labelled",
        entity="BRN",
        pattern=rf"{LEFT}[0-9]{{3}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{5}}{RIGHT}",
        digits=10,
        lang="ko",
    ),
    Rule(
        id="license",
        entity="DRIVER_LICENSE",
        pattern=rf"{LEFT}(?:1[1-9]|2[0-8])(?P<licence>[\- ])[0-9]{{2}}(?P=licence)[0-9]{{6}}(?P=licence)[0-9]{{2}}{RIGHT}",
        digits=12,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="license_labelled",
        entity="DRIVER_LICENSE",
        pattern=rf"{LEFT}[0-9]{{2}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{2}}{RIGHT}",
        digits=12,
        lang="ko",
    ),
    Rule(
        id="license_region",
        entity="DRIVER_LICENSE",
        pattern=rf"(?:{_REGION_2}) ?[0-9]{{2}}[\- ][0-9]{{6}}[\- ][0-9]{{2}}{RIGHT}",
        needles=("00-000000-00", "00 000000 00", "00-000000 00", "00 000000-00"),
        back=4,
        ahead=2,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="passport",
        entity="PASSPORT",
        pattern=r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,2} ?[0-9]{7,8}|[A-Za-z] ?[0-9]{3}[A-Za-z][0-9]{4}|[0-9]{9})(?![0-9A-Za-z])",
        needles=("여권", "assport", "PASSPORT"),
        back=24,
        ahead=48,
        lang="ko",
    ),
    Rule(
        id="mobile",
        entity="PHONE",
        pattern=rf"{LEFT}\(?01[016789](?:\)[ .\-]?|{_JOINT})[0-9]{{3,4}}{_JOINT}[0-9]{{4}}{RIGHT}",
        firm=True,
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="mobile_bare",
        entity="PHONE",
        pattern=rf"{LEFT}\(?01[016789]\)?{_SEP}[0-9]{{3,4}}{_SEP}[0-9]{{4}}{RIGHT}",
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="mobile_82",
        firm=True,
        entity="PHONE",
        pattern=rf"{LEFT}(?<!\+)\(?(?:\+ ?82|0082|82(?=[ \-)]))\)?{_SEP}\(?0?\)?{_SEP}(?:50[0-9]|[1-9][0-9]?){_SEP}[0-9]{{3,4}}{_SEP}[0-9]{{4}}{RIGHT}",
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="landline",
        firm=True,
        entity="PHONE",
        pattern=(
            rf"{LEFT}\(?0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)(?:\) ?|{_JOINT})[0-9]{{3,4}}{_JOINT}[0-9]{{4}}{RIGHT}"
        ),
        digits=9,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="landline_bare",
        entity="PHONE",
        pattern=rf"{LEFT}0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)[0-9]{{7,8}}{RIGHT}(?![A-Za-z])",
        digits=9,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="mobile_spoken",
        entity="PHONE",
        pattern=rf"[공영]일[공영일육칠팔구][ .\-]{{0,2}}{_SAID}{{3,4}}[ .\-]{{0,2}}{_SAID}{{4}}(?![0-9])",
        needles=("공일", "영일"),
        ahead=20,
        firm=True,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="phone_labelled",
        entity="PHONE",
        pattern=rf"{LEFT}(?<![.,\-])\(?[0-9](?:[ .\-()/{DOTS}]{{0,2}}[0-9]){{6,11}}(?![0-9]|[.\-][0-9]{{2}})(?![ ]?(?:원|건|명|개|회|만|억|위|%|,[0-9]))",
        digits=7,
        guard=local_phone,
        lang="ko",
    ),
    Rule(
        id="account",
        entity="BANK_ACCOUNT",
        pattern=rf"{LEFT}{_ACCOUNT}{RIGHT}",
        digits=10,
        guard=account_number,
        lang="ko",
    ),
    Rule(
        id="account_bank",
        entity="BANK_ACCOUNT",
        pattern=(
            rf"(?:{_BANK_NAMES})\s?\(?"
            rf"(?P<v>{_ACCOUNT}){RIGHT}"
        ),
        needles=tuple(f"{bank}{gap}00" for bank in _BANK_NAMES.split("|") for gap in ("", " ", "(", " (", "\n")),
        ahead=40,
        guard=account_number,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="account_bank_behind",
        entity="BANK_ACCOUNT",
        pattern=rf"{LEFT}(?P<v>{_ACCOUNT}) ?\((?:{_BANK_NAMES})(?:은행|뱅크|금고)?(?=[) ,])",
        needles=tuple(f"0{gap}({bank}" for bank in _BANK_NAMES.split("|") for gap in ("", " ")),
        back=72,
        ahead=6,
        guard=account_number,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="plate",
        entity="VEHICLE",
        pattern=rf"(?<![0-9A-Za-z.])(?:(?<!,)|(?<=[^0-9],)|(?<=[0-9]{{4}},))[0-9]{{2,3}} ?[{_PLATE}] ?[0-9]{{4}}{_UNIT_AFTER}",
        needles=_PLATE_NEEDLES,
        back=3,
        ahead=12,
        check=plate_alone,
        lang="ko",
    ),
    Rule(
        id="plate_region",
        entity="VEHICLE",
        pattern=rf"(?:{_REGION_2}) ?[0-9]{{1,3}} ?[{_PLATE}] ?[0-9]{{4}}{_UNIT_AFTER}",
        needles=_PLATE_NEEDLES,
        back=7,
        ahead=12,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="messenger",
        entity="MESSENGER_ID",
        pattern=(
            r"(?:(?:카카오톡|카톡|오픈톡|텔레그램|텔레|라인|위챗|인스타그램|인스타|디스코드|스카이프|트위터|페이스북|페북|왓츠앱|네이트온)\s?(?:아이디|ID|id|Id|계정)"
            r"|(?:카카오톡|카톡|텔레그램|위챗|인스타그램|인스타|디스코드|스카이프)(?=[\s:은는=\"']{1,3}@?[A-Za-z0-9._-]{0,20}[0-9_@]))"
            r"(?:은|는|이|가|를|로)?[\"']?\s?[:=]?\s?[\"'(]?(?P<v>@?[A-Za-z0-9][A-Za-z0-9._#:-]{2,31}(?<![.:]))"
        ),
        needles=tuple(
            f"{app}{said}"
            for app in words(
                "톡 텔레그램 텔레 라인 위챗 인스타그램 인스타 디스코드 스카이프 트위터 페이스북 페북 왓츠앱 네이트온"
            )
            for said in (*words("아이디 id 계정 : 은 는 ="), " 아이디", " id", " 계정", " :", " ", "\n")
        ),
        back=4,
        ahead=60,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="birth_field",
        entity="BIRTH_DATE",
        pattern=(
            r"(?:생년월일|생일|출생일자?|출생연월일|생년|(?<![A-Za-z])(?i:birth_?date|date_?of_?birth|birthday|birth|dob)(?=[\"':=]))"
            rf"(?:{SAID}|\s?(?:\([^)\n]{{1,12}}\)\s?)?(?:은|는|이|가)?\s{{0,2}})(?:양력|음력)?\s?(?P<v>{DATE})"
        ),
        needles=(
            *("생년", "생일", "출생"),
            *(f"{word}{sign}" for word in words("birth birthdate birth_date birthday dob") for sign in "\"':="),
            *(f"birth_date{sign}" for sign in "\"':="),
        ),
        back=12,
        ahead=64,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="birth_suffix",
        entity="BIRTH_DATE",
        pattern=(
            r"(?<![0-9])(?P<v>(?:(?:19|20)[0-9]{2}|[0-9]{2})(?:\s?년\s?[0-9]{1,2}\s?월\s?[0-9]{1,2}\s?일|[.\-/]\s?[0-9]{1,2}[.\-/]\s?[0-9]{1,2}\.?"
            r"|(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])))\s?(?:생(?![가-힣])|생(?=이|입|으|인|의|은|남|여)|(?:에\s)?출생|(?:에\s)?태어)"
        ),
        needles=(
            *(
                f"{end}{gap}{born}"
                for end in ("일", "0", ".")
                for gap in ("", " ", "에 ")
                for born in ("생", "출생", "태어")
            ),
        ),
        back=24,
        ahead=6,
        labelled=True,
        lang="ko",
    ),
    *names_ko.RULES,
    *places_ko.RULES,
)

_BANKS = (
    "국민은행 신한은행 우리은행 하나은행 농협은행 농협 수협 기업은행 카카오뱅크 토스뱅크 케이뱅크 새마을금고 신협 우체국 산업은행 씨티은행 제일은행 sc제일 대구은행 부산은행 경남은행"
    " 광주은행 전북은행 제주은행 im뱅크 신한 카뱅 은행 ibk"
)
LABELS: dict[str, tuple[str, ...]] = {
    "RRN": words("주민등록번호 주민번호 주민등록 주민_번호 주민등록_번호 주민증 민증"),
    "FRN": words(
        "외국인등록번호 외국인_등록번호 외국인등록증 외국인_등록증 외국인번호 등록증번호 거소신고번호 국내거소"
    ),
    "CORP_NO": words("법인등록번호 법인번호 법인_등록번호 법인등기번호"),
    "BRN": words(
        "공급자 공급받는자 공급자_등록번호 공급받는자_등록번호 발행처_등록번호 사업자등록번호 사업자번호 사업자_등록번호 사업자_번호 사업자등록증 사업자"
    ),
    "DRIVER_LICENSE": words("운전면허번호 운전면허증 운전면허 면허번호 면허증 면허"),
    "PASSPORT": words("여권번호 여권_번호 여권"),
    "PHONE": words(
        "전화번호 전화 연락처 휴대폰 휴대전화 핸드폰 폰번호 폰_번호 휴대폰번호 핸드폰번호 연락 팩스 문자 콜백 직통 내선 대표번호 수신번호 발신번호 연락망"
    ),
    "BANK_ACCOUNT": (
        *words("계좌번호 계좌 통장 입금 예금주 송금 이체 환급 입금계좌 가상계좌 환불계좌"),
        *words(_BANKS),
    ),
    "CARD": words("카드번호 카드_번호 신용카드 체크카드 법인카드 카드"),
    "IP": words("아이피 ip주소 ip_주소 접속_주소 접속지 서버 방화벽"),
    "VEHICLE": words(
        "차량번호 차량_번호 차량등록번호 자동차등록번호 자동차_등록번호 차번호 차_번호 번호판 차량 자동차 주차 차번 승용차 승합차 화물차 트럭 버스 택시 렌터카 렌트카 차주 견인"
    ),
    "US_SSN": words("사회보장번호"),
    VETO: words(
        """
        주문번호 주문_번호 주문 송장번호 송장_번호 송장 운송장 운송장번호 접수번호 접수 문서번호 문서 관리번호 제품번호 상품번호 상품코드 모델명 모델번호 품번 일련번호
        시리얼 바코드 승인번호 거래번호 예약번호 사건번호 사건 판결 선고 대법원 법원 결정 고시 공고 특허 출원번호 인증번호 우편번호 학번 사번 회원번호 고객번호
        증권번호 티켓번호 버전 펌웨어 릴리스 빌드 좌표 위도 경도 원주율 타임스탬프 해시 커밋 발주번호 견적번호 청구번호 세금계산서 참조번호 쿠폰 쿠폰번호 코드 금액 합계 총액
        추적번호 조회번호 계약번호 법률 조례 항목 부품번호 부품 라이브러리 패키지 로트 배치 isbn 국제표준도서번호 도서번호 식별자 에포크 유닉스 유닉스시간
        """
    ),
}
