"""Korean rules, label words and veto words.

Formats: resident and foreigner numbers YYMMDD-GXXXXXX (no check digit since 5 October 2020), business numbers 3-2-5,
corporate numbers 6-7, licences RR-YY-NNNNNN-CC, passports M12345678 and M123A4567, plates 12가 3456, accounts of 10 to 16
digits without a common shape. What follows a value is mostly a particle (으로, 에게, 입니다), never a boundary.
"""

from __future__ import annotations

from datakit.stages.pii import checksums
from datakit.stages.pii.rules import VETO, Rule, words

_LEFT = r"(?<![0-9A-Za-z_])(?<![0-9][.\-])"
_RIGHT = r"(?![0-9])(?!-[0-9]{2})"
_GAP = r"[ \-]{0,3}"
_SEP = r"[ .\-)/]{0,2}"
_SAID = "[0-9공영일이삼사오육칠팔구]"
_YMD = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"

# Resident numbers ask for a separator in the shape; without one they need a label or a check digit.
_DASHED = r" ?[\-~./] ?"
_SPACED = r"\s{0,2}[\-~./ ]?\s{0,2}"

_PLATE = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주아바사자하허호배"
_PLATE_COUNTS = "조배주도부호구자오사수서로라고노보소모우무바"
"""Plate syllables that also stand after numbers in prose (12조 3000억, 10배 2000원): they need a region or a label."""
_UNIT_AFTER = r"(?! ?(?:[0-9]|원|억|만|명|개|년|월|천|평|여|회|권|번|호|건|대|시|분|초|인|세|위|㎡|%|km|kg|m|,[0-9]{3}))"
_REGION_2 = "서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주"

SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류나진지엄채원천방공현함변염여추도소석"
    "선설마길연위표명기반왕금옥육인맹제모탁국어은편용예봉경사부"
)
_COMPOUND = "남궁|황보|제갈|선우|독고|사공|서문|동방"
_ENDING = (
    "입니다|이에요|예요|이라고|라고|이고|이며|이라|인데|이신|이십니다|님|씨|은|는|이|가|을|를|과|와|의|에게|께서|께|도|만|으로|로|이랑|랑"
    "|한테|이나|까지|부터|에서|에|이었|였|이란|란|이세요|세요|고객|군|양|귀하"
)
_PARTICLE = "은|는|이|가|을|를|과|와|의|에게|께|도|만|로|랑|한테|네|에|고|라"
_COPULA = "입니다|이에요|예요|이라고|이고|이며|이야|인데|이신|씨|님"
_NAME_END = rf"(?=(?:{_ENDING})|[^가-힣]|$)"
_FULL_NAME = rf"(?:(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}}|[{SURNAMES}][가-힣]|[{SURNAMES}] [가-힣]{{2}})"
_PERSON_LABELS = (
    "이름|성명|성함|고객명|회원명|환자명|담당자명?|예금주명?|신청인|신청자명?|수령인|수취인|수신인|받는 ?분|받는 ?사람|받으실 ?분|보내는 ?분|보내는 ?사람"
    "|대표자명?|대표이사|보호자명?|작성자|주문자명?|구매자명?|입금자명?|계약자명?|피보험자|세대주|예약자명?|학생명|직원명|참석자|발신인|문의자"
)
_OFFICES = "대리|과장|차장|부장|팀장|주임|사원|실장|본부장|점장|원장|교수|선생|간호사|변호사|세무사|매니저|조교|이장|소장|관장|강사|연구원|간사|총무|위원장|이사장|과장님"
_HONOURED = "기사|작가|선생|코치|감독|사장|대표|목사|신부|의사|박사|소방관|경찰관|주무관|상담사"
_HEADS = "공장장|관리소장|이사장|대표이사|위원장|본부장|경비반장|사무국장|담당자|관리자|예금주|연구소장"
_NOT_NAMES = frozenset(
    words(
        """
        고객 선생 손 어머 아버 부모 사장 주인 이모 기사 교수 원장 회장 이용자 정회원 조합원 구매자 신청자 방문자 강사 임원 안내원 문의자 회원 사모
        하느 하나 스승 도련 형 누 이웃 서방 공주 왕자 장인 장모 주치의 지원자 지도자 연구원 연구자 전문가 전문의 조교 소비자 참여자 참가자 기획자
        작가 배우 신부 수녀 신도 성도 목사 남편 아내 임산부 임신부 유권자 지휘자 여행자 운전자 소유자 사용자 사회자 진행자 주문자 주최자 주민 국민
        장로 집사 권사 전도사 기자 변호사 간호사 조리사 영양사 주무관 공무원 경비원 상담원 상담사 판매자 배송 배달 이사 감독 전무 상무 차장 과장 부장
        팀장 반장 이장 통장 구청장 도지사 소장 실장 점장 원생 학생 선배 후배 여러 신랑 예비 나그네 임차인 임대인 채권자 채무자 원고 피고 사 이 그 저
        담당자 담당 관리자 보호자 대표 대표자 문의 이외 이후 이전 이상 이하 이번 지난 정보 변경 확인 조회 등록 신청 수정 삭제 안내 연락 주소 전화 이메일
        성함 기재 고유 선택 필수 한글 영문 본인 동일 상동 무관 미정 미상 추후 공란 비공개 없음 여부 모두 전원 주요 기본 정식 현재 신규 기존 방법 우리
        마음 마을 말 맘 솜 유치원 여신 선교사 최고 주연 조연 신입 현직 전직 마스킹 마감일 경우 제외 이유 이상형 임시 유지 사용 하나 기타 기준 인증 지정 전체 전달 문서 오류 오기 표기 표시 구분 제목 명의 변심 부재 부탁
        """
    )
)
"""Words in the shape of a surname and a given name that stand before 님 and 씨 or after a label."""


def korean_name(value: str) -> bool:
    """Whether a match can be a person: no word of the stop list, whole or with a particle at its end."""
    compact = value.replace(" ", "")
    return compact not in _NOT_NAMES and not (len(compact) > 2 and compact[:-1] in _NOT_NAMES)


def local_phone(value: str) -> bool:
    """Seven to twelve digits that are no date, no service number (1588-1234) and not one digit repeated."""
    found = "".join(map(str, checksums.digits_of(value)))
    if not 7 <= len(found) <= 12 or len(set(found)) == 1:
        return False
    service = len(found) == 8 and found[:2] in {"15", "16", "18"}
    date = len(found) == 8 and found[:2] in {"19", "20"} and checksums.valid_month_day(int(found[4:6]), int(found[6:]))
    return not (service or date)


def account_number(value: str) -> bool:
    """Ten to sixteen digits, not a mobile phone, not one digit repeated."""
    found = "".join(map(str, checksums.digits_of(value)))
    mobile = len(found) == 11 and found.startswith("010") and value[3:4] in "-. "
    return 10 <= len(found) <= 16 and len(set(found)) > 1 and not mobile


def plate_alone(value: str) -> bool:
    """A plate that is believed without a label: its syllable does not follow numbers in prose."""
    return not any(char in _PLATE_COUNTS for char in value)


# The 226 districts, so that an address needs no province before its 구, 군 or 시.
_DISTRICTS = words(
    """
    종로구 중구 용산구 성동구 광진구 동대문구 중랑구 성북구 강북구 도봉구 노원구 은평구 서대문구 마포구 양천구 강서구 구로구 금천구 영등포구 동작구 관악구
    서초구 강남구 송파구 강동구 서구 동구 영도구 부산진구 동래구 남구 북구 해운대구 사하구 금정구 연제구 수영구 사상구 기장군 수성구 달서구 달성군 군위군
    미추홀구 연수구 남동구 부평구 계양구 강화군 옹진군 광산구 유성구 대덕구 울주군 수원시 성남시 의정부시 안양시 부천시 광명시 평택시 동두천시 안산시
    고양시 과천시 구리시 남양주시 오산시 시흥시 군포시 의왕시 하남시 용인시 파주시 이천시 안성시 김포시 화성시 광주시 양주시 포천시 여주시 연천군 가평군
    양평군 장안구 권선구 팔달구 영통구 수정구 중원구 분당구 만안구 동안구 상록구 단원구 덕양구 일산동구 일산서구 처인구 기흥구 수지구 춘천시 원주시 강릉시
    동해시 태백시 속초시 삼척시 홍천군 횡성군 영월군 평창군 정선군 철원군 화천군 양구군 인제군 고성군 양양군 청주시 상당구 서원구 흥덕구 청원구 충주시
    제천시 보은군 옥천군 영동군 증평군 진천군 괴산군 음성군 단양군 천안시 동남구 서북구 공주시 보령시 아산시 서산시 논산시 계룡시 당진시 금산군 부여군
    서천군 청양군 홍성군 예산군 태안군 전주시 완산구 덕진구 군산시 익산시 정읍시 남원시 김제시 완주군 진안군 무주군 장수군 임실군 순창군 고창군 부안군
    목포시 여수시 순천시 나주시 광양시 담양군 곡성군 구례군 고흥군 보성군 화순군 장흥군 강진군 해남군 영암군 무안군 함평군 영광군 장성군 완도군 진도군
    신안군 포항시 경주시 김천시 안동시 구미시 영주시 영천시 상주시 문경시 경산시 의성군 청송군 영양군 영덕군 청도군 고령군 성주군 칠곡군 예천군 봉화군
    울진군 울릉군 창원시 의창구 성산구 마산합포구 마산회원구 진해구 진주시 통영시 사천시 김해시 밀양시 거제시 양산시 의령군 함안군 창녕군 남해군 하동군
    산청군 함양군 거창군 합천군 제주시 서귀포시 세종시
    """
)
_PROVINCE = (
    "서울(?:특별시|시)?|(?:부산|대구|인천|광주|대전|울산)(?:광역시|시)?|세종(?:특별자치시|시)?|경기도?|강원(?:특별자치도|도)?|제주(?:특별자치도|도)?"
    "|충청[북남]도|전라[북남]도|경상[북남]도|전북특별자치도|충북|충남|전북|전남|경북|경남"
)
_NO_COUNT = r"(?![0-9]|[.,][0-9]|\s?(?:명|개|원|년|번째|시간|초|%|℃|미터|회|배|인분|단계))"
_ROAD = (
    r"[가-힣]{1,4}[가-힣0-9.]{0,8}(?:대로|(?<!으)로|길)(?: ?[0-9]{1,4}[가나다라]?(?:번)?길)?\s?(?:지하\s?)?[0-9]{1,4}(?:-[0-9]{1,4})?"
    + _NO_COUNT
)
_LOT = (
    r"(?:[가-힣]{1,5}[0-9]{0,2}(?:동|리)|[가-힣]{1,5}[0-9]가)\s(?:산\s?)?[0-9]{1,4}(?:-[0-9]{1,4})?(?:번지)?" + _NO_COUNT
)
_PLACE = rf"(?:{_ROAD}|{_LOT})"
_TOWN = r"(?:[가-힣]{1,5}[읍면동]\s{1,2})?"
_NO_CITY = r"(?!(?:다|역|반드|잠|혹|즉|일|동|무|택|표|제|전|감|몇|수|필)시)"
# Strong: a province or a known district. Weak: a word in the shape of a city, county or township, which prose has too
# (다시, 하면), so that more of the address must follow.
_STRONG = (
    rf"(?:(?:{_PROVINCE})\s{{1,2}}(?:[가-힣]{{1,5}}[시군구]\s{{1,2}}){{0,2}}{_TOWN}"
    rf"|(?:{'|'.join(sorted(set(_DISTRICTS)))})\s{{1,2}}(?:[가-힣]{{1,5}}구\s{{1,2}})?{_TOWN}"
    r"|[가-힣]{1,4}[시군]\s{1,2}[가-힣]{1,4}[읍면]\s{1,2})"
)
_ADDRESS = (
    rf"(?:{_STRONG}{_PLACE}|{_NO_CITY}[가-힣]{{1,4}}시\s{{1,2}}(?:[가-힣]{{1,4}}구\s{{1,2}})?{_TOWN}{_ROAD}"
    rf"|[가-힣]{{2,3}}[읍면]\s{{1,2}}[가-힣]{{2,5}}리\s(?:산\s?)?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?{_NO_COUNT})"
)
_UNITS = (
    r"(?:,?\s{0,2}\([가-힣0-9A-Za-z, ]{2,30}\))?"
    r"(?:,?\s?[가-힣A-Za-z0-9]{2,14}(?=\s[0-9A-Za-z가-힣]{1,5}(?:동|호|층)))?"
    r"(?:,?\s?(?:지하\s?)?[0-9A-Za-z가나다라]{1,5}\s?(?:동|호실?|층)(?![가-힣]{2,}동)){0,3}(?:,?\s{0,2}\([가-힣0-9A-Za-z, ]{2,30}\))?"
)
_NUMBERED_PLACE = r"(?:로|길|동|리|가)\s?(?:지하\s?|산\s?)?[0-9]"

_DATE = (
    r"(?:(?:19|20)?[0-9]{2}\s?년\s?[0-9]{1,2}\s?월\s?[0-9]{1,2}\s?일|(?:19|20)[0-9]{2}\s?[.\-/]\s?[0-9]{1,2}\s?[.\-/]\s?[0-9]{1,2}"
    r"|[0-9]{2}[.\-/]\s?[0-9]{1,2}[.\-/]\s?[0-9]{1,2}|(?:19|20)[0-9]{6}|[0-9]{6})(?![0-9])"
)

RULES = (
    Rule(
        id="rrn_separated",
        entity="RRN",
        pattern=rf"{_LEFT}{_YMD}{_DASHED}[1-4][0-9]{{6}}{_RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.rrn_check,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="rrn_bare",
        entity="RRN",
        pattern=rf"{_LEFT}{_YMD}{_SPACED}[1-4][0-9]{{6}}{_RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.bare_rrn_check,
        lang="ko",
    ),
    Rule(
        id="rrn_masked",
        entity="RRN",
        pattern=rf"{_LEFT}{_YMD} ?[\-~ ]? ?[1-4](?=[0-9]{{0,5}}[*xX])[0-9*xX]{{6}}(?![0-9*xX])",
        near=r"[0-9] ?[\-~ ]? ?[1-4][0-9]{0,5}[*xX]",
        back=10,
        ahead=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="frn_separated",
        entity="FRN",
        pattern=rf"{_LEFT}{_YMD}{_DASHED}[5-8][0-9]{{6}}{_RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.frn_check,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="frn_bare",
        entity="FRN",
        pattern=rf"{_LEFT}{_YMD}{_SPACED}[5-8][0-9]{{6}}{_RIGHT}",
        digits=13,
        guard=checksums.begins_with_date,
        check=checksums.bare_frn_check,
        lang="ko",
    ),
    Rule(
        id="frn_masked",
        entity="FRN",
        pattern=rf"{_LEFT}{_YMD} ?[\-~ ]? ?[5-8](?=[0-9]{{0,5}}[*xX])[0-9*xX]{{6}}(?![0-9*xX])",
        near=r"[0-9] ?[\-~ ]? ?[5-8][0-9]{0,5}[*xX]",
        back=10,
        ahead=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="corp_no",
        entity="CORP_NO",
        pattern=rf"{_LEFT}[0-9]{{6}}{_GAP}[0-9]{{7}}{_RIGHT}",
        digits=13,
        lang="ko",
    ),
    Rule(
        id="brn",
        entity="BRN",
        pattern=rf"{_LEFT}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{5}}{_RIGHT}",
        digits=10,
        check=checksums.brn_check,
        lang="ko",
    ),
    Rule(
        id="brn_labelled",
        entity="BRN",
        pattern=rf"{_LEFT}[0-9]{{3}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{5}}{_RIGHT}",
        digits=10,
        lang="ko",
    ),
    Rule(
        id="license",
        entity="DRIVER_LICENSE",
        pattern=rf"{_LEFT}(?:1[1-9]|2[0-8])([\- ])[0-9]{{2}}\1[0-9]{{6}}\1[0-9]{{2}}{_RIGHT}",
        digits=12,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="license_labelled",
        entity="DRIVER_LICENSE",
        pattern=rf"{_LEFT}[0-9]{{2}}{_GAP}[0-9]{{2}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{2}}{_RIGHT}",
        digits=12,
        lang="ko",
    ),
    Rule(
        id="license_region",
        entity="DRIVER_LICENSE",
        pattern=rf"(?:{_REGION_2}) ?[0-9]{{2}}[\- ][0-9]{{6}}[\- ][0-9]{{2}}{_RIGHT}",
        near=r"[0-9]{2}[\- ][0-9]{6}[\- ][0-9]{2}",
        back=4,
        ahead=2,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="passport",
        entity="PASSPORT",
        pattern=r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,2} ?[0-9]{7,8}|[A-Za-z][0-9]{3}[A-Za-z][0-9]{4}|[0-9]{9})(?![0-9A-Za-z])",
        needles=("여권", "assport", "PASSPORT"),
        back=24,
        ahead=48,
        lang="ko",
    ),
    Rule(
        id="mobile",
        entity="PHONE",
        pattern=rf"{_LEFT}\(?01[016789](?:\)[ .\-]?|[ .\-/]{{1,2}})[0-9]{{3,4}}[ .\-/]{{1,2}}[0-9]{{4}}{_RIGHT}",
        firm=True,
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="mobile_bare",
        entity="PHONE",
        pattern=rf"{_LEFT}\(?01[016789]\)?{_SEP}[0-9]{{3,4}}{_SEP}[0-9]{{4}}{_RIGHT}",
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="mobile_82",
        firm=True,
        entity="PHONE",
        pattern=rf"(?<![0-9A-Za-z_+])\(?(?:\+ ?82|0082|82(?=[ \-)]))\)?{_SEP}\(?0?\)?{_SEP}[1-9][0-9]?{_SEP}[0-9]{{3,4}}{_SEP}[0-9]{{4}}{_RIGHT}",
        digits=10,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="landline",
        firm=True,
        entity="PHONE",
        pattern=(
            rf"{_LEFT}\(?0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)(?:\) ?|[ .\-/]{{1,2}})[0-9]{{3,4}}[ .\-]{{1,2}}[0-9]{{4}}{_RIGHT}"
        ),
        digits=9,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="landline_bare",
        entity="PHONE",
        pattern=rf"{_LEFT}0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)[0-9]{{7,8}}{_RIGHT}",
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
        pattern=r"(?<![0-9A-Za-z_.,\-])\(?[0-9](?:[ .\-()/]{0,2}[0-9]){6,11}(?![0-9])(?![ ]?(?:원|건|명|개|회|만|억|위|%|,[0-9]))",
        digits=7,
        guard=local_phone,
        lang="ko",
    ),
    Rule(
        id="account",
        entity="BANK_ACCOUNT",
        pattern=rf"{_LEFT}[0-9]{{2,16}}(?:[\- ][0-9]{{1,8}}){{0,4}}{_RIGHT}",
        digits=10,
        guard=account_number,
        lang="ko",
    ),
    Rule(
        id="account_bank",
        entity="BANK_ACCOUNT",
        pattern=(
            r"(?:국민|신한|우리|하나|농협|기업|카뱅|카카오|토스|케뱅|수협|신협|새마을|우체국|SC|KB|NH|IBK|씨티|제일)\s?\(?"
            rf"(?P<v>[0-9]{{2,16}}(?:[\- ][0-9]{{1,8}}){{0,4}}){_RIGHT}"
        ),
        near=r"(?:국민|신한|우리|하나|농협|기업|카뱅|카카오|토스|케뱅|수협|신협|새마을|우체국|SC|KB|NH|IBK|씨티|제일)\s?\(?[0-9]{2}",
        ahead=40,
        guard=account_number,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="plate",
        entity="VEHICLE",
        pattern=rf"(?<![0-9A-Za-z,.])[0-9]{{2,3}} ?[{_PLATE}] ?[0-9]{{4}}{_UNIT_AFTER}",
        near=rf"[0-9] ?[{_PLATE}] ?[0-9]{{4}}",
        back=2,
        ahead=8,
        check=plate_alone,
        lang="ko",
    ),
    Rule(
        id="plate_region",
        entity="VEHICLE",
        pattern=rf"(?:{_REGION_2}) ?[0-9]{{1,3}} ?[{_PLATE}] ?[0-9]{{4}}{_UNIT_AFTER}",
        near=rf"[0-9] ?[{_PLATE}] ?[0-9]{{4}}",
        back=6,
        ahead=8,
        alone=True,
        lang="ko",
    ),
    Rule(
        id="messenger",
        entity="MESSENGER_ID",
        pattern=(
            r"(?:(?:카카오톡|카톡|오픈톡|텔레그램|텔레|라인|위챗|인스타그램|인스타|디스코드|스카이프|트위터|페이스북|페북|왓츠앱|네이트온)\s?(?:아이디|ID|id|Id|계정)"
            r"|(?:카카오톡|카톡|텔레그램|위챗|인스타그램|인스타|디스코드|스카이프)(?=[\s:은는=]{1,3}@?[A-Za-z0-9._-]{0,20}[0-9_@]))"
            r"(?:은|는|이|가|를|로)?\s?[:=]?\s?[\"'(]?(?P<v>@?[A-Za-z0-9][A-Za-z0-9._#:-]{2,31}(?<![.:]))"
        ),
        needles=("톡", "텔레", "라인", "위챗", "인스타", "디스코드", "스카이프", "트위터", "페이스북", "페북", "왓츠앱", "네이트온"),
        back=8,
        ahead=60,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_field",
        entity="PERSON",
        pattern=(
            rf"(?:{_PERSON_LABELS})\s?(?:\([^)\n]{{1,10}}\)\s?)?"
            rf"(?:[:=|]\s{{0,2}}(?P<v>{_FULL_NAME}){_NAME_END}|[은는]\s(?P<w>{_FULL_NAME})(?=(?:{_COPULA})|\())"
        ),
        needles=(
            "이름", "성명", "성함", "고객명", "회원명", "환자명", "담당자", "예금주", "신청인", "신청자", "수령인", "수취인", "수신인", "받는", "받으실",
            "보내는", "대표자", "대표이사", "보호자", "작성자", "주문자", "구매자", "입금자", "계약자", "피보험자", "세대주", "예약자", "학생명", "직원명", "참석자",
            "발신인", "문의자",
        ),
        ahead=32,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_account_holder",
        entity="PERSON",
        pattern=rf"(?:예금주|입금자명|수취인|대표이사)\s?\(?(?P<v>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}}){_NAME_END}",
        needles=("예금주", "입금자명", "수취인", "대표이사"),
        ahead=12,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_title",
        entity="PERSON",
        pattern=(
            rf"(?<![가-힣0-9])(?:(?P<w>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{1,2}})"
            rf"(?= ?(?:씨(?={_PARTICLE}|[^가-힣]|$)|님|귀하|군은|양은))"
            rf"|(?P<v>[{SURNAMES}][가-힣][가-힣](?<![의는던]))(?= (?:(?:{_OFFICES})(?:님|은|는|이|가|을|를|과|와|의|에게|께|입니다|,|\s|\()"
            rf"|(?:{_HONOURED})님)))"
        ),
        near=rf"[씨님]|귀하|군은|양은| (?:{_OFFICES})",
        back=10,
        ahead=10,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_after_office",
        entity="PERSON",
        pattern=(
            rf"(?:{_HEADS})\s(?P<v>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}})(?=(?:이|가|은|는|의|을|를|과|와|에게|께|께서|입니다|님|씨)"
            r"(?:[^가-힣]|$)|의\s|\(|,)"
        ),
        near=rf"(?:{_HEADS})\s",
        ahead=16,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_said",
        entity="PERSON",
        pattern=rf"(?:저는|제 이름은|나는|내 이름은)\s(?P<v>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}})(?=(?:이?라고|입니다|이에요|예요|이고요))",
        needles=("저는", "이름은", "나는"),
        back=2,
        ahead=16,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="address",
        entity="ADDRESS",
        pattern=rf"(?<![가-힣]){_ADDRESS}{_UNITS}",
        near=_NUMBERED_PLACE,
        back=44,
        ahead=90,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="address_field",
        entity="ADDRESS",
        pattern=rf"(?:주소|주소지|거주지|배송지|소재지|도착지)\s?(?:[:=|]|는|가)?\s{{0,2}}(?P<v>(?:[가-힣]{{1,8}}\s){{0,4}}{_PLACE}{_UNITS})",
        needles=("주소", "거주지", "배송지", "소재지", "도착지"),
        ahead=120,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="birth_field",
        entity="BIRTH_DATE",
        pattern=(
            r"(?:생년월일|생일|출생일자?|출생연월일|생년)\s?(?:\([^)\n]{1,12}\)\s?)?(?:[:=|]|은|는|이|가)?\s{0,2}(?:양력|음력)?\s?"
            rf"(?P<v>{_DATE})"
        ),
        needles=("생년", "생일", "출생"),
        ahead=48,
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
        needles=("생", "태어"),
        back=24,
        ahead=6,
        labelled=True,
        lang="ko",
    ),
)

_BANKS = (
    "국민은행 신한은행 우리은행 하나은행 농협은행 농협 수협 기업은행 카카오뱅크 토스뱅크 케이뱅크 새마을금고 신협 우체국 산업은행 씨티은행 제일은행 sc제일 대구은행 부산은행 경남은행"
    " 광주은행 전북은행 제주은행 im뱅크 신한 카뱅 은행 ibk"
)
LABELS: dict[str, tuple[str, ...]] = {
    "RRN": words("주민등록번호 주민번호 주민등록 주민_번호 주민등록_번호 주민증 민증"),
    "FRN": words("외국인등록번호 외국인_등록번호 외국인번호 등록증번호 거소신고번호 국내거소"),
    "CORP_NO": words("법인등록번호 법인번호 법인_등록번호 법인등기번호"),
    "BRN": words("사업자등록번호 사업자번호 사업자_등록번호 사업자_번호 사업자등록증 사업자"),
    "DRIVER_LICENSE": words("운전면허번호 운전면허증 운전면허 면허번호 면허증 면허"),
    "PASSPORT": words("여권번호 여권_번호 여권"),
    "PHONE": words(
        "전화번호 전화 연락처 휴대폰 휴대전화 핸드폰 폰번호 폰_번호 휴대폰번호 핸드폰번호 연락 팩스 문자 콜백 직통 내선 대표번호 수신번호 발신번호 연락망"
    ),
    "BANK_ACCOUNT": (*words("계좌번호 계좌 통장 입금 예금주 송금 이체 환급 입금계좌 가상계좌 환불계좌"), *words(_BANKS)),
    "CARD": words("카드번호 카드_번호 신용카드 체크카드 법인카드 카드"),
    "IP": words("아이피 ip주소 ip_주소 접속_주소 접속지 서버_주소"),
    "VEHICLE": words("차량번호 차량_번호 차번호 번호판 차량 자동차 주차 차번"),
    "US_SSN": words("사회보장번호"),
    VETO: words(
        """
        주문번호 주문_번호 주문 송장번호 송장_번호 송장 운송장 운송장번호 접수번호 접수 문서번호 문서 관리번호 제품번호 상품번호 상품코드 모델명 모델번호 품번 일련번호
        시리얼 바코드 승인번호 거래번호 예약번호 예약 사건번호 사건 판결 선고 대법원 법원 결정 고시 공고 특허 출원번호 등록번호 인증번호 우편번호 학번 사번 회원번호 고객번호
        증권번호 티켓번호 버전 펌웨어 릴리스 빌드 좌표 위도 경도 원주율 타임스탬프 해시 커밋 발주번호 견적번호 청구번호 세금계산서 참조번호 쿠폰 쿠폰번호 코드 금액 합계 총액
        추적번호 조회번호 계약번호 법률 조례 항목 부품번호 로트 배치 isbn 국제표준도서번호 도서번호 식별자 에포크 유닉스 유닉스시간
        """
    ),
}
