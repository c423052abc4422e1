"""What the signals `stop_words`, `boilerplate` and C4's lines look for, in English and Korean.

`STOP_WORDS` are English words that carry grammar: prose has them in two words of five, keyword lists nowhere. Korean
has no such words: particles and endings are glued to nouns and verbs, so `ENDINGS` lists last syllables of eojeol that
carry grammar (FineWeb-2's Korean list has the same morphemes, which need a morpheme splitter to be found). Prose has
them in a third to two thirds of its eojeol; syllables that end many nouns (지 인 기 자) are left out.

Page furniture (menus, log-in walls, cookie notices, footers) is known by phrases of two kinds. FURNITURE stands
nowhere else. MENU words are ordinary words that count only in lines that are no sentences: somebody who writes that
the log-in fails is no menu. The signal is the share of a text that consists of them; one phrase says nothing.
"""

from __future__ import annotations


def _listed(text: str, separator: str | None = ",") -> tuple[str, ...]:
    return tuple(part for part in (" ".join(part.split()) for part in text.split(separator)) if part)


STOP_WORDS = _listed(
    """
    a about after all also an and any are as at be because been before but by can could did do does dont for
    from get had has have he her here him his how i if in into is it its just like me more most my no not of off
    on one only or other our out over own s she should so some such than that thats the their them then there
    these they this those through to too under up very was we were what when where which while who why will with
    would you your
    """,
    None,
)

ENDINGS = "은는을를에의도로와과만요다고며면게니데네죠까써해여워하한된될던란려돼줘서가이아어음임함야듯봐"

FURNITURE = _listed(
    """
    we use cookies, uses cookies, use of cookies, we value your privacy, accept all cookies, accept cookies,
    reject all cookies, cookie settings, cookie policy, cookie preferences, cookie notice, delete cookies,
    manage cookies, strictly necessary cookies, store and access information on a device,
    store and/or access information on a device, personalised advertising, personalized advertising,
    by continuing to browse, by continuing to use this site, by continuing to use our site, all rights reserved,
    no part of this site may be reproduced, reproduction without permission, without written permission,
    without prior written permission, do not sell my personal information, terms of service, terms of use,
    terms and conditions, privacy policy, skip to content, skip to main content, skip to navigation,
    you must be logged in, please log in to continue, please sign in to continue, log in to continue,
    sign in to continue, to continue reading, already have an account, don't have an account, already a member,
    already a subscriber, javascript is disabled, please enable javascript, 쿠키를 사용합니다,
    쿠키를 사용하고 있습니다, 쿠키를 사용하여, 쿠키 사용에 동의, 쿠키 설정, 쿠키 정책, 쿠키 안내, 무단 전재,
    무단전재, 재배포 금지, 재배포금지, 무단복제, 무단 복제, 개인정보처리방침, 개인정보 처리방침,
    개인정보취급방침, 청소년보호정책, 청소년 보호정책, 이메일무단수집거부, 이메일 무단수집 거부, 모든 권리 보유,
    저작권자 ⓒ, 저작권자 ©, 저작권자(c), copyright ⓒ, copyright ©, copyright (c), 본문 바로가기,
    본문으로 건너뛰기, 메뉴 바로가기, 주메뉴 바로가기, 로그인이 필요합니다, 로그인이 필요한, 로그인 후 이용,
    로그인하시면, 로그인해 주세요, 계정이 없으신가요, 아직 회원이 아니신가요, 이미 회원이신가요,
    회원 전용입니다, 회원 전용 기사, 이미 구독 중, 구독자 전용
    """
)

JAVASCRIPT = ("javascript", "자바스크립트")
LOREM = ("lorem ipsum", "로렘 입숨")
POLICY = _listed(
    """
    terms of use, terms of service, privacy policy, cookie policy, uses cookies, use of cookies, use cookies,
    이용약관, 개인정보처리방침, 개인정보 처리방침, 개인정보취급방침, 쿠키 정책, 쿠키를 사용합니다, 쿠키를 사용하고
    """
)
"""What C4 looks for in lines (Raffel et al. 2020, and its code), with what Korean pages say."""

MENU = _listed(
    """
    home, menu, main menu, about, about us, contact, contact us, help, help center, help centre, faq, careers,
    jobs, press, blog, sitemap, site map, search, advanced search, advertise, advertise with us, partners,
    affiliates, gift cards, newsletter, newsletters, subscribe, unsubscribe, subscribe now,
    start your free trial, log in, login, log out, logout, sign in, sign up, sign out, register, create account,
    create an account, my account, account, username, password, remember me, forgot password,
    forgot your password, forgotten your password, resend activation, accept all, reject all, manage options,
    manage preferences, privacy, terms, legal, accessibility, copyright, imprint, powered by, back to top, top,
    next, previous, next page, previous page, first, last, read more, load more, show more, see all, view all,
    sort by, filter by, most recent, most helpful, most popular, most read, most shared, trending,
    related articles, related posts, recent posts, categories, archives, archive, tags, comments, leave a reply,
    leave a comment, write a review, report a problem, report abuse, share, share this, print, email, tweet,
    pin, follow us, follow, facebook, twitter, instagram, youtube, linkedin, pinterest, tiktok, add to cart,
    cart, wish list, wishlist, checkout, track order, store locator, jump to, members, forum index, mark all,
    news, sport, sports, weather, business, entertainment, lifestyle, page 1 of, 홈, 홈으로, 메뉴, 전체메뉴,
    전체 메뉴, 메뉴 열기, 메뉴 닫기, 처음으로, 맨 위로, 위로, 목록, 목록으로, 이전, 다음, 이전 글, 다음 글,
    이전글, 다음글, 이전 페이지, 다음 페이지, 이전 기사, 다음 기사, 더보기, 더 보기, 자세히 보기, 바로가기,
    로그인, 로그아웃, 회원가입, 회원 가입, 아이디 찾기, 비밀번호 찾기, 비밀번호 재설정, 아이디 저장,
    자동 로그인, 로그인 상태 유지, 비회원 주문, 마이페이지, 내 정보, 장바구니, 주문조회, 주문 조회, 배송조회,
    배송 조회, 찜한 상품, 최근 본 상품, 구독, 구독하기, 구독 신청, 뉴스레터, 검색, 통합검색, 상세검색, 공지사항,
    자주 묻는 질문, 1:1 문의, 문의하기, 고객센터, 이벤트, 매장 찾기, 매장안내, 오시는 길, 찾아오시는 길,
    회사소개, 회사 소개, 인재채용, 채용, 제휴 문의, 제휴문의, 제휴, 광고문의, 광고 문의, 광고안내, 사이트맵,
    관련 기사, 관련기사, 많이 본 뉴스, 많이 본 기사, 인기 기사, 인기글, 최신 기사, 최신글, 최근 바뀐 문서,
    임의 문서, 분류, 편집, 토론, 역사 보기, 도구, 인쇄용 판, 고유 링크, 기사 제보, 기사제보, 지면보기, 정치,
    경제, 사회, 문화, 연예, 스포츠, 오피니언, 댓글, 댓글 쓰기, 공유, 공유하기, 인쇄, 인쇄하기, 스크랩,
    글자 크기, 글자크기, 신고, 추천, 비추천, 페이스북, 트위터, 카카오톡, 인스타그램, 유튜브, 네이버, 밴드,
    url 복사, 이용약관, 면책 조항, 면책조항, 저작권, 운영정책, 모바일 보기, pc버전, 사업자등록번호,
    통신판매업신고, 통신판매업 신고, 대표이사, 대표자, 발행인, 편집인, 등록번호, 대표전화, 팩스, 모두 허용,
    모두 동의, 모두 거부, 필수만 허용, 설정 변경
    """
)
