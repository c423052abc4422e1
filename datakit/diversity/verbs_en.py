"""What an English instruction asks for: its verb and the object of it, by rules.

    Please write a short, formal email to …      write, email
    Given a list of words, sort them by …        sort, -
    What is the difference between … ?           what, difference

The verb is the first one that stands where a command begins: at the start of a sentence or clause, behind `please`,
`can you`, `your task is to`, `and`. Verbs are known by a list of those that people give commands with. The object is
the last word of the words after it that belong together; `list of`, `kind of` are looked through. Questions count by
their word.
"""

from __future__ import annotations

import re

from datakit.stages.synthesize.passages import words

VERBS = words(
    "act adapt add advise analyse analyze announce answer apologize append apply argue arrange ask assess"
    " assign assume balance boil brainstorm break build calculate capitalize carry categorize change check"
    " choose cite clarify classify clean collect combine come comment compare compile complete compose compute"
    " condense consider construct continue contrast convert copy correct count craft create criticize critique"
    " cut debug decide decode decompose define delete deliver demonstrate derive describe design detect"
    " determine develop devise differentiate digest discuss display distinguish divide draft draw edit"
    " elaborate eliminate encode enumerate estimate evaluate examine expand explain express extend extract"
    " figure fill filter find finish fix follow format formulate generate get give group guess guide highlight"
    " hypothesize identify illustrate imagine implement improve include indicate infer insert interpret invent"
    " investigate judge justify label list locate look make map mark match measure mention merge modify move"
    " name narrate negate number order organize outline paraphrase parse perform persuade pick plan play point"
    " pose predict prepare present pretend print prioritize process produce pronounce proofread propose prove"
    " provide pull punctuate put quote rank rate read rearrange recite recommend reconstruct record reduce"
    " refine reformat reformulate relate remove rename render reorder rephrase replace reply report represent"
    " research respond restate restructure retell return reverse review revise reword rewrite rhyme role say"
    " scale score search select separate set share shorten show simplify simulate sketch solve sort speak"
    " specify spell split spot stack state structure substitute suggest sum summarise summarize support swap"
    " tag tell think throw title transcribe transform translate turn uncover understand unscramble update use"
    " verify visualize vote weigh work write"
)
QUESTIONS = words("what why how when where who whom whose which")
BEFORE_QUESTIONS = words("in on at from by for of to with")
YES_NO = words("is are was were do does did can could should would will has have had may am")
LEAD = re.compile(
    r"(?i)^(?:please|kindly|now|then|next|first|also|so|ok|okay|hi|hello|hey|let's|let us|can you(?: please)?"
    r"|could you(?: please)?|would you(?: please)?|will you|i(?: would|'d)? (?:want|need|like) (?:you )?(?:to)?"
    r"|(?:your|the) (?:task|job|goal) is to|you (?:need|have|should|must|are asked|are expected|are required)(?: to)?"
    r"|help me(?: to)?|try to|in this task,?|your task,?"
    r"|in (?:one|two|three|a few|\d+) \w+,?|(?:short|brief)ly|and|or)\s+"
)
CLAUSE = re.compile(r"[.!?:;]\s+|\n+|,\s+(?:and\s+|then\s+)?|\s+[-–—]\s+|\s+(?:and then|and|then|to)\s+(?=[a-z])")
STOPS = words(
    "to for of in on at by with from about into onto that which who whose whom when where why how what if"
    " whether as than and or but so because using based between among after before during without within under"
    " over per via like is are was were be been can could should would will does do did given such it them him"
    " her you they i we this these those out up down off back"
)
SKIPPED = words(
    "a an the this that these those my your his its our their some any all each every no another other"
    " following given me us him them one two three four five six seven eight nine ten several few many more most"
)
HOLDERS = words("list kind type sort set series number group couple pair piece bit lot variety range")
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*|\d+|,")
SENTENCE = re.compile(r"[.!?:;](?:\s|$)|\n")
ASIDE = re.compile(r"\([^()]{0,60}\)")
MOST_CLAUSES = 12


def verb_and_object(instruction: str) -> tuple[str, str] | None:
    """The verb of an instruction and its object ("" if it has none that can be told), None if there is no verb."""
    text = ASIDE.sub(" ", instruction.strip())
    starts = [0, *(found.end() for found in CLAUSE.finditer(text))][:MOST_CLAUSES]
    for start in starts:
        words = [word.lower() for word in WORD.findall(_begun(SENTENCE.split(text[start:], maxsplit=1)[0]))]
        if words[:3] == ["come", "up", "with"]:
            return "come up with", _object(words[3:])
        if words and words[0] in VERBS:
            return _spelled(words[0]), _object(words[1:])
        asked = words[1:] if len(words) > 1 and words[0] in BEFORE_QUESTIONS else words
        if asked and asked[0] in QUESTIONS:
            return asked[0], _object(asked[1:], question=True)
        if len(words) > 2 and words[0] in YES_NO:
            return "whether", ""
    return None


def _begun(clause: str) -> str:
    """A clause without the words that lead up to its verb."""
    text = clause.strip(" \"'“”()[]*#>-")
    while (shorter := LEAD.sub("", text, count=1)) != text:
        text = shorter
    return text


def _object(words: list[str], question: bool = False) -> str:
    """The last of the first words that belong together."""
    held: list[str] = []
    for place, word in enumerate(words):
        if word == ",":
            # `a short, formal email` goes on behind the comma, `sort them, then …` doesn't.
            following = words[place + 1] if place + 1 < len(words) else ""
            if question or not held or following in VERBS or following in STOPS or following in SKIPPED:
                break
            continue
        if word in YES_NO and question and not held:
            continue
        if word in SKIPPED and not held:
            continue
        if word == "of" and held and held[-1].rstrip("s") in HOLDERS:
            held = []
        elif word in STOPS or (word.endswith("ing") and held) or (word.endswith("ly") and held):
            if held or place > 3:
                break
            if not question:
                return ""
        elif not word.isdigit():
            held.append(word)
    return singular(held[-1]) if held else ""


def singular(word: str) -> str:
    """A noun in the singular, by its ending."""
    word = word.removesuffix("'s").removesuffix("’s")
    if len(word) < 4 or word.endswith(("ss", "us", "is", "news")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zzes")) else word.removesuffix("s")


def _spelled(verb: str) -> str:
    """British and American spelling are one verb."""
    return (
        verb[:-3] + "ize" if verb.endswith("ise") and verb[:-3] + "ize" in VERBS else verb.replace("analyse", "analyze")
    )
