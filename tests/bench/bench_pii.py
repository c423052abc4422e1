"""Speed of PII removal: the fast engine on clean Korean and English prose and on pages dense with values.

    python tests/bench/bench_pii.py [--presidio]

`--presidio` measures presidio-analyzer beside it: with the same rules, and its own patterns (without an NLP model).
Figures are MB of UTF-8 a second of process CPU time, one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Span

CORPUS = Path(__file__).parents[2].parent / "shared" / "bench" / "bench10k.jsonl.gz"
FORM = (
    "고객명: 김민수, 연락처 010-1234-5678, 이메일 minsu.kim@naver.com으로 보내 주세요. 주민번호는 "
    "900101-1234568이고 계좌는 국민 123456-04-123456입니다. 주소는 서울특별시 강남구 테헤란로 152, 3층입니다. "
    "주문번호 20240305-000123은 제외합니다. 여기까지 확인했고 나머지 내용은 다음 주에 다시 정리해서 보내겠습니다.\n"
)
PROSE = (
    "회의에서는 지난 분기에 접수된 문의를 유형별로 나누어 살펴보았고, 답변이 늦어진 까닭과 고칠 점을 정리했습니다. "
    "담당 부서는 자주 묻는 질문을 다시 쓰고, 안내문의 낱말을 더 쉬운 말로 바꾸기로 했습니다.\n"
)


def speed(find: Callable[[str], list[Span]], texts: Sequence[str]) -> float:
    """MB a second of CPU time, the best of three rounds; the first text warms up."""
    find(texts[0])
    rounds = []
    for _ in range(3):
        begun = time.process_time()
        for text in texts:
            find(text)
        rounds.append(time.process_time() - begun)
    return sum(len(text.encode()) for text in texts) / 1e6 / min(rounds)


def prose() -> dict[str, list[str]]:
    """Documents of the shared corpus, pages of 2 kB with 8 values, and forms of nothing but values (25 in 1 kB)."""
    texts: list[str] = []
    if CORPUS.exists():
        with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line, _ in zip(lines, range(4000), strict=False)]
    korean = [text for text in texts if sum("가" <= char <= "힣" for char in text[:300]) > 60]
    return {
        "Korean prose": korean,
        "English prose": [t for t in texts if t[:300].isascii()],
        "dense pages": [FORM + PROSE * 5 + FORM[:60]] * 1000,
        "forms": [FORM * 4] * 500,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--presidio", action="store_true")
    engines: dict[str, Callable[[str], list[Span]]] = {"fast": Scanner()}
    if parser.parse_args().presidio:
        from datakit.stages.pii.presidio_engine import PresidioFind

        engines["presidio, our rules"] = PresidioFind()
        own = (
            "EmailRecognizer",
            "CreditCardRecognizer",
            "IpRecognizer",
            "IbanRecognizer",
            "PhoneRecognizer",
            "UrlRecognizer",
        )
        engines["presidio, its own patterns"] = PresidioFind((), own=own)
    for kind, texts in prose().items():
        for name, find in engines.items():
            share = texts if name == "fast" else texts[:60]
            if share:
                print(f"{kind:14} {name:28} {speed(find, share):8.2f} MB/s")


if __name__ == "__main__":
    main()
