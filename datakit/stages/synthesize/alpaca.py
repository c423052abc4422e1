"""Stanford Alpaca's recipe (Taori et al. 2023): one request, three seed tasks shown, a list of whole tasks comes back.

20 tasks a list in English, 3 of them shown; 10 in Korean, where lists of 20 were found to be unstable (KoAlpaca).
Mended against the published code: blocks are told apart by their labels, not by `###` and exact numbers; a list that
was cut off loses its last task; spellings of "no input" become no input; empty and leaked answers are refused.
"""

from __future__ import annotations

from datakit.stages.synthesize.generate import Seed, Session
from datakit.stages.synthesize.parse import blocks
from datakit.stages.synthesize.prompts import FORMS, filled

SHOWN = 3
LIST = {"en": 20, "ko": 10}


def one_round(session: Session, number: int, language: str) -> None:
    """Ask for lists of tasks, take what is sound and new."""
    human = [seed for seed in session.seeds if seed.language == language]
    shown = [
        session.rng("shown", number, place).sample(human, min(SHOWN, len(human)))
        for place in range(session.settings.window)
    ]
    requests = [session.request("tasks", language, _prompt(language, seeds)) for seeds in shown]
    for seeds, reply in zip(shown, session.ask(requests), strict=True):
        if not reply.text.strip():
            continue
        for task in blocks(reply.text, reply.finish_reason == "length"):
            session.counters["instructions"] += 1
            if session.admits(task.instruction, language):
                session.accept(task, language, "task", tuple(seed.id for seed in seeds))


def _prompt(language: str, seeds: list[Seed]) -> str:
    form = FORMS[language]
    listed = "\n\n".join(
        f"{number}. {form['instruction']}: {seed.task.instruction}\n"
        f"{form['input']}: {seed.task.input or form['noinput']}\n{form['output']}: {seed.task.output}"
        for number, seed in enumerate(seeds, start=1)
    )
    count = LIST[language] - len(seeds)
    return filled(language, "tasks", count=str(count), examples=listed, next=str(len(seeds) + 1))
