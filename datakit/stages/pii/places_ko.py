"""Korean addresses: a road with a number, or a village or quarter with a lot number, and what follows (동, 호, 층).

A city or district alone names nobody and stays. A number is asked for everywhere: `목표로 3` and `앞으로 10` have the
shape of a road, so a road counts only behind a province, a known district or a city.
"""
# ruff: noqa: E501  (patterns and word lists read better unbroken)

from __future__ import annotations

from datakit.stages.pii.rules import SAID, Rule, trie, words

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
    r"(?:[가-힣]{1,5}[0-9]{0,2}(?:동|리)|[가-힣]{1,5}[0-9]가)\s(?:산\s?)?[0-9]{1,4}(?:-[0-9]{1,4})?(?:번지)?"
    + _NO_COUNT
)
_FLAT = r"[가-힣]{1,5}[0-9]?동\s[가-힣0-9A-Za-z]{1,12}(?:아파트|빌라|빌|오피스텔|맨션|타운|연립|자이|힐스)\s?[0-9]{1,4}동\s?[0-9]{1,4}호"
_PLACE = rf"(?:{_ROAD}|{_LOT}|{_FLAT})"
_TOWN = r"(?:[가-힣]{1,5}[읍면동]\s{1,2})?"
_NO_CITY = r"(?!(?:다|역|반드|잠|혹|즉|일|동|무|택|표|제|전|감|몇|수|필)시)"
# Strong: a province or a known district. Weak: a word in the shape of a city, county or township, which prose has too
# (다시, 하면), so that more of the address must follow.
_STRONG = (
    rf"(?:(?:{_PROVINCE})\s{{1,2}}(?:[가-힣]{{1,5}}[시군구]\s{{1,2}}){{0,2}}{_TOWN}"
    rf"|{trie(_DISTRICTS)}\s{{1,2}}(?:[가-힣]{{1,5}}구\s{{1,2}})?{_TOWN}"
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
_NUMBERED_PLACES = tuple(
    f"{end}{gap}0" for end in "로길동리가" for gap in ("", " ", " 산 ", " 산", " 지하 ", " 지하", "\n", "지하")
)
RULES = (
    Rule(
        id="address",
        entity="ADDRESS",
        pattern=rf"(?<![가-힣])(?=[가-힣]){_ADDRESS}{_UNITS}",
        needles=_NUMBERED_PLACES,
        back=44,
        ahead=90,
        labelled=True,
        lang="ko",
    ),
    Rule(
        id="address_field",
        entity="ADDRESS",
        pattern=rf"(?:주소|주소지|거주지|배송지|소재지|도착지)(?:{SAID}|\s?(?:는|가)?\s{{0,2}})(?P<v>(?:[가-힣]{{1,8}}\s){{0,4}}{_PLACE}{_UNITS})",
        needles=tuple(
            f"{label}{sign}"
            for label in words("주소 주소지 거주지 배송지 소재지 도착지")
            for sign in (*words("는 가 : = | > \" ' ` ("), " ", "\n")
        ),
        ahead=120,
        labelled=True,
        lang="ko",
    ),
)
