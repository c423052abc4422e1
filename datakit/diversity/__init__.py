"""How varied instruction rows are: what they ask for, their lengths, how near they lie to one another.

    asked       verb and object of each instruction (Korean: predicate and object), the commonest of them, and how many
                equally common ones would be as varied: exp of the entropy
    topics      the same for the objects alone: what the instructions are about
    lengths     of instruction and answer in tokens: 5th, 50th and 95th percentile
    new         share of different n-grams among all n-grams, n = 1, 2, 3, of a sample of equal size
    nearest     ROUGE-L of each instruction with the one nearest to it: percentiles, and shares by tenths

All by rules and counts, the same on every machine; tokens and ROUGE-L are those of the novelty check. Everything but
`asked` is measured on at most `SAMPLE` rows, those with the lowest hashes of their ids, so that two sets can be
compared and one more row changes little. Cost: a second for the sample, 20 microseconds a row for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import exp, log
from typing import TYPE_CHECKING, Any

from datakit.diversity.verbs_en import verb_and_object
from datakit.diversity.verbs_ko import predicate_and_object
from datakit.stages.synthesize.novelty import Pool, tokens_of
from datakit.stages.synthesize.passages import language_of

if TYPE_CHECKING:
    import pyarrow as pa

READ = 50_000
"""Rows of a language whose verbs are looked for."""
SAMPLE = 2000
"""Rows that are compared with one another: 4 million pairs, about a second."""
GRAM_TOKENS = 20_000
"""Tokens among which different n-grams are counted: their share falls with the length, so lengths must be equal."""
SHOWN, SHOWN_OBJECTS = 20, 4
"""Verbs that are named, and objects of each: as in the picture of the Self-Instruct paper."""
OWN_COLUMNS = ("synthesize.instruction", "source.instruction")
"""Columns in which an instruction may stand without its input."""


@dataclass(frozen=True, slots=True)
class Row:
    """What of an example is measured."""

    id: str
    lang: str
    instruction: str
    answer: str


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb with the number of instructions and its commonest objects."""

    name: str
    count: int
    objects: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """5th, 50th and 95th percentile of some figures."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """ROUGE-L of each instruction with its nearest other one: percentiles, and shares of rows by tenths of F."""

    rows: int
    spread: Spread
    tenths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Diversity:
    """The figures of the rows of one language."""

    lang: str
    rows: int
    with_verb: float
    pairs: int
    as_many_as: float
    """Verb-object pairs: so many equally common ones would be as varied."""
    topics_as_many_as: float
    verbs: tuple[Verb, ...]
    instruction_tokens: Spread
    answer_tokens: Spread
    different: dict[str, float]
    """Share of different n-grams by part and n: `instruction.2`."""
    nearest: Nearest | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without the words themselves, which are text."""
        return {name: value for name, value in asdict(self).items() if name != "verbs"}


def diversity(rows: Iterable[Row]) -> list[Diversity]:
    """The figures of each language, the one with most rows first; rows without an instruction are left out."""
    by_lang: dict[str, list[Row]] = {}
    for row in rows:
        if row.instruction.strip():
            by_lang.setdefault(row.lang, []).append(row)
    return [_of_language(lang, found) for lang, found in sorted(by_lang.items(), key=_most_first)]


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a table of examples: instruction (without its input, where that stands apart) and first answer."""
    columns = [table.column(name).to_pylist() for name in ("id", "lang", "messages")]
    own = next((name for name in OWN_COLUMNS if name in table.column_names), None)
    told = table.column(own).to_pylist() if own else [None] * table.num_rows
    return [
        _row(own_id, lang, instruction or _said(turns, "user").partition("\n\n")[0], _said(turns, "assistant"))
        for own_id, lang, turns, instruction in zip(*columns, told, strict=True)
    ]


def _row(own_id: str, lang: str | None, instruction: str, answer: str) -> Row:
    return Row(own_id, language_of(instruction, lang), instruction, answer)


def _said(turns: Sequence[dict[str, Any]] | None, role: str) -> str:
    return next((turn["content"] or "" for turn in turns or () if turn["role"] == role), "")


def _most_first(item: tuple[str, list[Row]]) -> tuple[int, str]:
    return -len(item[1]), item[0]


def _of_language(lang: str, rows: list[Row]) -> Diversity:
    find = predicate_and_object if lang == "ko" else verb_and_object
    read = rows if len(rows) <= READ else sampled(rows, READ)
    found = [pair for row in read if (pair := find(row.instruction))]
    pairs = Counter(found)
    sample = sampled(read)
    instructions = [tokens_of(row.instruction) for row in sample]
    answers = [tokens_of(row.answer) for row in sample]
    shares = {
        f"{part}.{n}": different(texts, n)
        for part, texts in (("instruction", instructions), ("answer", answers))
        for n in (1, 2, 3)
    }
    return Diversity(
        lang,
        len(rows),
        len(found) / len(read),
        len(pairs),
        as_many_as(pairs),
        as_many_as(Counter(thing for _, thing in found if thing)),
        _verbs(pairs),
        _spread([len(text) for text in instructions]),
        _spread([len(text) for text in answers]),
        shares,
        nearest([row.instruction for row in sample]),
    )


def sampled(rows: Sequence[Row], most: int = SAMPLE) -> list[Row]:
    """The rows with the lowest hashes of their ids, in that order."""
    from datakit.canon import key_of

    return sorted(rows, key=lambda row: (key_of("diversity", row.id), row.id))[:most]


def as_many_as(counts: Counter[Any]) -> float:
    """How many equally common things would be as varied as these: exp of the entropy, 0 for none."""
    total = counts.total()
    return exp(-sum(n / total * log(n / total) for n in counts.values() if n)) if total else 0.0


def different(texts: Sequence[Sequence[str]], n: int, most: int = GRAM_TOKENS) -> float:
    """Share of different n-grams among the n-grams of the first texts that make up `most` tokens."""
    seen: set[tuple[str, ...]] = set()
    total = tokens = 0
    for text in texts:
        if tokens >= most:
            break
        tokens += len(text)
        grams = [tuple(text[place : place + n]) for place in range(len(text) - n + 1)]
        seen.update(grams)
        total += len(grams)
    return len(seen) / total if total else 0.0


def nearest(texts: Sequence[str]) -> Nearest | None:
    """ROUGE-L of each text with its nearest other one, None for fewer than two texts."""
    if len(texts) < 2:
        return None
    forward, backward = _nearest_before(texts), _nearest_before(list(reversed(texts)))
    scores = [max(pair) for pair in zip(forward, reversed(backward), strict=True)]
    tenths = Counter(min(9, int(score * 10 + 1e-9)) for score in scores)
    return Nearest(len(scores), _spread(scores), tuple(tenths[place] / len(scores) for place in range(10)))


def _nearest_before(texts: Sequence[str]) -> list[float]:
    """For each text the F with the nearest of those before it."""
    pool, scores = Pool(0.0), []
    for place, text in enumerate(texts):
        found = pool.nearest(text)
        scores.append(found[1] if found else 0.0)
        pool.add(text, str(place))
    return scores


def _verbs(pairs: Counter[tuple[str, str]]) -> tuple[Verb, ...]:
    verbs: dict[str, Counter[str]] = {}
    for (verb, thing), count in pairs.items():
        verbs.setdefault(verb, Counter())[thing] += count
    ordered = sorted(verbs.items(), key=lambda item: (-item[1].total(), item[0]))[:SHOWN]
    return tuple(Verb(name, objects.total(), _commonest(objects)) for name, objects in ordered)


def _commonest(objects: Counter[str]) -> tuple[tuple[str, int], ...]:
    named = sorted(((thing, count) for thing, count in objects.items() if thing), key=lambda item: (-item[1], item[0]))
    return tuple(named[:SHOWN_OBJECTS])


def _spread(values: Sequence[float]) -> Spread:
    import numpy as np

    low, median, high = np.percentile(values, [5, 50, 95]) if len(values) else (0, 0, 0)
    return Spread(float(low), float(median), float(high))
