"""Speed of PII removal, beside presidio-analyzer in the same run, with two workers, by length, and on hostile text.

    python -m tests.bench.bench_pii [--presidio] [--rules]

Megabytes of UTF-8 a second of CPU on one core, best of three rounds. `--presidio` runs presidio-analyzer as it comes
(peers/presidio_scan, in its own environment) on a share of the same texts: its patterns, and spaCy's small model with
them; `--rules` our rules under presidio-analyzer. Before times, answers: every planted value of the pages must be
found. The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from datakit.executors import Processes
from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Find
from tests.bench.peers import run_peer

CORPUS = Path(__file__).parents[2].parent / "shared" / "bench" / "bench10k.jsonl.gz"
VALUES = (
    "김민수", "010-1234-5678", "minsu.kim@naver.com", "900101-1234568", "123456-04-123456", "강남구 테헤란로 152",
)  # fmt: skip
FORM = (
    f"고객명: {VALUES[0]}, 연락처 {VALUES[1]}, 이메일 {VALUES[2]}으로 보내 주세요. 주민번호는 "
    f"{VALUES[3]}이고 계좌는 국민 {VALUES[4]}입니다. 주소는 서울특별시 {VALUES[5]}, 3층입니다. "
    "주문번호 20240305-000123은 제외합니다. 여기까지 확인했고 나머지 내용은 다음 주에 다시 정리해서 보내겠습니다.\n"
)
PROSE = (
    "회의에서는 지난 분기에 접수된 문의를 유형별로 나누어 살펴보았고, 답변이 늦어진 까닭과 고칠 점을 정리했습니다. "
    "담당 부서는 자주 묻는 질문을 다시 쓰고, 안내문의 낱말을 더 쉬운 말로 바꾸기로 했습니다.\n"
)
HOSTILE = {
    "a.a.a.": ("a.", 100_000), "1-1-1-": ("1-1-", 100_000), "1 1 1": ("1 ", 100_000), "@@@": ("@", 100_000),
    "://": ("://", 900_000), "((((": ("(", 100_000), "password=": ("password=", 100_000),
}  # fmt: skip
GOALS = {"Korean prose": 20.0, "English prose": 20.0, "dense pages": 8.0}
PATTERNS, SPACY, WORKERS, LONG_LINE = 20.0, 400.0, 1.7, 1.5
SHARE = {"patterns": 120, "spacy": 24}
"""Texts of each kind that a peer reads."""


def megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def seconds(find: Find, texts: Sequence[str], rounds: int = 3) -> float:
    """CPU seconds for some texts, the best of some rounds; the first text warms up."""
    find(texts[0])
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        for text in texts:
            find(text)
        taken.append(time.process_time() - begun)
    return min(taken)


def pages() -> dict[str, list[str]]:
    """Documents of the shared corpus, pages of 2 kB with 8 values, and forms of nothing but values (25 in 1 kB)."""
    texts: list[str] = []
    if CORPUS.exists():
        with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line, _ in zip(lines, range(4000), strict=False)]
    kinds = {
        "Korean prose": [text for text in texts if sum("가" <= char <= "힣" for char in text[:300]) > 60],
        "English prose": [text for text in texts if text[:300].isascii()],
        "dense pages": [FORM + PROSE * 5 + FORM[:60]] * 1000,
        "forms": [FORM * 4] * 500,
    }
    return {kind: found for kind, found in kinds.items() if found}


def answers(find: Find) -> None:
    """Stop unless every planted value of a page is found."""
    text = pages()["dense pages"][0]
    spans = find(text)
    for value in VALUES:
        at = text.index(value)
        if not any(span.start <= at and at + len(value) <= span.end for span in spans):
            raise SystemExit("a planted value was not found; no times are told")


def verdict(good: bool) -> str:
    return "" if good else "   MISSED"


def speeds(find: Find, kinds: dict[str, list[str]]) -> dict[str, float]:
    """Prints our speed on each kind."""
    found = {}
    for kind, texts in kinds.items():
        found[kind] = megabytes(texts) / seconds(find, texts)
        goal = GOALS.get(kind)
        told = f" (goal {goal:g}){verdict(found[kind] >= goal)}" if goal else ""
        print(f"{kind:14} {found[kind]:8.2f} MB/s{told}", flush=True)
    return found


def peers(ours: dict[str, float], kinds: dict[str, list[str]]) -> bool:
    """Prints Presidio's speed on a share of the same texts and how many times ours is that; whether goals are met."""
    good = True
    for mode, goal in (("patterns", PATTERNS), ("spacy", SPACY)):
        with tempfile.TemporaryDirectory() as folder:
            share = Path(folder) / "texts.json"
            some = {kind: texts[: SHARE[mode]] for kind, texts in kinds.items() if kind != "forms"}
            share.write_text(json.dumps(some, ensure_ascii=False), encoding="utf-8")
            told = run_peer("presidio", "presidio_scan.py", str(share), mode)
        for kind, one in told["kinds"].items():
            theirs = one["bytes"] / 1e6 / one["cpu"]
            times = ours[kind] / theirs
            good &= times >= goal
            held = f"(goal {goal:g}){verdict(times >= goal)}"
            print(f"{kind:14} {theirs:8.3f} MB/s  presidio, {mode:8}  {times:6.0f} x {held}")
        print(f"{'':14} {told['version']}", flush=True)
    return good


def scan_pages(count: int) -> float:
    """A job of a worker: CPU seconds for some pages."""
    find, page = Scanner(), pages_of(1)[0]
    find(page)
    begun = time.process_time()
    for _ in range(count):
        find(page)
    return time.process_time() - begun


def pages_of(count: int) -> list[str]:
    return [FORM + PROSE * 5 + FORM[:60]] * count


def workers(count: int = 24_000) -> bool:
    """Prints how many times faster two workers are than one: by the clock (it needs two free cores), and by the CPU
    that they take in all."""
    clock, cpu = [], []
    for number in (1, 2):
        pool = Processes(number)
        list(pool.map(scan_pages, [1] * number * 2))
        begun = time.perf_counter()
        cpu.append(sum(pool.map(scan_pages, [count // 8] * 8)))
        clock.append(time.perf_counter() - begun)
    wall, work = clock[0] / clock[1], 2 * cpu[0] / cpu[1]
    good = max(wall, work) >= WORKERS
    print(f"two workers    {wall:5.2f} x by the clock, {work:.2f} x by CPU (goal {WORKERS}){verdict(good)}")
    return good


def lengths(find: Find) -> bool:
    """Prints the time a megabyte takes in one line of 1 to 8 MB; whether the longest costs at most a fifth more."""
    line = (PROSE * 20 + FORM).replace("\n", " ")
    costs = []
    for size in (1, 2, 4, 8):
        text = line * (size * 1_000_000 // len(line.encode()))
        costs.append(1000 * seconds(find, [text]) / megabytes([text]))
    print(
        "one line of    "
        + "  ".join(f"{size} MB {cost:.1f} ms/MB" for size, cost in zip((1, 2, 4, 8), costs, strict=True))
    )
    return costs[-1] <= 1.2 * costs[0]


def hostile(find: Find) -> bool:
    """Prints the milliseconds that text takes which was made to be slow, and the seconds of 10 MB in one line."""
    for name, (unit, size) in HOSTILE.items():
        text = unit * (size // len(unit)) + " 메일은 hong@naver.com으로"
        if not any(text[span.start : span.end].endswith("hong@naver.com") for span in find(text)):
            raise SystemExit(f"the address behind {name} was not found; no times are told")
        print(f"{name:14} {1000 * seconds(find, [text]):8.1f} ms for {len(text) // 1000} kB")
    line = (PROSE * 20 + FORM).replace("\n", " ")
    taken = seconds(find, [line * (10_000_000 // len(line.encode()) + 1)])
    print(f"{'10 MB, 1 line':14} {taken:8.2f} s (goal {LONG_LINE}){verdict(taken <= LONG_LINE)}", flush=True)
    return taken <= LONG_LINE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presidio", action="store_true", help="presidio-analyzer as it comes beside it")
    parser.add_argument("--rules", action="store_true", help="our rules under presidio-analyzer beside it")
    asked = parser.parse_args()
    find, kinds = Scanner(), pages()
    answers(find)
    ours = speeds(find, kinds)
    good = all(ours[kind] >= goal for kind, goal in GOALS.items() if kind in ours)
    if asked.rules:
        from datakit.stages.pii.presidio_engine import PresidioFind

        second: Callable[..., Find] = PresidioFind
        print("\nour rules under presidio-analyzer")
        speeds(second(), {kind: texts[:60] for kind, texts in kinds.items()})
    if asked.presidio:
        print()
        good &= peers(ours, kinds)
    print()
    steady = [lengths(find), hostile(find), workers()]
    return 0 if good and all(steady) else 1


if __name__ == "__main__":
    sys.exit(main())
