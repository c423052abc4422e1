"""Names of persons: the rules alone and with the name engines, side by side: precision, recall, F2 and speed.

    python -m tests.bench.bench_pii_names

Korean on klue-ner (news, half of its persons are celebrities, foreigners or a bare surname) and on forms, mails and
chats made here; English on a half of the templates of presidio-research. A name counts as found if nine tenths of its
letters are covered. Precision P: spans that touch a labelled name; P any: that touch a labelled value of any kind (the
English set labels firms and streets that carry names of people). MB of UTF-8 a second of CPU, child processes included.
"""

# ruff: noqa: E501, SIM905  (word lists read better unbroken)

from __future__ import annotations

import argparse
import json
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil

from datakit.stages.pii import Pii
from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Find

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
KLUE, ENGLISH = SHARED / "klue_ner_names_dev.jsonl", SHARED / "pii_en_dev.jsonl"
SURNAMES = "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민나진지엄채원천방공현함변염추"
OFTEN = (21, 15, 8, 5, 4, 2, 2, 2, 2, 2)
GIVEN = (
    "민준 서준 도윤 예준 시우 하준 지호 주원 지후 준우 준서 도현 건우 현우 우진 지훈 선우 유준 서진 연우 은우 민재 현준 시윤 정우 이준 승우 "
    "승현 준혁 성민 재윤 동현 태윤 영수 영호 성호 정훈 상훈 진우 경수 병철 종석 기현 용준 광수 명호 철민 서연 서윤 지우 서현 하은 하윤 민서 "
    "지유 윤서 채원 수아 지민 지아 다은 은서 예은 소율 수빈 예린 아린 지원 소윤 유진 가은 나은 수민 혜진 미영 은정 현정 지영 미경 정숙 영희 "
    "순자 경희 은주 선영 보람 아름 슬기 주희 세영 혜원 한별 유나 규리 태희 효주 나래 동욱 준호 재현 원빈 상우 덕수 만식 춘자 말순 을용"
).split()
FORMS = (
    "{0} / {1} / {p} / 서울시 강남구\n", "3. {0} 010-2231-9087 강서구청 방문 예정\n", "받는 사람 {0}, 부산시 해운대구 우동 1408, {p}\n",
    "안녕하세요, 영업2팀 {0}입니다. 회신은 {m}으로 부탁드립니다.\n", "{0}\n기획팀 과장\n{p}\n{m}\n", "연락 담당은 {0}이고 부재 시 {1}에게 {p}로 전화 주세요.\n",
    "고객명: {0} 연락처: {p} 상품: 신라면 40개입\n", "어제 {0}이랑 통화했는데 계좌로 입금했다고 합니다.\n", "참석: {0}, {1}, {2} (장소: 서초구 회의실, 문의 {p})\n",
    "{0}님이 주문하신 상품은 경기도 용인시로 발송되었습니다.\n", "작성자 {0} | 2024-03-05 | 조회 12\n", "예약자는 {0}, 전화 {p}, 인원 4명입니다.\n",
    "{0}의 번호는 {p}입니다. 주소는 서울특별시 마포구입니다.\n", "보호자 {0}이 병원에 연락했고 환자 {1}은 퇴원했다.\n", "민주당 당사 앞, 차량 주차 문의는 {p} {0}에게.\n",
    "[{0}] [오후 3:12] 내일 {1} 생일이래, 전화해 봐\n", "{0} 드림\n연락처 {p}\n", "세입자 {0}(32)과 집주인 {1}이 통장 사본을 주고받았다.\n",
    "면접자: {0}, {1}. 연락처는 {p}, {p}.\n", "이사건은 전화로 접수했고 정상가 3만원, 담당은 {0}.\n",
    "{0} 010-3321-2210 / {1} 010-9981-1121 / {2} 010-2321-4452\n", "대표 {0}, 사업자 등록은 제주도에서 했습니다.\n",
    "서울대 한국대 연락망: {0} {p}\n", "한정판 이용자 전화 상담: {p}, 이후 문의는 {m}.\n", "제주도 강원도 지점 전화 {p}, 서초구 송파구 지점 전화 {p}\n",
)  # fmt: skip
"""Lines of forms, mails and chats: half of the names stand beside no label; four have nothing but hard negatives."""

Row = dict[str, Any]


def forms(count: int = 600, seed: int = 20_241) -> Iterator[Row]:
    """Lines with names drawn for each; the particles of the templates don't follow the sound, as in hasty writing."""
    rng = random.Random(seed)
    weights = [*OFTEN, *(1 for _ in SURNAMES[len(OFTEN) :])]
    for number in range(count):
        text, spans = "", []
        parts = FORMS[number % len(FORMS)].replace("{p}", f"010-{rng.randint(2000, 9999)}-{rng.randint(1000, 9999)}")
        parts = parts.replace("{m}", f"user{rng.randint(10, 99)}@naver.com")
        drawn = [rng.choices(SURNAMES, weights)[0] + rng.choice(GIVEN) for _ in range(3)]
        while parts:
            before, brace, behind = parts.partition("{")
            text += before
            if brace:
                name = drawn[int(behind[0])]
                spans.append({"type": "PERSON", "start": len(text), "end": len(text) + len(name)})
                text += name
            parts = behind[2:]
        yield {"text": text, "spans": spans}


def rows_of(path: Path) -> list[Row]:
    """The rows of a labelled set, [] where it is absent."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    return [json.loads(line) for line in lines if line]


def accuracy(find: Find, rows: Sequence[Row]) -> dict[str, float]:
    """Recall, precision, F2 of PERSON, and the share of its spans that touch any labelled value."""
    gold = hit = given = right = touching = 0
    for row in rows:
        spans = [span for span in find(row["text"]) if span.entity == "PERSON"]
        inside = {place for span in spans for place in range(span.start, span.end)}
        for truth in row["spans"]:
            if truth["type"] == "PERSON":
                need = [at for at in range(truth["start"], truth["end"]) if row["text"][at].isalnum()]
                gold += 1
                hit += sum(at in inside for at in need) >= 0.9 * len(need)
        met = [{t["type"] for t in row["spans"] if s.start < t["end"] and t["start"] < s.end} for s in spans]
        given, right, touching = (
            given + len(spans),
            right + sum("PERSON" in m for m in met),
            touching + sum(map(bool, met)),
        )
    recall, precision = hit / gold, right / max(1, given)
    f2 = 5 * precision * recall / max(1e-9, 4 * precision + recall)
    return {"R": recall, "P": precision, "F2": f2, "P any": touching / max(1, given)}


def cpu() -> float:
    """CPU seconds of this process and its children."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def speed(make: Callable[[], Find], texts: Sequence[str], *, most: int = 60_000) -> float:
    """MB a second of CPU on the first texts, after one that loads what is to be loaded."""
    from datakit.stages.pii import names_onnx

    names_onnx.model.cache_clear()  # what it has read it knows
    find = make()
    find("담당자 김민수 010-1234-5678, Alan Poole")
    some = texts[: bisect(list(accumulate(len(text.encode()) for text in texts)), most)]
    rounds = 50 if isinstance(find, Scanner) else 1
    begun = cpu()
    for text in [*some] * rounds:
        find(text)
    return rounds * sum(len(text.encode()) for text in some) / 1e6 / max(1e-9, cpu() - begun)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    settings: dict[str, dict[str, Any]] = {
        "rules": {},
        "kiwi": {"names": "kiwi"},
        "kiwi, all": {"names": "kiwi", "kiwi_reads": "all"},
        "onnx": {"names": "onnx"},
        "kiwi+onnx": {"names": "kiwi+onnx"},
    }
    sets = {"forms (made here)": list(forms()), "klue-ner": rows_of(KLUE), "presidio-research": rows_of(ENGLISH)}
    print(f"{'set':18} {'names':10} {'R':>6} {'P':>6} {'F2':>6} {'P any':>6} {'MB/s':>8}")
    for title, rows in sets.items():
        texts = [row["text"] for row in rows]
        for name, chosen in settings.items() if rows else ():
            if ("onnx" in name) != (title == "presidio-research") and name not in ("rules", "kiwi+onnx"):
                continue
            made = Pii(**chosen)
            found = accuracy(made.engine_at_work(), rows)
            told = " ".join(f"{found[key]:6.3f}" for key in ("R", "P", "F2", "P any"))
            print(f"{title:18} {name:10} {told} {speed(made.engine_at_work, texts):8.3f}", flush=True)


if __name__ == "__main__":
    main()
