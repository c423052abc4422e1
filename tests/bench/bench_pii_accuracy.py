"""Accuracy of PII removal: what is left over and what is taken for nothing, beside presidio-analyzer.

    python -m tests.bench.bench_pii_accuracy [--seed N] [--each N] [--presidio] [--by-type] [--misses dev]

Sets: DEV and HELDOUT sentences and documents (tests/pii_sentences), 14 types by 22 particles, look-alikes without any
value, and where ../shared/data is there 727 English texts of presidio-research and 2,500 Korean news sentences of KLUE.
Presidio runs without a language model: its five Korean recognizers and its general ones, phone numbers of KR and US;
its URL recognizer, which takes `main.py` for a site, is left out in its favour. Goals stand beside the figures; the
exit code is 1 if the fast engine misses one. `--misses` prints failures of a set: do not ask for those of HELDOUT.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from datakit.stages.pii.scan import Scanner
from datakit.stages.pii.spans import Find, Span
from tests.pii_scoring import ALL, STRUCTURED, Score, flagged, score
from tests.pii_sentences import (
    SETS,
    WORDS_ONLY,
    Gold,
    Labelled,
    documents,
    must_go,
    negatives,
    particles,
    sample,
)

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ENGLISH, NEWS = SHARED / "pii_en_dev.jsonl", SHARED / "klue_ner_names_dev.jsonl"
ENGLISH_TYPES = {
    "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "US_SSN": "US_SSN", "IP_ADDRESS": "IP",
    "US_DRIVER_LICENSE": "DRIVER_LICENSE", "IBAN_CODE": "IBAN", "PERSON": "PERSON", "STREET_ADDRESS": "ADDRESS",
}  # fmt: skip
RECALL, PRECISION, FLAGGED = 0.985, 0.99, 0.005
ENGLISH_RECALL, ENGLISH_PRECISION, NEWS_HITS = 0.92, 0.98, 1.0


def presidio() -> Find:
    """presidio-analyzer with its own recognizers for Korean text, offline and without a language model."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, predefined_recognizers
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    from datakit.stages.pii.presidio_engine import FOREIGN_TYPES

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # type: ignore[assignment]
    nlp = NoOpNlpEngine(models=[{"lang_code": "ko", "model_name": "no_op"}])
    nlp.load()
    names = "KrRrn KrFrn KrBrn KrDriverLicense KrPassport Email Ip CreditCard Iban MacAddress UsSsn".split()  # noqa: SIM905
    known = [getattr(predefined_recognizers, f"{name}Recognizer", None) for name in names]
    recognizers = [recognizer(supported_language="ko") for recognizer in known if recognizer]
    phone = predefined_recognizers.PhoneRecognizer(supported_language="ko", supported_regions=("KR", "US"))
    registry = RecognizerRegistry(supported_languages=["ko"], recognizers=[*recognizers, phone])
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["ko"], default_score_threshold=0.4)

    def find(text: str) -> list[Span]:
        found = engine.analyze(text, language="ko")
        return [Span(r.start, r.end, FOREIGN_TYPES.get(r.entity_type, r.entity_type), "presidio") for r in found]

    return find


def labelled(path: Path, types: dict[str, str]) -> Iterator[Labelled]:
    """The texts of a development set of others; types that are not asked for may be found or not."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1]):
        row = json.loads(line)
        golds = (Gold(s["start"], s["end"], types.get(s["type"], ""), s["type"] not in types) for s in row["spans"])
        yield Labelled(row["text"], tuple(golds), "", number)


def verdict(good: bool) -> str:
    return "" if good else "   MISSED"


def told(name: str, done: Score, recall: float, precision: float, *, by_type: bool) -> bool:
    """Prints recall and precision of a set, by type if asked; whether the structured ones reach their goals."""
    good = done.recall() >= recall and done.precision() >= precision
    print(f"{name:22} structured  recall {done.recall():.4f} of {done.golds[STRUCTURED]:6,} (goal {recall})  ", end="")
    print(f"precision {done.precision():.4f} of {done.spans[STRUCTURED]:6,} (goal {precision}){verdict(good)}")
    kinds = sorted({*done.golds, *done.spans} - {ALL, STRUCTURED}) if by_type else sorted(WORDS_ONLY)
    for kind in (*kinds, ALL):
        print(f"{'':22} {kind:16}   {done.recall(kind):.4f} of {done.golds[kind]:6,}", end="")
        print(f"             {done.precision(kind):.4f} of {done.spans[kind]:6,}")
    return good


def stress(find: Find, seed: int, *, by_type: bool) -> bool:
    """Prints the share of values held with a particle glued to them, and the types or particles that fail."""
    cells = list(particles(seed))
    held = [score([cell], find).recall() == 1.0 for _, _, cell in cells]
    print(
        f"{'particles':22} 14 types x 22: {sum(held) / len(held):.4f} of {len(held):,} (goal 1.0){verdict(all(held))}"
    )
    for place, what in ((0, "type"), (1, "particle")) if by_type else ():
        failed = sorted({str(cell[place]) for cell, good in zip(cells, held, strict=True) if not good})
        print(f"{'':22} {what}s that fail: {' '.join(failed) or 'none'}")
    return all(held)


def calm(find: Find, which: str, seed: int, each: int, *, by_type: bool) -> bool:
    """Prints how many look-alikes are flagged, by kind if any is."""
    counts = flagged(negatives(which, seed, each * 5), find)
    hit, whole = (sum(column) for column in zip(*counts.values(), strict=True))
    good = hit <= FLAGGED * whole
    print(f"{'look-alikes ' + which:22} flagged {hit / whole:.4%} of {whole:,} (goal {FLAGGED:.1%}){verdict(good)}")
    for kind, (some, of) in counts.items():
        if some and (by_type or some > of * FLAGGED):
            print(f"{'':22} {kind:16} {some / of:.2%} of {of:,}")
    return good


def news(find: Find) -> bool:
    """Prints structured hits in a thousand news sentences, and how well names are found."""
    rows = list(labelled(NEWS, {"PERSON": "PERSON"}))
    hits = sum(span.entity not in WORDS_ONLY for row in rows for span in find(row.text))
    done = score(rows, find)
    recall, precision = done.recall("PERSON"), done.precision("PERSON")
    f2 = 5 * precision * recall / (4 * precision + recall) if recall else 0.0
    good = 1000 * hits <= NEWS_HITS * len(rows)
    print(
        f"{'KLUE news':22} structured hits in 1,000: {1000 * hits / len(rows):.2f} (goal {NEWS_HITS}){verdict(good)}; ",
        end="",
    )
    print(f"PERSON recall {recall:.3f} precision {precision:.3f} F2 {f2:.3f}")
    return good


def misses(find: Find, which: str, seed: int, each: int) -> None:
    """Prints what is left over and what is taken for nothing in a set; the values are invented."""
    for text in (*sample(which, seed, each), *documents(which, seed, each * 25)):
        spans = find(text.text)
        covered = {place for span in spans for place in range(span.start, span.end)}
        for gold in text.golds:
            if not gold.optional and not covered.issuperset(must_go(text.text, gold)):
                print("LEFT ", gold.type, repr(text.text[gold.start : gold.end]), "in", repr(text.text[:200]))
        for span in spans:
            if not any(gold.start < span.end and span.start < gold.end for gold in text.golds):
                print(
                    "WRONG", span.entity, span.rule, repr(text.text[span.start : span.end]), "in", repr(text.text[:200])
                )
    for kind, calm_text in negatives(which, seed, each * 5):
        for span in find(calm_text):
            print("FLAG ", kind, span.entity, span.rule, repr(calm_text[span.start : span.end]), "in", repr(calm_text))


def measured(find: Find, seed: int, each: int, *, by_type: bool) -> bool:
    """Prints every set for an engine; whether all goals are reached."""
    good = True
    for which in SETS:
        done = score((*sample(which, seed, each), *documents(which, seed, each * 25)), find)
        good &= told(f"Korean {which}", done, RECALL, PRECISION, by_type=by_type)
        good &= calm(find, which, seed, each, by_type=by_type)
    good &= stress(find, seed, by_type=by_type)
    if ENGLISH.exists():
        done = score(labelled(ENGLISH, ENGLISH_TYPES), find)
        good &= told("English (727)", done, ENGLISH_RECALL, ENGLISH_PRECISION, by_type=by_type)
    return news(find) and good if NEWS.exists() else good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="default: a fresh one")
    parser.add_argument("--each", type=int, default=20, help="sentences of each template")
    parser.add_argument("--presidio", action="store_true", help="presidio-analyzer beside it, on a quarter as many")
    parser.add_argument("--by-type", action="store_true")
    parser.add_argument("--misses", choices=SETS, help="print the failures of a set instead")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    find = Scanner()
    if asked.misses:
        misses(find, asked.misses, seed, asked.each)
        return 0
    print(f"seed {seed}, {asked.each} of each template\n\n### fast engine")
    good = measured(find, seed, asked.each, by_type=asked.by_type)
    if asked.presidio:
        print("\n### presidio-analyzer, its own recognizers")
        measured(presidio(), seed, max(1, asked.each // 4), by_type=asked.by_type)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
