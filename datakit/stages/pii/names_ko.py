"""Korean names: only where a label, a title or a form of address stands beside them.

A name is a surname (90 common ones and eight of two syllables) and one or two syllables. Many words have that shape
(이용자, 고객, 이외에), so a stop list and the ending decide. A field's label wins over the stop list (`고객명: 이유진` is
somebody, though 이유 is a word); a label that only stands before (`임차인 이유진`) asks for the syllables of names. A name
without any such sign is not found.
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

from datakit.stages.pii.rules import SAID, Rule, words

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
FIRST = frozenset(
    "민서지현수예하은도준우진영재성승정동상태경창종명기병철용원윤혜선유주희소다나가건규광덕두미보복봉석세순시연옥완웅"
    "의이인일장제중찬채천춘충치택필한해혁형호홍환효훈휘흥강구국근금길남달대라루리린문범별빛새슬신아안애양언여열오요"
    "욱율은을자전조평학향화후교란람래령로률류무배백솔송숙식심균익협헌섭설표탁엽운희권갑휴돈판필화외청노만말"
)
SECOND = FIRST | frozenset("빈섭름율온겸결권덕만모산삼비솔엽운음임율창향협린아롱벽별빛찬슬샘")
"""Syllables that stand second and third in nearly all Korean names."""
_ROLES = (
    "이름|성명|성함|고객|회원|예약자|담당자?|신청[인자]|임[대차]인|매[도수]인|채[권무]자|보호자|환자|피보험자|계약자|수취인|수령인|수신인|발신인"
    "|예금주|대표자?|대표이사|작성자|문의자|의뢰인|피해자|원고|피고|증인|보증인|세대주|가입자|명의자|입금자|주문자|구매자|판매자|학생|담임|지원자"
    "|면접자|응시자|참[가석]자|발표자|강사|사회자|세입자|집주인|故|고인"
)
_ROLE_NEEDLES = words(
    "이름 성명 성함 고객 회원 예약자 담당 담당자 신청인 신청자 임대인 임차인 매도인 매수인 채권자 채무자 보호자 환자 피보험자 계약자 수취인 수령인 수신인"
    " 발신인 예금주 대표 대표자 대표이사 작성자 문의자 의뢰인 피해자 원고 피고 증인 보증인 세대주 가입자 명의자 입금자 주문자 구매자 판매자 학생 담임"
    " 지원자 면접자 응시자 참가자 참석자 발표자 강사 사회자 세입자 집주인 故 고인"
)
_LONG_NAME = rf"(?:(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}})"
_SHUT = (
    r"(?=\s?[,(/|·\n]|\s?$|\.(?:\s|$)|(?:이|가|은|는|의|을|를|과|와|에게|께|께서|님|씨|이고|이며|입니다)(?:[^가-힣]|$)"
    r"| (?:드림|올림|귀하|님|씨)(?![가-힣]))"
)
"""What ends a name that has no sign of its own: a comma, a bracket, the end of the line, a particle."""
_NAME_END = rf"(?=(?:{_ENDING})|[^가-힣]|$)"
NAME = rf"(?:(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}}|[{SURNAMES}][가-힣]|[{SURNAMES}] [가-힣]{{2}})"
_PERSON_LABELS = (
    "이름|성명|성함|고객명|회원명|환자명?|담당 (?:교사|간호사|의사|교수)|담임(?: ?교사)?|담당자명?|예금주명?|신청인|신청자명?|수령인|수취인|수신인|받는 ?분|받는 ?사람|받으실 ?분|보내는 ?분|보내는 ?사람"
    "|대표자명?|대표이사|보호자명?|작성자|주문자명?|구매자명?|입금자명?|계약자명?|피보험자|세대주|예약자명?|학생명|직원명|참석자|발신인|문의자"
)
_PERSON_NEEDLES = words(
    "이름 성명 성함 고객명 회원명 환자 환자명 담당_교사 담당_간호사 담당_의사 담당_교수 담임 담임교사 담임_교사 담당자 담당자명 예금주 예금주명 신청인 신청자 신청자명 수령인 수취인 수신인 받는_분 받는분 받는_사람 받는사람 받으실_분 받으실분"
    " 보내는_분 보내는분 보내는_사람 보내는사람 대표자 대표자명 대표이사 보호자 보호자명 작성자 주문자 주문자명 구매자 구매자명 입금자 입금자명 계약자 계약자명 피보험자 세대주"
    " 예약자 예약자명 학생명 직원명 참석자 발신인 문의자"
)
_OFFICES = "대리|과장|차장|부장|팀장|주임|사원|실장|본부장|점장|원장|교수|선생|간호사|변호사|세무사|매니저|조교|이장|소장|관장|강사|연구원|간사|총무|위원장|이사장|과장님"
_HONOURED = "기사|작가|선생|코치|감독|사장|대표|목사|신부|의사|박사|소방관|경찰관|주무관|상담사"
_HEADS = "공장장|관리소장|이사장|대표이사|위원장|본부장|경비반장|사무국장|담당자|관리자|예금주|연구소장"
_NOT_NAMES = frozenset(
    words(
        """
        고객 선생 손 차주 어머 아버 부모 사장 주인 이모 기사 교수 원장 회장 이용자 정회원 조합원 구매자 신청자 방문자 강사 임원 안내원 문의자 회원 사모
        하느 하나 스승 도련 형 누 이웃 서방 공주 왕자 장인 장모 주치의 지원자 지도자 연구원 연구자 전문가 전문의 조교 소비자 참여자 참가자 기획자
        작가 배우 신부 수녀 신도 성도 목사 남편 아내 임산부 임신부 유권자 지휘자 여행자 운전자 소유자 사용자 사회자 진행자 주문자 주최자 주민 국민
        장로 집사 권사 전도사 기자 변호사 간호사 조리사 영양사 주무관 공무원 경비원 상담원 상담사 판매자 배송 배달 이사 감독 전무 상무 차장 과장 부장
        팀장 반장 이장 통장 구청장 도지사 소장 실장 점장 원생 학생 선배 후배 여러 신랑 예비 나그네 임차인 임대인 채권자 채무자 원고 피고 사 이 그 저
        담당자 담당 관리자 보호자 대표 대표자 문의 이외 이후 이전 이상 이하 이번 지난 정보 변경 확인 조회 등록 신청 수정 삭제 안내 연락 주소 전화 이메일
        성함 기재 고유 선택 필수 한글 영문 본인 동일 상동 무관 미정 미상 추후 공란 비공개 없음 여부 모두 전원 주요 기본 정식 현재 신규 기존 방법 우리
        연락처 주소지 이메일 한국인 외국인 이과생 문과생 유학생 신입생 전학생 고시생 공시생 여대생 남학생 여학생 대학생 유부남 유부녀
        마음 마을 말 맘 솜 유치원 여신 선교사 최고 주연 조연 신입 현직 전직 마스킹 마감일 경우 제외 이유 이상형 임시 유지 사용 하나 기타 기준 인증 지정 전체 전달 문서 오류 오기 표기 표시 구분 제목 명의 변심 부재 부탁
        """
    )
)
"""Words in the shape of a surname and a given name that stand before 님 and 씨 or after a label."""


_PARTICLES = frozenset("은는이가을를의에도만과와로라")


def korean_name(value: str) -> bool:
    """Whether a match can be a person: no word of the stop list, whole or with a particle at its end."""
    compact = value.replace(" ", "")
    return compact not in _NOT_NAMES and not (len(compact) > 2 and compact[:-1] in _NOT_NAMES)


def labelled_name(value: str) -> bool:
    """The same behind a field's label, where a name may begin like a word (이유진, 정보라): only a particle is cut off."""
    compact = value.replace(" ", "")
    return compact not in _NOT_NAMES and not (compact[-1] in _PARTICLES and compact[:-1] in _NOT_NAMES)


def spelled_name(value: str) -> bool:
    """A surname and two syllables of names, and no word of the stop list."""
    return value[-2] in FIRST and value[-1] in SECOND and labelled_name(value)


RULES = (
    Rule(
        id="name_field",
        entity="PERSON",
        pattern=(rf"(?:{_PERSON_LABELS}){SAID}(?P<v>{NAME}){_NAME_END}"),
        needles=tuple(
            f"{label}{sign}"
            for label in _PERSON_NEEDLES
            for sign in (":", " :", "=", " =", "|", " |", "(", " (", ">", " >", '"', "'", "`")
        ),
        ahead=44,
        guard=labelled_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_topic",
        entity="PERSON",
        pattern=rf"(?:{_PERSON_LABELS})[은는]\s(?P<v>{NAME})(?=(?:{_COPULA})|\()",
        needles=tuple(f"{label}{topic}" for label in _PERSON_NEEDLES for topic in "은는"),
        ahead=44,
        guard=korean_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_beside",
        entity="PERSON",
        pattern=rf"(?:{_ROLES})\s(?P<v>{_LONG_NAME}){_SHUT}",
        needles=tuple(f"{role}{gap}" for role in _ROLE_NEEDLES for gap in (" ", "\n")),
        ahead=12,
        guard=spelled_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_signed",
        entity="PERSON",
        pattern=rf"(?<![가-힣])(?P<v>{_LONG_NAME})(?=\s(?:드림|올림|배상|拜上)(?:[^가-힣]|$))",
        needles=tuple(f"{gap}{sign}" for gap in (" ", "\n") for sign in ("드림", "올림", "배상", "拜上")),
        back=6,
        ahead=2,
        guard=spelled_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_account_holder",
        entity="PERSON",
        pattern=rf"(?:예금주|입금자명|수취인|대표이사)\s?\(?(?P<v>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}}){_NAME_END}",
        needles=("예금주", "입금자명", "수취인", "대표이사"),
        ahead=12,
        guard=labelled_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_title",
        entity="PERSON",
        pattern=(
            rf"(?<![가-힣0-9])(?:(?P<w>(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{1,2}})"
            rf"(?= ?(?:씨(?={_PARTICLE}|[^가-힣]|$)|님|귀하|군은|양은))"
            rf"|(?P<v>(?:(?:{_COMPOUND})[가-힣]{{1,2}}|[{SURNAMES}][가-힣]{{2}})(?<![의는던요다]))(?= (?:(?:{_OFFICES})(?:님|은|는|이|가|을|를|과|와|의|에게|께|입니다|,|\s|\()"
            rf"|(?:{_HONOURED}|고객|회원|환자|어르신|학부모|보호자)님|환자분)))"
        ),
        needles=(
            *(
                f"{gap}{title}"
                for title in ("씨", "님", "귀하", "군은", "양은")
                for gap in ("", " ")[: 1 if title in "씨님" else 2]
            ),
            *(f" {office}" for office in f"{_OFFICES}|{_HONOURED}|고객님|회원님|환자|어르신|학부모|보호자".split("|")),
        ),
        back=10,
        ahead=10,
        guard=labelled_name,
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
        needles=tuple(f"{head}{gap}" for head in _HEADS.split("|") for gap in (" ", "\n")),
        ahead=16,
        guard=labelled_name,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="name_said",
        entity="PERSON",
        pattern=rf"(?:저는|제 이름은|나는|내 이름은)\s(?P<v>{_LONG_NAME})(?=(?:이?라고|입니다|이에요|예요|이고|이며|인데))",
        needles=("저는 ", "이름은 ", "나는 "),
        back=2,
        ahead=16,
        guard=spelled_name,
        labelled=True,
        lang="ko",
    ),
)
