"""Pages as Korean and English sites build them: (name, page, texts that must stay, furniture that must go)."""

from __future__ import annotations


def shell(body: str) -> str:
    """A page around a body."""
    head = "<meta charset=utf-8><title>사이트 제목 - 포털</title><style>.a{color:red}</style><script>var x=1;</script>"
    return f"<!doctype html><html lang=ko><head>{head}</head><body>{body}</body></html>"


def paragraphs(texts: list[str]) -> str:
    return "".join(f"<p>{text}</p>" for text in texts)


def links(words: list[str]) -> str:
    return "<ul>" + "".join(f'<li><a href="/{n}">{word}</a></li>' for n, word in enumerate(words)) + "</ul>"


MENU = f'<div id="gnb">{links(["정치", "경제", "사회", "문화", "국제", "스포츠", "연예", "날씨"])}</div>'
FOOT = """<div class="footer"><p>상호명 (주)보기신문 | 사업자등록번호 000-00-00000 | 대표이사 홍길동</p>
<p>Copyright © All rights reserved. 무단 전재 및 재배포 금지</p></div>"""
RELATED = [f"관련 기사 제목이 길게 적힌 {n}번째 소식" for n in range(6)]
MORE = f'<div class="related"><h3>관련 기사</h3>{links(RELATED)}</div>'
NEWS = [
    "서울시는 1일 내년 예산안을 발표하고 복지 분야에 가장 많은 돈을 쓰겠다고 밝혔다.",
    "예산안에 따르면 어린이집 지원은 1,200억 원으로 늘어나고, 지하철 9호선 열차도 더 사들인다.",
    '전문가들은 "세수가 줄어드는 가운데 지출을 늘리면 빚이 늘 수 있다"고 걱정했다.',
    "한편 경기도는 같은 날 교통 예산을 늘리겠다고 밝혔다. 두 곳은 환승 할인을 두고 이야기하기로 했다.",
]
BUDGET = [
    "The city council published its draft budget on Monday, with most of the money going to schools and transport.",
    "Critics said the plan relies on optimistic forecasts, while the mayor called it realistic and fair.",
    "A public hearing will be held next month, and the final vote is expected before the end of the year.",
]
BLOG = [
    "제가 좋아하는 김치찌개 끓이는 법이에요 ㅎㅎ",
    "돼지고기를 참기름에 볶아 주세요.",
    "물을 붓고 20분 끓이면 끝 ㅋㅋ",
]
ASKED = ["리스트를 뒤집는 방법이 있나요?", "[::-1]을 쓰시면 됩니다.", "print(list(reversed([1, 2, 3])))"]
NOTICE = "저소득 가구의 난방비를 지원하는 사업을 다음과 같이 안내하오니 많은 신청 바랍니다."
FACTS = [("신청 기간", "2026. 3. 2. ~ 3. 31."), ("신청 방법", "주민센터 방문"), ("문의처", "복지정책과")]
REVIEWS = ["신어 보니 발이 편해요. 배송도 빨랐습니다.", "색이 사진보다 진해요", "별로예요"]
TALK = ["아 오늘 진짜 춥다 ㅠㅠ", "ㄹㅇ 패딩 꺼냄", "내일은 영하 10도라던데"]
FURNITURE = ["정치", "상호명", "무단 전재", "관련 기사 제목이"]

_facts = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in FACTS)
_tags = "".join(f"<a href=#>#{tag}</a> " for tag in ("김치찌개", "요리", "집밥"))
PAGES = [
    ("news", shell(f"{MENU}<div class=view><h1>예산안 발표</h1>{paragraphs(NEWS)}</div>{MORE}{FOOT}"), NEWS, FURNITURE),
    ("breaks", shell(f"{MENU}<div id=newsBody>{'<br><br>'.join(NEWS)}</div>{MORE}{FOOT}"), NEWS, FURNITURE),
    ("columns", shell(f"{MENU}<table><tr><td>{MORE}<td>{paragraphs(NEWS)}</table>{FOOT}"), NEWS, FURNITURE),
    (
        "blog",
        shell(f"{MENU}{''.join(f'<div class=se><span>{text}</span></div>' for text in BLOG)}"
              f"<div class=comments><p>퍼가요~</p></div><div class=tag>{_tags}</div>{FOOT}"),
        BLOG,
        ["퍼가요", "집밥", *FURNITURE],
    ),
    (
        "forum",
        shell(f"{MENU}<main><h1>질문</h1><p>{ASKED[0]}</p><div class=a><p>{ASKED[1]}</p>"
              f"<pre>{ASKED[2]}</pre></div></main><aside><p>인기 글</p></aside>{FOOT}"),
        ASKED,
        ["인기 글", *FURNITURE],
    ),
    (
        "notice",
        shell(f"{MENU}<div id=contents><h2>난방비 지원</h2><p>{NOTICE}</p><table>{_facts}</table></div>"
              f"<div><form><p>이 페이지에 만족하십니까</p></form></div>{FOOT}"),
        [NOTICE, *(part for fact in FACTS for part in fact)],
        ["만족하십니까", *FURNITURE],
    ),
    ("reviews", shell(f"{MENU}<ul>{''.join(f'<li><p>{text}</p>' for text in REVIEWS)}</ul>{FOOT}"), REVIEWS, FURNITURE),
    (
        "community",
        shell(f"{MENU}<h3>날씨 얘기</h3><div>{TALK[0]}</div><div class=reply><ul><li>{TALK[1]}<li>{TALK[2]}</ul></div>"
              f"{FOOT}"),
        TALK,
        FURNITURE,
    ),
    ("short", shell(f"{MENU}<h1>휴관 안내</h1><p>3월 1일은 쉽니다.</p>{FOOT}"), ["3월 1일은 쉽니다."], FURNITURE),
    (
        "english",
        shell(f"<header><nav><a>Home</a></nav></header><article><h1>Budget</h1>{paragraphs(BUDGET)}</article>"
              f"<aside><h3>Most read</h3></aside><footer>Terms of use</footer>"),
        BUDGET,
        ["Most read", "Terms of use", "Home"],
    ),
    (
        "cookies",
        shell(f"<div class=cookie-banner><p>We use cookies.</p></div><div class=content>{paragraphs(BUDGET)}</div>"
              f"<div class=newsletter><p>Sign up</p></div>"),
        BUDGET,
        ["We use cookies", "Sign up"],
    ),
]  # fmt: skip
