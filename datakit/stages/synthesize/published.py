"""Self-Instruct and Alpaca decided as their published code decides: what is read from a reply, let in, thrown away.

Reproduced with their flaws, so that a set made here can be compared with the published ones: whole replies thrown away
when cut off, capitals lowered, `map` and `file` forbidden as words, a first character that must be ASCII (so no
Korean), novelty that sees [a-z0-9] alone, stop strings that cut `in 2016.`, `###` as a border, blocks that must count
exactly. From the code of 2023 (yizhongw/self-instruct 0b26cca, tatsu-lab/stanford_alpaca 761dc5b), in own words. What
was drawn at random there is drawn from the pipeline's seed here. Novelty is novelty.py's, with its `published` rule.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from datakit.errors import Problem
from datakit.stages.synthesize.generate import Asking
from datakit.stages.synthesize.growing import Growth
from datakit.stages.synthesize.parse import Written

FORBIDDEN = (
    "image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot",
    "go to",
)  # fmt: skip
FORBIDDEN_ALPACA = (*FORBIDDEN, "video", "audio", "music", "flowchart", "diagram")
STOP = ("\n\n", "\n16", "16.", "16 .")
STOP_ALPACA = ("\n20", "20.")
MOST_INSTANCES = 5
LIST = 20
OUTPUT, INPUT, EXAMPLE = (
    re.compile(r"Output\s*\d*\s*:"),
    re.compile(r"Input\s*\d*\s*:"),
    re.compile(r"Example\s?\d*\.?"),
)


def english_only(decisions: str, language: str) -> list[Problem]:
    """The published rules and Korean don't go together."""
    if decisions == "published" and language != "en":
        message = "the published rules refuse every instruction whose first letter is not ASCII, so all of Korean"
        return [Problem("decisions", message, "set `language: en`, or leave `decisions: mended`")]
    return []


def heuristic_fault(text: str, forbidden: Sequence[str]) -> str | None:
    """The first published rule that an instruction breaks."""
    words = len(text.split())
    if not 3 < words <= 150:
        return "empty" if not text else "too_short" if words <= 3 else "too_long"
    if any(re.search(rf"\b({word})\b", text, re.IGNORECASE) for word in forbidden):
        return "forbidden_word"
    if text.startswith("Write a program"):
        return "program"
    if text[0] in string.punctuation:
        return "punctuation"
    return None if text[0].isascii() else "not_ascii"


def listed(reply: str, cut: bool) -> list[str]:
    """The instructions of a numbered list: nothing of a reply that was cut off, capitals lowered but the first."""
    if cut:
        return []
    return [" ".join(piece.split()).capitalize() for piece in re.split(r"\n\d+\s?\. ", reply)]


def tasks_of(reply: str, cut: bool, shown: int) -> list[Written]:
    """The tasks of an Alpaca list: `###` parts them, and each must carry the number that is its turn."""
    pieces = f"{shown + 1}. Instruction:{reply}".split("###")
    found = []
    for place, piece in enumerate(pieces):
        if cut and place == len(pieces) - 1:
            continue
        parts = re.split(rf"{place + shown + 1}\.\s+(?:Instruction|Input|Output):", piece)
        if len(parts) == 4:
            instruction, given, output = (part.strip() for part in parts[1:])
            found.append(Written(instruction, "" if given.lower() == "<noinput>" else given, output))
    return found


def instances_of(reply: str, cut: bool, is_classification: bool) -> list[tuple[str, str]]:
    """(input, output) of a reply in step 3, after the rules of step 4; none where equal inputs have unequal outputs."""
    pairs = _labelled(reply) if is_classification else _examples(reply.strip())
    pairs = [pair for pair in (pairs[:-1] if cut else pairs) if _whole(*pair)]
    outputs: dict[str, str] = {}
    for given, output in pairs:
        if given and outputs.setdefault(given, output) != output:
            return []
    return list(dict.fromkeys(pairs))


def _examples(text: str) -> list[tuple[str, str]]:
    if EXAMPLE.search(text):
        return [_pair(piece.strip()) for piece in EXAMPLE.split(text) if piece.strip()]
    return [_pair(text)] if OUTPUT.search(text) else []


def _pair(text: str) -> tuple[str, str]:
    parts = OUTPUT.split(text)
    given, output = (parts[0].strip(), parts[1].strip()) if len(parts) > 1 else ("", text.strip())
    output = INPUT.split(output)[0].strip()
    return re.sub(rf"^{INPUT.pattern}", "", given).strip(), output


def _labelled(text: str) -> list[tuple[str, str]]:
    found = []
    for piece in text.split("Class label:")[1:]:
        label, _, given = piece.strip().partition("\n")
        found.append((given.strip(), label.strip()))
    return found


def _whole(given: str, output: str) -> bool:
    return bool(output) and given != output and not given.endswith(":") and not output.endswith(":")


def self_instruct_asking(growth: Growth, language: str, shown: tuple[str, ...], ids: tuple[str, ...]) -> Asking:
    """Self-Instruct's four steps, decided as published; a task gives up to five instances, each a row."""
    session = growth.session

    def fault(text: str, language: str) -> str | None:
        return heuristic_fault(text, FORBIDDEN)

    first = session.request("published_instructions", language, stop=STOP, examples=shown)
    [reply] = yield [first]
    entries = [text for text in listed(reply.text, reply.finish_reason == "length") if text]
    session.counters["instructions"] += len(entries)
    fresh = [entry for entry in entries if growth.admits(entry, language, fault)]
    asked = [session.request("classify", language, greedy=True, max_tokens=8, instruction=text) for text in fresh]
    sorts = [one.text.strip() in ("Yes", "yes", "YES") for one in (yield asked)]
    last = [
        session.request(f"published_{'labels' if sort else 'instance'}", language, greedy=True, instruction=text)
        for text, sort in zip(fresh, sorts, strict=True)
    ]
    replies = yield last
    for text, sort, request, one in zip(fresh, sorts, last, replies, strict=True):
        pairs = instances_of(one.text, one.finish_reason == "length", sort)
        if not pairs:
            session.refuse("no_instance")
        rng = session.rng("instances", request.number)
        for given, output in pairs if len(pairs) <= MOST_INSTANCES else rng.sample(pairs, MOST_INSTANCES):
            kind = "classification" if sort else "generation"
            growth.take(Written(text, given, output), language, kind, (first, request), ids)
    return []


def alpaca_asking(growth: Growth, language: str, shown: tuple[Written, ...], ids: tuple[str, ...]) -> Asking:
    """Alpaca's one step, decided as published: whatever the answer says, it is taken."""
    session = growth.session

    def fault(text: str, language: str) -> str | None:
        return heuristic_fault(text, FORBIDDEN_ALPACA)

    request = session.request("published_tasks", language, stop=STOP_ALPACA, count=LIST, examples=shown)
    [reply] = yield [request]
    if not reply.text.strip():
        return ["no_reply"]
    for task in tasks_of(reply.text, reply.finish_reason == "length", len(shown)):
        session.counters["instructions"] += 1
        if growth.admits(task.instruction, language, fault):
            growth.take(task, language, "task", (request,), ids)
    return []
