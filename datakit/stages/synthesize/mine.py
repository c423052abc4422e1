"""The miner: documents to instruction rows by rules alone, no model (AdaptLLM's idea, arXiv:2309.09530; own rules).

    document -> page (title, units, sentences) -> candidates of all rules -> at most `per_document`, few of one kind
             -> wording drawn from six or more a task -> [user: instruction + passage, assistant: answer]

Chance (which candidates, which wording, which wrong choices) depends on the seed and the document's id only, so that a
document gives the same rows in any corpus, shard or batch. Cost: one pass of precompiled patterns over the sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from datakit.canon import canonical, key_of
from datakit.schemas import row_id
from datakit.stages.synthesize import mine_en, mine_ko, mine_prose, mine_shapes
from datakit.stages.synthesize.alone import is_talk, leans, tells
from datakit.stages.synthesize.candidates import SURE, Candidate
from datakit.stages.synthesize.passages import FORWARD, TAG, Page, language_of, read_page
from datakit.stages.synthesize.wordings import WORDINGS

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 5
"""Bumped by hand when a rule changes: it is in the key of the mined parts."""
WEIGHTS = {
    "definition": 5.0, "term": 2.0, "reason": 4.0, "result": 3.0, "example": 3.0, "restate": 3.0, "answer": 4.0,
    "order": 3.0, "title": 1.5, "question": 2.0, "heading": 1.0, "summary": 1.5, "when": 1.5, "extract": 1.5,
    "connective": 1.5, "continue": 2.0, "write": 2.0, "check": 0.4, "cloze": 0.4,
}  # fmt: skip
"""How readily a kind of task is chosen: tasks that need understanding before ones that need only looking up."""
QUOTING = frozenset({"definition", "reason", "result", "example", "restate", "summary", "term"})
"""Tasks whose answer is a sentence of the text."""
STATING = frozenset({"reason", "result", "example", "restate"})
"""Tasks that ask about a statement, which must be a fact by itself and stand in the passage."""
OF_TALK = frozenset({"answer", "continue", "definition", "term"})
"""Tasks that tickets, forums and reviews can give: the others need facts that are true outside somebody's case."""
MOST = {"continue": 4, "write": 2, "reason": 2, "definition": 2, "connective": 2, "when": 2}
"""Rows of one kind that a document may give, 1 where nothing is said; their answers never overlap."""
SENTENCE_RULES = {"ko": mine_ko.sentence_tasks, "en": mine_en.sentence_tasks}
COPIED = ("source_id", "source", "position", "family", "licence")


@dataclass(frozen=True, slots=True)
class MineSettings:
    """The stage's settings that the miner needs."""

    per_document: int
    passage_ko: int
    passage_en: int
    language: str
    tasks: tuple[str, ...]
    seed: int


def mine_table(table: pa.Table, settings: dict[str, Any]) -> pa.Table:
    """Example rows mined from a table of documents; documents without a task leave a row with `dropped` set.

    A top-level function for `Corpus.map`. `settings`: the fields of MineSettings as canonical JSON values, and
    the `version` of the rules, which is there for the key of the part only.
    """
    from datakit.schemas import table_from_rows

    wanted = {name: value for name, value in settings.items() if name not in ("version", "tasks")}
    known = MineSettings(**wanted, tasks=tuple(settings["tasks"] or SURE))
    rows = [row for document in table.to_pylist() for row in mine_document(document, known)]
    return table_from_rows(rows, "example") if rows else _empty()


EXTRA = ("synthesize.recipe", "synthesize.task", "synthesize.instruction", "synthesize.input", "dropped", "value")


def mine_document(document: dict[str, Any], settings: MineSettings) -> list[dict[str, Any]]:
    """The example rows of one document, or one row that says by which rule it gave none."""
    text = document["text"] or ""
    language = language_of(text, document["lang"])
    if language not in SENTENCE_RULES or settings.language not in ("auto", language):
        return [_dropped(document, "other_language", language)]
    rng = Random(key_of(settings.seed, "mine", document["id"]))
    page = read_page(text, language)
    limit = settings.passage_ko if language == "ko" else settings.passage_en
    chosen = _choose(_candidates(page, limit, rng, settings.tasks), settings.per_document, rng)
    if not chosen:
        return [_dropped(document, "no_task", len(text))]
    return [_row(document, candidate, language, rng) for candidate in chosen]


def _candidates(page: Page, limit: int, rng: Random, tasks: Sequence[str]) -> list[Candidate]:
    allowed = OF_TALK.intersection(tasks) if is_talk(page) else frozenset(tasks)
    rules = {**mine_shapes.RULES, **mine_prose.RULES}
    wanted = [SENTENCE_RULES[page.language], *(rule for task, rule in rules.items() if task in allowed)]
    found = [candidate for rule in wanted for candidate in rule(page, limit, rng)]
    return [candidate for candidate in found if candidate.task in allowed and _sound(candidate, page.language)]


def _sound(candidate: Candidate, language: str) -> bool:
    """Last checks on every candidate: something to read, a question and an answer that stand alone, no tag anywhere."""
    if not candidate.passage or not candidate.answer.strip():
        return False
    if candidate.task in QUOTING and (FORWARD.search(candidate.answer) or leans(candidate.answer, language)):
        return False
    statement = candidate.fields.get("sentence", "") if candidate.task in STATING else ""
    if statement and not (statement[-12:-1] in candidate.passage and tells(statement, language)):
        return False
    asked = candidate.answer if candidate.task in QUOTING else candidate.fields.get("sentence", "")
    if asked and candidate.task not in ("write", "continue") and _only_that(candidate.passage, asked):
        return False
    return not TAG.search(f"{candidate.passage} {candidate.answer} {' '.join(candidate.fields.values())}")


def _only_that(passage: str, sentence: str) -> bool:
    """Whether a passage is hardly more than the sentence that is asked for: nothing is to be found in it."""
    return len(passage.rpartition("\n\n")[2]) < 1.3 * len(sentence) and passage.count("\n\n") < 2


def _choose(candidates: list[Candidate], most: int, rng: Random) -> list[Candidate]:
    """A weighted draw without replacement (Efraimidis and Spirakis 2006), at most `MOST` of a kind."""
    if not candidates:
        return []
    crowd = Counter(candidate.task for candidate in candidates)
    keyed = [(rng.random() ** (crowd[c.task] / WEIGHTS[c.task]), place, c) for place, c in enumerate(candidates)]
    chosen: list[Candidate] = []
    for _, _, candidate in sorted(keyed, key=_by_draw):
        alike = [one for one in chosen if one.task == candidate.task]
        if len(alike) < MOST.get(candidate.task, 1) and not any(_overlap(candidate, one) for one in alike):
            chosen.append(candidate)
        if len(chosen) == most:
            break
    return chosen


def _overlap(candidate: Candidate, other: Candidate) -> bool:
    """Whether one of two answers holds the other, so that the second would teach nothing new."""
    return candidate.answer in other.answer or other.answer in candidate.answer


def _by_draw(keyed: tuple[float, int, Candidate]) -> tuple[float, int]:
    return -keyed[0], keyed[1]


def _row(document: dict[str, Any], candidate: Candidate, language: str, rng: Random) -> dict[str, Any]:
    wordings = WORDINGS[language]
    form = candidate.form or " ".join(candidate.fields)
    instruction = rng.choice(wordings.get(f"{candidate.task} {form}") or wordings[candidate.task])
    instruction = instruction.format(**candidate.fields)
    messages = [
        {"role": "user", "content": f"{instruction}\n\n{candidate.passage}", "weight": None},
        {"role": "assistant", "content": candidate.answer, "weight": None},
    ]
    made_by = f"synthesize/mine/{candidate.task}"
    return {
        "id": row_id(made_by, canonical([document["id"], messages])),
        **{name: document.get(name) for name in COPIED},
        "family": document.get("family") or document["id"],
        "lang": language,
        "messages": messages,
        "parents": [document["id"]],
        "made_with": [],
        "made_by": made_by,
        "synthesize.recipe": "mine",
        "synthesize.task": candidate.task,
        "synthesize.instruction": instruction,
        "synthesize.input": candidate.passage,
        "dropped": None,
        "value": None,
    }


def _dropped(document: dict[str, Any], rule: str, value: object) -> dict[str, Any]:
    empty = dict.fromkeys(EXTRA)
    return {**empty, "id": document["id"], "source_id": document["source_id"], "dropped": rule, "value": str(value)}


def _empty() -> pa.Table:
    from datakit.schemas import table_from_rows

    return table_from_rows([{"id": "", **dict.fromkeys(EXTRA)}], "example").slice(0, 0)
