"""Self-Instruct (Wang et al. 2022, arXiv:2212.10560), its four steps, for chat models, in Korean and English.

    1 instructions   8 shown: 6 written by people, up to 2 by the teacher; a numbered list comes back
    2 classify       is it a classification?
    3 instance       no: input first, then output; yes: the label first, then an input for it (else one label prevails)
    4 admit          faults and novelty (ROUGE-L > 0.7 against seeds and all accepted) before step 2, the answer after

Mended against the published code: capitals are left alone, no stop strings such as `16.` that cut answers, a reply
that was cut off loses its last entry only, nothing is lost or asked twice after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass

from datakit.stages.synthesize.generate import Accepted, Session
from datakit.stages.synthesize.parse import Written, instance, numbered, says_yes
from datakit.stages.synthesize.prompts import filled

SHOWN, BY_MACHINE, WANTED = 8, 2, 8


@dataclass(frozen=True, slots=True)
class Shown:
    """The tasks that one prompt shows."""

    instructions: tuple[str, ...]
    ids: tuple[str, ...]


def one_round(session: Session, number: int, language: str) -> None:
    """Ask for instructions, sort them, ask for their instances, take what is sound."""
    earlier = [made for made in session.accepted if made.language == language]
    shown = [_shown(session, language, earlier, number, place) for place in range(session.settings.window)]
    requests = [session.request("instructions", language, _prompt(language, one)) for one in shown]
    fresh: list[tuple[str, Shown]] = []
    for one, reply in zip(shown, session.ask(requests), strict=True):
        entries = numbered(reply.text, reply.finish_reason == "length")[: 2 * WANTED]
        session.counters["instructions"] += len(entries)
        fresh += [(entry, one) for entry in entries if session.admits(entry, language)]
    texts = [text for text, _ in fresh]
    asked = [
        session.request("classify", language, _about("classify", language, text), greedy=True, max_tokens=8)
        for text in texts
    ]
    sorts = [says_yes(reply.text) for reply in session.ask(asked)]
    prompts = [
        _about("labels" if sort else "instance", language, text) for text, sort in zip(texts, sorts, strict=True)
    ]
    replies = session.ask([session.request("instance", language, prompt, greedy=True) for prompt in prompts])
    for (text, one), sort, reply in zip(fresh, sorts, replies, strict=True):
        if reply.text.strip():
            task = instance(reply.text, text, reply.finish_reason == "length")
            whole = Written(text, task.input, task.output)
            session.accept(whole, language, "classification" if sort else "generation", one.ids)


def _shown(session: Session, language: str, earlier: list[Accepted], number: int, place: int) -> Shown:
    rng = session.rng("shown", number, place)
    machine = rng.sample(earlier, min(BY_MACHINE, len(earlier)))
    human = [seed for seed in session.seeds if seed.language == language]
    chosen = rng.sample(human, min(SHOWN - len(machine), len(human)))
    both = [(seed.task.instruction, seed.id) for seed in chosen] + [(one.task.instruction, one.id) for one in machine]
    rng.shuffle(both)
    return Shown(tuple(text for text, _ in both), tuple(shown for _, shown in both))


def _prompt(language: str, shown: Shown) -> str:
    listed = "\n".join(
        f"{number}. {' '.join(text.split()).rstrip(':')}" for number, text in enumerate(shown.instructions, 1)
    )
    following = str(len(shown.instructions) + 1)
    return filled(language, "instructions", count=str(WANTED), examples=listed, next=following)


def _about(name: str, language: str, instruction: str) -> str:
    return filled(language, name, instruction=instruction)
