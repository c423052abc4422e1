"""Rules that turn English sentences into questions: definitions, reasons, results, examples, connectives, years.

Answers reuse whole clauses (`The reason is that …` takes any clause that stood after `because`), so that nothing has to
be inflected. Sentences whose subject is a pronoun are passed over where the question would lose what it stands for.
Precision comes first: a rule that is unsure says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from datakit.stages.synthesize.alone import POINTS_EN, tells
from datakit.stages.synthesize.candidates import Candidate
from datakit.stages.synthesize.cutting import passage_with
from datakit.stages.synthesize.passages import Page, unquoted, words

PRONOUNS = words(
    "it this that these those he she they we you i there here one such its his her their our my your both which who"
    " what another others some many most"
)
OPENING = re.compile(
    r"^(?:However|But|And|So|Yet|Still|Moreover|Also|Indeed|In fact|Besides|Of course|Thus|Then|Instead"
    r"|Meanwhile),? (?=\w)"
)
POINTER = re.compile(r"(?i)(?:this|these|that|those|such|they|he|she)\b")
"""Begins a sentence that says nothing without the one before it. `It` is mostly the text's subject."""
NOT_DEFINING = words(
    "good better best bad big small large short long clear few little lot thing great common simple new third half"
    " quarter"
    " number pair typical second first day year week month"
)
DEFINED = re.compile(
    r"^(?P<article>An?) (?P<term>[a-z][\w'’-]*(?: [a-z][\w'’-]*){0,3}?) (?:is|was) (?:an?|the|any) (?P<rest>.+)\.$"
)
MEANS = re.compile(r"^(?P<term>[A-Z][\w'’+-]*(?: [\w'’+-]+){0,2}) means (?:that )?(?P<rest>.{12,})\.$")
NAMED = re.compile(r" (?:called|known as) ")
CALLED = re.compile(
    r"^(?P<body>(?:The|An?) [^,;:()]{8,110}) (?:is|are) (?:called|known as) (?P<term>(?:an? "
    r"|the )?[\w'’-]+(?: [\w'’-]+){0,3})\.$"
)
BECAUSE = re.compile(r"^(?P<fact>.{20,140}?),? because (?!of\b)(?P<cause>[^;:]{12,140})\.$")
BECAUSE_FIRST = re.compile(r"^Because (?!of\b)(?P<cause>[^,;:]{12,120}), (?P<fact>[^,;:]{15,140})\.$")
HEDGED = re.compile(r"(?:\bnot|n't|n’t|\bonly|\bjust|\bsimply|\bmerely|\bpartly|\bmainly|\bperhaps|\bis|\bwas|\bbut)$")
THAT_IS_WHY = re.compile(r"^(?:That is|That's|That’s|This is) why (?P<fact>[^,;:]{15,140})\.$")
RESULT = re.compile(r"^(?:Therefore|As a result|Consequently|For this reason|Hence|Thus), (?P<rest>.{15,})$")
EXAMPLE = re.compile(r"^For (?:example|instance), (?P<rest>.{15,})$")
RESTATE = re.compile(r"^(?:In other words|That is to say|Put differently), (?P<rest>.{15,})$")
CONNECTIVES = {
    "However,": "contrast", "In contrast,": "contrast", "By contrast,": "contrast", "Nevertheless,": "contrast",
    "Therefore,": "result", "As a result,": "result", "Consequently,": "result", "For example,": "example",
    "For instance,": "example",
}  # fmt: skip
CONNECTIVE = re.compile(rf"({'|'.join(CONNECTIVES)}) ")
STANDARD = {"contrast": "However,", "result": "As a result,", "example": "For example,"}
BECAUSE_OF_KIND = {
    "contrast": "what follows goes against what was said before",
    "result": "what follows comes out of what was said before",
    "example": "what follows is an instance of what was said before",
}
IN_YEAR = re.compile(r"^In (?P<year>1\d{3}|20\d{2}),? (?P<fact>[^;:]{20,170})\.$")
SAYS_WHAT = re.compile(r"(?i)(\S.*?) (?:is|are|was|were) (?:an?|the|any|one) \S+ \S+ \S+")
ARTICLE = re.compile(r"(?i)(?:an?|the) ")
NUMBERS = re.compile(r"\b(?:1\d{3}|20\d{2})\b")


def sentence_tasks(page: Page, limit: int, rng: Random) -> Iterator[Candidate]:
    """Candidates from single sentences and from neighbouring ones."""
    for place, inner, sentence in page.plain_sentences():
        unit = page.units[place]
        before = unit.sentences[inner - 1] if inner and unit.plain("en")[inner - 1] else ""
        for task, fields, answer in _from_sentence(page, sentence, before, place == 0 and inner == 0):
            yield Candidate(task, passage_with(page, place, inner, limit), answer, fields)
        word = CONNECTIVE.match(sentence) if before else None
        if word:
            yield from _choose_connective(passage_with(page, place, inner, limit), before, sentence, word[1], rng)


def _from_sentence(page: Page, sentence: str, before: str, first: bool) -> Iterator[tuple[str, dict[str, str], str]]:
    plain = capital(OPENING.sub("", sentence))
    if unquoted(plain):
        yield from _definitions(page, plain, first)
        yield from _reasons(plain, before)
        if (found := IN_YEAR.match(plain)) and len(NUMBERS.findall(plain)) == 1:
            fact = f"{capital(found['fact'])}."
            if tells(fact, "en"):
                yield "when", {"sentence": fact}, f"It happened in {found['year']}."
    if not before or not unquoted(before) or before.endswith("?") or POINTER.match(OPENING.sub("", before)):
        return
    for task, pattern in (("result", RESULT), ("example", EXAMPLE), ("restate", RESTATE)):
        if (found := pattern.match(sentence)) and not POINTER.match(found["rest"]):
            yield task, {"sentence": capital(OPENING.sub("", before))}, capital(found["rest"])


def _definitions(page: Page, sentence: str, first: bool) -> Iterator[tuple[str, dict[str, str], str]]:
    if (found := DEFINED.match(sentence)) and _is_term(found["term"]) and len(found["rest"].split()) >= 5:
        yield "definition", {"term": f"{found['article'].lower()} {found['term']}", "be": "is"}, sentence
    elif first and (subject := _title_subject(page.title, sentence)):
        be = "are" if sentence[len(subject) :].startswith((" are ", " were ")) else "is"
        yield "definition", {"term": _as_within(subject, page), "be": be}, sentence
    if (
        " means " in sentence
        and (found := MEANS.match(sentence))
        and not _points(sentence)
        and not re.match(r"The |\w+ing ", found["term"])
        and not POINTS_EN.search(found["rest"])
        and _spelled_within(word := _as_within(found["term"], page), page)
    ):
        yield "definition", {"word": word}, sentence
    if NAMED.search(sentence) and (found := CALLED.match(sentence)) and len(found["body"].split()) >= 5:
        yield "term", {"body": lower(found["body"])}, sentence


def _as_within(term: str, page: Page) -> str:
    """A term from the start of a sentence as it is spelled within one: small if the page writes it so somewhere.

    `Movable type` is no name, since its second word is small; `Concrete` is none if the page has `concrete`.
    """
    small = term[:1].lower() + term[1:]
    parts = term.split()
    if parts[0].lower() in COMMON_FIRST or (len(parts) > 1 and all(part[0].islower() for part in parts[1:])):
        return small
    return small if any(_within(small, unit.text) for unit in page.units) else term


def _spelled_within(word: str, page: Page) -> bool:
    """Whether a word can stand in a question as it is: small, an acronym, or seen with its capital in a sentence."""
    return not word[0].isupper() or word[1:2].isupper() or any(_within(word, unit.text) for unit in page.units)


def _within(word: str, text: str) -> bool:
    """Whether a word stands in a text, but not where a sentence begins."""
    start = text.find(word, 1)
    while start > 0:
        end = start + len(word)
        alone = not (text[start - 1].isalnum() or text[start - 1] == "_" or text[end : end + 1].isalnum())
        if alone and text[end : end + 1] != "_" and text[start - 2 : start] not in (". ", "! ", "? "):
            return True
        start = text.find(word, start + 1)
    return False


def _title_subject(title: str, sentence: str) -> str:
    """How a first sentence names what the title names, if that is its subject and it says what it is."""
    if not title or len(title.split()) > 4 or not title[0].isalnum():
        return ""
    found = SAYS_WHAT.match(sentence)
    return found[1] if found and ARTICLE.sub("", found[1], count=1).lower() == title.lower() else ""


def _reasons(sentence: str, before: str) -> Iterator[tuple[str, dict[str, str], str]]:
    lowered = sentence.lower()
    if lowered.count("because") == 1:
        if found := BECAUSE.match(sentence):
            fact, cause = found["fact"], found["cause"]
            whole = len(fact.split()) >= 5 and not re.search(r", (?:and|but|so|or|while|which) |;|:|\?", fact)
            if whole and not HEDGED.search(fact) and _one_clause(fact, cause) and not _points(fact):
                yield "reason", {"sentence": f"{fact}."}, f"The reason is that {lower(cause)}."
        elif (found := BECAUSE_FIRST.match(sentence)) and len(found["fact"].split()) >= 5:
            yield "reason", {"sentence": f"{capital(found['fact'])}."}, f"The reason is that {lower(found['cause'])}."
    elif (found := THAT_IS_WHY.match(sentence)) and before and unquoted(before) and not before.endswith("?"):
        yield "reason", {"sentence": f"{capital(found['fact'])}."}, capital(OPENING.sub("", before))


def _one_clause(fact: str, cause: str) -> bool:
    """Whether the reason can only belong to the whole of what stands before it."""
    joined = re.search(r" and (?:I|we|you|he|she|it|they|the|there)\b", fact)
    return not joined and not re.search(r", (?:and|but|so|or|then) |^(?:that|this)\b", cause)


def _choose_connective(passage: str, before: str, sentence: str, word: str, rng: Random) -> Iterator[Candidate]:
    """The passage with a gap where the connective was, and three to choose from, of which one kind fits."""
    if sentence not in passage or before not in passage:
        return
    kind = CONNECTIVES[word]
    choices = [word, *(STANDARD[other] for other in STANDARD if other != kind)]
    rng.shuffle(choices)
    gapped = passage.replace(sentence, "______" + sentence[len(word) :], 1)
    answer = f"“{word.rstrip(',')}” fits, because {BECAUSE_OF_KIND[kind]}."
    yield Candidate("connective", gapped, answer, {"choices": " / ".join(choice.rstrip(",") for choice in choices)})


def _is_term(term: str) -> bool:
    parts = term.split()
    plain = not any(part in NOT_DEFINING or part in PRONOUNS or part in ("of", "that", "to", "with") for part in parts)
    return plain and not parts[-1].endswith("ly")


def _points(text: str) -> bool:
    return re.split(r"\W", text, maxsplit=1)[0].lower() in PRONOUNS


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """The text with its first letter small, unless its first word is a name, an acronym or `I`."""
    first = text.split(" ", 1)[0]
    common = first.lower() in COMMON_FIRST
    return text[:1].lower() + text[1:] if common else text


COMMON_FIRST = words(
    "a an the this that these those it its he she they we you his her their our your my there here some many most all"
    " each"
    " every any no one two three in on at by from with without under over when where while if as after before for"
    " people"
    " both several such other another"
)
"""First words that are surely no name; anything else keeps its letter, as `Iceland` must."""
