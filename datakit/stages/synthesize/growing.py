"""Recipes that make tasks out of the teacher's head, each held against all before it: self_instruct, alpaca, magpie.

    round r:  requests k .. k+window-1, each seeing only what was accepted before the round
              -> replies, in any order of arrival -> read in the order of the requests -> faults, novelty -> accepted

The languages take turns. It ends when enough rows are there, when no request is left, or when two rounds of each
language in a row bring nothing new. Memory: the accepted tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from datakit.embedder import missing
from datakit.errors import Problem, SourceError
from datakit.schemas import Kind, examples, table_from_rows
from datakit.stage import Corpus, FileRef, Outbox, Stage, require
from datakit.stages.synthesize.filters import instance_fault, instruction_fault
from datakit.stages.synthesize.generate import Asking, Session, abreast
from datakit.stages.synthesize.meaning import MeaningPool
from datakit.stages.synthesize.novelty import Pool
from datakit.stages.synthesize.parse import Written
from datakit.stages.synthesize.rows import Draft, asks
from datakit.stages.synthesize.seeds import Seed, read_seeds
from datakit.stages.synthesize.taught import Taught
from datakit.teachers import Request

Fault = Callable[[str, str], "str | None"]
"""From an instruction and its language to the rule that refuses it."""
DEFAULT_ROWS, IDLE_ROUNDS = 100, 2
LEAST_SAME_OUTPUT = 40
"""Outputs of this many characters and more may stand once only; short ones (labels, yes, numbers) recur rightly."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task that was let in."""

    id: str
    language: str
    task: Written


@dataclass(slots=True)
class Growth:
    """The tasks so far: what people wrote, what came in, what was accepted; and the rules of admission."""

    session: Session
    seeds: Sequence[Seed]
    pool: Pool
    meaning: MeaningPool | None = None
    """Looks a second time, by meaning."""
    accepted: dict[str, list[Accepted]] = field(default_factory=lambda: defaultdict(list))
    """By language."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    outputs: set[str] = field(default_factory=set)

    def know(self, instruction: str, id: str) -> None:
        """Hold later instructions against this one."""
        self.pool.add(instruction, id)
        if self.meaning is not None:
            self.meaning.add(instruction, id)

    def human(self, language: str) -> list[Seed]:
        """The seed tasks of a language."""
        return [seed for seed in self.seeds if seed.language == language]

    def admits(self, instruction: str, language: str, judge: Fault = instruction_fault) -> bool:
        """Whether an instruction is sound and new; if it is, it is in the pool from now on."""
        fault = judge(instruction, language)
        if fault is None and self.pool.nearest(instruction) is not None:
            fault = "repeat"
        if fault is None and self.meaning is not None and self.meaning.nearest(instruction) is not None:
            fault = "same_meaning"
        if fault is not None:
            self.session.refuse(fault)
            return False
        self.know(instruction, f"candidate-{len(self.pool.ids)}")
        return True

    def accept(
        self, task: Written, language: str, kind: str, requests: Sequence[Request], made_with: tuple[str, ...] = ()
    ) -> bool:
        """Take a whole task as a row, unless its answer is at fault or rows are enough."""
        if self.session.made == self.session.rows:
            return False
        fault = instance_fault(task, language)
        if fault is None and len(task.output) >= LEAST_SAME_OUTPUT and task.output in self.outputs:
            fault = "same_output"
        if fault is not None:
            self.session.refuse(fault)
            return False
        self.outputs.add(task.output)
        return self.take(task, language, kind, requests, made_with)

    def take(
        self, task: Written, language: str, kind: str, requests: Sequence[Request], made_with: tuple[str, ...] = ()
    ) -> bool:
        """Make a row of a task, whatever it says."""
        turns = asks(task.instruction, task.input, task.output)
        draft = Draft(kind, language, turns, tuple(requests), task.instruction, task.input, made_with=made_with)
        row = self.session.accept(draft)
        if row is None:
            return False
        self.rows.append(row)
        self.accepted[language].append(Accepted(row["id"], language, task))
        return True


class Growing(Taught):
    """Base of the recipes that grow a set of tasks."""

    rules: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[frozenset[Kind]] = frozenset({"example"})

    seeds: FileRef = ""
    """JSONL file of seed tasks (id, language, instruction, instances, is_classification)."""
    window: Annotated[int, Field(ge=1, le=1000)] = 4
    """Requests a round; each sees only what was accepted in the rounds before."""
    novelty: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Refuse an instruction whose ROUGE-L with an earlier one is above this."""
    meaning: Annotated[float | None, Field(gt=0, le=1)] = None
    """Refuse one, too, whose meaning is as near to an earlier one's (cosine; 0.97 is a good choice); null: don't look.
    Needs `pip install 'datakit[semantic]'`."""

    def chains(self, kind: Kind | None, before: Sequence[Stage]) -> str | None:
        """Examples, or nothing: such a stage may begin a pipeline."""
        if kind in (None, "example"):
            return None
        fix = "use `recipe: mine` or `grounded`, or begin a pipeline with this stage"
        return f"`synthesize` with recipe {self.recipe} makes rows from seed tasks, not from {kind} rows; {fix}"

    def problems(self) -> list[Problem]:
        """Seed tasks are needed, and must be readable."""
        found = super().problems()
        if self.needs_seeds and not self.seeds:
            found.append(Problem("seeds", f"recipe {self.recipe} needs seed tasks", "seeds: sample_data/seeds.jsonl"))
        if self.meaning is not None:
            found += missing("meaning")
        if self.seeds and Path(self.seeds).is_file():
            try:
                read_seeds(self.seeds)
            except SourceError as error:
                found.append(Problem("seeds", f"{error.message} ({error.where})", error.fix))
        return found

    @property
    def needs_seeds(self) -> bool:
        """Whether the prompts show seed tasks."""
        return True

    def pool(self) -> Pool:
        """The pool that instructions must be new against."""
        return Pool(self.novelty)

    def one_round(self, growth: Growth, number: int, language: str) -> list[Asking]:
        """The askings of one round in one language."""
        raise NotImplementedError(f"{type(self).__name__} must say what a round asks")

    def run(self, corpus: Corpus, out: Outbox) -> None:
        """Keep the rows that come in, and make new ones behind them."""
        given = _pass_on(corpus, out)
        seeds = self._seeds(corpus)
        session = self.session(corpus.env, self.rows or DEFAULT_ROWS)
        growth = Growth(session, seeds, self.pool(), MeaningPool(self.meaning) if self.meaning is not None else None)
        for own, instruction in [*((seed.id, seed.task.instruction) for seed in seeds), *given]:
            growth.know(instruction, own)
        try:
            self.grow(growth, corpus)
        finally:
            session.teacher.close()
        if growth.rows:
            out.write(table_from_rows(growth.rows, "example"), counters=session.counters)
            # Rows in are examples too, so `write` took the new ones for kept.
            if corpus.kind == "example":
                out.account(kept=-len(growth.rows), made=len(growth.rows))
        self.note(session, out, session.made, seeds=len(seeds))

    def grow(self, growth: Growth, corpus: Corpus | None = None) -> list[dict[str, Any]]:
        """Rounds until the session is done, or nothing new comes."""
        session, languages = growth.session, self.languages(growth.seeds)
        idle, number = 0, 0
        while not session.done and idle < IDLE_ROUNDS * len(languages):
            before = session.made
            for found in abreast(session.ask, self.one_round(growth, number, languages[number % len(languages)])):
                for fault in found:
                    session.refuse(str(fault))
            idle = idle + 1 if session.made == before else 0
            number += 1
            if corpus is not None:
                corpus.env.tell(f"{self.recipe}: {session.made} rows from {session.requests} requests")
        return growth.rows

    def languages(self, seeds: Sequence[Seed]) -> tuple[str, ...]:
        """The languages that take turns."""
        return tuple(language for language in ("ko", "en") if any(seed.language == language for seed in seeds))

    def _seeds(self, corpus: Corpus) -> list[Seed]:
        if not self.seeds:
            return []
        found = read_seeds(self.seeds, corpus.env.tell)
        seeds = [seed for seed in found if self.language in ("auto", seed.language)]
        require(bool(seeds), "seeds", f"no seed task in {self.language}", "choose another language or other seeds")
        require(bool(self.languages(seeds)), "seeds", "no seed task in Korean or English", "a language is ko or en")
        return seeds


def _pass_on(corpus: Corpus, out: Outbox) -> list[tuple[str, str]]:
    """Write the example rows that come in; their ids and what their users say first, for the novelty check."""
    given: list[tuple[str, str]] = []
    for shard in corpus.shards:
        table = shard.read()
        out.write(table)
        for batch in table.to_batches():
            given += [(row.id, row.messages[0].content) for row in examples(batch) if row.messages]
    return given
